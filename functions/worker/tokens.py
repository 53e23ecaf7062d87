"""Renews an access token before its end, so that nobody notices. An edge."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.access import load_access
from shared.errors import AppError
from shared.graph import GraphError, GraphUnreachable
from shared.jobs import DONE, Outcome, dead, retry
from shared.meta_errors import classify
from shared.token_refresh import refresh_due_tokens, refresh_token, retry_seconds, tell_of_failure

if TYPE_CHECKING:
    from shared.jobs import Work


REFRESH_SECONDS = 20.0


async def refresh_tokens(work: Work) -> Outcome:
    """Do one job of kind refresh_tokens: what no single token's own job does."""
    deadline = time.monotonic() + REFRESH_SECONDS
    is_more_left, refreshed = True, 0
    while is_more_left and time.monotonic() < deadline:
        count, is_more_left = await refresh_due_tokens(work.resources)
        refreshed += count
    # What is left is the next one's.
    return Outcome(word="done", reason=f"{refreshed} refreshed")


async def renew_token(work: Work) -> Outcome:
    """Do one job of kind refresh_token."""
    access = await load_access(work.resources, str(work.job.payload["integration_id"]))
    if access is None:
        return Outcome(word="done", reason="disconnected")
    if access.expires_at is None or not work.job.key.endswith(f":{int(access.expires_at.timestamp())}"):
        # Renewed meanwhile, by a person or with new credentials: that one has a job of its own.
        return Outcome(word="done", reason="renewed_already")
    try:
        await refresh_token(work.resources, access)
    except (GraphError, GraphUnreachable, AppError) as error:
        await tell_of_failure(work.resources, access, error)
        if isinstance(error, GraphError) and classify(error).effect == "token_dead":
            return dead("token_dead")
        seconds = retry_seconds(access.expires_at, work.job.attempts, datetime.now(UTC))
        return retry(work.job, type(error).__name__, seconds=seconds)
    return DONE
