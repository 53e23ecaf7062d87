"""Attacks on connecting that go past the functions, straight at the database with a user's own token.

Those on Meta's dialog stand in test_connect_signup.py, those on codes in test_connect_number.py.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.connecting import (
    META_API,
    OAUTH,
    add_agent,
    at_meta,
    code_of,
    connect_number,
    new_business,
    new_number,
    paste,
    request_code,
    sent_code,
    status,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.world import Organization, Simulator, User

    Connection = psycopg.Connection[tuple[Any, ...]]

ID = str(uuid.uuid4())
SERVICE_ONLY: dict[str, dict[str, Any]] = {
    "begin_connection": {"organization": ID, "by_user": ID, "chosen_way": "number", "input_digest": "x"},
    "advance_connection": {"integration": ID, "holder": ID, "reached": "connected", "facts": {}},
    "end_attempt": {"integration": ID, "holder": ID, "refusal_code": "x", "refusal_message": "x"},
    "disconnect_integration": {"integration": ID, "by_user": ID},
    "reveal_secret": {"integration": ID, "by_user": ID, "secret_column": "pin"},
    "mark_integration_error": {"integration": ID, "reason_code": "x", "reason_message": "x"},
    "count_others_on_waba": {"integration": ID},
    "begin_verification": {
        "new_id": ID, "organization": ID, "by_user": ID, "phone": "+15550100001", "chosen_method": "sms",
        "platform_per_hour": 1,
    },
    "advance_verification": {"verification": ID, "reached": "verified", "facts": {}},
    "take_guess": {"organization": ID, "guess_hash": "x"},
    "settle_guess": {"verification": ID, "is_right": True},
    "is_number_still_proven": {"organization": ID, "number_id": "1"},
    "begin_signup": {
        "new_id": ID, "organization": ID, "by_user": ID, "chosen_flow": "popup", "new_state_hash": "0" * 64,
        "wants_coexistence": False, "chosen_redirect_uri": None, "chosen_return_path": None,
    },
    "receive_signup_code": {"given_state_hash": "0" * 64, "given_code_hash": "0" * 64},
    "keep_signup_token": {"signup": ID, "encrypted_token": None, "expires": None},
    "find_signup_token": {"signup": ID},
    "finish_signup": {"signup": ID},
    "begin_registration": {"integration": ID, "number_id": "1", "wanted": "register"},
    "end_registration": {"registration": 1, "was_called": False},
    "keep_refreshed_token": {
        "integration": ID, "replaced_token": "x", "encrypted_token": "v1.x", "expires": None,
    },
    "revive_token_refreshes": {},
    "tell_owner": {"integration": ID, "news": "X", "how_severe": "info"},
    "learn_number": {"integration": ID, "facts": {}},
    "keep_templates": {
        "integration": ID, "account": "1", "templates": [], "is_complete": True, "read_at": "2026-01-01",
    },
    "owns_template": {"integration": ID, "template_name": "x"},
    "claim_template_name": {"integration": ID, "template_name": "x"},
    "forget_templates": {"integration": ID, "template_name": "x"},
    "examine_database": {"expected_tables": [], "expected_functions": []},
    "find_outdated_secrets": {"wanted_place": "whatsapp_integrations", "writing_id": "x"},
    "swap_secrets": {"swaps": []},
    "count_outdated_secrets": {"writing_id": "x"},
}  # fmt: skip


@pytest.mark.parametrize("function", SERVICE_ONLY)
def test_no_user_calls_what_is_the_services(new_user: Callable[[], User], function: str) -> None:
    answer = new_user().rest.post(f"/rpc/{function}", json=SERVICE_ONLY[function])

    assert answer.status_code in (401, 403), answer.text
    assert answer.json()["code"] == "42501"


SECRET_COLUMNS = [
    ("whatsapp_integrations", "access_token"),
    ("whatsapp_integrations", "app_secret"),
    ("whatsapp_integrations", "webhook_verify_token"),
    ("whatsapp_integrations", "pin"),
    ("whatsapp_integrations", "attempt"),
    ("whatsapp_verifications", "code_hash"),
    ("whatsapp_verifications", "open_guess_hash"),
    ("oauth_states", "access_token"),
    ("oauth_states", "state_hash"),
    ("whatsapp_registrations", "phone_number_id"),
]


@pytest.mark.parametrize("table, column", SECRET_COLUMNS)
def test_no_owner_reads_a_secret_column(
    new_organization: Callable[..., Organization], simulator: Simulator, table: str, column: str
) -> None:
    owner = new_organization().owner
    connect_number(owner, simulator)

    answer = owner.rest.get(f"/{table}", params={"select": column})

    assert answer.status_code in (401, 403), answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"status": "connected"},
        {"phone_number_id": "1"},
        {"business_account_id": "1"},
        {"access_token": "v1.x"},
        {"pin": "v1.x"},
        {"verified_at": "2026-01-01"},
        {"step": "connected"},
        {"has_platform_token": True},
        {"attempt": ID},
    ],
    ids=str,
)
def test_no_owner_writes_what_only_a_proof_may(
    new_organization: Callable[..., Organization], change: dict[str, Any]
) -> None:
    organization = new_organization()
    organization.owner.rest.post("/whatsapp_integrations", json={"organization_id": organization.id})

    answer = organization.owner.rest.patch(
        "/whatsapp_integrations", params={"organization_id": f"eq.{organization.id}"}, json=change
    )

    assert answer.status_code in (401, 403), answer.text


def test_no_owner_makes_a_verification_up(new_organization: Callable[..., Organization]) -> None:
    organization = new_organization()

    answer = organization.owner.rest.post(
        "/whatsapp_verifications",
        json={"organization_id": organization.id, "phone_number": "+15550100001", "state": "verified"},
    )

    assert answer.status_code in (401, 403)


def test_a_stranger_sees_no_verification_and_no_audit(
    new_organization: Callable[..., Organization], new_user: Callable[[], User], simulator: Simulator
) -> None:
    organization, stranger = new_organization(), new_organization().owner
    connect_number(organization.owner, simulator)

    # Their own organization has entries of its own.
    whose = {"select": "id", "organization_id": f"eq.{organization.id}"}
    seen = [
        stranger.rest.get(f"/{table}", params=whose).json()
        for table in ("whatsapp_verifications", "audit_entries", "whatsapp_integrations", "notices")
    ]

    assert seen == [[]] * 4


def test_correcting_the_typed_number_proves_nothing_else(
    new_organization: Callable[..., Organization], simulator: Simulator
) -> None:
    """The owner's own right to correct the number must not change what is connected."""
    organization = new_organization()
    owner, mine, victims = organization.owner, new_number(), new_number()
    request_code(owner, mine).raise_for_status()
    code = sent_code(simulator, mine)
    changed = owner.rest.patch(
        "/whatsapp_integrations",
        params={"organization_id": f"eq.{organization.id}"},
        json={"phone_number": victims.e164},
    )

    verify(owner, code).raise_for_status()

    assert changed.is_success
    assert status(owner)["phone_number"] == mine.e164


def test_a_ciphertext_moved_from_another_organization_does_not_open(
    new_organization: Callable[..., Organization], simulator: Simulator, database: Connection
) -> None:
    mine, theirs = new_organization(), new_organization()
    paste(mine.owner, new_business(simulator)).raise_for_status()
    paste(theirs.owner, new_business(simulator)).raise_for_status()
    database.execute(
        "update whatsapp_integrations set access_token ="
        " (select access_token from whatsapp_integrations where organization_id = %s)"
        " where organization_id = %s",
        (theirs.id, mine.id),
    )

    answer = mine.owner.functions.get(f"{META_API}/number")
    report = mine.owner.functions.get(f"{META_API}/diagnostics").json()

    assert answer.status_code == 500
    assert report["cause"] == "keys_wrong"


def test_two_organizations_that_connect_one_number_at_the_same_moment(
    new_organization: Callable[..., Organization], simulator: Simulator
) -> None:
    owners = [new_organization().owner for _ in range(6)]
    business = new_business(simulator)

    with ThreadPoolExecutor(len(owners)) as pool:
        answers = list(pool.map(lambda owner: paste(owner, business), owners))

    outcomes = ["200" if answer.status_code == 200 else code_of(answer) for answer in answers]
    assert outcomes.count("200") == 1
    assert set(outcomes) == {"200", "number_taken"}


def test_one_owner_who_presses_many_times_at_once_ends_connected_once(
    new_organization: Callable[..., Organization], simulator: Simulator
) -> None:
    owner, number = new_organization().owner, new_number()
    request_code(owner, number).raise_for_status()
    code = sent_code(simulator, number)

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: verify(owner, code), range(5)))

    assert any(answer.status_code == 200 for answer in answers)
    assert status(owner)["status"] == "connected"
    # Meta counts each registration, and blocks a number that has too many.
    assert len(at_meta(simulator, number)[0]["registrations"]) == 1


def test_an_agent_cannot_do_what_an_owner_does(
    new_organization: Callable[..., Organization], new_user: Callable[[], User], simulator: Simulator
) -> None:
    organization = new_organization()
    agent = add_agent(organization, new_user())
    paste(organization.owner, new_business(simulator)).raise_for_status()
    calls = {
        "/credentials": new_business(simulator).pasted,
        "/request-code": {"phone_number": new_number().e164},
        "/verify-code": {"code": "123456"},
        "/start": {},
        "/disconnect": {},
        "/reconnect": {},
    }

    answers = {path: agent.functions.post(f"{OAUTH}{path}", json=body) for path, body in calls.items()}

    assert {path: code_of(answer) for path, answer in answers.items()} == dict.fromkeys(
        calls, "owner_required"
    )
    assert status(organization.owner)["status"] == "connected"
