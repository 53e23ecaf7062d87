"""One stretch of work: the send queue and the jobs, until time is up or nothing is due. An edge."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from functions.worker.bots import run_bot
from functions.worker.events import deliver_event
from functions.worker.job_queue import JobQueue
from functions.worker.measures import measure_work
from functions.worker.media import fetch_media
from functions.worker.other_form import retry_other_form
from functions.worker.send_queue import SendQueue
from functions.worker.syncing import sync_connection
from functions.worker.tokens import refresh_tokens, renew_token
from functions.worker.upkeep import refresh_connections, settle_sends, sweep
from shared.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.jobs import JobFunction
    from shared.web import Resources

# Every kind of job there is. A job of another kind waits for a worker that knows it.
JOBS: Mapping[str, JobFunction] = {
    "fetch_media": fetch_media,
    "retry_other_form": retry_other_form,
    "run_bot": run_bot,
    "deliver_event": deliver_event,
    "sync_connection": sync_connection,
    "sweep": sweep,
    "settle_sends": settle_sends,
    "refresh_connections": refresh_connections,
    "refresh_token": renew_token,
    "refresh_tokens": refresh_tokens,
    "measure_work": measure_work,
}


# With less time left, another round is the next invocation's.
LEAST_SECONDS = 2.0


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
        self._resources = resources
        self._sender = Sender()
        self._queues: tuple[SendQueue, JobQueue] | None = None
        self._is_stopping = False

    def stop(self) -> None:
        """Begin nothing more; `run` returns when what was begun has ended."""
        self._is_stopping = True
        for queue in self._queues or ():
            queue.stop()

    async def run(self, *, seconds: float | None = None, is_patient: bool = True) -> Report:
        """Work for so many seconds, or for ever; without patience, until nothing is due."""
        deadline = None if seconds is None else time.monotonic() + seconds
        report = Report(sent=0, jobs=0)
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            done = await self._work(left, is_patient=is_patient)
            report = Report(sent=report.sent + done.sent, jobs=report.jobs + done.jobs)
            # A job may have queued a message when the sends were already over.
            is_over = is_patient or self._is_stopping or done.jobs == 0
            if is_over or (deadline is not None and time.monotonic() > deadline - LEAST_SECONDS):
                return report

    async def _work(self, seconds: float | None, *, is_patient: bool) -> Report:
        sends = SendQueue(self._resources, self._sender)
        jobs = JobQueue(self._resources, JOBS)
        self._queues = (sends, jobs)
        sent, done = await asyncio.gather(
            sends.run(seconds=seconds, is_patient=is_patient),
            jobs.run(seconds=seconds, is_patient=is_patient),
        )
        return Report(sent=sent, jobs=done)
