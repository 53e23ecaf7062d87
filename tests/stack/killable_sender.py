"""The send function as a process that tests may kill: `python -m tests.stack.killable_sender PORT`.

It waits for Meta only a second, so that answers that come too late do not make the tests slow.
"""

from __future__ import annotations

import os
import sys

import uvicorn

from functions.send_message.handler import create
from shared.graph import GraphClient

READ_SECONDS = 1.0


def main() -> None:
    """Serve until killed."""
    app = create(os.environ)
    app.resources.graph = GraphClient(
        os.environ["GRAPH_API_URL"], os.environ["GRAPH_API_VERSION"], read_seconds=READ_SECONDS
    )
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", lifespan="off")


if __name__ == "__main__":
    main()
