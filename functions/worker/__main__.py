"""The worker as a process of its own: `python -m functions.worker`, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal

from functions.worker.handler import NEED
from functions.worker.send_queue import SendQueue
from shared import log
from shared.sender import Sender
from shared.web import Resources


async def main() -> None:
    """Work until SIGTERM or SIGINT, then end what is on its way."""
    resources = Resources(None, NEED, None)
    queue = SendQueue(resources, Sender())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, queue.stop)
    with log.context(function="whatsapp-worker"):
        log.info("worker.started")
        try:
            sent = await queue.run()
        finally:
            await resources.close()
        log.info("worker.stopped", sent_count=sent)


if __name__ == "__main__":
    asyncio.run(main())
