"""Identifiers that look like Meta's. No I/O."""

from __future__ import annotations

import base64
import hashlib
import random

_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_OUTGOING, _INCOMING = 0x11, 0x12
_LONGEST_OBJECT_ID = 15


class Ids:
    """A source of identifiers; the same seed gives the same ones."""

    def __init__(self, seed: int | None = None) -> None:
        # Not a secret anywhere: the tokens made here open nothing but a simulator.
        self._random = random.Random(seed)  # noqa: S311

    def object_id(self) -> str:
        """Return the id of a node: fifteen digits."""
        return str(self._random.randrange(10 ** (_LONGEST_OBJECT_ID - 1), 2 * 10 ** (_LONGEST_OBJECT_ID - 1)))

    def trace_id(self) -> str:
        """Return an fbtrace_id, which is the X-Fb-Request-Id too."""
        return "A" + base64.urlsafe_b64encode(self._random.randbytes(17)).decode()[:22]

    def short_trace_id(self) -> str:
        """Return an X-Fb-Trace-Id."""
        return base64.b64encode(self._random.randbytes(8)).decode()[:11]

    def mid(self) -> str:
        """Return an Error-Mid: 32 hexadecimal digits."""
        return self._random.randbytes(16).hex()

    def token(self) -> str:
        """Return an access token."""
        return "EAA" + self.letters(160)

    def letters(self, length: int) -> str:
        """Return letters and digits."""
        return "".join(self._random.choices(_BASE64, k=length))

    def qr_code(self) -> str:
        """Return the code of a wa.me link: fourteen characters of base32."""
        return "".join(self._random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=14))

    def digits(self, length: int) -> str:
        """Return digits, for instance a verification code."""
        return "".join(self._random.choices("0123456789", k=length))

    def secret(self) -> str:
        """Return an app secret: 32 hexadecimal digits."""
        return self._random.randbytes(16).hex()

    def outgoing_wamid(self, user: str) -> str:
        """Return the id of a message that a business sends."""
        return wamid(user, self._random.randbytes(9).hex().upper(), _OUTGOING)

    def incoming_wamid(self, user: str) -> str:
        """Return the id of a message that a customer sends."""
        return wamid(user, "3A" + self._random.randbytes(9).hex().upper(), _INCOMING)

    def uniform(self, highest: float) -> float:
        """Return a number between nought and the highest."""
        return self._random.uniform(0.0, highest)

    def shuffle(self, things: list[object]) -> None:
        """Bring a list into another order."""
        self._random.shuffle(things)


def wamid(user: str, key: str, direction: int) -> str:
    """Build a message id: the base64 text of a small Thrift struct that holds the user and a key."""
    user_bytes, key_bytes = user.encode()[:127], key.encode()
    struct = b"".join(
        (
            b"\x1c\x18",
            bytes((len(user_bytes),)),
            user_bytes,
            b"\x15\x02\x00",
            bytes((direction,)),
            b"\x18",
            bytes((len(key_bytes),)),
            key_bytes,
            b"\x00",
        )
    )
    return "wamid." + base64.b64encode(struct).decode()


def is_outgoing(message_id: str) -> bool | None:
    """Tell whether a message id was made for a message of a business; None if it is no message id."""
    if not message_id.startswith("wamid."):
        return None
    try:
        struct = base64.b64decode(message_id.removeprefix("wamid."), validate=True)
        return struct[struct[2] + 6] == _OUTGOING
    except (ValueError, IndexError):
        return None


def bsuid(country: str, business_id: str, person: str) -> str:
    """Return the business-scoped user id of a person: stable for one person and one portfolio."""
    digest = hashlib.sha256(f"{business_id}:{person}".encode()).digest()
    return f"{country}.{int.from_bytes(digest[:8], 'big') % 10**19:019d}"
