"""Workers die, the database goes away, the endpoint is slow, fails, answers twice: each effect happens once.

`WORKER_MESSAGES` says with how many messages; the full measure is 1200.
`WORKER_ENTRIES` says by which entries the workers are woken.
"""

from __future__ import annotations

import base64
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from local.programs import ROOT
from local.stack import Stack, running_stack
from tests.endpoint import Call, Endpoint, Reply
from tests.offices import open_office
from tests.worker.test_bots import make_bot
from tests.worker.test_events import subscribe
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from tests.offices import Office

    Connection = psycopg.Connection[tuple[Any, ...]]

MESSAGES = int(os.environ.get("WORKER_MESSAGES", "60"))
PEOPLE = max(6, MESSAGES // 20)
WORKERS = 3
PATIENCE = 60.0 + MESSAGES / 5
LEASE_SECONDS = 2
AWAY_SECONDS = 2.0
# So many sends a worker may have started without their having reached Meta, when it is killed.
MOST_LOST = 64


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for this alone: @supabase/lite does not get over lost connections for half a minute."""
    environ = {**os.environ, "LOCAL_WORKER": "off"}
    environ.pop("DATABASE_URL", None)
    with running_stack(tmp_path_factory.mktemp("killed-stack"), environ) as own:
        yield own


@pytest.fixture(scope="module")
def world(stack: Stack) -> Iterator[World]:
    world = World(stack.variables)
    yield world
    world.close()


class Fleet:
    """Workers of which one is killed ever so often, and replaced."""

    def __init__(self, world: World, chance: random.Random, entry: str) -> None:
        arguments = ["functions.worker"] if entry == "loop" else ["tests.worker.invocations", entry]
        self.command = [sys.executable, "-m", *arguments]
        environ = {name: text for name, text in world.variables.items() if name != "DATABASE_URL"}
        self.environ = {**os.environ, **environ, "WORKER_LEASE_SECONDS": str(LEASE_SECONDS)}
        self.chance = chance
        self.killed = 0
        self.running = [self._start() for _ in range(WORKERS)]

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command, cwd=ROOT, env=self.environ, stdout=subprocess.DEVNULL)

    def kill_one(self) -> None:
        """Kill one in the middle of whatever it does."""
        victim = self.chance.randrange(len(self.running))
        self.running[victim].send_signal(signal.SIGKILL)
        self.running[victim].wait()
        self.running[victim] = self._start()
        self.killed += 1

    def stop(self) -> None:
        """Let all of them end."""
        for process in self.running:
            process.terminate()
        for process in self.running:
            process.wait(timeout=30)


def write(office: Office, number: int) -> str:
    """Let a customer write: every third time an image, otherwise words."""
    sender = f"155501{number % PEOPLE:05d}"
    content: dict[str, Any] = {"type": "text", "text": {"body": f"Pregunta {number}"}}
    if number % 3 == 0:
        image = b"\x89PNG\r\n\x1a\n" + number.to_bytes(4, "big") * 500
        data = base64.b64encode(image).decode()
        content = {"type": "image", "image": {"data_base64": data, "mime_type": "image/png"}}
    written = office.world.simulator.post(
        "/customers/messages",
        **{"phone_number_id": office.business["phone_number_id"], "from": sender, **content},
    )
    return str(written["message"]["id"])


def take_database_away(database: Connection, seconds: float) -> None:
    """Cut every connection of the API, again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        database.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'supabase'"
        )
        time.sleep(0.05)


def test_each_effect_happens_once(  # noqa: PLR0915 - one story with many ends
    world: World, database: Connection, endpoint: Endpoint, entry: str
) -> None:
    chance = random.Random(7)
    database.execute("delete from jobs")
    office = open_office(world, database, throughput="high")
    make_bot(office, endpoint=endpoint, most_age_seconds=3600)
    listener = Endpoint()
    subscribe(office, listener, ["message.received", "message.sent"])
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def answer(call: Call) -> Reply:
        with lock:
            seen[call.id] += 1
            mood, times = chance.random(), seen[call.id]
        if mood < 0.15 and times < 3:
            return Reply(status=503)
        text = call.event["data"]["message"]["text"] or "imagen"
        # A repeated question gets another answer: only one of them may be heard.
        return Reply(seconds=0.5 if mood > 0.9 else 0.0, body={"messages": [{"text": f"{text} · {times}"}]})

    endpoint.answer = answer
    listener.answer = lambda _call: Reply(status=500 if chance.random() < 0.1 else 200)
    with listener:
        fleet = Fleet(world, chance, entry)
        started = time.monotonic()
        try:
            for number in range(MESSAGES):
                write(office, number)
                if number % max(20, MESSAGES // 20) == 19:
                    fleet.kill_one()
            take_database_away(database, AWAY_SECONDS)
            world.simulator.settle()
            for _ in range(3):
                time.sleep(0.5)
                fleet.kill_one()
            wait_until_over(office, database)
        finally:
            fleet.stop()
    seconds = time.monotonic() - started

    inbound = office.row(
        "select count(*) from messages where organization_id = %s and direction = 'inbound'",
        office.organization.id,
    )
    assert inbound == (MESSAGES,)
    replies = [each for each in office.messages() if each["sent_by_bot"] == "endpoint"]
    received = office.received()
    # One answer each; a send whose worker was killed on the way to Meta is left to a person, never repeated.
    unknown = [each for each in replies if each["status"] == "uncertain"]
    assert len(replies) == len(seen) == MESSAGES
    assert len(received) == MESSAGES - len(unknown)
    assert len({each["biz_opaque_callback_data"] for each in received}) == len(received)
    assert {each["status"] for each in replies} <= {"accepted", "sent", "delivered", "read", "uncertain"}
    assert len(unknown) <= fleet.killed * MOST_LOST
    written = Counter(f"155501{number % PEOPLE:05d}" for number in range(MESSAGES))
    assert Counter(phone_of(office, each) for each in replies) == written
    states = database.execute(
        "select kind, state::text, count(*) from jobs where organization_id = %s group by 1, 2",
        (office.organization.id,),
    ).fetchall()
    assert {state for _, state, _ in states} == {"done"}, states
    media = database.execute(
        "select state::text, count(*) from message_media where organization_id = %s group by 1",
        (office.organization.id,),
    ).fetchall()
    assert media == [("stored", len(range(0, MESSAGES, 3)))]
    assert len({call.id for call in listener.calls}) == 2 * MESSAGES
    repeated = sum(seen.values()) - MESSAGES, len(listener.calls) - 2 * MESSAGES
    print(  # noqa: T201 - the figures
        f"by {entry}: {MESSAGES} messages, {fleet.killed} workers killed, {repeated[0]} repeated questions, "
        f"{repeated[1]} repeated events, {len(unknown)} replies of unknown outcome, {seconds:.1f} s"
    )


def phone_of(office: Office, message: dict[str, Any]) -> str:
    return str(office.row("select wa_id from contacts where id = %s", message["contact_id"])[0])


def wait_until_over(office: Office, database: Connection) -> None:
    """Until no job and no send is left; time is let pass where only a lease or a pause is waited for."""
    deadline = time.monotonic() + PATIENCE
    organization = office.organization.id
    counts = (
        "select count(*) from jobs where organization_id = %s and state in ('ready', 'running')",
        "select count(*) from send_queue where organization_id = %s",
        "select count(*) from messages where organization_id = %s and status in ('queued', 'sending')",
    )
    while any(office.row(count, organization) != (0,) for count in counts):
        assert time.monotonic() < deadline, database.execute(
            "select kind, state::text, attempts, last_error, count(*) from jobs where state <> 'done'"
            " group by 1, 2, 3, 4"
        ).fetchall()
        database.execute("update jobs set run_at = now() where state = 'ready' and run_at > now()")
        # A killed worker's sends: what a minute would do.
        database.execute(
            "update send_queue set lease_until = now() where lease_until < now() + interval '55 seconds'"
        )
        time.sleep(0.3)
    office.world.simulator.settle()
