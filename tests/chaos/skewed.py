"""A program whose clock is wrong: `python -m tests.chaos.skewed SECONDS MODULE [ARGUMENT …]`.

Python's clock is set before the program is imported; the database's and Meta's stay right. Nothing in the
product knows of this.
"""

from __future__ import annotations

import datetime as dt
import runpy
import sys
import time
from datetime import datetime
from typing import Any, Self


def skew(seconds: float) -> None:
    """Let this process believe that it is later by so many seconds, or earlier."""
    genuine, genuine_ns = time.time, time.time_ns

    class AnyDatetime(type):
        def __instancecheck__(cls, instance: object) -> bool:
            return isinstance(instance, datetime)

    class Skewed(datetime, metaclass=AnyDatetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Self:
            return cls.fromtimestamp(genuine() + seconds, tz)

    def later() -> float:
        return genuine() + seconds

    def later_ns() -> int:
        return genuine_ns() + int(seconds * 1e9)

    changed: Any = time
    changed.time, changed.time_ns = later, later_ns
    changed = dt
    changed.datetime = Skewed


def main() -> None:
    """Set the clock, then become the program."""
    seconds, module = float(sys.argv[1]), sys.argv[2]
    sys.argv = [module, *sys.argv[3:]]
    skew(seconds)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
