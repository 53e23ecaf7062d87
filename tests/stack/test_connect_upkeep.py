"""What an owner sees and changes of their number at Meta, through `whatsapp-meta-api`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.connecting import (
    META_API,
    Business,
    add_agent,
    at_meta,
    code_of,
    connect_number,
    new_business,
    paste,
    status,
    waba_at_meta,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.world import Organization, Simulator, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]

BODY = [{"type": "BODY", "text": "Tu pedido está listo."}]


@pytest.fixture
def owner(new_organization: Callable[..., Organization]) -> User:
    return new_organization().owner


@pytest.fixture
def business(owner: User, simulator: Simulator) -> Business:
    """A business that is connected."""
    business = new_business(simulator)
    paste(owner, business).raise_for_status()
    return business


OWNERS_ONLY = [
    ("POST", "/register"),
    ("POST", "/deregister"),
    ("POST", "/profile"),
    ("POST", "/webhook-subscription"),
    ("GET", "/webhook-subscription"),
    ("POST", "/sync"),
    ("POST", "/token/refresh"),
    ("GET", "/diagnostics"),
    ("DELETE", "/templates?name=hola"),
]


@pytest.mark.parametrize("method, path", OWNERS_ONLY)
def test_an_agent_changes_nothing(
    new_organization: Callable[..., Organization],
    new_user: Callable[[], User],
    simulator: Simulator,
    method: str,
    path: str,
) -> None:
    organization = new_organization()
    agent = add_agent(organization, new_user())
    paste(organization.owner, new_business(simulator)).raise_for_status()
    answer = agent.functions.request(method, f"{META_API}{path}", json={} if method == "POST" else None)

    assert (answer.status_code, code_of(answer)) == (403, "owner_required")


def test_without_a_connection_there_is_nothing_to_look_at(owner: User) -> None:
    answer = owner.functions.get(f"{META_API}/number")

    assert (answer.status_code, code_of(answer)) == (404, "integration_not_found")


def test_the_number_is_shown_as_meta_has_it_now(
    owner: User, business: Business, simulator: Simulator
) -> None:
    simulator.patch(f"/numbers/{business.phone_number_id}", quality_rating="YELLOW", throughput_level="HIGH")

    answer = owner.functions.get(f"{META_API}/number")

    number = answer.json()
    assert number["phone_number"] == f"+{business.phone_number}"
    assert (number["quality_rating"], number["throughput"]) == ("YELLOW", 1000)
    assert number["health_status"]["can_send_message"] == "AVAILABLE"
    assert status(owner)["quality_rating"] == "YELLOW"


def test_registering_is_counted_before_meta_counts(owner: User, simulator: Simulator) -> None:
    number = connect_number(owner, simulator)
    for _ in range(9):
        answer = owner.functions.post(f"{META_API}/register", json={})
        assert answer.status_code == 200, answer.text

    eleventh = owner.functions.post(f"{META_API}/register", json={})

    assert (eleventh.status_code, code_of(eleventh)) == (429, "registration_limit")
    assert 72 * 3600 - 120 < eleventh.json()["error"]["retry_after"] <= 72 * 3600
    assert len(at_meta(simulator, number)[0]["registrations"]) == 10


def test_a_deregistered_number_is_an_error_until_it_is_registered_again(
    owner: User, simulator: Simulator
) -> None:
    connect_number(owner, simulator)

    gone = owner.functions.post(f"{META_API}/deregister", json={})
    between = status(owner)
    back = owner.functions.post(f"{META_API}/register", json={})

    assert gone.json()["is_registered"] is False
    assert (between["status"], between["error_code"]) == ("error", "number_deregistered")
    assert back.json()["is_registered"] is True
    assert status(owner)["status"] == "connected"


def test_a_pin_that_is_not_the_numbers_is_refused_and_ours_is_kept(owner: User, simulator: Simulator) -> None:
    connect_number(owner, simulator)
    before = status(owner, reveal="pin")["pin"]
    wrong = f"{(int(before) + 1) % 1_000_000:06d}"

    answer = owner.functions.post(f"{META_API}/register", json={"pin": wrong})

    assert (answer.status_code, code_of(answer)) == (409, "pin_required")
    assert status(owner, reveal="pin")["pin"] == before


def test_the_profile_is_changed_in_parts(owner: User, business: Business) -> None:
    owner.functions.post(f"{META_API}/profile", json={"about": "Pan fresco"}).raise_for_status()

    answer = owner.functions.post(
        f"{META_API}/profile", json={"websites": ["https://pan.example"], "vertical": "RESTAURANT"}
    )

    assert answer.status_code == 200, answer.text
    assert (answer.json()["about"], answer.json()["websites"]) == ("Pan fresco", ["https://pan.example"])


def test_a_profile_that_is_too_long_is_refused_by_the_field(owner: User, business: Business) -> None:
    answer = owner.functions.post(f"{META_API}/profile", json={"about": "x" * 140})

    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == "about"


def test_templates_are_created_listed_by_pages_and_kept(
    owner: User, business: Business, database: Connection
) -> None:
    for nr in range(3):
        made = owner.functions.post(
            f"{META_API}/templates",
            json={"name": f"pedido_{nr}", "language": "es", "category": "UTILITY", "components": BODY},
        )
        assert made.status_code == 201, made.text

    names: list[str] = []
    after: str | None = None
    for _ in range(10):
        query = {"limit": "2"} | ({"after": after} if after else {})
        page = owner.functions.get(f"{META_API}/templates", params=query).json()
        names += [each["name"] for each in page["templates"]]
        after = page["after"]
        if after is None:
            break

    assert {"pedido_0", "pedido_1", "pedido_2"} <= set(names)
    assert len(names) == len(set(names))
    kept = owner.rest.get("/message_templates", params={"select": "name"}).json()
    assert {row["name"] for row in kept} == set(names)


def test_a_deleted_template_is_forgotten(owner: User, business: Business) -> None:
    owner.functions.post(
        f"{META_API}/templates",
        json={"name": "adios", "language": "es", "category": "UTILITY", "components": BODY},
    ).raise_for_status()

    answer = owner.functions.delete(f"{META_API}/templates", params={"name": "adios"})

    assert answer.json() == {"deleted": 1}
    assert owner.rest.get("/message_templates", params={"name": "eq.adios"}).json() == []


def test_who_asks_too_often_is_told_when_to_come_again_before_meta_is(
    owner: User, business: Business, simulator: Simulator, database: Connection
) -> None:
    """The account's calls of the next ten minutes are spent; Meta is not asked once more."""
    first = owner.functions.get(f"{META_API}/number")
    database.execute(
        "update rate_limits set paid_at = now() + interval '10 minutes'"
        " where kind = 'management' and key = %s",
        (business.waba_id,),
    )
    asked = len(simulator.get("/requests", object_id=business.phone_number_id))

    refused = owner.functions.get(f"{META_API}/number")

    assert first.status_code == 200, first.text
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_requests")
    assert 200 < refused.json()["error"]["retry_after"] <= 241
    assert len(simulator.get("/requests", object_id=business.phone_number_id)) == asked


def test_a_review_that_comes_by_webhook_reaches_the_kept_template(
    owner: User, simulator: Simulator, world: World
) -> None:
    paste(owner, new_business(simulator, own_app=False)).raise_for_status()
    made = owner.functions.post(
        f"{META_API}/templates",
        json={"name": "revision", "language": "es", "category": "UTILITY", "components": BODY},
    )
    assert made.status_code == 201, made.text

    # The review takes a second.
    assert simulator.post("/settle", within=30, horizon=2)["settled"]

    (row,) = owner.rest.get("/message_templates", params={"name": "eq.revision"}).json()
    assert row["status"] == "APPROVED"


def test_the_subscription_is_shown_and_repaired(
    owner: User, business: Business, simulator: Simulator
) -> None:
    simulator.patch(f"/wabas/{business.waba_id}", subscriptions={})

    before = owner.functions.get(f"{META_API}/webhook-subscription").json()
    after = owner.functions.post(f"{META_API}/webhook-subscription", json={}).json()

    assert (before["is_subscribed"], after["is_subscribed"]) == (False, True)
    assert list(waba_at_meta(simulator, business.waba_id)["subscriptions"]) == [business.pasted["app_id"]]


def test_a_number_may_have_an_address_of_its_own_and_lose_it_again(owner: User, simulator: Simulator) -> None:
    business = new_business(simulator, own_app=False)
    integration = paste(owner, business).json()["integration"]

    set_ = owner.functions.post(f"{META_API}/webhook-subscription", json={"callback": "override"})
    simulator.write(business.phone_number_id, "hola")
    simulator.settle()
    connected = status(owner)
    removed = owner.functions.post(f"{META_API}/webhook-subscription", json={"callback": "app"})

    assert set_.status_code == 200, set_.text
    assert set_.json()["override_url"].endswith(f"/{integration['id']}")
    assert connected["webhook"]["state"] == "receiving"
    assert removed.json()["callback"] == "app"


@pytest.mark.parametrize("place", ["number", "account"])
def test_an_address_that_somebody_else_set_is_removed(
    owner: User, business: Business, simulator: Simulator, place: str
) -> None:
    app_id, elsewhere = business.pasted["app_id"], "https://elsewhere.example/hook"
    if place == "number":
        simulator.patch(f"/numbers/{business.phone_number_id}", overrides={app_id: elsewhere})
    else:
        simulator.patch(f"/wabas/{business.waba_id}", subscriptions={app_id: elsewhere})

    before = owner.functions.get(f"{META_API}/webhook-subscription").json()
    after = owner.functions.post(f"{META_API}/webhook-subscription", json={"callback": "app"}).json()

    assert (before["callback"], before["override_url"]) == ("override", elsewhere)
    assert (after["callback"], after["override_url"]) == ("app", None)


def test_synchronising_reads_number_and_templates_anew(
    owner: User, business: Business, simulator: Simulator
) -> None:
    simulator.patch(f"/numbers/{business.phone_number_id}", verified_name="Panadería Nueva")

    answer = owner.functions.post(f"{META_API}/sync", json={})

    assert answer.json()["templates"] >= 1
    assert status(owner)["display_name"] == "Panadería Nueva"


def test_a_token_is_renewed_and_the_new_one_works(
    owner: User, simulator: Simulator, database: Connection
) -> None:
    business = new_business(simulator, expires_in=3600)
    paste(owner, business).raise_for_status()

    answer = owner.functions.post(f"{META_API}/token/refresh", json={})
    simulator.patch(f"/tokens/{business.pasted['access_token']}", expires_in=0)

    assert answer.json()["is_refreshed"] is True
    assert owner.functions.get(f"{META_API}/number").status_code == 200


@pytest.mark.parametrize("change, reason", [({"expires_in": 0}, "venció"), ({"is_revoked": True}, "quitada")])
def test_a_dead_token_is_noticed_wherever_it_is_used_and_what_customers_write_goes_on_arriving(
    owner: User, simulator: Simulator, change: dict[str, Any], reason: str
) -> None:
    business = new_business(simulator, own_app=False)
    paste(owner, business).raise_for_status()
    simulator.patch(f"/tokens/{business.pasted['access_token']}", **change)

    answer = owner.functions.get(f"{META_API}/number")
    simulator.write(business.phone_number_id, "sigo escribiendo")
    simulator.settle()

    assert (answer.status_code, code_of(answer)) == (502, "token_dead")
    integration = status(owner)
    assert (integration["status"], integration["error_code"]) == ("error", "token_dead")
    assert integration["token"]["is_valid"] is False
    assert reason in integration["error_message"]
    assert owner.rest.get("/messages", params={"select": "text"}).json() == [{"text": "sigo escribiendo"}]
    notices = owner.rest.get("/notices", params={"field": "eq.connection"}).json()
    assert [notice["event"] for notice in notices] == ["TOKEN_DEAD"]
