"""Jobs: claimed once, in turn, under a lease; finished by who holds the newest one; dead with a reason."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from local.programs import ROOT
from shared.errors import DatabaseUnavailable, NotFound
from shared.jobs import DONE, Job, backoff, dead, outcome_of, retry
from tests.database.tenants import make_tenant

if TYPE_CHECKING:
    import psycopg

    from local.stack import Stack
    from shared.jobs import Outcome, Work
    from tests.worker.conftest import WorkOff

    Connection = psycopg.Connection[tuple[Any, ...]]

JOB = Job(id=1, kind="test_kind", key="1", lease_token=1, attempts=1, max_attempts=12)
# The bound: a job starts within this, however many of others wait. (One second on a quiet machine.)
FAIR_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _no_other_jobs(database: Connection) -> None:
    database.execute("delete from jobs")


def add(database: Connection, organization: object = None, *, count: int = 1, **columns: object) -> list[int]:
    values: dict[str, object] = {"organization_id": organization, "kind": "test_kind", **columns}
    names = ", ".join(values)
    rows = database.execute(
        f"insert into jobs (key, {names}) select gen_random_uuid()::text, {', '.join(['%s'] * len(values))}"
        f" from generate_series(1, {count}) returning id",
        tuple(values.values()),
    )
    return [row[0] for row in rows]


def claim(database: Connection, wanted: int = 10, *, lease: int = 60, most: int = 8) -> list[dict[str, Any]]:
    row = database.execute(
        "select claim_jobs(%s, array['test_kind'], %s, %s)", (wanted, lease, most)
    ).fetchone()
    assert row is not None
    jobs: list[dict[str, Any]] = row[0]["jobs"]
    return jobs


def finish(database: Connection, job: dict[str, Any], outcome: str, **result: object) -> list[int]:
    from psycopg.types.json import Jsonb

    told = {"id": job["id"], "lease_token": job["lease_token"], "outcome": outcome, **result}
    row = database.execute("select finish_jobs(%s)", (Jsonb([told]),)).fetchone()
    assert row is not None
    written: list[int] = row[0]
    return written


def state(database: Connection, job_id: int) -> tuple[Any, ...]:
    row = database.execute(
        "select state::text, attempts, last_error from jobs where id = %s", (job_id,)
    ).fetchone()
    assert row is not None
    return row


def test_a_job_that_one_has_nobody_else_gets(database: Connection) -> None:
    add(database, count=5)

    first, second = claim(database, 3), claim(database, 10)

    assert len(first) == 3
    assert len(second) == 2
    assert not {job["id"] for job in first} & {job["id"] for job in second}


def test_who_lost_the_lease_writes_nothing(database: Connection) -> None:
    (job_id,) = add(database)
    (slow,) = claim(database, lease=0)
    time.sleep(0.01)
    (quick,) = claim(database)

    late = finish(database, slow, "done")

    assert late == []
    assert state(database, job_id)[0] == "running"
    assert finish(database, quick, "done") == [job_id]
    assert state(database, job_id)[0] == "done"


def test_what_kills_its_workers_is_dead_after_enough_of_them(database: Connection) -> None:
    (job_id,) = add(database, max_attempts=2)
    for _ in range(2):
        claim(database, lease=0)
        time.sleep(0.01)

    assert claim(database) == []
    assert state(database, job_id) == ("dead", 2, "The worker that had it was lost.")


def test_a_retry_waits_and_the_last_one_is_the_end(database: Connection) -> None:
    (job_id,) = add(database, max_attempts=2)

    finish(database, claim(database)[0], "retry", seconds=0.2, reason="not yet")
    at_once = claim(database)
    time.sleep(0.25)
    finish(database, claim(database)[0], "retry", seconds=0.2, reason="still not")

    assert at_once == []
    assert state(database, job_id) == ("dead", 2, "still not")


def test_a_job_that_was_only_held_counts_as_not_tried(database: Connection) -> None:
    (job_id,) = add(database)

    finish(database, claim(database)[0], "released")

    assert state(database, job_id) == ("ready", 0, None)


def test_jobs_of_one_line_run_one_after_the_other_in_the_order_of_their_birth(database: Connection) -> None:
    line = [*add(database, line="bot:1"), *add(database, line="bot:1"), *add(database, line="bot:1")]
    other = add(database, line="bot:2")

    first = claim(database)
    while_it_runs = claim(database)
    (head,) = [job for job in first if job["id"] == line[0]]
    finish(database, head, "retry", seconds=60)
    while_it_waits = claim(database)
    database.execute("update jobs set state = 'dead', finished_at = now() where id = %s", (line[0],))
    after = claim(database)

    assert sorted(job["id"] for job in first) == sorted([line[0], *other])
    assert while_it_runs == while_it_waits == []
    assert [job["id"] for job in after] == [line[1]]


def test_what_waits_behind_another_keeps_nobody_awake(database: Connection) -> None:
    """A worker without patience ends, though the second of a line is due: its first is not."""
    first, _ = add(database, line="a"), add(database, line="a")
    database.execute("update jobs set run_at = now() + interval '1 minute' where id = %s", (first[0],))

    (answer,) = database.execute("select claim_jobs(10, array['test_kind'])").fetchone() or ({},)

    assert answer["jobs"] == []
    assert 50 < answer["next_seconds"] <= 60


def test_organizations_take_turns(database: Connection) -> None:
    many, few, one = (make_tenant(database).organization_id for _ in range(3))
    add(database, many, count=500)
    add(database, few, count=2)
    add(database, one)

    claimed = Counter(job["organization_id"] for job in claim(database, 6, most=100))

    assert claimed == {str(many): 3, str(few): 2, str(one): 1}


@pytest.mark.parametrize("most", [1, 500])
def test_those_who_have_something_due_are_found_in_both_ways(database: Connection, most: int) -> None:
    """Looked through where little is due, gone through where much is."""
    first, second, later = (make_tenant(database).organization_id for _ in range(3))
    add(database, first, count=3)
    add(database, second)
    add(database, later)
    database.execute(
        "update jobs set run_at = now() + interval '30 days' where organization_id = %s", (later,)
    )

    (found,) = database.execute("select private.due_tenants(%s)", (most,)).fetchone() or ([],)

    assert sorted(map(str, found)) == sorted(map(str, (first, second)))


def test_no_organization_holds_more_than_its_share(database: Connection) -> None:
    many = make_tenant(database).organization_id
    add(database, many, count=50)

    held = [len(claim(database, 16, most=8)) for _ in range(3)]

    assert held == [8, 0, 0]


async def test_one_organizations_job_does_not_wait_for_ten_thousand_of_another(
    database: Connection, work_off: WorkOff
) -> None:
    """Start to start: from the job's birth until a worker has begun it, with every slot in use."""
    many, one = (make_tenant(database).organization_id for _ in range(2))
    add(database, many, count=10_000)
    begun: dict[str, float] = {}
    born: dict[str, float] = {}

    async def slow(work: Work) -> Outcome:
        begun.setdefault(str(work.job.organization_id), time.monotonic())
        await asyncio.sleep(0.2)
        if len(begun) == 2:
            # The others have shown what they were for.
            database.execute("delete from jobs where state = 'ready'")
        return DONE

    async def arrive_late() -> None:
        await asyncio.sleep(1.0)
        born[str(one)] = time.monotonic()
        await asyncio.to_thread(add, database, one)

    await asyncio.gather(work_off({"test_kind": slow}), arrive_late())

    waited = begun[str(one)] - born[str(one)]
    print(f"waited {waited:.2f} s beside 10,000 of another organization")  # noqa: T201 - the figure
    assert waited < FAIR_SECONDS


async def test_a_worker_keeps_its_lease_and_gives_up_what_it_has_lost(
    database: Connection, work_off: WorkOff
) -> None:
    kept, lost = add(database)[0], add(database)[0]
    cancelled: list[int] = []

    async def long(work: Work) -> Outcome:
        if work.job.id == lost and not cancelled:
            database.execute("update jobs set lease_token = lease_token + 1 where id = %s", (lost,))
        try:
            await asyncio.sleep(2.5)
        except asyncio.CancelledError:
            cancelled.append(work.job.id)
            raise
        return DONE

    await work_off({"test_kind": long}, WORKER_LEASE_SECONDS="2")

    assert cancelled[:1] == [lost]
    assert state(database, kept)[:2] == ("done", 1)


async def test_a_fault_of_one_job_is_its_own(database: Connection, work_off: WorkOff) -> None:
    good = add(database)
    (bad,) = add(database)

    async def fail_once(work: Work) -> Outcome:
        if work.job.id == bad:
            raise RuntimeError("some secret that nobody reads")
        return DONE

    await work_off({"test_kind": fail_once})

    assert state(database, good[0])[0] == "done"
    # Once, or twice where its second turn came within the second.
    assert state(database, bad)[::2] == ("ready", "RuntimeError")


@pytest.mark.parametrize(
    "error, word", [(DatabaseUnavailable(), "retry"), (NotFound(), "dead"), (RuntimeError(), "retry")]
)
def test_what_an_error_means(error: Exception, word: str) -> None:
    assert outcome_of(JOB, error).word == word


def test_waits_double_up_to_an_hour() -> None:
    waits = [backoff(attempt, draw=lambda: 1.0) for attempt in range(1, 14)]

    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert waits[-1] == 3600.0
    assert backoff(1, draw=lambda: 0.0) == 1.0
    assert retry(JOB, "x", seconds=7).seconds == 7
    assert dead("x").word == "dead"


def command(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "functions.worker", *arguments],
        cwd=ROOT,
        env=dict(stack.variables),
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_operator_lists_retries_and_drops(stack: Stack, database: Connection) -> None:
    dead_one, dropped, waiting = (add(database)[0] for _ in range(3))
    database.execute(
        "update jobs set state = 'dead', finished_at = now(), last_error = 'why' where id = %s",
        (dead_one,),
    )

    helped = command(stack, "jobs", "--help")
    counted = command(stack, "jobs")
    listed = command(stack, "jobs", "list", "--state", "dead")
    retried = command(stack, "jobs", "retry", str(dead_one))
    gone = command(stack, "jobs", "drop", str(dropped))
    nothing = command(stack, "jobs", "drop")

    assert "list" in helped.stdout
    assert "test_kind" in counted.stdout
    ids = [line.split()[0] for line in listed.stdout.splitlines() if line.strip()]
    assert str(dead_one) in ids
    assert "why" in listed.stdout
    assert str(waiting) not in ids
    assert retried.stdout == gone.stdout == "1 jobs\n"
    assert nothing.returncode == 2
    assert state(database, dead_one)[:2] == ("ready", 0)
    assert state(database, dropped) == ("dead", 0, "Dropped by hand.")
