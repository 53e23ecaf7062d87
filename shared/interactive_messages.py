"""What a caller may ask of a customer: buttons, lists, links, places, flows. No I/O.

https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from shared.messages import HeaderDocument, Media, MetaId, Outgoing, Part, Url, broken, words

MOST_ROWS = 10


class BodyText(Part):
    """The words of an interactive message."""

    text: Annotated[str, words(1024)]


class LongBodyText(Part):
    """The words of a list message."""

    text: Annotated[str, words(4096)]


class Footer(Part):
    """The small print."""

    text: Annotated[str, words(60)]


class TextHeader(Part):
    """A headline."""

    type: Literal["text"]
    text: Annotated[str, words(60)]


class ImageHeader(Part):
    """A picture on top."""

    type: Literal["image"]
    image: Media


class VideoHeader(Part):
    """A film on top."""

    type: Literal["video"]
    video: Media


class DocumentHeader(Part):
    """A file on top."""

    type: Literal["document"]
    document: HeaderDocument


Header = Annotated[TextHeader | ImageHeader | VideoHeader | DocumentHeader, Field(discriminator="type")]


class Reply(Part):
    """What a button answers with, and says."""

    id: Annotated[str, words(256)]
    title: Annotated[str, words(20)]


class ReplyButton(Part):
    """One button."""

    type: Literal["reply"] = "reply"
    reply: Reply


class ButtonsAction(Part):
    """One to three buttons, each with its own id and title."""

    buttons: list[ReplyButton] = Field(min_length=1, max_length=3)

    @model_validator(mode="after")
    def _differ(self) -> Self:
        for name in ("id", "title"):
            if len({getattr(button.reply, name) for button in self.buttons}) < len(self.buttons):
                raise broken("unique", "The buttons must differ in id and in title.")
        return self


class Buttons(Part):
    """A question with up to three buttons."""

    type: Literal["button"]
    header: Header | None = None
    body: BodyText
    footer: Footer | None = None
    action: ButtonsAction


class Row(Part):
    """One choice of a list."""

    id: Annotated[str, words(200)]
    title: Annotated[str, words(24)]
    description: Annotated[str, words(72)] | None = None


class Section(Part):
    """A group of choices."""

    title: Annotated[str, words(24)] | None = None
    rows: list[Row] = Field(min_length=1, max_length=MOST_ROWS)


class ListAction(Part):
    """Up to ten choices in all, in up to ten sections."""

    button: Annotated[str, words(20)]
    sections: list[Section] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        rows = [row for section in self.sections for row in section.rows]
        if len(rows) > MOST_ROWS:
            raise broken("too_many_rows", "All sections together may have at most 10 rows.")
        if len({row.id for row in rows}) < len(rows):
            raise broken("unique", "The rows must differ in id.")
        if len(self.sections) > 1 and any(section.title is None for section in self.sections):
            raise broken("title_required", "With more than one section, each needs a title.")
        return self


class ListMessage(Part):
    """A question with a list of choices."""

    type: Literal["list"]
    header: TextHeader | None = None
    body: LongBodyText
    footer: Footer | None = None
    action: ListAction


class UrlParameters(Part):
    """What the button says, and where it leads."""

    display_text: Annotated[str, words(20)]
    url: Url


class UrlAction(Part):
    """A button that opens a page."""

    name: Literal["cta_url"] = "cta_url"
    parameters: UrlParameters


class UrlButton(Part):
    """Words with a button that opens a page."""

    type: Literal["cta_url"]
    header: Header | None = None
    body: BodyText
    footer: Footer | None = None
    action: UrlAction


class LocationAction(Part):
    """A button that answers with a place."""

    name: Literal["send_location"] = "send_location"


class LocationRequest(Part):
    """Asks where the customer is."""

    type: Literal["location_request_message"]
    body: BodyText
    action: LocationAction = Field(default_factory=LocationAction)


class FlowPayload(Part):
    """Where a flow begins, and what its first screen knows."""

    screen: Annotated[str, words(256)]
    data: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _has_data(self) -> Self:
        if self.data == {}:
            raise broken("empty", "The data of a flow's first screen must not be an empty object.")
        return self


class FlowParameters(Part):
    """Which flow, what its button says, and how it begins."""

    flow_message_version: Literal["3"] = "3"
    flow_id: MetaId | None = None
    flow_name: Annotated[str, words(200)] | None = None
    flow_cta: Annotated[str, words(30)]
    flow_token: Annotated[str, words(200)] = "unused"  # noqa: S105 - Meta's own default
    mode: Literal["draft", "published"] | None = None
    flow_action: Literal["navigate", "data_exchange"] | None = None
    flow_action_payload: FlowPayload | None = None

    @model_validator(mode="after")
    def _names_one_flow(self) -> Self:
        if (self.flow_id is None) == (self.flow_name is None):
            raise broken("one_flow", "Give either flow_id or flow_name.")
        if self.flow_action == "data_exchange" and self.flow_action_payload is not None:
            raise broken("payload", "flow_action_payload belongs to the action navigate only.")
        return self


class FlowAction(Part):
    """A button that opens a flow."""

    name: Literal["flow"] = "flow"
    parameters: FlowParameters


class Flow(Part):
    """Words with a button that opens a flow."""

    type: Literal["flow"]
    header: Header | None = None
    body: BodyText
    footer: Footer | None = None
    action: FlowAction


Interactive = Annotated[
    Buttons | ListMessage | UrlButton | LocationRequest | Flow, Field(discriminator="type")
]


class InteractiveMessage(Outgoing):
    """A question with buttons, a list, a link, a flow."""

    kind: ClassVar[str] = "interactive"
    type: Literal["interactive"]
    interactive: Interactive
