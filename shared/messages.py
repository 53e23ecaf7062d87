"""What a caller may ask us to send, each type with Meta's limits, and what of it becomes Meta's body. No I/O.

The fields are Meta's own, so that its documentation explains them; ours are the addressee (`chat_id`, `to` or
`recipient`), `reply_to`, and `storage_path` beside `link` and `media_id`.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from shared.contacts import make_contact

LONGEST_PREVIEW = 300
MOST_IN_BATCH = 1_000
MOST_ROWS = 10
SHORTEST_URL = len("http://a")


class Part(BaseModel):
    """A part of a message; what Meta does not know is refused here, by name."""

    # Built at the first use: a request pays for its own type only.
    model_config = ConfigDict(extra="forbid", defer_build=True)

    def to_meta(self) -> dict[str, Any]:
        """Return the part as Meta is sent it."""
        return self.model_dump(mode="json", exclude_none=True)


def _broken(rule: str, sentence: str) -> PydanticCustomError:
    return PydanticCustomError(rule, sentence)


def _check_url(text: str) -> str:
    if not re.match(r"(?i)https?://[^\s/]", text):
        raise _broken("url", "This must be a whole address that begins with https:// or http://.")
    return text


def _check_path(path: str) -> str:
    if any(part.strip(".") == "" for part in path.split("/")):
        raise _broken("storage_path", "This must be a bucket and a path within it.")
    return path


def words(longest: int) -> StringConstraints:
    """Say that a text is not blank and has at most `longest` characters."""
    return StringConstraints(min_length=1, max_length=longest, pattern=r"\S")


Url = Annotated[str, StringConstraints(min_length=SHORTEST_URL, max_length=2048), AfterValidator(_check_url)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:=+/-]{1,512}$")]
MetaId = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
    StringConstraints(pattern=r"^[A-Za-z0-9_:.-]{1,128}$"),
]
# Bucket and path, as Supabase Storage shows them; no part may lead elsewhere.
StoragePath = Annotated[
    str,
    StringConstraints(pattern=r"^[^\\/?#%\x00-\x1f]+(/[^\\/?#%\x00-\x1f]+)+$", max_length=1024),
    AfterValidator(_check_path),
]


# What each type of file may be: MIME types and largest size in bytes.
# https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
@dataclass(frozen=True, kw_only=True)
class FileRule:
    """What Meta takes as one kind of media."""

    mime_types: tuple[str, ...]
    largest: int


MEGABYTE = 1024 * 1024
FILE_RULES: dict[str, FileRule] = {
    "audio": FileRule(
        mime_types=("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"), largest=16 * MEGABYTE
    ),
    # Only some document types are listed, and others are seen to work: none is refused here.
    "document": FileRule(mime_types=(), largest=100 * MEGABYTE),
    "image": FileRule(mime_types=("image/jpeg", "image/png"), largest=5 * MEGABYTE),
    # 100 KB when it does not move: that is Meta's to see.
    "sticker": FileRule(mime_types=("image/webp",), largest=500 * 1024),
    "video": FileRule(mime_types=("video/mp4", "video/3gpp"), largest=16 * MEGABYTE),
}


class Media(Part):
    """A file by exactly one of: a public link, Meta's id of an upload, a path in Supabase Storage."""

    link: Url | None = None
    id: MetaId | None = Field(default=None, validation_alias=AliasChoices("media_id", "id"))
    storage_path: StoragePath | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if sum(source is not None for source in (self.link, self.id, self.storage_path)) != 1:
            raise _broken("one_source", "Give exactly one of link, media_id and storage_path.")
        return self


class CaptionedMedia(Media):
    """A file with words beside it."""

    caption: Annotated[str, words(1024)] | None = None


class Document(CaptionedMedia):
    """A file with a name."""

    filename: Annotated[str, words(240)] | None = None


class Audio(Media):
    """A sound; `voice` shows it as a voice note, which must be OGG with Opus."""

    voice: bool | None = None


class Text(Part):
    """Words, with a preview of the first link if wanted."""

    body: Annotated[str, words(4096)]
    preview_url: bool | None = None


class Location(Part):
    """A place."""

    latitude: float = Field(ge=-90, le=90)
    longitude: float = Field(ge=-180, le=180)
    name: Annotated[str, words(1000)] | None = None
    address: Annotated[str, words(1000)] | None = None

    def to_meta(self) -> dict[str, Any]:
        """Write the degrees as Meta's own schema does: as text."""
        degrees = {"latitude": _plain(self.latitude), "longitude": _plain(self.longitude)}
        return {**super().to_meta(), **degrees}


def _plain(number: float) -> str:
    return f"{number:.7f}".rstrip("0").rstrip(".")


class ContactName(Part):
    """What a contact is called."""

    formatted_name: Annotated[str, words(512)]
    first_name: Annotated[str, words(512)] | None = None
    last_name: Annotated[str, words(512)] | None = None
    middle_name: Annotated[str, words(512)] | None = None
    prefix: Annotated[str, words(512)] | None = None
    suffix: Annotated[str, words(512)] | None = None

    def to_meta(self) -> dict[str, Any]:
        """Add the second part of a name that Meta asks for beside the whole."""
        name = super().to_meta()
        return name if len(name) > 1 else {**name, "first_name": self.formatted_name}


Kind = Literal["HOME", "WORK"]


class ContactPhone(Part):
    """A number of a contact."""

    phone: Annotated[str, words(64)]
    type: Kind | None = None
    wa_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{5,20}$")] | None = None


class ContactEmail(Part):
    """An e-mail address of a contact."""

    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]
    type: Kind | None = None


class ContactUrl(Part):
    """A page of a contact."""

    url: Url
    type: Kind | None = None


class ContactAddress(Part):
    """Where a contact lives or works."""

    street: Annotated[str, words(512)] | None = None
    city: Annotated[str, words(512)] | None = None
    state: Annotated[str, words(512)] | None = None
    zip: Annotated[str, words(64)] | None = None
    country: Annotated[str, words(512)] | None = None
    country_code: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$")] | None = None
    type: Kind | None = None


class ContactOrganization(Part):
    """Where a contact works, and as what."""

    company: Annotated[str, words(512)] | None = None
    department: Annotated[str, words(512)] | None = None
    title: Annotated[str, words(512)] | None = None


class ContactCard(Part):
    """A person, to be saved in the other's phone."""

    name: ContactName
    phones: list[ContactPhone] | None = Field(default=None, max_length=20)
    emails: list[ContactEmail] | None = Field(default=None, max_length=20)
    urls: list[ContactUrl] | None = Field(default=None, max_length=20)
    addresses: list[ContactAddress] | None = Field(default=None, max_length=20)
    org: ContactOrganization | None = None
    birthday: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None

    def to_meta(self) -> dict[str, Any]:
        """Let the name write itself."""
        return {**super().to_meta(), "name": self.name.to_meta()}


class Reaction(Part):
    """An emoji on another message, by our id or its wamid; an empty one takes it back."""

    message_id: Identifier
    emoji: Annotated[str, StringConstraints(max_length=32)]

    @model_validator(mode="after")
    def _is_an_emoji(self) -> Self:
        # Letters and digits alone are none; a keycap such as 1️⃣ carries a sign behind its digit.
        if self.emoji and self.emoji.isascii():
            raise _broken("emoji", "The emoji must be one emoji, or empty to take the reaction back.")
        return self


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


class HeaderDocument(Media):
    """A file on top, with a name."""

    filename: Annotated[str, words(240)] | None = None


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
                raise _broken("unique", "The buttons must differ in id and in title.")
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
            raise _broken("too_many_rows", "All sections together may have at most 10 rows.")
        if len({row.id for row in rows}) < len(rows):
            raise _broken("unique", "The rows must differ in id.")
        if len(self.sections) > 1 and any(section.title is None for section in self.sections):
            raise _broken("title_required", "With more than one section, each needs a title.")
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
            raise _broken("empty", "The data of a flow's first screen must not be an empty object.")
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
            raise _broken("one_flow", "Give either flow_id or flow_name.")
        if self.flow_action == "data_exchange" and self.flow_action_payload is not None:
            raise _broken("payload", "flow_action_payload belongs to the action navigate only.")
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


class Currency(Part):
    """An amount in thousandths."""

    fallback_value: Annotated[str, words(1024)]
    code: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    amount_1000: Annotated[int, Field(ge=-(2**31), lt=2**31)]


class DateTime(Part):
    """A moment in words; Meta shows them as they are."""

    fallback_value: Annotated[str, words(1024)]


ParameterName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,256}$")]


class TextParameter(Part):
    """Words in the place of a variable, by position or by name."""

    type: Literal["text"]
    text: Annotated[str, words(32768)]
    parameter_name: ParameterName | None = None


class CurrencyParameter(Part):
    """An amount in the place of a variable."""

    type: Literal["currency"]
    currency: Currency
    parameter_name: ParameterName | None = None


class DateTimeParameter(Part):
    """A moment in the place of a variable."""

    type: Literal["date_time"]
    date_time: DateTime
    parameter_name: ParameterName | None = None


class ImageParameter(Part):
    """The picture of a template's header."""

    type: Literal["image"]
    image: Media


class VideoParameter(Part):
    """The film of a template's header."""

    type: Literal["video"]
    video: Media


class DocumentParameter(Part):
    """The file of a template's header."""

    type: Literal["document"]
    document: HeaderDocument


class LocationParameter(Part):
    """The place of a template's header."""

    type: Literal["location"]
    location: Location

    def to_meta(self) -> dict[str, Any]:
        """Let the place write itself."""
        return {"type": "location", "location": self.location.to_meta()}


class ProductParameter(Part):
    """The product of a template's header."""

    type: Literal["product"]
    product: dict[str, Any]


BodyParameter = Annotated[TextParameter | CurrencyParameter | DateTimeParameter, Field(discriminator="type")]
HeaderParameter = Annotated[
    TextParameter
    | CurrencyParameter
    | DateTimeParameter
    | ImageParameter
    | VideoParameter
    | DocumentParameter
    | LocationParameter
    | ProductParameter,
    Field(discriminator="type"),
]


class HeaderComponent(Part):
    """What a template's header is filled with."""

    type: Literal["header"]
    parameters: list[HeaderParameter] = Field(min_length=1, max_length=1)

    def to_meta(self) -> dict[str, Any]:
        """Let each parameter write itself."""
        return {"type": "header", "parameters": [parameter.to_meta() for parameter in self.parameters]}


class BodyComponent(Part):
    """What a template's body is filled with: all by position, or all by name."""

    type: Literal["body"]
    parameters: list[BodyParameter] = Field(min_length=1, max_length=100)

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        named = [parameter.parameter_name for parameter in self.parameters if parameter.parameter_name]
        if named and len(named) < len(self.parameters):
            raise _broken("parameter_name", "Name every parameter of the body, or none.")
        if len(set(named)) < len(named):
            raise _broken("unique", "Two parameters of the body have the same name.")
        return self


ButtonIndex = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
    StringConstraints(pattern=r"^[0-9]$"),
]


class PayloadParameter(Part):
    """What a quick reply answers with."""

    type: Literal["payload"]
    payload: Annotated[str, words(256)]


class UrlSuffixParameter(Part):
    """What is put behind a button's address, or the code of an authentication template."""

    type: Literal["text"]
    text: Annotated[str, words(2000)]


class CouponParameter(Part):
    """The code that a button copies."""

    type: Literal["coupon_code"]
    coupon_code: Annotated[str, words(15)]


class ActionParameter(Part):
    """What a flow or a catalog begins with."""

    type: Literal["action"]
    action: dict[str, Any]


ButtonParameter = Annotated[
    PayloadParameter | UrlSuffixParameter | CouponParameter | ActionParameter, Field(discriminator="type")
]


class ButtonComponent(Part):
    """What one of a template's buttons is filled with."""

    type: Literal["button"]
    sub_type: Literal["quick_reply", "url", "copy_code", "flow", "catalog", "mpm", "voice_call"]
    index: ButtonIndex
    parameters: list[ButtonParameter] = Field(min_length=1, max_length=10)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        fitting = {
            "quick_reply": "payload",
            "voice_call": "payload",
            "url": "text",
            "copy_code": "coupon_code",
        }
        if any(parameter.type != fitting.get(self.sub_type, "action") for parameter in self.parameters):
            raise _broken("parameter_type", "This button takes another type of parameter.")
        return self


class OfferExpiry(Part):
    """When an offer ends, in milliseconds since 1970."""

    expiration_time_ms: int


class OfferParameter(Part):
    """How long an offer lasts."""

    type: Literal["limited_time_offer"]
    limited_time_offer: OfferExpiry


class OfferComponent(Part):
    """The countdown of a template."""

    type: Literal["limited_time_offer"]
    parameters: list[OfferParameter] = Field(min_length=1, max_length=1)


class Card(Part):
    """One card of a carousel."""

    card_index: int = Field(ge=0, le=9)
    components: list[
        Annotated[HeaderComponent | BodyComponent | ButtonComponent, Field(discriminator="type")]
    ] = Field(min_length=1)

    def to_meta(self) -> dict[str, Any]:
        """Let each component write itself."""
        return {"card_index": self.card_index, "components": [part.to_meta() for part in self.components]}


class CarouselComponent(Part):
    """The cards of a template."""

    type: Literal["carousel"]
    cards: list[Card] = Field(min_length=2, max_length=10)

    def to_meta(self) -> dict[str, Any]:
        """Let each card write itself."""
        return {"type": "carousel", "cards": [card.to_meta() for card in self.cards]}


class Language(Part):
    """A template's language."""

    code: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?$")]
    # The only policy that Meta has left; its schema asks for it.
    policy: Literal["deterministic"] = "deterministic"


class Template(Part):
    """An approved template and what it is filled with."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[
        Language, BeforeValidator(lambda value: {"code": value} if isinstance(value, str) else value)
    ]
    components: (
        list[
            Annotated[
                HeaderComponent | BodyComponent | ButtonComponent | OfferComponent | CarouselComponent,
                Field(discriminator="type"),
            ]
        ]
        | None
    ) = Field(default=None, max_length=20)

    def to_meta(self) -> dict[str, Any]:
        """Let each component write itself."""
        shown: dict[str, Any] = {"name": self.name, "language": self.language.to_meta()}
        if self.components:
            shown["components"] = [component.to_meta() for component in self.components]
        return shown


class Context(Part):
    """Meta's own way to say `reply_to`."""

    message_id: Identifier


class Outgoing(Part):
    """What every message has: whom it goes to, and what it answers."""

    kind: ClassVar[str]

    chat_id: UUID | None = None
    to: (
        Annotated[
            str,
            BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
            StringConstraints(min_length=1, max_length=64),
        ]
        | None
    ) = None
    recipient: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}\.[A-Za-z0-9.]{1,140}$")] | None = None
    reply_to: Identifier | None = None
    context: Context | None = None
    # What Meta's own bodies say; it changes nothing here.
    messaging_product: Literal["whatsapp"] | None = None
    recipient_type: Literal["individual", "group"] | None = None

    @model_validator(mode="after")
    def _has_one_addressee(self) -> Self:
        if sum(way is not None for way in (self.chat_id, self.to, self.recipient)) != 1:
            raise _broken("one_addressee", "Give exactly one of chat_id, to and recipient.")
        if self.reply_to is not None and self.context is not None:
            raise _broken("one_reply", "Give either reply_to or context.message_id.")
        return self

    @property
    def part(self) -> Any:
        """The part that is named after the type."""
        return getattr(self, self.kind)

    def to_content(self) -> dict[str, Any]:
        """Return what is kept of it and sent to Meta: one object, named after the type."""
        return {self.kind: self.part.to_meta()}

    def preview(self) -> str | None:
        """Return what a list of chats shows."""
        return getattr(self.part, "caption", None)

    def to_item(self) -> dict[str, Any]:
        """Return what the database's begin_send takes."""
        return {
            "chat_id": str(self.chat_id) if self.chat_id else None,
            "contact": contact_of(self.to, self.recipient) if self.chat_id is None else None,
            "type": self.kind,
            "text": self.preview(),
            "content": self.to_content(),
            "reply_to": self.reply_to or (self.context.message_id if self.context else None),
            "target": None,
        }


class TextMessage(Outgoing):
    """Words."""

    kind: ClassVar[str] = "text"
    type: Literal["text"] = "text"
    text: Annotated[Text, BeforeValidator(lambda value: {"body": value} if isinstance(value, str) else value)]

    def preview(self) -> str | None:
        """Show the words."""
        return self.text.body


class ImageMessage(Outgoing):
    """A picture."""

    kind: ClassVar[str] = "image"
    type: Literal["image"]
    image: CaptionedMedia


class VideoMessage(Outgoing):
    """A film."""

    kind: ClassVar[str] = "video"
    type: Literal["video"]
    video: CaptionedMedia


class AudioMessage(Outgoing):
    """A sound, or a voice note."""

    kind: ClassVar[str] = "audio"
    type: Literal["audio"]
    audio: Audio


class DocumentMessage(Outgoing):
    """A file."""

    kind: ClassVar[str] = "document"
    type: Literal["document"]
    document: Document

    def preview(self) -> str | None:
        """Show the caption, else the file's name."""
        return self.document.caption or self.document.filename


class StickerMessage(Outgoing):
    """A sticker."""

    kind: ClassVar[str] = "sticker"
    type: Literal["sticker"]
    sticker: Media


class LocationMessage(Outgoing):
    """A place."""

    kind: ClassVar[str] = "location"
    type: Literal["location"]
    location: Location

    def preview(self) -> str | None:
        """Show the place's name."""
        return self.location.name or self.location.address


class ContactsMessage(Outgoing):
    """People."""

    kind: ClassVar[str] = "contacts"
    type: Literal["contacts"]
    contacts: list[ContactCard] = Field(min_length=1, max_length=5)

    def to_content(self) -> dict[str, Any]:
        """Let each card write itself."""
        return {"contacts": [card.to_meta() for card in self.contacts]}

    def preview(self) -> str | None:
        """Show the names."""
        return ", ".join(card.name.formatted_name for card in self.contacts)


class InteractiveMessage(Outgoing):
    """A question with buttons, a list, a link, a flow."""

    kind: ClassVar[str] = "interactive"
    type: Literal["interactive"]
    interactive: Interactive

    def preview(self) -> str | None:
        """Show the words."""
        return self.interactive.body.text


class ReactionMessage(Outgoing):
    """An emoji on another message."""

    kind: ClassVar[str] = "reaction"
    type: Literal["reaction"]
    reaction: Reaction

    @model_validator(mode="after")
    def _is_no_reply(self) -> Self:
        if self.reply_to is not None or self.context is not None:
            raise _broken("no_reply", "A reaction cannot be a reply.")
        return self

    def preview(self) -> str | None:
        """Show the emoji."""
        return self.reaction.emoji or None

    def to_item(self) -> dict[str, Any]:
        """Name the message that it is on; its wamid is filled in where our own id was given."""
        return {
            **super().to_item(),
            "content": {"reaction": {"emoji": self.reaction.emoji}},
            "target": self.reaction.message_id,
        }


class TemplateMessage(Outgoing):
    """An approved template: the only type that may go out after the window has closed."""

    kind: ClassVar[str] = "template"
    type: Literal["template"]
    template: Template

    def preview(self) -> str | None:
        """Show the template's name: its words are Meta's to keep."""
        return self.template.name


TYPES: dict[str, type[Outgoing]] = {
    model.kind: model
    for model in (
        TextMessage,
        ImageMessage,
        VideoMessage,
        AudioMessage,
        DocumentMessage,
        StickerMessage,
        LocationMessage,
        ContactsMessage,
        InteractiveMessage,
        ReactionMessage,
        TemplateMessage,
    )
}


class UnreadablePhoneNumber(ValueError):
    """What was typed is no phone number."""


def contact_of(to: str | None, recipient: str | None) -> dict[str, object]:
    """Return the contact that was named by a typed phone number or by a BSUID."""
    contact = make_contact(wa_id=digits_of(to) if to is not None else None, bsuid=recipient)
    if contact is None:
        raise UnreadablePhoneNumber
    return contact


def digits_of(typed: str) -> str:
    """Return the full digits of a typed phone number, as Meta takes them; raise `UnreadablePhoneNumber`.

    Only the length of each country's numbers is checked: new ranges are in use before libraries know them.
    """
    import phonenumbers

    if re.search(r"[A-Za-z]", typed):
        raise UnreadablePhoneNumber
    plus = typed.strip()
    plus = f"+{plus[2:]}" if plus.startswith("00") else plus
    plus = plus if plus.startswith("+") else f"+{plus}"
    try:
        number = phonenumbers.parse(plus, None)
    except phonenumbers.NumberParseException:
        raise UnreadablePhoneNumber from None
    digits = "".join(letter for letter in plus if letter.isdecimal() and letter.isascii())
    if digits.startswith(("521", "549")) and len(digits) == len("5215512345678"):
        return digits
    if not phonenumbers.is_possible_number(number):
        raise UnreadablePhoneNumber
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
