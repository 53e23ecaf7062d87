"""Phone numbers as Meta shows them. No I/O."""

from __future__ import annotations

_TWO_DIGIT_CODES = frozenset(
    [
        "20",
        "27",
        "30",
        "31",
        "32",
        "33",
        "34",
        "36",
        "39",
        "40",
        "41",
        "43",
        "44",
        "45",
        "46",
        "47",
        "48",
        "49",
        "51",
        "52",
        "53",
        "54",
        "55",
        "56",
        "57",
        "58",
        "60",
        "61",
        "62",
        "63",
        "64",
        "65",
        "66",
        "81",
        "82",
        "84",
        "86",
        "90",
        "91",
        "92",
        "93",
        "94",
        "95",
        "98",
    ]
)
_COUNTRIES = {
    "1": "US", "27": "ZA", "31": "NL", "32": "BE", "33": "FR", "34": "ES", "39": "IT", "41": "CH",
    "43": "AT", "44": "GB", "49": "DE", "51": "PE", "52": "MX", "53": "CU", "54": "AR", "55": "BR",
    "56": "CL", "57": "CO", "58": "VE", "61": "AU", "62": "ID", "81": "JP", "91": "IN", "351": "PT",
    "502": "GT", "503": "SV", "504": "HN", "505": "NI", "506": "CR", "507": "PA", "591": "BO", "593": "EC",
    "595": "PY", "598": "UY", "972": "IL",
}  # fmt: skip
_NORTH_AMERICA = 11


def digits_of(text: str) -> str:
    """Return only the digits of a phone number as people write it."""
    return "".join(character for character in text if character.isascii() and character.isdigit())


def split(digits: str) -> tuple[str, str]:
    """Split digits into the country's calling code and the rest."""
    if digits[:1] in ("1", "7"):
        return digits[:1], digits[1:]
    length = 2 if digits[:2] in _TWO_DIGIT_CODES else 3
    return digits[:length], digits[length:]


def country_of(digits: str) -> str:
    """Return the country of a phone number, US where it is not known."""
    return _COUNTRIES.get(split(digits)[0], "US")


def shown(digits: str) -> str:
    """Return a phone number as the phone number node shows it."""
    code, rest = split(digits)
    if code == "1" and len(digits) == _NORTH_AMERICA:
        return f"+1 {rest[:3]}-{rest[3:6]}-{rest[6:]}"
    groups = [rest[start : start + 3] for start in range(0, len(rest), 3)]
    return " ".join([f"+{code}", *groups])
