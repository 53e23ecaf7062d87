"""The control API: what other programs rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.graph import Simulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import httpx


async def test_business_is_created_in_one_call(anonymous: httpx.AsyncClient) -> None:
    answer = await anonymous.post(
        "/_simulator/businesses",
        json={"name": "Bodega", "phone_number": "+51 900 000 001", "own_app": True, "coexistence": True},
    )

    assert answer.status_code == 201
    made = answer.json()
    assert made["display_phone_number"] == "+51 900 000 001"
    node = await anonymous.get(
        f"/{made['phone_number_id']}?fields=verified_name,is_on_biz_app,status",
        headers={"Authorization": f"Bearer {made['access_token']}"},
    )
    assert node.json() == {
        "verified_name": "Bodega",
        "is_on_biz_app": True,
        "status": "CONNECTED",
        "id": made["phone_number_id"],
    }


async def test_customer_writes_by_http_and_everything_can_be_read_back(
    anonymous: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator, receiver: Any
) -> None:
    written = await anonymous.post(
        "/_simulator/customers/messages",
        json={
            "to": business["phone_number"],
            "from": {"phone_number": "15550100002", "name": "Luis"},
            "type": "image",
            "image": {"caption": "mira"},
        },
    )
    settled = await anonymous.post("/_simulator/settle")

    assert settled.json()["settled"] is True
    (message,) = receiver.messages()
    assert message["id"] == written.json()["message"]["id"]
    assert message["image"]["caption"] == "mira"
    assert message["image"]["mime_type"] == "image/png"
    listed = (await anonymous.get("/_simulator/messages?direction=incoming")).json()["data"]
    assert [row["id"] for row in listed] == [message["id"]]
    (delivery,) = (await anonymous.get("/_simulator/deliveries")).json()["data"]
    assert delivery["state"] == "delivered"
    assert delivery["body"].encode() == receiver.requests[0].content


async def test_wrong_orders_are_refused_with_a_sentence(anonymous: httpx.AsyncClient) -> None:
    answers = [
        await anonymous.post("/_simulator/businesses", json={"nombre": "x"}),
        await anonymous.patch("/_simulator/settings", json={"sent_after": "soon"}),
        await anonymous.post("/_simulator/faults", json={"cut": "sometimes"}),
        await anonymous.post("/_simulator/customers/messages", content=b"{"),
    ]

    assert {answer.status_code for answer in answers} == {422}
    assert all(answer.json()["error"]["message"].endswith(".") for answer in answers)


async def test_reset_keeps_only_the_platforms_app(
    anonymous: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator
) -> None:
    await anonymous.post("/_simulator/reset")

    assert list(simulator.state.apps) == [business["app_id"]]
    assert simulator.state.numbers == {}


async def test_state_survives_in_a_file(tmp_path: Path) -> None:
    """What was created and written is there again after a restart."""
    file = tmp_path / "state.json"
    first = Simulator(state_file=file)
    made = first.create_business(name="Bodega")
    number = first.state.numbers[made["phone_number_id"]]
    first.write_as_customer(number, first.create_customer(phone_number="15550100001"), {"type": "image"})
    await first.close()

    second = Simulator(state_file=file)

    assert second.state.numbers == first.state.numbers
    assert second.state.media == first.state.media
    assert second.state.messages == first.state.messages
    assert second.state.find_customer("15550100001") == first.state.find_customer("15550100001")
    await second.close()


@pytest.fixture
def move(
    anonymous: httpx.AsyncClient, simulator: Simulator, receiver: Any, write: Any
) -> Callable[[], Awaitable[list[dict[str, Any]]]]:
    """Let the customer write, change the number, and write again; answers what the business was told."""

    async def move() -> list[dict[str, Any]]:
        write()
        await anonymous.post(
            "/_simulator/customers/15550100001/phone_number", json={"phone_number": "15550100009"}
        )
        write("15550100009")
        assert await simulator.settle()
        told: list[dict[str, Any]] = receiver.messages()
        return told

    return move


async def test_person_who_changes_the_number_is_announced(business: dict[str, Any], move: Any) -> None:
    """A system message tells the business; later ones come from the new number, under another BSUID."""
    first, system, later = await move()

    assert system["type"] == "system"
    assert system["system"]["wa_id"] == "15550100009"
    assert (first["from"], later["from"]) == ("15550100001", "15550100009")
    assert first["from_user_id"] != later["from_user_id"]
    assert system["system"]["previous_user_id"] == first["from_user_id"]
    assert system["system"]["user_id"] == later["from_user_id"]


async def test_person_without_a_visible_number_changes_only_the_user_id(
    business: dict[str, Any], simulator: Simulator, move: Any
) -> None:
    """The notice tells neither number."""
    simulator.create_customer(phone_number="15550100001", hidden=True)
    first, system, later = await move()

    assert "from" not in system
    assert system["system"] == {
        "type": "user_changed_user_id",
        "body": f"User Ana changed from {first['from_user_id']} to {later['from_user_id']}",
        "previous_user_id": first["from_user_id"],
        "user_id": later["from_user_id"],
    }


async def test_business_that_leaves_is_announced_to_the_apps_own_callback(
    anonymous: httpx.AsyncClient, simulator: Simulator, receiver: Any
) -> None:
    made = simulator.create_business(coexistence=True, subscribed=True)

    await anonymous.post(
        f"/_simulator/numbers/{made['phone_number_id']}/offboard", json={"reason": "CHANGE_NUMBER"}
    )
    assert await simulator.settle()

    (value,) = receiver.values("account_update")
    assert value["event"] == "PARTNER_REMOVED"
    assert value["disconnection_info"] == {"reason": "CHANGE_NUMBER", "initiated_by": "USER"}


async def test_everything_of_the_world_can_be_made_listed_and_changed(
    anonymous: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    """Each kind of thing has the same three calls, and refuses members that it does not have."""
    app = (await anonymous.post("/_simulator/apps", json={"name": "Otra"})).json()
    waba = (
        await anonymous.post("/_simulator/wabas", json={"name": "Otra", "subscribed_apps": [app["id"]]})
    ).json()
    number = (
        await anonymous.post("/_simulator/numbers", json={"waba_id": waba["id"], "pin": "123456"})
    ).json()
    token = (await anonymous.post("/_simulator/tokens", json={"app_id": app["id"], "expires_in": 60})).json()
    person = (
        await anonymous.post("/_simulator/customers", json={"phone": "15550100005", "name": "Eva"})
    ).json()

    changes: dict[str, dict[str, Any]] = {
        f"/apps/{app['id']}": {"is_live": False},
        f"/wabas/{waba['id']}": {"status": "DISABLED"},
        f"/numbers/{number['id']}": {"quality_rating": "RED"},
        f"/tokens/{token['value']}": {"is_revoked": True},
    }
    for path, change in changes.items():
        changed = await anonymous.patch(f"/_simulator{path}", json=change)
        refused = await anonymous.patch(f"/_simulator{path}", json={"nothing": 1})
        assert changed.json().items() >= change.items()
        assert refused.status_code == 422
    for kind in ("apps", "wabas", "numbers", "tokens", "customers", "templates", "codes", "faults"):
        assert (await anonymous.get(f"/_simulator/{kind}")).status_code == 200
    assert (person["phone_number"], person["name"], person["country"]) == ("15550100005", "Eva", "US")
    assert number["is_pin_enabled"] is True
    taken = await anonymous.post("/_simulator/apps", json={"id": app["id"]})
    assert taken.json()["error"]["message"] == f"The id {app['id']} is taken."
    assert (await anonymous.delete(f"/_simulator/numbers/{number['id']}")).json() == {"success": True}


@pytest.mark.parametrize(
    "method, path",
    [
        ("PATCH", "/apps/0"),
        ("PATCH", "/tokens/0"),
        ("DELETE", "/numbers/0"),
        ("POST", "/customers/0/phone_number"),
        ("POST", "/messages/0/status"),
        ("POST", "/templates/0/review"),
        ("POST", "/deliveries/0/retry"),
        ("GET", "/media/0"),
        ("GET", "/nothing"),
        ("POST", "/events"),
    ],
)
async def test_what_is_not_there_is_404(anonymous: httpx.AsyncClient, method: str, path: str) -> None:
    assert (await anonymous.request(method, f"/_simulator{path}", json={})).status_code == 404


async def test_names_and_throughput_are_decided_by_control(
    anonymous: httpx.AsyncClient,
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    receiver: Any,
) -> None:
    path = f"/{business['phone_number_id']}"
    await graph.post(path, json={"new_display_name": "Panadería Sol"})
    await anonymous.post(f"/_simulator/numbers{path}/name", json={"decision": "approved"})
    await anonymous.post(f"/_simulator/numbers{path}/upgrade")
    assert await simulator.settle()

    shown = await graph.get(path, params={"fields": "verified_name,new_name_status,throughput"})
    assert shown.json()["verified_name"] == "Panadería Sol"
    assert shown.json()["throughput"] == {"level": "HIGH"}
    assert receiver.values("phone_number_name_update")[0]["decision"] == "APPROVED"
    assert receiver.values("phone_number_quality_update")[0]["event"] == "THROUGHPUT_UPGRADE"


async def test_contacts_and_history_are_sent_by_control(
    anonymous: httpx.AsyncClient, simulator: Simulator, receiver: Any
) -> None:
    made = simulator.create_business(coexistence=True, subscribed=True)
    path = f"/_simulator/numbers/{made['phone_number_id']}"
    thread = {"id": "15550100001", "messages": [{"from": "15550100001", "id": "wamid.x", "type": "text"}]}

    await anonymous.post(
        f"{path}/contacts", json={"phone_number": "15550100001", "name": "Ana", "action": "remove"}
    )
    await anonymous.post(f"{path}/history", json={"threads": [thread], "send": True})
    assert await simulator.settle()

    assert receiver.values("smb_app_state_sync")[0]["state_sync"][0]["contact"] == {
        "phone_number": "15550100001"
    }
    assert receiver.values("history")[0]["history"][0]["threads"] == [thread]


async def test_failure_and_retry_are_ordered_by_control(
    anonymous: httpx.AsyncClient,
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    receiver: Any,
    write: Any,
    text: Any,
) -> None:
    incoming = write()
    sent = await graph.post(f"/{business['phone_number_id']}/messages", json=text("15550100001"))
    wamid = sent.json()["messages"][0]["id"]
    assert await simulator.settle()

    await anonymous.post(f"/_simulator/messages/{wamid}/status", json={"status": "failed", "code": 131049})
    refused = await anonymous.post(f"/_simulator/messages/{incoming}/status", json={"status": "read"})
    (first, *_) = simulator.deliveries.log
    await anonymous.post(f"/_simulator/deliveries/{first.id}/retry")
    assert await simulator.settle()

    assert receiver.statuses()[-1]["errors"][0]["code"] == 131049 or receiver.messages()[-1]["id"] == incoming
    assert refused.status_code == 422
    assert len(first.attempts) == 2


async def test_clock_and_settings_are_shown_and_changed(anonymous: httpx.AsyncClient) -> None:
    moved = await anonymous.post("/_simulator/clock", json={"to": 1_800_000_000, "speed": 0})
    shown = await anonymous.get("/_simulator/clock")
    changed = await anonymous.patch("/_simulator/settings", json={"auto_read": True})
    unknown = await anonymous.patch("/_simulator/settings", json={"nothing": 1})
    health = await anonymous.get("/_simulator/health")
    cleared = await anonymous.delete("/_simulator/logs")

    assert moved.json()["now"] == shown.json()["now"] == 1_800_000_000
    assert changed.json()["auto_read"] is True
    assert unknown.status_code == 422
    assert health.json()["status"] == "ok"
    assert cleared.json() == {"success": True}


async def test_media_of_a_customer_is_shown_in_a_sandbox(
    anonymous: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator, write: Any
) -> None:
    write(type="image")
    (media,) = simulator.state.media.values()

    answer = await anonymous.get(f"/_simulator/media/{media.id}")

    assert answer.content == media.content
    assert answer.headers["content-security-policy"] == "sandbox"


async def test_everything_that_happens_can_be_watched(
    simulator: Simulator, business: dict[str, Any], write: Any
) -> None:
    """A watcher gets each message and delivery; one that left gets nothing more."""
    queue = simulator.watch()
    write()
    assert await simulator.settle()
    simulator.unwatch(queue)
    write()

    kinds = [queue.get_nowait()[0] for _ in range(queue.qsize())]
    assert kinds == ["message", "delivery"]


async def test_customer_who_reads_at_once_and_statuses_in_reverse(
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    receiver: Any,
    write: Any,
    text: Any,
) -> None:
    write()
    simulator.settings.change({"auto_read": True, "reverse_statuses": True, "read_after": 0.01})

    await graph.post(f"/{business['phone_number_id']}/messages", json=text("15550100001"))
    assert await simulator.settle()

    assert [status["status"] for status in receiver.statuses()] == ["read", "delivered", "sent"]
