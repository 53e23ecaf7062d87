"""Graph's versions: which are alive, and as what a call is served. No I/O.

https://developers.facebook.com/docs/graph-api/changelog/versions
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

PATTERN = re.compile(r"v(\d+)\.(\d+)\Z")

_ENDS = {
    # The two oldest as the Marketing API ended them: it is what the recorded warnings speak of.
    "v19.0": datetime(2025, 2, 4, tzinfo=UTC),
    "v20.0": datetime(2025, 5, 6, tzinfo=UTC),
    "v21.0": datetime(2027, 1, 21, tzinfo=UTC),
    "v22.0": datetime(2027, 5, 20, tzinfo=UTC),
    "v23.0": datetime(2027, 10, 8, tzinfo=UTC),
    "v24.0": datetime(2028, 2, 18, tzinfo=UTC),
    "v25.0": datetime(2028, 7, 29, tzinfo=UTC),
}


def number_of(version: str) -> int:
    """Return the major number of a version."""
    return int(version[1:].split(".", maxsplit=1)[0])


def oldest(now: float, newest: str) -> str:
    """Return the oldest version that is alive."""
    for version, end in _ENDS.items():
        if now < end.timestamp():
            return version
    return newest


def has_ended(version: str, now: float) -> bool:
    """Tell whether a version is past its end."""
    end = _ENDS.get(version)
    return number_of(version) < number_of("v19.0") or (end is not None and now >= end.timestamp())


def serve(asked: str | None, *, now: float, oldest_alive: str, newest: str) -> tuple[str, str | None]:
    """Return the version that serves a call, and the warning if it is not the one asked for."""
    if asked is None:
        return oldest_alive, None
    if number_of(asked) >= number_of(oldest_alive):
        return (asked if number_of(asked) <= number_of(newest) else newest), None
    tense = "has been deprecated" if has_ended(asked, now) else "will be deprecated"
    return oldest_alive, f"The call has been auto-upgraded to {oldest_alive} as {asked} {tense}."
