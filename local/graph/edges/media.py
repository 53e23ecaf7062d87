"""Media: upload, a URL that lives five minutes, the bytes, deletion. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph.calls import Answer
from local.graph.errors import GraphError, documented, required, unknown_object
from local.graph.graph import authenticate, edge, root
from local.graph.state import MESSAGING

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import Media, Number

_MB = 1024 * 1024

MIME_TYPES: dict[str, tuple[str, int]] = {
    "audio/aac": ("audio", 16 * _MB),
    "audio/amr": ("audio", 16 * _MB),
    "audio/mpeg": ("audio", 16 * _MB),
    "audio/mp4": ("audio", 16 * _MB),
    "audio/ogg": ("audio", 16 * _MB),
    "audio/opus": ("audio", 16 * _MB),
    "text/plain": ("document", 100 * _MB),
    "application/pdf": ("document", 100 * _MB),
    "application/msword": ("document", 100 * _MB),
    "application/vnd.ms-excel": ("document", 100 * _MB),
    "application/vnd.ms-powerpoint": ("document", 100 * _MB),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ("document", 100 * _MB),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ("document", 100 * _MB),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ("document", 100 * _MB),
    "image/jpeg": ("image", 5 * _MB),
    "image/png": ("image", 5 * _MB),
    "image/webp": ("sticker", 500 * 1024),
    "video/mp4": ("video", 16 * _MB),
    "video/3gpp": ("video", 16 * _MB),
}
"""MIME type → kind of message and the most bytes; `image/webp` is for stickers, animated ones the larger."""


@edge("number", "media", "POST", scope=MESSAGING, usage="whatsapp", is_counted=False)
def upload(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Keep a file for thirty days."""
    if call.get("messaging_product") != "whatsapp":
        raise required("messaging_product")
    file = call.files.get("file")
    if file is None:
        raise required("file")
    given = file.mime_type
    if _plain(given) not in MIME_TYPES:
        given = call.text("type") or given
    mime_type = _plain(given)
    if mime_type not in MIME_TYPES:
        raise GraphError(
            100,
            f"(#100) Param file must be a file with one of the following types: {', '.join(MIME_TYPES)}. "
            f"Received file of type '{mime_type}'.",
        )
    most = MIME_TYPES[mime_type][1]
    if not file.content:
        raise documented(131053, details="The file is empty.")
    if len(file.content) > most:
        raise documented(
            131053,
            details=f"File size {len(file.content)} exceeds the limit of {most} bytes for type {mime_type}.",
        )
    media = simulator.add_media(number, file.content, given, file.name, simulator.settings.media_lifetime)
    return {"id": media.id}


def _plain(mime_type: str) -> str:
    """Return a MIME type without its parameters."""
    return mime_type.partition(";")[0].strip().lower()


@edge("media", "node", "GET", scope=MESSAGING, usage="whatsapp", is_counted=False)
def get_media(simulator: Simulator, call: Call, media: Media) -> dict[str, Any]:
    """Describe a file and give a URL to it; sha256 is hexadecimal here, base64 in webhooks."""
    number_id = call.text("phone_number_id")
    if media.lives_until <= simulator.clock.now() or (number_id and number_id != media.number_id):
        raise unknown_object("GET", media.id)
    return {
        "url": simulator.media_url(media),
        "mime_type": media.mime_type,
        "sha256": media.sha256,
        "file_size": len(media.content),
        "id": media.id,
        "messaging_product": "whatsapp",
    }


@edge("media", "node", "DELETE", scope=MESSAGING, usage="whatsapp", is_counted=False)
def delete_media(simulator: Simulator, _call: Call, media: Media) -> dict[str, Any]:
    """Delete a file."""
    del simulator.state.media[media.id]
    simulator.changed()
    return {"success": True}


@root("whatsapp_business/attachments", "GET")
def download(simulator: Simulator, call: Call, _node: None) -> Answer:
    """Give the bytes: with the token of their owner, while the URL lives; otherwise 404 without a body."""
    token = authenticate(simulator, call)
    media = simulator.state.media.get(str(call.query.get("mid")))
    expires = str(call.query.get("ext", "0"))
    if (
        media is None
        or not token.opens(media.waba_id)
        or not expires.isdigit()
        or int(expires) <= simulator.clock.now()
        or call.query.get("hash") != simulator.media_hash(media, int(expires))
    ):
        return Answer(status=404, headers=[(b"content-type", b"text/html; charset=utf-8")])
    filename = (media.filename or f"whatsapp.{_plain(media.mime_type).split('/')[1]}").replace('"', "")
    return Answer(
        content=media.content,
        headers=[
            (b"content-type", media.mime_type.encode()),
            (b"cache-control", b"private, no-cache, no-store, must-revalidate"),
            (b"etag", str(int(media.sha256[:15], 16)).encode()),
            (b"content-disposition", b"inline;filename=" + filename.encode("ascii", "replace")),
        ],
    )
