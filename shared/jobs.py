"""What a job is, and what its work may come to. No I/O.

A job is done at least once and its result is written once: whoever writes must hold the newest lease, so that
a worker that was slow, or thought dead, changes nothing any more.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from shared.errors import AppError
from shared.graph import GraphError, GraphUnreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from shared.web import Resources

FIRST_WAIT = 2.0
LONGEST_WAIT = 3600.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """One piece of work under a lease."""

    id: int
    kind: str
    key: str
    lease_token: int
    attempts: int
    """This attempt included."""
    max_attempts: int
    organization_id: str | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    created_at: str = ""

    @property
    def is_last_attempt(self) -> bool:
        """Tell whether nobody will try again after this."""
        return self.attempts >= self.max_attempts


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a job; `settled` says that its result and its end are written already, together."""

    word: Literal["done", "retry", "later", "dead", "settled", "released"]
    reason: str | None = None
    seconds: float = 0.0

    def to_result(self, job: Job) -> dict[str, Any]:
        """Return what the database's finish_jobs takes."""
        return {
            "id": job.id,
            "lease_token": job.lease_token,
            "outcome": self.word,
            "reason": self.reason,
            "seconds": self.seconds,
        }


DONE = Outcome(word="done")
SETTLED = Outcome(word="settled")
RELEASED = Outcome(word="released")


def retry(job: Job, reason: str, *, seconds: float | None = None) -> Outcome:
    """Try again, by default after a wait that doubles each time."""
    return Outcome(word="retry", reason=reason, seconds=backoff(job.attempts) if seconds is None else seconds)


def later(reason: str, *, seconds: float) -> Outcome:
    """Wait for what others must do first; no attempt is counted, so the job must know its own end."""
    return Outcome(word="later", reason=reason, seconds=seconds)


def dead(reason: str) -> Outcome:
    """Give up for good."""
    return Outcome(word="dead", reason=reason)


def backoff(attempts: int, *, draw: Callable[[], float] = random.random) -> float:
    """Return the seconds before the next attempt: 2, 4, 8 … up to an hour, each half of it by chance."""
    whole = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempts - 1, 20))
    return whole * (0.5 + draw() / 2)


def outcome_of(job: Job, error: Exception) -> Outcome:
    """Say what an error means for a job that did not decide for itself."""
    if isinstance(error, GraphUnreachable):
        return retry(job, f"Meta gave no answer ({error.reason}).")
    if isinstance(error, GraphError):
        from shared.meta_errors import classify

        seconds = classify(error).delay_seconds(job.attempts, retry_after=error.retry_after)
        if seconds is None:
            return dead(str(error))
        return retry(job, str(error), seconds=max(seconds, backoff(job.attempts)))
    if isinstance(error, AppError) and not error.retryable:
        return dead(error.code)
    reason = error.code if isinstance(error, AppError) else type(error).__name__
    return retry(job, reason)


@dataclass(frozen=True, kw_only=True)
class Work:
    """A job and what to do it with."""

    job: Job
    resources: Resources

    async def call(self, rpc: str, **params: Any) -> Any:
        """Call a function of the database as the service."""
        return await self.resources.database.call_rpc(rpc, params)


if TYPE_CHECKING:
    JobFunction = Callable[[Work], Awaitable[Outcome]]
