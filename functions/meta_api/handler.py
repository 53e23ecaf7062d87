"""What an owner and their agents see and change of their number at Meta.

GET  /number                 live facts: name, quality, throughput, limits, health
POST /register, /deregister  puts the number on the Cloud API, takes it off; counted before Meta counts
GET, POST /profile           what customers see of the business
GET, POST, DELETE /templates listed page by page, created, deleted; kept in message_templates too
GET, POST /webhook-subscription  whether and where Meta delivers
POST /sync                   reads number and templates anew; asks for a phone app's contacts and history
POST /token/refresh          renews the access token
GET  /media/{message_id}     the bytes of an attachment, or a short-lived address of them
GET, POST /bot, POST /bot/secret                      what answers customers by itself
GET, POST, DELETE /event-endpoints[/{id}[/secret|/replay]]  where the organization is told of its messages
GET  /diagnostics            the doctor: each link of the chain, and what to do about the one that broke

Members may look, owners may change. Every call goes to Meta with the organization's own token; when Meta says
that it is dead, the connection becomes `error` and what customers write goes on arriving.

Each route loads what it works with by itself: a cold start pays for one of them, not for all.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mangum import Mangum
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.callers import find_caller
from shared.web import create_app, language_of, read_json, read_optional_json, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from pydantic import BaseModel
    from starlette.requests import Request

    from shared.web import App

NEED = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "ENCRYPTION_KEYS")


async def show_number(request: Request) -> Response:
    """Read the number at Meta and keep what it tells."""
    from functions.meta_api import number
    from shared.access import need_access, watching

    tools = resources(request)
    access = await need_access(tools, await find_caller(request))
    async with watching(tools, access.integration_id):
        return _answer(await number.read(tools, access))


async def register(request: Request) -> Response:
    """Register the number with its PIN, or with a new one."""
    from functions.meta_api import number
    from functions.meta_api.models import RegisterBody
    from shared.access import need_access, watching

    body = await read_optional_json(request, RegisterBody)
    tools = resources(request)
    access = await need_access(tools, await find_caller(request, body.organization, needs_owner=True))
    async with watching(tools, access.integration_id):
        return _answer(await number.register(tools, access, pin=body.pin))


async def deregister(request: Request) -> Response:
    """Take the number off the Cloud API; it stays in its account."""
    from functions.meta_api import number
    from functions.meta_api.models import RegisterBody
    from shared.access import need_access, watching

    body = await read_optional_json(request, RegisterBody)
    tools = resources(request)
    access = await need_access(tools, await find_caller(request, body.organization, needs_owner=True))
    async with watching(tools, access.integration_id):
        return _answer(await number.deregister(tools, access))


async def show_profile(request: Request) -> Response:
    """Read the business profile."""
    from functions.meta_api import profile
    from shared.access import need_access, watching

    tools = resources(request)
    access = await need_access(tools, await find_caller(request))
    async with watching(tools, access.integration_id):
        return _answer(await profile.read(tools, access))


async def change_profile(request: Request) -> Response:
    """Change what is given of the business profile."""
    from functions.meta_api import profile
    from functions.meta_api.models import ProfileBody
    from shared.access import need_access, watching

    body = await read_json(request, ProfileBody)
    tools = resources(request)
    access = await need_access(tools, await find_caller(request, body.organization, needs_owner=True))
    async with watching(tools, access.integration_id):
        return _answer(await profile.change(tools, access, body))


async def list_templates(request: Request) -> Response:
    """List one page of templates."""
    from functions.meta_api import templates
    from shared.access import need_access, watching

    tools = resources(request)
    access = await need_access(tools, await find_caller(request))
    async with watching(tools, access.integration_id):
        return _answer(await templates.list_page(tools, access, request.query_params))


async def create_template(request: Request) -> Response:
    """Give a template to Meta for review."""
    from functions.meta_api import templates
    from functions.meta_api.models import TemplateBody
    from shared.access import need_access, watching

    body = await read_json(request, TemplateBody)
    tools = resources(request)
    access = await need_access(tools, await find_caller(request, body.organization, needs_owner=True))
    async with watching(tools, access.integration_id):
        return _answer(await templates.create(tools, access, body), status=201)


async def delete_template(request: Request) -> Response:
    """Delete a template in all its languages, or in the one whose id is given."""
    from functions.meta_api import templates
    from shared.access import need_access, watching

    tools = resources(request)
    access = await need_access(tools, await find_caller(request, needs_owner=True))
    async with watching(tools, access.integration_id):
        gone = await templates.delete(tools, access, request.query_params)
    return JSONResponse({"deleted": gone})


async def show_subscription(request: Request) -> Response:
    """Tell whether and where Meta delivers."""
    from functions.meta_api import subscription
    from shared.access import need_access, watching

    tools = resources(request)
    access = await need_access(tools, await find_caller(request, needs_owner=True))
    async with watching(tools, access.integration_id):
        return _answer(await subscription.read(tools, access))


async def change_subscription(request: Request) -> Response:
    """Subscribe the app again, with or without a callback of its own."""
    from functions.meta_api import subscription
    from functions.meta_api.models import SubscriptionBody
    from shared.access import need_access, watching

    body = await read_optional_json(request, SubscriptionBody)
    tools = resources(request)
    access = await need_access(tools, await find_caller(request, body.organization, needs_owner=True))
    async with watching(tools, access.integration_id):
        return _answer(await subscription.change(tools, access, callback=body.callback))


async def synchronise(request: Request) -> Response:
    """Read everything anew."""
    from functions.meta_api import sync
    from functions.meta_api.models import RegisterBody
    from shared.access import need_access, watching

    body = await read_optional_json(request, RegisterBody)
    tools = resources(request)
    access = await need_access(tools, await find_caller(request, body.organization, needs_owner=True))
    async with watching(tools, access.integration_id):
        return _answer(await sync.synchronise(tools, access))


async def renew_token(request: Request) -> Response:
    """Renew the token now."""
    from functions.meta_api.models import RegisterBody, TokenAnswer
    from shared.access import need_access, watching
    from shared.token_refresh import refresh_token

    body = await read_optional_json(request, RegisterBody)
    tools = resources(request)
    access = await need_access(tools, await find_caller(request, body.organization, needs_owner=True))
    async with watching(tools, access.integration_id):
        return _answer(TokenAnswer.model_validate(await refresh_token(tools, access), from_attributes=True))


async def show_diagnostics(request: Request) -> Response:
    """Examine the whole chain of this organization's connection."""
    from datetime import UTC, datetime

    from shared.probes import diagnose

    tools = resources(request)
    caller = await find_caller(request, needs_owner=True)
    report = await diagnose(tools, caller.organization_id, caller.integration, now=datetime.now(UTC))
    return JSONResponse(report.to_json(language_of(request)))


async def serve_media(request: Request) -> Response:
    """Answer with an attachment's bytes, or where they can be had."""
    from functions.meta_api import media

    return await media.serve_media(request)


async def on_bot(name: str, request: Request) -> Response:
    """Answer with the function of that name."""
    from functions.meta_api import bots

    answer: Response = await getattr(bots, name)(request)
    return answer


async def on_event_endpoints(name: str, request: Request) -> Response:
    """Answer with the function of that name."""
    from functions.meta_api import event_endpoints

    answer: Response = await getattr(event_endpoints, name)(request)
    return answer


def _answer(view: BaseModel, *, status: int = 200) -> Response:
    return JSONResponse(view.model_dump(mode="json"), status_code=status)


def create(
    environ: Mapping[str, str] | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> App:
    """Make the application."""
    routes = [
        Route("/number", show_number, methods=["GET"]),
        Route("/register", register, methods=["POST"]),
        Route("/deregister", deregister, methods=["POST"]),
        Route("/profile", show_profile, methods=["GET"]),
        Route("/profile", change_profile, methods=["POST"]),
        Route("/templates", list_templates, methods=["GET"]),
        Route("/templates", create_template, methods=["POST"]),
        Route("/templates", delete_template, methods=["DELETE"]),
        Route("/webhook-subscription", show_subscription, methods=["GET"]),
        Route("/webhook-subscription", change_subscription, methods=["POST"]),
        Route("/sync", synchronise, methods=["POST"]),
        Route("/token/refresh", renew_token, methods=["POST"]),
        Route("/media/{message_id}", serve_media, methods=["GET"]),
        *(
            Route(path, partial(on_bot, name), methods=[method])
            for method, path, name in (
                ("GET", "/bot", "show_bot"),
                ("POST", "/bot", "change_bot"),
                ("POST", "/bot/secret", "make_secret"),
            )
        ),
        *(
            Route(f"/event-endpoints{path}", partial(on_event_endpoints, name), methods=[method])
            for method, path, name in (
                ("GET", "", "list_endpoints"),
                ("POST", "", "add_endpoint"),
                ("DELETE", "/{endpoint_id}", "remove_endpoint"),
                ("POST", "/{endpoint_id}/secret", "renew_secret"),
                ("POST", "/{endpoint_id}/replay", "replay"),
            )
        ),
        Route("/diagnostics", show_diagnostics, methods=["GET"]),
    ]
    return create_app("whatsapp-meta-api", routes, need=NEED, environ=environ, transport=transport)


app = create()
handler = Mangum(app, lifespan="off")
