"""What the database itself keeps while numbers are connected, whatever the code does."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.database.tenants import Tenant, make_tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

    Connection = psycopg.Connection[tuple[Any, ...]]

PHONE = "+15550107777"
# What no test of another limit reaches.
PLENTY = 1_000_000


@pytest.fixture
def service(database: Connection) -> Iterator[Connection]:
    """The service's connection, whose work is undone afterwards."""
    with contextlib.suppress(psycopg.Rollback), database.transaction(force_rollback=True):
        database.execute("set local role service_role")
        yield database


def tenant(connection: Connection, *, status: str = "pending", **columns: object) -> Tenant:
    connection.execute("reset role")
    made = make_tenant(connection, status=status, **{"access_token": None, **columns})
    connection.execute("set local role service_role")
    return made


def call(connection: Connection, function: str, *values: object) -> Any:
    places = ", ".join(["%s"] * len(values))
    row = connection.execute(f"select public.{function}({places})", values).fetchone()
    assert row is not None
    return row[0]


def begin(connection: Connection, of: Tenant, *, by: uuid.UUID | None = None, digest: str = "same") -> Any:
    return call(connection, "begin_connection", of.organization_id, by or of.owner_id, "number", digest)


def refusal(error: psycopg.Error) -> str | None:
    return error.diag.message_detail


def test_only_the_newest_holder_writes_steps(service: Connection) -> None:
    mine = tenant(service)
    first, second = begin(service, mine), begin(service, mine)

    call(service, "advance_connection", mine.integration_id, second["attempt"], "proven", Jsonb({}))
    with pytest.raises(psycopg.Error) as refused, service.transaction():
        call(service, "advance_connection", mine.integration_id, first["attempt"], "connected", Jsonb({}))

    assert refusal(refused.value) == "connection_superseded"


def test_another_person_must_wait_and_the_same_call_takes_over(service: Connection) -> None:
    mine = tenant(service)
    begin(service, mine)

    begin(service, mine)
    with pytest.raises(psycopg.Error) as refused, service.transaction():
        begin(service, mine, by=uuid.uuid4())

    assert refusal(refused.value) == "connection_in_progress"


def test_a_step_cannot_take_a_number_that_is_connected_elsewhere(service: Connection) -> None:
    theirs = tenant(service, status="connected", access_token="v1.k.AAAA")
    mine = tenant(service)
    attempt = begin(service, mine)["attempt"]

    with pytest.raises(psycopg.Error) as refused, service.transaction():
        call(
            service,
            "advance_connection",
            mine.integration_id,
            attempt,
            "proven",
            Jsonb({"phone_number_id": theirs.phone_number_id}),
        )

    assert refusal(refused.value) == "number_taken"


def test_a_secret_in_the_clear_cannot_be_stored(service: Connection) -> None:
    mine = tenant(service)
    attempt = begin(service, mine)["attempt"]

    for facts in ({"access_token": "EAAclear"}, {"pin": "123456"}, {"app_secret": "x"}):
        with pytest.raises(psycopg.errors.CheckViolation), service.transaction():
            call(service, "advance_connection", mine.integration_id, attempt, "proven", Jsonb(facts))


def test_nothing_is_connected_without_a_number_and_a_token(service: Connection) -> None:
    mine = tenant(service, phone_number_id=None)
    attempt = begin(service, mine)["attempt"]

    with pytest.raises(psycopg.errors.CheckViolation), service.transaction():
        call(service, "advance_connection", mine.integration_id, attempt, "connected", Jsonb({}))


def ask(
    connection: Connection, of: Tenant, phone: str = PHONE, *, by: object = None, most: int = PLENTY
) -> Any:
    asked = call(
        connection,
        "begin_verification",
        uuid.uuid4(),
        of.organization_id,
        by or of.owner_id,
        phone,
        "sms",
        most,
    )
    call(connection, "advance_verification", asked["id"], "sending", Jsonb({"sender": "meta"}))
    return call(connection, "advance_verification", asked["id"], "sent", Jsonb({}))


def age(connection: Connection, interval: str) -> None:
    connection.execute(
        "update whatsapp_verifications set requested_at = requested_at - %(age)s::interval,"
        " resend_at = resend_at - %(age)s::interval, expires_at = expires_at - %(age)s::interval,"
        " open_guess_at = open_guess_at - %(age)s::interval,"
        " verified_at = verified_at - %(age)s::interval",
        {"age": interval},
    )


def test_pauses_double_within_an_hour(service: Connection) -> None:
    mine = tenant(service)

    pauses = []
    for _ in range(4):
        pauses.append(ask(service, mine)["resend_in"])
        age(service, f"{pauses[-1]} seconds")

    assert pauses == [60, 120, 240, 480]


def test_a_day_has_room_for_ten_codes_of_an_organization(service: Connection) -> None:
    mine = tenant(service)
    for nr in range(10):
        # Numbers that no other test connects.
        ask(service, mine, f"+1555010{6600 + nr}")
        age(service, "20 minutes")

    with pytest.raises(psycopg.Error) as refused, service.transaction():
        ask(service, mine, "+15550106610")

    assert refusal(refused.value) == "too_many_requests"


def test_a_number_has_room_for_five_codes_an_hour_of_all_organizations_together(service: Connection) -> None:
    for _ in range(5):
        ask(service, tenant(service))
        service.execute("update whatsapp_verifications set resend_at = now()")

    with pytest.raises(psycopg.Error) as refused, service.transaction():
        ask(service, tenant(service))

    assert refusal(refused.value) == "too_many_requests"


def test_a_user_has_room_for_five_codes_an_hour_in_all_their_organizations_together(
    service: Connection,
) -> None:
    user = tenant(service).owner_id
    for nr in range(5):
        ask(service, tenant(service), f"+1555010{6620 + nr}", by=user)

    with pytest.raises(psycopg.Error) as refused, service.transaction():
        ask(service, tenant(service), "+15550106625", by=user)

    assert refusal(refused.value) == "too_many_requests"


def test_the_platform_has_room_for_so_many_codes_an_hour_of_all_organizations_together(
    service: Connection,
) -> None:
    # The stack's other tests have asked for codes too.
    (asked,) = service.execute(
        "select count(*) from whatsapp_verifications where requested_at > now() - interval '1 hour'"
    ).fetchone() or (0,)
    ask(service, tenant(service), "+15550106631", most=asked + 2)
    ask(service, tenant(service), "+15550106632", most=asked + 2)

    with pytest.raises(psycopg.Error) as refused, service.transaction():
        ask(service, tenant(service), "+15550106633", most=asked + 2)

    assert refusal(refused.value) == "too_many_requests"


def test_a_number_is_one_number_however_it_is_written(service: Connection) -> None:
    """Meta writes Mexico's mobiles with a 1 that nobody types; so the connection of one has it."""
    theirs = tenant(service, status="connected", phone_number="+5215500000021")
    mine, other = tenant(service), tenant(service)

    with pytest.raises(psycopg.Error) as refused, service.transaction():
        ask(service, mine, "+525500000021")
    ask(service, theirs, "+525500000021")
    ask(service, mine, "+5491100000021")
    with pytest.raises(psycopg.Error) as waiting, service.transaction():
        ask(service, other, "+541100000021")

    assert (refusal(refused.value), refusal(waiting.value)) == ("number_taken", "resend_too_early")


def test_what_was_refused_makes_nobody_wait(service: Connection) -> None:
    mine = tenant(service)
    new_id = uuid.uuid4()
    call(service, "begin_verification", new_id, mine.organization_id, mine.owner_id, PHONE, "sms", PLENTY)
    call(service, "advance_verification", new_id, "failed", Jsonb({}))

    assert ask(service, mine)["resend_in"] == 60


def test_guesses_are_counted_past_the_limit(service: Connection) -> None:
    mine = tenant(service)
    ask(service, mine)

    taken = [call(service, "take_guess", mine.organization_id, f"guess {nr}")["outcome"] for nr in range(5)]

    assert taken == ["try", "try", "try", "too_many", "too_many"]


def test_a_guess_whose_answer_was_lost_may_be_asked_about_again(service: Connection) -> None:
    mine = tenant(service)
    ask(service, mine)
    call(service, "take_guess", mine.organization_id, "mine")

    again = call(service, "take_guess", mine.organization_id, "mine")
    other = call(service, "take_guess", mine.organization_id, "other")

    assert (again["outcome"], other["outcome"]) == ("again", "try")


def test_what_another_organization_proved_proves_nothing_for_a_lost_guess(service: Connection) -> None:
    """Meta shows the number as verified by then; it was not us who verified it."""
    mine, theirs = tenant(service), tenant(service)
    ask(service, mine)
    call(service, "take_guess", mine.organization_id, "made up")
    service.execute("update whatsapp_verifications set resend_at = now()")
    proof = ask(service, theirs)
    call(service, "take_guess", theirs.organization_id, "right")
    call(service, "settle_guess", proof["id"], True)

    again = call(service, "take_guess", mine.organization_id, "made up")

    assert again["outcome"] == "try"


def test_a_guess_is_asked_about_again_for_ten_minutes_only(service: Connection) -> None:
    """Who proves the number to Meta later, by whatever way, proves it for themselves."""
    mine = tenant(service)
    ask(service, mine)
    call(service, "take_guess", mine.organization_id, "made up")
    age(service, "11 minutes")

    assert call(service, "take_guess", mine.organization_id, "made up")["outcome"] == "late"


def test_a_guess_is_not_asked_about_again_where_another_organization_asked_for_a_code(
    service: Connection,
) -> None:
    """Their code is Meta's newest: that the number is verified may be their doing, not stored yet."""
    mine, theirs = tenant(service), tenant(service)
    ask(service, mine)
    call(service, "take_guess", mine.organization_id, "made up")
    service.execute("update whatsapp_verifications set resend_at = now()")
    ask(service, theirs)

    assert call(service, "take_guess", mine.organization_id, "made up")["outcome"] == "try"


@pytest.mark.parametrize("theirs_is", ["asked for", "proven", "connected"])
def test_nothing_is_proven_that_became_anothers_while_meta_was_asked(
    service: Connection, theirs_is: str
) -> None:
    mine = tenant(service)
    asked = ask(service, mine)
    call(service, "take_guess", mine.organization_id, "made up")
    assert call(service, "take_guess", mine.organization_id, "made up")["outcome"] == "again"
    service.execute("update whatsapp_verifications set resend_at = now()")
    if theirs_is == "connected":
        tenant(service, status="connected", access_token="v1.k.AAAA", phone_number=PHONE)
    else:
        proof = ask(service, tenant(service))
        if theirs_is == "proven":
            call(service, "settle_guess", proof["id"], True)

    settled = call(service, "settle_guess", asked["id"], True, True)

    assert settled["state"] == "sent"


def test_what_is_verified_is_not_made_wrong_by_a_late_answer(service: Connection) -> None:
    mine = tenant(service)
    asked = ask(service, mine)
    call(service, "take_guess", mine.organization_id, "right")
    call(service, "settle_guess", asked["id"], True)

    late = call(service, "settle_guess", asked["id"], False)

    assert late["state"] == "verified"


def test_an_audit_entry_is_never_changed(service: Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), service.transaction():
        service.execute("update audit_entries set action = 'nothing'")
    with pytest.raises(psycopg.errors.InsufficientPrivilege), service.transaction():
        service.execute("delete from audit_entries")


def register(service: Connection, integration_id: object, action: str = "register") -> None:
    begun = call(service, "begin_registration", integration_id, "77", action)
    call(service, "end_registration", begun, True)


def test_ten_registrations_in_seventy_two_hours_are_all(service: Connection) -> None:
    mine = tenant(service)
    for _ in range(10):
        register(service, mine.integration_id)

    with pytest.raises(psycopg.Error) as refused, service.transaction():
        register(service, mine.integration_id)
    register(service, mine.integration_id, "deregister")
    service.execute("reset role")
    service.execute("update whatsapp_registrations set created_at = created_at - interval '72 hours'")
    service.execute("set local role service_role")
    register(service, mine.integration_id)

    assert refusal(refused.value) == "registration_limit"


def test_one_registration_of_a_number_at_a_time(service: Connection) -> None:
    mine = tenant(service)

    first = call(service, "begin_registration", mine.integration_id, "77", "register")
    meanwhile = call(service, "begin_registration", mine.integration_id, "77", "register")
    other_number = call(service, "begin_registration", mine.integration_id, "78", "register")
    call(service, "end_registration", first, True)
    second = call(service, "begin_registration", mine.integration_id, "77", "register")
    service.execute("update whatsapp_registrations set created_at = now() - interval '25 seconds'")
    after_a_crash = call(service, "begin_registration", mine.integration_id, "77", "register")

    assert (meanwhile, len({first, other_number, second, after_a_crash} - {None})) == (None, 4)


def test_a_registration_that_meta_was_not_asked_for_does_not_count(service: Connection) -> None:
    mine = tenant(service)
    for _ in range(11):
        begun = call(service, "begin_registration", mine.integration_id, "77", "register")
        call(service, "end_registration", begun, False)

    row = service.execute(
        "select count(*) from whatsapp_registrations where phone_number_id = '77'"
    ).fetchone()
    assert row == (0,)
