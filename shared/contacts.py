"""Who a message is from or for: identifiers, canonical phone numbers, and Meta's `contacts` block. No I/O.

Since 2026 a WhatsApp user may have no visible phone number: a business-scoped user id (BSUID) stands for it.
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids
"""

from __future__ import annotations

import re

from shared.loose_json import mapping_of, text_of

Contact = dict[str, object]

MAX_IDENTIFIER = 256
"""Meta's longest is `CC.` and 128 characters; more would not fit an index."""

_MAX_NAME = 512
_MAX_ENTRIES = 20_000
_MIN_PHONE, _MAX_PHONE = 5, 15
_PHONE_PUNCTUATION = str.maketrans("", "", "+-(). \u00a0")
# For telling two people apart only: both ids must look as documented today.
_BSUID = re.compile(r"[A-Z]{2}\.[A-Za-z0-9.]{1,140}")

# The 67 area codes of Brazil's numbering plan, then a mobile number as it was before 2016.
_BRAZIL_WITHOUT_NINTH_DIGIT = re.compile(
    r"55(1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9])([6-9]\d{7})", re.ASCII
)
_MEXICO_WITH_MOBILE_ONE = re.compile(r"521(\d{10})", re.ASCII)
_ARGENTINA_MOBILE = re.compile(r"549(\d{10,12})", re.ASCII)
# The domestic mobile prefix stands behind the area code, which has 2 (only 11), 3 or 4 digits.
_ARGENTINA_WITH_FIFTEEN = re.compile(r"54(11|[23]\d{2}|[23]\d{3})15(\d{6,8})", re.ASCII)
_ARGENTINA_NATIONAL_DIGITS = 10


def canonical_phone(digits: str) -> str:
    """Return one spelling for the numbers that WhatsApp writes in two ways; for identity, not for dialling.

    Brazil's mobiles with and without the ninth digit, Mexico's 52 and 521, Argentina's 54 and 549
    (and the domestic 15). Everything else, landlines included, stays as it is.
    """
    if mobile := _BRAZIL_WITHOUT_NINTH_DIGIT.fullmatch(digits):
        return f"55{mobile[1]}9{mobile[2]}"
    if mobile := _MEXICO_WITH_MOBILE_ONE.fullmatch(digits):
        return f"52{mobile[1]}"
    return _canonical_argentina(digits) if digits.startswith("54") else digits


def _canonical_argentina(digits: str) -> str:
    mobile = _ARGENTINA_MOBILE.fullmatch(digits)
    plain = f"54{mobile[1]}" if mobile else digits
    with_fifteen = _ARGENTINA_WITH_FIFTEEN.fullmatch(plain)
    if with_fifteen and len(with_fifteen[1] + with_fifteen[2]) == _ARGENTINA_NATIONAL_DIGITS:
        return f"54{with_fifteen[1]}{with_fifteen[2]}"
    return plain if len(plain) == len("541100000001") else digits


def phone_digits(value: object) -> str | None:
    """Return the digits of a phone number however it is written, or None if it is no phone number."""
    text = text_of(value)
    if text is None:
        return None
    digits = text.translate(_PHONE_PUNCTUATION)
    is_phone = digits.isascii() and digits.isdigit() and _MIN_PHONE <= len(digits) <= _MAX_PHONE
    return digits if is_phone else None


def identifier_of(value: object) -> str | None:
    """Return an id as text, None when it is absent, blank, or too long to be one."""
    text = text_of(value)
    return text if text is not None and len(text) <= MAX_IDENTIFIER else None


def make_contact(
    *,
    wa_id: object = None,
    bsuid: object = None,
    parent_bsuid: object = None,
    username: object = None,
    name: object = None,
) -> Contact | None:
    """Return the contact that these of Meta's values describe, or None if nothing identifies anybody."""
    whatsapp_id, user_id, parent = identifier_of(wa_id), identifier_of(bsuid), identifier_of(parent_bsuid)
    digits = phone_digits(whatsapp_id)
    if whatsapp_id is not None and digits is None:
        # An id that is no phone number is a user id, whatever its form: Meta's own texts show three.
        whatsapp_id, user_id = None, user_id or whatsapp_id
    aliases = _aliases(digits, user_id, parent)
    if not aliases:
        return None
    handle, person = text_of(username), text_of(name)
    return {
        "aliases": aliases,
        "wa_id": whatsapp_id,
        "phone_number": f"+{digits}" if digits else None,
        "bsuid": user_id,
        "parent_bsuid": parent,
        "username": handle.removeprefix("@")[:_MAX_NAME] or None if handle else None,
        "name": person[:_MAX_NAME] if person else None,
    }


def _aliases(digits: str | None, bsuid: str | None, parent: str | None) -> list[str]:
    aliases = []
    if digits:
        aliases.append(f"phone:{canonical_phone(digits)}")
    if bsuid:
        aliases.append(f"bsuid:{bsuid}")
    # The parent id alone names a person too, but it is kept apart from the one that we are meant to use.
    return aliases or ([f"bsuid:{parent}"] if parent else [])


def aliases_of(contact: Contact | None) -> list[str]:
    """Return the identifiers of a contact, the phone first; none for nobody."""
    aliases = contact["aliases"] if contact else []
    return aliases if isinstance(aliases, list) else []


class ContactBook:
    """The `contacts` block of one webhook value: finds the entry that speaks of a sender or a recipient."""

    def __init__(self, entries: list[object], *, people: int) -> None:
        """Index the entries; `people` counts who the value speaks of: one of each belong together."""
        self._entries = entries
        self._facts = [_facts_of_entry(mapping_of(entry)) for entry in entries[:_MAX_ENTRIES]]
        self._contacts = [make_contact(**facts) for facts in self._facts]
        self._is_one_each = people == 1 and len(entries) == 1 and isinstance(entries[0], dict)
        self._is_first_used = False
        self._used: set[str] = set()
        # The last entry of each alias, and rather one with a name: looked up once for each message.
        self._by_alias: dict[str, dict[str, object]] = {}
        for facts, contact in zip(self._facts, self._contacts, strict=True):
            for alias in aliases_of(contact):
                known = self._by_alias.get(alias)
                if known is None or facts["name"] or not known["name"]:
                    self._by_alias[alias] = facts

    def complete(self, contact: Contact | None) -> Contact | None:
        """Return `contact` with what the block adds to it: name, username, the ids that it lacks."""
        facts = self._find(contact)
        if facts is None:
            return contact
        known = contact or {}
        return make_contact(**{key: known.get(key) or fact for key, fact in facts.items()})

    def unused(self) -> list[object]:
        """Return the entries that no message or status asked for."""
        if self._is_first_used:
            return []
        contacts = [*self._contacts, *[None] * (len(self._entries) - len(self._contacts))]
        return [
            raw
            for raw, contact in zip(self._entries, contacts, strict=True)
            if self._used.isdisjoint(aliases_of(contact))
        ]

    def _find(self, contact: Contact | None) -> dict[str, object] | None:
        for alias in aliases_of(contact):
            facts = self._by_alias.get(alias)
            if facts is not None:
                self._used.add(alias)
                return facts
        if self._is_one_each and not _contradict(contact, self._contacts[0]):
            self._is_first_used = True
            return self._facts[0]
        return None


def _facts_of_entry(entry: dict[str, object]) -> dict[str, object]:
    profile = mapping_of(entry.get("profile"))
    return {
        "wa_id": entry.get("wa_id"),
        "bsuid": entry.get("user_id"),
        "parent_bsuid": entry.get("parent_user_id"),
        "username": profile.get("username") or entry.get("username"),
        "name": profile.get("name"),
    }


def _contradict(one: Contact | None, other: Contact | None) -> bool:
    """Tell whether both name a phone number, or both a BSUID, and these differ: then they are two people."""
    if one is None or other is None:
        return False
    phones = {
        alias for contact in (one, other) for alias in aliases_of(contact) if alias.startswith("phone:")
    }
    bsuids = {
        contact["bsuid"]
        for contact in (one, other)
        if isinstance(contact["bsuid"], str) and _BSUID.fullmatch(contact["bsuid"])
    }
    return len(phones) > 1 or len(bsuids) > 1
