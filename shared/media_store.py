"""Where the bytes of attachments lie: Supabase Storage, or a folder where there is none. An edge.

Both keep an object under `<organization>/<sha256>`: the same bytes are kept once, and kept again by whoever
was killed in between without harm. Nothing is ever held in memory whole.
https://supabase.com/docs/guides/storage
"""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

import httpx

from shared import log
from shared.connections import open_client
from shared.errors import NotFound, Unavailable
from shared.media import BUCKET, MediaRefused, clean_filename, safe_type

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.web import Resources

READ_SECONDS = 60.0
CHUNK_BYTES = 256 * 1024
NOT_FOUND = frozenset({400, 404})
PARTIAL = 206
TOO_LARGE = 413
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class MediaStore(Protocol):
    """Keeps files under paths."""

    async def keep(self, path: str, file: Path, *, mime_type: str | None) -> None:
        """Store the file's bytes; the same path again changes nothing."""

    def read(self, path: str, first: int, last: int) -> AsyncIterator[bytes]:
        """Return the bytes from the first to the last, both included."""

    async def sign(self, path: str, *, seconds: int, download_as: str | None = None) -> str | None:
        """Return an address for whoever has it, or None where there are none."""


def open_media_store(resources: Resources) -> MediaStore:
    """Choose by the settings: a folder where MEDIA_FOLDER names one."""
    if resources.settings.has("MEDIA_FOLDER"):
        return FolderStore(Path(resources.settings.media_folder))
    return StorageStore(resources.settings.supabase_url, resources.settings.supabase_secret_key)


def media_path(organization_id: str, sha256: str) -> str:
    """Return the path of an attachment's bytes."""
    if not UUID.fullmatch(organization_id) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError("A path is made of an organization's id and a hash.")
    return f"{organization_id}/{sha256}"


class StorageStore:
    """Supabase Storage, with the service's key: who may read was decided before."""

    def __init__(
        self, supabase_url: str, secret_key: str, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._url = f"{supabase_url}/storage/v1"
        self._headers = {"apikey": secret_key, "Authorization": f"Bearer {secret_key}"}
        self._transport = transport

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        try:
            async with open_client(self._transport, read_seconds=READ_SECONDS) as client:
                yield client
        except httpx.HTTPError as error:
            log.error("storage.unreachable", reason=type(error).__name__)
            raise Unavailable from None

    async def keep(self, path: str, file: Path, *, mime_type: str | None) -> None:
        """Upload it with a type under which nothing runs, whoever is shown its address."""
        import anyio

        headers = {
            **self._headers,
            "Content-Type": safe_type(mime_type),
            "Content-Length": str((await anyio.Path(file).stat()).st_size),
            "x-upsert": "true",
        }
        async with self._client() as client:
            response = await client.post(
                f"{self._url}/object/{BUCKET}/{quote(path)}", content=_chunks(file), headers=headers
            )
        _check(response)

    async def read(self, path: str, first: int, last: int) -> AsyncIterator[bytes]:
        """Read a part, also from a Storage that knows no ranges."""
        headers = {**self._headers, "Range": f"bytes={first}-{last}"}
        url = f"{self._url}/object/{BUCKET}/{quote(path)}"
        async with self._client() as client, client.stream("GET", url, headers=headers) as response:
            _check(response)
            skip = 0 if response.status_code == PARTIAL else first
            left = last - first + 1
            async for chunk in response.aiter_bytes(CHUNK_BYTES):
                part = chunk[skip : skip + left]
                skip -= min(skip, len(chunk))
                left -= len(part)
                if part:
                    yield part
                if left == 0:
                    return

    async def sign(self, path: str, *, seconds: int, download_as: str | None = None) -> str | None:
        """Ask Storage for an address that ends by itself."""
        async with self._client() as client:
            url = f"{self._url}/object/sign/{BUCKET}/{quote(path)}"
            response = await client.post(url, json={"expiresIn": seconds}, headers=self._headers)
        _check(response)
        signed = str(response.json().get("signedURL") or "")
        address = f"{self._url}{signed.removeprefix('/storage/v1')}" if signed.startswith("/") else signed
        name = clean_filename(download_as)
        return f"{address}&download={quote(name, safe='')}" if name else address


class FolderStore:
    """A folder of this machine: the local stack without Storage."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def keep(self, path: str, file: Path, *, mime_type: str | None) -> None:
        """Copy it, and give it its name only when it is whole."""
        del mime_type
        import os
        import shutil

        import anyio.to_thread

        target = self._folder / path

        def copy() -> None:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}.{os.getpid()}.part")
            shutil.copyfile(file, partial)
            partial.replace(target)

        await anyio.to_thread.run_sync(copy)

    async def read(self, path: str, first: int, last: int) -> AsyncIterator[bytes]:
        """Read a part."""
        import anyio

        try:
            async with await anyio.open_file(self._folder / path, "rb") as file:
                await file.seek(first)
                left = last - first + 1
                while left > 0 and (chunk := await file.read(min(CHUNK_BYTES, left))):
                    left -= len(chunk)
                    yield chunk
        except FileNotFoundError:
            raise NotFound from None

    async def sign(self, path: str, *, seconds: int, download_as: str | None = None) -> str | None:
        """Have none to give: nobody serves this folder."""
        del path, seconds, download_as
        return None


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    import anyio

    async with await anyio.open_file(file, "rb") as opened:
        while chunk := await opened.read(CHUNK_BYTES):
            yield chunk


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    log.error("storage.refused", http_status=response.status_code)
    if response.status_code == TOO_LARGE:
        raise MediaRefused("too_large_for_storage")
    if response.status_code in NOT_FOUND and response.request.method == "GET":
        raise NotFound
    raise Unavailable
