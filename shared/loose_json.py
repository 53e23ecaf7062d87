"""Read JSON that a stranger wrote, and reach into it without fear. No I/O.

Whatever comes out can be stored by Postgres as `jsonb` and written by `json.dumps(…, allow_nan=False)`:
no U+0000, no lone surrogates, no NaN, no number that a double or a bigint cannot hold, no deep nesting.
What had to be changed is kept as text, never dropped.
"""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime

MAX_DEPTH = 64
"""Meta's deepest payloads nest about 20 levels; more than this is kept as text."""

_MAX_INTEGER_CHARACTERS = 18
_MAX_FLOAT_CHARACTERS = 32
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPES_THAT_NEED_A_LOOK = re.compile(r"\x00|\\u(?:0000|[dD][89a-fA-F])")
# Possessive, so that a string of megabytes costs no backtracking memory.
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]', re.DOTALL)

_EARLIEST = datetime(2009, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
# From this many on, a count of seconds would be in the year 5138: it is one of the finer units.
_MILLISECONDS, _MICROSECONDS, _NANOSECONDS = 1e11, 1e14, 1e17


class UnreadableError(ValueError):
    """The bytes are no JSON; `reason` says in one snake_case word why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read_json(body: bytes) -> object:
    """Return the value that `body` holds, made storable; raise `UnreadableError` when there is none."""
    text = body.decode("utf-8-sig", errors="replace")
    try:
        value = _parse(text)
    except RecursionError:
        value = _parse_flattened(text)
    except ValueError as error:
        raise UnreadableError("not_json") from error
    if is_deeper_than(value, MAX_DEPTH):
        value = _parse_flattened(text)
    return storable(value) if _ESCAPES_THAT_NEED_A_LOOK.search(text) else value


def _parse(text: str) -> object:
    return _DECODER.decode(text)


def _parse_flattened(text: str) -> object:
    try:
        return _parse(flatten(text, MAX_DEPTH))
    except (RecursionError, ValueError) as error:
        raise UnreadableError("too_deep") from error


def flatten(text: str, depth: int) -> str:
    """Return the JSON text with every value below `depth` levels turned into a string of its own text."""
    level, kept_until, cut_from = 0, 0, 0
    kept: list[str] = []
    for token in _STRING_OR_BRACKET.finditer(text):
        character = text[token.start()]
        if character in "[{":
            level += 1
            if level == depth + 1:
                cut_from = token.start()
        elif character in "]}":
            if level == depth + 1:
                kept += (text[kept_until:cut_from], json.dumps(text[cut_from : token.end()]))
                kept_until = token.end()
            level -= 1
    kept.append(text[kept_until:])
    return "".join(kept)


def is_deeper_than(value: object, depth: int) -> bool:
    """Tell whether lists and objects nest more than `depth` levels, without recursion."""
    level = [value]
    for _ in range(depth):
        level = [
            child
            for node in level
            if isinstance(node, (dict, list))
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def storable(value: object) -> object:
    """Return `value` with U+FFFD for what Postgres refuses in a string: U+0000 and lone surrogates."""
    if isinstance(value, str):
        return value if value.isascii() and "\x00" not in value else _UNSTORABLE.sub("�", value)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value


def _integer(text: str) -> object:
    return int(text) if len(text) <= _MAX_INTEGER_CHARACTERS else text


def _float(text: str) -> object:
    if len(text) > _MAX_FLOAT_CHARACTERS:
        return text
    number = float(text)
    return number if math.isfinite(number) else text


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    unique = dict(pairs)
    return unique if len(unique) == len(pairs) else _joined(pairs)


def _joined(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build an object whose names come twice: lists are joined, earlier values kept beside the last."""
    values: dict[str, list[object]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    joined: dict[str, object] = {}
    for name, told in values.items():
        lists = [value for value in told if isinstance(value, list)]
        if len(lists) == len(told):
            joined[name] = [element for value in lists for element in value]
            continue
        joined[name] = told[-1]
        earlier = [value for value in told[:-1] if value != told[-1]]
        if earlier:
            joined[_free_name(name, values)] = earlier
    return joined


def _free_name(name: str, taken: dict[str, list[object]]) -> str:
    while name in taken:
        name += "#"
    return name


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_float,
    parse_constant=str,
    strict=False,
)


def mapping_of(value: object) -> dict[str, object]:
    """Return `value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[object]:
    """Return `value` if it is a list; one object where a list was due counts as a list of one."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def text_of(value: object) -> str | None:
    """Return the text of a string or of a whole number that should have been one; blank is None."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int) else None


def integer_of(value: object) -> int | None:
    """Return a whole number, also one written as a string, else None."""
    text = text_of(value)
    if text is None or len(text) > _MAX_INTEGER_CHARACTERS or not text.isascii():
        return None
    return int(text) if text.removeprefix("-").isdigit() else None


def moment_of(value: object, *, latest: float | None = None) -> str | None:
    """Return ISO 8601 UTC for a count of seconds (or ms, µs, ns) since 1970; None for junk."""
    seconds = _seconds(value)
    if seconds is None or not _EARLIEST <= seconds <= (_LATEST if latest is None else latest):
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if number < _MILLISECONDS:
        return number
    if number < _MICROSECONDS:
        return number / 1e3
    return number / 1e6 if number < _NANOSECONDS else number / 1e9
