"""A simulator inside the test, a business in it, and a receiver of its webhooks."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from local.graph import Clock, Settings, Simulator, create_simulator, wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

APP_ID, APP_SECRET, VERIFY_TOKEN = "900000000000001", "0123456789abcdef0123456789abcdef", "verify-me"
CALLBACK = "http://receiver.test/webhook"
SERVER_APP = {"WHATSAPP_APP_ID": "900000000000009", "WHATSAPP_APP_SECRET": "secret"}
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Receiver:
    """A webhook server as Meta wants it: it answers the handshake, checks signatures, keeps what it got."""

    secret: str = APP_SECRET
    verify_token: str = VERIFY_TOKEN
    answers: list[int] = field(default_factory=list)
    """The statuses of the next answers; 200 when there are none left."""
    requests: list[httpx.Request] = field(default_factory=list)
    payloads: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)
    """Paths of files that it serves as well, and with which status."""

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path in self.files:
            return httpx.Response(self.files[request.url.path])
        if request.method == "GET":
            if request.url.params.get("hub.verify_token") != self.verify_token:
                return httpx.Response(403)
            return httpx.Response(200, text=request.url.params["hub.challenge"])
        self.requests.append(request)
        status = self.answers.pop(0) if self.answers else 200
        if status == 0:
            raise httpx.ConnectError("refused", request=request)
        if status == 200:
            assert request.headers["x-hub-signature-256"] == wire.signature(self.secret, request.content)
            self.payloads.append(json.loads(request.content))
        return httpx.Response(status)

    def values(self, name: str = "messages") -> list[dict[str, Any]]:
        """Return the values of a field, in the order of their arrival."""
        return [
            change["value"]
            for payload in self.payloads
            for entry in payload["entry"]
            for change in entry["changes"]
            if change["field"] == name
        ]

    def statuses(self) -> list[dict[str, Any]]:
        """Return all statuses, in the order of their arrival."""
        return [status for value in self.values() for status in value.get("statuses", [])]

    def messages(self) -> list[dict[str, Any]]:
        """Return all messages, in the order of their arrival."""
        return [message for value in self.values() for message in value.get("messages", [])]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def simulator(receiver: Receiver) -> AsyncIterator[Simulator]:
    """A simulator whose deliveries reach the receiver, with short delays."""
    settings = Settings(
        sent_after=0.001, delivered_after=0.002, read_after=0.001, template_review_after=0.001
    )
    simulator = Simulator(
        seed=7,
        settings=settings,
        clock=Clock(),
        transport=httpx.MockTransport(receiver),
        base_url="http://graph.test",
    )
    simulator.set_platform_app(APP_ID, APP_SECRET, VERIFY_TOKEN, CALLBACK)
    yield simulator
    await simulator.close()


@pytest.fixture
def business(simulator: Simulator) -> dict[str, Any]:
    """A business whose app is subscribed; all its ids."""
    return simulator.create_business(name="Panadería", phone_number="15550100100", subscribed=True)


@pytest.fixture
async def anonymous(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    transport = httpx.ASGITransport(app=create_simulator(simulator))
    async with httpx.AsyncClient(transport=transport, base_url="http://graph.test") as client:
        yield client


@pytest.fixture
async def graph(simulator: Simulator, business: dict[str, Any]) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the business's token."""
    transport = httpx.ASGITransport(app=create_simulator(simulator))
    headers = {"Authorization": f"Bearer {business['access_token']}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://graph.test/v26.0", headers=headers
    ) as client:
        yield client


@pytest.fixture
def write(simulator: Simulator, business: dict[str, Any]) -> Callable[..., str]:
    """Let a customer write; returns the id of the message."""

    def write(sender: str = "15550100001", **wanted: Any) -> str:
        customer = simulator.create_customer(phone_number=sender, name="Ana")
        number = simulator.state.numbers[business["phone_number_id"]]
        return simulator.write_as_customer(number, customer, wanted or {"text": {"body": "hola"}}).id

    return write


def text_to(recipient: str, body: str = "hola", **more: Any) -> dict[str, Any]:
    """Return the body of a call that sends a text."""
    return {"messaging_product": "whatsapp", "to": recipient, "type": "text", "text": {"body": body}, **more}


@pytest.fixture
def text() -> Callable[..., dict[str, Any]]:
    return text_to


@pytest.fixture
def server(tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of a simulator with the environment's app and a state file."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "local.graph",
        "--port",
        str(port),
        "--state",
        str(tmp_path / "state.json"),
    ]
    with (
        subprocess.Popen(command, cwd=ROOT, env=SERVER_APP, stderr=subprocess.PIPE, text=True) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        try:
            for _ in range(400):
                try:
                    client.get("/_simulator/health")
                    break
                except httpx.ConnectError:
                    time.sleep(0.05)
            yield client
        finally:
            process.terminate()
            _, told = process.communicate()
            assert "Traceback" not in told
