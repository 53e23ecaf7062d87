"""Does what nobody waits for, wherever the project is deployed.

Lambda   `handler`: SQS brings deliveries and wake-ups, a schedule brings the rest; failed messages are named
Vercel   GET or POST /, by the cron with its secret
local    `python -m functions.worker`: a loop until it is stopped

GET /metrics   how the work stands, in Prometheus' words

A wake-up is a hint: whatever woke it, a worker does all that is due, for as long as the invocation may last,
and leaves the rest to the next. No path is for the public: whoever calls proves to be the scheduler with
CRON_SECRET, or to be Prometheus with METRICS_TOKEN.
https://vercel.com/docs/cron-jobs/manage-cron-jobs
"""

from __future__ import annotations

import asyncio
import hmac
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from functions.worker.measures import CONTENT_TYPE, to_exposition
from functions.worker.queued_deliveries import have_waited, is_from_queue, store_records
from functions.worker.shift import Shift
from shared import collector, log
from shared.errors import InvalidToken
from shared.web import Resources, bearer_token, create_app, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from mangum import Mangum
    from starlette.requests import Request

    from shared.web import App

NEED = ("SUPABASE_URL", "SUPABASE_SECRET_KEY", "ENCRYPTION_KEYS")
# Shorter than the least that a platform allows; the next run takes over.
RUN_SECONDS = 45.0
# SQS holds the batch until the invocation ends: what it woke us for is done soon, or by the schedule.
QUEUE_RUN_SECONDS = 15.0
# What an invocation needs to end what is on its way.
ENDING_SECONDS = 12.0


def create(
    environ: Mapping[str, str] | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> App:
    """Make the application that a cron calls."""
    routes = [
        Route("/", run_by_cron, methods=["GET", "POST"]),
        Route("/metrics", show_metrics, methods=["GET"]),
    ]
    return create_app("whatsapp-worker", routes, need=NEED, environ=environ, transport=transport)


async def run_by_cron(request: Request) -> Response:
    """Do what is due, for the platform's scheduler alone."""
    _check(request, resources(request).settings.cron_secret)
    report = await Shift(resources(request)).run(seconds=RUN_SECONDS, is_patient=False)
    return JSONResponse(report.to_json())


async def show_metrics(request: Request) -> Response:
    """Tell how the work stands, for Prometheus or what reads its words."""
    _check(request, resources(request).settings.metrics_token)
    measured = await resources(request).database.call_rpc("measure_work", {})
    return Response(to_exposition(measured), headers={"Content-Type": CONTENT_TYPE})


def _check(request: Request, secret: str) -> None:
    if not hmac.compare_digest(bearer_token(request).encode(), secret.encode()):
        raise InvalidToken


def create_handler(
    environ: Mapping[str, str] | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> LambdaHandler:
    """Make Lambda's entry."""
    return LambdaHandler(environ, transport)


class LambdaHandler:
    """Answers whatever invokes the function: a queue, a schedule, or its URL."""

    def __init__(self, environ: Mapping[str, str] | None, transport: httpx.AsyncBaseTransport | None) -> None:
        self._environ = environ
        self._transport = transport

    @cached_property
    def _web(self) -> Mangum:
        # Few deployments give the worker a URL.
        from mangum import Mangum

        return Mangum(create(self._environ, self._transport), lifespan="off")

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer one invocation."""
        if "requestContext" in event:
            return dict(self._web(event, context))
        seconds = max(1.0, context.get_remaining_time_in_millis() / 1000 - ENDING_SECONDS)
        request_id = getattr(context, "aws_request_id", None)
        with log.context(function="whatsapp-worker", request_id=request_id):
            answer = asyncio.run(self._answer(event, seconds))
        collector.settle()
        return answer

    async def _answer(self, event: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        # Connections belong to this invocation's event loop.
        own = Resources(self._environ, NEED, self._transport)
        try:
            if not is_from_queue(event):
                return (await Shift(own).run(seconds=min(seconds, RUN_SECONDS), is_patient=False)).to_json()
            failed = await store_records(own, event["Records"])
            # Deliveries that wait go before jobs, which others and the schedule do: slow jobs would else hold
            # all the workers that the queue may have.
            if len(failed) < len(event["Records"]) and not have_waited(event["Records"]):
                await Shift(own).run(seconds=min(seconds, QUEUE_RUN_SECONDS), is_patient=False)
            return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
        finally:
            await own.close()


app = create()
handler = create_handler()
