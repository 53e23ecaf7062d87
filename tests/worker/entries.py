"""The ways to a worker's work, each through the code that is deployed: what a worker does, it does by all.

WORKER_ENTRIES says by which the tests of this folder go: names with commas between them, or `all`.
Without it each test goes by one, and they take turns; those of a module with BY_EVERY_ENTRY go by all.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import zlib
from typing import TYPE_CHECKING, Any

import httpx

from functions.worker import __main__ as program
from functions.worker import shift
from functions.worker.handler import create, create_handler

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]
    Environ = Mapping[str, str]
    Transport = httpx.AsyncBaseTransport | None
    Entry = Callable[[Environ, Transport, Connection], Coroutine[Any, Any, None]]

# As the schedule of EventBridge sends it.
# https://docs.aws.amazon.com/lambda/latest/dg/with-eventbridge-scheduler.html
SCHEDULED = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
PATIENCE = 60.0
LOOK_SECONDS = 0.1


class Context:
    """What Lambda tells of an invocation."""

    aws_request_id = "00000000-0000-0000-0000-000000000001"

    def get_remaining_time_in_millis(self) -> int:
        """Return what the worker's timeout in serverless.yml leaves."""
        return 60_000


def record(text: str, message_id: str = "1", *, waited: float = 0.0) -> dict[str, Any]:
    """One message of a queue, as an event carries it, `waited` seconds after it was put there."""
    return {
        "messageId": message_id,
        "eventSource": "aws:sqs",
        "body": text,
        "attributes": {"SentTimestamp": str(int((time.time() - waited) * 1000))},
    }


async def by_queue(environ: Environ, transport: Transport, _database: Connection) -> None:
    """Wake it by SQS; one record of the batch cannot be stored, and keeps it from nothing."""
    event = {"Records": [record("no delivery of ours", "bad"), record(json.dumps({"wake_up": True}), "good")]}
    # Lambda's handler is no coroutine: it has an event loop of its own.
    answer = await asyncio.to_thread(create_handler(environ, transport), event, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "bad"}]}


async def by_schedule(environ: Environ, transport: Transport, _database: Connection) -> None:
    """Wake it by the schedule of EventBridge."""
    report = await asyncio.to_thread(create_handler(environ, transport), SCHEDULED, Context())
    assert set(report) == {"sent", "jobs"}


async def by_cron(environ: Environ, transport: Transport, _database: Connection) -> None:
    """Call it as Vercel's cron does."""
    app = create(environ, transport)
    edge = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=edge, base_url="http://worker", timeout=PATIENCE) as client:
        answer = await client.get("/", headers={"authorization": f"Bearer {environ['CRON_SECRET']}"})
    await app.resources.close()
    assert (answer.status_code, set(answer.json())) == (200, {"sent", "jobs"}), answer.text


async def by_loop(environ: Environ, transport: Transport, database: Connection) -> None:
    """Let the program run until nothing is due, and end it as a supervisor does."""
    running = asyncio.create_task(program.work(environ, transport))
    deadline = time.monotonic() + PATIENCE
    is_due = True
    while is_due:
        await asyncio.wait({running}, timeout=LOOK_SECONDS)
        assert not running.done()
        assert time.monotonic() < deadline
        is_due = is_anything_due(database)
    os.kill(os.getpid(), signal.SIGTERM)
    await running


ENTRIES: Mapping[str, Entry] = {
    "queue": by_queue,
    "schedule": by_schedule,
    "cron": by_cron,
    "loop": by_loop,
}


def entries_of(test: str | None = None, *, every: bool = False) -> list[str]:
    """Choose the entries by which a test goes; the loop where nothing is chosen and it takes no turn."""
    chosen = os.environ.get("WORKER_ENTRIES", "all" if every else "")
    if chosen:
        return list(ENTRIES) if chosen == "all" else chosen.split(",")
    return ["loop"] if test is None else [list(ENTRIES)[zlib.crc32(test.encode()) % len(ENTRIES)]]


def is_anything_due(database: Connection) -> bool:
    """Tell whether a worker would find something to do, or is at it."""
    found = database.execute(
        """
        select
            exists (select from jobs where state = 'running')
            or coalesce(private.next_job_at(%(kinds)s) <= clock_timestamp(), false)
            or exists (select from job_schedules where next_at <= clock_timestamp())
            or exists (
                select from send_queue
                where lease_until is not null or run_at <= clock_timestamp()
            )
        """,
        {"kinds": sorted(shift.JOBS)},
    ).fetchone()
    return bool(found and found[0])
