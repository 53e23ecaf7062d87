"""Broken rules as sentences: every rule has both languages, and an unknown one repeats nothing."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from shared.field_rules import RULES, UNKNOWN_RULE, break_rule, to_detail, to_path


def test_a_rule_that_is_not_in_the_table_repeats_nothing_of_what_was_sent() -> None:
    detail = to_detail({"type": "novel_rule", "loc": ("a",), "msg": "Bad value: EAAGsecret", "ctx": {"x": 1}})

    assert detail == {
        "field": "a",
        "rule": "novel_rule",
        "message": {"en": UNKNOWN_RULE[0], "es": UNKNOWN_RULE[1]},
    }


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_says_the_same_in_both_languages(rule: str) -> None:
    english, spanish = RULES[rule]

    for sentence in (english, spanish):
        assert re.fullmatch(r"[A-Z].*\.", sentence)
    names = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (english, spanish)]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    "location, path",
    [((), ""), (("a",), "a"), (("a", 0, "b"), "a[0].b"), ((0, "a"), "[0].a"), (("a", 0, 1), "a[0][1]")],
    ids=str,
)
def test_a_place_is_written_as_in_a_program(location: tuple[int | str, ...], path: str) -> None:
    assert to_path(location) == path


def test_a_rule_of_the_table_can_be_broken_without_a_model() -> None:
    assert break_rule(("a", 1), "missing") == {
        "field": "a[1]",
        "rule": "missing",
        "message": {"en": "This field is required.", "es": "Este campo es obligatorio."},
    }
