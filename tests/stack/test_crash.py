"""Nothing is lost and nothing comes twice while things break: Meta repeats what was not answered 200."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from local.postgres import Postgres
from local.programs import ROOT
from local.stack import running_stack
from shared.signatures import sign
from tests import wire
from tests.database.tenants import make_tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.stack import Stack
    from tests.database.tenants import Tenant

    Connection = psycopg.Connection[tuple[Any, ...]]

DELIVERIES = int(os.environ.get("CRASH_DELIVERIES", "1200"))
AT_ONCE = 8
KILLS = 4
PATIENCE = 120.0


class Server:
    """A program that is stopped, killed and started again."""

    def __init__(self, command: list[str], is_up: Callable[[], bool], **arguments: Any) -> None:
        self._command = command
        self._is_up = is_up
        self._arguments = arguments
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **self._arguments,
        )
        deadline = time.monotonic() + PATIENCE
        while not self._is_up():
            assert self._process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def end(self, number: signal.Signals) -> None:
        """Send it a signal and wait for its end."""
        self._process.send_signal(number)
        self._process.wait()


@pytest.fixture
def database_server(tmp_path: Path) -> Iterator[tuple[Server, str]]:
    """A Postgres that no supervisor watches, so that it may go away and come back."""
    port, password = _free_port(), secrets.token_urlsafe(16)
    folder = tmp_path / "own"
    folder.mkdir()
    postgres = Postgres(folder, port=port, password=password)
    postgres.make()
    url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    # The local stack's own server may forget its last moment in a crash; what is proven here may not.
    command = [*postgres.command, "-c", "synchronous_commit=on", "-c", "full_page_writes=on"]
    server = Server(command, lambda: _answers(url), cwd="/", **postgres.subprocess_arguments)
    yield server, url
    server.end(signal.SIGINT)
    postgres.remove()


@contextmanager
def webhook_server(stack: Stack) -> Iterator[tuple[Server, str]]:
    """The functions in a process of their own, to be killed."""
    port = _free_port()
    environ = {
        **os.environ,
        **{name: text for name, text in stack.variables.items() if name != "DATABASE_URL"},
    }
    url = f"http://127.0.0.1:{port}"
    server = Server(
        [sys.executable, "-m", "local.functions", str(port)], lambda: _is_healthy(url), cwd=ROOT, env=environ
    )
    try:
        yield server, f"{url}/functions/v1/whatsapp-webhook"
    finally:
        server.end(signal.SIGKILL)


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_while_everything_breaks(
    tmp_path: Path, database_server: tuple[Server, str]
) -> None:
    postgres, database_url = database_server
    environ = {**os.environ, "DATABASE_URL": database_url}
    for name in ("SUPABASE_URL", "FUNCTIONS_URL"):
        environ.pop(name, None)
    with (
        running_stack(tmp_path / "stack", environ) as stack,
        webhook_server(stack) as (webhook, url),
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        tenants = [make_tenant(connection) for _ in range(3)]
        connection.close()
        meta = Meta(url, stack.variables["WHATSAPP_APP_SECRET"], _deliveries(tenants))

        asyncio.run(meta.deliver_everything(postgres, webhook))

        with psycopg.connect(database_url, autocommit=True) as after:
            stored = _stored(after)
    assert stored == _expected(meta.bodies)
    assert meta.refused["no answer"] > 0
    assert meta.refused["503"] > 0


class Meta:
    """Delivers until each delivery is answered 200, and now and then once more after that."""

    def __init__(self, url: str, secret: str, bodies: list[bytes]) -> None:
        self.bodies = bodies
        self.refused: Counter[str] = Counter()
        self._url = url
        self._secret = secret
        self._done = 0
        self._deadline = time.monotonic() + PATIENCE

    async def deliver_everything(self, postgres: Server, webhook: Server) -> None:
        """Deliver all, with the faults in between."""
        limits = httpx.Limits(max_connections=AT_ONCE)
        async with httpx.AsyncClient(trust_env=False, timeout=20, limits=limits) as client:
            turns = asyncio.Semaphore(AT_ONCE)
            deliveries = asyncio.gather(*[self._deliver(client, turns, body) for body in self.bodies])
            faults = asyncio.gather(self._kill(webhook), self._take_away(postgres), self._cut_off())
            await deliveries
            await faults

    async def _deliver(self, client: httpx.AsyncClient, turns: asyncio.Semaphore, body: bytes) -> None:
        async with turns:
            again = random.random() < 0.1
            while not await self._try(client, body) or again:
                assert time.monotonic() < self._deadline, self.refused
                again = again and random.random() < 0.5
                await asyncio.sleep(random.random() * 0.1)
            self._done += 1

    async def _try(self, client: httpx.AsyncClient, body: bytes) -> bool:
        try:
            answer = await client.post(
                self._url, content=body, headers={"X-Hub-Signature-256": sign(body, self._secret)}
            )
        except httpx.TransportError:
            self.refused["no answer"] += 1
            return False
        if answer.status_code != 200:
            self.refused[str(answer.status_code)] += 1
        return answer.status_code == 200

    async def _until(self, share: float) -> None:
        while self._done < share * len(self.bodies):  # noqa: ASYNC110 - looked at, not waited for
            await asyncio.sleep(0.01)

    async def _kill(self, webhook: Server) -> None:
        for kill in range(KILLS):
            await self._until((kill + 0.5) / (KILLS + 1))
            await asyncio.to_thread(webhook.end, signal.SIGKILL)
            await asyncio.to_thread(webhook.start)

    async def _take_away(self, postgres: Server) -> None:
        """Stop the database for two seconds, and cut all its connections another time."""
        await self._until(0.35)
        await asyncio.to_thread(postgres.end, signal.SIGINT)
        await asyncio.sleep(2)
        await asyncio.to_thread(postgres.start)
        await self._until(0.75)
        await asyncio.to_thread(
            postgres.end, signal.SIGQUIT
        )  # at once, as in a crash: it recovers at the start
        await asyncio.to_thread(postgres.start)

    async def _cut_off(self) -> None:
        """Begin deliveries that end in the middle of their body."""
        address = urlsplit(self._url)
        for number, body in enumerate(random.sample(self.bodies, 40)):
            await self._until(number / 50)
            head = (
                f"POST {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: {len(body)}\r\n"
                f"X-Hub-Signature-256: {sign(body, self._secret)}\r\n\r\n"
            )
            await asyncio.to_thread(_send_and_go, address.port, head.encode() + body[: len(body) // 2])


def _send_and_go(port: int | None, data: bytes) -> None:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port or 0), timeout=5) as connection:
        connection.sendall(data)


def _deliveries(tenants: list[Tenant]) -> list[bytes]:
    """Write messages, pictures and statuses of several organizations, one to five in a delivery."""
    bodies, number = [], 0
    for nr in range(DELIVERIES):
        tenant = tenants[nr % len(tenants)]
        messages = []
        for _ in range(random.randint(1, 5)):
            number += 1
            sender = f"1555010{random.randint(0, 49):04d}"
            if number % 7 == 0:
                image = {"id": f"7{number}", "mime_type": "image/jpeg", "sha256": ""}
                messages.append(wire.message("image", image, number=number, sender=sender))
            else:
                messages.append(wire.text_message(f"Mensaje {number}", number=number, sender=sender))
        statuses = [wire.status(word, number=10**9 + number) for word in ("sent", "delivered")]
        value = wire.value(phone_number_id=tenant.phone_number_id, messages=messages, statuses=statuses)
        bodies.append(wire.to_wire(wire.delivery(value, waba_id=tenant.waba_id)))
    return bodies


def _expected(bodies: list[bytes]) -> dict[str, int]:
    whole = b"".join(bodies)
    messages, images = whole.count(b'"type":'), whole.count(b'"type":"image"')
    return {
        "deliveries": len(bodies),
        "messages": messages,
        "different messages": messages,
        "unread": messages,
        "pictures": images,
        "jobs to fetch them": images,
        "statuses": 2 * len(bodies),
        "problems": 0,
    }


def _stored(connection: Connection) -> dict[str, int]:
    queries = {
        "deliveries": "select count(*) from webhook_events",
        "messages": "select count(*) from messages",
        "different messages": "select count(distinct wamid) from messages",
        "unread": "select sum(unread_count) from chats",
        "pictures": "select count(*) from message_media",
        "jobs to fetch them": "select count(*) from jobs where kind = 'fetch_media'",
        "statuses": "select count(sent_at) + count(delivered_at) from message_receipts",
        "problems": "select count(*) from webhook_problems",
    }
    return {
        name: (connection.execute(query.encode()).fetchone() or [0])[0] for name, query in queries.items()
    }


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            connection.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def _is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False, timeout=2).status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
