"""The tree of refusals: what its docstring draws, what it promises, what it answers."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from shared import errors
from shared.errors import (
    AppError,
    InvalidBody,
    MetaRefused,
    Misconfigured,
    NumberTaken,
    ResendTooEarly,
    TooManyRequests,
    find_by_code,
    walk,
)

TREE = list(dict.fromkeys(walk()))
ROOT = Path(__file__).parents[2]
TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
DRAWN = re.compile(r"^(?P<indent>[│├└─ ]*)(?P<name>[A-Z]\w+) +(?P<status>\d{3}) (?P<code>\w+)$", re.MULTILINE)


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_the_docstring_draws_exactly_the_tree_that_is_there() -> None:
    drawn = {}
    ancestors: list[str] = []
    for line in DRAWN.finditer(errors.__doc__ or ""):
        depth = len(line["indent"]) // 4
        ancestors = [*ancestors[:depth], line["name"]]
        parent = ancestors[depth - 1] if depth else "Exception"
        drawn[line["name"]] = (int(line["status"]), line["code"], parent)

    there = {error.__name__: (error.status, error.code, error.__bases__[0].__name__) for error in TREE}

    assert drawn == there


def test_a_code_means_one_thing() -> None:
    codes = [error.code for error in TREE]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", TREE)
def test_every_class_can_be_answered(error: type[AppError]) -> None:
    """A client error carries 4xx and no alarm; code and help are one snake_case word."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert error.help == error.code
    assert error.status in range(400, 600)
    assert error.level in {"info", "warning", "error"}
    assert error.__doc__


@pytest.mark.parametrize("error", TREE)
def test_every_sentence_is_whole_and_says_the_same_in_both_languages(error: type[AppError]) -> None:
    english, spanish = error.sentences["en"], error.sentences["es"]

    assert placeholders(english) == placeholders(spanish)
    for sentence in (english, spanish):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert english != spanish


@pytest.mark.parametrize("error", TREE)
def test_every_code_has_its_heading_in_the_troubleshooting_guide(error: type[AppError]) -> None:
    headings = re.findall(r"^### (\w+)$", TROUBLESHOOTING.read_text(), re.MULTILINE)

    assert headings.count(error.code) == 1


@pytest.mark.parametrize("error", TREE)
def test_the_guide_says_what_the_answer_says_and_what_to_do_in_both_languages(error: type[AppError]) -> None:
    section = TROUBLESHOOTING.read_text().partition(f"### {error.code}\n")[2].partition("\n#")[0]

    assert f"`{error.status}`" in section
    assert f"> {error.sentences['en']}\n>\n> {error.sentences['es']}\n" in section
    advice = [part for part in section.split("\n\n")[2:] if part.strip() and not part.startswith(">")]
    assert len(advice) >= 2


def test_the_guide_speaks_of_no_code_that_we_do_not_answer() -> None:
    of_errors = TROUBLESHOOTING.read_text().partition("## What the doctor finds\n")[0]
    headings = re.findall(r"^### (\w+)$", of_errors, re.MULTILINE)

    assert set(headings) == {error.code for error in TREE}


def test_the_body_holds_what_the_api_promises_and_nothing_else() -> None:
    body = NumberTaken(phone_number="+15550100001", organization="another").to_body("en")

    assert body == {
        "error": {
            "code": "number_taken",
            "message": "This number is already connected to another organization. Disconnect it there first.",
            "retryable": False,
            "help": "number_taken",
        }
    }


def test_details_are_told_in_the_readers_language() -> None:
    error = InvalidBody(
        details=[
            {"field": "to", "rule": "missing", "message": {"en": "Required.", "es": "Obligatorio."}},
            {"field": "type", "rule": "odd", "message": "As it is."},
        ]
    )

    spanish = error.to_body("es")["error"]["details"]

    assert [detail["message"] for detail in spanish] == ["Obligatorio.", "As it is."]


def test_a_language_that_we_do_not_speak_is_answered_in_english() -> None:
    assert AppError().to_body("pt")["error"]["message"] == AppError.sentences["en"]


@pytest.mark.parametrize("seconds, shown", [(0, 1), (0.2, 1), (29.1, 30), (30, 30)])
def test_seconds_to_wait_are_whole_and_never_too_few(seconds: float, shown: int) -> None:
    body = ResendTooEarly(retry_after=seconds).to_body("es")

    assert body["error"]["retry_after"] == shown
    assert f"en {shown} segundos" in body["error"]["message"]


def test_a_missing_word_does_not_turn_a_refusal_into_a_crash() -> None:
    assert "…" in TooManyRequests().to_body("en")["error"]["message"]


def test_missing_and_wrong_settings_are_all_named_at_once() -> None:
    error = Misconfigured(missing=["A", "B"], problems={"C": "C must begin with https://."})

    body = error.to_body("es")["error"]

    assert body["message"].endswith("A, B, C.")
    assert [(detail["field"], detail["rule"]) for detail in body["details"]] == [
        ("A", "missing"),
        ("B", "missing"),
        ("C", "invalid"),
    ]


def test_a_refusal_of_metas_carries_its_own_sentence_and_what_support_asks_for() -> None:
    error = MetaRefused(
        meta={"code": 131026, "subcode": None, "fbtrace_id": "A1"},
        sentences={"en": "It cannot be delivered.", "es": "No se puede entregar."},
        retryable=True,
        help="meta_131026",
    )

    assert error.to_body("es")["error"] == {
        "code": "meta_refused",
        "message": "No se puede entregar.",
        "retryable": True,
        "help": "meta_131026",
        "meta": {"code": 131026, "subcode": None, "fbtrace_id": "A1"},
    }


def test_a_code_finds_its_class_and_a_foreign_one_finds_nothing() -> None:
    assert find_by_code("number_taken") is NumberTaken
    assert find_by_code("no_such_code") is None
    assert find_by_code(None) is None


def test_every_code_that_sql_raises_is_one_of_ours() -> None:
    raised = {
        code
        for file in (ROOT / "sql").glob("*.sql")
        for code in re.findall(r"\bdetail\s*=\s*'(\w+)'", file.read_text())
    }

    assert raised
    assert {code for code in raised if find_by_code(code) is None} == set()
