"""What is told to an organization's own endpoint, and how it is signed: Standard Webhooks. No I/O.

The receiver proves `webhook-signature` over `id.timestamp.body` and refuses old timestamps; the id stays the
same however often the same thing is told, so that a repetition can be known.
https://www.standardwebhooks.com
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "whsec_"
KEY_BYTES = 32
SHORTEST_KEY, LONGEST_KEY = 24, 64
# Seconds before each attempt after the first: three days in all, as Svix spreads them.
# https://docs.svix.com/retries
PAUSES = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 72_000)
MOST_ATTEMPTS = len(PAUSES) + 1
GONE = 410
SECONDS = 15.0


class NotASecret(ValueError):
    """The text is no signing secret."""


def new_secret() -> str:
    """Make a signing secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def read_secret(text: str) -> bytes:
    """Return the key that a secret stands for; raise `NotASecret`."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise NotASecret("This is no base64.") from None
    if not text.startswith(PREFIX) or not SHORTEST_KEY <= len(key) <= LONGEST_KEY:
        raise NotASecret("A secret is whsec_ and the base64 of 24 to 64 bytes.")
    return key


def sign(message_id: str, timestamp: int, body: bytes, signing_secrets: Sequence[str]) -> dict[str, str]:
    """Return the three headers; with two secrets, while they are rotated, either proves it."""
    if "." in message_id:
        raise ValueError("The id must hold no full stop: it separates what is signed.")
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        base64.b64encode(hmac.new(read_secret(secret), signed, hashlib.sha256).digest()).decode()
        for secret in signing_secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def to_body(kind: str, occurred_at: str, content: Mapping[str, Any]) -> bytes:
    """Write an event as it travels."""
    event = {"type": kind, "timestamp": occurred_at, "data": content}
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def pause_after(attempts: int) -> float | None:
    """Return the seconds before the next attempt, None after the last."""
    return float(PAUSES[attempts - 1]) if 1 <= attempts <= len(PAUSES) else None


def is_taken(status: int) -> bool:
    """Tell whether an answer means that the event was taken; a redirect is none."""
    return 200 <= status < 300  # noqa: PLR2004 - HTTP's class of success
