"""The worker as a process of its own, and the commands of whoever operates it.

python -m functions.worker                  work until SIGTERM or SIGINT
python -m functions.worker jobs --help      list, retry and drop jobs
python -m functions.worker.replay --help    store deliveries once more
"""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

from functions.worker.handler import NEED
from functions.worker.shift import Shift
from shared import collector, log
from shared.web import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def work(
    environ: Mapping[str, str] | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> None:
    """Work until SIGTERM or SIGINT, then end what is on its way."""
    resources = Resources(environ, NEED, transport)
    shift = Shift(resources)
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, shift.stop)
    with log.context(function="whatsapp-worker"):
        log.info("worker.started")
        collector.settle()
        try:
            report = await shift.run()
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
            await resources.close()
        log.info("worker.stopped", sent_count=report.sent, job_count=report.jobs)


def main() -> int:
    """Do what the command line says; returns the exit code."""
    if sys.argv[1:2] == ["jobs"]:
        from functions.worker.job_commands import main as command

        return command(sys.argv[2:])
    if sys.argv[1:]:
        print(__doc__)  # noqa: T201 - a command talks to whoever called it
        return 0 if sys.argv[1] in {"-h", "--help"} else 2
    asyncio.run(work())
    return 0


if __name__ == "__main__":
    sys.exit(main())
