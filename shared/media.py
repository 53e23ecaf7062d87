"""Attachments: what may be believed of their bytes, and how they may be shown. No I/O.

Meta names a type, a size and a hash twice: in the webhook and in the media endpoint's answer. The bytes must
be what both say. The type is the sender's word: bytes that do not begin as theirs does, such as a table of
commas that Excel is to open, are kept, but never shown. A browser is given a type that cannot run anything,
whatever the sender called it.
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

# The largest that Meta delivers: a document.
LARGEST = 100 * 1024 * 1024
BUCKET = "whatsapp-media"
# As many bytes of the beginning as any signature below needs.
HEAD_BYTES = 512
MIME_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
HEX_HASH = re.compile(r"[0-9a-fA-F]{64}")

OCTETS = "application/octet-stream"
# What a browser may show where it stands: nothing here can hold a script that runs.
SHOWN_INLINE = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/webp",
        "image/gif",
        "audio/aac",
        "audio/amr",
        "audio/mpeg",
        "audio/mp4",
        "audio/ogg",
        "audio/opus",
        "video/mp4",
        "video/3gpp",
    }
)
# Harmless to name, but for the disk.
DOWNLOADED = frozenset(
    {
        "application/pdf",
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "application/zip",
        "text/plain",
    }
)


class MediaRefused(Exception):
    """The bytes are not what Meta said they are; `reason` is kept with the attachment."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def to_hex(sha256: object) -> str | None:
    """Read a hash as Meta writes it: base64 in a webhook, hex in the media endpoint's answer."""
    if not isinstance(sha256, str):
        return None
    if HEX_HASH.fullmatch(sha256):
        return sha256.lower()
    try:
        digest = base64.b64decode(sha256, validate=True)
    except binascii.Error:
        return None
    return digest.hex() if len(digest) == 32 else None  # noqa: PLR2004 - bytes of a SHA-256


def main_type(mime_type: object) -> str:
    """Return the type without its parameters, in small letters; empty for what is none."""
    if not isinstance(mime_type, str):
        return ""
    text = mime_type.partition(";")[0].strip().lower()
    return text if MIME_TYPE.fullmatch(text) else ""


def safe_type(mime_type: object) -> str:
    """Return the type to serve it as: its own where that is harmless."""
    text = main_type(mime_type)
    return text if text in SHOWN_INLINE or text in DOWNLOADED else OCTETS


def disposition(mime_type: object, filename: str | None, *, is_download: bool = False) -> str:
    """Write the Content-Disposition header; a name that only ASCII cannot hold goes into `filename*`."""
    shown = "inline" if main_type(mime_type) in SHOWN_INLINE and not is_download else "attachment"
    name = clean_filename(filename)
    if not name:
        return shown
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    return f"{shown}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def clean_filename(filename: str | None) -> str:
    """Return the last part of a name, without what could mean a path, a line break or a hidden file."""
    last = re.split(r"[/\\]", filename or "")[-1]
    kept = "".join(letter for letter in last if letter.isprintable() and letter not in '"<>|:*?')
    return kept.strip(" .")[:200]


def read_answer(
    answer: Mapping[str, object], *, mime_type: str | None, sha256: str | None
) -> tuple[int | None, str | None]:
    """Return the size and hash to expect; raise `MediaRefused` where Meta contradicts itself."""
    told_type, told_hash = main_type(answer.get("mime_type")), to_hex(answer.get("sha256"))
    if told_hash and sha256 and told_hash != sha256:
        raise MediaRefused("hash_mismatch")
    if told_type and main_type(mime_type) and told_type != main_type(mime_type):
        raise MediaRefused("type_mismatch")
    size = answer.get("file_size")
    # A number on the wire, a text in the documentation.
    told_size = int(size) if isinstance(size, int) or (isinstance(size, str) and size.isdecimal()) else None
    if told_size is not None and told_size > LARGEST:
        raise MediaRefused("too_large")
    return told_size, told_hash or sha256


def begins_as(mime_type: object, head: bytes) -> bool:
    """Tell whether bytes begin as their type does; of a type that we do not know anything may come."""
    rule = BEGINNINGS.get(main_type(mime_type))
    return rule is None or rule.match(head) is not None


_JPEG = rb"\xff\xd8\xff"
_MP4 = rb".{4}(ftyp|moov|mdat|free|skip|wide|pnot)"
_ZIP = rb"PK(\x03\x04|\x05\x06|\x07\x08)"
_OLE = rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OFFICE = rb"(" + _ZIP + rb"|" + _OLE + rb")"
BEGINNINGS = {
    name: re.compile(pattern, re.DOTALL)
    for name, pattern in {
        "image/jpeg": _JPEG,
        "image/png": rb"\x89PNG\r\n\x1a\n",
        "image/webp": rb"RIFF.{4}WEBP",
        "image/gif": rb"GIF8[79]a",
        "video/mp4": _MP4,
        "video/3gpp": _MP4,
        "audio/mp4": _MP4,
        "audio/aac": rb"(\xff[\xf0-\xff]|ID3|ADIF|" + _MP4 + rb")",
        "audio/mpeg": rb"(\xff[\xe0-\xff]|ID3)",
        "audio/amr": rb"#!AMR",
        "audio/ogg": rb"OggS",
        "audio/opus": rb"OggS",
        # Some writers put a few bytes before it.
        "application/pdf": rb".{0,500}?%PDF-",
        "application/msword": _OFFICE,
        "application/vnd.ms-excel": _OFFICE,
        "application/vnd.ms-powerpoint": _OFFICE,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": _OFFICE,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": _OFFICE,
        "application/vnd.openxmlformats-officedocument.presentationml.presentation": _OFFICE,
        "application/zip": _ZIP,
    }.items()
}


def read_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Read `Range: bytes=a-b` of one range into first and last byte; None: send the whole.

    Raise ValueError where no byte of it exists (HTTP 416).
    https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
    """
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (header or "").strip())
    if match is None or match[0] == "bytes=-":
        return None
    if not match[1]:
        length = int(match[2])
        if length == 0 or size == 0:
            raise ValueError("There is no such byte.")
        return max(0, size - length), size - 1
    first = int(match[1])
    last = min(int(match[2]), size - 1) if match[2] else size - 1
    if match[2] and int(match[2]) < first:
        return None
    if first >= size:
        raise ValueError("There is no such byte.")
    return first, last
