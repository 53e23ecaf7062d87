"""List, retry and drop jobs.

    python -m functions.worker jobs                              how many of each kind wait, run, are dead
    python -m functions.worker jobs list --state dead
    python -m functions.worker jobs retry 4711 4712
    python -m functions.worker jobs retry --kind fetch_media     all dead ones of a kind
    python -m functions.worker jobs drop 4711

It takes SUPABASE_URL and SUPABASE_SECRET_KEY from the environment.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any
from uuid import UUID

from shared.errors import AppError
from shared.web import Resources

if TYPE_CHECKING:
    from collections.abc import Sequence

NEED = ("SUPABASE_URL", "SUPABASE_SECRET_KEY")
STATES = ("ready", "running", "done", "dead")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    parser = _parser()
    wanted = parser.parse_args(arguments)
    if wanted.command in {"retry", "drop"} and not wanted.ids and not wanted.kind:
        parser.error(f"{wanted.command}: name the jobs by their ids, or give --kind")
    try:
        asyncio.run(_run(wanted))
    except AppError as refusal:
        print(refusal, file=sys.stderr)  # noqa: T201 - a command talks to whoever called it
        return 1
    return 0


async def _run(wanted: argparse.Namespace) -> None:
    resources = Resources(None, NEED, None)
    try:
        match wanted.command:
            case "list":
                params = {
                    "states": wanted.state,
                    "kinds": wanted.kind,
                    "organization": str(wanted.organization) if wanted.organization else None,
                    "most": wanted.most,
                }
                _show(await resources.database.call_rpc("list_jobs", params), _line_of_job, wanted.json)
            case "retry" | "drop":
                params = {"ids": wanted.ids or None, "kinds": wanted.kind}
                count = await resources.database.call_rpc(f"{wanted.command}_jobs", params)
                print(f"{count} jobs")  # noqa: T201
            case _:
                _show(await resources.database.call_rpc("count_jobs", {}), _line_of_count, wanted.json)
    finally:
        await resources.close()


def _show(rows: list[dict[str, Any]], line_of: Any, is_json: bool) -> None:  # noqa: FBT001 - a switch of the command line
    if is_json:
        print(json.dumps(rows, indent=2))  # noqa: T201
        return
    for row in rows:
        print(line_of(row))  # noqa: T201
    if not rows:
        print("none")  # noqa: T201


def _line_of_job(job: dict[str, Any]) -> str:
    tries = f"{job['attempts']}/{job['max_attempts']}"
    error = f"  {job['last_error']}" if job["last_error"] else ""
    when = job["run_at"][:19]
    return f"{job['id']:>8}  {job['state']:<8}{job['kind']:<20}{tries:<8}{when}  {job['key']}{error}"


def _line_of_count(row: dict[str, Any]) -> str:
    return f"{row['kind']:<20}{row['state']:<8}{row['jobs']:>8}  since {row['oldest'][:19]}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m functions.worker jobs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    listing = commands.add_parser("list", help="show jobs, the newest first")
    listing.add_argument("--state", choices=STATES, action="append", help="in this state; may be repeated")
    listing.add_argument("--organization", type=UUID, help="of this organization")
    listing.add_argument("--most", type=int, default=50, metavar="N", help="so many at most (default: 50)")
    retrying = commands.add_parser("retry", help="let dead jobs live again, and do waiting ones now")
    dropping = commands.add_parser("drop", help="let nobody do these jobs")
    for each in (retrying, dropping):
        each.add_argument("ids", type=int, nargs="*", metavar="ID", help="the jobs")
    for each in (listing, retrying, dropping):
        each.add_argument("--kind", action="append", help="of this kind; may be repeated")
    return parser
