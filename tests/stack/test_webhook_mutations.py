"""Damaged but genuine deliveries, through the real webhook into the real database.

`DELIVERY_MUTATIONS` says how many are tried (default 20,000), `WEBHOOK_MUTATIONS_SEED` which. Many go into
one delivery, as Meta batches them: a poison item then stands among others that it must not hurt.
"""

from __future__ import annotations

import hashlib
import os
import random
import resource
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from functions.webhook.handler import create
from shared.signatures import sign
from shared.webhooks import parse_delivery
from tests import wire
from tests.database.tenants import make_tenant
from tests.mutations import mutated, payloads
from tests.stack.retarget import Retarget

if TYPE_CHECKING:
    import psycopg

    from local.stack import Stack
    from tests.database.tenants import Tenant

    Connection = psycopg.Connection[tuple[Any, ...]]

COUNT = int(os.environ.get("DELIVERY_MUTATIONS", "20000"))
SEED = int(os.environ.get("WEBHOOK_MUTATIONS_SEED", "20261124"))
BATCH = 40
MOST_GROWTH_KIB = 40_000
SENTINEL = 77


@pytest.mark.slow
async def test_nothing_signed_is_refused_or_lost(stack: Stack, database: Connection) -> None:
    tenant = make_tenant(database)
    rng = random.Random(SEED)
    ours = Retarget(database)
    good = [ours.turn(payload) for payload in payloads()]
    secret = stack.variables["WHATSAPP_APP_SECRET"]
    app = create(stack.variables)
    statuses: list[int] = []
    bodies: list[bytes] = []
    peak_after_warming = 0

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://webhook") as client:
        for nr in range(0, COUNT, BATCH):
            for body in _bodies([mutated(rng, rng.choice(good)) for _ in range(BATCH)], tenant, nr):
                answer = await client.post(
                    "/", content=body, headers={"X-Hub-Signature-256": sign(body, secret)}
                )
                statuses.append(answer.status_code)
                bodies.append(body)
            if nr <= COUNT // 4:
                peak_after_warming = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await app.resources.close()

    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_after_warming
    assert set(statuses) == {200}, f"seed {SEED}"
    assert [body for body in bodies if not _is_whole(database, body)] == [], f"seed {SEED}"
    assert _unhurt(database, tenant) == len(range(0, COUNT, BATCH))
    # What it remembers of the bodies is this test's own.
    assert grown - sum(map(len, bodies)) // 1024 < MOST_GROWTH_KIB


def _bodies(broken: list[Any], tenant: Tenant, nr: int) -> list[bytes]:
    """Put what still has entries into one delivery with a sound message at its end; the rest stands alone."""
    together = [
        payload for payload in broken if isinstance(payload, dict) and isinstance(payload.get("entry"), list)
    ]
    alone = [payload for payload in broken if payload not in together]
    sound = wire.value(
        phone_number_id=tenant.phone_number_id,
        messages=[wire.text_message("Ileso", number=10**9 + nr, sender="15550107777")],
    )
    entries = [entry for payload in together for entry in payload["entry"]]
    batch = {
        "object": "whatsapp_business_account",
        "entry": [*entries, *wire.delivery(sound, waba_id=tenant.waba_id)["entry"]],
    }
    return [wire.to_wire(payload) for payload in (batch, *alone)]


def _is_whole(database: Connection, body: bytes) -> bool:
    """Tell whether each item that the parser sees is stored or put aside, and the body kept as it came."""
    row = database.execute(
        """
        select
            e.item_count, coalesce(convert_to(e.body, 'UTF8'), e.body_bytes),
            array(select p.path from webhook_problems as p where p.event_id = e.id)
        from webhook_events as e where e.digest = %s
        """,
        (hashlib.sha256(body).hexdigest(),),
    ).fetchone()
    if row is None:
        return False
    stored, kept, aside = row
    delivery = parse_delivery(body)
    expected = [item for item in delivery.items if item["path"] not in aside]
    named = {problem["path"] for problem in delivery.problems}
    return bool(kept == body and stored >= len(expected) and named <= set(aside))


def _unhurt(database: Connection, tenant: Tenant) -> int:
    row = database.execute(
        "select count(*) from messages where organization_id = %s and text = 'Ileso'",
        (tenant.organization_id,),
    ).fetchone()
    assert row is not None
    count: int = row[0]
    return count
