"""The queue and the pace in the database itself: leases, fencing, permits, healing."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.database.tenants import Tenant, make_tenant, store
from tests.wire import delivery, status, value, wamid

if TYPE_CHECKING:
    from tests.world import World

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def tenant(database: Connection) -> Tenant:
    """An organization with a connected number."""
    return make_tenant(database)


class Number:
    """What workers do with one number, in the service's role."""

    def __init__(self, database: Connection, tenant: Tenant) -> None:
        self.database = database
        self.tenant = tenant

    def call(self, function: str, **arguments: Any) -> Any:
        """Call a function as the service."""
        names = ", ".join(f"{name} := %s" for name in arguments)
        values = [json.dumps(each) if isinstance(each, (list, dict)) else each for each in arguments.values()]
        with self.database.transaction():
            self.database.execute("set local role service_role")
            row = self.database.execute(f"select public.{function}({names})", values).fetchone()
        assert row is not None
        return row[0]

    def queue(self, count: int, people: int = 0) -> list[str]:
        """Put messages into the queue, leased to a worker; `people` share them, or each has their own."""
        rows = self.database.execute(
            """
            with c as (
                insert into contacts (organization_id, wa_id)
                select %(o)s, (15550300000 + n)::text from generate_series(1, %(people)s) as n returning id
            ),
            h as (
                insert into chats (organization_id, contact_id, window_expires_at)
                select %(o)s, c.id, now() + interval '1 day' from c returning id, contact_id
            ),
            numbered as (select h.*, row_number() over () as nr from h),
            m as (
                insert into messages (
                    organization_id, chat_id, contact_id, direction, type, content, queued_at
                )
                select %(o)s, d.id, d.contact_id, 'outbound', 'text', '{"text": {"body": "hola"}}', now()
                from generate_series(0, %(count)s - 1) as n
                join numbered as d on d.nr = n %% %(people)s + 1
                returning id, chat_id
            )
            insert into send_queue (
                message_id, organization_id, integration_id, chat_id, written_at, lease_token, lease_until
            )
            select
                m.id, %(o)s, %(i)s, m.chat_id, now() + row_number() over () * interval '1 microsecond', 1,
                now() + interval '1 minute'
            from m
            returning message_id::text
            """,
            {
                "o": self.tenant.organization_id,
                "i": self.tenant.integration_id,
                "count": count,
                "people": people or count,
            },
        ).fetchall()
        return [row[0] for row in rows]

    def start(self, ids: list[str], token: int = 1, wait_seconds: float = 0.0) -> dict[str, Any]:
        """Start sends under a lease."""
        sends = [{"message_id": each, "lease_token": token} for each in ids]
        answer: dict[str, Any] = self.call(
            "start_sends", integration=self.tenant.integration_id, sends=sends, wait_seconds=wait_seconds
        )
        return answer

    def finish(self, *results: dict[str, Any], permits: list[dict[str, Any]] | None = None) -> None:
        """Write outcomes."""
        self.call("finish_sends", results=list(results), permits=permits or [])

    def statuses(self) -> dict[str, int]:
        """Count the messages by status."""
        rows = self.database.execute(
            "select status::text, count(*) from messages where organization_id = %s group by 1",
            (self.tenant.organization_id,),
        ).fetchall()
        return dict(rows)


@pytest.fixture
def number(database: Connection, tenant: Tenant) -> Number:
    return Number(database, tenant)


def test_no_more_than_the_number_may_send_is_ever_started_at_once(number: Number) -> None:
    ids = number.queue(100)

    started = number.start(ids)
    more = number.start(ids[80:])

    assert len(started["started"]) == 80
    assert more["started"] == []
    assert number.statuses() == {"sending": 80, "queued": 20}


def test_a_number_that_somebody_must_mend_pauses_and_its_owner_is_told(number: Number) -> None:
    first, late, other, sent = number.queue(4)
    number.start([first, sent])
    number.database.execute(
        "update send_queue set written_at = now() - interval '31 minutes' where message_id = %s", (late,)
    )
    error = {"code": 131042, "title": "Business eligibility payment issue"}
    stopped = {
        "message_id": first,
        "lease_token": 1,
        "outcome": "retry",
        "retry_seconds": 300,
        "error": error,
    }

    # Whatever else is told at the same time.
    accepted = {"message_id": sent, "lease_token": 1, "outcome": "accepted", "wamid": wamid(1)}
    number.finish({**stopped, "stops_number": True}, {**accepted, "pause_seconds": 1})

    answer = number.start([other])
    assert (answer["started"], len(answer["kept"])) == ([], 1)
    rows = number.database.execute(
        "select id::text, status::text, error_code from messages where organization_id = %s",
        (number.tenant.organization_id,),
    ).fetchall()
    assert sorted(rows) == sorted(
        [
            (first, "queued", 131042),
            (late, "failed", 131042),
            (other, "queued", None),
            (sent, "accepted", None),
        ]
    )
    notice = number.database.execute(
        "select event, severity::text, content from notices where organization_id = %s",
        (number.tenant.organization_id,),
    ).fetchall()
    assert notice == [("NUMBER_PAUSED", "critical", {"code": 131042})]


def test_a_status_that_tells_of_a_missing_payment_pauses_the_number_too(number: Number) -> None:
    first, other = number.queue(2)
    number.start([first])
    number.finish({"message_id": first, "lease_token": 1, "outcome": "accepted", "wamid": wamid(1)})
    told = value(
        phone_number_id=number.tenant.phone_number_id, statuses=[status("failed", error_code=131042)]
    )

    store(number.database, delivery(told, waba_id=number.tenant.waba_id))

    assert number.start([other])["started"] == []
    assert number.statuses() == {"failed": 1, "queued": 1}


def test_a_permit_comes_back_a_second_after_its_message_arrived(number: Number) -> None:
    ids = number.queue(81)
    started = number.start(ids)["started"]
    one = started[0]
    number.finish(
        {"message_id": one["message_id"], "lease_token": 1, "outcome": "accepted", "wamid": "wamid.1"},
        permits=[{"id": one["permit"], "seconds": 0.3}],
    )

    too_early = number.start(ids[80:])["started"]
    ahead = number.start(ids[80:], wait_seconds=0.5)

    assert too_early == []
    (reserved,) = ahead["started"]
    assert 0.1 < reserved["starts_at"] - ahead["clock"] <= 0.3


def test_workers_at_once_never_take_more_together_than_there_is(
    number: Number, world: World, database: Connection
) -> None:
    ids = number.queue(200)
    groups = [ids[first::8] for first in range(8)]

    def take(group: list[str]) -> int:
        with psycopg.connect(world.variables["DATABASE_URL"], autocommit=True) as own:
            return len(Number(own, number.tenant).start(group)["started"])

    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(take, groups))

    assert taken == 80


def test_one_person_is_not_sent_more_than_the_pair_allows(number: Number) -> None:
    ids = number.queue(60, people=1)

    started = number.start(ids)["started"]

    assert len(started) == 44
    (waits,) = number.database.execute(
        "select array_agg(extract(epoch from run_at - now())::float8 order by run_at) from send_queue"
        " where organization_id = %s and lease_until is null",
        (number.tenant.organization_id,),
    ).fetchone() or ([],)
    assert len(waits) == 16
    # One each six seconds from here on, after the half second that we keep back.
    assert waits[0] < 1
    assert [round(later - earlier) for earlier, later in pairwise(waits)] == [6] * 15


def test_who_has_lost_the_lease_starts_nothing(number: Number) -> None:
    (one,) = number.queue(1)
    number.database.execute("update send_queue set lease_token = 2 where message_id = %s", (one,))

    answer = number.start([one], token=1)

    assert (answer["started"], answer["kept"]) == ([], [])
    assert number.statuses() == {"queued": 1}


def test_a_message_that_a_worker_has_claimed_twice_is_started_once(number: Number) -> None:
    (one,) = number.queue(1)
    number.database.execute("update send_queue set lease_token = 2 where message_id = %s", (one,))
    claims = [{"message_id": one, "lease_token": token} for token in (1, 2, 2)]

    answer = number.call("start_sends", integration=number.tenant.integration_id, sends=claims)

    assert [(each["message_id"], each["lease_token"]) for each in answer["started"]] == [(one, 2)]


def test_a_killed_worker_leaves_what_it_started_uncertain_and_the_rest_waiting(number: Number) -> None:
    ids = number.queue(3)
    number.start(ids[:1])
    number.database.execute(
        "update send_queue set lease_until = now() - interval '1 second' where organization_id = %s",
        (number.tenant.organization_id,),
    )
    # So that no worker of the running stack takes them in hand meanwhile.
    number.database.execute(
        "update whatsapp_integrations set status = 'error' where id = %s", (number.tenant.integration_id,)
    )

    number.call("claim_sends", wanted=1)

    assert number.statuses() == {"uncertain": 1, "queued": 2}
    assert number.database.execute(
        "select count(*), count(lease_until) from send_queue where organization_id = %s",
        (number.tenant.organization_id,),
    ).fetchone() == (2, 0)


def test_a_later_message_of_a_chat_waits_for_the_outcome_of_the_earlier_one(number: Number) -> None:
    earlier, later = number.queue(2, people=1)
    (other,) = number.queue(1, people=3)[:1]
    number.database.execute(
        "update send_queue set lease_until = null, run_at = now() - interval '1 second' where chat_id in"
        " (select chat_id from send_queue where message_id = any(%s::uuid[]))",
        ([earlier, other],),
    )

    def claim() -> tuple[set[str], Any, bool]:
        """Claim for this number alone: a worker of the running stack must not be in between."""
        others = [
            str(row[0])
            for row in number.database.execute(
                "select id from whatsapp_integrations where id <> %s", (number.tenant.integration_id,)
            ).fetchall()
        ]
        with number.database.transaction():
            row = number.database.execute("select claim_sends(100, %s::uuid[])", (others,)).fetchone()
        assert row is not None
        claimed = {each["message_id"] for each in row[0]["claimed"]}
        return claimed, row[0]["next_seconds"], row[0]["is_held_up"]

    first = claim()
    while_it_is_in_hand = claim()
    token = 2
    number.start([earlier], token)
    number.finish({"message_id": earlier, "lease_token": token, "outcome": "retry", "retry_seconds": 3600})
    claimed, next_seconds, is_held_up = claim()
    number.database.execute("update send_queue set run_at = now() where message_id = %s", (earlier,))
    again = claim()
    number.start([earlier], token + 1)
    number.finish(
        {"message_id": earlier, "lease_token": token + 1, "outcome": "accepted", "wamid": "wamid.3"}
    )
    afterwards = claim()

    assert first == ({earlier, other}, None, True)
    assert while_it_is_in_hand == (set(), None, True)
    assert (claimed, is_held_up) == (set(), True)
    assert 3590 < next_seconds <= 3600
    assert again[0] == {earlier}
    assert afterwards == ({later}, None, False)


def test_a_call_that_names_no_chat_marks_none_as_read(tenant: Tenant, database: Connection) -> None:
    claims = json.dumps({"sub": str(tenant.owner_id), "role": "authenticated"})

    with database.transaction():
        database.execute("select set_config('request.jwt.claims', %s, true)", (claims,))
        database.execute("set local role authenticated")
        with pytest.raises(psycopg.errors.RaiseException) as refusal, database.transaction():
            database.execute("select public.begin_read()")

    assert refusal.value.diag.message_detail == "message_not_found"


def test_what_meta_said_counts_even_from_who_has_lost_the_lease(number: Number) -> None:
    (one,) = number.queue(1)
    number.start([one])
    number.database.execute("delete from send_queue where message_id = %s", (one,))
    number.database.execute("update messages set uncertain_at = now() where id = %s", (one,))

    number.finish({"message_id": one, "lease_token": 1, "outcome": "retry", "retry_seconds": 1})
    put_back = number.statuses()
    number.finish({"message_id": one, "lease_token": 1, "outcome": "accepted", "wamid": "wamid.2"})

    assert put_back == {"uncertain": 1}
    assert number.statuses() == {"accepted": 1}


def test_a_status_that_overtakes_the_answer_is_not_lost(number: Number, database: Connection) -> None:
    (one,) = number.queue(1)
    number.start([one])

    early = status("delivered", number=77, callback_data=one)
    payload = delivery(
        value(phone_number_id=number.tenant.phone_number_id, statuses=[early]), waba_id=number.tenant.waba_id
    )
    store(database, payload)
    before = number.statuses()
    number.finish(
        {"message_id": one, "lease_token": 1, "outcome": "accepted", "wamid": "wamid.TEST000000000077"}
    )

    assert before == number.statuses() == {"delivered": 1}


def test_a_failure_of_replaced_credentials_says_nothing_about_the_new_ones(number: Number) -> None:
    one, two = number.queue(2)
    number.start([one, two])
    (stamp,) = number.database.execute(
        "select private.credentials_stamp(i) from whatsapp_integrations i where i.id = %s",
        (number.tenant.integration_id,),
    ).fetchone() or ("",)

    def state() -> Any:
        row = number.database.execute(
            "select status::text from whatsapp_integrations where id = %s", (number.tenant.integration_id,)
        ).fetchone()
        return row[0] if row else None

    dead = {"code": "token_dead", "message": "El token venció."}
    number.finish({"message_id": one, "outcome": "failed", "integration_error": {**dead, "stamp": "another"}})
    after_the_old = state()
    number.finish({"message_id": two, "outcome": "failed", "integration_error": {**dead, "stamp": stamp}})

    assert (after_the_old, state()) == ("connected", "error")


def test_an_owner_is_told_of_a_token_that_a_send_found_dead(number: Number) -> None:
    (message,) = number.queue(1)
    number.start([message])
    (stamp,) = number.database.execute(
        "select private.credentials_stamp(i) from whatsapp_integrations i where i.id = %s",
        (number.tenant.integration_id,),
    ).fetchone() or ("",)
    dead = {"code": "token_dead", "message": "El token venció.", "stamp": stamp}

    number.finish({"message_id": message, "outcome": "failed", "integration_error": dead})

    told = number.database.execute(
        "select field, event, severity::text, content from notices where integration_id = %s",
        (number.tenant.integration_id,),
    ).fetchall()
    assert told == [("connection", "TOKEN_DEAD", "critical", {"message": "El token venció."})]


def test_management_calls_of_an_account_have_their_own_measure(number: Number) -> None:
    taken = [
        number.call("take_management_calls", integration=number.tenant.integration_id, wanted=100)
        for _ in range(6)
    ]

    assert taken[:5] == [0.0] * 5
    assert taken[5] > 0


def test_all_organizations_of_an_account_share_its_management_calls(
    number: Number, database: psycopg.Connection[Any]
) -> None:
    """As Meta counts them; a number that is yet to be part of the platform's account takes from it too."""
    (account,) = database.execute(
        "select business_account_id from whatsapp_integrations where id = %s",
        (number.tenant.integration_id,),
    ).fetchone() or (None,)
    newcomer = Number(database, make_tenant(database, status="pending", access_token=None))

    taken = [
        newcomer.call(
            "take_management_calls",
            integration=newcomer.tenant.integration_id,
            wanted=250,
            platform_account=account,
        )
        for _ in range(2)
    ]
    left = number.call("take_management_calls", integration=number.tenant.integration_id, wanted=100)

    assert taken == [0.0, 0.0]
    assert left > 0


def test_a_thousand_permits_a_second_are_taken_in_far_less_than_one(number: Number) -> None:
    number.database.execute(
        "update whatsapp_integrations set throughput = 1000 where id = %s", (number.tenant.integration_id,)
    )
    began = time.perf_counter()

    taken = 0
    for _ in range(20):
        rows = number.database.execute(
            "select count(*) from private.take_permits(%s, 50)", (number.tenant.integration_id,)
        ).fetchone()
        taken += rows[0] if rows else 0

    assert taken == 1000
    assert time.perf_counter() - began < 1.0
