"""What `whatsapp-meta-api` takes, answers and refuses, for the OpenAPI document. No I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from functions.meta_api.bots import BotAnswer, BotBody, SecretAnswer
from functions.meta_api.event_endpoints import (
    EndpointBody,
    EndpointsAnswer,
    NewEndpointAnswer,
    ReplayAnswer,
    ReplayBody,
)
from functions.meta_api.models import (
    Body,
    NumberAnswer,
    ProfileAnswer,
    ProfileBody,
    RegisterBody,
    SubscriptionAnswer,
    SubscriptionBody,
    SyncAnswer,
    TemplateBody,
    TemplatesAnswer,
    TemplateView,
    TokenAnswer,
)
from shared.errors import (
    BadRequest,
    Conflict,
    ConnectionInProgress,
    CredentialsNeeded,
    IntegrationNotFound,
    InvalidQuery,
    MediaNotStored,
    MediaPending,
    MessageNotFound,
    NotConnected,
    PinRequired,
    RegistrationLimit,
    TemplateNameTaken,
    TemplateNotFound,
    TooManyRequests,
    Unavailable,
    VerificationRequired,
)
from shared.openapi import OF_META, Answer, Operation, Operations, Refusals

NAME = "whatsapp-meta-api"
OF_A_CONNECTION: Refusals = (IntegrationNotFound, NotConnected, CredentialsNeeded, TooManyRequests, *OF_META)
OF_REGISTERING: Refusals = (
    ConnectionInProgress,
    PinRequired,
    RegistrationLimit,
    VerificationRequired,
    *OF_A_CONNECTION,
)


class OrganizationQuery(BaseModel):
    """Which organization; who belongs to one alone may leave it out."""

    organization_id: UUID | None = None


class TemplatesQuery(OrganizationQuery):
    """Which page, and which templates."""

    limit: Annotated[int, Field(ge=1, le=200)] | None = None
    after: str | None = Field(default=None, description="`after` of the page before.")
    name: str | None = None
    status: str | None = None
    category: str | None = None
    language: str | None = None


class TemplateQuery(OrganizationQuery):
    """Which template."""

    name: Annotated[str, StringConstraints(min_length=1)]
    template_id: str | None = Field(default=None, description="This one's language alone.")


class MediaQuery(BaseModel):
    """How the attachment is wanted."""

    as_: Literal["bytes", "url"] | None = Field(default=None, alias="as")
    download: Literal["true", "false"] | None = Field(default=None, description="As a file to be saved.")


class MediaHeaders(BaseModel):
    """A part of it."""

    range: str | None = Field(default=None, description="bytes=first-last")


class DeletedAnswer(BaseModel):
    """How many templates we knew of that name."""

    deleted: int


class MediaAddress(BaseModel):
    """A short-lived address of an attachment, for what a page shows without a token."""

    url: str
    expires_at: datetime
    mime_type: str
    byte_count: int | None


class Check(BaseModel):
    """One link of the chain; a finding has a cause, its sentence and what to do."""

    id: str
    status: Literal["ok", "warning", "failed", "skipped"]
    cause: str | None
    message: str | None = None
    fix: str | None = None
    help: str | None = Field(default=None, description="The anchor in docs/troubleshooting.md.")


class DiagnosticsAnswer(BaseModel):
    """The doctor's report, in the language of Accept-Language."""

    status: Literal["ok", "warning", "failed"]
    cause: str | None = Field(description="The one thing to look at.")
    checks: list[Check]


OPERATIONS: Operations = {
    ("GET", "/number"): Operation(
        summary="Show the number's live facts",
        caller="member",
        query=OrganizationQuery,
        answers={200: NumberAnswer},
        refuses=OF_A_CONNECTION,
    ),
    ("POST", "/register"): Operation(
        summary="Put the number on the Cloud API",
        caller="owner",
        takes=RegisterBody,
        answers={200: NumberAnswer},
        refuses=OF_REGISTERING,
    ),
    ("POST", "/deregister"): Operation(
        summary="Take the number off the Cloud API",
        caller="owner",
        takes=RegisterBody,
        answers={200: NumberAnswer},
        refuses=OF_REGISTERING,
    ),
    ("GET", "/profile"): Operation(
        summary="Show the business profile",
        caller="member",
        query=OrganizationQuery,
        answers={200: ProfileAnswer},
        refuses=OF_A_CONNECTION,
    ),
    ("POST", "/profile"): Operation(
        summary="Change what is given of the business profile",
        caller="owner",
        takes=ProfileBody,
        answers={200: ProfileAnswer},
        refuses=OF_A_CONNECTION,
    ),
    ("GET", "/templates"): Operation(
        summary="List one page of templates",
        caller="member",
        query=TemplatesQuery,
        answers={200: TemplatesAnswer},
        refuses=(InvalidQuery, *OF_A_CONNECTION),
    ),
    ("POST", "/templates"): Operation(
        summary="Give a template to Meta for review",
        caller="owner",
        takes=TemplateBody,
        answers={201: TemplateView},
        refuses=(TemplateNameTaken, *OF_A_CONNECTION),
    ),
    ("DELETE", "/templates"): Operation(
        summary="Delete a template in all its languages, or in one",
        caller="owner",
        query=TemplateQuery,
        answers={200: DeletedAnswer},
        refuses=(InvalidQuery, TemplateNotFound, *OF_A_CONNECTION),
    ),
    ("GET", "/webhook-subscription"): Operation(
        summary="Tell whether and where Meta delivers",
        caller="owner",
        query=OrganizationQuery,
        answers={200: SubscriptionAnswer},
        refuses=OF_A_CONNECTION,
    ),
    ("POST", "/webhook-subscription"): Operation(
        summary="Subscribe the app again, with or without a callback of its own",
        caller="owner",
        takes=SubscriptionBody,
        answers={200: SubscriptionAnswer},
        refuses=OF_A_CONNECTION,
    ),
    ("POST", "/sync"): Operation(
        summary="Read number and templates anew",
        caller="owner",
        takes=RegisterBody,
        answers={200: SyncAnswer},
        refuses=OF_A_CONNECTION,
    ),
    ("POST", "/token/refresh"): Operation(
        summary="Renew the access token now",
        caller="owner",
        takes=RegisterBody,
        answers={200: TokenAnswer},
        refuses=OF_A_CONNECTION,
    ),
    ("GET", "/media/{message_id}"): Operation(
        summary="The bytes of an attachment, or a short-lived address of them",
        caller="member",
        query=MediaQuery,
        headers=MediaHeaders,
        answers={
            200: MediaAddress,
            206: Answer(describes="The part that was asked for.", type="*/*"),
            302: Answer(describes="Too large for this platform's answers: its short-lived address."),
            304: Answer(describes="The caller has it already (If-None-Match)."),
            416: Answer(describes="There is no such part."),
        },
        refuses=(InvalidQuery, MediaNotStored, MediaPending, MessageNotFound, Unavailable),
    ),
    ("GET", "/bot"): Operation(
        summary="Show the bot", caller="member", query=OrganizationQuery, answers={200: BotAnswer}
    ),
    ("POST", "/bot"): Operation(
        summary="Replace the bot's settings and rules",
        caller="owner",
        takes=BotBody,
        answers={200: BotAnswer},
        refuses=(BadRequest,),
    ),
    ("POST", "/bot/secret"): Operation(
        summary="Make a new signing secret for the bot's endpoint",
        caller="owner",
        takes=Body,
        answers={200: SecretAnswer},
    ),
    ("GET", "/event-endpoints"): Operation(
        summary="List the organization's event endpoints",
        caller="member",
        query=OrganizationQuery,
        answers={200: EndpointsAnswer},
    ),
    ("POST", "/event-endpoints"): Operation(
        summary="Add an event endpoint",
        caller="owner",
        takes=EndpointBody,
        answers={201: NewEndpointAnswer},
        refuses=(Conflict,),
    ),
    ("DELETE", "/event-endpoints/{endpoint_id}"): Operation(
        summary="Remove an event endpoint",
        caller="owner",
        query=OrganizationQuery,
        answers={204: Answer(describes="It is gone.")},
    ),
    ("POST", "/event-endpoints/{endpoint_id}/secret"): Operation(
        summary="Make a new signing secret for an event endpoint",
        caller="owner",
        takes=Body,
        answers={200: SecretAnswer},
    ),
    ("POST", "/event-endpoints/{endpoint_id}/replay"): Operation(
        summary="Tell an event endpoint once more what happened",
        caller="owner",
        takes=ReplayBody,
        answers={202: ReplayAnswer},
    ),
    ("GET", "/diagnostics"): Operation(
        summary="Examine each link of the chain, and tell what to do",
        caller="owner",
        query=OrganizationQuery,
        answers={200: DiagnosticsAnswer},
    ),
}
