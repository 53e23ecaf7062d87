"""One stretch of work: the send queue and the jobs, until time is up or nothing is due. An edge."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from functions.worker.bots import run_bot
from functions.worker.events import deliver_event
from functions.worker.job_queue import JobQueue
from functions.worker.media import fetch_media
from functions.worker.send_queue import SendQueue
from functions.worker.syncing import sync_connection
from functions.worker.tokens import renew_token
from functions.worker.upkeep import refresh_connections, sweep
from shared.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.jobs import JobFunction
    from shared.web import Resources

# Every kind of job there is. A job of another kind waits for a worker that knows it.
JOBS: Mapping[str, JobFunction] = {
    "fetch_media": fetch_media,
    "run_bot": run_bot,
    "deliver_event": deliver_event,
    "sync_connection": sync_connection,
    "sweep": sweep,
    "refresh_connections": refresh_connections,
    "refresh_token": renew_token,
}


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a shift got done."""

    sent: int
    jobs: int

    def to_json(self) -> dict[str, int]:
        """Return it as an answer."""
        return asdict(self)


class Shift:
    """Works until it is told to stop."""

    def __init__(self, resources: Resources) -> None:
        self._sends = SendQueue(resources, Sender())
        self._jobs = JobQueue(resources, JOBS)

    def stop(self) -> None:
        """Begin nothing more; `run` returns when what was begun has ended."""
        self._sends.stop()
        self._jobs.stop()

    async def run(self, *, seconds: float | None = None, is_patient: bool = True) -> Report:
        """Work for so many seconds, or for ever; without patience, until nothing is due."""
        sent, jobs = await asyncio.gather(
            self._sends.run(seconds=seconds, is_patient=is_patient),
            self._jobs.run(seconds=seconds, is_patient=is_patient),
        )
        return Report(sent=sent, jobs=jobs)
