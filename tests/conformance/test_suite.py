"""The suite passes a receiver that is right, and finds what is wrong with one that is not."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from local.conformance.command import main
from local.conformance.suite import Result, Suite, to_json, to_table
from tests.conformance.receivers import SECRET, VERIFY_TOKEN, Receiver

if TYPE_CHECKING:
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
