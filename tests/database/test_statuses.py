"""A status shown is a function of what Meta said, not of the order in which it came."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from tests import wire
from tests.database.tenants import Tenant, make_tenant, store

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

WORDS = ("sent", "delivered", "read", "played", "failed")
ORDERS = list(permutations(WORDS))
ANSWERED_AFTER = range(len(WORDS) + 1)


@pytest.fixture
def tenant(database: Connection) -> Tenant:
    tenant = make_tenant(database)
    greeting = wire.value(phone_number_id=tenant.phone_number_id, messages=[wire.text_message(number=1)])
    store(database, wire.delivery(greeting, waba_id=tenant.waba_id))
    return tenant


def begin(database: Connection, tenant: Tenant, count: int) -> list[str]:
    """Write the rows of messages that are on their way to Meta."""
    rows = database.execute(
        """
        insert into messages (organization_id, chat_id, contact_id, direction, type, text, attempted_at)
        select c.organization_id, c.id, c.contact_id, 'outbound', 'text', 'Hola', now()
        from chats c, generate_series(1, %s) where c.organization_id = %s
        returning id::text
        """,
        (count, tenant.organization_id),
    ).fetchall()
    return [message_id for (message_id,) in rows]


def report(database: Connection, tenant: Tenant, statuses: list[dict[str, Any]]) -> None:
    """Let Meta report these statuses in one delivery."""
    value = wire.value(phone_number_id=tenant.phone_number_id, statuses=statuses)
    store(database, wire.delivery(value, waba_id=tenant.waba_id))


def answer(database: Connection, results: list[dict[str, Any]]) -> None:
    """Write down what Meta answered to the sends."""
    with database.transaction():
        database.execute("set local role service_role")
        database.execute("select public.finish_sends(%s)", (Jsonb(results),))


def status(word: str, number: int, message_id: str | None = None) -> dict[str, Any]:
    code = 131026 if word == "failed" else None
    moment = str(wire.TIMESTAMP + WORDS.index(word))
    return wire.status(word, number=number, timestamp=moment, error_code=code, callback_data=message_id)


@pytest.mark.parametrize("tells_our_id", [True, False], ids=["with our id", "by wamid alone"])
def test_every_order_with_every_moment_of_the_answer_ends_the_same(
    database: Connection, tenant: Tenant, tells_our_id: bool
) -> None:
    """All 120 orders of five statuses, with the send's own answer before, between and after them."""
    cases = [(order, after) for order in ORDERS for after in ANSWERED_AFTER]
    ids = begin(database, tenant, len(cases))

    for step in ANSWERED_AFTER:
        answer(
            database,
            [
                {"message_id": ids[nr], "outcome": "accepted", "wamid": wire.wamid(10_000 + nr)}
                for nr, (_, after) in enumerate(cases)
                if after == step
            ],
        )
        if step < len(WORDS):
            report(
                database,
                tenant,
                [
                    status(order[step], 10_000 + nr, ids[nr] if tells_our_id else None)
                    for nr, (order, _) in enumerate(cases)
                ],
            )

    ends = database.execute(
        """
        select distinct status::text, accepted_at is not null, error_code,
            extract(epoch from sent_at)::bigint, extract(epoch from delivered_at)::bigint,
            extract(epoch from read_at)::bigint, extract(epoch from played_at)::bigint,
            extract(epoch from failed_at)::bigint
        from messages where organization_id = %s and direction = 'outbound'
        """,
        (tenant.organization_id,),
    ).fetchall()
    assert ends == [("played", True, 131026, *(wire.TIMESTAMP + nr for nr in range(len(WORDS))))]
    assert _different_wamids(database, tenant) == len(cases)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_what_is_shown_is_the_farthest_that_was_reported(
    database: Connection, tenant: Tenant, length: int
) -> None:
    """A success outranks a failure, early or late; a failure outranks what came before any success."""
    rank = {word: nr for nr, word in enumerate(("sent", "failed", "delivered", "read", "played"))}
    cases = list(permutations(WORDS, length))
    ids = begin(database, tenant, len(cases))
    answer(
        database,
        [
            {"message_id": message_id, "outcome": "accepted", "wamid": wire.wamid(20_000 + nr)}
            for nr, message_id in enumerate(ids)
        ],
    )

    for step in range(length):
        report(database, tenant, [status(case[step], 20_000 + nr) for nr, case in enumerate(cases)])

    shown: dict[str, str] = dict(
        database.execute(
            "select wamid, status::text from messages where organization_id = %s and direction = 'outbound'",
            (tenant.organization_id,),
        ).fetchall()
    )
    assert shown == {
        wire.wamid(20_000 + nr): max(case, key=rank.__getitem__) for nr, case in enumerate(cases)
    }


def test_a_status_heals_a_send_whose_answer_was_lost(database: Connection, tenant: Tenant) -> None:
    (message_id,) = begin(database, tenant, 1)
    answer(database, [{"message_id": message_id, "outcome": "uncertain"}])

    report(database, tenant, [status("delivered", 30_000, message_id)])

    row = database.execute("select wamid, status::text from messages where id = %s", (message_id,)).fetchone()
    assert row == (wire.wamid(30_000), "delivered")


def test_our_id_heals_no_message_of_another_organization(database: Connection, tenant: Tenant) -> None:
    (message_id,) = begin(database, tenant, 1)
    stranger = make_tenant(database)

    report(database, stranger, [status("read", 40_000, message_id)])

    row = database.execute("select wamid, status::text from messages where id = %s", (message_id,)).fetchone()
    assert row == (None, "sending")


def _different_wamids(database: Connection, tenant: Tenant) -> int:
    row = database.execute(
        """
        select count(distinct wamid) from messages where organization_id = %s and direction = 'outbound'
        """,
        (tenant.organization_id,),
    ).fetchone()
    assert row is not None
    count: int = row[0]
    return count
