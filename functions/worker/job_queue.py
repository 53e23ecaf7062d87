"""Does the jobs that are due, many at once, and writes what came of them; an edge: everything here is I/O.

Any number of these run at once, on any machines. A job belongs to a worker as long as its lease, which is
renewed while the worker lives; where it was lost, the work is given up and what came of it is not written.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from shared import log
from shared.errors import AppError, DatabaseUnavailable
from shared.jobs import RELEASED, Job, Outcome, Work, outcome_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.jobs import JobFunction
    from shared.web import Resources

SLOTS = 16
# So many of the slots may be one organization's; the others are for everybody else.
SLOTS_OF_ONE = 8
RENEWALS_PER_LEASE = 3
IDLE_SECONDS = 1.0
BUSY_SECONDS = 0.2
GATHER_SECONDS = 0.03
# Results of jobs that end together are written together.
RESULT_SECONDS = 0.02
WRITE_ATTEMPTS = 60
LAST_SECONDS = 20.0


class JobQueue:
    """Works on the jobs of the kinds that it knows, until nothing is due or it is told to stop."""

    def __init__(
        self,
        resources: Resources,
        functions: Mapping[str, JobFunction],
        *,
        slots: int = SLOTS,
        lease_seconds: int | None = None,
    ) -> None:
        self._resources = resources
        self._functions = functions
        self._slots = slots
        self._lease_seconds = lease_seconds or resources.settings.worker_lease_seconds
        self._running: dict[int, tuple[Job, asyncio.Task[None]]] = {}
        self._results: list[dict[str, Any]] = []
        self._has_results = asyncio.Event()
        self._writing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self.done = 0

    def stop(self) -> None:
        """Begin nothing more; `run` returns when what was begun has ended."""
        self._stopping.set()
        self._changed.set()

    async def run(self, *, seconds: float | None = None, is_patient: bool = True) -> int:
        """Work for so many seconds, or for ever; without patience, until nothing is due. Count what ended."""
        deadline = None if seconds is None else time.monotonic() + seconds
        tasks = [asyncio.create_task(self._write_results()), asyncio.create_task(self._renew_leases())]
        try:
            while not self._stopping.is_set() and (deadline is None or time.monotonic() < deadline):
                self._changed.clear()
                next_seconds = await self._claim()
                is_idle = not self._running and not self._results
                if is_idle and not is_patient and (next_seconds is None or next_seconds > IDLE_SECONDS):
                    break
                await self._pause(next_seconds, deadline)
        finally:
            await self._end(deadline)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self.done

    async def _pause(self, next_seconds: float | None, deadline: float | None) -> None:
        room = self._slots - len(self._running)
        wait: float | None = None
        if room:
            wait = min(
                IDLE_SECONDS, max(IDLE_SECONDS if next_seconds is None else next_seconds, BUSY_SECONDS)
            )
        if deadline is not None:
            left = max(0.0, deadline - time.monotonic())
            wait = left if wait is None else min(wait, left)
        with contextlib.suppress(TimeoutError):
            # What ends makes room, and may be what the next of its line waits for.
            await asyncio.wait_for(self._changed.wait(), wait)
            # Jobs that end together make room together: one question for all of it.
            await asyncio.sleep(GATHER_SECONDS)

    async def _claim(self) -> float | None:
        room = self._slots - len(self._running)
        if room <= 0:
            return None
        params = {
            "wanted": room,
            "known_kinds": sorted(self._functions),
            "lease_seconds": self._lease_seconds,
            "most_per_organization": min(SLOTS_OF_ONE, max(1, self._slots // 2)),
        }
        try:
            answer = await self._resources.database.call_rpc("claim_jobs", params)
        except AppError as error:
            log.error("jobs.claim_failed", error=error)
            return IDLE_SECONDS
        for row in answer["jobs"]:
            job = Job(**row)
            self._running[job.id] = (job, asyncio.create_task(self._do(job)))
        next_seconds: float | None = answer["next_seconds"]
        return 0.0 if len(answer["jobs"]) == room else next_seconds

    async def _do(self, job: Job) -> None:
        started = time.perf_counter()
        outcome: Outcome | None = None
        with log.context(job_id=job.id, job_kind=job.kind, organization_id=job.organization_id):
            try:
                outcome = await self._functions[job.kind](Work(job=job, resources=self._resources))
            except asyncio.CancelledError:
                # The lease is lost, or the process ends: whoever has the job now writes its result.
                outcome = RELEASED if self._stopping.is_set() else None
            except Exception as error:  # noqa: BLE001 - one job's fault must not stop the others
                outcome = outcome_of(job, error)
                log.write(_level(error), "jobs.failed", {"error": error, "outcome": outcome.word})
            finally:
                self._running.pop(job.id, None)
                self._changed.set()
                if outcome is not None:
                    self._tell(job, outcome, time.perf_counter() - started)

    def _tell(self, job: Job, outcome: Outcome, seconds: float) -> None:
        log.write(
            "warning" if outcome.word == "dead" else "info",
            "jobs.ended",
            {
                "outcome": outcome.word,
                "reason": outcome.reason,
                "attempts": job.attempts,
                "duration_ms": round(seconds * 1000, 1),
            },
        )
        if outcome.word == "settled":
            self.done += 1
            return
        self._results.append(outcome.to_result(job))
        self._has_results.set()

    async def _write_results(self) -> None:
        while True:
            await self._has_results.wait()
            if not self._stopping.is_set():
                await asyncio.sleep(RESULT_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        async with self._writing:
            await self._write()

    async def _write(self) -> None:
        results, self._results = self._results, []
        self._has_results.clear()
        if not results:
            return
        try:
            written = await self._resources.database.call_rpc("finish_jobs", {"results": results})
        except DatabaseUnavailable:
            # Kept while this process lives; a lease that ends meanwhile only means that the work is done
            # again.
            self._results = results + self._results
            self._has_results.set()
            await asyncio.sleep(BUSY_SECONDS)
            return
        self.done += len(written)
        self._changed.set()

    async def _renew_leases(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / RENEWALS_PER_LEASE)
            held = [{"id": job.id, "lease_token": job.lease_token} for job, _ in self._running.values()]
            if not held:
                continue
            try:
                params = {"held": held, "lease_seconds": self._lease_seconds}
                kept = set(await self._resources.database.call_rpc("renew_jobs", params))
            except AppError as error:
                log.error("jobs.renewal_failed", error=error)
                continue
            for each in held:
                running = self._running.get(int(each["id"]))
                if each["id"] not in kept and running and running[0].lease_token == each["lease_token"]:
                    log.warning("jobs.lease_lost", job_id=each["id"])
                    running[1].cancel()

    async def _end(self, deadline: float | None) -> None:
        """Let what is under way end, and give back what does not."""
        self._stopping.set()
        tasks = [task for _, task in self._running.values()]
        if tasks:
            late = 0.0 if deadline is None else max(0.0, deadline - time.monotonic())
            await asyncio.wait(tasks, timeout=late + LAST_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _ in range(WRITE_ATTEMPTS):
            with contextlib.suppress(AppError):
                await self._flush()
            if not self._results:
                break


def _level(error: Exception) -> str:
    return error.level if isinstance(error, AppError) else "warning"
