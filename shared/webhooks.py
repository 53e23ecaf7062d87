"""One webhook delivery of Meta → a flat list of items, each of which stands alone. No I/O.

`parse_delivery` never raises: what cannot be understood becomes a problem that keeps the raw object and
blocks none of its neighbours. Each message, status or other event ends in an item or in a problem.

Every item has `kind`, `path` (where in the payload), `waba_id`, `phone_number_id` and `occurred_at`. By kind:

- `message`: wamid, direction, origin (live, echo, history), is_standby, type, text (what a list shows),
  content (Meta's fields that have no place of their own, under their names), reply_to_wamid, target_wamid
  (what a reaction, edit or revoke speaks of), is_forwarded, group_id, status (history only), contact, media
- `status`: wamid, status, recipient, error, errors, pricing, conversation, callback_data, group_id, extra
- `contact`: contact, action (add, remove): the address book of a connected Business app
- `identity`: aliases (now known to be one person), contact (how to reach that person from now on)
- `template`: template_id, name, language, event, status, quality, category, reason, content
- `notice`: field, event, severity, content, phone_number, template_id: what an owner may want to know

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from shared.contacts import (
    ContactBook,
    aliases_of,
    canonical_phone,
    identifier_of,
    make_contact,
    phone_digits,
)
from shared.loose_json import UnreadableError, list_of, mapping_of, moment_of, read_json, text_of
from shared.webhook_messages import (
    identity_change,
    message_facts,
    recipient_of,
    status_facts,
    wamid_of,
)
from shared.webhook_notices import (
    NOTICE_FIELDS,
    TEMPLATE_FIELDS,
    error_notice,
    notice_facts,
    phone_number_of,
    preference_notice,
    progress_notice,
    status_notice,
    template_facts,
    template_notice,
    time_of,
    waba_id_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.contacts import Contact

Item = dict[str, object]
Mapping = dict[str, object]

WHATSAPP = "whatsapp_business_account"
MAX_ITEMS = 50_000
"""3 MB hold about 20,000 messages at most; of whoever signs millions of nothings the rest is one problem."""

# Fields whose values hold conversations, and what their messages are to us.
# `standby` shows what Meta's own agent hears and says on the number while it, not we, holds the conversation.
_ORIGINS = {
    "messages": "live",
    "standby": "live",
    "message_echoes": "echo",
    "smb_message_echoes": "echo",
    "history": "history",
    "smb_app_state_sync": "history",
}
KNOWN_FIELDS = frozenset(_ORIGINS) | TEMPLATE_FIELDS | NOTICE_FIELDS

_MAX_KEY = 64
_ENVELOPE_KEYS = frozenset({"object", "entry"})
_ENTRY_KEYS = frozenset({"id", "time", "changes", "uid", "changed_fields"})
_OBJECT_KEYS = frozenset({"metadata", "context"})
_CHANGE_KEYS = frozenset({"field", "value"})
_VALUE_KEYS = frozenset(
    {"messaging_product", "metadata", "contacts", "messaging_account_id", "paid_messaging_account_id"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What one POST to the webhook holds.

    `is_readable` is false when the body is no JSON object: then one problem keeps its text.
    """

    items: list[Item]
    problems: list[Item]
    object: str | None
    is_readable: bool


def parse_delivery(body: bytes, *, received_at: float | None = None) -> Delivery:
    """Read the raw body of a delivery, whatever it holds.

    With `received_at` (seconds since 1970), a time more than a day after it counts as unknown.
    """
    reader = _Reader(latest=None if received_at is None else received_at + 86_400)
    try:
        payload = read_json(body)
    except UnreadableError as error:
        reader.problem("$", error.reason, body.decode("utf-8", "replace").replace("\x00", "�"))
        return reader.delivery(None, is_readable=False)
    if not isinstance(payload, dict):
        reader.problem("$", "not_an_object", payload)
        return reader.delivery(None, is_readable=False)
    reader.read(payload)
    return reader.delivery(text_of(payload.get("object")), is_readable=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where in a delivery something stands, and to whom it belongs."""

    path: str
    field_name: str
    origin: str
    waba_id: str | None
    phone_number_id: str | None
    own_phone: str | None
    book: ContactBook = field(default_factory=lambda: ContactBook([], people=0))
    time: object = None


@dataclass(kw_only=True, slots=True)
class _Reader:
    """Walks one delivery and collects what it finds."""

    latest: float | None
    items: list[Item] = field(default_factory=list)
    problems: list[Item] = field(default_factory=list)

    def delivery(self, object_: str | None, *, is_readable: bool) -> Delivery:
        return Delivery(items=self.items, problems=self.problems, object=object_, is_readable=is_readable)

    def problem(self, path: str, reason: str, raw: object) -> None:
        self.problems.append({"path": path, "reason": reason, "item": raw})

    def add(self, kind: str, path: str, place: _Place, occurred_at: str | None, facts: Item) -> None:
        self.items.append(
            {
                "kind": kind,
                "path": path,
                "waba_id": place.waba_id,
                "phone_number_id": place.phone_number_id,
                "occurred_at": occurred_at,
                **facts,
            }
        )

    def moment(self, value: object) -> str | None:
        return moment_of(value, latest=self.latest)

    def each(self, path: str, raw: object, read: Callable[[str, Mapping], None]) -> None:
        """Give each object of a list to `read`; one that fails costs only itself."""
        elements = list_of(raw)
        for index, element in enumerate(elements):
            at = f"{path}[{index}]"
            if len(self.items) + len(self.problems) >= MAX_ITEMS:
                self.problem(at, "too_many", elements[index:])
                return
            if not isinstance(element, dict):
                self.problem(at, "not_an_object", element)
                continue
            items, problems = len(self.items), len(self.problems)
            try:
                read(at, element)
            except Exception:  # noqa: BLE001 - a fault of ours in one item must not lose its neighbours
                del self.items[items:], self.problems[problems:]
                self.problem(at, "parser_fault", element)

    def leftovers(self, path: str, raw: Mapping, known: frozenset[str]) -> None:
        unknown = {
            key: value
            for key, value in raw.items()
            if key not in known or (key in _OBJECT_KEYS and not isinstance(value, dict))
        }
        if unknown:
            first = next(iter(unknown))[:_MAX_KEY]
            self.problem(f"{path}.{first}" if path else first, "unknown_part", unknown)

    def read(self, payload: Mapping) -> None:
        object_ = text_of(payload.get("object"))
        if object_ not in {WHATSAPP, None}:
            self.problem("$", "unknown_object", payload)
            return
        if not list_of(payload.get("entry")) and object_ is None:
            self.problem("$", "no_entry", payload)
            return
        self.leftovers("", payload, _ENVELOPE_KEYS)
        self.each("entry", payload.get("entry"), self.entry)

    def entry(self, path: str, entry: Mapping) -> None:
        if not list_of(entry.get("changes")):
            self.problem(path, "no_changes", entry)
            return
        self.leftovers(path, entry, _ENTRY_KEYS)

        def read(at: str, change: Mapping) -> None:
            self.change(at, change, entry)

        self.each(f"{path}.changes", entry.get("changes"), read)

    def change(self, path: str, change: Mapping, entry: Mapping) -> None:
        name, value = text_of(change.get("field")), change.get("value")
        if name not in KNOWN_FIELDS:
            self.problem(path, "no_field" if name is None else "unknown_field", change)
            return
        if not isinstance(value, dict):
            self.problem(path, "value_not_an_object", change)
            return
        self.leftovers(path, change, _CHANGE_KEYS)
        metadata = mapping_of(value.get("metadata"))
        place = _Place(
            path=f"{path}.value",
            field_name=name,
            origin=_ORIGINS.get(name, "live"),
            waba_id=waba_id_of(value) or identifier_of(entry.get("id")),
            phone_number_id=identifier_of(metadata.get("phone_number_id")),
            own_phone=_canonical(metadata.get("display_phone_number")),
            time=entry.get("time"),
        )
        if name in TEMPLATE_FIELDS:
            self.template(path, place, value)
        elif name in NOTICE_FIELDS:
            self.notice(path, place, value)
        else:
            self.conversation(place, value)

    def notice(self, path: str, place: _Place, value: Mapping) -> None:
        """Read a value that is one piece of news, or of several customers' preferences one each."""
        if len(list_of(value.get("user_preferences"))) < 2:  # noqa: PLR2004 - several
            facts = notice_facts(place.field_name, value)
            self.add("notice", path, place, self.notice_time(place, value), facts)
            return

        def read(at: str, preference: Mapping) -> None:
            # Without the rest of the value: as many copies of it could be more than anybody can keep.
            facts = preference_notice(place.field_name, preference, phone_number_of(value))
            occurred_at = self.moment(preference.get("timestamp")) or self.notice_time(place, value)
            self.add("notice", at, place, occurred_at, facts)

        self.leftovers(place.path, value, _VALUE_KEYS | {"user_preferences"})
        self.each(f"{place.path}.user_preferences", value.get("user_preferences"), read)

    def template(self, path: str, place: _Place, value: Mapping) -> None:
        facts = template_facts(value)
        if facts is None:
            self.problem(path, "no_template", value)
            return
        occurred_at = self.notice_time(place, value)
        self.add("template", path, place, occurred_at, facts)
        self.add("notice", path, place, occurred_at, template_notice(place.field_name, facts, value))

    def notice_time(self, place: _Place, value: Mapping) -> str | None:
        return time_of(value, latest=self.latest) or self.moment(place.time)

    def conversation(self, place: _Place, value: Mapping) -> None:
        """Read a value that holds messages, statuses, echoes, history, contacts or errors, in any mixture."""
        readers = {
            "messages": self.message,
            "message_echoes": self.echo,
            "statuses": self.status,
            "history": self.history,
            "state_sync": self.sync,
            "errors": self.error,
        }
        if not any(list_of(value.get(part)) for part in readers):
            self.problem(place.path, "empty_value", value)
            return
        contacts = list_of(value.get("contacts"))
        people = _count_people(value) if len(contacts) == 1 else 0
        place = replace(place, book=ContactBook(contacts, people=people))
        for part, reader in readers.items():
            self.each(f"{place.path}.{part}", value.get(part), partial(reader, place))
        self.leftovers(place.path, value, _VALUE_KEYS | readers.keys())
        strangers = place.book.unused()
        if strangers:
            self.problem(f"{place.path}.contacts", "unmatched_contacts", strangers)

    def message(self, place: _Place, path: str, raw: Mapping) -> None:
        """Read an element of `messages`: a customer's, but history brings our own in the same list."""
        if place.origin != "live" and _is_ours(place, raw, None):
            self.echo(place, path, raw)
        else:
            self.keep_message(place, path, raw, "inbound", place.book.complete(_sender(raw)))
            self.identity(place, path, raw)

    def echo(self, place: _Place, path: str, raw: Mapping) -> None:
        """Read what the business said elsewhere, for example in its WhatsApp Business app.

        https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_message_echoes
        """
        origin = "echo" if place.origin == "live" else place.origin
        contact = place.book.complete(_addressee(raw))
        self.keep_message(replace(place, origin=origin), path, raw, "outbound", contact)

    def keep_message(
        self, place: _Place, path: str, raw: Mapping, direction: str, contact: Contact | None
    ) -> None:
        wamid = wamid_of(raw.get("id"))
        if wamid is None or contact is None:
            self.problem(path, "no_wamid" if wamid is None else "no_contact", raw)
            return
        facts = {
            "wamid": wamid,
            "direction": direction,
            "origin": place.origin,
            "is_standby": place.field_name == "standby",
            **message_facts(raw),
            "status": _history_status(raw),
            "contact": contact,
        }
        self.add("message", path, place, self.moment(raw.get("timestamp")), facts)

    def identity(self, place: _Place, path: str, raw: Mapping) -> None:
        change = identity_change(raw)
        if change is None or wamid_of(raw.get("id")) is None:
            return
        before = _sender(raw)
        after = make_contact(
            wa_id=change.get("wa_id") or change.get("new_wa_id"),
            bsuid=change.get("user_id"),
            parent_bsuid=change.get("parent_user_id"),
        )
        said = make_contact(wa_id=raw.get("from"), bsuid=raw.get("from_user_id"))
        aliases = [alias for contact in (before, said, after) if contact for alias in aliases_of(contact)]
        if after is None or len(set(aliases)) == 1:
            return
        facts: Item = {"aliases": list(dict.fromkeys(aliases)), "contact": after}
        self.add("identity", path, place, self.moment(raw.get("timestamp")), facts)

    def status(self, place: _Place, path: str, raw: Mapping) -> None:
        recipient = place.book.complete(make_contact(**recipient_of(raw)))
        occurred_at = self.moment(raw.get("timestamp"))
        about = text_of(raw.get("type"))
        if about not in {None, "message"}:
            # A payment's or a call's own life: its "failed" says nothing about the message.
            # https://developers.facebook.com/documentation/business-messaging/whatsapp/payments/payments-in/overview
            self.add("notice", path, place, occurred_at, status_notice(place.field_name, raw))
            return
        facts = status_facts(raw)
        wamid = wamid_of(raw.get("id"))
        if wamid is None or facts["status"] is None:
            self.problem(path, "no_wamid" if wamid is None else "no_status", raw)
            return
        self.add("status", path, place, occurred_at, {"wamid": wamid, **facts, "recipient": recipient})

    def error(self, place: _Place, path: str, raw: Mapping) -> None:
        self.add("notice", path, place, None, error_notice(place.field_name, raw))

    def history(self, place: _Place, path: str, raw: Mapping) -> None:
        """Read one chunk of the chats that a Business app shares; chunks come in any order.

        https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/history
        """
        if not any(raw.get(key) for key in _CHUNK_KEYS):
            self.problem(path, "empty_chunk", raw)
            return
        self.leftovers(path, raw, _CHUNK_KEYS)
        progress = mapping_of(raw.get("metadata"))
        if progress:
            self.add("notice", f"{path}.metadata", place, None, progress_notice(place.field_name, progress))
        # A refusal comes as error 2593109 in the chunk's place.
        self.each(f"{path}.errors", raw.get("errors"), partial(self.error, place))
        self.each(f"{path}.threads", raw.get("threads"), partial(self.thread, place))

    def thread(self, place: _Place, path: str, raw: Mapping) -> None:
        if not list_of(raw.get("messages")):
            self.problem(path, "empty_thread", raw)
            return
        self.leftovers(path, raw, _THREAD_KEYS)
        context = mapping_of(raw.get("context"))
        contact = make_contact(
            wa_id=context.get("wa_id") or raw.get("id"),
            bsuid=context.get("user_id"),
            parent_bsuid=context.get("parent_user_id"),
            username=context.get("username"),
        )
        self.each(
            f"{path}.messages",
            raw.get("messages"),
            partial(self.thread_message, place, place.book.complete(contact)),
        )

    def thread_message(self, place: _Place, contact: Contact | None, path: str, raw: Mapping) -> None:
        is_ours = _is_ours(place, raw, contact)
        other = contact or (_addressee(raw) if is_ours else _sender(raw))
        self.keep_message(place, path, raw, "outbound" if is_ours else "inbound", other)

    def sync(self, place: _Place, path: str, raw: Mapping) -> None:
        """Read one entry of the business's address book.

        https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_app_state_sync
        """
        card = mapping_of(raw.get("contact"))
        contact = make_contact(
            wa_id=card.get("wa_id") or card.get("phone_number"),
            bsuid=card.get("user_id"),
            parent_bsuid=card.get("parent_user_id"),
            username=card.get("username"),
            name=card.get("full_name") or card.get("first_name"),
        )
        action = text_of(raw.get("action"))
        if (
            text_of(raw.get("type")) not in {"contact", None}
            or action not in _SYNC_ACTIONS
            or contact is None
        ):
            self.problem(path, "no_contact" if contact is None else "unknown_sync", raw)
            return
        occurred_at = self.moment(mapping_of(raw.get("metadata")).get("timestamp"))
        self.add("contact", path, place, occurred_at, {"contact": contact, "action": _SYNC_ACTIONS[action]})


def _canonical(value: object) -> str | None:
    digits = phone_digits(value)
    return canonical_phone(digits) if digits else None


def _sender(raw: Mapping) -> Contact | None:
    """Return who wrote a message; of a change of identity, the person before it."""
    change = identity_change(raw) or {}
    return make_contact(
        wa_id=raw.get("from") or change.get("customer"),
        bsuid=change.get("previous_user_id") or raw.get("from_user_id"),
        parent_bsuid=change.get("previous_parent_user_id") or raw.get("from_parent_user_id"),
    )


def _addressee(raw: Mapping) -> Contact | None:
    return make_contact(
        wa_id=raw.get("to"),
        bsuid=raw.get("to_user_id"),
        parent_bsuid=raw.get("to_parent_user_id"),
    )


def _is_ours(place: _Place, raw: Mapping, contact: Contact | None) -> bool:
    """Tell whether the business wrote a message of its history."""
    said = mapping_of(raw.get("history_context")).get("from_me")
    if isinstance(said, bool):
        return said
    sender = _canonical(raw.get("from"))
    if sender is None:
        return raw.get("from_user_id") is None and (raw.get("to") or raw.get("to_user_id")) is not None
    if place.own_phone is not None:
        return sender == place.own_phone
    return contact is not None and f"phone:{sender}" not in aliases_of(contact)


def _history_status(raw: Mapping) -> str | None:
    word = text_of(mapping_of(raw.get("history_context")).get("status"))
    return None if word is None else _HISTORY_STATUS.get(word.lower(), word.lower()[:64])


def _count_people(value: Mapping) -> int:
    people = set()
    for part, keys in _PEOPLE_KEYS.items():
        for element in list_of(value.get(part)):
            people.add(tuple(text_of(mapping_of(element).get(key)) for key in keys))
    return len(people)


_CHUNK_KEYS = frozenset({"metadata", "threads", "errors"})
_THREAD_KEYS = frozenset({"id", "context", "messages"})
_SYNC_ACTIONS = {"add": "add", "edit": "add", "update": "add", "remove": "remove", "delete": "remove"}
_HISTORY_STATUS = {"error": "failed"}
_PEOPLE_KEYS = {
    "messages": ("from", "from_user_id"),
    "message_echoes": ("to", "to_user_id"),
    "statuses": ("recipient_id", "recipient_user_id", "recipient_participant_id"),
}
