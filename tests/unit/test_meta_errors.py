"""Meta's codes: every documented one has a row, every row can be acted on, and a new one has a path."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.errors import (
    AppError,
    DialogCodeSpent,
    MetaRefused,
    MetaThrottled,
    TokenDead,
    WindowClosed,
    WrongCode,
)
from shared.graph import GraphError
from shared.meta_errors import (
    ROWS,
    TABLE,
    UNKNOWN_ANCHOR,
    UNKNOWN_PASSING,
    UNKNOWN_REFUSED,
    UNKNOWN_THROTTLED,
    MetaErrorClass,
    classify,
    classify_code,
)
from tests.evidence import FACTS

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "troubleshooting.md"
CLASSES = [found for _, found in ROWS] + [UNKNOWN_REFUSED, UNKNOWN_PASSING, UNKNOWN_THROTTLED]
by_anchor = pytest.mark.parametrize("found", [found for _, found in ROWS], ids=lambda found: found.anchor)


def error(code: int, subcode: int | None = None, http_status: int = 400, **more: Any) -> GraphError:
    return GraphError(code=code, subcode=subcode, http_status=http_status, **more)


def documented_codes() -> set[int]:
    """Read the first column of the facts' table: `4`, `101 / 104`, `2388039/40/47`, `141002…`."""
    table = FACTS.read_text().partition("| code | HTTP |")[2].partition("\n\n")[0]
    codes: set[int] = set()
    for line in table.splitlines()[2:]:
        column = line.split("|")[1].replace("*", "")
        for part in re.findall(r"\d+(?:\N{EN DASH}\d+|(?:/\d+)+)?", column.replace(" / ", ",")):
            first, *rest = re.split(r"[\N{EN DASH}/]", part)
            if "\N{EN DASH}" in part:
                codes |= set(range(int(first), int(rest[0]) + 1))
            else:
                codes |= {int(first), *(int(first[: -len(end)] + end) for end in rest)}
    return codes


@pytest.mark.skipif(not FACTS.exists(), reason="the collected facts are not part of a release")
def test_every_documented_code_has_a_row() -> None:
    documented = documented_codes()

    assert len(documented) > 200  # the ranges among them
    assert {190, 131056, 131204, 131215, 2388040, 141002, 138018, 104} <= documented
    assert sorted(code for code in documented if (code, None) not in TABLE) == []


def test_no_code_stands_in_two_rows() -> None:
    keys = [key for keys, _ in ROWS for key in keys]

    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: f"{found.anchor}_{found.retry}")
def test_every_row_can_be_acted_on(found: MetaErrorClass) -> None:
    """What is tried again has a pause; what only a person can mend is not tried again by itself."""
    assert found.is_retryable == (found.delay is not None)
    assert found.actor != "nobody" or found.retry in {"now", "later", "never"}
    if found.retry == "after_fix":
        assert found.actor in {"agent", "owner", "deployer"}
    if found.effect == "token_dead":
        assert (found.actor, found.retry, found.raises) == ("owner", "after_fix", TokenDead)
    if found.raises is MetaThrottled:
        assert found.effect in {"slow_down", "pair_slow_down"}


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: f"{found.anchor}_{found.retry}")
def test_every_row_speaks_whole_sentences_in_both_languages(found: MetaErrorClass) -> None:
    for sentence in (found.sentence("en"), found.sentence("es")):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
        assert "{" not in sentence
    assert found.sentence("en") != found.sentence("es")
    assert found.sentence("pt") == found.sentence("en")


@by_anchor
def test_every_row_stands_in_the_guide_with_both_its_sentences(found: MetaErrorClass) -> None:
    rows = [line for line in GUIDE.read_text().splitlines() if f'<a id="{found.anchor}">' in line]

    assert len(rows) == 1
    assert f"| {found.en} | {found.es} |" in rows[0]
    assert f"| {found.actor} | {found.retry.replace('_', ' ')} |" in rows[0]


def test_the_guide_tells_of_unknown_codes_and_has_no_row_too_many() -> None:
    anchors = re.findall(r'<a id="(\w+)">', GUIDE.read_text())

    assert sorted(anchors) == sorted([*(found.anchor for _, found in ROWS), UNKNOWN_ANCHOR])


@pytest.mark.parametrize(
    "subcode, word",
    [
        (463, "venció"),
        (460, "contraseña"),
        (458, "quitada"),
        (467, "revocado"),
        (None, "ya no es válido"),
        (999, "ya no"),
    ],
)
def test_a_dead_token_says_how_it_died(subcode: int | None, word: str) -> None:
    found = classify(error(190, subcode, 401))

    assert found.effect == "token_dead"
    assert word in found.es


@pytest.mark.parametrize(
    "code, subcode, raises",
    [
        (0, None, TokenDead),
        (100, 36009, DialogCodeSpent),
        (131047, None, WindowClosed),
        (131056, 2494055, MetaThrottled),
        (136025, 2388093, WrongCode),
        (2388093, None, WrongCode),
    ],
)
def test_a_code_raises_the_error_that_a_caller_can_act_on(
    code: int, subcode: int | None, raises: type[AppError]
) -> None:
    assert isinstance(classify(error(code, subcode)).to_refusal(error(code, subcode)), raises)


@pytest.mark.parametrize(
    "http_status, is_transient, expected",
    [
        (400, False, UNKNOWN_REFUSED),
        (401, False, UNKNOWN_REFUSED),
        (403, False, UNKNOWN_REFUSED),
        (None, False, UNKNOWN_REFUSED),
        (400, True, UNKNOWN_PASSING),
        (500, False, UNKNOWN_PASSING),
        (503, False, UNKNOWN_PASSING),
        (429, False, UNKNOWN_THROTTLED),
    ],
)
@pytest.mark.parametrize("code", [-1, 999_999])
def test_a_code_that_nobody_documented_takes_the_path_of_its_http_status(
    code: int, http_status: int | None, is_transient: bool, expected: MetaErrorClass
) -> None:
    assert classify_code(code, http_status=http_status, is_transient=is_transient) is expected
    assert expected.effect in {"none", "slow_down"}


def test_a_known_code_does_not_depend_on_the_http_status() -> None:
    """Meta took the column of statuses out of its documentation."""
    assert {classify_code(131026, http_status=status).anchor for status in (200, 400, 429, 500, None)} == {
        "meta_131026"
    }


def test_the_pause_for_one_pair_grows_by_four() -> None:
    found = classify_code(131056)

    assert [found.delay_seconds(attempt) for attempt in range(5)] == [1, 4, 16, 64, 256]
    assert found.delay_seconds(50) == 3600


@pytest.mark.parametrize(
    "code, seconds",
    [(133015, 300), (134101, 600), (131049, 86_400)],
    ids=["deletion", "template", "marketing"],
)
def test_a_documented_pause_is_kept(code: int, seconds: int) -> None:
    found = classify_code(code)

    assert [found.delay_seconds(attempt) for attempt in (0, 1, 5)] == [seconds] * 3


@pytest.mark.parametrize("code", [131000, 2, 4, 80007, 130429, 131057])
def test_other_pauses_have_full_jitter_and_an_end(code: int) -> None:
    found = classify_code(code)
    assert found.delay is not None

    pauses = [found.delay_seconds(attempt, draw=lambda: 1.0) for attempt in range(0, 200, 20)]

    assert found.delay_seconds(5, draw=lambda: 0.0) == 0
    assert pauses == sorted(cast("list[float]", pauses))
    assert pauses[-1] == found.delay.longest


def test_what_meta_asks_for_is_never_undercut() -> None:
    assert classify_code(131056).delay_seconds(0, retry_after=90) == 90
    assert classify_code(131056).delay_seconds(9, retry_after=90) == 3600


@pytest.mark.parametrize("code", [190, 131026, 131047, 132016, 133016])
def test_what_does_not_help_is_given_no_pause(code: int) -> None:
    assert classify_code(code).delay_seconds(0, retry_after=5) is None


@by_anchor
def test_every_row_can_be_answered_to_our_own_caller(found: MetaErrorClass) -> None:
    code, subcode = next(key for key, each in TABLE.items() if each is found)
    given = error(code, subcode, fbtrace_id="A1", message="EAAG", details="+15550100001", retry_after=7)

    refusal = found.to_refusal(given)

    body = refusal.to_body("es")["error"]
    assert "EAAG" not in str(body)
    assert "5550100001" not in str(body)
    if isinstance(refusal, MetaRefused):
        assert body["message"] == found.es
        assert body["help"] == found.anchor
        assert body["retryable"] == found.is_retryable
        assert body["meta"] == {"code": code, "subcode": subcode, "fbtrace_id": "A1"}


def test_an_error_that_came_by_webhook_is_found_by_its_code_alone() -> None:
    by_webhook = SimpleNamespace(code=131026, title="Message undeliverable")

    assert classify_code(by_webhook.code).raises.code == "recipient_unreachable"
