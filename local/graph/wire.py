"""JSON and signatures as Meta writes them. No I/O."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode


def to_answer(value: object) -> bytes:
    """Write an answer of Graph: compact, ASCII, with `/` and `@` escaped.

    The replaced characters stand only inside strings, so the text stays valid JSON.
    """
    return _encode(value).replace("/", "\\/").replace("@", "\\u0040").encode("ascii")


def to_webhook(value: object) -> bytes:
    """Write the body of a delivery: as an answer, and with `<` and `%` escaped as well."""
    text = _encode(value).replace("/", "\\/").replace("@", "\\u0040")
    return text.replace("<", "\\u003C").replace("%", "\\u0025").encode("ascii")


def from_text(raw: bytes) -> Any:
    """Read JSON; raises ValueError."""
    return json.loads(raw)


def signature(secret: str, body: bytes) -> str:
    """Return the value of X-Hub-Signature-256."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def legacy_signature(secret: str, body: bytes) -> str:
    """Return the value of X-Hub-Signature, which Meta still sends."""
    return "sha1=" + hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()


def appsecret_proof(secret: str, token: str) -> str:
    """Return the proof that a caller knows the secret of the token's app."""
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()


def etag(body: bytes) -> str:
    """Return the Etag of an answer to a GET."""
    return f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'


def without_empty(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is None or empty: Meta omits such fields instead of sending null."""
    return {name: field for name, field in value.items() if field is not None and field not in ("", [], {})}
