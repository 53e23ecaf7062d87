"""The command line and the page: what people use."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from local.graph.commands import CHANGES, EVENTS, main

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

ROOT = Path(__file__).resolve().parents[2]


class TenLines(BaseHTTPRequestHandler):
    """The receiver that a newcomer writes."""

    bodies: list[bytes]

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(parse_qs(urlsplit(self.path).query)["hub.challenge"][0].encode())

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[bytes]]]:
    """A running receiver: its URL, and what it got."""
    TenLines.bodies = []
    server = HTTPServer(("127.0.0.1", 0), TenLines)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/webhook", TenLines.bodies
    server.shutdown()
    server.server_close()


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found: int = free.getsockname()[1]
        return found


@pytest.mark.slow
def test_newcomer_gets_a_signed_message_into_a_receiver(
    webhook: tuple[str, list[bytes]], port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """`listen` starts a simulator and verifies the callback; `trigger` lets a customer write."""
    url, bodies = webhook
    command = [sys.executable, "-m", "local.graph", "listen", url, "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = [process.stdout.readline() for _ in range(5)]
            code = main(["trigger", "text", "--body", "¿Pan?", "--graph", f"http://127.0.0.1:{port}"])
            shown = next(line for line in process.stdout if line.startswith("←"))
        finally:
            process.terminate()

    assert code == 0
    assert told[0].startswith(f"Webhooks go to {url}, signed with")
    assert "200 delivered messages sha256=" in shown
    assert json.loads(bodies[0])["entry"][0]["changes"][0]["value"]["messages"][0]["text"] == {
        "body": "¿Pan?"
    }
    assert capsys.readouterr().out.startswith("wamid.")


@pytest.mark.slow
def test_receiver_that_fails_the_handshake_is_named(port: int) -> None:
    command = [sys.executable, "-m", "local.graph", "listen", "http://127.0.0.1:9/", "--port", str(port)]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)

    assert ran.returncode == 1
    assert "did not pass the handshake" in ran.stdout


def test_trigger_without_a_simulator_says_so(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trigger", "text", "--graph", f"http://127.0.0.1:{port}"]) == 1
    assert "does not answer" in capsys.readouterr().out


async def test_every_event_can_be_triggered(
    anonymous: httpx.AsyncClient, business: dict[str, Any], simulator: Any, receiver: Any
) -> None:
    """Each event of the command line is something that the control API takes and delivers."""
    number = {"phone_number_id": business["phone_number_id"]}
    for content in EVENTS.values():
        sender = {"from": {"phone_number": "15550100001"}}
        answer = await anonymous.post("/_simulator/customers/messages", json={**number, **sender, **content})
        assert answer.status_code == 201, answer.text
    for field, value in CHANGES.values():
        body = {**number, "field": field, "value": value}
        assert (await anonymous.post("/_simulator/events", json=body)).status_code == 201
    assert await simulator.settle()

    assert len(receiver.payloads) == len(EVENTS) + len(CHANGES)


async def test_page_lets_nothing_else_in(anonymous: httpx.AsyncClient) -> None:
    """The page comes with a strict policy; its script and style are there; nothing else is."""
    shown = await anonymous.get("/_simulator")
    script = await anonymous.get("/_simulator/page/app.js")
    other = await anonymous.get("/_simulator/page/..%2Fapp.py")

    assert shown.status_code == 200
    assert shown.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<script src=" in shown.text
    assert "innerHTML" not in script.text
    assert other.status_code == 404


async def test_page_of_another_site_cannot_drive_the_simulator(anonymous: httpx.AsyncClient) -> None:
    foreign = await anonymous.post("/_simulator/reset", headers={"Origin": "https://evil.test"})
    own = await anonymous.post("/_simulator/reset", headers={"Origin": "http://graph.test"})

    assert foreign.status_code == 403
    assert own.status_code == 200


@pytest.mark.slow
def test_taken_port_is_named(port: int) -> None:
    command = [sys.executable, "-m", "local.graph", "listen", "http://127.0.0.1:9/", "--port", str(port)]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)

    assert ran.returncode == 1
    assert f"Port {port} is taken" in ran.stderr
