"""The bytes of an attachment, for members of its organization alone. An edge.

GET /media/{message_id}          the bytes, whole or a range of them, under a type that runs nothing
GET /media/{message_id}?as=url   a short-lived address of them, for what a page shows without a token
                                 (`&download=true`: as a file to be saved)

Where a platform bounds an answer, a larger file is answered part by part to whoever asks for ranges, and by a
redirect to that short-lived address to everybody else.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse

from shared.errors import InvalidQuery, MediaNotStored, MediaPending, MessageNotFound
from shared.media import disposition, read_range, safe_type
from shared.media_store import open_media_store
from shared.web import bearer_token, resources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

COLUMNS = ("organization_id", "mime_type", "sha256", "filename", "state", "byte_count")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LINK_SECONDS = 300
PENDING_SECONDS = 2
# Lambda answers 6 MB at most, base64 included; Vercel 4.5 MB.
BOUNDED_BY = ("AWS_LAMBDA_FUNCTION_NAME", "VERCEL")
MOST_AT_ONCE = 4_000_000
PARTIAL, NOT_MODIFIED, NOT_SATISFIABLE = 206, 304, 416
HEADERS = {
    # Its content never changes under this address, but who may see it does.
    "Cache-Control": "private, max-age=300",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Accept-Ranges": "bytes",
}


async def serve_media(request: Request) -> Response:
    """Prove with the caller's own token that they may see it, then hand it out."""
    media = await _load_media(request)
    if request.query_params.get("as", "bytes") not in {"bytes", "url"}:
        raise InvalidQuery(details=[{"field": "as", "rule": "enum", "message": "It can be bytes or url."}])
    if request.query_params.get("as") == "url":
        return await _answer_address(request, media)
    etag = f'"{media["sha256"]}"'
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=NOT_MODIFIED, headers={**HEADERS, "ETag": etag})
    return await _answer_bytes(request, media, etag)


async def _load_media(request: Request) -> dict[str, Any]:
    message_id = str(request.path_params["message_id"]).lower()
    session = resources(request).database.as_user(bearer_token(request))
    if not UUID.fullmatch(message_id):
        raise MessageNotFound
    rows = (await session.select("message_media", *COLUMNS).eq("message_id", message_id).execute()).data
    if not rows:
        raise MessageNotFound
    media: dict[str, Any] = dict(rows[0])  # type: ignore[arg-type]
    if media["state"] == "pending":
        raise MediaPending(retry_after=PENDING_SECONDS)
    if media["state"] != "stored":
        raise MediaNotStored
    # No user may read where it lies; whose it is was proven above.
    place = await resources(request).database.call_rpc("find_media", {"message": message_id})
    if place is None or place["organization_id"] != media["organization_id"]:
        raise MediaNotStored
    return media | {"message_id": message_id, "storage_path": place["storage_path"]}


async def _answer_address(request: Request, media: dict[str, Any]) -> Response:
    address = await _sign(request, media)
    if address is None:
        # Nobody else serves this file: we do, to whoever brings a token.
        address = str(request.url.remove_query_params(["as", "download"]))
    ends = datetime.now(UTC) + timedelta(seconds=LINK_SECONDS)
    return JSONResponse(
        {
            "url": address,
            "expires_at": ends.isoformat(timespec="seconds"),
            "mime_type": safe_type(media["mime_type"]),
            "byte_count": media["byte_count"],
        }
    )


async def _sign(request: Request, media: dict[str, Any]) -> str | None:
    store = open_media_store(resources(request))
    is_download = request.query_params.get("download") == "true"
    name = media["filename"] if is_download or disposition(media["mime_type"], None) == "attachment" else None
    return await store.sign(media["storage_path"], seconds=LINK_SECONDS, download_as=name)


async def _answer_bytes(request: Request, media: dict[str, Any], etag: str) -> Response:
    size = int(media["byte_count"])
    headers = {
        **HEADERS,
        "ETag": etag,
        "Content-Disposition": disposition(
            media["mime_type"],
            media["filename"],
            is_download=request.query_params.get("download") == "true",
        ),
    }
    wanted = request.headers.get("range")
    if request.headers.get("if-range", etag) != etag:
        wanted = None
    try:
        part = read_range(wanted, size)
    except ValueError:
        return Response(status_code=NOT_SATISFIABLE, headers={**HEADERS, "Content-Range": f"bytes */{size}"})
    if any(name in os.environ for name in BOUNDED_BY) and size > MOST_AT_ONCE:
        if part is None:
            address = await _sign(request, media)
            if address is not None:
                return RedirectResponse(address, status_code=302, headers={"Cache-Control": "no-store"})
        else:
            part = (part[0], min(part[1], part[0] + MOST_AT_ONCE - 1))
    first, last = part or (0, size - 1)
    headers["Content-Length"] = str(last - first + 1)
    if part is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    body = open_media_store(resources(request)).read(media["storage_path"], first, last)
    # Its first bytes before our own: what is not there can still be said properly.
    begun = await anext(body, b"")
    return StreamingResponse(
        _join(begun, body),
        status_code=200 if part is None else PARTIAL,
        headers=headers,
        media_type=safe_type(media["mime_type"]),
    )


async def _join(begun: bytes, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield begun
    async for chunk in body:
        yield chunk
