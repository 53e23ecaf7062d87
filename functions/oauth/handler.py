"""Connects an organization's own number to the product, keeps it connected, and lets it go.

POST /start         begins Meta's dialog (Embedded Signup), for a popup or a redirect
GET  /callback      where Meta sends the browser back to in the redirect flow; connects nothing by itself
POST /exchange      finishes the dialog and connects the number that it granted
POST /request-code  has a code sent to a typed number, by Meta or by us
POST /verify-code   counts and tries the code, and connects the number
POST /credentials   a number of the organization's own Meta app, its values pasted from Meta's dashboard
GET  /status        the connection as it stands; `?reveal=pin` shows an owner the two-step PIN
POST /disconnect    removes the subscription and the credentials, keeps the chats
POST /reconnect     goes on where it was, as far as what is stored and proven still holds

The caller is a person in a browser who may be no technician, may press twice, and may close the window
half-way. Whether they may do it is asked of the database with their own token, before anything else. Each
route loads what it works with by itself: a cold start pays for one of them, not for all.
https://developers.facebook.com/documentation/business-messaging/whatsapp/embedded-signup/overview
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mangum import Mangum
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from shared.callers import find_caller
from shared.errors import InvalidQuery
from shared.web import bearer_token, create_app, language_of, read_json, read_optional_json, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from starlette.requests import Request

    from shared.web import App

NEED = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "ENCRYPTION_KEYS")


async def start(request: Request) -> Response:
    """Give the page a state, and what it needs to open Meta's dialog."""
    from functions.oauth import signup
    from functions.oauth.models import StartBody
    from functions.oauth.views import own_url

    body = await read_optional_json(request, StartBody)
    caller = await find_caller(request, body.organization, needs_owner=True)
    answer = await signup.start(resources(request), caller, body, own_url(request, "/callback"))
    return JSONResponse(answer.model_dump(mode="json"))


async def receive_callback(request: Request) -> Response:
    """Exchange the code and send the browser on to the dashboard, and nowhere else."""
    from functions.oauth import signup

    location = await signup.receive_callback(resources(request), request.query_params)
    return RedirectResponse(location, status_code=303, headers={"Referrer-Policy": "no-referrer"})


async def exchange(request: Request) -> Response:
    """Finish the dialog as the user who began it."""
    from functions.oauth import signup
    from functions.oauth.models import ExchangeBody
    from functions.oauth.views import answer_connection

    token = bearer_token(request)
    body = await read_json(request, ExchangeBody)
    caller = await signup.exchange(resources(request), token, body, language_of(request))
    return await answer_connection(request, caller.organization_id)


async def request_code(request: Request) -> Response:
    """Add the number to the platform's account and have a code sent to it."""
    from functions.oauth import codes
    from functions.oauth.models import RequestCodeBody
    from functions.oauth.views import answer_verification

    body = await read_json(request, RequestCodeBody)
    caller = await find_caller(request, body.organization, needs_owner=True)
    verification = await codes.request_code(resources(request), caller, body, language_of(request))
    return answer_verification(caller, verification)


async def verify_code(request: Request) -> Response:
    """Try the code and connect the number."""
    from functions.oauth import codes
    from functions.oauth.models import VerifyCodeBody
    from functions.oauth.views import answer_connection

    body = await read_json(request, VerifyCodeBody)
    caller = await find_caller(request, body.organization, needs_owner=True)
    await codes.verify_code(resources(request), caller, body)
    return await answer_connection(request, caller.organization_id)


async def connect_with_credentials(request: Request) -> Response:
    """Check everything with Meta, then store it, then subscribe."""
    from functions.oauth import credentials
    from functions.oauth.models import CredentialsBody
    from functions.oauth.views import answer_connection

    body = await read_json(request, CredentialsBody)
    caller = await find_caller(request, body.organization, needs_owner=True)
    await credentials.connect(resources(request), caller, body, language_of(request))
    return await answer_connection(request, caller.organization_id)


async def show_status(request: Request) -> Response:
    """Show the connection to a member; what it takes to set up an own app, to an owner."""
    from functions.oauth.views import answer_connection

    reveal = request.query_params.get("reveal")
    if reveal not in (None, "pin"):
        raise InvalidQuery(
            details=[{"field": "reveal", "rule": "enum", "message": "Only pin can be asked for."}]
        )
    return await answer_connection(request, None, reveal=reveal)


async def disconnect(request: Request) -> Response:
    """Let the number go; done even where Meta does not answer any more."""
    from functions.oauth import departure
    from functions.oauth.models import DisconnectBody

    body = await read_optional_json(request, DisconnectBody)
    caller = await find_caller(request, body.organization, needs_owner=True)
    left = await departure.leave(resources(request), caller, deregister=body.deregister)
    return JSONResponse({"integration": left})


async def reconnect(request: Request) -> Response:
    """Connect the same number again."""
    from functions.oauth import returning
    from functions.oauth.models import ReconnectBody
    from functions.oauth.views import answer_connection

    body = await read_optional_json(request, ReconnectBody)
    caller = await find_caller(request, body.organization, needs_owner=True)
    await returning.reconnect(resources(request), caller, pin=body.pin)
    return await answer_connection(request, caller.organization_id)


def create(
    environ: Mapping[str, str] | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> App:
    """Make the application."""
    routes = [
        Route("/start", start, methods=["POST"]),
        Route("/callback", receive_callback, methods=["GET"]),
        Route("/exchange", exchange, methods=["POST"]),
        Route("/request-code", request_code, methods=["POST"]),
        Route("/verify-code", verify_code, methods=["POST"]),
        Route("/credentials", connect_with_credentials, methods=["POST"]),
        Route("/status", show_status, methods=["GET"]),
        Route("/disconnect", disconnect, methods=["POST"]),
        Route("/reconnect", reconnect, methods=["POST"]),
    ]
    return create_app("whatsapp-oauth", routes, need=NEED, environ=environ, transport=transport)


app = create()
handler = Mangum(app, lifespan="off")
