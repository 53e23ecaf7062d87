"""An organization signs, with its own valid secret, deliveries that speak of another's number.

Its app's secret is genuine, so the signature is: what it may speak for is decided by whose secret it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.crypto import KeyRing
from shared.signatures import sign
from tests import wire
from tests.database.tenants import Tenant, make_tenant, snapshot, store

if TYPE_CHECKING:
    import httpx
    import psycopg

    from local.stack import Stack
    from tests.world import World

    Connection = psycopg.Connection[tuple[Any, ...]]

ATTACKERS_SECRET = "0123456789abcdef0123456789abcdef"
KNOWN_MESSAGE = 1


@pytest.fixture
def victim(database: Connection) -> Tenant:
    """Another organization with a chat, a template and something sent."""
    victim = make_tenant(database)
    about: Any = {"phone_number_id": victim.phone_number_id}
    entry = wire.delivery(
        wire.value(**about, contacts=[wire.contact()], messages=[wire.text_message(number=KNOWN_MESSAGE)]),
        waba_id=victim.waba_id,
    )
    store(database, entry)
    echo = wire.value(**about, message_echoes=[wire.echo(number=2)])
    store(database, wire.delivery(echo, field="smb_message_echoes", waba_id=victim.waba_id))
    return victim


@pytest.fixture
def attacker(database: Connection, stack: Stack) -> Tenant:
    """An organization with a Meta app of its own, whose secret it knows."""
    attacker = make_tenant(database, has_own_app=True)
    keys = KeyRing.from_setting(stack.variables["ENCRYPTION_KEYS"])
    sealed = keys.encrypt(ATTACKERS_SECRET, row_id=str(attacker.integration_id), column="app_secret")
    database.execute(
        "update whatsapp_integrations set app_secret = %s where id = %s", (sealed, attacker.integration_id)
    )
    return attacker


def forgeries(victim: Tenant, attacker: Tenant) -> dict[str, dict[str, Any]]:
    """Everything that an attacker may try to say of somebody else."""

    def say(field: str, *, waba_id: str = victim.waba_id, **parts: object) -> dict[str, Any]:
        value = {**wire.value(phone_number_id=victim.phone_number_id), **parts}
        return wire.delivery(value, field=field, waba_id=waba_id)

    reaction = wire.message("reaction", {"message_id": wire.wamid(KNOWN_MESSAGE), "emoji": "👎"}, number=91)
    thread = {"id": wire.CUSTOMER, "messages": [wire.text_message("Inventado", number=92)]}
    template = {
        "event": "REJECTED",
        "message_template_id": 123,
        "message_template_name": "aviso",
        "message_template_language": "es",
    }
    account = {"event": "ACCOUNT_DELETED"}
    return {
        "a message": say("messages", messages=[wire.text_message("Inventado", number=90)]),
        "a message under the attacker's own account": say(
            "messages", waba_id=attacker.waba_id, messages=[wire.text_message("Inventado", number=90)]
        ),
        "a status of the victim's message": say("messages", statuses=[wire.status("read", number=2)]),
        "a failure of the victim's message": say(
            "messages", statuses=[wire.status("failed", number=2, error_code=131026)]
        ),
        "an echo": say("smb_message_echoes", message_echoes=[wire.echo("Inventado", number=93)]),
        "history": say("history", history=[wire.history(thread)]),
        "a reaction to the victim's message": say("messages", messages=[reaction]),
        "a template event": wire.delivery(
            template, field="message_template_status_update", waba_id=victim.waba_id, time=wire.TIMESTAMP
        ),
        "the end of the victim's account": wire.delivery(
            account, field="account_update", waba_id=victim.waba_id, time=wire.TIMESTAMP
        ),
    }


KINDS = [
    "a message",
    "a message under the attacker's own account",
    "a status of the victim's message",
    "a failure of the victim's message",
    "an echo",
    "history",
    "a reaction to the victim's message",
    "a template event",
    "the end of the victim's account",
]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_victim_changes_and_the_log_tells(
    database: Connection, world: World, stack: Stack, victim: Tenant, attacker: Tenant, kind: str
) -> None:
    before = _state(database, victim)
    own = _state(database, attacker)

    answer = _deliver(world, attacker, forgeries(victim, attacker)[kind])

    assert answer.status_code == 200
    assert _state(database, victim) == before
    assert _state(database, attacker) == own
    reasons = database.execute(
        """
        select p.reason from webhook_problems p join webhook_events e on e.id = p.event_id
        where e.source_integration_id = %s
        """,
        (attacker.integration_id,),
    ).fetchall()
    assert {reason for (reason,) in reasons} == {"not_covered_by_secret"}
    told = [line for line in _log(stack) if "delivery.refused_items" in line]
    assert any(str(attacker.integration_id) in line for line in told)


def test_what_the_secret_covers_is_stored_beside_what_it_does_not(
    database: Connection, world: World, victim: Tenant, attacker: Tenant
) -> None:
    before = _state(database, victim)
    mixed = wire.delivery(
        wire.value(phone_number_id=attacker.phone_number_id, messages=[wire.text_message("Mío", number=7)]),
        waba_id=attacker.waba_id,
    )
    mixed["entry"] += forgeries(victim, attacker)["a message"]["entry"]

    answer = _deliver(world, attacker, mixed)

    assert answer.status_code == 200
    assert _state(database, victim) == before
    assert [row[0] for row in snapshot(database, attacker)["messages"]] == [wire.wamid(7)]


@pytest.mark.parametrize("signer", ["the platform", "somebody else"])
def test_only_the_organizations_own_app_is_heard_at_its_address(
    database: Connection, world: World, stack: Stack, attacker: Tenant, signer: str
) -> None:
    secret = stack.variables["WHATSAPP_APP_SECRET"] if signer == "the platform" else "x" * 32
    payload = wire.delivery(
        wire.value(phone_number_id=attacker.phone_number_id, messages=[wire.text_message()]),
        waba_id=attacker.waba_id,
    )

    answer = _deliver(world, attacker, payload, secret=secret)

    assert answer.status_code == 401
    assert snapshot(database, attacker)["messages"] == []


def _state(database: Connection, tenant: Tenant) -> dict[str, Any]:
    row = database.execute(
        "select status::text, error_code, display_name, facts_at from whatsapp_integrations where id = %s",
        (tenant.integration_id,),
    ).fetchone()
    return {**snapshot(database, tenant), "integration": row}


def _deliver(
    world: World, source: Tenant, payload: object, *, secret: str = ATTACKERS_SECRET
) -> httpx.Response:
    body = wire.to_wire(payload)
    return world.functions.post(
        f"/whatsapp-webhook/{source.integration_id}",
        content=body,
        headers={"X-Hub-Signature-256": sign(body, secret)},
    )


def _log(stack: Stack) -> list[str]:
    return (stack.logs / "functions.log").read_text().splitlines()
