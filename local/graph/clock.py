"""The simulator's time: it can be moved, and what is planned follows it. No I/O."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime

Action = Callable[[], None]


class Clock:
    """Seconds since the epoch, as the simulated Meta sees them."""

    def __init__(self, start: float | None = None, speed: float = 1.0) -> None:
        self.speed = speed
        self._real = time.monotonic()
        self._shown = time.time() if start is None else start

    def now(self) -> float:
        """Return the simulated time."""
        return self._shown + (time.monotonic() - self._real) * self.speed

    def move(self, *, to: float | None = None, by: float = 0.0, speed: float | None = None) -> None:
        """Set the time, shift it, or change how fast it runs."""
        shown = (self.now() if to is None else to) + by
        self._real, self._shown = time.monotonic(), shown
        if speed is not None:
            self.speed = speed

    def until(self, moment: float) -> float:
        """Return the real seconds until a simulated moment (infinite while the clock stands still)."""
        distance = moment - self.now()
        if distance <= 0:
            return 0.0
        return distance / self.speed if self.speed > 0 else float("inf")

    def isoformat(self) -> str:
        """Return the simulated time as ISO 8601 in UTC."""
        return datetime.fromtimestamp(self.now(), UTC).isoformat(timespec="milliseconds")


class Agenda:
    """What is planned, in the order of the simulated time.

    One timer of the event loop serves all plans: a thousand planned statuses cost a heap and no tasks.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._plans: list[tuple[float, int, Action]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._plans)

    def plan(self, delay: float, action: Action) -> None:
        """Do something after a delay in simulated seconds."""
        due = self._clock.now() + delay
        heapq.heappush(self._plans, (due, next(self._order), action))
        if self._timer is None or self._plans[0][0] == due:
            self.wind()

    def wind(self) -> None:
        """Set the timer anew: after a plan, and after the clock was moved."""
        self.stop()
        if not self._plans:
            return
        wait = self._clock.until(self._plans[0][0])
        if wait != float("inf"):
            self._timer = asyncio.get_running_loop().call_later(wait, self._run_due)

    def next_due(self) -> float | None:
        """Return the real seconds until the next plan, or None if there is none."""
        return self._clock.until(self._plans[0][0]) if self._plans else None

    def stop(self) -> None:
        """Take back the timer; the plans stay."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def clear(self) -> None:
        """Forget every plan."""
        self.stop()
        self._plans.clear()

    def _run_due(self) -> None:
        self._timer = None
        now = self._clock.now()
        while self._plans and self._plans[0][0] <= now:
            heapq.heappop(self._plans)[2]()
        self.wind()
