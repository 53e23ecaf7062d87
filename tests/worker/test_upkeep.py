"""What the clock causes: old things are forgotten, connections read anew, each once and in its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import psycopg

    from tests.offices import Office
    from tests.worker.conftest import WorkOff

    Connection = psycopg.Connection[tuple[Any, ...]]

# How something of each kind is made, so old that it is to be forgotten.
OLD = {
    "webhook_events": "insert into webhook_events (digest, body, state, received_at)"
    " values (md5(random()::text) || md5(random()::text), '{{}}', 'stored', {old})",
    "outbound_events": "insert into outbound_events (organization_id, kind, content, occurred_at, created_at)"
    " values ('{organization}', 'message.sent', '{{}}', now(), {old})",
    "idempotency_keys": "insert into idempotency_keys (organization_id, key, digest, created_at)"
    " values ('{organization}', gen_random_uuid()::text, 'x', {old})",
    "rate_limits": "insert into rate_limits (organization_id, kind, key, paid_at)"
    " values ('{organization}', 'pair', gen_random_uuid()::text, {old})",
    "whatsapp_registrations": "insert into whatsapp_registrations"
    " (organization_id, phone_number_id, action, created_at)"
    " values ('{organization}', '1', 'register', {old})",
    "jobs_done": "insert into jobs (kind, key, state, finished_at)"
    " values ('test_kind', gen_random_uuid()::text, 'done', {old})",
    "jobs_dead": "insert into jobs (kind, key, state, finished_at)"
    " values ('test_kind', gen_random_uuid()::text, 'dead', {old})",
}


def sweep(database: Connection) -> dict[str, int]:
    row = database.execute("select sweep()").fetchone()
    assert row is not None
    swept: dict[str, int] = row[0]
    return swept


@pytest.mark.parametrize("subject", OLD)
def test_what_is_old_is_forgotten_and_what_is_not_stays(
    database: Connection, office: Office, subject: str
) -> None:
    sweep(database)
    (keep_for,) = office.row("select keep_for::text from retention_periods where subject = %s", subject)
    fresh = f"now() - interval '{keep_for}' + interval '1 minute'"
    database.execute(OLD[subject].format(old=fresh, organization=office.organization.id).encode())
    old = f"now() - interval '{keep_for}' - interval '1 minute'"
    database.execute(OLD[subject].format(old=old, organization=office.organization.id).encode())

    swept = sweep(database)

    assert swept == {subject: 1}
    assert sweep(database) == {}


def test_every_period_is_one_that_the_sweep_knows(database: Connection) -> None:
    """A row that nothing reads would be a promise that nobody keeps."""
    known = database.execute(
        "select r.subject from retention_periods r, pg_proc p"
        " where p.proname = 'sweep' and position(quote_literal(r.subject) in p.prosrc) = 0"
    ).fetchall()

    assert known == []


async def test_the_clock_makes_each_job_once(database: Connection, work_off: WorkOff) -> None:
    database.execute("update job_schedules set next_at = now()")

    await work_off()
    await work_off()

    made = database.execute(
        "select kind, count(*), min(state::text) from jobs where kind in (select kind from job_schedules)"
        " group by kind order by kind"
    ).fetchall()
    assert made == [
        ("measure_work", 1, "done"),
        ("refresh_connections", 1, "done"),
        ("refresh_tokens", 1, "done"),
        ("settle_sends", 1, "done"),
        ("sweep", 1, "done"),
    ]
    late = database.execute("select count(*) from job_schedules where next_at < now() + every * 0.5")
    assert late.fetchone() == (0,)


async def test_every_connection_is_read_anew_once_a_day(
    database: Connection, office: Office, work_off: WorkOff
) -> None:
    database.execute("update job_schedules set next_at = now() where kind = 'refresh_connections'")

    await work_off()

    planned = office.row(
        "select count(*) from jobs"
        " where kind = 'sync_connection' and organization_id = %s and state = 'ready'"
        " and run_at between now() and now() + interval '1 hour'",
        office.organization.id,
    )
    assert planned == (1,)


async def test_what_a_dead_process_was_sending_is_called_uncertain(
    database: Connection, office: Office, work_off: WorkOff
) -> None:
    """Two minutes after it was begun, and not before; with nobody who claims sends."""
    chat_id = office.hear()
    for seconds in (100, 130):
        database.execute(
            "insert into messages (organization_id, chat_id, direction, type, text, attempted_at)"
            " values (%s, %s, 'outbound', 'text', %s, now() - make_interval(secs => %s))",
            (office.organization.id, chat_id, f"{seconds}", seconds),
        )
    database.execute("update job_schedules set next_at = now() where kind = 'settle_sends'")

    await work_off()

    assert {each["text"]: each["status"] for each in office.messages()} == {
        "100": "sending",
        "130": "uncertain",
    }


def test_users_see_nothing_of_it(office: Office) -> None:
    owner = office.organization.owner.rest

    for table in ("jobs", "job_schedules", "retention_periods", "outbound_events"):
        answer = owner.get(f"/{table}")
        assert answer.status_code >= 400 or answer.json() == []
    for function in ("claim_jobs", "finish_jobs", "sweep", "drop_jobs", "begin_media", "save_bot"):
        assert owner.post(f"/rpc/{function}", json={}).status_code >= 400
