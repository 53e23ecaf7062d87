"""Phone numbers as people type them, in the countries where they live."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidPhoneNumber
from shared.numbers import format_number, read_number

TYPED = {
    "+51 900 000 001": ("+51900000001", "+51 900 000 001", "51", "900000001"),
    "51900000001": ("+51900000001", "+51 900 000 001", "51", "900000001"),
    "0051 900-000-001": ("+51900000001", "+51 900 000 001", "51", "900000001"),
    "(+51) 900.000.001": ("+51900000001", "+51 900 000 001", "51", "900000001"),
    "+44 7700 900123": ("+447700900123", "+44 7700 900123", "44", "7700900123"),
    "+1 555 010 0123": ("+15550100123", "+1 555-010-0123", "1", "5550100123"),
    " +55 11 99000-0001\u00a0": ("+5511990000001", "+55 11 99000-0001", "55", "11990000001"),
}


@pytest.mark.parametrize("typed", TYPED)
def test_a_typed_number_is_read_and_shown(typed: str) -> None:
    number = read_number(typed)

    assert (number.e164, number.formatted, number.country_code, number.national) == TYPED[typed]


@pytest.mark.parametrize(
    "typed, region, e164",
    [
        ("900 000 001", "PE", "+51900000001"),
        ("900 000 001", "pe", "+51900000001"),
        ("55 0000 0001", "MX", "+525500000001"),
        ("+44 7700 900123", "PE", "+447700900123"),
    ],
)
def test_a_number_without_a_country_code_is_at_home_somewhere(typed: str, region: str, e164: str) -> None:
    assert read_number(typed, region=region).e164 == e164


@pytest.mark.parametrize(
    "typed",
    ["", "hola", "12", "+999 123 456 789", "+51 123", "+" + "1" * 60, "900000001", "++", "+51 9000000010"],
)
def test_what_no_network_gives_out_is_refused(typed: str) -> None:
    with pytest.raises(InvalidPhoneNumber):
        read_number(typed)


@given(st.text(max_size=80))
def test_no_text_makes_us_fall(text: str) -> None:
    try:
        number = read_number(text)
    except InvalidPhoneNumber:
        return

    assert number.e164 == f"+{number.country_code}{number.national}" or number.national.startswith("0")


def test_a_number_that_cannot_be_read_is_shown_as_it_is() -> None:
    assert format_number("not a number") == "not a number"
