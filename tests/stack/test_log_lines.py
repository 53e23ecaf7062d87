"""What became of a request, a delivery, a message can be followed in the log, by ids alone."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from shared.log import hash_wamid
from shared.signatures import sign
from tests import wire
from tests.offices import Office, open_office

if TYPE_CHECKING:
    import psycopg

    from local.stack import Stack
    from tests.world import Simulator, World

    Connection = psycopg.Connection[tuple[Any, ...]]

PATIENCE = 10.0


@pytest.fixture
def office(world: World, database: Connection, simulator: Simulator) -> Office:
    return open_office(world, database)


def lines_of(stack: Stack, request_id: str) -> dict[str, dict[str, Any]]:
    """The lines of one request, by their event; the last of them is written when the answer is on its way."""
    if not (stack.logs / "functions.log").exists():
        pytest.skip("the functions' log is elsewhere")
    found: dict[str, dict[str, Any]] = {}
    deadline = time.monotonic() + PATIENCE
    while "request.answered" not in found and time.monotonic() < deadline:
        written = (stack.logs / "functions.log").read_text("utf-8").splitlines(keepends=True)
        lines = [json.loads(line) for line in written if request_id in line and line.endswith("\n")]
        found = {line["event"]: line for line in lines}
        time.sleep(0.02)
    return found


def send(office: Office, request_id: str, chat_id: str) -> Any:
    return office.organization.owner.functions.post(
        "/whatsapp-send-message",
        json={"chat_id": chat_id, "type": "text", "text": {"body": "El secreto de la casa"}},
        headers={"X-Request-Id": request_id},
    )


def test_a_delivery_is_followed_to_its_row(world: World, stack: Stack, office: Office) -> None:
    request_id = str(uuid.uuid4())
    value = wire.value(
        phone_number_id=office.business["phone_number_id"],
        messages=[wire.text_message("El secreto de la casa")],
        contacts=[wire.contact()],
    )
    body = wire.to_wire(wire.delivery(value, waba_id=office.business["waba_id"]))
    signature = sign(body, stack.variables["WHATSAPP_APP_SECRET"])

    answer = world.functions.post(
        "/whatsapp-webhook",
        content=body,
        headers={"X-Hub-Signature-256": signature, "X-Request-Id": request_id},
    )

    assert answer.headers["X-Request-Id"] == request_id
    lines = lines_of(stack, request_id)
    stored, answered = lines["delivery.stored"], lines["request.answered"]
    row = office.row("select organization_id::text from webhook_events where id = %s", stored["event_id"])
    assert row == (office.organization.id,)
    assert (stored["state"], stored["organization_ids"]) == ("stored", [office.organization.id])
    assert stored["lag_ms"] >= 0
    assert (answered["function"], answered["status"]) == ("whatsapp-webhook", 200)
    assert answered["duration_ms"] > 0
    assert "secreto" not in json.dumps(lines)


def test_a_message_is_followed_to_meta(stack: Stack, office: Office) -> None:
    chat_id, request_id = office.hear(), str(uuid.uuid4())

    message = send(office, request_id, chat_id).json()["message"]

    lines = lines_of(stack, request_id)
    finished, answered = lines["sending.finished"], lines["request.answered"]
    assert (finished["message_id"], finished["outcome"]) == (message["id"], "accepted")
    assert finished["wamid"] == hash_wamid(message["wamid"])
    assert finished["duration_ms"] > 0
    assert {line["organization_id"] for line in (finished, answered)} == {office.organization.id}
    assert answered["message_id"] == message["id"]
    assert "secreto" not in json.dumps(lines)
    assert message["wamid"] not in json.dumps(lines)


def test_a_refusal_carries_what_metas_support_asks_for(stack: Stack, office: Office) -> None:
    """The same fbtrace_id in the answer, in the log, and in Meta's own header."""
    chat_id, request_id = office.hear(), str(uuid.uuid4())
    office.world.simulator.post(
        "/faults", edge="messages", object_id=office.business["phone_number_id"], code=131026
    )

    refused = send(office, request_id, chat_id)

    told = refused.json()["error"]["meta"]
    line = lines_of(stack, request_id)["sending.not_accepted"]
    assert told["code"] == line["meta_code"] == 131026
    assert told["fbtrace_id"] == line["fbtrace_id"] != ""
    asked = {"edge": "messages", "object_id": office.business["phone_number_id"]}
    assert told["fbtrace_id"] in json.dumps(office.world.simulator.get("/requests", **asked))


def test_who_only_looks_is_named_by_organization(stack: Stack, office: Office) -> None:
    request_id = str(uuid.uuid4())

    office.organization.owner.functions.get("/whatsapp-meta-api/number", headers={"X-Request-Id": request_id})

    assert lines_of(stack, request_id)["request.answered"]["organization_id"] == office.organization.id
