"""Sends what is queued, each number at its own pace, many at once; an edge: everything here is I/O.

Any number of these run at once, on any machines: they share the queue and the pace through the database.
A message is started there before Meta is called, so that a killed worker leaves it `uncertain` and never sent
twice; what was only claimed returns when its lease ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared import log
from shared.errors import AppError, DatabaseUnavailable
from shared.sender import PERMIT_SECONDS, Sender, finish_sends

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.web import Resources

MOST_IN_FLIGHT = 64
MOST_CLAIMED = 2_000
# Written back together: at most so many, and at most so long after the first of them.
RESULTS_AT_ONCE = 200
RESULTS_SECONDS = 0.05
IDLE_SECONDS = 1.0
BUSY_SECONDS = 0.2
# A number's sends are started in groups of a twentieth of a second's worth.
GROUPS_PER_SECOND = 20
LATENCIES = 200
# The way to Meta and back is never shorter than the shortest seen; a margin, since it is seen from here.
LATENCY_SHARE = 0.8
LAST_SECONDS = 30.0


@dataclass(kw_only=True)
class Line:
    """What waits in this process for one number."""

    integration_id: str
    pending: deque[dict[str, Any]] = field(default_factory=deque)
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    task: asyncio.Task[None] | None = None

    @property
    def group(self) -> int:
        """How many are started together."""
        throughput: int = self.pending[0]["throughput"] if self.pending else 1
        return max(1, min(throughput // GROUPS_PER_SECOND, MOST_IN_FLIGHT))

    @property
    def has_enough(self) -> bool:
        """Tell whether it is too early to claim more: what one worker holds, no other can send."""
        return len(self.pending) > 4 * self.group


@dataclass(kw_only=True)
class Permit:
    """The right to some calls, in use until the last of them is over."""

    id: int
    open: int
    ended: float = 0.0


class SendQueue:
    """Works on the queue until there is nothing to do, or until it is told to stop."""

    def __init__(self, resources: Resources, sender: Sender) -> None:
        self._resources = resources
        self._sender = sender
        self._lines: dict[str, Line] = {}
        self._results: list[dict[str, Any]] = []
        self._permits: list[dict[str, Any]] = []
        self._has_results = asyncio.Event()
        self._slots = asyncio.Semaphore(MOST_IN_FLIGHT)
        self._sending: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self.sent = 0

    def stop(self) -> None:
        """Start nothing more; `run` returns when what is on its way has arrived."""
        self._stopping.set()

    async def run(self, *, seconds: float | None = None, is_patient: bool = True) -> int:
        """Work for so many seconds, or for ever; without patience, until nothing is due. Count the sends."""
        deadline = None if seconds is None else time.monotonic() + seconds
        writer = asyncio.create_task(self._write_results())
        try:
            while not self._stopping.is_set() and (deadline is None or time.monotonic() < deadline):
                next_seconds = await self._claim()
                is_idle = not self._lines and not self._sending
                if is_idle and not is_patient and (next_seconds is None or next_seconds > IDLE_SECONDS):
                    break
                await self._pause(next_seconds)
        finally:
            self._stopping.set()
            await self._end(writer)
        return self.sent

    async def _pause(self, next_seconds: float | None) -> None:
        idle = BUSY_SECONDS if self._lines else IDLE_SECONDS
        seconds = idle if next_seconds is None else min(idle, max(next_seconds, 0.02))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _claim(self) -> float | None:
        claimed = sum(len(line.pending) for line in self._lines.values())
        if claimed >= MOST_CLAIMED:
            return None
        enough = [line.integration_id for line in self._lines.values() if line.has_enough]
        try:
            answer = await self._resources.database.call_rpc(
                "claim_sends", {"wanted": MOST_CLAIMED - claimed, "except_for": enough}
            )
        except AppError as error:
            log.error("send_queue.claim_failed", error=error)
            return IDLE_SECONDS
        for send in answer["claimed"]:
            self._line_of(send["integration_id"]).pending.append(send)
        next_seconds: float | None = answer["next_seconds"]
        return next_seconds

    def _line_of(self, integration_id: str) -> Line:
        line = self._lines.get(integration_id)
        if line is None:
            line = self._lines[integration_id] = Line(integration_id=integration_id)
            line.task = asyncio.create_task(self._work_off(line))
        return line

    async def _work_off(self, line: Line) -> None:
        """Start what a number has pending, as fast as its pace allows."""
        try:
            while line.pending and not self._stopping.is_set():
                seconds = await self._start_group(line)
                if seconds > 0:
                    await asyncio.sleep(min(seconds, IDLE_SECONDS))
        except AppError as error:
            # The database does not answer: what was claimed returns when its lease ends.
            log.error("send_queue.start_failed", integration_id=line.integration_id, error=error)
            line.pending.clear()
        finally:
            # Nothing is awaited between the last look at `pending` and this: no send can be added in between.
            if not self._stopping.is_set() or not line.pending:
                self._lines.pop(line.integration_id, None)

    async def _start_group(self, line: Line) -> float:
        # Room first: what the database calls started must leave at once.
        wanted = 0
        while wanted < min(line.group, len(line.pending)) and (wanted == 0 or not self._slots.locked()):
            await self._slots.acquire()
            wanted += 1
        try:
            group = [line.pending[position] for position in range(min(wanted, len(line.pending)))]
            named = [{"message_id": send["message_id"], "lease_token": send["lease_token"]} for send in group]
            answer = await self._resources.database.call_rpc(
                "start_sends", {"integration": line.integration_id, "sends": named, "wanted": wanted}
            )
        except BaseException:
            self._free(wanted)
            raise
        started = set(answer["started"])
        gone = started | set(answer["dropped"])
        for _ in group:
            line.pending.popleft()
        line.pending.extendleft(send for send in reversed(group) if send["message_id"] not in gone)
        permit = Permit(id=answer["permit"] or 0, open=len(started))
        for send in group:
            if send["message_id"] in started:
                task = asyncio.create_task(self._send(line, send, permit))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
        self._free(wanted - len(started))
        return float(answer["wait_seconds"] or 0.0)

    def _free(self, slots: int) -> None:
        for _ in range(slots):
            self._slots.release()

    async def _send(self, line: Line, send: Mapping[str, Any], permit: Permit) -> None:
        try:
            result = await self._sender.send(self._resources, send, may_repeat=False)
        except Exception as error:  # noqa: BLE001 - one message's fault must not stop the others
            log.error("send_queue.send_failed", message_id=send["message_id"], error=error)
            result = {
                "message_id": send["message_id"],
                "lease_token": send["lease_token"],
                "outcome": "uncertain",
            }
        finally:
            self._slots.release()
        if "call_seconds" in result:
            line.latencies.append(result["call_seconds"])
        permit.open -= 1
        permit.ended = max(permit.ended, result.pop("ended", time.perf_counter()))
        if permit.open == 0:
            shortest = LATENCY_SHARE * min(line.latencies, default=0.0)
            self._permits.append({"id": permit.id, "until": permit.ended + PERMIT_SECONDS - shortest})
        self.sent += result["outcome"] == "accepted"
        self._results.append(result)
        self._has_results.set()

    async def _write_results(self) -> None:
        while True:
            await self._has_results.wait()
            if len(self._results) < RESULTS_AT_ONCE and not self._stopping.is_set():
                await asyncio.sleep(RESULTS_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        results, self._results = self._results[:RESULTS_AT_ONCE], self._results[RESULTS_AT_ONCE:]
        permits, self._permits = self._permits, []
        if not self._results:
            self._has_results.clear()
        now = time.perf_counter()
        told = [{"id": each["id"], "seconds": max(0.0, each["until"] - now)} for each in permits]
        try:
            await finish_sends(self._resources, results, told)
        except DatabaseUnavailable:
            # What Meta has accepted is not forgotten while this process lives.
            self._results = results + self._results
            self._permits = permits + self._permits
            self._has_results.set()
            await asyncio.sleep(IDLE_SECONDS)

    async def _end(self, writer: asyncio.Task[None]) -> None:
        lines = list(self._lines.values())
        for line in lines:
            if line.task is not None:
                await asyncio.wait([line.task], timeout=LAST_SECONDS)
        if self._sending:
            await asyncio.wait(self._sending, timeout=LAST_SECONDS)
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        if self._results or self._permits:
            await self._flush()
        unstarted = [
            {"message_id": send["message_id"], "lease_token": send["lease_token"]}
            for line in lines
            for send in line.pending
        ]
        if unstarted:
            await self._resources.database.call_rpc("release_sends", {"sends": unstarted})
