"""What comes again by itself: forgetting, and reading connections anew. An edge.

How often, and for how long what is kept, stands in the tables job_schedules and retention_periods.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from shared import log
from shared.jobs import DONE, Outcome, retry

if TYPE_CHECKING:
    from shared.jobs import Work

# Short transactions, so that nobody waits for the sweep.
ROWS_AT_ONCE = 500
SWEEP_SECONDS = 20.0


async def sweep(work: Work) -> Outcome:
    """Do one job of kind sweep: forget what is too old, little by little."""
    deadline = time.monotonic() + SWEEP_SECONDS
    swept: Counter[str] = Counter()
    while time.monotonic() < deadline:
        gone: dict[str, int] = await work.call("sweep", most=ROWS_AT_ONCE)
        swept.update(gone)
        if not any(count == ROWS_AT_ONCE for count in gone.values()):
            log.info("upkeep.swept", **swept)
            return DONE
    log.info("upkeep.swept", **swept)
    return retry(work.job, "more is left", seconds=1.0)


async def settle_sends(work: Work) -> Outcome:
    """Do one job of kind settle_sends: what a dead process was sending is returned, or called uncertain."""
    await work.call("settle_sends")
    return DONE


async def refresh_connections(work: Work) -> Outcome:
    """Do one job of kind refresh_connections: a job for each."""
    planned = await work.call("plan_refreshes")
    return Outcome(word="done", reason=f"{planned} planned")
