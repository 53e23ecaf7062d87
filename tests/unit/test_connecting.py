"""What connecting decides from Meta's answers, without asking anybody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.connecting import (
    APP_PAIR_WRONG,
    TOKEN_EXPIRED,
    TOKEN_INVALID,
    TOKEN_OF_OTHER_APP,
    WABA_NOT_COVERED,
    NumberFacts,
    Problem,
    TokenFacts,
    find_number_by_phone,
    find_subscription,
    is_subscribed,
    problem_of_app_check,
    problem_of_waba_read,
    webhook_url,
)
from shared.graph import GraphError

NOW = datetime(2026, 11, 24, tzinfo=UTC)
APP_ID = "900000000000001"
SCOPES = ["whatsapp_business_management", "whatsapp_business_messaging"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=20), inner, max_size=3),
    max_leaves=8,
)


def token(**changed: Any) -> TokenFacts:
    data = {"app_id": APP_ID, "is_valid": True, "expires_at": 0, "scopes": SCOPES, **changed}
    return TokenFacts.from_debug(data)


def test_a_good_token_has_no_problem() -> None:
    assert token().find_problem(app_id=APP_ID, now=NOW) is None
    assert token().expires_at is None


PROBLEMS: dict[str, tuple[dict[str, Any], Problem]] = {
    "revoked": ({"is_valid": False}, TOKEN_INVALID),
    "expired_by_subcode": ({"is_valid": False, "error": {"subcode": 463}}, TOKEN_EXPIRED),
    "expired_by_time": ({"is_valid": False, "expires_at": 1_600_000_000}, TOKEN_EXPIRED),
    "of_another_app": ({"app_id": "1"}, TOKEN_OF_OTHER_APP),
    "empty_answer": ({"is_valid": None}, TOKEN_INVALID),
}


@pytest.mark.parametrize("changed, problem", PROBLEMS.values(), ids=PROBLEMS)
def test_a_bad_token_has_its_problem(changed: dict[str, Any], problem: Problem) -> None:
    assert token(**changed).find_problem(app_id=APP_ID, now=NOW) is problem


def test_missing_permissions_are_named_in_both_languages() -> None:
    problem = token(scopes=SCOPES[:1]).find_problem(app_id=APP_ID, now=NOW)

    assert problem is not None
    assert SCOPES[1] in str(problem.to_detail("en")["message"])
    assert SCOPES[1] in str(problem.to_detail("es")["message"])


def test_permissions_that_are_not_listed_are_not_missed() -> None:
    assert token(scopes=[]).missing_scopes == ()


def test_the_accounts_that_a_token_was_granted_come_newest_first() -> None:
    granular = [
        {"scope": SCOPES[0], "target_ids": ["2", "1"]},
        {"scope": SCOPES[1], "target_ids": ["9"]},
    ]

    granted = token(granular_scopes=granular)

    assert granted.waba_ids == ("2", "1")
    assert (granted.covers("1"), granted.covers("9")) == (True, False)


def test_a_token_without_a_list_covers_whatever_it_can_read() -> None:
    assert token(granular_scopes=[{"scope": SCOPES[0]}]).covers("anything")


@given(
    st.dictionaries(
        st.sampled_from(["app_id", "is_valid", "scopes", "granular_scopes", "error", "expires_at"]), ANYTHING
    )
)
@example({"expires_at": 253_402_300_800})
def test_no_answer_about_a_token_makes_us_fall(data: dict[str, Any]) -> None:
    facts = TokenFacts.from_debug(data)

    facts.find_problem(app_id=APP_ID, now=NOW)


def test_a_number_is_read_as_metas_node_has_it() -> None:
    number = NumberFacts.from_node(
        {
            "id": "1",
            "display_phone_number": "+1 555-093-4873",
            "verified_name": "Panadería",
            "platform_type": "CLOUD_API",
            "status": "CONNECTED",
            "code_verification_status": "VERIFIED",
            "throughput": {"level": "HIGH"},
        }
    )

    assert number.phone_number == "+15550934873"
    assert (number.throughput, number.is_registered, number.is_verified) == (1000, True, True)


@pytest.mark.parametrize(
    "node, is_registered",
    [
        ({"platform_type": "CLOUD_API", "status": "CONNECTED"}, True),
        ({"platform_type": "CLOUD_API", "status": "FLAGGED"}, True),
        ({"platform_type": "CLOUD_API"}, True),
        ({"platform_type": "CLOUD_API", "status": "PENDING"}, False),
        ({"platform_type": "CLOUD_API", "status": "DISCONNECTED"}, False),
        ({"platform_type": "NOT_APPLICABLE", "status": "PENDING"}, False),
        ({"platform_type": "ON_PREMISE", "status": "CONNECTED"}, False),
        ({"is_on_biz_app": True, "platform_type": "CLOUD_API"}, True),
        ({}, False),
    ],
    ids=str,
)
def test_only_what_is_not_registered_is_registered_again(node: dict[str, Any], is_registered: bool) -> None:
    assert NumberFacts.from_node(node).is_registered is is_registered


def test_a_number_of_the_phone_app_has_twenty_messages_a_second() -> None:
    number = NumberFacts.from_node({"is_on_biz_app": True, "throughput": {"level": "STANDARD"}})

    assert number.throughput == 20


@pytest.mark.parametrize(
    "shown, typed",
    [
        ("+52 1 55 0000 0001", "+525500000001"),
        ("+55 11 9000-0001", "+5511990000001"),
        ("+54 11 0000-0001", "+5491100000001"),
        ("15550783881", "+15550783881"),
    ],
)
def test_a_number_is_found_however_meta_writes_it(shown: str, typed: str) -> None:
    assert find_number_by_phone([{"id": "7", "display_phone_number": shown}], typed) is not None


def test_another_number_is_not_found() -> None:
    assert (
        find_number_by_phone([{"id": "7", "display_phone_number": "+1 555 010 0100"}], "+15550100101") is None
    )


@given(
    st.dictionaries(
        st.sampled_from(["id", "display_phone_number", "throughput", "status", "platform_type"]), ANYTHING
    )
)
def test_no_node_makes_us_fall(node: dict[str, Any]) -> None:
    NumberFacts.from_node(node).to_facts()


@pytest.mark.parametrize("code", [1, 101, 190])
def test_a_refused_app_is_a_wrong_pair(code: int) -> None:
    assert problem_of_app_check(GraphError(code=code, http_status=400)) is APP_PAIR_WRONG


@pytest.mark.parametrize("code", [2, 4, 131000])
def test_a_busy_meta_is_nobodys_mistake(code: int) -> None:
    error = GraphError(code=code, http_status=500)

    assert problem_of_app_check(error) is None
    assert problem_of_waba_read(error) is None


@pytest.mark.parametrize("code", [10, 100, 200, 299])
def test_an_account_that_cannot_be_read_is_not_covered(code: int) -> None:
    assert problem_of_waba_read(GraphError(code=code, http_status=400)) is WABA_NOT_COVERED


def test_our_app_is_found_among_those_that_are_subscribed() -> None:
    apps = [{"whatsapp_business_api_data": {"id": "1"}}, {"whatsapp_business_api_data": {"id": APP_ID}}, {}]

    assert is_subscribed(apps, APP_ID)
    assert find_subscription(apps, "404") is None


def test_an_own_app_has_an_address_of_its_own() -> None:
    assert webhook_url("https://f.example/hook/", "abc") == "https://f.example/hook/abc"
    assert webhook_url("https://f.example/hook", None) == "https://f.example/hook"


def test_an_end_is_a_time() -> None:
    end = NOW + timedelta(days=60)

    assert token(expires_at=int(end.timestamp())).expires_at == end
