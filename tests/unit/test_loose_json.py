"""JSON from strangers is read without fear, and what comes out can be stored."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.loose_json import (
    MAX_DEPTH,
    UnreadableError,
    flatten,
    integer_of,
    is_deeper_than,
    list_of,
    mapping_of,
    moment_of,
    read_json,
    text_of,
)


def nested(depth: int) -> object:
    value: object = "x"
    for level in range(depth):
        value = [value] if level % 2 else {"a": value}
    return value


storable_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**16), 10**16) | storable_text,
        lambda inner: st.lists(inner) | st.dictionaries(storable_text, inner),
        max_leaves=20,
    )
)
def test_ordinary_json_is_read_as_json_reads_it(value: object) -> None:
    """In Meta's ASCII form and in plain UTF-8."""
    assert read_json(json.dumps(value).encode()) == value
    assert read_json(json.dumps(value, ensure_ascii=False).encode()) == value


@pytest.mark.parametrize(
    "body, value",
    [
        (b'"\\u0000"', "�"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\uD83D\\uDE00"', "😀"),
        (b'"\\ud83d"', "�"),
        (b'"\\ude00\\ud83d"', "��"),
        (b'"\\\\u0000"', "\\u0000"),
        (b'{"a\\u0000":1}', {"a�": 1}),
        (b'"a\x00b"', "a�b"),
        (b'"\xff"', "�"),
        (b'"\xed\xa0\x80"', "���"),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b"[NaN,Infinity,-Infinity]", ["NaN", "Infinity", "-Infinity"]),
        (b"[1e999,-1e999]", ["1e999", "-1e999"]),
        (b"[0.1234567890123456789012345678901234]", ["0.1234567890123456789012345678901234"]),
        (b"[1.5,-0.25,2e3]", [1.5, -0.25, 2000.0]),
        (b"999999999999999999", 999999999999999999),
        (b"9223372036854775808", "9223372036854775808"),
        (b"9" * 10_000, "9" * 10_000),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_postgres_refuses_is_replaced_or_kept_as_text(body: bytes, value: object) -> None:
    """No digit is lost, and no neighbour."""
    assert read_json(body) == value


@pytest.mark.parametrize(
    "body, value",
    [
        (b'{"a":[1],"a":[2],"a":[3]}', {"a": [1, 2, 3]}),
        (b'{"a":1,"a":1}', {"a": 1}),
        (b'{"a":1,"a":2,"a":3}', {"a": 3, "a#": [1, 2]}),
        (b'{"a":[1],"a":2}', {"a": 2, "a#": [[1]]}),
        (b'{"a":1,"a#":5,"a":2}', {"a": 2, "a#": 5, "a##": [1]}),
    ],
)
def test_a_name_that_comes_twice_keeps_all_its_values(body: bytes, value: object) -> None:
    """Plain JSON readers would drop the first one in silence."""
    assert read_json(body) == value


@pytest.mark.parametrize(
    "body, reason",
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b"{}{}", "not_json"),
        (b"'a'", "not_json"),
        (b"[" * 100_000, "too_deep"),
        (b"[" * 100_000 + b"]" * 99_999, "too_deep"),
        (b'{"a":' * 100_000, "too_deep"),
    ],
    ids=lambda value: repr(value)[:10] + str(len(value)),
)
def test_what_is_no_json_says_why(body: bytes, reason: str) -> None:
    """One word that a table of problems can count."""
    with pytest.raises(UnreadableError) as refusal:
        read_json(body)
    assert refusal.value.reason == reason


@pytest.mark.parametrize("depth", [0, 1, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 200, 900, 5000])
def test_depth_ends_where_it_must(depth: int) -> None:
    """Down to the limit as it is, below it as text."""
    opened = "".join('{"a":' if level % 2 else "[" for level in range(depth))
    closed = "".join("}" if level % 2 else "]" for level in reversed(range(depth)))
    value = read_json(f'{opened}"x"{closed}'.encode())
    assert not is_deeper_than(value, MAX_DEPTH)
    levels = 0
    while isinstance(value, (dict, list)):
        value = value["a"] if isinstance(value, dict) else value[0]
        levels += 1
    assert levels == min(depth, MAX_DEPTH)
    assert value == "x" if depth <= MAX_DEPTH else isinstance(value, str)


def test_depth_is_counted_without_recursion() -> None:
    """A value of exactly the limit is not deeper than it."""
    assert not is_deeper_than(nested(MAX_DEPTH), MAX_DEPTH)
    assert is_deeper_than(nested(MAX_DEPTH + 1), MAX_DEPTH)
    assert is_deeper_than(nested(100_000), MAX_DEPTH)


def test_flattening_leaves_strings_and_shallow_values_alone() -> None:
    """Brackets in strings are no brackets."""
    text = '{"a":"[[\\"[[","b":[[1]],"c":[2]}'
    assert json.loads(flatten(text, 2)) == {"a": '[["[[', "b": ["[1]"], "c": [2]}
    assert flatten(text, 9) == text


@pytest.mark.parametrize(
    "value, text, number",
    [
        ("a", "a", None),
        (" 7 ", "7", 7),
        ("-7", "-7", -7),
        ("--7", "--7", None),
        ("\u0667", "\u0667", None),
        (7, "7", 7),
        (7.0, "7", 7),
        (7.5, None, None),
        ("", None, None),
        (True, None, None),
        (None, None, None),
        ([], None, None),
        ("9" * 19, "9" * 19, None),
    ],
)
def test_scalars_are_read_with_goodwill(value: object, text: str | None, number: int | None) -> None:
    """A number where text was due, and the reverse; never a truth value."""
    assert (text_of(value), integer_of(value)) == (text, number)


def test_containers_are_read_with_goodwill() -> None:
    """One object where a list was due is a list of one; anything else where an object was due is empty."""
    assert [list_of(value) for value in ([1], {"a": 1}, "x", None, [])] == [[1], [{"a": 1}], ["x"], [], []]
    assert [mapping_of(value) for value in ({"a": 1}, [1], "x", None)] == [{"a": 1}, {}, {}, {}]


@given(st.floats() | st.integers() | st.text() | st.none() | st.booleans())
def test_no_value_is_an_impossible_time(value: object) -> None:
    """Whatever is counted, the answer is a time of WhatsApp's life or none."""
    moment = moment_of(value)
    assert moment is None or "2009" <= moment[:4] <= "2100"
