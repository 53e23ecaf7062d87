"""Media: up, described, down, gone."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from local.graph import Simulator

PNG = base64.b64decode("iVBORw0KGgo=")


def upload(content: bytes, mime_type: str, name: str = "foto.png") -> dict[str, Any]:
    return {
        "data": {"messaging_product": "whatsapp", "type": mime_type},
        "files": {"file": (name, content, mime_type)},
    }


async def test_file_comes_back_as_it_was_for_five_minutes(
    anonymous: httpx.AsyncClient, graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator
) -> None:
    """The URL needs the token and lives five minutes; asking again gives a fresh one."""
    made = await graph.post(f"/{business['phone_number_id']}/media", **upload(PNG, "image/png"))
    described = (await graph.get(f"/{made.json()['id']}")).json()
    loaded = await graph.get(described["url"])
    stranger = await anonymous.get(described["url"])
    simulator.move_clock(by=301)
    stale = await graph.get(described["url"])
    fresh = await graph.get((await graph.get(f"/{made.json()['id']}")).json()["url"])

    assert list(described) == ["url", "mime_type", "sha256", "file_size", "id", "messaging_product"]
    assert described["sha256"] == hashlib.sha256(PNG).hexdigest()
    assert described["file_size"] == len(PNG)
    assert loaded.content == PNG
    assert loaded.headers["content-disposition"] == "inline;filename=foto.png"
    assert stranger.status_code == 401
    assert stale.status_code == 404
    assert fresh.content == PNG


async def test_deleted_file_does_not_exist(graph: httpx.AsyncClient, business: dict[str, Any]) -> None:
    made = await graph.post(f"/{business['phone_number_id']}/media", **upload(PNG, "image/png"))

    gone = await graph.delete(f"/{made.json()['id']}")
    after = await graph.get(f"/{made.json()['id']}")

    assert gone.json() == {"success": True}
    assert after.json()["error"]["error_subcode"] == 33


@pytest.mark.parametrize(
    "content, mime_type, code",
    [
        (b"x", "application/zip", 100),
        (b"x" * (500 * 1024 + 1), "image/webp", 131053),
        (b"", "image/png", 131053),
    ],
    ids=["type", "size", "empty"],
)
async def test_file_that_whatsapp_does_not_take_is_refused(
    graph: httpx.AsyncClient, business: dict[str, Any], content: bytes, mime_type: str, code: int
) -> None:
    answer = await graph.post(f"/{business['phone_number_id']}/media", **upload(content, mime_type))

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == code


async def test_file_of_a_customer_can_be_loaded_and_its_hash_is_base64(
    graph: httpx.AsyncClient, simulator: Simulator, receiver: Any, write: Any
) -> None:
    """In webhooks the hash is base64 and the URL is there; in a GET it is hexadecimal."""
    write(type="document", document={"data_base64": base64.b64encode(b"%PDF").decode(), "filename": "a.pdf"})
    assert await simulator.settle()

    document = receiver.messages()[0]["document"]
    described = (await graph.get(f"/{document['id']}")).json()
    loaded = await graph.get(document["url"])

    assert base64.b64decode(document["sha256"]).hex() == described["sha256"]
    assert loaded.content == b"%PDF"


async def test_only_a_file_of_the_right_kind_can_be_sent(
    graph: httpx.AsyncClient, business: dict[str, Any], write: Any
) -> None:
    write()
    made = await graph.post(f"/{business['phone_number_id']}/media", **upload(PNG, "image/png"))

    def media(kind: str, media_id: str) -> dict[str, Any]:
        return {"messaging_product": "whatsapp", "to": "15550100001", "type": kind, kind: {"id": media_id}}

    path = f"/{business['phone_number_id']}/messages"
    right = await graph.post(path, json=media("image", made.json()["id"]))
    wrong = await graph.post(path, json=media("audio", made.json()["id"]))
    unknown = await graph.post(path, json=media("image", "123"))

    assert right.status_code == 200
    assert wrong.json()["error"]["code"] == 131053
    assert unknown.json()["error"]["code"] == 100


async def test_profile_picture_goes_through_a_resumable_upload(
    graph: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    begun = await graph.post(
        f"/{business['app_id']}/uploads",
        params={"file_length": len(PNG), "file_type": "image/png", "file_name": "logo.png"},
    )
    ended = await graph.post(f"/{begun.json()['id']}", content=PNG, headers={"file_offset": "0"})
    profile = f"/{business['phone_number_id']}/whatsapp_business_profile"
    changed = await graph.post(
        profile,
        json={"messaging_product": "whatsapp", "about": "Pan", "profile_picture_handle": ended.json()["h"]},
    )
    shown = await graph.get(profile, params={"fields": "about,profile_picture_url,email"})

    assert changed.json() == {"success": True}
    assert list(shown.json()["data"][0]) == ["about", "profile_picture_url", "messaging_product"]


@pytest.mark.parametrize("status", [200, 404])
async def test_link_is_fetched_on_request(
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    receiver: Any,
    write: Any,
    status: int,
) -> None:
    """A link that answers is delivered; one that does not fails by a status with 131053."""
    write()
    simulator.settings.fetch_links = True
    receiver.files = {"/a.png": status}

    image = {"link": "http://receiver.test/a.png"}
    await graph.post(
        f"/{business['phone_number_id']}/messages",
        json={"messaging_product": "whatsapp", "to": "15550100001", "type": "image", "image": image},
    )
    assert await simulator.settle()

    last = receiver.statuses()[-1]
    assert last["status"] == ("delivered" if status == 200 else "failed")
    if status == 404:
        assert last["errors"][0]["code"] == 131053
        assert "http code 404" in last["errors"][0]["error_data"]["details"]
