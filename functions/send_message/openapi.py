"""What `whatsapp-send-message` takes, answers and refuses, for the OpenAPI document. No I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, Union
from uuid import UUID

from pydantic import BaseModel, Field, create_model

from functions.send_message.models import ReadBody, RetryBody
from shared.errors import (
    ChatNotFound,
    Conflict,
    IdempotencyMismatch,
    IntegrationNotFound,
    InvalidPhoneNumber,
    MessageNotFound,
    NotConnected,
    OutcomeUnknown,
    TemplateNotFound,
    TooManyRequests,
    Unavailable,
    WindowClosed,
)
from shared.messages import MOST_IN_BATCH, TYPES
from shared.openapi import OF_META, Operation, Operations, Refusals

NAME = "whatsapp-send-message"
OF_SENDING: Refusals = (
    *(ChatNotFound, Conflict, IdempotencyMismatch, IntegrationNotFound, InvalidPhoneNumber, MessageNotFound),
    *(NotConnected, OutcomeUnknown, TemplateNotFound, TooManyRequests, Unavailable, WindowClosed),
    *OF_META,
)
AnyMessage: Any = Union[tuple(TYPES.values())]  # noqa: UP007 - made of a table
# One message alone says whose it is too.
OneMessage: Any = Union[  # noqa: UP007 - as above
    tuple(
        create_model(
            f"{model.__name__}Body",
            __base__=model,
            __doc__=model.__doc__,
            organization_id=(UUID | None, None),
        )
        for model in TYPES.values()
    )
]


class IdempotencyHeaders(BaseModel):
    """The same key and body are one message, however often they are posted."""

    key: str | None = Field(default=None, alias="Idempotency-Key", max_length=255)


class BatchOfMessages(BaseModel):
    """Messages of one organization."""

    organization_id: UUID | None = None
    messages: list[AnyMessage] = Field(min_length=1, max_length=MOST_IN_BATCH)


class MessageView(BaseModel):
    """One of our messages, as its organization may see it."""

    id: UUID
    organization_id: UUID
    chat_id: UUID
    contact_id: UUID | None
    batch_id: UUID | None
    wamid: str | None
    direction: Literal["inbound", "outbound"]
    type: str
    text: str | None
    content: dict[str, Any]
    reply_to_wamid: str | None
    target_wamid: str | None
    status: str | None
    error_code: int | None
    error_subcode: int | None
    sent_by: UUID | None
    occurred_at: datetime
    created_at: datetime
    retry_at: datetime | None = Field(description="When a person may try it again, knowingly.")


class MessageAnswer(BaseModel):
    """The message: 200 once Meta has it, 202 while that is not known."""

    message: MessageView


class BatchView(BaseModel):
    """How far a batch has come."""

    id: UUID
    organization_id: UUID
    message_count: int
    created_at: datetime
    cancelled_at: datetime | None
    is_finished: bool
    counts: dict[str, int] = Field(description="How many messages have which status.")


class BatchAnswer(BaseModel):
    """The batch."""

    batch: BatchView


class BatchAccepted(BatchAnswer):
    """The batch, and its messages in the order in which they were given."""

    message_ids: list[UUID]


class ReadAnswer(BaseModel):
    """The chat that was read."""

    chat_id: UUID
    unread_count: int


OPERATIONS: Operations = {
    ("POST", "/"): Operation(
        summary="Send one message of any type",
        caller="member",
        headers=IdempotencyHeaders,
        takes=OneMessage,
        answers={200: MessageAnswer, 202: MessageAnswer},
        refuses=OF_SENDING,
    ),
    ("POST", "/batch"): Operation(
        summary="Accept up to 1,000 messages, all or none, to be sent at the number's own pace",
        caller="member",
        headers=IdempotencyHeaders,
        takes=BatchOfMessages,
        answers={202: BatchAccepted},
        refuses=OF_SENDING,
    ),
    ("GET", "/batch/{batch_id}"): Operation(
        summary="Tell how far a batch has come",
        caller="member",
        answers={200: BatchAnswer},
    ),
    ("POST", "/batch/{batch_id}/cancel"): Operation(
        summary="Take out of the queue what has not left",
        caller="member",
        answers={200: BatchAnswer},
    ),
    ("POST", "/retry"): Operation(
        summary="Try a failed message again, as a new one",
        caller="member",
        takes=RetryBody,
        answers={200: MessageAnswer, 202: MessageAnswer},
        refuses=OF_SENDING,
    ),
    ("POST", "/read"): Operation(
        summary="Mark a chat as read, with the typing indicator if wanted",
        caller="member",
        takes=ReadBody,
        answers={200: ReadAnswer},
        refuses=OF_SENDING,
    ),
}
