"""Real payloads, signed and posted as Meta does: each becomes the rows that it means, once."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from shared.signatures import sign
from shared.webhooks import parse_delivery
from tests import expectations
from tests.database.tenants import snapshot
from tests.stack.retarget import Retarget, each_dict, rename_messages
from tests.wire import to_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    import psycopg

    from local.stack import Stack

    Connection = psycopg.Connection[tuple[Any, ...]]
    Json = dict[str, Any]
    Post = Callable[[Sequence[bytes]], list[httpx.Response]]

# Items of one payload that are one row.
TWICE = {("duplicate", "message"): 1, ("constructed_batch_same_message_id_twice", "message"): 1}

FILES = sorted([*expectations.SAMPLES.glob("*.json"), *expectations.CORPUS.glob("*.json")])


@pytest.fixture
def post(stack: Stack) -> Post:
    """Post bodies one after the other, each signed by the platform's app."""
    secret = stack.variables["WHATSAPP_APP_SECRET"]
    url = stack.variables["FUNCTIONS_URL"] + "/whatsapp-webhook"

    def post_all(bodies: Sequence[bytes]) -> list[httpx.Response]:
        with httpx.Client(trust_env=False, timeout=30) as client:
            return [client.post(url, content=body, headers=_signed(body, secret)) for body in bodies]

    return post_all


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_payload_becomes_the_rows_that_it_means(database: Connection, post: Post, file: Path) -> None:
    ours = Retarget(database)
    payload = ours.turn(json.loads(file.read_text()))
    body = to_wire(payload)

    answers = post([body, body])

    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"received": True})] * 2
    stored = [snapshot(database, tenant) for tenant in ours.tenants]
    assert _counts(stored) == _meaning(file)


def test_every_way_of_delivering_them_ends_in_the_same_rows(
    database: Connection, stack: Stack, post: Post
) -> None:
    """Once; twice; in reverse; eight at a time; and as one batch a tenant."""
    payloads = [
        rename_messages(json.loads(file.read_text()), f".{nr}")
        for nr, file in enumerate(FILES)
        if _is_dated(file)
    ]

    once = _deliver(database, payloads, post)
    twice = _deliver(database, payloads, lambda bodies: post([*bodies, *bodies]))
    backwards = _deliver(database, payloads, lambda bodies: post([*reversed(bodies)]))
    at_once = _deliver(database, payloads, lambda bodies: asyncio.run(_post_together(stack, bodies)))
    batched = _deliver(database, payloads, post, merge=True)

    assert _differences(twice, once) == []
    assert _differences(backwards, once) == []
    assert _differences(at_once, once) == []
    assert _differences(batched, once) == []


def _is_dated(file: Path) -> bool:
    """Tell whether Meta dates all of it: what it does not is dated by its arrival, different each time."""
    return all(item["occurred_at"] for item in parse_delivery(file.read_bytes()).items)


def _differences(stored: list[dict[str, Any]], expected: list[dict[str, Any]]) -> list[str]:
    """Name the rows that are not in both."""
    assert len(stored) == len(expected)
    return [
        f"{name} {sign_} {row}"
        for ours, theirs in zip(stored, expected, strict=True)
        for name in theirs
        for sign_, rows, others in (("+", ours[name], theirs[name]), ("-", theirs[name], ours[name]))
        for row in rows
        if row not in others
    ]


def _deliver(
    database: Connection, payloads: Iterable[Json], post: Post, *, merge: bool = False
) -> list[dict[str, Any]]:
    ours = Retarget(database)
    turned = [ours.turn(payload) for payload in payloads]
    if merge:
        named: dict[str, list[Json]] = {}
        for payload in turned:
            for entry in each_dict(payload.get("entry")):
                named.setdefault(str(entry.get("id")), []).append(entry)
        turned = [{"object": "whatsapp_business_account", "entry": group} for group in named.values()]
    answers = post([to_wire(payload) for payload in turned])
    assert {answer.status_code for answer in answers} == {200}
    return [_without_ids(snapshot(database, tenant), ours) for tenant in ours.tenants]


def _without_ids(stored: dict[str, Any], ours: Retarget) -> dict[str, Any]:
    """Put places for the ids that are different each time."""
    text = json.dumps(stored)
    for place, tenant in enumerate(ours.tenants):
        text = text.replace(tenant.phone_number_id, f"number {place}").replace(
            tenant.waba_id, f"account {place}"
        )
    anonymous: dict[str, Any] = json.loads(text)
    return anonymous


async def _post_together(stack: Stack, bodies: Sequence[bytes]) -> list[httpx.Response]:
    secret = stack.variables["WHATSAPP_APP_SECRET"]
    url = stack.variables["FUNCTIONS_URL"] + "/whatsapp-webhook"
    eight = asyncio.Semaphore(8)
    shuffled = random.sample([*bodies, *bodies], 2 * len(bodies))

    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:

        async def post(body: bytes) -> httpx.Response:
            async with eight:
                return await client.post(url, content=body, headers=_signed(body, secret))

        return await asyncio.gather(*[post(body) for body in shuffled])


def _signed(body: bytes, secret: str) -> dict[str, str]:
    return {"X-Hub-Signature-256": sign(body, secret), "Content-Type": "application/json"}


def _counts(stored: list[dict[str, Any]]) -> dict[str, int]:
    """Count the rows by kind."""
    return {
        "messages": sum(len(each["messages"]) for each in stored),
        "statuses": sum(_times(receipt) for each in stored for receipt in each["receipts"]),
        "notices": sum(len(each["notices"]) for each in stored),
        "templates": sum(len(each["templates"]) for each in stored),
    }


def _times(receipt: list[Any]) -> int:
    _wamid, *times, _error, _pricing, others = receipt
    return sum(time is not None for time in times) + len(others)


def _meaning(file: Path) -> dict[str, int]:
    """Count what the table of expectations says of a file, and take off what it says twice."""
    table = "samples" if file.parent == expectations.SAMPLES else "corpus"
    kinds = [line.partition(" ")[0] for line in expectations.load(table)[file.name]["items"]]
    said = {"messages": "message", "statuses": "status", "notices": "notice", "templates": "template"}
    return {name: kinds.count(kind) - TWICE.get((file.stem, kind), 0) for name, kind in said.items()}
