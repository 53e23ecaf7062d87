"""Works off the queue wherever the project is deployed.

Lambda   `handler`, on a schedule: works for as long as the invocation may last, leaves the rest to the next
Vercel   GET or POST /, by the cron with its secret: the same
local    `python -m functions.worker`: a loop until it is stopped

No path is for the public: whoever calls proves to be the scheduler with CRON_SECRET.
https://vercel.com/docs/cron-jobs/manage-cron-jobs
"""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from functions.worker.send_queue import SendQueue
from shared.errors import InvalidToken
from shared.sender import Sender
from shared.web import Resources, bearer_token, create_app, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from starlette.requests import Request

    from shared.web import App

NEED = ("SUPABASE_URL", "SUPABASE_SECRET_KEY", "SUPABASE_PUBLISHABLE_KEY", "ENCRYPTION_KEYS")
# Shorter than the least that a platform allows; the next run takes over.
RUN_SECONDS = 45.0
# What an invocation needs to end what is on its way.
ENDING_SECONDS = 12.0


def create(
    environ: Mapping[str, str] | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> App:
    """Make the application that a cron calls."""
    routes = [Route("/", run_by_cron, methods=["GET", "POST"])]
    return create_app("whatsapp-worker", routes, need=NEED, environ=environ, transport=transport)


async def run_by_cron(request: Request) -> Response:
    """Work off what is due, for the platform's scheduler alone."""
    secret = resources(request).settings.cron_secret
    if not hmac.compare_digest(bearer_token(request).encode(), secret.encode()):
        raise InvalidToken
    sent = await SendQueue(resources(request), Sender()).run(seconds=RUN_SECONDS, is_patient=False)
    return JSONResponse({"sent": sent})


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Work off what is due in one invocation of Lambda's."""
    del event
    seconds = max(1.0, context.get_remaining_time_in_millis() / 1000 - ENDING_SECONDS)
    return {"sent": asyncio.run(_run(min(seconds, RUN_SECONDS)))}


async def _run(seconds: float) -> int:
    # Connections belong to this invocation's event loop.
    own = Resources(None, NEED, None)
    try:
        return await SendQueue(own, Sender()).run(seconds=seconds, is_patient=False)
    finally:
        await own.close()


app = create()
