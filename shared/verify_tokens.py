"""The token that Meta must bring to the handshake of an organization's own webhook. No I/O."""

from __future__ import annotations

import secrets

BYTES = 24


def make_verify_token() -> str:
    """Make one that can be copied with a double click: letters, digits and underscores only."""
    return f"wh_{secrets.token_hex(BYTES)}"
