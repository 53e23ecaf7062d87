"""A short life in which everything breaks: the whole one is `make chaos`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.chaos.plan import LANES, make_plan
from tests.chaos.run import run

if TYPE_CHECKING:
    from pathlib import Path

SEED = int(os.environ.get("CHAOS_SEED", "2"))
SECONDS = float(os.environ.get("CHAOS_SECONDS", "20"))
# The fifth is answered by a bot.
ORGANIZATIONS = 5


def test_a_seed_decides_everything() -> None:
    plan = make_plan(7, 30.0, 4)

    assert plan == make_plan(7, 30.0, 4)
    assert plan.digest != make_plan(8, 30.0, 4).digest
    assert {each.kind for each in plan.troubles} == {kind for kinds in LANES.values() for kind in kinds}


@pytest.mark.slow
def test_nothing_is_lost_doubled_reordered_or_shown_to_strangers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make_plan(SEED, SECONDS, ORGANIZATIONS)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o711)
    told: list[str] = []

    verdict = run(plan, tmp_path, told.append)

    with capsys.disabled():
        sys.stdout.write(f"\nseed {SEED}, plan {plan.digest}: {verdict.figures}\n")
    assert verdict.faults == [], (SEED, told)
    assert verdict.figures["troubles"] != {}
