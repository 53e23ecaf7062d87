"""Secrets at rest: AES-256-GCM under a ring of keys, bound to the row and the column they stand in. No I/O.

A ciphertext reads `v1.<key id>.<base64url of nonce and ciphertext>`. The associated data is
`<row id>:<column>`, so that one moved to another row, or to another column of its own, does not open.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.errors import AppError

VERSION = "v1"
KEY_BYTES = 32
# Random 96-bit nonces: one key may write 2**32 texts (NIST SP 800-38D, 8.3), more than any deployment will.
NONCE_BYTES = 12
KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
CIPHERTEXT = re.compile(r"v1\.(?P<key_id>[A-Za-z0-9_-]{1,32})\.(?P<payload>[A-Za-z0-9_-]+)")


class CannotDecrypt(Exception):
    """The text does not open here; the message says why and holds neither text nor key."""

    def to_refusal(self) -> AppError:
        """Turn it into what our own caller is told: nothing that they did, or can repair."""
        from shared.errors import Misconfigured

        return Misconfigured(problems={"ENCRYPTION_KEYS": "Stored credentials cannot be opened."})


class KeyRing:
    """Keys by their id: the first one writes, all of them read."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise ValueError("must hold at least one key.")
        self._keys = dict(keys)
        self.writing_id = next(iter(self._keys))

    @classmethod
    def from_setting(cls, text: str) -> KeyRing:
        """Read `id:base64,id2:base64`; raise ValueError with what is wrong, never with a key."""
        return cls(parse_keys(text))

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    def encrypt(self, plaintext: str, *, row_id: str, column: str) -> str:
        """Encrypt for one column of one row, with the newest key."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = AESGCM(self._keys[self.writing_id])
        sealed = nonce + cipher.encrypt(nonce, plaintext.encode(), _place(row_id, column))
        return f"{VERSION}.{self.writing_id}.{_to_text(sealed)}"

    def decrypt(self, ciphertext: str, *, row_id: str, column: str) -> str:
        """Open what was encrypted for this column of this row, whichever key of the ring wrote it."""
        match = CIPHERTEXT.fullmatch(ciphertext)
        if match is None:
            raise CannotDecrypt("This is no ciphertext of ours.")
        key = self._keys.get(match["key_id"])
        if key is None:
            raise CannotDecrypt(
                "It was written with a key that is not in ENCRYPTION_KEYS; put that key back."
            )
        try:
            sealed = _from_text(match["payload"])
            opened = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _place(row_id, column))
        except (InvalidTag, ValueError):
            raise CannotDecrypt(
                "It was changed, moved from another row or column, or its key changed."
            ) from None
        return opened.decode()

    def needs_rotation(self, ciphertext: str) -> bool:
        """Tell whether another key than the newest wrote this, or another version of us."""
        match = CIPHERTEXT.fullmatch(ciphertext)
        return match is None or match["key_id"] != self.writing_id

    def keyed_hash(self, value: str, *, purpose: str) -> str:
        """Hash a short value (a code, a number) so that the database alone cannot be searched for it.

        The purpose keeps equal values apart that mean different things. The hash changes with the newest key:
        compare with `is_keyed_hash`, which tries every key.
        """
        return self._hash_with(self._keys[self.writing_id], value, purpose)

    def is_keyed_hash(self, given: str, value: str, *, purpose: str) -> bool:
        """Compare in constant time with the hash under every key, so that rotation spoils no pending code."""
        matches = [
            hmac.compare_digest(self._hash_with(key, value, purpose).encode(), given.encode())
            for key in self._keys.values()
        ]
        return any(matches)

    def _hash_with(self, key: bytes, value: str, purpose: str) -> str:
        # A key of its own, so that the hash tells nothing about the key that encrypts.
        derived = hmac.new(key, b"keyed_hash", hashlib.sha256).digest()
        return hmac.new(derived, f"{purpose}:{value}".encode(), hashlib.sha256).hexdigest()


def parse_keys(text: str) -> dict[str, bytes]:
    """Read `id:base64,id2:base64` into keys by id, in order; raise ValueError with what is wrong."""
    keys: dict[str, bytes] = {}
    for position, part in enumerate(filter(None, (part.strip() for part in text.split(","))), start=1):
        key_id, colon, encoded = part.partition(":")
        which = f"key {position}"
        if not colon:
            raise ValueError(f"must look like id:base64, with a comma between keys; {which} has no colon.")
        if not KEY_ID.fullmatch(key_id):
            raise ValueError(f"has an id at {which} that is not 1 to 32 letters, digits, - or _.")
        if key_id in keys:
            raise ValueError(f"has the same id twice, at {which}: give each key its own.")
        keys[key_id] = _decode_key(encoded.strip(), which)
    if not keys:
        raise ValueError("must hold at least one key, as id:base64.")
    return keys


def parse_envelopes(text: str) -> dict[str, bytes]:
    """Read `id:base64,…` whose values are keys that a service encrypted; raise ValueError as `parse_keys`."""
    envelopes: dict[str, bytes] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key_id, _, encoded = part.partition(":")
        if not KEY_ID.fullmatch(key_id) or not encoded or key_id in envelopes:
            raise ValueError("must look like kms:id:base64, with a comma between keys, each id once.")
        try:
            envelopes[key_id] = base64.b64decode(_pad(encoded), validate=True)
        except binascii.Error:
            raise ValueError("has no base64 behind an id: copy what KMS encrypted.") from None
    if not envelopes:
        raise ValueError("must hold at least one key behind kms:")
    return envelopes


def _decode_key(encoded: str, which: str) -> bytes:
    try:
        key = base64.b64decode(_pad(encoded.replace("-", "+").replace("_", "/")), validate=True)
    except binascii.Error:
        raise ValueError(f"has no base64 at {which}: make one with `openssl rand -base64 32`.") from None
    if len(key) != KEY_BYTES:
        raise ValueError(f"has {len(key)} bytes at {which}, not 32: make one with `openssl rand -base64 32`.")
    return key


def _to_text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def _from_text(text: str) -> bytes:
    sealed = base64.b64decode(_pad(text), altchars=b"-_", validate=True)
    # Unused bits of the last character would let one ciphertext be written in several ways.
    if _to_text(sealed) != text:
        raise ValueError
    return sealed


def _pad(encoded: str) -> str:
    return encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4)


def _place(row_id: str, column: str) -> bytes:
    return f"{row_id}:{column}".encode()
