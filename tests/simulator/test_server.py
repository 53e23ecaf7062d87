"""The simulator behind a port: what only a real connection shows."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
APP = {"WHATSAPP_APP_ID": "900000000000009", "WHATSAPP_APP_SECRET": "secret"}

pytestmark = pytest.mark.slow


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
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
        subprocess.Popen(command, cwd=ROOT, env=APP, stderr=subprocess.PIPE, text=True) as process,
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


def test_cut_connection_looks_like_one_and_the_message_was_accepted(client: httpx.Client) -> None:
    """Before: nothing came of the call. After: it was obeyed, and only the answer is lost."""
    made = client.post("/_simulator/businesses", json={"name": "Bodega"}).json()
    path, headers = (
        f"/{made['phone_number_id']}/messages",
        {"Authorization": f"Bearer {made['access_token']}"},
    )
    body = {"messaging_product": "whatsapp", "to": "15550100001", "text": {"body": "x"}}
    for moment in ("before", "after"):
        client.post("/_simulator/faults", json={"edge": "messages", "cut": moment, "times": 1})

    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(path, json=body, headers=headers)
    sent = client.get("/_simulator/messages").json()["data"]
    again = client.post(path, json=body, headers=headers)

    assert [message["direction"] for message in sent] == ["outgoing"]
    assert again.status_code == 200
    assert made["app_id"] == APP["WHATSAPP_APP_ID"]


def test_events_are_streamed(client: httpx.Client) -> None:
    """The live log sends what happens as server-sent events."""
    client.post("/_simulator/businesses", json={"name": "Bodega"})
    with client.stream("GET", "/_simulator/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        httpx.post(
            f"{client.base_url}/_simulator/customers/messages",
            json={"text": {"body": "hola"}},
            trust_env=False,
        )
        kinds = [line for _, line in zip(range(6), lines, strict=False) if line.startswith("event: ")]

    assert kinds[:2] == ["event: delivery", "event: message"]
