"""Measure everything, print it, keep the figures in bench/results, and write from them what the docs say.

python -m bench [--full] [NAME …]
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from typing import TYPE_CHECKING

from bench import cost, page
from bench.result import RESULTS, run, tell, to_lines
from local.programs import end_when_told

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the modules that are named, or all of them, one after another."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="larger, longer: up to forty minutes")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(page.MODULES)}")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(page.MODULES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(page.MODULES)}")
    end_when_told()
    for name in chosen.names or page.MODULES:
        began = time.perf_counter()
        measure = importlib.import_module(f"bench.{name}").measure
        result = run(measure, name, is_full=chosen.full, tell=tell)
        print("\n".join(to_lines(result)), flush=True)
        result.write(RESULTS / f"{name}.json")
        tell(f"{name} took {time.perf_counter() - began:.0f} s")
    page.write()
    cost.write()
    print(f"\nThe page: {page.PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
