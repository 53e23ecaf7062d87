"""What a caller may ask us to send, each type with Meta's limits, and what of it becomes Meta's body. No I/O.

The fields are Meta's own, so that its documentation explains them; ours are the addressee (`chat_id`, `to` or
`recipient`), `reply_to`, and `storage_path` beside `link` and `media_id`. Contacts, interactive messages and
templates have modules of their own beside this one.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
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
from shared.storage_paths import LONGEST, PATTERN, is_storage_path

MOST_IN_BATCH = 1_000
SHORTEST_URL = len("http://a")


class Part(BaseModel):
    """A part of a message; what Meta does not know is refused here, by name."""

    # Built at the first use: a request pays for its own type only.
    model_config = ConfigDict(extra="forbid", defer_build=True)

    def to_meta(self) -> dict[str, Any]:
        """Return the part as Meta is sent it."""
        return self.model_dump(mode="json", exclude_none=True)


def broken(rule: str, sentence: str) -> PydanticCustomError:
    """Make the error of a rule that a type cannot say; the sentence is the caller's to read."""
    return PydanticCustomError(rule, sentence)


def _check_url(text: str) -> str:
    if not re.match(r"(?i)https?://[^\s/]", text):
        raise broken("url", "This must be a whole address that begins with https:// or http://.")
    return text


def _check_path(path: str) -> str:
    if not is_storage_path(path):
        raise broken("storage_path", "This must be a bucket and a path within it.")
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
StoragePath = Annotated[
    str,
    StringConstraints(pattern=PATTERN, max_length=LONGEST),
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
    # Meta wants Opus in it, which a file's type does not tell.
    "voice": FileRule(mime_types=("audio/ogg",), largest=16 * MEGABYTE),
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
            raise broken("one_source", "Give exactly one of link, media_id and storage_path.")
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


class HeaderDocument(Media):
    """A file on top, with a name."""

    filename: Annotated[str, words(240)] | None = None


class Reaction(Part):
    """An emoji on another message, by our id or its wamid; an empty one takes it back."""

    message_id: Identifier
    emoji: Annotated[str, StringConstraints(max_length=32)]

    @model_validator(mode="after")
    def _is_an_emoji(self) -> Self:
        # Letters and digits alone are none; a keycap such as 1️⃣ carries a sign behind its digit.
        if self.emoji and self.emoji.isascii():
            raise broken("emoji", "The emoji must be one emoji, or empty to take the reaction back.")
        return self


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
            raise broken("one_addressee", "Give exactly one of chat_id, to and recipient.")
        if self.reply_to is not None and self.context is not None:
            raise broken("one_reply", "Give either reply_to or context.message_id.")
        return self

    @property
    def part(self) -> Any:
        """The part that is named after the type."""
        return getattr(self, self.kind)

    def to_content(self) -> dict[str, Any]:
        """Return what is kept of it and sent to Meta: one object, named after the type."""
        return {self.kind: self.part.to_meta()}

    def to_item(self) -> dict[str, Any]:
        """Return what the database's begin_send takes."""
        return {
            "chat_id": str(self.chat_id) if self.chat_id else None,
            "contact": contact_of(self.to, self.recipient) if self.chat_id is None else None,
            "type": self.kind,
            "content": self.to_content(),
            "reply_to": self.reply_to or (self.context.message_id if self.context else None),
            "target": None,
        }


class TextMessage(Outgoing):
    """Words."""

    kind: ClassVar[str] = "text"
    type: Literal["text"] = "text"
    text: Annotated[Text, BeforeValidator(lambda value: {"body": value} if isinstance(value, str) else value)]


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


class ReactionMessage(Outgoing):
    """An emoji on another message."""

    kind: ClassVar[str] = "reaction"
    type: Literal["reaction"]
    reaction: Reaction

    @model_validator(mode="after")
    def _is_no_reply(self) -> Self:
        if self.reply_to is not None or self.context is not None:
            raise broken("no_reply", "A reaction cannot be a reply.")
        return self

    def to_item(self) -> dict[str, Any]:
        """Name the message that it is on; its wamid is filled in where our own id was given."""
        return {
            **super().to_item(),
            "content": {"reaction": {"emoji": self.reaction.emoji}},
            "target": self.reaction.message_id,
        }


class Types(Mapping[str, type[Outgoing]]):
    """The model of each type. Those with many parts have a module of their own, loaded when they are used."""

    _simple: Mapping[str, type[Outgoing]] = {
        model.kind: model
        for model in (
            TextMessage,
            ImageMessage,
            VideoMessage,
            AudioMessage,
            DocumentMessage,
            StickerMessage,
            LocationMessage,
            ReactionMessage,
        )
    }
    _names = (
        "text", "image", "video", "audio", "document", "sticker", "location", "contacts", "interactive",
        "reaction", "template",
    )  # fmt: skip

    def __getitem__(self, kind: str) -> type[Outgoing]:
        """Load the model."""
        if kind == "contacts":
            from shared.contact_messages import ContactsMessage

            return ContactsMessage
        if kind == "interactive":
            from shared.interactive_messages import InteractiveMessage

            return InteractiveMessage
        if kind == "template":
            from shared.template_messages import TemplateMessage

            return TemplateMessage
        return self._simple[kind]

    def __iter__(self) -> Iterator[str]:
        """Name the types, the usual one first."""
        return iter(self._names)

    def __len__(self) -> int:
        """Count the types."""
        return len(self._names)

    def __contains__(self, kind: object) -> bool:
        """Tell whether there is such a type, without loading it."""
        return kind in self._names


TYPES = Types()


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
    if digits.startswith(("521", "549")) and len(digits) == len("5215500000001"):
        return digits
    if not phonenumbers.is_possible_number(number):
        raise UnreadablePhoneNumber
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
