"""What `whatsapp-webhook` takes, answers and refuses, for the OpenAPI document. No I/O."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from shared.errors import BadSignature, TooLarge, TooManyRequests, Unavailable, WrongVerifyToken
from shared.openapi import Answer, Operation, Operations

NAME = "whatsapp-webhook"


class HandshakeQuery(BaseModel):
    """What Meta brings when the webhook is set up."""

    mode: Literal["subscribe"] = Field(alias="hub.mode")
    verify_token: str = Field(alias="hub.verify_token")
    challenge: str = Field(alias="hub.challenge", pattern="^[0-9]{1,100}$")


class SignatureHeaders(BaseModel):
    """The proof: HMAC-SHA256 of the raw body with the app's secret."""

    signature: str = Field(alias="X-Hub-Signature-256", pattern="^sha256=[0-9a-f]{64}$")


class Received(BaseModel):
    """The delivery is stored."""

    received: Literal[True]


HANDSHAKE = Operation(
    summary="Answer Meta's handshake",
    caller="meta",
    query=HandshakeQuery,
    answers={200: Answer(describes="The challenge.", type="text/plain")},
    refuses=(WrongVerifyToken, TooManyRequests),
)
DELIVERY = Operation(
    summary="Take in a signed delivery; 200 means stored",
    caller="meta",
    headers=SignatureHeaders,
    takes=dict[str, Any],
    answers={200: Received},
    refuses=(BadSignature, TooLarge, TooManyRequests, Unavailable),
)

OPERATIONS: Operations = {
    ("GET", "/"): HANDSHAKE,
    ("POST", "/"): DELIVERY,
    ("GET", "/{integration_id}"): HANDSHAKE,
    ("POST", "/{integration_id}"): DELIVERY,
}
