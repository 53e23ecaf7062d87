"""How many messages a second the simulator takes, and how many deliveries it sends.

Three processes share the machine: the simulator as people start it, a receiver, and this one, which asks.
Client and receiver speak bare HTTP/1.1, so that what is measured is the simulator.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from multiprocessing import Process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.result import ROOT, Result, Table, main

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.result import Cell

GRAPH_PORT, RECEIVER_PORT = 18471, 18472
CONNECTIONS = 32
METHOD = """\
The simulator as people start it, one process; a receiver that answers 200 to everything; a client with 32 \
connections that makes {count} calls of each kind.
All three share the machine, so the rates are what is left for the simulator; its processor time is not.
"""
GRAPH = f"http://127.0.0.1:{GRAPH_PORT}"


class Receiver(asyncio.Protocol):
    """Answers 200 to every request, without looking at it."""

    def __init__(self) -> None:
        self.kept = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self.kept += data
        while (end := self.kept.find(b"\r\n\r\n")) >= 0:
            head = self.kept[:end].lower()
            start = head.find(b"content-length:")
            length = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
            if len(self.kept) < end + 4 + length:
                return
            self.kept = self.kept[end + 4 + length :]
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")  # type: ignore[attr-defined]


def receive() -> None:
    """Run the receiver."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", RECEIVER_PORT)
        await server.serve_forever()

    asyncio.run(run())


def control(path: str, body: dict[str, Any] | None = None, method: str = "POST") -> dict[str, Any]:
    """Call the control API."""
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{GRAPH}/_simulator{path}", json.dumps(body or {}).encode(), method=method
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.load(answer)  # type: ignore[no-any-return]


async def ask(requests: list[bytes]) -> float:
    """Make the calls over several connections; return the seconds that it took."""
    waiting = iter(requests)
    started = time.perf_counter()

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", GRAPH_PORT)
        for request in waiting:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
            body = await reader.readexactly(length)
            if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
                raise RuntimeError(body.decode())
        writer.close()

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return time.perf_counter() - started


def post(path: str, body: dict[str, Any], token: str = "") -> bytes:
    """Write a request."""
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def wait_for_deliveries(count: int) -> None:
    """Wait until so many deliveries have arrived."""
    while True:
        if control("/health", method="GET")["deliveries"]["delivered"] >= count:
            return
        time.sleep(0.02)


def measure(*, is_full: bool, tell: Callable[[str], None]) -> Result:
    """Ask the simulator for messages with and without statuses, and let customers write."""
    count = 20_000 if is_full else 5_000
    receiver = Process(target=receive, daemon=True)
    receiver.start()
    environ = {**os.environ, "WHATSAPP_APP_ID": "1", "WHATSAPP_APP_SECRET": "s"}
    environ["WHATSAPP_WEBHOOK_URL"] = f"http://127.0.0.1:{RECEIVER_PORT}/"
    command = [sys.executable, "-m", "local.graph", "--port", str(GRAPH_PORT)]
    with subprocess.Popen(command, env=environ, cwd=ROOT) as simulator:
        try:
            rows = _measure(count, simulator.pid, tell)
        finally:
            simulator.terminate()
            receiver.terminate()
    return Result(
        name="simulator",
        title="The simulator",
        method=METHOD.format(count=count),
        tables=[
            Table(
                title="What one process of the simulator does",
                columns=["what", "messages/s", "deliveries/s", "processor µs a message"],
                rows=rows,
            )
        ],
    )


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used: a busy machine does not change it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _measure(count: int, pid: int, tell: Callable[[str], None]) -> list[list[Cell]]:
    tell("the simulator accepts messages")
    for _ in range(100):
        try:
            control("/health", method="GET")
            break
        except OSError:
            time.sleep(0.1)
    made = control("/businesses", {"name": "x", "throughput": "high", "subscribed": True})
    control("/settings", {"enforce_limits": False, "enforce_window": False, "statuses": []}, "PATCH")
    messages = [
        post(
            f"/v26.0/{made['phone_number_id']}/messages",
            {"messaging_product": "whatsapp", "to": f"1555{n % 5000:07d}", "text": {"body": f"hola {n}"}},
            made["access_token"],
        )
        for n in range(count)
    ]
    used = processor_seconds(pid)
    seconds = asyncio.run(ask(messages))
    used = processor_seconds(pid) - used
    rows: list[list[Cell]] = [["accepted without statuses", round(count / seconds), 0, _cost(used, count)]]
    tell("customers write")

    written = [
        post(
            "/_simulator/customers/messages",
            {"from": f"1555{n % 5000:07d}", "text": {"body": f"hola {n}"}},
        )
        for n in range(count)
    ]
    before = control("/health", method="GET")["deliveries"]["delivered"]
    used = processor_seconds(pid)
    started = time.perf_counter()
    asyncio.run(ask(written))
    wait_for_deliveries(before + count)
    seconds = time.perf_counter() - started
    used = processor_seconds(pid) - used
    rate = round(count / seconds)
    rows.append(["customers' messages delivered", rate, rate, _cost(used, count)])
    tell("messages with two statuses each")

    control("/settings", {"statuses": ["sent", "delivered"]}, "PATCH")
    before = control("/health", method="GET")["deliveries"]["delivered"]
    used = processor_seconds(pid)
    started = time.perf_counter()
    asyncio.run(ask(messages))
    wait_for_deliveries(before + 2 * count)
    seconds = time.perf_counter() - started
    used = processor_seconds(pid) - used
    rate = round(count / seconds)
    rows.append(["accepted, two statuses each", rate, 2 * rate, _cost(used, count)])
    return rows


def _cost(used: float, count: int) -> int:
    return round(used / count * 1e6)


if __name__ == "__main__":
    sys.exit(main(measure))
