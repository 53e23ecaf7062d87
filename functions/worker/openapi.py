"""What the worker answers its scheduler and Prometheus, for the OpenAPI document. No I/O."""

from __future__ import annotations

from pydantic import BaseModel

from shared.errors import InvalidToken, MissingToken
from shared.openapi import Answer, Operation, Operations

NAME = "whatsapp-worker"


class ShiftReport(BaseModel):
    """What the run got done."""

    sent: int
    jobs: int


RUN = Operation(
    summary="Do what is due",
    caller="scheduler",
    answers={200: ShiftReport},
    refuses=(InvalidToken, MissingToken),
)

METRICS = Operation(
    summary="Tell how the work stands",
    caller="monitor",
    answers={200: Answer(describes="Prometheus' text format.", type="text/plain")},
    refuses=(InvalidToken, MissingToken),
)

OPERATIONS: Operations = {("GET", "/"): RUN, ("POST", "/"): RUN, ("GET", "/metrics"): METRICS}
