"""What becomes of a message after each of Meta's answers; what Meta is sent; the other form of a number."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contacts import canonical_phone
from shared.graph import GraphError, GraphUnreachable, Usage
from shared.meta_errors import TABLE
from shared.sending import (
    ATTEMPTS_AT_ONCE,
    LONGEST_DELAY,
    MOST_ATTEMPTS,
    build_body,
    decide,
    find_media,
    other_form,
    read_acceptance,
    replace_files,
    to_result,
)

SEND = {
    "message_id": "00000000-0000-4000-8000-000000000001",
    "credentials_stamp": "abc",
    "address": {"to": "15550100001"},
    "type": "text",
    "reply_to_wamid": None,
    "target_wamid": None,
}


def refused(code: int, http_status: int = 400, **fields: Any) -> GraphError:
    return GraphError(code=code, http_status=http_status, **fields)


def verdict(error: GraphError | GraphUnreachable, *, attempts: int = 0, tries: int = 1) -> Any:
    return decide(error, attempts=attempts, tries=tries, draw=lambda: 0.5)


def test_an_answer_that_was_lost_is_uncertain_and_never_tried_again() -> None:
    lost = GraphUnreachable(request_written=True, reason="ReadTimeout")

    assert {verdict(lost, tries=tries).outcome for tries in range(1, 5)} == {"uncertain"}


def test_what_never_reached_meta_is_tried_again_then_queued_then_given_up() -> None:
    unreachable = GraphUnreachable(request_written=False, reason="ConnectError")

    outcomes = [verdict(unreachable, tries=tries).outcome for tries in range(1, ATTEMPTS_AT_ONCE + 1)]

    assert outcomes == ["again"] * (ATTEMPTS_AT_ONCE - 1) + ["retry"]
    assert verdict(unreachable, tries=ATTEMPTS_AT_ONCE, attempts=MOST_ATTEMPTS - 1).outcome == "failed"


@pytest.mark.parametrize("code", [-1, 999_999])
def test_a_server_error_that_nobody_documents_is_uncertain(code: int) -> None:
    assert verdict(refused(code, 500)).outcome == "uncertain"
    assert verdict(refused(code, 400)).outcome == "failed"


def test_a_dead_token_fails_the_message_and_marks_the_connection() -> None:
    result = to_result(verdict(refused(190, 401, subcode=463)), SEND)

    assert result["outcome"] == "failed"
    assert (result["integration_error"]["code"], result["integration_error"]["stamp"]) == (
        "token_dead",
        "abc",
    )


def test_a_pair_that_is_too_fast_waits_four_to_the_n_seconds() -> None:
    waits = [verdict(refused(131056), attempts=attempts) for attempts in range(6)]

    assert [each.seconds for each in waits] == [1, 4, 16, 64, 256, 1024]
    assert all(each.outcome == "retry" and each.pair_pause_seconds == each.seconds for each in waits)


def test_a_number_that_is_too_fast_pauses_as_a_whole_and_no_longer_each_time() -> None:
    waits = [verdict(refused(130429), attempts=attempts) for attempts in range(20)]

    assert {(each.outcome, each.pause_seconds) for each in waits} == {("retry", 1.0)}


@pytest.mark.parametrize("code", [130429, 80007, 131016, 131056])
def test_retry_after_is_obeyed(code: int) -> None:
    assert verdict(refused(code, retry_after=120.0), tries=ATTEMPTS_AT_ONCE).seconds >= 120.0


def test_the_usage_headers_are_obeyed() -> None:
    busy = refused(80007, usage=Usage(percent=100.0, minutes_to_regain=7.0))

    assert verdict(busy).seconds == 7 * 60.0
    assert verdict(refused(80007, usage=Usage(minutes_to_regain=600.0))).outcome == "failed"


@given(
    st.sampled_from(sorted(TABLE, key=str)),
    st.integers(min_value=0, max_value=1000),
    st.integers(min_value=1, max_value=5),
    st.floats(min_value=0, max_value=1),
    st.one_of(st.none(), st.floats(min_value=0, max_value=1e9)),
)
def test_no_message_is_tried_for_ever_nor_waits_for_days(
    key: tuple[int, int | None], attempts: int, tries: int, drawn: float, retry_after: float | None
) -> None:
    code, subcode = key

    decided = decide(
        refused(code, subcode=subcode, retry_after=retry_after),
        attempts=attempts,
        tries=tries,
        draw=lambda: drawn,
    )

    assert decided.outcome in {"failed", "retry", "again"}
    assert 0 <= decided.seconds <= LONGEST_DELAY
    if decided.outcome == "again":
        assert tries < ATTEMPTS_AT_ONCE
    if attempts > 200:
        assert decided.outcome in {"failed", "again"}


@pytest.mark.parametrize("code", [33, 368, 131031, 131037, 131042, 131045, 133010])
def test_a_number_that_somebody_must_mend_stops_its_queue_and_tells_whoever_waits(code: int) -> None:
    told = verdict(refused(code))
    queued = decide(refused(code), attempts=0, tries=1, is_queued=True)
    last = decide(refused(code), attempts=MOST_ATTEMPTS - 1, tries=1, is_queued=True)

    assert [each.outcome for each in (told, queued, last)] == ["failed", "retry", "failed"]
    assert all(each.stops_number for each in (told, queued, last))
    assert to_result(queued, SEND)["stops_number"] is True


def test_the_body_carries_our_id_and_the_addressee() -> None:
    body = build_body({**SEND, "reply_to_wamid": "wamid.A"}, {"text": {"body": "hola"}})

    assert body == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "15550100001",
        "type": "text",
        "text": {"body": "hola"},
        "context": {"message_id": "wamid.A"},
        "biz_opaque_callback_data": SEND["message_id"],
    }


def test_a_bsuid_travels_in_recipient() -> None:
    body = build_body({**SEND, "address": {"recipient": "PE.1"}}, {"text": {"body": "hola"}})

    assert (body["recipient"], "to" in body) == ("PE.1", False)


def test_a_reaction_names_its_message() -> None:
    body = build_body({**SEND, "type": "reaction", "target_wamid": "wamid.A"}, {"reaction": {"emoji": "👍"}})

    assert body["reaction"] == {"message_id": "wamid.A", "emoji": "👍"}


def test_nothing_in_the_content_changes_the_addressee() -> None:
    forged = {"to": "15550100777", "recipient_type": "group", "context": {}, "type": "image"}
    other = {"emoji": "👍", "message_id": "wamid.B"}

    text = build_body(SEND, {**forged, "text": {"body": "hola"}})
    reaction = build_body(
        {**SEND, "type": "reaction", "target_wamid": "wamid.A"}, {**forged, "reaction": other}
    )

    assert text == build_body(SEND, {"text": {"body": "hola"}})
    assert (reaction["to"], reaction["reaction"]["message_id"]) == ("15550100001", "wamid.A")


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"messages": []},
        {"messages": {}},
        {"messages": [{}]},
        {"messages": [{"id": ""}]},
        {"success": True},
    ],
)
def test_an_answer_without_a_wamid_is_no_acceptance(answer: dict[str, Any]) -> None:
    assert read_acceptance(answer) is None


def test_meta_names_the_recipient() -> None:
    accepted = read_acceptance(
        {
            "contacts": [{"input": "5215500000001", "wa_id": "525500000001", "user_id": "MX.1"}],
            "messages": [{"id": "wamid.A"}],
        }
    )

    assert accepted is not None
    assert accepted["wamid"] == "wamid.A"
    assert (accepted["contact"]["wa_id"], accepted["contact"]["bsuid"]) == ("525500000001", "MX.1")


@pytest.mark.parametrize(
    "one,other",
    [
        ("5511990000001", "551190000001"),
        ("525500000001", "5215500000001"),
        ("541100000001", "5491100000001"),
    ],
)
def test_a_mobile_has_one_other_form(one: str, other: str) -> None:
    assert (other_form(one), other_form(other)) == (other, one)


@pytest.mark.parametrize("digits", ["15550100001", "51900000001", "551130000001", "447700900123", "55", ""])
def test_other_numbers_have_one_form_only(digits: str) -> None:
    assert other_form(digits) is None


@given(st.from_regex(r"(55|52|54|51|1)[0-9]{6,13}", fullmatch=True))
def test_the_other_form_is_the_same_person(digits: str) -> None:
    other = other_form(digits)

    if other is not None:
        assert other != digits
        assert canonical_phone(other) == canonical_phone(digits)


def test_files_of_ours_are_found_wherever_they_stand_and_become_links() -> None:
    content = {
        "template": {
            "components": [
                {
                    "type": "header",
                    "parameters": [{"type": "image", "image": {"storage_path": "media/a.png"}}],
                }
            ]
        }
    }

    found = find_media(content)
    replaced = replace_files(content, {"media/a.png": "https://signed.example"})

    assert [(kind, field) for kind, field, _ in found] == [
        ("image", "template.components[0].parameters[0].image.storage_path")
    ]
    assert replaced["template"]["components"][0]["parameters"][0]["image"] == {
        "link": "https://signed.example"
    }
    assert find_media(replaced) == []
