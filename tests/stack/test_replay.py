"""What was delivered can be stored once more at any time: it adds what was missing, and nothing else."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from functions.worker.replay import main
from tests import wire
from tests.database.tenants import make_tenant, snapshot, store, store_body

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from local.stack import Stack
    from tests.database.tenants import Tenant

    Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def replay(stack: Stack, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Run the command and return what it told a person."""

    def run(*arguments: str) -> list[str]:
        assert main(arguments, stack.variables) == 0
        return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{")]

    return run


def event_of(database: Connection, body: bytes) -> tuple[str, str]:
    row = database.execute(
        "select id::text, state::text from webhook_events where digest = %s",
        (hashlib.sha256(body).hexdigest(),),
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def early_delivery(tenant: Tenant) -> bytes:
    """A message to a number that is not connected yet."""
    value = wire.value(phone_number_id=tenant.phone_number_id, messages=[wire.text_message()])
    return wire.to_wire(wire.delivery(value, waba_id=tenant.waba_id))


def test_what_came_before_a_number_was_connected_is_stored_once_it_is(
    database: Connection, replay: Callable[..., list[str]]
) -> None:
    tenant = make_tenant(database, status="pending")
    body = early_delivery(tenant)
    store_body(database, body)
    event, before = event_of(database, body)
    database.execute(
        "update whatsapp_integrations set status = 'connected' where id = %s", (tenant.integration_id,)
    )

    told = replay("--id", event)

    assert (before, event_of(database, body)[1]) == ("unassigned", "stored")
    assert told == [f"event {event}: stored (was unassigned), 1 items", "replayed: 1 stored"]
    assert [row[0] for row in snapshot(database, tenant)["messages"]] == [wire.wamid(1)]


def test_a_replay_of_what_is_stored_changes_nothing(
    database: Connection, replay: Callable[..., list[str]]
) -> None:
    tenant = make_tenant(database)
    payload = wire.batch(5)
    payload["entry"][0]["id"] = tenant.waba_id
    payload["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = tenant.phone_number_id
    store(database, payload)
    event, _ = event_of(database, wire.to_wire(payload))
    before = _rows(database, tenant)

    for _ in range(2):
        replay("--integration", str(tenant.integration_id), "--after", str(int(event) - 1))

    assert _rows(database, tenant) == before


def test_a_dry_run_only_tells(database: Connection, replay: Callable[..., list[str]]) -> None:
    tenant = make_tenant(database, status="pending")
    body = early_delivery(tenant)
    store_body(database, body)
    event, _ = event_of(database, body)
    database.execute(
        "update whatsapp_integrations set status = 'connected' where id = %s", (tenant.integration_id,)
    )

    told = replay("--id", event, "--dry-run")

    assert told == [f"event {event}: unassigned, {len(body)} bytes", "would replay: 1 unassigned"]
    assert snapshot(database, tenant)["messages"] == []


def test_bytes_that_are_no_text_survive_the_way_back(
    database: Connection, replay: Callable[..., list[str]]
) -> None:
    body = b"\xff\xfe{" + hashlib.sha256(str(make_tenant(database)).encode()).digest()
    store_body(database, body)
    event, _ = event_of(database, body)

    told = replay("--id", event)

    assert told == [f"event {event}: unreadable, 0 items", "replayed: 1 unreadable"]
    assert event_of(database, body) == (event, "unreadable")


def test_time_and_state_choose(database: Connection, replay: Callable[..., list[str]]) -> None:
    assert replay("--from", "2020-01-01", "--until", "2020-01-02") == ["replayed: nothing"]
    with pytest.raises(SystemExit):
        main(["--state", "lost"])


def _rows(database: Connection, tenant: Tenant) -> list[Any]:
    return database.execute(
        """
        select e.id, e.seen_count, e.state::text, m.id, m.updated_at, c.updated_at, c.unread_count
        from webhook_events e
        join messages m on m.organization_id = e.organization_id
        join chats c on c.id = m.chat_id
        where e.organization_id = %s order by m.id
        """,
        (tenant.organization_id,),
    ).fetchall()
