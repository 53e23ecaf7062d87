"""Phone numbers as people type them and as they are stored: E.164. No I/O.

`phonenumbers` is loaded when the first number is read: its metadata would cost every cold start.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import InvalidPhoneNumber

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

LONGEST_TYPED = 40
# +1 555: WhatsApp gives them to businesses, and to every app for its first tests.
# +44 7700 900: reserved by Ofcom for examples and tests.
OF_NO_NETWORK = {1: re.compile(r"555\d{7}"), 44: re.compile(r"7700900\d{3}")}


@dataclass(frozen=True, kw_only=True)
class TypedNumber:
    """A number that somebody typed, in the forms that are needed."""

    e164: str
    formatted: str
    country_code: str
    """The calling code, as Meta's `cc`."""
    national: str
    """The digits after it, as Meta's `phone_number`."""
    region: str | None


def read_number(typed: str, *, region: str | None = None) -> TypedNumber:
    """Read a typed number; `region` (ISO, two letters) says where one without a country code is at home.

    Raise `InvalidPhoneNumber` for what no network can have given out.
    """
    import phonenumbers

    text = typed.strip()
    # 00 in front is how half of the world dials out; phonenumbers needs a region to know that.
    text = f"+{text[2:]}" if text.startswith("00") else text
    try:
        if len(text) > LONGEST_TYPED:
            raise InvalidPhoneNumber
        number = phonenumbers.parse(text, region.upper() if region else None)
    except phonenumbers.NumberParseException:
        number = _parse_digits(text)
    if not phonenumbers.is_valid_number(number) and not _is_of_no_network(number):
        raise InvalidPhoneNumber
    return _to_typed(number)


def _parse_digits(text: str) -> PhoneNumber:
    """Read digits without a plus that begin with a country code, as WhatsApp shows them."""
    import phonenumbers

    try:
        return phonenumbers.parse(f"+{text.lstrip('+')}", None)
    except phonenumbers.NumberParseException:
        raise InvalidPhoneNumber from None


def _is_of_no_network(number: PhoneNumber) -> bool:
    """Tell whether it is of a range that no network has, and yet is a number."""
    pattern = OF_NO_NETWORK.get(number.country_code or 0)
    return pattern is not None and pattern.fullmatch(str(number.national_number)) is not None


def _to_typed(number: PhoneNumber) -> TypedNumber:
    import phonenumbers

    return TypedNumber(
        e164=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        formatted=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL),
        country_code=str(number.country_code),
        national=phonenumbers.national_significant_number(number),
        region=phonenumbers.region_code_for_number(number),
    )


def format_number(e164: str) -> str:
    """Show a stored number as people read it, `+1 555-010-0123`; unchanged where that is not known."""
    import phonenumbers

    try:
        number = phonenumbers.parse(e164, None)
    except phonenumbers.NumberParseException:
        return e164
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
