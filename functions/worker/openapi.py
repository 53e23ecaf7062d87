"""What the worker answers its scheduler, for the OpenAPI document. No I/O."""

from __future__ import annotations

from pydantic import BaseModel

from shared.errors import InvalidToken, MissingToken
from shared.openapi import Operation, Operations

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

OPERATIONS: Operations = {("GET", "/"): RUN, ("POST", "/"): RUN}
