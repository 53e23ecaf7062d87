"""Whatever anybody sends: nothing raises, nothing is believed that was not signed. `make fuzz` tries more.

`FUZZ_EXAMPLES` says how many inputs each property gets (default 100).
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from functions.oauth.signup import hash_of
from shared.errors import InvalidPhoneNumber
from shared.loose_json import UnreadableError, read_json
from shared.numbers import format_number, read_number
from shared.signatures import has_form, is_signed, sign
from shared.webhooks import parse_delivery

at_length = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
SECRET = "invented-secret"
headers = st.one_of(
    st.text(max_size=100),
    st.from_regex(r"sha256=[0-9a-fA-F]{60,68}", fullmatch=True),
    st.binary(max_size=100),
)
typed = st.one_of(
    st.text(alphabet="+0123456789 ()-./٣४\u00a0\u200e", max_size=45),
    st.from_regex(r"\+?[0-9 ()./-]{4,24}", fullmatch=True),
)


@at_length
@given(st.binary(max_size=400), headers)
@example(b"", "sha256=")
@example(b"{}", "sha256=\udcff")
def test_what_nobody_signed_is_never_believed(body: bytes, header: str | bytes) -> None:
    given_header = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
    assume(given_header != sign(body, SECRET).encode())

    assert not is_signed(body, header, [SECRET, ""])
    if isinstance(header, str):
        assert has_form(header) in (True, False)


@at_length
@given(st.binary(min_size=1, max_size=400), st.data())
def test_one_other_bit_breaks_a_signature(body: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, 8 * len(body) - 1))
    changed = bytearray(body)
    changed[place // 8] ^= 1 << place % 8

    assert is_signed(body, sign(body, SECRET), [SECRET])
    assert not is_signed(bytes(changed), sign(body, SECRET), [SECRET])


@at_length
@given(st.binary(max_size=600))
@example(b"[" * 100_000)
@example(b'{"object":"whatsapp_business_account","entry":[{"changes":[{"value":{"messages":[{}]}}]}]}')
def test_any_bytes_are_a_delivery_or_one_problem(body: bytes) -> None:
    delivery = parse_delivery(body)

    assert delivery.is_readable or (delivery.items == [] and len(delivery.problems) == 1)
    try:
        read_json(body)
    except UnreadableError:
        assert not delivery.is_readable


@at_length
@given(typed, st.sampled_from([None, "PE", "MX", "BR", "AR", "US", "xx", ""]))
def test_a_number_that_is_read_is_read_again_the_same(text: str, region: str | None) -> None:
    try:
        number = read_number(text, region=region)
    except InvalidPhoneNumber:
        return

    assert read_number(number.e164).e164 == number.e164
    assert read_number(number.formatted).e164 == number.e164
    assert format_number(number.e164) == number.formatted


@at_length
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300), st.text(max_size=300))
def test_no_two_states_are_the_same(one: str, other: str) -> None:
    assume(one != other and other.isascii())

    assert hash_of(one) != hash_of(other)
    assert len(hash_of(one)) == 64
