"""What `whatsapp-oauth` takes, answers and refuses, for the OpenAPI document. No I/O."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from functions.oauth.models import (
    ConnectionAnswer,
    CredentialsBody,
    DisconnectBody,
    ExchangeBody,
    ReconnectBody,
    RequestCodeBody,
    StartAnswer,
    StartBody,
    VerificationAnswer,
    VerifyCodeBody,
)
from shared.errors import (
    AlreadyConnected,
    CodeExpired,
    ConnectionInProgress,
    ConnectionSuperseded,
    CredentialsNeeded,
    CredentialsRefused,
    DialogCodeSpent,
    IntegrationNotFound,
    InvalidPhoneNumber,
    InvalidQuery,
    InvalidState,
    NotConnected,
    NumberChoiceRequired,
    NumberTaken,
    PinRequired,
    RegistrationLimit,
    ResendTooEarly,
    TooManyAttempts,
    TooManyRequests,
    Unavailable,
    VerificationRequired,
    WrongCode,
)
from shared.openapi import OF_META, Answer, Operation, Operations, Refusals

NAME = "whatsapp-oauth"
OF_CONNECTING: Refusals = (
    *(
        AlreadyConnected,
        ConnectionInProgress,
        ConnectionSuperseded,
        CredentialsRefused,
        NumberTaken,
        PinRequired,
    ),
    *(RegistrationLimit, TooManyRequests, Unavailable, VerificationRequired),
    *OF_META,
)


class StatusQuery(BaseModel):
    """Which organization, and whether its PIN is to be shown."""

    organization_id: UUID | None = None
    reveal: Literal["pin"] | None = Field(default=None, description="Shows an owner the two-step PIN.")


class CallbackQuery(BaseModel):
    """What Meta's dialog appends to the address."""

    state: str | None = None
    code: str | None = Field(default=None, description="Left out where the person declined.")


class DisconnectedAnswer(BaseModel):
    """The connection after it was let go."""

    class Integration(BaseModel):
        """What remains of it."""

        id: UUID
        status: Literal["disconnected"]

    integration: Integration


OPERATIONS: Operations = {
    ("POST", "/start"): Operation(
        summary="Begin Meta's dialog, for a popup or a redirect",
        caller="owner",
        takes=StartBody,
        answers={200: StartAnswer},
        refuses=(TooManyRequests,),
    ),
    ("GET", "/callback"): Operation(
        summary="Where Meta sends the browser back to in the redirect flow",
        caller="browser",
        query=CallbackQuery,
        answers={
            303: Answer(
                describes="To the dashboard, with a ticket or an error in the fragment.",
                headers={"Location": "The dashboard's address."},
            )
        },
    ),
    ("POST", "/exchange"): Operation(
        summary="Finish the dialog and connect the number that it granted",
        caller="owner",
        takes=ExchangeBody,
        answers={200: ConnectionAnswer},
        refuses=(DialogCodeSpent, InvalidState, NumberChoiceRequired, *OF_CONNECTING),
    ),
    ("POST", "/request-code"): Operation(
        summary="Have a code sent to a typed number",
        caller="owner",
        takes=RequestCodeBody,
        answers={200: VerificationAnswer},
        refuses=(InvalidPhoneNumber, ResendTooEarly, TooManyAttempts, *OF_CONNECTING),
    ),
    ("POST", "/verify-code"): Operation(
        summary="Try the code and connect the number",
        caller="owner",
        takes=VerifyCodeBody,
        answers={200: ConnectionAnswer},
        refuses=(CodeExpired, TooManyAttempts, WrongCode, *OF_CONNECTING),
    ),
    ("POST", "/credentials"): Operation(
        summary="Connect a number of the organization's own Meta app",
        caller="owner",
        takes=CredentialsBody,
        answers={200: ConnectionAnswer},
        refuses=OF_CONNECTING,
    ),
    ("GET", "/status"): Operation(
        summary="Show the connection as it stands",
        caller="member",
        query=StatusQuery,
        answers={200: ConnectionAnswer},
        refuses=(IntegrationNotFound, InvalidQuery),
    ),
    ("POST", "/disconnect"): Operation(
        summary="Remove the subscription and the credentials, keep the chats",
        caller="owner",
        takes=DisconnectBody,
        answers={200: DisconnectedAnswer},
        refuses=(IntegrationNotFound,),
    ),
    ("POST", "/reconnect"): Operation(
        summary="Connect the same number again",
        caller="owner",
        takes=ReconnectBody,
        answers={200: ConnectionAnswer},
        refuses=(CredentialsNeeded, IntegrationNotFound, NotConnected, *OF_CONNECTING),
    ),
}
