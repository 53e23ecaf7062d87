"""Sends what is queued, each number at its own pace, many at once; an edge: everything here is I/O.

Any number of these run at once, on any machines: they share the queue and the pace through the database.
A message is started there before Meta is called, so that a killed worker leaves it `uncertain` and never sent
twice; what was only claimed returns when its lease ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
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
RESULTS_SECONDS = 0.1
IDLE_SECONDS = 1.0
BUSY_SECONDS = 0.3
# A number's sends are started in groups of a tenth of a second's worth, so long before they may leave.
GROUPS_PER_SECOND = 10
AHEAD_SECONDS = 0.25
# Workers that share a number come again at different moments, and rather rarely: each finds a few to start.
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 0.15
SAMPLES = 200
# The way to Meta and back is never shorter than the shortest seen: so much earlier a message has arrived.
# Seen from here, so less a share, and less the time that a busy process may be late to look.
LATENCY_SHARE = 0.8
LATENCY_MARGIN = 0.05
LAST_SECONDS = 30.0


@dataclass(kw_only=True)
class Line:
    """What waits in this process for one number."""

    integration_id: str
    pending: deque[dict[str, Any]] = field(default_factory=deque)
    task: asyncio.Task[None] | None = None

    @property
    def group(self) -> int:
        """How many are started together."""
        per_second: int = self.pending[0]["per_second"] if self.pending else 1
        return max(1, min(per_second // GROUPS_PER_SECOND, MOST_IN_FLIGHT))

    @property
    def has_enough(self) -> bool:
        """Tell whether it is too early to claim more: what one worker holds, no other can send."""
        return len(self.pending) > 4 * self.group


class DatabaseClock:
    """What the database's clock shows while ours shows something else, learned from calls to it.

    A time that the database tells lies between a call's beginning and its end; many calls leave little doubt.
    """

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=SAMPLES)
        self._earliest: deque[float] = deque(maxlen=SAMPLES)

    def learn(self, told: float, began: float, ended: float) -> None:
        """Take in what the database told in a call, with our times around it."""
        self._latest.append(told - began)
        self._earliest.append(told - ended)

    def not_before(self, ours: float) -> float:
        """Return a time of the database's that is certainly not before this one of ours."""
        return ours + min(self._latest, default=0.0)

    def ours_not_before(self, told: float) -> float:
        """Return a time of ours that is certainly not before this one of the database's."""
        return told - max(self._earliest, default=0.0)


class SendQueue:
    """Works on the queue until there is nothing to do, or until it is told to stop."""

    def __init__(self, resources: Resources, sender: Sender) -> None:
        self._resources = resources
        self._sender = sender
        self._lines: dict[str, Line] = {}
        self._clock = DatabaseClock()
        self._is_over = False
        self._shortest = PERMIT_SECONDS
        self._calls = 0
        self._lateness: deque[float] = deque(maxlen=SAMPLES)
        self._results: list[dict[str, Any]] = []
        self._permits: list[dict[str, Any]] = []
        self._has_results = asyncio.Event()
        # Set when outcomes were written, or it is time to stop: an earlier message no longer holds up others.
        self._has_news = asyncio.Event()
        self._is_held_up = False
        self._slots = asyncio.Semaphore(MOST_IN_FLIGHT)
        self._sending: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self.sent = 0

    def stop(self) -> None:
        """Start nothing more; `run` returns when what is on its way has arrived."""
        self._stopping.set()
        self._has_news.set()

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
        awaited = self._has_news if self._is_held_up else self._stopping
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(awaited.wait(), seconds)

    async def _claim(self) -> float | None:
        claimed = sum(len(line.pending) for line in self._lines.values())
        if claimed >= MOST_CLAIMED:
            return None
        self._has_news.clear()
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
        self._is_held_up = answer["is_held_up"]
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
        """Start what may leave soon; return after how long it is worth to come again."""
        # Room first: what the database calls started must leave.
        wanted = 0
        while wanted < min(line.group, len(line.pending)) and (wanted == 0 or not self._slots.locked()):
            await self._slots.acquire()
            wanted += 1
        group = list(islice(line.pending, wanted))
        try:
            began = time.perf_counter()
            answer = await self._resources.database.call_rpc(
                "start_sends",
                {
                    "integration": line.integration_id,
                    "sends": [_lease_of(send) for send in group],
                    "wait_seconds": AHEAD_SECONDS,
                },
            )
        except BaseException:
            self._free(wanted)
            raise
        self._clock.learn(answer["clock"], began, time.perf_counter())
        # A message whose lease had ended may have been claimed once more, by this very worker.
        started = {_claim_of(each): each for each in answer["started"]}
        kept = {_claim_of(each) for each in answer["kept"]}
        for _ in group:
            line.pending.popleft()
        line.pending.extendleft(send for send in reversed(group) if _claim_of(send) in kept)
        for send in group:
            start = started.pop(_claim_of(send), None)
            if start is not None:
                task = asyncio.create_task(self._send(send, start))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
        self._free(wanted - len(answer["started"]))
        if not kept or answer["ask_at"] is None:
            return 0.0
        pause = self._clock.ours_not_before(answer["ask_at"]) - time.perf_counter()
        return max(pause, random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))  # noqa: S311 - no secret

    def _free(self, slots: int) -> None:
        for _ in range(slots):
            self._slots.release()

    async def _send(self, send: Mapping[str, Any], start: Mapping[str, Any]) -> None:
        try:
            may_leave = self._clock.ours_not_before(start["starts_at"])
            if may_leave > time.perf_counter():
                await asyncio.sleep(may_leave - time.perf_counter())
                self._lateness.append(time.perf_counter() - may_leave)
            result = await self._sender.send(self._resources, send, may_repeat=False)
        except Exception as error:  # noqa: BLE001 - one message's fault must not stop the others
            log.error("send_queue.send_failed", message_id=send["message_id"], error=error)
            result = {**_lease_of(send), "outcome": "uncertain"}
        finally:
            self._slots.release()
        ended = self._clock.not_before(result.pop("ended", time.perf_counter()))
        self._calls += 1
        self._shortest = min(self._shortest, result.pop("call_seconds", PERMIT_SECONDS))
        self._permits.append({"id": start["permit"], "until": ended - self._surely() + PERMIT_SECONDS})
        self.sent += result["outcome"] == "accepted"
        self._results.append(result)
        self._has_results.set()

    def _surely(self) -> float:
        """Return how long before its answer a message has arrived at least."""
        if self._calls <= SAMPLES or not self._lateness:
            return 0.0
        return max(0.0, LATENCY_SHARE * self._shortest - LATENCY_MARGIN - max(self._lateness))

    async def _write_results(self) -> None:
        while not self._is_over or self._results or self._permits:
            await self._has_results.wait()
            if len(self._results) < RESULTS_AT_ONCE and not self._stopping.is_set():
                await asyncio.sleep(RESULTS_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        results, self._results = self._results[:RESULTS_AT_ONCE], self._results[RESULTS_AT_ONCE:]
        permits, self._permits = self._permits, []
        if not self._results:
            self._has_results.clear()
        try:
            await finish_sends(self._resources, results, permits)
            self._has_news.set()
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
        self._is_over = True
        self._has_results.set()
        # What was accepted is written, unless the database stays away for longer than we may.
        await asyncio.wait([writer], timeout=LAST_SECONDS)
        writer.cancel()
        unstarted = [_lease_of(send) for line in lines for send in line.pending]
        if unstarted:
            await self._resources.database.call_rpc("release_sends", {"sends": unstarted})


def _claim_of(send: Mapping[str, Any]) -> tuple[str, int]:
    return send["message_id"], send["lease_token"]


def _lease_of(send: Mapping[str, Any]) -> dict[str, Any]:
    return {"message_id": send["message_id"], "lease_token": send["lease_token"]}
