"""Files of ours in Supabase Storage that are sent as media; an edge: everything here is I/O.

The agent's own token opens the file when the message is accepted, and the database asks Storage's policies
too: they decide whether the agent may send it. What was accepted a worker may sign with our key. Meta is
given a link that ends by itself.
https://supabase.com/docs/reference/self-hosting-storage/introduction
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from shared import log
from shared.connections import open_client
from shared.errors import InvalidBody, Unavailable
from shared.sending import find_media
from shared.storage_paths import is_storage_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.web import Resources

READ_SECONDS = 10.0
# Meta fetches at once, and again for ten minutes at most; a queued message is signed when it leaves.
LINK_SECONDS = 3600
MOST_AT_ONCE = 10


async def check_files(resources: Resources, items: Sequence[Mapping[str, Any]], *, user_token: str) -> None:
    """Refuse messages whose files the caller cannot open, or which Meta would not take: kind and size."""
    import asyncio

    wanted: dict[tuple[str, str], list[str]] = {}
    for position, item in enumerate(items):
        place = f"messages[{position}]." if len(items) > 1 else ""
        for kind, field, part in find_media(item["content"]):
            kind_of_file = "voice" if part.get("voice") else kind
            wanted.setdefault((kind_of_file, part["storage_path"]), []).append(f"{place}{field}")
    if not wanted:
        return
    few = asyncio.Semaphore(MOST_AT_ONCE)

    async def check(kind: str, path: str) -> str | None:
        async with few:
            return await _check_file(resources, kind, path, user_token)

    found = await asyncio.gather(*(check(kind, path) for kind, path in wanted))
    details = [
        {"field": field, "rule": rule, "message": SENTENCES[rule]}
        for rule, fields in zip(found, wanted.values(), strict=True)
        if rule is not None
        for field in fields
    ]
    if details:
        raise InvalidBody(details=details[:100])


SENTENCES = {
    "file_not_found": "There is no such file, or you cannot open it.",
    "file_type": "WhatsApp does not take a file of this type here.",
    "voice_type": "A voice note must be an OGG file with Opus (audio/ogg); another sound goes without voice.",
    "file_size": "The file is larger than WhatsApp takes.",
}


async def _check_file(resources: Resources, kind: str, path: str, user_token: str) -> str | None:
    from shared.messages import FILE_RULES

    if not is_storage_path(path):
        return "file_not_found"
    response = await _call(resources, "HEAD", f"object/{quote(path)}", user_token)
    if response.is_client_error:
        return "file_not_found"
    rule = FILE_RULES.get(kind)
    if rule is None:
        return "file_type"
    mime_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if rule.mime_types and mime_type not in rule.mime_types:
        return "voice_type" if kind == "voice" else "file_type"
    size = response.headers.get("content-length", "")
    return "file_size" if size.isdecimal() and int(size) > rule.largest else None


async def sign_link(resources: Resources, path: str, *, user_token: str | None) -> str:
    """Return an address at which Meta can fetch the file for a while, signed by the user or the service.

    Raises `InvalidBody` where there is no such file, and before any call where the path may lead elsewhere.
    """
    if not is_storage_path(path):
        raise _no_such_file()
    response = await _call(
        resources, "POST", f"object/sign/{quote(path)}", user_token, json={"expiresIn": LINK_SECONDS}
    )
    if response.is_client_error:
        raise _no_such_file()
    signed = str(response.json().get("signedURL") or "")
    if not signed.startswith("/"):
        return signed
    return f"{resources.settings.supabase_url}/storage/v1{signed.removeprefix('/storage/v1')}"


def _no_such_file() -> InvalidBody:
    return InvalidBody(
        details=[{"field": "storage_path", "rule": "file_not_found", "message": SENTENCES["file_not_found"]}]
    )


async def _call(
    resources: Resources, method: str, path: str, user_token: str | None, **body: Any
) -> httpx.Response:
    settings = resources.settings
    key = settings.supabase_publishable_key if user_token else settings.supabase_secret_key
    headers = {"apikey": key, "Authorization": f"Bearer {user_token or key}"}
    url = f"{settings.supabase_url}/storage/v1/{path}"
    try:
        async with open_client(None, read_seconds=READ_SECONDS) as client:
            response = await client.request(method, url, headers=headers, **body)
    except httpx.HTTPError as error:
        log.error("storage.unreachable", reason=type(error).__name__)
        raise Unavailable from None
    if response.is_server_error:
        log.error("storage.failed", http_status=response.status_code)
        raise Unavailable
    return response
