"""Attachments: fetched once, believed only as far as the bytes go, shown to members only, running nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from local.programs import ROOT
from shared.media import (
    begins_as,
    clean_filename,
    disposition,
    read_answer,
    read_range,
    safe_type,
    to_hex,
)
from tests.offices import open_office

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.offices import Office
    from tests.worker.conftest import WorkOff
    from tests.world import World

    Connection = psycopg.Connection[tuple[Any, ...]]

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
META = "/whatsapp-meta-api/media"


def receive(office: Office, kind: str = "image", **media: Any) -> str:
    """Let a customer send a file; return the message's id."""
    content = {"data_base64": base64.b64encode(PNG).decode(), "mime_type": "image/png", **media}
    written = office.world.simulator.post(
        "/customers/messages",
        **{
            "phone_number_id": office.business["phone_number_id"],
            "from": "15550100001",
            "type": kind,
            kind: content,
        },
    )
    office.world.simulator.settle()
    (message_id,) = office.row("select id::text from messages where wamid = %s", written["message"]["id"])
    return str(message_id)


def media_of(office: Office, message_id: str) -> dict[str, Any]:
    row: dict[str, Any] = office.row(
        "select to_jsonb(a) from message_media a where message_id = %s", message_id
    )[0]
    return row


def fetch(office: Office, message_id: str, **headers: str) -> httpx.Response:
    return office.organization.owner.functions.get(f"{META}/{message_id}", headers=headers)


def follow_address(office: Office, message_id: str) -> tuple[dict[str, Any], httpx.Response]:
    told = office.organization.owner.functions.get(f"{META}/{message_id}", params={"as": "url"}).json()
    return told, httpx.get(told["url"], trust_env=False)


class Meta(httpx.AsyncBaseTransport):
    """A Meta that says one thing and serves another."""

    def __init__(
        self,
        content: bytes = PNG,
        *,
        stale: int = 0,
        served: bytes | None = None,
        refusal: dict[str, Any] | None = None,
        **answer: Any,
    ) -> None:
        self.content = content if served is None else served
        self.stale = stale
        self.refusal = refusal
        self.asked = 0
        self.answer = {
            "url": "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1",
            "mime_type": "image/png",
            "sha256": hashlib.sha256(content).hexdigest(),
            "file_size": len(content),
            **answer,
        }

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"].startswith("Bearer ")
        if request.url.host == "lookaside.fbsbx.com":
            if self.stale:
                self.stale -= 1
                return httpx.Response(404)
            return httpx.Response(200, content=self.content)
        self.asked += 1
        if self.refusal is not None:
            return httpx.Response(400, json={"error": self.refusal})
        return httpx.Response(200, json=self.answer)


async def test_a_file_is_fetched_and_shown_as_it_came(office: Office, work_off: WorkOff) -> None:
    message_id = receive(office)

    before = fetch(office, message_id)
    await work_off()
    shown = fetch(office, message_id)

    assert before.status_code == 409
    assert before.json()["error"]["code"] == "media_pending"
    assert before.headers["retry-after"] == "2"
    assert shown.content == PNG
    assert shown.headers["content-type"] == "image/png"
    assert shown.headers["content-disposition"] == "inline"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in shown.headers["content-security-policy"]
    media = media_of(office, message_id)
    assert media["state"] == "stored"
    assert media["byte_count"] == len(PNG)
    assert media["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert media["storage_path"] == f"{office.organization.id}/{media['sha256']}"


async def test_parts_of_it_can_be_asked_for(office: Office, work_off: WorkOff) -> None:
    message_id = receive(office)
    await work_off()

    part = fetch(office, message_id, range="bytes=100-199")
    tail = fetch(office, message_id, range="bytes=-10")
    beyond = fetch(office, message_id, range=f"bytes={len(PNG)}-")
    changed = fetch(office, message_id, range="bytes=0-9", **{"if-range": '"another"'})
    same = fetch(office, message_id, **{"if-none-match": part.headers["etag"]})

    assert part.status_code == 206
    assert part.content == PNG[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(PNG)}"
    assert tail.content == PNG[-10:]
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(PNG)}"
    assert changed.content == PNG
    assert same.status_code == 304


async def test_a_page_gets_a_short_lived_address(office: Office, work_off: WorkOff) -> None:
    message_id = receive(office)
    await work_off()

    told, linked = follow_address(office, message_id)

    assert linked.content == PNG
    assert told["mime_type"] == "image/png"


async def test_strangers_and_nobody_see_nothing(
    office: Office, world: World, database: Connection, work_off: WorkOff
) -> None:
    """Not by the route, and not by Storage itself."""
    message_id = receive(office)
    await work_off()
    stranger = open_office(world, database).organization.owner
    path = media_of(office, message_id)["storage_path"]
    storage = f"{world.supabase_url}/storage/v1/object/whatsapp-media/{path}"

    def read(token: str) -> httpx.Response:
        headers = {"apikey": world.publishable_key, "authorization": f"Bearer {token}"}
        return httpx.get(storage, headers=headers, trust_env=False)

    refused = [
        stranger.functions.get(f"{META}/{message_id}"),
        stranger.functions.get(f"{META}/{message_id}", params={"as": "url"}),
        world.functions.get(f"{META}/{message_id}"),
        fetch(office, "not-an-id"),
        fetch(office, "00000000-0000-0000-0000-000000000000"),
    ]

    assert [answer.status_code for answer in refused] == [404, 404, 401, 404, 404]
    assert read(stranger.token).status_code >= 400
    assert read(office.organization.owner.token).content == PNG


async def test_the_same_bytes_are_kept_and_fetched_once(office: Office, work_off: WorkOff) -> None:
    first = receive(office)
    await work_off()
    meta = Meta()

    second = receive(office)
    await work_off(transport=meta)

    assert meta.asked == 0
    assert media_of(office, second)["storage_path"] == media_of(office, first)["storage_path"]
    assert fetch(office, second).content == PNG


async def test_an_expired_url_is_renewed(office: Office, work_off: WorkOff) -> None:
    message_id = receive(office)
    meta = Meta(stale=2)

    await work_off(transport=meta)

    assert meta.asked == 3
    assert media_of(office, message_id)["state"] == "stored"


@pytest.mark.parametrize(
    "meta, reason",
    [
        (Meta(served=PNG + b"more"), "size_mismatch"),
        (Meta(served=PNG[:-1]), "size_mismatch"),
        (Meta(served=PNG[:-1] + b"!"), "hash_mismatch"),
        (Meta(sha256="0" * 64), "hash_mismatch"),
        (Meta(mime_type="text/html"), "type_mismatch"),
        (Meta(file_size=200 * 1024 * 1024), "too_large"),
        (Meta(url="https://evil.example.com/steal"), "foreign_url"),
        (Meta(url="http://lookaside.fbsbx.com/plain"), "foreign_url"),
        (Meta(url="https://lookaside.fbsbx.com@evil.example.com/"), "foreign_url"),
    ],
    ids=[
        "longer",
        "shorter",
        "other_bytes",
        "other_hash",
        "other_type",
        "too_large",
        "foreign_url",
        "plain_url",
        "url_with_user",
    ],
)
async def test_a_lie_is_refused_and_said(office: Office, work_off: WorkOff, meta: Meta, reason: str) -> None:
    message_id = receive(office)

    await work_off(transport=meta)

    media = media_of(office, message_id)
    assert (media["state"], media["failure_reason"]) == ("failed", reason)
    assert fetch(office, message_id).json()["error"]["code"] == "media_not_stored"
    assert office.row("select status::text from messages where id = %s", message_id) == ("received",)


@pytest.mark.parametrize(
    "mime_type, filename, content",
    [
        ("application/vnd.ms-excel", "lista.xls", b"a;b;c\n1;2;3\n"),
        ("application/vnd.ms-excel", "lista.xls", b"<html><table></table></html>"),
        ("application/msword", "carta.doc", b"{\\rtf1\\ansi Hola}"),
    ],
    ids=["csv", "html", "rtf"],
)
async def test_a_file_under_another_type_is_kept_for_downloading(
    office: Office, work_off: WorkOff, mime_type: str, filename: str, content: bytes
) -> None:
    """Meta deletes it after seven days, and it is what the customer sent."""
    encoded = base64.b64encode(content).decode()
    message_id = receive(office, "document", data_base64=encoded, mime_type=mime_type, filename=filename)

    await work_off()
    shown = fetch(office, message_id)

    assert media_of(office, message_id)["state"] == "stored"
    assert shown.content == content
    assert shown.headers["content-type"] == "application/octet-stream"
    assert shown.headers["content-disposition"].startswith(f'attachment; filename="{filename}"')


async def test_a_page_that_is_called_a_picture_is_never_shown(office: Office, work_off: WorkOff) -> None:
    page = b"<html><script>alert(1)</script></html>"
    message_id = receive(office, data_base64=base64.b64encode(page).decode())

    await work_off()
    shown = fetch(office, message_id)
    _, linked = follow_address(office, message_id)

    assert [each.headers["content-type"] for each in (shown, linked)] == ["application/octet-stream"] * 2
    assert shown.headers["content-disposition"] == "attachment"


async def test_bytes_that_no_hash_vouches_for_must_begin_as_their_type(
    office: Office, work_off: WorkOff
) -> None:
    message_id = receive(office)
    office.database.execute("update message_media set sha256 = null where message_id = %s", (message_id,))

    await work_off(transport=Meta(b"<html>Sorry</html>", sha256=None))

    assert media_of(office, message_id)["failure_reason"] == "type_mismatch"


@pytest.mark.parametrize(
    "mime_type", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/javascript"]
)
async def test_nothing_that_could_run_is_shown_where_it_stands(
    office: Office, work_off: WorkOff, mime_type: str
) -> None:
    page = b"<script>alert(document.domain)</script>"
    data = base64.b64encode(page).decode()
    message_id = receive(office, "document", data_base64=data, mime_type=mime_type, filename="a.html")
    await work_off()

    shown = fetch(office, message_id)
    _, linked = follow_address(office, message_id)

    assert shown.headers["content-type"] == "application/octet-stream"
    assert shown.headers["content-disposition"].startswith("attachment")
    assert linked.headers["content-type"] == "application/octet-stream"


async def test_a_file_that_meta_has_forgotten_is_expired(office: Office, work_off: WorkOff) -> None:
    gone = Meta(refusal={"code": 100, "error_subcode": 33, "message": "Unsupported get request."})
    recent, old = receive(office), receive(office)
    office.database.execute(
        "update messages set occurred_at = now() - interval '8 days' where id = %s", (old,)
    )

    await work_off(transport=gone)

    assert media_of(office, recent)["failure_reason"] == "not_found"
    assert media_of(office, old)["state"] == "expired"


async def test_a_dead_token_stops_media_and_not_what_arrives(office: Office, work_off: WorkOff) -> None:
    """And what could not be fetched is fetched when the connection is repaired."""
    dead = Meta(refusal={"code": 190, "message": "Error validating access token", "type": "OAuthException"})
    message_id = receive(office)

    await work_off(transport=dead)
    failed = media_of(office, message_id)
    status = office.row(
        "select status::text, error_code from whatsapp_integrations where id = %s", office.integration_id
    )
    arrived = receive(office, data_base64=base64.b64encode(PNG + b"2").decode())
    office.database.execute(
        "update whatsapp_integrations set status = 'connected', error_code = null where id = %s",
        (office.integration_id,),
    )
    await work_off()

    assert (failed["state"], failed["failure_reason"]) == ("failed", "no_access")
    assert status == ("error", "token_dead")
    assert media_of(office, message_id)["state"] == "stored"
    assert media_of(office, arrived)["state"] == "stored"


async def test_meta_away_for_a_moment_only_delays(office: Office, work_off: WorkOff) -> None:
    message_id = receive(office)
    busy = Meta(refusal={"code": 131016, "message": "Service unavailable"})

    await work_off(transport=busy)
    waiting = office.row("select state::text from jobs where key = %s", message_id)
    office.database.execute("update jobs set run_at = now() where key = %s", (message_id,))
    await work_off()

    assert waiting == ("ready",)
    assert busy.asked >= 1
    assert media_of(office, message_id)["state"] == "stored"


MEASURE = """
import asyncio, hashlib, json, os, pathlib
import httpx
from functions.worker.handler import NEED
from functions.worker.job_queue import JobQueue
from functions.worker.shift import JOBS
from shared.web import Resources

BLOCK, BLOCKS = b"%PDF-1.7 " + os.urandom(1024 * 1024 - 9), 100

def peak_memory():
    # Of this program alone: getrusage() remembers the one that it was forked from.
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

class Stream(httpx.AsyncByteStream):
    async def __aiter__(self):
        for _ in range(BLOCKS):
            yield BLOCK

class Meta(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request):
        if request.url.host == "lookaside.fbsbx.com":
            return httpx.Response(200, stream=Stream())
        digest = hashlib.sha256()
        for _ in range(BLOCKS):
            digest.update(BLOCK)
        return httpx.Response(200, json={
            "url": "https://lookaside.fbsbx.com/?mid=1", "mime_type": "application/pdf",
            "sha256": digest.hexdigest(), "file_size": BLOCKS * len(BLOCK)})

async def main():
    resources = Resources(None, NEED, Meta())
    await resources.database.call_rpc("count_jobs", {})
    idle = peak_memory()
    done = await JobQueue(resources, JOBS).run(seconds=120, is_patient=False)
    peak = peak_memory()
    await resources.close()
    print(json.dumps({"done": done, "idle_mb": idle / 1024, "peak_mb": peak / 1024}))

asyncio.run(main())
"""


def test_a_hundred_megabytes_pass_through_little_memory(
    office: Office, world: World, work_off: Callable[..., Any]
) -> None:
    message_id = receive(office, "document", mime_type="application/pdf", filename="grande.pdf")
    office.database.execute("update message_media set sha256 = null where message_id = %s", (message_id,))
    environ = {name: text for name, text in world.variables.items() if name != "DATABASE_URL"}

    done = subprocess.run(
        [sys.executable, "-c", MEASURE], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    measured = json.loads(done.stdout.splitlines()[-1])
    tail = fetch(office, message_id, range="bytes=104857500-104857599")

    print(measured)  # noqa: T201 - the figure
    assert media_of(office, message_id)["byte_count"] == 100 * 1024 * 1024
    assert measured["peak_mb"] - measured["idle_mb"] < 150
    assert len(tail.content) == 100


@pytest.mark.parametrize(
    "header, size, expected",
    [
        (None, 10, None),
        ("bytes=0-3", 10, (0, 3)),
        ("bytes=5-", 10, (5, 9)),
        ("bytes=5-99", 10, (5, 9)),
        ("bytes=-3", 10, (7, 9)),
        ("bytes=-99", 10, (0, 9)),
        ("bytes=3-1", 10, None),
        ("bytes=0-1,4-5", 10, None),
        ("bytes=-", 10, None),
        ("lines=1-2", 10, None),
        ("bytes=a-b", 10, None),
    ],
)
def test_a_range_is_one_part_or_none(header: str | None, size: int, expected: Any) -> None:
    assert read_range(header, size) == expected


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="no such byte"):
        read_range(header, 10)


def test_a_hash_is_the_same_in_both_spellings() -> None:
    digest = hashlib.sha256(PNG)

    assert to_hex(base64.b64encode(digest.digest()).decode()) == digest.hexdigest()
    assert to_hex(digest.hexdigest().upper()) == digest.hexdigest()
    assert [to_hex(each) for each in ("", "abc", "zz" * 32, None, 5)] == [None] * 5


def test_a_size_may_be_a_number_or_a_text() -> None:
    assert read_answer({"file_size": 5}, mime_type=None, sha256=None) == (5, None)
    assert read_answer({"file_size": "5"}, mime_type=None, sha256=None) == (5, None)
    assert read_answer({}, mime_type=None, sha256=None) == (None, None)


@pytest.mark.parametrize(
    "mime_type, head",
    [
        ("image/jpeg", b"\xff\xd8\xff\xe0"),
        ("audio/ogg; codecs=opus", b"OggS\x00"),
        ("video/mp4", b"\x00\x00\x00\x18ftypmp42"),
        ("audio/aac", b"\xff\xf1P"),
        ("application/pdf", b"\xef\xbb\xbf%PDF-1.4"),
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", b"PK\x03\x04"),
        ("application/x-something", b"anything"),
        ("text/plain", b"words"),
    ],
)
def test_honest_bytes_pass(mime_type: str, head: bytes) -> None:
    assert begins_as(mime_type, head)


@pytest.mark.parametrize(
    "mime_type, head",
    [("image/jpeg", b"<html>"), ("image/png", b"MZ\x90"), ("video/mp4", b"\x7fELF"), ("audio/ogg", b"")],
)
def test_others_do_not(mime_type: str, head: bytes) -> None:
    assert not begins_as(mime_type, head)


def test_names_and_types_are_harmless() -> None:
    assert clean_filename("../../etc/passwd") == "passwd"
    assert clean_filename('C:\\x\\fac"tu\r\nra.pdf') == "factura.pdf"
    assert clean_filename(None) == clean_filename("...") == ""
    assert safe_type("IMAGE/PNG; x=y") == "image/png"
    assert safe_type("text/html") == safe_type("nonsense") == safe_type(None) == "application/octet-stream"
    assert disposition("application/pdf", "año.pdf") == (
        "attachment; filename=\"a_o.pdf\"; filename*=UTF-8''a%C3%B1o.pdf"
    )
    assert disposition("image/png", "a.png", is_download=True).startswith("attachment")
