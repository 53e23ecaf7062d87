"""Meta's message and status objects → our items. No I/O.

Every message field is kept: what has no place of its own stays in `content` under Meta's name.
https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.contacts import MAX_IDENTIFIER, identifier_of
from shared.loose_json import integer_of, list_of, mapping_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

Item = dict[str, object]
Mapping = dict[str, object]

MAX_TEXT = 4096
MAX_WAMID = 512
"""Real ones have up to about 120 characters."""

_MAX_TYPE = 64
_INTEGER_LIMIT = 2**31
_MEDIA_TYPES = frozenset({"image", "video", "audio", "document", "sticker", "voice"})
_OWN_PLACE = frozenset(
    {
        "id",
        "from",
        "from_user_id",
        "from_parent_user_id",
        "to",
        "to_user_id",
        "to_parent_user_id",
        "timestamp",
        "type",
        "group_id",
    }
)


def wamid_of(value: object) -> str | None:
    """Return the id that Meta gave to a message, or None if `value` cannot be one."""
    wamid = text_of(value)
    return wamid if wamid is not None and len(wamid) <= MAX_WAMID else None


def message_facts(raw: Mapping) -> Item:
    """Return the part of a message item that does not depend on where the message was found."""
    kind = _type_of(raw)
    body = mapping_of(raw.get(kind))
    context = mapping_of(raw.get("context"))
    return {
        "type": kind,
        "text": _text(kind, raw),
        "content": {key: value for key, value in raw.items() if key not in _OWN_PLACE or _is_odd(value)},
        "reply_to_wamid": wamid_of(context.get("id")),
        "target_wamid": _target(kind, body),
        "is_forwarded": context.get("forwarded") is True or context.get("frequently_forwarded") is True,
        "group_id": identifier_of(raw.get("group_id")),
        "media": _media(kind, body),
    }


def _is_odd(value: object) -> bool:
    """Tell whether a value cannot have found its own place in the item, being no plain text or number."""
    return isinstance(value, (dict, list)) or (isinstance(value, str) and len(value) > MAX_IDENTIFIER)


def _type_of(raw: Mapping) -> str:
    named = text_of(raw.get("type"))
    if named is not None:
        return named[:_MAX_TYPE]
    return next((key for key in raw if key in _TEXTS), "unknown")


def _target(kind: str, body: Mapping) -> str | None:
    if kind == "reaction":
        return wamid_of(body.get("message_id"))
    if kind in {"edit", "revoke"}:
        return wamid_of(body.get("original_message_id"))
    return None


def _media(kind: str, body: Mapping) -> Item | None:
    if kind not in _MEDIA_TYPES:
        return None
    media_id, url = identifier_of(body.get("id")), text_of(body.get("url")) or text_of(body.get("link"))
    if media_id is None and url is None:
        return None
    return {
        "media_id": media_id,
        "mime_type": text_of(body.get("mime_type")),
        "sha256": text_of(body.get("sha256")),
        "filename": text_of(body.get("filename")),
        "is_voice": kind == "voice" or body.get("voice") is True,
        "is_animated": body.get("animated") is True,
        "url": url,
    }


def _text(kind: str, raw: Mapping) -> str | None:
    body = raw.get(kind)
    text = _string(body) or _TEXTS.get(kind, _ANY)(body)
    return text[:MAX_TEXT] if text else None


def _string(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _first(*keys: str) -> Callable[[object], str | None]:
    def read(body: object) -> str | None:
        fields = mapping_of(body)
        return next((text for key in keys if (text := _string(fields.get(key)))), None)

    return read


def _location(body: object) -> str | None:
    place = mapping_of(body)
    named = ", ".join(text for key in ("name", "address") if (text := _string(place.get(key))))
    if named:
        return named
    latitude, longitude = place.get("latitude"), place.get("longitude")
    return None if latitude is None or longitude is None else f"{latitude}, {longitude}"


def _shared_contacts(body: object) -> str | None:
    return ", ".join(name for card in list_of(body) if (name := _card_name(mapping_of(card)))) or None


def _card_name(card: Mapping) -> str | None:
    name = mapping_of(card.get("name"))
    if formatted := _string(name.get("formatted_name")):
        return formatted
    parts = [part for key in ("first_name", "last_name") if (part := _string(name.get(key)))]
    if parts:
        return " ".join(parts)
    phones = [mapping_of(phone) for phone in list_of(card.get("phones"))]
    return next((text for phone in phones if (text := _string(phone.get("phone")))), None)


def _interactive(body: object) -> str | None:
    """Read a customer's answer; in an echo, what the business asked."""
    fields = mapping_of(body)
    answer = mapping_of(fields.get(text_of(fields.get("type")) or ""))
    return _ANSWER(answer) or _string(mapping_of(fields.get("body")).get("text"))


def _edit(body: object) -> str | None:
    edited = mapping_of(mapping_of(body).get("message"))
    kind = _type_of(edited)
    # An edit of an edit does not exist, and reading one would let a payload choose our recursion.
    return None if kind == "edit" else _text(kind, edited)


def _nothing(_body: object) -> None:
    return None


_ANSWER = _first("title", "body", "text", "response", "payment_method", "name")
_ANY = _first("body", "text", "caption", "title", "name")

_TEXTS: dict[str, Callable[[object], str | None]] = {
    "text": _first("body"),
    "image": _first("caption"),
    "video": _first("caption"),
    "audio": _nothing,
    "voice": _nothing,
    "document": _first("caption", "filename"),
    "sticker": _nothing,
    "location": _location,
    "contacts": _shared_contacts,
    "interactive": _interactive,
    "button": _first("text", "payload"),
    "reaction": _first("emoji"),  # "" and absence both mean that the reaction was taken back
    "order": _first("text"),
    "system": _first("body"),
    "edit": _edit,
    "revoke": _nothing,
    "template": _first("name"),
    "unsupported": _nothing,
}


def identity_change(raw: Mapping) -> Mapping | None:
    """Return the `system` object of a message that says that a person's number or BSUID changed.

    https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/system
    """
    system = mapping_of(raw.get("system"))
    is_change = text_of(system.get("type")) in {"user_changed_number", "user_changed_user_id"}
    return system if text_of(raw.get("type")) == "system" and is_change else None


_STATUS_OWN_PLACE = frozenset({"id", "status", "timestamp", "recipient_id", "recipient_user_id", "errors"})


def status_facts(raw: Mapping) -> Item:
    """Return the part of a status item that does not depend on where the status was found."""
    errors = list_of(raw.get("errors"))
    own: Item = {
        "pricing": mapping_of(raw.get("pricing")) or None,
        "conversation": mapping_of(raw.get("conversation")) or None,
        "biz_opaque_callback_data": _string(raw.get("biz_opaque_callback_data")),
    }
    placed = _STATUS_OWN_PLACE | {key for key, value in own.items() if value is not None}
    extra = {key: value for key, value in raw.items() if key not in placed or _is_odd_status(key, value)}
    return {
        "status": status_word(raw),
        "error": error_facts(errors[0]) if errors else None,
        "errors": errors,
        "pricing": own["pricing"],
        "conversation": own["conversation"],
        "callback_data": own["biz_opaque_callback_data"],
        "group_id": identifier_of(raw.get("recipient_id")) if is_for_group(raw) else None,
        "extra": extra,
    }


def _is_odd_status(key: str, value: object) -> bool:
    return key in _STATUS_OWN_PLACE and key != "errors" and _is_odd(value)


def status_word(raw: Mapping) -> str | None:
    """Return Meta's word in lower case (history writes it in capitals), None if there is none."""
    word = text_of(raw.get("status"))
    return word[:_MAX_TYPE].lower() if word else None


def is_for_group(raw: Mapping) -> bool:
    """Tell whether a status speaks of a group message: then `recipient_id` is the group."""
    return text_of(raw.get("recipient_type")) == "group"


def recipient_of(raw: Mapping) -> Mapping:
    """Return who a status speaks of, in the words of `make_contact`.

    The parent BSUID had three names between February and June 2026.
    """
    if is_for_group(raw):
        return {
            "wa_id": raw.get("recipient_participant_id"),
            "bsuid": raw.get("recipient_participant_user_id") or raw.get("recipient_user_id"),
            "parent_bsuid": raw.get("recipient_participant_parent_user_id") or _parent(raw),
        }
    return {
        "wa_id": raw.get("recipient_id"),
        "bsuid": raw.get("recipient_user_id"),
        "parent_bsuid": _parent(raw),
    }


def _parent(raw: Mapping) -> object:
    return (
        raw.get("recipient_parent_user_id")
        or raw.get("parent_recipient_user_id")
        or raw.get("parent_user_id")
    )


def error_facts(error: object) -> Item:
    """Return Meta's error in our words; some come with a code and a title only, one was seen as a string."""
    fields = mapping_of(error)
    details = mapping_of(fields.get("error_data")).get("details")
    code = integer_of(fields.get("code"))
    return {
        "code": code if code is not None and abs(code) < _INTEGER_LIMIT else None,
        "title": text_of(fields.get("title")),
        "message": text_of(fields.get("message")) or (error if isinstance(error, str) else None),
        "details": text_of(details) or text_of(fields.get("details")),
        "href": text_of(fields.get("href")),
    }
