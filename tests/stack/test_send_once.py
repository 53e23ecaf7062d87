"""Exactly once, whatever happens: lost and late answers, repeated statuses, killed processes.

SENDS in the environment makes it as long as you like.
"""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from local.programs import ROOT
from tests.offices import Office, open_office, workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from tests.world import Simulator, World

    Connection = psycopg.Connection[tuple[Any, ...]]

SENDS = int(os.environ.get("SENDS", "120"))
AT_ONCE = 8
ACCEPTED = {"accepted", "sent", "delivered", "read", "played"}


@pytest.fixture
def office(world: World, database: Connection, simulator: Simulator) -> Iterator[Office]:
    before = simulator.get("/settings")
    simulator.patch("/settings", enforce_window=False, duplicates=1, shuffle_within=0.3)
    yield open_office(world, database, throughput="high")
    simulator.client.delete("/faults")
    simulator.patch(
        "/settings", **{name: before[name] for name in ("enforce_window", "duplicates", "shuffle_within")}
    )


class Function:
    """A process of the send function on a port of its own."""

    def __init__(self, world: World) -> None:
        self.world = world
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        surroundings = {name: text for name, text in self.world.variables.items() if name != "DATABASE_URL"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.stack.killable_sender", str(self.port)],
            cwd=ROOT,
            env={**os.environ, **surroundings},
            stdout=subprocess.DEVNULL,
        )
        for _ in range(200):
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/", trust_env=False)
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("The function did not start.")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def functions(world: World) -> Iterator[list[Function]]:
    running = [Function(world), Function(world)]
    yield running
    for function in running:
        function.kill()


def test_a_click_is_at_most_one_message_while_everything_breaks(
    office: Office, functions: list[Function], capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = office.open_chats(SENDS)
    chance = random.Random(4)
    for _ in range(SENDS // 12):
        office.fault(cut="after", skip=chance.randrange(SENDS), times=1)
        office.fault(cut="before", skip=chance.randrange(SENDS), times=1)
        office.fault(latency_ms=1500, skip=chance.randrange(SENDS), times=1)
        office.fault(code=131016, http_status=503, skip=chance.randrange(SENDS), times=1)
    clicks = itertools.count()

    def click(number: str) -> None:
        """Do as a browser does that heard nothing: ask again under the same key, wherever it is answered."""
        key = str(uuid.uuid4())
        count = next(clicks)
        if count == SENDS // 3:
            functions[0].kill()
        if count == SENDS // 2:
            functions[0].start()
            functions[1].kill()
        for attempt in range(20):
            port = functions[(count + attempt) % 2].port
            try:
                answer = httpx.post(
                    f"http://127.0.0.1:{port}/whatsapp-send-message",
                    json={"to": number, "text": "hola"},
                    headers={
                        "authorization": f"Bearer {office.organization.owner.token}",
                        "idempotency-key": key,
                    },
                    timeout=10,
                    trust_env=False,
                )
            except httpx.TransportError:
                time.sleep(0.1)
                continue
            if answer.status_code < 500:
                return

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(click, numbers))
    settle_everything(office)

    tell(capsys, f"{SENDS} clicks: {prove_at_most_once(office, SENDS)}")


def test_a_killed_worker_sends_nothing_twice_and_loses_nothing(
    office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = office.open_chats(SENDS)
    for number in range(0, SENDS, 15):
        office.fault(cut="after", skip=number, times=1)
    office.fault(latency_ms=200)
    office.pause()
    answer = office.post("/batch", {"messages": [{"to": number, "text": "hola"} for number in numbers]})
    assert answer.status_code == 202, answer.text

    with workers(office.world, 2) as running:
        office.go_on()
        office.wait_for(lambda: len(office.received()) > SENDS // 6)
        running[0].send_signal(signal.SIGKILL)
        running[0].wait()
        # Every lease ends at once, also of those that live: the hardest case there is.
        office.database.execute("update send_queue set lease_until = now() where lease_until is not null")
        # A claim that was on its way when its worker died is held by nobody for a whole lease.
        office.wait_until_sent(patience=90)
    settle_everything(office)

    tell(capsys, f"{SENDS} queued, a worker killed: {prove_at_most_once(office, SENDS)}")


def tell(capsys: pytest.CaptureFixture[str], figures: str) -> None:
    """Write figures where whoever runs the tests sees them."""
    with capsys.disabled():
        sys.stdout.write(f"\n{figures}\n")


def settle_everything(office: Office) -> None:
    """Let all statuses arrive, and the time pass after which a killed send is called uncertain."""
    office.world.simulator.client.delete("/faults")
    # Hundreds of statuses, each delivered twice, take a busy machine their time.
    for _ in range(6):
        if office.world.simulator.post("/settle", within=20)["settled"]:
            break
    office.database.execute(
        "update messages set attempted_at = attempted_at - interval '3 minutes'"
        " where organization_id = %s and status = 'sending'",
        (office.organization.id,),
    )
    with workers(office.world):
        office.wait_until_sent()


def prove_at_most_once(office: Office, count: int) -> dict[str, int]:
    """Compare what Meta has with what we say; return how many there are of each status."""
    messages = office.messages()
    received = office.received()
    times = collections.Counter(each["biz_opaque_callback_data"] for each in received)

    assert len(messages) == count
    assert times.most_common(1)[0][1] == 1
    wamids = {each["biz_opaque_callback_data"]: each["id"] for each in received}
    for message in messages:
        if message["id"] in wamids:
            assert (message["wamid"], message["status"] in ACCEPTED) == (wamids[message["id"]], True), message
        else:
            assert message["status"] in {"uncertain", "failed"}, message
    return dict(collections.Counter(message["status"] for message in messages))
