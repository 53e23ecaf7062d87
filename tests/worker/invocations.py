"""A worker that is invoked again and again by one entry, until it is killed.

`python -m tests.worker.invocations queue`, with its settings in the environment.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING, cast

from tests.worker.entries import ENTRIES

if TYPE_CHECKING:
    import psycopg

PAUSE_SECONDS = 0.2


def main() -> None:
    """Invoke it by the entry that the command line names."""
    # Only the loop asks the database.
    nobody = cast("psycopg.Connection[tuple[object, ...]]", None)
    while True:
        asyncio.run(ENTRIES[sys.argv[1]](dict(os.environ), None, nobody))
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
