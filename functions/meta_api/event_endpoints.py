"""Where an organization wants to be told of its messages: its own endpoints. An edge.

GET    /event-endpoints                 lists them, for members
POST   /event-endpoints                 adds one and shows its signing secret, this once
DELETE /event-endpoints/{id}            removes one
POST   /event-endpoints/{id}/secret     makes a new secret; the older one signs too for a day
POST   /event-endpoints/{id}/replay     tells it once more what happened since a time, and enables it
"""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints
from starlette.responses import JSONResponse, Response

from functions.meta_api.bots import ROTATION, Moment, SecretAnswer, check_address
from functions.meta_api.models import Body, View
from shared.callers import find_caller
from shared.errors import Conflict, NotFound
from shared.outbound_events import new_secret
from shared.web import read_json, resources

if TYPE_CHECKING:
    from starlette.requests import Request

    from shared.web import Resources

MOST_ENDPOINTS = 10
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
COLUMNS = (
    "id", "url", "kinds", "state", "disabled_at", "disabled_reason", "failing_since", "last_taken_at",
    "previous_secret_until", "created_at",
)  # fmt: skip
Kind = Literal["message.received", "message.sent", "message.status"]


class EndpointBody(Body):
    """A new endpoint."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    kinds: list[Kind] = Field(
        default=["message.received", "message.sent", "message.status"], min_length=1, max_length=3
    )


class ReplayBody(Body):
    """From when on to tell once more."""

    since: AwareDatetime


class EndpointView(View):
    """An endpoint as it is."""

    id: str
    url: str
    kinds: list[str]
    state: Literal["on", "disabled"]
    disabled_at: Moment | None
    disabled_reason: str | None
    failing_since: Moment | None
    last_taken_at: Moment | None
    previous_secret_until: Moment | None
    created_at: Moment


class EndpointsAnswer(View):
    """All endpoints of an organization."""

    endpoints: list[EndpointView]


class NewEndpointAnswer(View):
    """An endpoint and its secret, which nobody can read later."""

    endpoint: EndpointView
    secret: str


class ReplayAnswer(View):
    """How many events are told once more."""

    events: int


async def list_endpoints(request: Request) -> Response:
    """List them."""
    caller = await find_caller(request)
    found = await _load(resources(request), caller.organization_id)
    return JSONResponse(EndpointsAnswer(endpoints=found).model_dump(mode="json"))


async def add_endpoint(request: Request) -> Response:
    """Add one, if its address is one that may be called."""
    body = await read_json(request, EndpointBody)
    tools = resources(request)
    caller = await find_caller(request, body.organization, needs_owner=True)
    check_address(tools, body.url, "url")
    if len(await _load(tools, caller.organization_id)) >= MOST_ENDPOINTS:
        raise Conflict
    endpoint_id, secret = str(uuid.uuid4()), new_secret()
    keys = await tools.load_keys()
    await tools.database.as_service().rpc(
        "add_event_endpoint",
        {
            "new_id": endpoint_id,
            "organization": caller.organization_id,
            "by_user": caller.user_id,
            "new_url": body.url,
            "new_kinds": sorted(set(body.kinds)),
            "sealed": keys.encrypt(secret, row_id=endpoint_id, column="signing_secret"),
        },
    )
    (view,) = await _load(tools, caller.organization_id, endpoint_id)
    answer = NewEndpointAnswer(endpoint=view, secret=secret)
    return JSONResponse(answer.model_dump(mode="json"), status_code=201)


async def remove_endpoint(request: Request) -> Response:
    """Remove one; what waits for it is told to nobody."""
    tools = resources(request)
    caller = await find_caller(request, needs_owner=True)
    endpoint_id = await _need(request, caller.organization_id)
    await tools.database.as_service().rpc(
        "remove_event_endpoint",
        {"organization": caller.organization_id, "endpoint": endpoint_id, "by_user": caller.user_id},
    )
    return Response(status_code=204)


async def renew_secret(request: Request) -> Response:
    """Make a new signing secret and show it."""
    body = await read_json(request, Body)
    tools = resources(request)
    caller = await find_caller(request, body.organization, needs_owner=True)
    endpoint_id = await _need(request, caller.organization_id)
    secret, until = new_secret(), datetime.now(UTC) + ROTATION
    keys = await tools.load_keys()
    await tools.database.as_service().rpc(
        "renew_event_secret",
        {
            "organization": caller.organization_id,
            "endpoint": endpoint_id,
            "by_user": caller.user_id,
            "sealed": keys.encrypt(secret, row_id=endpoint_id, column="signing_secret"),
            "older_until": until.isoformat(),
        },
    )
    return JSONResponse(SecretAnswer(secret=secret, previous_secret_until=until).model_dump(mode="json"))


async def replay(request: Request) -> Response:
    """Tell it once more what happened since."""
    body = await read_json(request, ReplayBody)
    tools = resources(request)
    caller = await find_caller(request, body.organization, needs_owner=True)
    endpoint_id = await _need(request, caller.organization_id)
    events: int = await tools.database.as_service().rpc(
        "replay_events",
        {
            "organization": caller.organization_id,
            "endpoint": endpoint_id,
            "since": body.since.isoformat(),
            "by_user": caller.user_id,
        },
    )
    return JSONResponse(ReplayAnswer(events=events).model_dump(mode="json"), status_code=202)


async def _need(request: Request, organization_id: str) -> str:
    endpoint_id = str(request.path_params["endpoint_id"]).lower()
    if not UUID.fullmatch(endpoint_id):
        raise NotFound
    if not await _load(resources(request), organization_id, endpoint_id):
        raise NotFound
    return endpoint_id


async def _load(tools: Resources, organization_id: str, endpoint_id: str | None = None) -> list[EndpointView]:
    query = tools.database.as_service().select("event_endpoints", *COLUMNS)
    query = query.eq("organization_id", organization_id)
    if endpoint_id is not None:
        query = query.eq("id", endpoint_id)
    found: Any = (await query.order("created_at").execute()).data
    return [EndpointView.model_validate(each) for each in found]
