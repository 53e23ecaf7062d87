"""An owner types a number, gets a code, and is connected: nothing but the number and the code is needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.connecting import (
    OAUTH,
    Typed,
    at_meta,
    code_of,
    connect_number,
    let_time_pass,
    new_number,
    request_code,
    sent_code,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.world import Organization, Simulator, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def number() -> Typed:
    return new_number()


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def test_what_is_no_number_is_refused(new_organization: Callable[..., Organization]) -> None:
    owner = new_organization().owner

    answers = [
        owner.functions.post(f"{OAUTH}/request-code", json={"phone_number": typed})
        for typed in ("hola", "12", "+999 123 456 789", "+51 123")
    ]

    assert [(answer.status_code, code_of(answer)) for answer in answers] == [
        (422, "invalid_phone_number")
    ] * 4


def test_an_agent_cannot_ask_for_a_code(
    new_organization: Callable[..., Organization],
    new_user: Callable[[], User],
    number: Typed,
    simulator: Simulator,
) -> None:
    organization, agent = new_organization(), new_user()
    organization.take_in(agent)

    answer = request_code(agent, number, organization_id=organization.id)

    assert code_of(answer) == "owner_required"
    assert at_meta(simulator, number) == []


def test_a_typed_number_is_connected_with_the_code(
    new_organization: Callable[..., Organization], number: Typed, simulator: Simulator, world: World
) -> None:
    owner = new_organization(name="Panadería Lima").owner
    requested = request_code(owner, number)
    assert requested.status_code == 200, requested.text
    assert requested.json()["verification"]["state"] == "sent"
    assert requested.json()["verification"]["resend_in"] == 60
    assert requested.json()["formatted_phone_number"].startswith("+1 555-")

    answer = verify(owner, sent_code(simulator, number))

    assert answer.status_code == 200, answer.text
    integration = answer.json()["integration"]
    assert integration["status"] == "connected"
    assert integration["phone_number"] == number.e164
    assert integration["display_name"] == "Panadería Lima"
    assert integration["webhook"]["state"] == "waiting"
    (there,) = at_meta(simulator, number)
    assert there["status"] == "CONNECTED"
    assert there["waba_id"] == world.variables["WHATSAPP_BUSINESS_ACCOUNT_ID"]
    assert len(there["registrations"]) == 1


def test_the_pin_is_shown_to_an_owner_only_and_that_is_written_down(
    new_organization: Callable[..., Organization],
    new_user: Callable[[], User],
    number: Typed,
    simulator: Simulator,
) -> None:
    organization, agent = new_organization(), new_user()
    owner = organization.owner
    organization.take_in(agent)
    request_code(owner, number)
    verify(owner, sent_code(simulator, number)).raise_for_status()

    shown = owner.functions.get(f"{OAUTH}/status", params={"reveal": "pin"})
    refused = agent.functions.get(
        f"{OAUTH}/status", params={"reveal": "pin", "organization_id": organization.id}
    )

    assert shown.json()["integration"]["pin"] == at_meta(simulator, number)[0]["pin"]
    assert code_of(refused) == "owner_required"
    audit = owner.rest.get("/audit_entries", params={"select": "action,user_id"}).json()
    assert {"action": "pin_shown", "user_id": owner.id} in audit
    assert agent.rest.get("/audit_entries").json() == []


def test_three_wrong_codes_use_up_the_right_one(
    new_organization: Callable[..., Organization], number: Typed, simulator: Simulator
) -> None:
    owner = new_organization().owner
    request_code(owner, number)
    code = sent_code(simulator, number)

    answers = [verify(owner, wrong(code)) for _ in range(3)]
    fourth = verify(owner, code)

    assert [(answer.status_code, code_of(answer)) for answer in answers] == [(422, "wrong_code")] * 3
    assert [answer.json()["error"]["details"][0]["attempts_left"] for answer in answers] == [2, 1, 0]
    assert (fourth.status_code, code_of(fourth)) == (429, "too_many_attempts")


@pytest.mark.parametrize("seconds, status", [(598, 200), (601, 410)])
def test_a_code_lives_ten_minutes(
    new_organization: Callable[..., Organization],
    number: Typed,
    simulator: Simulator,
    database: Connection,
    seconds: int,
    status: int,
) -> None:
    owner = new_organization().owner
    request_code(owner, number)
    let_time_pass(database, number, seconds)

    answer = verify(owner, sent_code(simulator, number))

    assert answer.status_code == status, answer.text


def test_fifty_guesses_at_once_count_as_fifty_and_three_are_tried(
    new_organization: Callable[..., Organization], number: Typed, simulator: Simulator, database: Connection
) -> None:
    owner = new_organization().owner
    request_code(owner, number)
    code = sent_code(simulator, number)
    guesses = [f"{(int(code) + nr) % 1_000_000:06d}" for nr in range(1, 51)]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda guess: verify(owner, guess), guesses))

    codes = [code_of(answer) for answer in answers]
    assert (codes.count("wrong_code"), codes.count("too_many_attempts")) == (3, 47)
    assert database.execute(
        "select attempts from whatsapp_verifications where phone_number = %s", (number.e164,)
    ).fetchone() == (50,)
    (there,) = at_meta(simulator, number)
    tried = [
        row
        for row in simulator.get("/requests", limit=5000)
        if row["edge"] == "verify_code" and row["object_id"] == there["id"]
    ]
    assert len(tried) == 3


def test_asking_again_too_early_tells_the_seconds_that_are_left(
    new_organization: Callable[..., Organization], number: Typed, database: Connection
) -> None:
    owner = new_organization().owner
    request_code(owner, number)
    let_time_pass(database, number, 20)

    early = request_code(owner, number)
    let_time_pass(database, number, 41)
    late = request_code(owner, number)

    assert (early.status_code, code_of(early)) == (429, "resend_too_early")
    assert 35 <= early.json()["error"]["retry_after"] <= 40
    assert early.headers["retry-after"] == str(early.json()["error"]["retry_after"])
    assert late.status_code == 200, late.text
    assert late.json()["verification"]["resend_in"] == 120


def test_a_button_that_is_pressed_many_times_sends_one_code(
    new_organization: Callable[..., Organization], number: Typed, simulator: Simulator
) -> None:
    owner = new_organization().owner

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: request_code(owner, number), range(8)))

    (there,) = at_meta(simulator, number)
    assert len(there["code_requests"]) == 1
    refused = {code_of(answer) for answer in answers if answer.status_code != 200}
    assert any(answer.status_code == 200 for answer in answers)
    assert refused <= {"resend_too_early"}


def test_an_hour_has_room_for_five_codes(
    new_organization: Callable[..., Organization], number: Typed, database: Connection, simulator: Simulator
) -> None:
    owner = new_organization().owner
    simulator.patch("/settings", code_requests_per_hour=100)
    for _ in range(5):
        request_code(owner, number).raise_for_status()
        database.execute(
            "update whatsapp_verifications set resend_at = now() where phone_number = %s", (number.e164,)
        )

    answer = request_code(owner, number)

    assert (answer.status_code, code_of(answer)) == (429, "too_many_requests")
    assert 3500 < answer.json()["error"]["retry_after"] <= 3600


def test_more_organizations_give_their_owner_no_more_codes(
    new_organization: Callable[..., Organization], simulator: Simulator
) -> None:
    owner = new_organization().owner
    ours = [new_organization(owner).id for _ in range(6)]

    answers = [request_code(owner, new_number(), organization_id=each) for each in ours]
    refused = answers[-1].json()["error"]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert refused["code"] == "too_many_requests"
    assert 3000 < refused["retry_after"] <= 3600


def test_nothing_is_asked_of_meta_when_the_platforms_account_has_no_calls_left(
    world: World,
    new_organization: Callable[..., Organization],
    number: Typed,
    simulator: Simulator,
    database: Connection,
) -> None:
    other = new_organization()
    waba_id = world.variables["WHATSAPP_BUSINESS_ACCOUNT_ID"]
    database.execute(
        "insert into rate_limits (organization_id, kind, key, paid_at)"
        " values (%s, 'management', %s, now() + interval '1 hour')",
        (other.id, waba_id),
    )
    owner = new_organization().owner
    try:
        answer = request_code(owner, number)
    finally:
        database.execute("delete from rate_limits where organization_id = %s", (other.id,))
    again = request_code(owner, number)

    assert (answer.status_code, code_of(answer)) == (429, "too_many_requests")
    # Nothing was sent, so nobody need wait for it.
    assert again.status_code == 200, again.text
    assert len(at_meta(simulator, number)) == 1


def test_a_number_of_another_organization_is_refused_before_anything_is_sent(
    new_organization: Callable[..., Organization], number: Typed, simulator: Simulator
) -> None:
    first, second = new_organization().owner, new_organization().owner
    request_code(first, number)
    verify(first, sent_code(simulator, number)).raise_for_status()

    answer = request_code(second, number)

    assert (answer.status_code, code_of(answer)) == (409, "number_taken")


def test_who_types_the_number_of_a_broken_connection_in_its_other_form_goes_on(
    new_organization: Callable[..., Organization], simulator: Simulator, database: Connection
) -> None:
    organization, number = new_organization(), Typed(digits="525500000031")
    connect_number(organization.owner, simulator, number)
    # As Meta spells it, and as the daily reading stores it.
    database.execute(
        "update whatsapp_integrations set phone_number = '+5215500000031', status = 'error',"
        " error_code = 'token_dead' where organization_id = %s",
        (organization.id,),
    )
    let_time_pass(database, number, 3600)
    # So that Meta itself sends the code.
    simulator.patch(
        f"/numbers/{at_meta(simulator, number)[0]['id']}", code_verification_status="NOT_VERIFIED"
    )

    answer = request_code(organization.owner, number)

    assert answer.status_code == 200, answer.text


def test_a_number_on_another_waba_is_refused_with_a_guide(
    new_organization: Callable[..., Organization], simulator: Simulator
) -> None:
    business = simulator.new_business(name="Otra")

    answer = request_code(new_organization().owner, Typed(digits=business["phone_number"]))

    assert (answer.status_code, code_of(answer)) == (409, "number_on_whatsapp")


def test_a_code_of_one_organization_is_no_use_to_another(
    new_organization: Callable[..., Organization], number: Typed, simulator: Simulator
) -> None:
    first, second = new_organization().owner, new_organization().owner
    request_code(first, number)
    verify(first, sent_code(simulator, number)).raise_for_status()

    answer = verify(second, "123456")

    assert (answer.status_code, code_of(answer)) == (410, "code_expired")


def test_codes_are_in_no_log_and_in_no_table(
    new_organization: Callable[..., Organization],
    number: Typed,
    simulator: Simulator,
    database: Connection,
    stack: Any,
) -> None:
    owner = new_organization().owner
    request_code(owner, number)
    code = sent_code(simulator, number)
    verify(owner, code).raise_for_status()
    pin = at_meta(simulator, number)[0]["pin"]

    rows = database.execute(
        """
        select to_jsonb(v)::text from whatsapp_verifications v where phone_number = %(n)s
        union all select to_jsonb(i)::text from whatsapp_integrations i where phone_number = %(n)s
        """,
        {"n": number.e164},
    ).fetchall()

    assert len(rows) == 2
    log = (stack.logs / "functions.log").read_text()
    for secret in (f'"{code}"', f'"{pin}"'):
        assert secret not in log
        assert not any(secret in row[0] for row in rows)
