"""The suite passes a receiver that is right, and finds what is wrong with one that is not."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from local.conformance.command import main
from local.conformance.suite import Result, Suite, to_json, to_table
from tests.conformance.receivers import SECRET, VERIFY_TOKEN, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


async def examine(receiver: Receiver, wanted: str | None = None) -> list[Result]:
    """Run the suite against a receiver inside the test."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(receiver)) as client:
        suite = Suite(
            url="http://receiver.test/webhook",
            secret=SECRET,
            client=client,
            verify_token=VERIFY_TOKEN,
            ask=receiver.count,
            crash=receiver.crash,
            break_store=receiver.break_store,
            mend_store=receiver.mend_store,
            settle_seconds=0.0,
        )
        return await suite.run(wanted)


async def test_right_receiver_passes_every_case() -> None:
    results = await examine(Receiver())

    assert [result for result in results if result.outcome != "passed"] == []
    assert len(results) > 70


@pytest.mark.parametrize(
    "fault, found",
    [
        ("takes any token", "a wrong verify token is refused"),
        ("no signature check", "no signature is refused"),
        ("tells the signature", "a shortened signature is refused"),
        ("parses before verifying", "the bytes are verified, not their meaning"),
        ("falls over bad JSON", "signed, but no JSON"),
        ("reads the first only", "a thousand messages in one delivery"),
        ("keeps duplicates", "the same delivery three times"),
        ("acknowledges before storing", "nothing is acknowledged while the store is down"),
    ],
)
async def test_fault_is_found(fault: str, found: str) -> None:
    """Each way to be wrong fails the case that is about it."""
    results = await examine(Receiver(faults=frozenset({fault})), found)

    assert [result.outcome for result in results] == ["failed"]


async def test_what_cannot_be_asked_is_skipped() -> None:
    """Without ways to break the receiver those cases are skipped, and nothing fails."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(Receiver())) as client:
        suite = Suite(url="http://receiver.test/", secret=SECRET, client=client)
        results = await suite.run()

    skipped = [result.area for result in results if result.outcome == "skipped"]
    assert set(skipped) == {"handshake", "trouble"}
    assert not any(result.outcome == "failed" for result in results)


async def test_results_are_a_table_and_json() -> None:
    results = await examine(Receiver(), "speed")

    assert "✓ a POST is not redirected" in to_table(results)
    assert to_table(results).endswith("2 passed, 0 failed, 0 skipped")
    assert json.loads(to_json(results))["results"][0]["outcome"] == "passed"


def test_command_asks_by_a_command_and_fails_where_nobody_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody listens: every case fails, and the exit code says so."""
    file = tmp_path / "results.json"

    code = main(
        [
            "http://127.0.0.1:9/",
            "--secret",
            SECRET,
            "--only",
            "signed delivery",
            "--stored-command",
            f"{sys.executable} -c 'print(1)'",
            "--json",
            str(file),
        ]
    )

    assert code == 1
    assert "✗ a signed delivery is acknowledged" in capsys.readouterr().out
    assert json.loads(file.read_text())["results"][0]["outcome"] == "failed"


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The right receiver behind a port, and the file in which it keeps the ids."""
    receiver, kept = Receiver(), tmp_path / "kept.json"

    turn = threading.Lock()

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, content: bytes = b"") -> None:
            request = httpx.Request(
                self.command, f"http://receiver.test{self.path}", headers=self._pairs(), content=content
            )
            with turn:
                answer = asyncio.run(receiver(request))
                kept.write_text(json.dumps(receiver.messages))
            self.send_response(answer.status_code)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def _pairs(self) -> list[tuple[bytes, bytes]]:
            # The parser of the standard library reads header bytes as Latin-1 and names as they come.
            names = {"x-hub-signature-256": b"X-Hub-Signature-256"}
            return [
                (names.get(name.lower(), name.encode()), value.encode("latin-1"))
                for name, value in self.headers.items()
            ]

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_arguments: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/webhook", kept
    server.shutdown()
    server.server_close()


COUNT = """
import json, sys
kept = json.load(open(sys.argv[1]))
print(json.dumps({"counts": {key: kept.get(key, 0) for key in json.load(sys.stdin)["ids"]}}))
"""


@pytest.mark.slow
def test_command_examines_a_running_receiver_and_asks_what_it_stored(
    running: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As another project would use it: a URL, a secret, and a command that counts."""
    url, kept = running
    script = tmp_path / "count.py"
    script.write_text(COUNT)
    stored = f"{sys.executable} {script} {kept}"

    code = main(
        [
            *(url, "--secret", SECRET, "--verify-token", VERIFY_TOKEN, "--stored-command", stored),
            *("--break-command", "true", "--mend-command", "true", "--crash-command", "true"),
        ]
    )

    told = capsys.readouterr().out
    # How fast a machine is that others use as well says nothing here.
    assert "✗" not in told.replace("✗ a hundred deliveries", ""), told
    assert code in (0, 1)
    assert "✓ nothing is lost and nothing doubled when the receiver dies" in told
