"""Two JavaScript clients that others wrote for Meta, against the simulator behind a real port.

What they cannot do here: calls, flows' management and Kapso's own proxy; the simulator has no such edges.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.programs import find_node

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "node_modules" / "whatsapp-api-js").exists(), reason="npm ci was not run"),
]


@pytest.fixture
def graph_url() -> Iterator[str]:
    """The simulator as people start it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "-m", "local.graph", "--port", str(port)], cwd=ROOT) as process:
        try:
            for _ in range(400):
                try:
                    urllib.request.urlopen(f"{url}/_simulator/health").close()  # noqa: S310 - our own address
                    break
                except OSError:
                    time.sleep(0.05)
            yield url
        finally:
            process.terminate()


def test_every_call_and_delivery_works_in_both_clients(graph_url: str) -> None:
    """Each attempt of the script succeeds: sends, media, templates, profile, number, webhooks."""
    ran = subprocess.run(
        [str(find_node()), "tests/simulator/clients.mjs"],
        cwd=ROOT,
        env={**os.environ, "GRAPH_API_URL": graph_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    attempts = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [attempt for attempt in attempts if "error" in attempt] == []
    assert ran.returncode == 0, ran.stderr
    assert len(attempts) > 40
