"""Tells an organization's endpoint of an event; an edge: everything here is I/O.

Tried for three days, always with the same id. An endpoint that says 410, or takes nothing for so long, is let
be and its owner told.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from shared import log
from shared.jobs import SETTLED, Outcome
from shared.outbound_events import GONE, SECONDS, is_taken, pause_after, sign, to_body
from shared.safe_http import EndpointFailed, SafeClient, UnsafeAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.jobs import Work

# What it answers is not read but for its status.
MOST_BYTES = 64 * 1024


async def deliver_event(work: Work) -> Outcome:
    """Do one job of kind deliver_event."""
    job = work.job
    event: dict[str, Any] | None = await work.call("begin_event_delivery", job=job.id, token=job.lease_token)
    if event is None or "skip" in event:
        return Outcome(word="done", reason=event["skip"] if event else "gone")
    reason, is_gone = await _tell(work, event)
    if reason is None:
        result: dict[str, Any] = {"outcome": "taken"}
    else:
        pause = None if is_gone else pause_after(job.attempts)
        result = {"outcome": "gone" if is_gone else "failed", "reason": reason, "pause": pause}
        log.info("events.not_taken", endpoint_id=event["endpoint_id"], reason=reason, attempts=job.attempts)
    if not await work.call("finish_event_delivery", job=job.id, token=job.lease_token, result=result):
        log.warning("events.lease_lost", job_id=job.id)
    return SETTLED


async def _tell(work: Work, event: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Return why it was not taken, None where it was; and whether the endpoint wants no more."""
    keys = await work.resources.load_keys()
    secrets = [
        keys.decrypt(text, row_id=event["endpoint_id"], column="signing_secret")
        for text in (event["signing_secret"], event["previous_secret"])
        if text
    ]
    body = to_body(event["kind"], event["occurred_at"], event["content"])
    headers = {
        "Content-Type": "application/json",
        **sign(f"evt_{event['event_id']}", int(time.time()), body, secrets),
    }
    client = SafeClient(allows_loopback=work.resources.settings.allows_loopback_endpoints)
    try:
        answer = await client.post(event["url"], body, headers, seconds=SECONDS, most_bytes=MOST_BYTES)
    except UnsafeAddress as refusal:
        return f"endpoint_refused: {refusal.rule}", False
    except EndpointFailed as failure:
        return failure.reason, False
    if is_taken(answer.status):
        return None, False
    return f"HTTP {answer.status}", answer.status == GONE
