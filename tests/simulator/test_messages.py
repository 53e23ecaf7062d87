"""Sending through the simulated Graph, and what comes back by webhook."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from local.graph import Simulator

Body = Callable[..., dict[str, Any]]


async def test_text_is_accepted_and_its_statuses_arrive(
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    receiver: Any,
    simulator: Simulator,
    write: Any,
    text: Body,
) -> None:
    """An accepted message answers with a wamid; `sent` and `delivered` follow with our own id in them."""
    write()

    answer = await graph.post(
        f"/{business['phone_number_id']}/messages",
        json=text("+1 (555) 010-0001", biz_opaque_callback_data="row-1"),
    )
    assert await simulator.settle()

    assert answer.status_code == 200
    body = answer.json()
    assert body["contacts"] == [{"input": "+1 (555) 010-0001", "wa_id": "15550100001"}]
    wamid = body["messages"][0]["id"]
    assert [status["status"] for status in receiver.statuses()] == ["sent", "delivered"]
    assert {status["id"] for status in receiver.statuses()} == {wamid}
    assert {status["biz_opaque_callback_data"] for status in receiver.statuses()} == {"row-1"}


async def test_wamid_is_the_base64_of_a_thrift_struct(
    graph: httpx.AsyncClient, business: dict[str, Any], text: Body
) -> None:
    """A message id holds the user's digits, the direction and a key, as recorded ones do."""
    answer = await graph.post(f"/{business['phone_number_id']}/messages", json=text("15550100001"))

    struct = base64.b64decode(answer.json()["messages"][0]["id"].removeprefix("wamid."))
    assert struct[:3] == b"\x1c\x18\x0b"
    assert struct[3:14] == b"15550100001"
    assert struct[14:18] == b"\x15\x02\x00\x11"
    assert struct[18:20] == b"\x18\x12"
    assert struct[-1:] == b"\x00"


async def test_numeric_recipient_is_echoed_as_text(
    graph: httpx.AsyncClient, business: dict[str, Any], text: Body
) -> None:
    answer = await graph.post(
        f"/{business['phone_number_id']}/messages", json={**text(""), "to": 15550100001}
    )

    assert answer.json()["contacts"] == [{"input": "15550100001", "wa_id": "15550100001"}]


async def test_message_to_a_bsuid_answers_without_a_phone_number(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator, receiver: Any
) -> None:
    """Who is written to by BSUID stays without a phone number, in the answer and in the statuses."""
    customer = simulator.create_customer(phone_number="15550100007", hidden=True, username="ana.p")
    number = simulator.state.numbers[business["phone_number_id"]]
    simulator.write_as_customer(number, customer, {"text": {"body": "hola"}})
    bsuid = customer.bsuids[business["business_id"]]

    answer = await graph.post(
        f"/{business['phone_number_id']}/messages",
        json={"messaging_product": "whatsapp", "recipient": bsuid, "type": "text", "text": {"body": "hi"}},
    )
    assert await simulator.settle()

    assert answer.json()["contacts"] == [{"input": bsuid, "user_id": bsuid}]
    assert receiver.messages()[0]["from_user_id"] == bsuid
    assert "from" not in receiver.messages()[0]
    assert receiver.values()[0]["contacts"] == [{"profile": {"username": "@ana.p"}, "user_id": bsuid}]
    assert all("recipient_id" not in status for status in receiver.statuses())
    assert {status["recipient_user_id"] for status in receiver.statuses()} == {bsuid}


async def test_message_outside_the_window_fails_later(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator, receiver: Any, text: Body
) -> None:
    """Meta accepts it, and says 131047 by a failed status without contacts."""
    answer = await graph.post(f"/{business['phone_number_id']}/messages", json=text("15550100001"))
    assert await simulator.settle()

    assert answer.status_code == 200
    (status,) = receiver.statuses()
    assert status["status"] == "failed"
    assert status["errors"][0]["code"] == 131047
    assert "contacts" not in receiver.values()[0]


async def test_window_closes_after_a_day_of_simulated_time(
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    receiver: Any,
    write: Any,
    text: Body,
) -> None:
    write()
    simulator.move_clock(by=86_401)

    await graph.post(f"/{business['phone_number_id']}/messages", json=text("15550100001"))
    assert await simulator.settle()

    assert [status["status"] for status in receiver.statuses()] == ["failed"]


async def test_customer_reads_when_told_to(
    graph: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    receiver: Any,
    write: Any,
    text: Body,
) -> None:
    write()
    answer = await graph.post(f"/{business['phone_number_id']}/messages", json=text("15550100001"))
    wamid = answer.json()["messages"][0]["id"]
    assert await simulator.settle()

    await anonymous.post(f"/_simulator/messages/{wamid}/status", json={"status": "read"})
    assert await simulator.settle()

    assert [status["status"] for status in receiver.statuses()] == ["sent", "delivered", "read"]


async def test_incoming_message_can_be_marked_as_read_and_an_own_one_cannot(
    graph: httpx.AsyncClient, business: dict[str, Any], write: Any, text: Body
) -> None:
    incoming = write()
    sent = await graph.post(f"/{business['phone_number_id']}/messages", json=text("15550100001"))
    outgoing = sent.json()["messages"][0]["id"]

    def read(message_id: str) -> dict[str, Any]:
        return {"messaging_product": "whatsapp", "status": "read", "message_id": message_id}

    path = f"/{business['phone_number_id']}/messages"
    assert (await graph.post(path, json=read(incoming))).json() == {"success": True}
    refused = (await graph.post(path, json=read(outgoing))).json()["error"]
    unknown = (await graph.post(path, json=read("12345"))).json()["error"]

    assert "is outgoing" in refused["error_data"]["details"]
    assert unknown["error_data"]["details"] == "Please check the message ID you have provided."


async def test_customer_message_arrives_signed_and_escaped(
    business: dict[str, Any], simulator: Simulator, receiver: Any, write: Any
) -> None:
    r"""The bytes are Meta's: ASCII, `\\/`, lower-case `\\uXXXX`, signed as they are (the receiver checks)."""
    write(text={"body": "¿50% <menú> a/b @ casa?"})
    assert await simulator.settle()

    raw = receiver.requests[0].content
    assert raw.isascii()
    assert b'"\\u00bf50\\u0025 \\u003Cmen\\u00fa> a\\/b \\u0040 casa?"' in raw
    assert receiver.requests[0].headers["user-agent"] == "facebookexternalua"
    assert receiver.requests[0].headers["x-hub-signature"].startswith("sha1=")
    (value,) = receiver.values()
    assert value["metadata"] == {
        "display_phone_number": "15550100100",
        "phone_number_id": business["phone_number_id"],
    }
    assert value["contacts"][0]["wa_id"] == "15550100001"
    assert json.loads(raw)["entry"][0]["id"] == business["waba_id"]


async def test_bsuid_in_the_wrong_place_is_accepted_and_dropped(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator, receiver: Any, text: Body
) -> None:
    """Meta answers 200 to a BSUID in `to`, and no status ever comes."""
    answer = await graph.post(
        f"/{business['phone_number_id']}/messages", json=text("US.13491208655302741918")
    )
    assert await simulator.settle()

    assert answer.status_code == 200
    assert receiver.statuses() == []
