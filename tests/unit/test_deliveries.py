"""What is put aside as unreadable, and what Meta is asked to repeat: the database's answers decide."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from shared.database import Database
from shared.deliveries import store_delivery
from shared.errors import DatabaseUnavailable
from shared.web import Resources
from tests import wire

STORED = {"event_id": 7, "state": "stored", "is_duplicate": False, "items": 1, "problems": 0}


class Once:
    """A PostgREST that refuses the first call, and takes whatever comes next."""

    def __init__(self, status: int, **error: str) -> None:
        self.refusal = httpx.Response(status, json=error)
        self.calls: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(json.loads(request.content))
        return self.refusal if len(self.calls) == 1 else httpx.Response(200, json=STORED)


async def store(answer: Once) -> None:
    resources = Resources({}, (), None)
    resources.database = Database(
        "http://supabase.test", None, "sb_secret_test", transport=httpx.MockTransport(answer)
    )
    body = wire.to_wire(wire.delivery(wire.value(messages=[wire.text_message("Hola")])))
    try:
        await store_delivery(resources, body, source=None)
    finally:
        await resources.close()


@pytest.mark.parametrize(
    "answer",
    [
        Once(404, code="PGRST202", message="Could not find the function in the schema cache"),
        Once(401, message="Invalid API key"),
        Once(403, message="Forbidden"),
        Once(404, message="Project not found"),
        Once(429, message="Too many requests"),
        Once(400, code="EPIPE", message="write EPIPE"),
        Once(503, code="PGRST002", message="Could not query the database for the schema cache"),
    ],
    ids=lambda answer: str(answer.refusal.status_code) + (json.loads(answer.refusal.text).get("code") or ""),
)
async def test_a_passing_refusal_is_no_reason_to_put_a_delivery_aside(answer: Once) -> None:
    with pytest.raises(DatabaseUnavailable):
        await store(answer)

    assert len(answer.calls) == 1


async def test_what_the_database_cannot_hold_is_kept_raw() -> None:
    answer = Once(400, code="22P05", message="unsupported Unicode escape sequence")

    await store(answer)

    _, raw = answer.calls
    assert (raw["is_readable"], raw["parsed_items"]) == (False, [])
    assert raw["parse_problems"][0]["reason"] == "not_storable: bad_request"
