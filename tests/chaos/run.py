"""One whole run: a town, a life in it, rest, and the verdict. An edge."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from local.processes import as_nobody, is_root
from tests.chaos.life import Life
from tests.chaos.town import running_town
from tests.chaos.verdict import Verdict, come_to_rest, judge
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.chaos.plan import Plan

REST_SECONDS = 120.0


def run(plan: Plan, folder: Path, tell: Callable[[str], None]) -> Verdict:
    """Play a plan in a folder and judge what came of it."""
    with running_town(folder, tell) as town:
        town.postgres.start()
        with town.connect() as database:
            town.disk.make(database, as_nobody() if is_root() else {})
        world = World(town.variables)
        life = Life(town, world, plan, tell)
        with life.endpoint, contextlib.closing(world):
            return asyncio.run(_live(life, tell))


async def _live(life: Life, tell: Callable[[str], None]) -> Verdict:
    town = life.town
    await town.front.start()
    await town.back.start()
    try:
        await asyncio.to_thread(town.start)
        with town.connect() as database:
            await asyncio.to_thread(life.settle_in, database)
        tell(f"{len(life.firms)} organizations are connected; life begins")
        began = time.monotonic()
        await life.play()
        tell("everything comes to rest")
        with town.connect() as database:
            await asyncio.to_thread(come_to_rest, life, database, REST_SECONDS + life.plan.seconds / 2)
            tell("the ledgers are compared")
            verdict = await asyncio.to_thread(judge, life, database)
        verdict.figures["seconds"] = round(time.monotonic() - began)
        return verdict
    finally:
        await town.front.stop()
        await town.back.stop()
