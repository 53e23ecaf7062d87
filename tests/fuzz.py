"""Runs every fuzzer at length: `make fuzz`.

    make fuzz                              about three minutes, a new seed
    make fuzz ARGS="--seed 4711"           the same inputs again
    make fuzz ARGS="--deliveries 100000"   so many signed mutations through the real webhook

What is found becomes a test: a body in tests/samples/, or an @example beside the property.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys

from local.programs import ROOT

PURE = ("tests/unit/test_fuzz.py", "tests/unit/test_webhooks_mutations.py", "tests/unit/test_numbers.py")
WEBHOOK = ("tests/stack/test_webhook_mutations.py",)


def main() -> int:
    """Read the arguments and run the fuzzers one after another; 1 where one found something."""
    about, _, examples = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="make fuzz",
        description=about,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=None, help="which inputs (a new one)")
    parser.add_argument("--deliveries", type=int, default=100_000, help="through the webhook (100000)")
    parser.add_argument("--payloads", type=int, default=50_000, help="through the parser alone (50000)")
    parser.add_argument("--examples", type=int, default=5_000, help="of each property (5000)")
    arguments = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)  # noqa: T201 - a command talks to whoever called it
    environ = {
        **os.environ,
        "WEBHOOK_MUTATIONS": str(arguments.payloads),
        "DELIVERY_MUTATIONS": str(arguments.deliveries),
        "WEBHOOK_MUTATIONS_SEED": str(seed),
        "FUZZ_EXAMPLES": str(arguments.examples),
    }
    command = [sys.executable, "-m", "pytest", f"--hypothesis-seed={seed}", *PURE, *WEBHOOK]
    return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
