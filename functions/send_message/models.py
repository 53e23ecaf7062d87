"""The bodies that callers send, beside the messages themselves (shared/messages.py). No I/O."""

from __future__ import annotations

from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from shared.errors import InvalidBody, InvalidPhoneNumber
from shared.messages import MOST_IN_BATCH, TYPES, Outgoing, UnreadablePhoneNumber


class Body(BaseModel):
    """A body whose every field is known."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class BatchBody(Body):
    """Up to a thousand messages of one organization."""

    organization_id: UUID | None = None
    messages: list[dict[str, Any]] = Field(min_length=1, max_length=MOST_IN_BATCH)


class RetryBody(Body):
    """A message that a person wants to try again."""

    organization_id: UUID | None = None
    message_id: UUID


class ReadBody(Body):
    """What has been read: a chat as a whole, or up to one of its messages, by our id or by its wamid."""

    organization_id: UUID | None = None
    chat_id: UUID | None = None
    message_id: UUID | None = None
    wamid: Annotated[str, StringConstraints(min_length=1, max_length=512)] | None = None
    typing: bool = False

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.chat_id is None and self.message_id is None and self.wamid is None:
            raise PydanticCustomError("one_of", "Give chat_id, message_id or wamid.")
        return self


class OrganizationField(Body):
    """The organization that the caller means; a member of one alone may leave it out."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    organization_id: UUID | None = None


def read_message(content: dict[str, Any]) -> Outgoing:
    """Make the model of the message's type, text where none is named; raise `InvalidBody`."""
    kind = content.get("type", "text")
    if not isinstance(kind, str) or kind not in TYPES:
        known = ", ".join(TYPES)
        raise InvalidBody(
            details=[{"field": "type", "rule": "enum", "message": f"The type is one of: {known}."}]
        )
    try:
        return TYPES[kind].model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise InvalidBody(
            details=[
                {"field": field_of(each["loc"], content), "rule": each["type"], "message": each["msg"]}
                for each in found
            ]
        ) from None


def field_of(location: tuple[int | str, ...], content: object) -> str:
    """Write where something stands as the caller sees it: without the names of the choices among models."""
    field, place = "", content
    for position, part in enumerate(location):
        if position and _is_choice(part, location[position + 1 :], place):
            continue
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
        place = _step_into(place, part)
    return field.removeprefix(".")


def _is_choice(part: int | str, rest: tuple[int | str, ...], place: object) -> bool:
    if not isinstance(place, dict) or place.get("type") != part:
        return False
    # Some parts have a field of their type's name: {"type": "image", "image": …}.
    return part not in place or (bool(rest) and rest[0] in place)


def _step_into(place: object, part: int | str) -> object:
    if isinstance(place, dict):
        return place.get(part)
    if isinstance(place, list) and isinstance(part, int) and part < len(place):
        return place[part]
    return None


def read_item(content: dict[str, Any]) -> dict[str, Any]:
    """Return what the database takes; raise `InvalidBody` with each wrong field, or `InvalidPhoneNumber`."""
    message = read_message(content)
    try:
        return message.to_item()
    except UnreadablePhoneNumber:
        detail = {"field": "to", "rule": "phone_number", "message": "Write the number with its country code."}
        raise InvalidPhoneNumber(details=[detail]) from None


def read_items(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Validate a batch as a whole: the details name every wrong field of every message."""
    items, details = [], []
    for position, content in enumerate(messages):
        try:
            items.append(read_item(content))
        except InvalidBody as error:
            details += [
                {**detail, "field": f"messages[{position}].{detail['field']}"} for detail in error.details
            ]
    if details:
        raise InvalidBody(details=details[:100])
    return items
