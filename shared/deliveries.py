"""A signed delivery on its way into the database: one RPC for all of it, all or nothing. An edge.

Whoever calls this has proven the signature. With a queue (`WEBHOOK_QUEUE_URL`) the delivery waits there until
a worker stores it, so that the acknowledgement does not depend on the database. What we cannot read, or the
database cannot hold, is kept raw.
"""

from __future__ import annotations

import base64
import hashlib
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared import log
from shared.errors import (
    AppError,
    DatabaseUnavailable,
    Forbidden,
    Misconfigured,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from shared.webhooks import parse_delivery

if TYPE_CHECKING:
    from shared.web import Resources

# Meta waits for five to ten seconds (unpublished); an honest 503 within that is repeated, a late 200 is too.
SECONDS = 8.0
# These say nothing about what was delivered (a wrong key, a schema that PostgREST does not know yet, a
# gateway), and may be over at the next attempt: no delivery is put aside for them.
NOT_OF_CONTENT = (Forbidden, Misconfigured, NotFound, TooManyRequests, Unauthorized)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What became of a delivery."""

    event_id: int
    state: str
    is_duplicate: bool
    items: int
    problems: int
    refused: list[dict[str, str]] = field(default_factory=list)
    organization_ids: list[str] = field(default_factory=list)


async def keep_delivery(resources: Resources, body: bytes, *, source: str | None) -> None:
    """Keep a delivery for good: in the queue where there is one and it fits, else in the database."""
    if resources.settings.has("WEBHOOK_QUEUE_URL"):
        from shared.delivery_queue import enqueue

        if await enqueue(resources.settings.webhook_queue_url, body, source=source):
            return
    await store_delivery(resources, body, source=source)


async def store_delivery(
    resources: Resources,
    body: bytes,
    *,
    source: str | None,
    received_at: float | None = None,
    is_replay: bool = False,
) -> Stored:
    """Store a delivery whole, with the rows that its items mean.

    `source` is the integration whose own app signed it, None for the platform's app; `received_at` is when it
    came (seconds since 1970), now unless it waited somewhere.
    Raise `Unavailable` when the database did not take it: then nothing may be acknowledged.
    """
    delivery = parse_delivery(body, received_at=received_at or time.time())
    params = {
        **_raw(body),
        "source": source,
        "parsed_items": delivery.items,
        "parse_problems": delivery.problems,
        "is_readable": delivery.is_readable,
        "is_replay": is_replay,
    }
    try:
        stored = Stored(**await _call(resources, params))
    except Unavailable:
        raise
    except NOT_OF_CONTENT as refusal:
        raise DatabaseUnavailable from refusal
    except AppError as refusal:
        log.error("delivery.not_storable", error=refusal, digest=params["body_digest"])
        stored = await _store_raw(resources, params, refusal)
    _tell(stored, source, None if is_replay else _lag_ms(delivery.items))
    return stored


async def _store_raw(resources: Resources, params: dict[str, Any], refusal: AppError) -> Stored:
    # Content that the database takes in no form must not come back for seven days: the bytes alone are kept.
    problem = {"path": "", "reason": f"not_storable: {refusal.code}", "item": None}
    raw = {**params, "parsed_items": [], "parse_problems": [problem], "is_readable": False}
    try:
        return Stored(**await _call(resources, raw))
    except AppError as second:
        # Not the content's fault, then. Meta will repeat it meanwhile.
        raise DatabaseUnavailable from second


async def _call(resources: Resources, params: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = await resources.database.call_rpc("store_delivery", params, seconds=SECONDS)
    return answer


def _raw(body: bytes) -> dict[str, str | None]:
    """Give the body as text where Postgres can hold it as such, else as bytes."""
    digest = hashlib.sha256(body).hexdigest()
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        return {"body_digest": digest, "body_text": None, "body_base64": base64.b64encode(body).decode()}
    return {"body_digest": digest, "body_text": text, "body_base64": None}


def _lag_ms(items: list[dict[str, Any]]) -> int | None:
    """Return how long ago, by Meta's clock, the newest of this happened; history is old by nature."""
    times = [
        item["occurred_at"] for item in items if item.get("occurred_at") and item.get("origin") != "history"
    ]
    if not times:
        return None
    return max(0, round((time.time() - datetime.fromisoformat(max(times)).timestamp()) * 1000))


def _tell(stored: Stored, source: str | None, lag_ms: int | None) -> None:
    log.info(
        "delivery.stored",
        event_id=stored.event_id,
        state=stored.state,
        is_duplicate=stored.is_duplicate,
        items=stored.items,
        problems=stored.problems,
        lag_ms=lag_ms,
        source=source,
        organization_ids=stored.organization_ids,
    )
    if stored.refused:
        log.warning(
            "delivery.refused_items",
            event_id=stored.event_id,
            source=source,
            refused=len(stored.refused),
            reasons=sorted({item["reason"] for item in stored.refused}),
        )
