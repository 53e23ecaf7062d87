"""Deliveries as Meta writes them: builders for payloads, and the exact bytes on the wire. No I/O.

    body = to_wire(delivery(value(messages=[text_message("Hola")])))

Every builder returns plain JSON objects, so a test may change or break them before they are written.
Ids are invented; numbers are of the ranges that no subscriber has (+1 555 010 xxxx).
"""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]

WABA_ID = "100000000000001"
PHONE_NUMBER_ID = "200000000000001"
OWN_PHONE = "15550109999"
CUSTOMER = "15550100001"
TIMESTAMP = 1_790_000_000

# Characters that Meta's serializer escapes although JSON would not; none of them occurs outside a string.
_META_ESCAPES = {"/": r"\/", "<": r"\u003C", "%": r"\u0025", "@": r"\u0040"}


def to_wire(payload: object) -> bytes:
    r"""Write JSON as Meta does: compact, ASCII, lower-case `\uXXXX`, and its own four escapes."""
    text = json.dumps(payload, ensure_ascii=True, separators=(",", ":"))
    for character, escape in _META_ESCAPES.items():
        text = text.replace(character, escape)
    return text.encode("ascii")


def delivery(
    *values: object, field: str = "messages", waba_id: str = WABA_ID, time: int | None = None
) -> Json:
    """Return a payload with one entry and one change per value."""
    entry: Json = {"id": waba_id, "changes": [{"value": value, "field": field} for value in values]}
    if time is not None:
        entry["time"] = time
    return {"object": "whatsapp_business_account", "entry": [entry]}


def value(*, phone_number_id: str = PHONE_NUMBER_ID, own_phone: str = OWN_PHONE, **parts: object) -> Json:
    """Return the value of a change about one number; `parts` are messages, statuses and the like."""
    metadata = {"display_phone_number": own_phone, "phone_number_id": phone_number_id}
    return {"messaging_product": "whatsapp", "metadata": metadata, **parts}


def contact(
    wa_id: str | None = CUSTOMER,
    *,
    name: str | None = "Ana Ejemplo",
    bsuid: str | None = None,
    username: str | None = None,
) -> Json:
    """Return an element of `contacts`; what is None is left out, as Meta leaves it out."""
    profile = _without_none({"name": name, "username": username})
    return _without_none({"profile": profile or None, "wa_id": wa_id, "user_id": bsuid})


def wamid(number: int) -> str:
    """Return a message id that looks like Meta's and is the same each time."""
    return f"wamid.TEST{number:012d}"


def message(
    type_: str,
    content: object,
    *,
    number: int = 1,
    sender: str | None = CUSTOMER,
    bsuid: str | None = None,
    timestamp: object = str(TIMESTAMP),
    **extra: object,
) -> Json:
    """Return an element of `messages` of any type; `number` makes its wamid."""
    known = {
        "from": sender,
        "from_user_id": bsuid,
        "id": wamid(number),
        "timestamp": timestamp,
        "type": type_,
    }
    return {**_without_none(known), type_: content, **extra}


def text_message(body: str = "Hola", **keywords: Any) -> Json:
    """Return an element of `messages` of type text; keywords as for `message`."""
    return message("text", {"body": body}, **keywords)


def status(
    word: str = "delivered",
    *,
    number: int = 1,
    recipient: str | None = CUSTOMER,
    timestamp: object = str(TIMESTAMP),
    callback_data: str | None = None,
    error_code: int | None = None,
    **extra: object,
) -> Json:
    """Return an element of `statuses`; `error_code` adds the error that a `failed` one carries."""
    errors = (
        None if error_code is None else [{"code": error_code, "title": "An error", "message": "An error"}]
    )
    known = {
        "id": wamid(number),
        "status": word,
        "timestamp": timestamp,
        "recipient_id": recipient,
        "biz_opaque_callback_data": callback_data,
        "errors": errors,
    }
    return {**_without_none(known), **extra}


def echo(body: str = "Le respondo", *, number: int = 1, to: str | None = CUSTOMER, **extra: object) -> Json:
    """Return an element of `message_echoes`: what the business wrote in its own app."""
    known = {"from": OWN_PHONE, "to": to, "id": wamid(number), "timestamp": str(TIMESTAMP), "type": "text"}
    return {**_without_none(known), "text": {"body": body}, **extra}


def history(*threads: Json, phase: int = 0, chunk_order: int = 1, progress: int = 50) -> Json:
    """Return an element of `history`: one chunk of old chats."""
    metadata = {"phase": phase, "chunk_order": chunk_order, "progress": progress}
    return {"metadata": metadata, "threads": list(threads)}


def batch(count: int, *, size: int | None = None, first: int = 1, senders: int | None = None) -> Json:
    """Return a payload of `count` text messages in one value, from `senders` people (as many as messages).

    With `size`, the bodies are padded so that the whole is about that many bytes on the wire.
    """
    people = count if senders is None else senders
    phones = [f"1555010{number % people:04d}" for number in range(count)]
    numbers = range(first, first + count)
    messages = [
        text_message("", number=number, sender=phone) for number, phone in zip(numbers, phones, strict=True)
    ]
    contacts = [contact(phone, name=f"Persona {phone[-4:]}") for phone in dict.fromkeys(phones)]
    payload = delivery(value(contacts=contacts, messages=messages))
    padding = 0 if size is None else max(0, (size - len(to_wire(payload))) // max(1, count))
    for number, element in zip(numbers, messages, strict=True):
        element["text"]["body"] = f"Mensaje {number} ".ljust(padding, "x")
    return payload


def _without_none(fields: Json) -> Json:
    return {key: field for key, field in fields.items() if field is not None}
