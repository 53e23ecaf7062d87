"""Takes in what Meta delivers; 200 means stored.

GET  /                   the handshake of the platform's Meta app
POST /                   a delivery signed by the platform's Meta app
GET  /{integration_id}   the handshake of an organization's own Meta app
POST /{integration_id}   a delivery signed by that app, which may speak for that organization alone

The caller is Meta, or anybody who pretends to be: it signs the raw bytes, sends up to 3 MB, repeats for
7 days whatever was not answered 200, and follows no redirect.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/create-webhook-endpoint
"""

from __future__ import annotations

import hmac
from functools import partial
from typing import TYPE_CHECKING

from mangum import Mangum
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from functions.webhook.endpoints import Endpoints
from shared import log
from shared.deliveries import keep_delivery
from shared.errors import BadSignature, WrongVerifyToken
from shared.signatures import has_form, is_signed
from shared.web import create_app, read_body, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from starlette.requests import Request

    from shared.web import App

NEED = ("SUPABASE_URL", "SUPABASE_SECRET_KEY", "WHATSAPP_APP_SECRET", "WHATSAPP_WEBHOOK_VERIFY_TOKEN")
# Meta's limit for one delivery, in the larger reading of its "3 MB".
LARGEST_DELIVERY = 3 * 1024 * 1024
# Meta sends a random integer; nothing longer needs to be said back to whoever asks.
LONGEST_CHALLENGE = 100


def create(
    environ: Mapping[str, str] | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> App:
    """Make the application; what it remembers of organizations' endpoints lives and dies with it."""
    endpoints = Endpoints()
    routes = [
        Route(path, partial(answer, endpoints), methods=[method])
        for path in ("/", "/{integration_id}")
        for method, answer in (("GET", shake_hands), ("POST", take_delivery))
    ]
    # The URL that Meta was given before there was a function of this name.
    aliases = ("/api/webhooks/whatsapp",)
    return create_app(
        "whatsapp-webhook", routes, need=NEED, environ=environ, transport=transport, aliases=aliases
    )


async def shake_hands(endpoints: Endpoints, request: Request) -> Response:
    """Prove to Meta that its deliveries are expected here."""
    challenge = request.query_params.get("hub.challenge", "")
    endpoint = await endpoints.find(resources(request), request.path_params.get("integration_id"))
    is_expected = request.query_params.get("hub.mode") == "subscribe" and challenge.isdecimal()
    is_known = _is_same(request.query_params.get("hub.verify_token", ""), endpoint.verify_token)
    if not (is_known and is_expected and len(challenge) <= LONGEST_CHALLENGE):
        raise WrongVerifyToken
    log.info("webhook.verified", integration_id=endpoint.integration_id)
    return PlainTextResponse(challenge)


async def take_delivery(endpoints: Endpoints, request: Request) -> Response:
    """Keep a signed delivery; acknowledge it only when it is kept."""
    signature = request.headers.get("x-hub-signature-256")
    if not has_form(signature):
        raise BadSignature
    body = await read_body(request, limit=LARGEST_DELIVERY)
    endpoint = await endpoints.find(resources(request), request.path_params.get("integration_id"))
    if not is_signed(body, signature, endpoint.secrets):
        raise BadSignature
    await keep_delivery(resources(request), body, source=endpoint.integration_id)
    return JSONResponse({"received": True})


def _is_same(given: str, expected: str) -> bool:
    # As bytes: compare_digest raises on a str that is not ASCII. An endpoint without a token expects none.
    return bool(expected) and hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


app = create()
handler = Mangum(app, lifespan="off")
