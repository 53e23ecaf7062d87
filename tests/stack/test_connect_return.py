"""Letting a number go, and coming back to it: the chats stay, and what was proven counts while it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.connecting import (
    OAUTH,
    at_meta,
    code_of,
    connect_number,
    new_business,
    paste,
    request_code,
    status,
    verify,
    waba_at_meta,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.world import Organization, Simulator, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def owner(new_organization: Callable[..., Organization]) -> User:
    return new_organization().owner


def disconnect(user: User, **fields: Any) -> Any:
    return user.functions.post(f"{OAUTH}/disconnect", json=fields)


def reconnect(user: User) -> Any:
    return user.functions.post(f"{OAUTH}/reconnect", json={})


def test_who_never_connected_cannot_come_back(owner: User) -> None:
    answer = reconnect(owner)

    assert (answer.status_code, code_of(answer)) == (404, "integration_not_found")


def test_a_number_of_the_platforms_account_comes_back_at_once(owner: User, simulator: Simulator) -> None:
    number = connect_number(owner, simulator)
    disconnect(owner).raise_for_status()

    answer = reconnect(owner)

    assert answer.status_code == 200, answer.text
    assert answer.json()["integration"]["status"] == "connected"
    assert answer.json()["integration"]["webhook"]["state"] == "waiting"
    assert len(at_meta(simulator, number)[0]["registrations"]) == 1


def test_leaving_the_platforms_account_cuts_off_nobody_else(
    owner: User, simulator: Simulator, world: World
) -> None:
    connect_number(owner, simulator)

    disconnect(owner).raise_for_status()

    platform = waba_at_meta(simulator, world.variables["WHATSAPP_BUSINESS_ACCOUNT_ID"])
    assert world.variables["WHATSAPP_APP_ID"] in platform["subscriptions"]


def test_the_chats_stay(owner: User, simulator: Simulator) -> None:
    business = new_business(simulator, own_app=False)
    paste(owner, business).raise_for_status()
    simulator.write(business.phone_number_id, "guárdame")
    simulator.settle()

    disconnect(owner).raise_for_status()

    assert owner.rest.get("/messages", params={"select": "text"}).json() == [{"text": "guárdame"}]


def test_what_arrives_after_leaving_is_nobodys(
    owner: User, simulator: Simulator, new_organization: Callable[..., Organization]
) -> None:
    number = connect_number(owner, simulator)
    disconnect(owner).raise_for_status()

    simulator.write(at_meta(simulator, number)[0]["id"], "¿hay alguien?")
    simulator.settle()

    assert owner.rest.get("/messages", params={"select": "text"}).json() == []


def test_a_number_that_changed_hands_must_be_proven_again(
    owner: User,
    simulator: Simulator,
    database: Connection,
    new_organization: Callable[..., Organization],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = connect_number(owner, simulator)
    disconnect(owner).raise_for_status()
    # The number's new holder proves it to Meta again, and lets it go too.
    simulator.patch(
        f"/numbers/{at_meta(simulator, number)[0]['id']}", code_verification_status="NOT_VERIFIED"
    )
    database.execute(
        "update whatsapp_verifications set resend_at = now() where phone_number = %s", (number.e164,)
    )
    other = new_organization().owner
    connect_number(other, simulator, number)
    disconnect(other).raise_for_status()

    answer = reconnect(owner)

    assert (answer.status_code, code_of(answer)) == (409, "verification_required")
    assert reconnect(other).status_code == 200


def test_another_organization_has_it_now(
    owner: User, simulator: Simulator, new_organization: Callable[..., Organization]
) -> None:
    business = new_business(simulator)
    paste(owner, business).raise_for_status()
    disconnect(owner).raise_for_status()
    paste(new_organization().owner, business).raise_for_status()

    answer = paste(owner, business)

    assert (answer.status_code, code_of(answer)) == (409, "number_taken")


def test_pasted_credentials_are_gone_and_must_be_pasted_again(owner: User, simulator: Simulator) -> None:
    business = new_business(simulator)
    first = paste(owner, business).json()["integration"]
    disconnect(owner).raise_for_status()

    refused = reconnect(owner)
    again = paste(owner, business).json()["integration"]

    assert (refused.status_code, code_of(refused)) == (409, "credentials_needed")
    assert refused.json()["error"]["details"] == [{"field": "way", "rule": "credentials"}]
    # Meta's dashboard keeps working: the address and its verify token are the same as before.
    assert again["webhook"]["verify_token"] == first["webhook"]["verify_token"]
    assert again["webhook"]["url"] == first["webhook"]["url"]


def test_an_error_that_has_passed_is_reconnected_without_pasting(
    owner: User, simulator: Simulator, database: Connection
) -> None:
    business = new_business(simulator)
    paste(owner, business).raise_for_status()
    database.execute(
        "update whatsapp_integrations set status = 'error', error_code = 'token_dead', error_message = 'x'"
        " where phone_number_id = %s",
        (business.phone_number_id,),
    )
    simulator.patch(f"/wabas/{business.waba_id}", subscriptions={})

    answer = reconnect(owner)

    assert answer.json()["integration"]["status"] == "connected"
    assert answer.json()["integration"]["error_code"] is None
    assert list(waba_at_meta(simulator, business.waba_id)["subscriptions"]) == [business.pasted["app_id"]]


def test_a_lost_key_holds_nobody(owner: User, simulator: Simulator, database: Connection) -> None:
    business = new_business(simulator)
    paste(owner, business).raise_for_status()
    database.execute(
        "update whatsapp_integrations set access_token = 'v1.lost.AAAA',"
        " webhook_verify_token = 'v1.lost.AAAA' where phone_number_id = %s",
        (business.phone_number_id,),
    )

    shown, refused, left = (
        status(owner),
        owner.functions.get("/whatsapp-meta-api/number"),
        disconnect(owner),
    )

    assert shown["status"] == "connected"
    assert (refused.status_code, code_of(refused)) == (500, "misconfigured")
    assert left.json()["integration"]["status"] == "disconnected"
    # The verify token cannot be opened either: a new one is made.
    again = paste(owner, business)
    assert again.status_code == 200, again.text
    assert again.json()["integration"]["webhook"]["verify_token"]


def test_what_is_connected_stays_what_it_is_when_another_way_in_fails(
    owner: User, simulator: Simulator
) -> None:
    business = new_business(simulator)
    paste(owner, business).raise_for_status()

    refused = paste(owner, new_business(simulator))

    assert code_of(refused) == "already_connected"
    after = status(owner)
    assert (after["status"], after["way"], after["step"], after["error_code"]) == (
        "connected",
        "credentials",
        "connected",
        None,
    )


def test_a_new_token_ends_the_error(owner: User, simulator: Simulator) -> None:
    business = new_business(simulator)
    paste(owner, business).raise_for_status()
    simulator.patch(f"/tokens/{business.pasted['access_token']}", is_revoked=True)
    owner.functions.get("/whatsapp-meta-api/number")
    assert status(owner)["status"] == "error"
    fresh = simulator.post("/tokens", app_id=business.pasted["app_id"], waba_ids=[business.waba_id])["value"]

    answer = paste(owner, business, access_token=fresh)

    assert answer.json()["integration"]["status"] == "connected"
    assert answer.json()["integration"]["token"]["is_valid"] is True


def test_a_number_can_be_replaced_after_leaving(owner: User, simulator: Simulator) -> None:
    connect_number(owner, simulator)
    disconnect(owner).raise_for_status()

    second = connect_number(owner, simulator)

    assert status(owner)["phone_number"] == second.e164


def test_verifying_once_does_not_prove_for_ever(
    owner: User, simulator: Simulator, database: Connection
) -> None:
    connect_number(owner, simulator)
    disconnect(owner).raise_for_status()
    database.execute(
        "update whatsapp_verifications set verified_at = now() - interval '2 hours' where phone_number = %s",
        (status(owner)["phone_number"],),
    )

    answer = verify(owner, "123456")

    assert (answer.status_code, code_of(answer)) == (410, "code_expired")


def test_two_people_at_once_one_wins_and_the_other_is_told(
    new_organization: Callable[..., Organization], new_user: Callable[[], User], database: Connection
) -> None:
    organization, second = new_organization(), new_user()
    organization.take_in(second, "owner")
    # The first one's call is under way at Meta.
    database.execute(
        """
        select begin_connection(%s, %s, 'credentials', 'theirs', null)
        """,
        (organization.id, organization.owner.id),
    )

    answer = request_code(second, _typed(), organization_id=organization.id)

    assert (answer.status_code, code_of(answer)) == (409, "connection_in_progress")
    assert 0 < answer.json()["error"]["retry_after"] <= 60


def _typed() -> Any:
    from tests.connecting import new_number

    return new_number()
