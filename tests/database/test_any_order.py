"""Whatever Meta repeats, reorders, splits or joins: the database ends in the same state."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import wire
from tests.database.tenants import Tenant, make_tenant, snapshot, store

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

PEOPLE = (
    {"phone": "15550100001", "bsuid": "US.1001"},
    {"phone": "15550100002", "bsuid": "US.1002"},
    # A Brazilian mobile, which Meta writes with or without its ninth digit.
    {"phone": "5511900000003", "bsuid": "BR.1003"},
)
BRAZIL_WITHOUT_NINTH = "551100000003"

person = st.integers(min_value=0, max_value=len(PEOPLE) - 1)
known_by = st.sampled_from(["phone", "bsuid", "both"])
moment = st.integers(min_value=wire.TIMESTAMP, max_value=wire.TIMESTAMP + 20)


@st.composite
def inbound(draw: st.DrawFn, number: int) -> dict[str, Any]:
    who, how = PEOPLE[draw(person)], draw(known_by)
    phone = who["phone"] if how in ("phone", "both") else None
    bsuid = who["bsuid"] if how in ("bsuid", "both") else None
    kind = draw(st.sampled_from(["text", "reaction", "image"]))
    content = {
        "text": {"body": f"Mensaje {number}"},
        "reaction": {"message_id": wire.wamid(1), "emoji": "👍"},
        "image": {"id": f"90000{number}", "mime_type": "image/jpeg", "sha256": "", "caption": None},
    }[kind]
    message = wire.message(
        kind, content, number=number, sender=phone, bsuid=bsuid, timestamp=str(draw(moment))
    )
    name = draw(st.sampled_from(["Ana", "Ana María", None]))
    return {"messages": [message], "contacts": [wire.contact(phone, name=name, bsuid=bsuid)]}


@st.composite
def reported(draw: st.DrawFn, number: int) -> dict[str, Any]:
    word = draw(st.sampled_from(["sent", "delivered", "read", "played", "failed", "deleted"]))
    code = 131026 if word == "failed" else None
    who = PEOPLE[draw(person)]
    extra = {"recipient_user_id": who["bsuid"]} if draw(st.booleans()) else {}
    status = wire.status(
        word,
        number=number,
        recipient=who["phone"],
        timestamp=str(draw(moment)),
        error_code=code,
        **extra,
    )
    return {"statuses": [status]}


@st.composite
def events(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw a history: what customers write, what the business writes, what Meta reports of it."""
    written = draw(st.integers(min_value=1, max_value=8))
    found: list[dict[str, Any]] = [draw(inbound(number)) for number in range(1, written + 1)]
    for number in range(101, draw(st.integers(min_value=101, max_value=104))):
        who = PEOPLE[draw(person)]
        echo = wire.echo(number=number, to=who["phone"])
        found.append({"message_echoes": [echo], "field": "smb_message_echoes"})
        found += [draw(reported(number)) for _ in range(draw(st.integers(min_value=0, max_value=4)))]
    return found


def deliver(connection: Connection, tenant: Tenant, changes: Sequence[dict[str, Any]]) -> None:
    """Send these changes as one delivery."""
    entry = {"id": tenant.waba_id, "changes": []}
    for change in changes:
        parts = {key: part for key, part in change.items() if key != "field"}
        value = wire.value(phone_number_id=tenant.phone_number_id, **parts)
        entry["changes"].append({"field": change.get("field", "messages"), "value": value})  # type: ignore[attr-defined]
    store(connection, {"object": "whatsapp_business_account", "entry": [entry]})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=events(), seed=st.integers(min_value=0, max_value=2**32))
def test_order_repetition_and_batching_do_not_matter(
    database: Connection, history: list[dict[str, Any]], seed: int
) -> None:
    straight, shuffled = make_tenant(database), make_tenant(database)
    chance = random.Random(seed)
    again = [*history, *chance.sample(history, chance.randint(0, len(history)))]
    chance.shuffle(again)

    for change in history:
        deliver(database, straight, [change])
    while again:
        size = chance.randint(1, 4)
        deliver(database, shuffled, again[:size])
        again = again[size:]

    assert snapshot(database, shuffled) == snapshot(database, straight)
