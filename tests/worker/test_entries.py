"""What each entry of the worker does besides the work, which the other files let it do by all of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from functions.worker.handler import create_handler
from shared.delivery_queue import pack
from tests import wire
from tests.offices import open_office, workers
from tests.worker.entries import SCHEDULED, Context, record

if TYPE_CHECKING:
    import psycopg

    from local.stack import Stack
    from tests.offices import Office
    from tests.worker.conftest import WorkOff
    from tests.world import World

    Connection = psycopg.Connection[tuple[Any, ...]]

BY_EVERY_ENTRY = True


def environ_of(stack: Stack) -> dict[str, str]:
    """What a worker is given: no key of users', whom it does nothing for."""
    unasked = {"DATABASE_URL", "SUPABASE_PUBLISHABLE_KEY"}
    return {name: text for name, text in stack.variables.items() if name not in unasked}


def packed(office: Office, text: str, number: int) -> str:
    """A delivery as the webhook queues it."""
    value = wire.value(
        messages=[wire.text_message(text, number=number, timestamp=str(int(time.time())))],
        contacts=[wire.contact()],
        phone_number_id=office.business["phone_number_id"],
    )
    body = wire.to_wire(wire.delivery(value, waba_id=office.business["waba_id"]))
    return pack(body, source=None)


def prepare(office: Office) -> str:
    """Leave work of each kind: an attachment, a bot's turn, and so a message to be sent."""
    from tests.worker.test_bots import HOURS, make_bot
    from tests.worker.test_media import receive

    make_bot(office, HOURS)
    message_id = receive(office)
    office.hear(text="horario")
    return message_id


def is_done(office: Office, message_id: str) -> bool:
    (stored,) = office.row("select state = 'stored' from message_media where message_id = %s", message_id)
    return bool(stored) and [each["status"] for each in office.messages()] in (
        ["accepted"],
        ["sent"],
        ["delivered"],
        ["read"],
    )


async def test_every_entry_does_what_is_due(office: Office, work_off: WorkOff) -> None:
    message_id = prepare(office)

    await work_off()
    office.world.simulator.settle()

    assert is_done(office, message_id)


def test_the_program_does_so_too(world: World, database: Connection, office: Office) -> None:
    """`python -m functions.worker`, as a process of its own."""
    database.execute("delete from jobs")
    message_id = prepare(office)

    with workers(world):
        office.wait_for(lambda: is_done(office, message_id))


def test_queued_deliveries_are_stored_and_the_others_named(stack: Stack, office: Office) -> None:
    records = [
        record(packed(office, "uno", 1), "good-1"),
        record("this is no delivery of ours", "bad"),
        record(packed(office, "dos", 2), "good-2"),
    ]

    answer = create_handler(environ_of(stack), None)({"Records": records}, Context())

    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}
    stored = office.database.execute(
        "select text from messages where organization_id = %s order by wamid", (office.organization.id,)
    ).fetchall()
    assert stored == [("uno",), ("dos",)]


def test_deliveries_that_wait_go_before_jobs(stack: Stack, database: Connection, office: Office) -> None:
    """With many workers busy at slow jobs, what the queue holds is still stored."""
    database.execute("delete from jobs")
    message_id = prepare(office)
    handler = create_handler(environ_of(stack), None)

    late = handler({"Records": [record(packed(office, "tarde", 1), waited=30)]}, Context())
    done_meanwhile = is_done(office, message_id)
    fresh = handler({"Records": [record(packed(office, "pronto", 2))]}, Context())
    office.world.simulator.settle()

    assert late == fresh == {"batchItemFailures": []}
    stored = office.database.execute(
        "select text from messages where organization_id = %s and text in ('tarde', 'pronto') order by wamid",
        (office.organization.id,),
    ).fetchall()
    assert stored == [("tarde",), ("pronto",)]
    assert (done_meanwhile, is_done(office, message_id)) == (False, True)


def test_a_batch_that_comes_again_changes_nothing(stack: Stack, office: Office) -> None:
    records = [record(packed(office, "uno", 1))]
    handler = create_handler(environ_of(stack), None)

    answers = [handler({"Records": records}, Context()) for _ in range(2)]

    assert answers == [{"batchItemFailures": []}] * 2
    counted = office.row(
        "select count(*), min(unread_count) from messages m join chats c on c.id = m.chat_id"
        " where m.organization_id = %s",
        office.organization.id,
    )
    assert counted == (1, 1)


def test_without_a_database_every_message_of_the_batch_is_left_in_the_queue(
    stack: Stack, office: Office
) -> None:
    nowhere = {**environ_of(stack), "SUPABASE_URL": "http://127.0.0.1:9"}
    records = [record(packed(office, str(number), number), f"m{number}") for number in range(3)]

    answer = create_handler(nowhere, None)({"Records": records}, Context())

    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] == ["m0", "m1", "m2"]


@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer", "Basic abc"])
def test_nobody_but_the_scheduler_wakes_it(world: World, authorization: str | None) -> None:
    headers = {"authorization": authorization} if authorization else {}

    refused = [
        world.functions.request(method, "/whatsapp-worker", headers=headers) for method in ("GET", "POST")
    ]

    assert {answer.status_code for answer in refused} == {401}


def test_nothing_due_is_soon_over(stack: Stack, world: World, database: Connection) -> None:
    open_office(world, database)
    database.execute("delete from jobs")
    database.execute("update job_schedules set next_at = now() + interval '1 hour'")
    handler = create_handler(environ_of(stack), None)

    started = time.monotonic()
    report = handler(SCHEDULED, Context())

    assert report == {"sent": 0, "jobs": 0}
    assert time.monotonic() - started < 5
