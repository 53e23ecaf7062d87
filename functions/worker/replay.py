"""Store what was delivered once more: after an upgrade that reads more, or for a number connected since.

    python -m functions.worker.replay --state unassigned --state partial
    python -m functions.worker.replay --id 4711
    python -m functions.worker.replay --from 2026-11-01 --until 2026-11-02 --dry-run

Safe at any time and any number of times: what is stored already stays as it is. It takes the settings of the
webhook from the environment (SUPABASE_URL, SUPABASE_SECRET_KEY).
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from shared.deliveries import store_delivery
from shared.errors import AppError
from shared.web import Resources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from shared.deliveries import Stored

NEED = ("SUPABASE_URL", "SUPABASE_SECRET_KEY")
STATES = ("stored", "partial", "unassigned", "unreadable")
# Each event may be 3 MB.
PAGE_SIZE = 20


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    wanted = _parser().parse_args(arguments)
    resources = Resources(environ, NEED, None)
    try:
        return asyncio.run(replay(resources, wanted))
    except AppError as refusal:
        print(refusal, file=sys.stderr)  # noqa: T201 - a command talks to whoever called it
        return 1


async def replay(resources: Resources, wanted: argparse.Namespace) -> int:
    """Store each event that was asked for, one after the other, and say how it went."""
    states: Counter[str] = Counter()
    async for event in _events(resources, wanted):
        if wanted.dry_run:
            states[event["state"]] += 1
            print(f"event {event['id']}: {event['state']}, {len(_body(event))} bytes")  # noqa: T201
            continue
        stored = await store_again(resources, event)
        states[stored.state] += 1
        change = "" if stored.state == event["state"] else f" (was {event['state']})"
        print(f"event {event['id']}: {stored.state}{change}, {stored.items} items")  # noqa: T201
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "nothing"
    print(f"{'would replay' if wanted.dry_run else 'replayed'}: {told}")  # noqa: T201
    await resources.close()
    return 0


async def store_again(resources: Resources, event: Mapping[str, Any]) -> Stored:
    """Store one event of the ledger once more."""
    return await store_delivery(
        resources,
        _body(event),
        source=event["source_integration_id"],
        received_at=datetime.fromisoformat(event["received_at"]).timestamp(),
        is_replay=True,
    )


async def _events(resources: Resources, wanted: argparse.Namespace) -> AsyncIterator[dict[str, Any]]:
    last = wanted.after
    while True:
        params = {
            "after_id": last,
            "page_size": PAGE_SIZE,
            "event_ids": wanted.id,
            "states": wanted.state,
            "integration": str(wanted.integration) if wanted.integration else None,
            "received_from": wanted.received_from.isoformat() if wanted.received_from else None,
            "received_until": wanted.received_until.isoformat() if wanted.received_until else None,
        }
        page = await resources.database.call_rpc("list_webhook_events", params)
        for event in page or []:
            yield event
            last = event["id"]
        if not page or len(page) < PAGE_SIZE:
            return


def _body(event: Mapping[str, Any]) -> bytes:
    text: str | None = event["body"]
    return text.encode() if text is not None else base64.b64decode(event["body_base64"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m functions.worker.replay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--id", type=int, action="append", help="this event; may be given several times")
    parser.add_argument(
        "--state",
        choices=STATES,
        action="append",
        help="events that ended so; may be given several times (default: all)",
    )
    parser.add_argument("--integration", type=UUID, help="events of this connection, and those of nobody")
    parser.add_argument(
        "--from", dest="received_from", type=_time, metavar="TIME", help="received at or after, UTC"
    )
    parser.add_argument(
        "--until", dest="received_until", type=_time, metavar="TIME", help="received before, UTC"
    )
    parser.add_argument(
        "--after", type=int, default=0, metavar="ID", help="go on behind this event (default: the first)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be replayed")
    return parser


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
