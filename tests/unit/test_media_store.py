"""Where attachments are kept: in Storage or in a folder, part by part, and what its refusals mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from shared.errors import NotFound, Unavailable
from shared.media import MediaRefused
from shared.media_store import FolderStore, StorageStore, media_path

if TYPE_CHECKING:
    from pathlib import Path

    from shared.media_store import MediaStore

CONTENT = bytes(range(256)) * 4_000
PATH = "00000000-0000-0000-0000-000000000001/" + "0" * 64


class Storage:
    """As much of Supabase Storage as an attachment meets."""

    def __init__(self, *, knows_ranges: bool = True, status: int = 200) -> None:
        self.objects: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.knows_ranges = knows_ranges
        self.status = status

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer service-key"
        if self.status != 200:
            return httpx.Response(self.status)
        path = request.url.path.removeprefix("/storage/v1/object/")
        if path.startswith("sign/"):
            return httpx.Response(200, json={"signedURL": f"/object/{path}?token=x"})
        if request.method == "POST":
            self.objects[path] = await request.aread()
            self.types[path] = request.headers["content-type"]
            assert len(self.objects[path]) == int(request.headers["content-length"])
            return httpx.Response(200, json={})
        if path not in self.objects:
            return httpx.Response(400, json={"error": "not_found"})
        if not self.knows_ranges:
            return httpx.Response(200, content=self.objects[path])
        first, last = request.headers["range"].removeprefix("bytes=").split("-")
        return httpx.Response(206, content=self.objects[path][int(first) : int(last) + 1])


def store_over(storage: Storage) -> StorageStore:
    return StorageStore("https://x.example", "service-key", transport=httpx.MockTransport(storage))


async def read(store: MediaStore, first: int, last: int, path: str = PATH) -> bytes:
    return b"".join([chunk async for chunk in store.read(path, first, last)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(params=["storage", "storage_without_ranges", "folder"])
def store(request: Any, tmp_path: Path) -> MediaStore:
    if request.param == "folder":
        return FolderStore(tmp_path / "media")
    return store_over(Storage(knows_ranges=request.param == "storage"))


async def test_what_is_kept_can_be_read_in_parts(store: MediaStore, file: Path) -> None:
    await store.keep(PATH, file, mime_type="image/png")
    await store.keep(PATH, file, mime_type="image/png")

    assert await read(store, 0, len(CONTENT) - 1) == CONTENT
    assert await read(store, 300_000, 300_099) == CONTENT[300_000:300_100]
    assert await read(store, len(CONTENT) - 1, len(CONTENT) - 1) == CONTENT[-1:]


async def test_what_is_not_there_is_not_found(store: MediaStore) -> None:
    with pytest.raises(NotFound):
        await read(store, 0, 1)


async def test_storage_is_told_a_type_that_runs_nothing(file: Path) -> None:
    storage = Storage()

    await store_over(storage).keep(PATH, file, mime_type="text/html")

    assert list(storage.types.values()) == ["application/octet-stream"]


@pytest.mark.parametrize("status, error", [(413, MediaRefused), (500, Unavailable), (403, Unavailable)])
async def test_what_a_refusal_means(file: Path, status: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        await store_over(Storage(status=status)).keep(PATH, file, mime_type=None)


async def test_without_storage_it_is_tried_later(file: Path) -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    store = StorageStore("https://x.example", "service-key", transport=httpx.MockTransport(refuse))

    with pytest.raises(Unavailable):
        await store.keep(PATH, file, mime_type=None)


async def test_an_address_may_carry_a_name(tmp_path: Path) -> None:
    signed = await store_over(Storage()).sign(PATH, seconds=60, download_as="a/ñ.pdf")

    assert (
        signed
        == f"https://x.example/storage/v1/object/sign/whatsapp-media/{PATH}?token=x&download=%C3%B1.pdf"
    )
    assert await FolderStore(tmp_path).sign(PATH, seconds=60) is None


@pytest.mark.parametrize(
    "organization, digest", [("../x", "0" * 64), ("a" * 36, "0" * 64), (PATH[:36], "../../x")]
)
def test_a_path_leads_nowhere_else(organization: str, digest: str) -> None:
    with pytest.raises(ValueError, match="organization"):
        media_path(organization, digest)
