"""The control API: what other programs rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph import Simulator

if TYPE_CHECKING:
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
        await anonymous.post("/_simulator/businesses", json={"nmae": "x"}),
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


async def test_person_who_changes_the_number_is_announced(
    anonymous: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator, receiver: Any, write: Any
) -> None:
    """A system message tells the business; later ones come from the new number, under another BSUID."""
    write()
    await anonymous.post(
        "/_simulator/customers/15550100001/phone_number", json={"phone_number": "15550100009"}
    )
    write("15550100009")
    assert await simulator.settle()

    first, system, later = receiver.messages()
    assert system["type"] == "system"
    assert system["system"]["wa_id"] == "15550100009"
    assert (first["from"], later["from"]) == ("15550100001", "15550100009")
    assert first["from_user_id"] != later["from_user_id"]


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
