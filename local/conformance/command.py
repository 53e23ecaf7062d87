"""The command line of the suite. Edge: it runs commands that the caller gives."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from local.conformance.payloads import Maker
from local.conformance.suite import Act, Ask, Suite, to_json, to_table

if TYPE_CHECKING:
    from collections.abc import Sequence

_TIMEOUT = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; returns 0 only if no case failed."""
    wanted = _parser().parse_args(arguments)
    return asyncio.run(_run(wanted))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.conformance",
        description="Examine any receiver of WhatsApp webhooks. See docs/conformance.md.",
    )
    parser.add_argument("url", help="the webhook's URL")
    parser.add_argument("--secret", required=True, help="the app secret that signs")
    parser.add_argument("--verify-token", help="for the handshake; without it those cases are skipped")
    parser.add_argument("--waba-id", default=Maker.waba_id, help="an id that the receiver knows")
    parser.add_argument(
        "--phone-number-id", default=Maker.phone_number_id, help="an id that the receiver knows"
    )
    parser.add_argument("--display-phone-number", default=Maker.display_phone_number)
    stored = parser.add_mutually_exclusive_group()
    stored.add_argument("--stored-url", help="gets POST {ids: […]}, answers {counts: {id: n}}")
    stored.add_argument("--stored-command", help="the same, by standard input and output")
    parser.add_argument("--crash-command", help="kills the receiver and starts it again")
    parser.add_argument("--break-command", help="takes the receiver's store away")
    parser.add_argument("--mend-command", help="gives it back")
    parser.add_argument("--only", help="run the cases whose area or name holds this word")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    return parser


async def _run(wanted: argparse.Namespace) -> int:
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(timeout=_TIMEOUT, limits=limits) as client:
        suite = Suite(
            url=wanted.url,
            secret=wanted.secret,
            client=client,
            verify_token=wanted.verify_token,
            maker=Maker(
                waba_id=wanted.waba_id,
                phone_number_id=wanted.phone_number_id,
                display_phone_number=wanted.display_phone_number,
            ),
            ask=_ask(wanted, client),
            crash=_act(wanted.crash_command),
            break_store=_act(wanted.break_command),
            mend_store=_act(wanted.mend_command),
        )
        results = await suite.run(wanted.only)
    print(to_table(results))
    if wanted.json is not None:
        wanted.json.write_text(to_json(results))
    return int(any(result.outcome == "failed" for result in results))


def _ask(wanted: argparse.Namespace, client: httpx.AsyncClient) -> Ask | None:
    if wanted.stored_url:

        async def by_url(keys: list[str]) -> dict[str, int]:
            answer = await client.post(wanted.stored_url, json={"ids": keys})
            answer.raise_for_status()
            return dict(answer.json()["counts"])

        return by_url
    if wanted.stored_command:

        async def by_command(keys: list[str]) -> dict[str, int]:
            told = await _shell(wanted.stored_command, json.dumps({"ids": keys}).encode())
            return dict(json.loads(told)["counts"])

        return by_command
    return None


def _act(command: str | None) -> Act | None:
    if command is None:
        return None

    async def act() -> None:
        await _shell(command)

    return act


async def _shell(command: str, given: bytes = b"") -> bytes:
    process = await asyncio.create_subprocess_shell(
        command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate(given)
    if process.returncode:
        raise SystemExit(f"{command!r} failed with exit code {process.returncode}.")
    return told
