"""A bot's turn in a chat; an edge: everything here is I/O.

Turns of one chat run one after the other. The endpoint may be asked twice, with the same id; its answer is
queued together with the job's end, so the customer is answered once.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from shared import log
from shared.bots import Decision, decide, read_endpoint_answer, to_question
from shared.errors import InvalidBody
from shared.jobs import SETTLED, Outcome, dead, later, retry
from shared.outbound_events import is_taken, sign, to_body
from shared.safe_http import EndpointFailed, SafeClient, UnsafeAddress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.jobs import Work

SECONDS = 15.0
MOST_BYTES = 64 * 1024
# How soon to look again whether a failed connection was mended; the message's own age ends it.
MENDED_SECONDS = 15.0


async def run_bot(work: Work) -> Outcome:
    """Do one job of kind run_bot."""
    job = work.job
    turn: dict[str, Any] | None = await work.call("begin_bot_turn", job=job.id, token=job.lease_token)
    if turn is None:
        return Outcome(word="done", reason="message_gone")
    if "silence" in turn:
        return _keep_silent(turn["silence"])
    try:
        decision = decide(turn)
        if decision.asks_endpoint:
            decision = await _ask_endpoint(work, turn)
        ids = await work.call(
            "finish_bot_turn", job=job.id, token=job.lease_token, result=decision.to_result()
        )
    except InvalidBody as refusal:
        # An answer that cannot be sent: perhaps the next one can.
        log.warning("bots.answer_refused", details=refusal.details)
        return retry(job, f"answer_refused: {_rules_of(refusal)}")
    except UnsafeAddress as refusal:
        return dead(f"endpoint_refused: {refusal.rule}")
    except EndpointFailed as failure:
        log.info("bots.endpoint_failed", reason=failure.reason)
        return retry(job, f"endpoint_failed: {failure.reason}")
    if ids is None:
        log.warning("bots.lease_lost", job_id=job.id)
    return SETTLED


def _keep_silent(reason: str) -> Outcome:
    if reason == "connection_error":
        return later(reason, seconds=MENDED_SECONDS)
    return Outcome(word="done", reason=reason)


async def _ask_endpoint(work: Work, turn: Mapping[str, Any]) -> Decision:
    keys = await work.resources.load_keys()
    row_id = turn["organization_id"]
    # The previous one was encrypted for the column it stood in.
    secrets = [
        keys.decrypt(text, row_id=row_id, column="endpoint_secret")
        for text in (turn["endpoint_secret"], turn["previous_secret"])
        if text
    ]
    message = turn["message"]
    body = to_body("bot.message", message["occurred_at"], to_question(turn))
    headers = {
        "Content-Type": "application/json",
        # The message's own id: the same however often it is asked.
        **sign(f"bot_{message['id']}", int(time.time()), body, secrets),
    }
    client = SafeClient(allows_loopback=work.resources.settings.allows_loopback_endpoints)
    answer = await client.post(turn["endpoint_url"], body, headers, seconds=SECONDS, most_bytes=MOST_BYTES)
    if not is_taken(answer.status):
        raise EndpointFailed(f"HTTP {answer.status}")
    said = read_endpoint_answer(_parse(answer.body))
    return Decision(by="endpoint", replies=said.replies, hands_over=said.hands_over)


def _parse(body: bytes) -> object:
    if not body.strip():
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise EndpointFailed("answer_is_no_json") from None


def _rules_of(refusal: InvalidBody) -> str:
    return ", ".join(f"{each.get('field')} {each.get('rule')}" for each in refusal.details)[:300]
