"""Lays certifi's roots out one by one, under the names by which OpenSSL looks for them.

A process that loads all of them pays 15 ms for it at each cold start, to use one or two. From a folder of
this form OpenSSL reads the one that it needs, when it needs it; who is trusted stays the same.
https://docs.openssl.org/3.0/man1/openssl-rehash/
"""

from __future__ import annotations

import hashlib
import re
import warnings
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from shared.connections import ROOTS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEQUENCE, SET, OID, UTF8_STRING = 0x30, 0x31, 0x06, 0x0C
SHORT_LENGTH = 0x80


def lay_out(certifi: Path) -> None:
    """Write the folder beside certifi's bundle."""
    with warnings.catch_warnings():
        # An old root has a serial number that is no longer allowed; browsers trust it all the same.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        roots = x509.load_pem_x509_certificates((certifi / "cacert.pem").read_bytes())
    write(roots, certifi / ROOTS_FOLDER)


def write(roots: list[x509.Certificate], folder: Path) -> None:
    """Write each root into a file of its own; those whose names hash alike are numbered."""
    folder.mkdir()
    for root in roots:
        name = hash_name(root.subject)
        number = len(list(folder.glob(f"{name}.*")))
        (folder / f"{name}.{number}").write_bytes(root.public_bytes(Encoding.PEM))


def hash_name(name: x509.Name) -> str:
    """Return OpenSSL's hash of a name: of its canonical form, in which case and spaces make no difference."""
    canonical = b"".join(
        _encode(SET, b"".join(sorted(_encode_attribute(attribute) for attribute in part)))
        for part in name.rdns
    )
    digest = hashlib.sha1(canonical, usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def _encode_attribute(attribute: x509.NameAttribute[str | bytes]) -> bytes:
    text = attribute.value if isinstance(attribute.value, str) else attribute.value.decode()
    words = re.sub(r"[ \t\n\v\f\r]+", " ", text).strip(" ")
    lower = "".join(letter.lower() if letter.isascii() else letter for letter in words)
    oid = bytes(_encode_oid(attribute.oid.dotted_string))
    return _encode(SEQUENCE, _encode(OID, oid) + _encode(UTF8_STRING, lower.encode()))


def _encode_oid(dotted: str) -> Iterator[int]:
    first, second, *others = map(int, dotted.split("."))
    for number in (first * 40 + second, *others):
        groups = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
        yield from (group | 0x80 for group in groups[:0:-1])
        yield groups[0]


def _encode(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < SHORT_LENGTH:
        return bytes((tag, size)) + content
    long = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, SHORT_LENGTH | len(long))) + long + content
