"""One call to Graph, read from the wire; and the answer to it. No I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from local.graph.errors import GraphError, required

_FORM = "application/x-www-form-urlencoded"


@dataclass(kw_only=True, slots=True)
class File:
    """A file of a multipart body."""

    name: str | None
    mime_type: str
    content: bytes


@dataclass(kw_only=True, slots=True)
class Call:
    """What a caller asks."""

    method: str
    path: str
    version: str | None
    segments: list[str]
    query: dict[str, Any]
    headers: dict[str, str]
    raw: bytes
    body: dict[str, Any] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    edge: str = "node"
    object_id: str = ""
    token: Any = None
    waba_id: str | None = None
    """The WABA that the usage header speaks of."""
    usage: str = "whatsapp_business_management"
    served_version: str = ""
    fails: tuple[int, str | None] | None = None
    """A fault's code and details: the call is accepted, and fails by a status later."""

    def get(self, name: str, default: Any = None) -> Any:
        """Return a parameter from the body or the query."""
        if name in self.body:
            return self.body[name]
        return self.query.get(name, default)

    def text(self, name: str) -> str | None:
        """Return a parameter as text, or None if it is missing or empty."""
        value = self.get(name)
        return None if value is None or value == "" else str(value)

    def need(self, name: str) -> str:
        """Return a parameter as text; raises the error of a management edge if it is missing."""
        value = self.text(name)
        if value is None:
            raise required(name)
        return value

    def fields(self) -> list[str] | None:
        """Return the fields that were asked for, in order, or None."""
        asked = self.query.get("fields")
        if isinstance(asked, list):
            return [str(name) for name in asked]
        return split_fields(str(asked)) if asked else None


@dataclass(kw_only=True, slots=True)
class Answer:
    """An answer that is not a plain JSON object."""

    status: int = 200
    content: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


def split_fields(asked: str) -> list[str]:
    """Split a `fields` parameter at its commas; what stands in braces or brackets is dropped."""
    names: list[str] = []
    depth, current = 0, ""
    for character in asked:
        if character in "{(":
            depth += 1
        elif character in "})":
            depth -= 1
        elif character == "," and depth == 0:
            names.append(current)
            current = ""
            continue
        if depth == 0 and character not in "})":
            current += character
    names.append(current)
    cleaned = [name.split(".")[0].strip() for name in names]
    return list(dict.fromkeys(name for name in cleaned if name))


def read_query(query: bytes) -> dict[str, Any]:
    """Read a query string."""
    if not query:
        return {}
    return _gather(parse_qsl(query.decode("latin-1"), keep_blank_values=True))


def read_body(content_type: str, raw: bytes) -> dict[str, Any]:
    """Read a JSON or form body; a body that is neither is an empty one, as Graph takes it."""
    if not raw:
        return {}
    if content_type.startswith(_FORM) and raw[:1] != b"{":
        return _gather(parse_qsl(raw.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        body = json.loads(raw)
    except ValueError:
        if not content_type.startswith("application/json"):
            return {}
        raise GraphError(100, "(#100) The parameter messaging_product is required.") from None
    return body if isinstance(body, dict) else {}


def _gather(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    gathered: dict[str, Any] = {}
    for name, value in pairs:
        if name.endswith("[]"):
            gathered.setdefault(name[:-2], []).append(value)
        elif name.endswith("]") and "[" in name:
            outer, inner = name[:-1].split("[", 1)
            _nest(gathered, outer, inner, value)
        else:
            gathered[name] = _maybe_json(value)
    return gathered


def _nest(gathered: dict[str, Any], outer: str, inner: str, value: str) -> None:
    if inner.isdigit():
        kept = gathered.setdefault(outer, [])
        if isinstance(kept, list):
            kept.append(value)
    else:
        kept = gathered.setdefault(outer, {})
        if isinstance(kept, dict):
            kept[inner] = value


def _maybe_json(value: str) -> Any:
    if value[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
