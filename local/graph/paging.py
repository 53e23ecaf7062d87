"""Lists in pages with cursors. No I/O."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from local.graph.errors import GraphError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.graph.calls import Call

Thing = TypeVar("Thing")
_DEFAULT_LIMIT, _HIGHEST_LIMIT = 25, 5000


def page(
    call: Call, things: Sequence[Thing], show: Callable[[Thing], dict[str, Any]], base_url: str
) -> dict[str, Any]:
    """Return one page of a list, with the cursors around it; an empty list has no paging."""
    limit = _limit(call)
    start, end = _bounds(call, len(things), limit)
    shown = [show(thing) for thing in things[start:end]]
    if not shown:
        return {"data": []}
    paging: dict[str, Any] = {"cursors": {"before": _cursor(start), "after": _cursor(end - 1)}}
    if end < len(things):
        paging["next"] = _link(call, base_url, limit, "after", _cursor(end - 1))
    if start > 0:
        paging["previous"] = _link(call, base_url, limit, "before", _cursor(start))
    return {"data": shown, "paging": paging}


def _limit(call: Call) -> int:
    try:
        limit = int(call.query.get("limit", _DEFAULT_LIMIT))
    except (TypeError, ValueError):
        raise GraphError(100, "(#100) Param limit must be an integer") from None
    return min(limit, _HIGHEST_LIMIT) if limit > 0 else _DEFAULT_LIMIT


def _bounds(call: Call, length: int, limit: int) -> tuple[int, int]:
    after, before = call.query.get("after"), call.query.get("before")
    if after:
        start = _position(str(after)) + 1
    elif before:
        start = max(0, _position(str(before)) - limit)
    else:
        start = 0
    return start, min(length, start + limit)


def _cursor(position: int) -> str:
    text = base64.urlsafe_b64encode(f"item:{position}".encode()).decode().rstrip("=")
    return f"QVFI{text}ZD"


def _position(cursor: str) -> int:
    try:
        text = cursor.removeprefix("QVFI").removesuffix("ZD")
        return int(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().removeprefix("item:"))
    except ValueError:
        raise GraphError(100, "(#100) Invalid cursors values") from None


def _link(call: Call, base_url: str, limit: int, direction: str, cursor: str) -> str:
    kept = {
        name: value
        for name, value in call.query.items()
        if name not in ("after", "before", "limit", "_raw", "access_token") and isinstance(value, str)
    }
    return f"{base_url}{call.path}?{urlencode({**kept, 'limit': limit, direction: cursor})}"
