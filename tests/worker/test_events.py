"""An organization's endpoints are told of its messages and statuses, signed, until they have taken it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb

from shared.crypto import KeyRing
from tests import wire
from tests.endpoint import Endpoint, Reply
from tests.offices import open_office, workers

if TYPE_CHECKING:
    from tests.offices import Office
    from tests.worker.conftest import WorkOff

BY_EVERY_ENTRY = True
KINDS = ["message.received", "message.sent", "message.status"]


def subscribe(office: Office, endpoint: Endpoint, kinds: list[str] = KINDS) -> str:
    (endpoint_id,) = office.row("select gen_random_uuid()::text")
    keys = KeyRing.from_setting(office.world.variables["ENCRYPTION_KEYS"])
    sealed = keys.encrypt(endpoint.secret, row_id=endpoint_id, column="signing_secret")
    office.database.execute(
        "insert into event_endpoints (id, organization_id, url, kinds, signing_secret)"
        " values (%s, %s, %s, %s, %s)",
        (endpoint_id, office.organization.id, endpoint.url, kinds, sealed),
    )
    return str(endpoint_id)


def state(office: Office, endpoint_id: str) -> dict[str, Any]:
    row: dict[str, Any] = office.row("select to_jsonb(e) from event_endpoints e where id = %s", endpoint_id)[
        0
    ]
    return row


def make_due(office: Office) -> None:
    office.database.execute("update jobs set run_at = now() where state = 'ready'")


async def test_a_conversation_is_told_as_it_goes(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    subscribe(office, endpoint)

    chat = office.hear(text="¿Tienen pan?")
    sent = office.send(chat_id=chat, type="text", text="Sí").json()["message"]
    office.world.simulator.settle()
    await work_off()

    told = {(call.event["type"], call.event["data"].get("status")) for call in endpoint.calls}
    assert told >= {
        ("message.received", "received"),
        ("message.sent", "sending"),
        ("message.status", "accepted"),
        ("message.status", "sent"),
        ("message.status", "delivered"),
    }
    assert all(call.is_signed(endpoint.secret) for call in endpoint.calls)
    assert max(Counter(call.id for call in endpoint.calls).values()) == 1
    received = next(call.event["data"] for call in endpoint.calls if call.event["type"] == "message.received")
    assert received["text"] == "¿Tienen pan?"
    assert received["contact"]["wa_id"] == "15550100001"
    statuses = [call.event["data"] for call in endpoint.calls if call.event["type"] == "message.status"]
    assert {each["message_id"] for each in statuses} == {sent["id"]}


async def test_only_what_is_wanted_is_told_and_only_to_whom_it_belongs(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    neighbour = open_office(office.world, office.database)
    subscribe(neighbour, endpoint)
    with Endpoint() as own:
        subscribe(office, own, ["message.status"])
        office.hear()
        await work_off()

        assert own.calls == []
    assert endpoint.calls == []
    assert office.row(
        "select count(*) from outbound_events where organization_id = %s", office.organization.id
    ) == (0,)


async def test_history_is_told_to_nobody(office: Office, work_off: WorkOff, endpoint: Endpoint) -> None:
    subscribe(office, endpoint)
    thread = {"id": wire.CUSTOMER, "messages": [wire.text_message("de marzo")]}
    value = wire.value(history=[wire.history(thread)], phone_number_id=office.business["phone_number_id"])
    payload = wire.delivery(value, field="history", waba_id=office.business["waba_id"])

    office.world.simulator.post("/webhooks", payload=payload)
    await work_off()

    assert endpoint.calls == []


async def test_it_is_told_again_with_the_same_id_until_it_is_taken(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    endpoint_id = subscribe(office, endpoint, ["message.received"])
    endpoint.answer = lambda _call: Reply(status=503 if len(endpoint.calls) < 3 else 200)
    office.hear()

    await work_off()
    failing = state(office, endpoint_id)["failing_since"]
    for _ in range(3):
        make_due(office)
        await work_off()

    assert len(endpoint.calls) == 3
    assert len({call.id for call in endpoint.calls}) == 1
    assert failing is not None
    assert state(office, endpoint_id)["failing_since"] is None


async def test_after_three_days_it_is_let_be_and_its_owner_told(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    endpoint_id = subscribe(office, endpoint, ["message.received"])
    endpoint.answer = lambda _call: Reply(status=500)
    office.hear()

    await work_off()
    office.database.execute(
        "update event_endpoints set failing_since = now() - interval '72 hours' where id = %s", (endpoint_id,)
    )
    office.database.execute("update jobs set attempts = 9 where kind = 'deliver_event'")
    make_due(office)
    await work_off()
    office.hear(text="ya nadie escucha")
    await work_off()

    after = state(office, endpoint_id)
    assert (after["state"], after["disabled_reason"]) == ("disabled", "failing")
    assert len(endpoint.calls) == 2
    seen = office.organization.owner.rest.get("/notices", params={"field": "eq.event_endpoint"}).json()
    assert [each["event"] for each in seen] == ["DISABLED"]
    job = office.row(
        "select state::text, last_error from jobs where kind = 'deliver_event' order by id limit 1"
    )
    assert job == ("dead", "HTTP 500")


async def test_one_that_is_gone_is_not_asked_again(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    endpoint_id = subscribe(office, endpoint, ["message.received"])
    endpoint.answer = lambda _call: Reply(status=410)
    office.hear()

    await work_off()

    assert state(office, endpoint_id)["disabled_reason"] == "gone"


async def test_what_happened_can_be_told_once_more(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    endpoint_id = subscribe(office, endpoint, ["message.received"])
    for text in ("uno", "dos", "tres"):
        office.hear(text=text)
    await work_off()
    first = {call.id for call in endpoint.calls}
    endpoint.calls.clear()

    (count,) = office.row(
        "select replay_events(%s, %s, now() - interval '1 day')", office.organization.id, endpoint_id
    )
    await work_off()

    assert count == 3
    assert {call.id for call in endpoint.calls} == first


async def test_a_slow_endpoint_holds_up_nobody_else(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    """A neighbour's event is told while eight of the slow one's are still under way."""
    neighbour = open_office(office.world, office.database)
    subscribe(office, endpoint, ["message.received"])
    endpoint.answer = lambda _call: Reply(seconds=1.0)
    for number in range(12):
        office.hear(sender=f"155501000{number:02d}")
    with Endpoint() as quick:
        subscribe(neighbour, quick, ["message.received"])
        neighbour.hear()
        with workers(office.world):
            office.wait_for(lambda: len(quick.calls) == 1, patience=10)
            under_way = len(endpoint.calls)

    assert under_way <= 8


def test_nobody_reads_a_signing_secret(office: Office, endpoint: Endpoint) -> None:
    subscribe(office, endpoint)
    owner = office.organization.owner.rest

    assert owner.get("/event_endpoints", params={"select": "id,url,state"}).json()[0]["state"] == "on"
    for column in ("signing_secret", "previous_secret"):
        assert owner.get("/event_endpoints", params={"select": column}).status_code >= 400
    for column in ("endpoint_secret", "previous_secret"):
        assert owner.get("/bots", params={"select": column}).status_code >= 400
    written = owner.post("/event_endpoints", json={"url": "https://x.example", "kinds": KINDS})
    assert written.status_code >= 400


def test_a_bad_time_zone_is_refused(office: Office) -> None:
    import psycopg
    import pytest

    settings = Jsonb({"is_on": True, "time_zone": "America/Nowhere"})

    with pytest.raises(psycopg.errors.InvalidParameterValue):
        office.row("select save_bot(%s, %s, '[]')", office.organization.id, settings)
