"""The collector of garbage: patient while a function starts, as usual afterwards."""

from __future__ import annotations

import subprocess
import sys

STORY = """
import gc
usual = gc.get_threshold()
import functions
starting = gc.get_threshold()
from shared import collector
collector.settle()
collector.settle()
assert gc.isenabled()
assert starting[0] > 100 * usual[0], (starting, usual)
assert starting[1:] == usual[1:]
assert gc.get_threshold() == usual
assert gc.get_freeze_count() > 1000
"""


def test_it_waits_from_the_first_import_to_the_first_answer() -> None:
    """In a process of its own, since this one has answered before."""
    done = subprocess.run([sys.executable, "-c", STORY], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
