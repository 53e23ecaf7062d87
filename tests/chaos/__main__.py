"""Plays Meta, agents and customers while everything breaks, and compares the ledgers: `make chaos`.

    make chaos                                       ten minutes, 20 organizations, a new seed
    make chaos ARGS="--seconds 40 --organizations 4"
    make chaos ARGS="--seed 4711"                    the same plan of traffic and troubles again
    make chaos ARGS="--seed 4711 --plan"             only shows it

Exits 0 only if nothing was lost, doubled, reordered, or seen by a stranger.
docs/chaos.md says what that proves.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from local.programs import end_when_told
from tests.chaos import verdict as verdicts
from tests.chaos.plan import make_plan
from tests.chaos.run import run


def main() -> int:
    """Read the arguments, play, judge; 1 where a fault was found."""
    about, _, examples = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="make chaos",
        description=about,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="how long it lives (600)")
    parser.add_argument("--organizations", type=int, default=20, help="how many there are (20)")
    parser.add_argument("--seed", type=int, default=None, help="which plan (a new one)")
    parser.add_argument("--plan", action="store_true", help="show the plan and do nothing")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    plan = make_plan(seed, arguments.seconds, arguments.organizations)
    tell(f"seed {seed}, plan {plan.digest}: {len(plan.steps)} steps, {len(plan.troubles)} troubles")
    if arguments.plan:
        for each in sorted((*plan.steps, *plan.troubles), key=lambda step: step.at):
            tell(f"{each.at:7.2f} s  {type(each).__name__:<8} {asdict(each)}")
        return 0
    end_when_told()
    folder = Path(tempfile.mkdtemp(prefix="whatsapp-functions-chaos-"))
    folder.chmod(0o711)
    began = time.monotonic()
    verdict = run(plan, folder, tell)
    verdicts.tell(verdict, tell)
    if arguments.json:
        figures = {"seed": seed, "plan": plan.digest, "faults": verdict.faults, **verdict.figures}
        arguments.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", "utf-8")
    seconds = time.monotonic() - began
    if verdict.faults:
        tell(
            f"{len(verdict.faults)} faults. Once more: --seed {seed} --seconds {arguments.seconds:g}"
            f" --organizations {arguments.organizations}. Logs: {folder}"
        )
        return 1
    tell(f"Nothing lost, doubled, reordered, or seen by a stranger. seed {seed}, {seconds:.0f} s")
    return 0


def tell(line: str) -> None:
    """Write a line at once."""
    print(line, flush=True)  # noqa: T201 - a command talks to whoever called it


if __name__ == "__main__":
    sys.exit(main())
