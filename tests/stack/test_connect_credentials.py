"""An owner pastes what Meta's dashboard shows, and the number is theirs: checked first, stored then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import psycopg

    from tests.world import Organization, Simulator, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]

OAUTH = "/whatsapp-oauth"


@dataclass(frozen=True, kw_only=True)
class Business:
    """A business at Meta with an app of its own, as its dashboard shows it."""

    pasted: dict[str, str]
    waba_id: str
    phone_number_id: str
    phone_number: str


@pytest.fixture
def new_business(simulator: Simulator) -> Callable[..., Business]:
    def new_business(**fields: Any) -> Business:
        made = simulator.new_business(**{"name": "Panadería", "own_app": True, **fields})
        pasted = {
            "phone_number_id": made["phone_number_id"],
            "business_account_id": made["waba_id"],
            "access_token": made["access_token"],
            "app_id": made["app_id"],
            "app_secret": made["app_secret"],
        }
        return Business(
            pasted=pasted,
            waba_id=made["waba_id"],
            phone_number_id=made["phone_number_id"],
            phone_number=made["phone_number"],
        )

    return new_business


def connect(user: User, business: Business, **changed: Any) -> httpx.Response:
    return user.functions.post(f"{OAUTH}/credentials", json={**business.pasted, **changed})


def stored(database: Connection, organization: Organization) -> dict[str, Any] | None:
    row = database.execute(
        "select to_jsonb(i) from whatsapp_integrations i where organization_id = %s", (organization.id,)
    ).fetchone()
    return row[0] if row else None


def code_of(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


def test_nobody_connects_without_signing_in(world: World, new_business: Callable[..., Business]) -> None:
    answer = world.functions.post(f"{OAUTH}/credentials", json=new_business().pasted)

    assert (answer.status_code, code_of(answer)) == (401, "missing_token")


def test_an_agent_cannot_connect_a_number(
    new_organization: Callable[..., Organization],
    new_user: Callable[[], User],
    new_business: Callable[..., Business],
    database: Connection,
) -> None:
    organization, agent = new_organization(), new_user()
    organization.take_in(agent)

    answer = connect(agent, new_business(), organization_id=organization.id)

    assert (answer.status_code, code_of(answer)) == (403, "owner_required")
    assert stored(database, organization) is None


def test_a_stranger_is_told_the_same_as_for_an_organization_that_is_not_there(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business]
) -> None:
    mine, theirs = new_organization(), new_organization()
    business = new_business()

    answers = [
        connect(mine.owner, business, organization_id=organization_id)
        for organization_id in (theirs.id, "00000000-0000-4000-8000-000000000000")
    ]

    assert [(answer.status_code, code_of(answer)) for answer in answers] == [(403, "not_a_member")] * 2
    assert answers[0].json() == answers[1].json()


WRONG: dict[str, tuple[dict[str, str], str, str]] = {
    "secret_of_another_app": ({"app_secret": "f" * 32}, "app_secret", "does_not_match"),
    "app_that_is_not_there": ({"app_id": "123456789012345"}, "app_secret", "does_not_match"),
    "unknown_token": ({"access_token": "EAAnot-a-token"}, "access_token", "not_valid"),
    "waba_of_somebody_else": (
        {"business_account_id": "123456789012345"},
        "business_account_id",
        "not_accessible",
    ),
    "number_of_somebody_else": ({"phone_number_id": "123456789012345"}, "phone_number_id", "not_in_account"),
}


@pytest.mark.parametrize("changed, field, rule", WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_named_and_nothing_is_stored(
    new_organization: Callable[..., Organization],
    new_business: Callable[..., Business],
    database: Connection,
    changed: dict[str, str],
    field: str,
    rule: str,
) -> None:
    organization = new_organization()

    answer = connect(organization.owner, new_business(), **changed)

    assert (answer.status_code, code_of(answer)) == (422, "credentials_refused")
    (detail,) = answer.json()["error"]["details"]
    assert (detail["field"], detail["rule"]) == (field, rule)
    assert stored(database, organization) is None


def test_a_token_without_a_permission_is_refused_by_its_name(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business]
) -> None:
    business = new_business(scopes=["whatsapp_business_management"])

    answer = connect(new_organization().owner, business)

    (detail,) = answer.json()["error"]["details"]
    assert (detail["field"], detail["rule"]) == ("access_token", "scopes_missing")
    assert "whatsapp_business_messaging" in detail["message"]


def test_an_expired_token_is_told_from_an_unknown_one(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business]
) -> None:
    answer = connect(new_organization().owner, new_business(expires_in=-60))

    assert answer.json()["error"]["details"][0]["rule"] == "expired"


def test_the_reasons_are_told_in_spanish(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business]
) -> None:
    owner = new_organization().owner

    answer = owner.functions.post(
        f"{OAUTH}/credentials",
        json={**new_business().pasted, "app_secret": "f" * 32},
        headers={"accept-language": "es-PE,es;q=0.9"},
    )

    error = answer.json()["error"]
    assert "credenciales" in error["message"]
    assert "clave secreta" in error["details"][0]["message"]


def test_a_number_is_connected_and_its_own_apps_webhook_is_shown_to_the_owner(
    new_organization: Callable[..., Organization],
    new_business: Callable[..., Business],
    simulator: Simulator,
    database: Connection,
) -> None:
    organization, business = new_organization(), new_business()

    answer = connect(organization.owner, business)

    assert answer.status_code == 200, answer.text
    integration = answer.json()["integration"]
    assert integration["status"] == "connected"
    assert integration["phone_number"] == f"+{business.phone_number}"
    assert integration["has_own_app"] is True
    assert integration["webhook"]["state"] == "waiting"
    assert integration["webhook"]["url"].endswith(f"/{integration['id']}")
    assert integration["webhook"]["verify_token"]
    apps = [
        app["id"] for waba in simulator.get("/wabas") if waba["id"] == business.waba_id for app in _apps(waba)
    ]
    assert apps == [business.pasted["app_id"]]
    row = stored(database, organization) or {}
    secrets = [row[column] for column in ("access_token", "app_secret", "webhook_verify_token")]
    assert all(text.startswith("v1.") for text in secrets)
    assert business.pasted["access_token"] not in str(row)


def _apps(waba: dict[str, Any]) -> list[dict[str, str]]:
    return [{"id": app_id} for app_id in waba["subscriptions"]]


def test_pasted_values_may_carry_what_was_copied_with_them(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business]
) -> None:
    business = new_business()
    wrapped = {name: f"\u200b “{value[:6]} \n{value[6:]}” " for name, value in business.pasted.items()}
    wrapped["access_token"] = f"Bearer {business.pasted['access_token']}\n"

    answer = connect(new_organization().owner, business, **wrapped)

    assert answer.status_code == 200, answer.text


def test_a_number_of_the_platforms_app_needs_no_webhook_of_its_own(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business], world: World
) -> None:
    business = new_business(own_app=False)

    answer = connect(new_organization().owner, business)

    integration = answer.json()["integration"]
    assert integration["status"] == "connected"
    assert integration["has_own_app"] is False
    assert integration["app_id"] == world.variables["WHATSAPP_APP_ID"]
    assert integration["webhook"]["url"] is None


def test_a_number_that_another_organization_has_connected_is_refused_without_saying_whose_it_is(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business]
) -> None:
    first, second, business = (
        new_organization(name="Primera"),
        new_organization(name="Segunda"),
        new_business(),
    )
    connect(first.owner, business).raise_for_status()

    answer = connect(second.owner, business)

    assert (answer.status_code, code_of(answer)) == (409, "number_taken")
    assert first.id not in answer.text
    assert "Primera" not in answer.text
    assert first.owner.functions.get(f"{OAUTH}/status").json()["integration"]["status"] == "connected"
    assert second.owner.functions.get(f"{OAUTH}/status").json()["integration"]["status"] == "pending"


def test_another_number_is_refused_while_one_is_connected(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business]
) -> None:
    organization = new_organization()
    connect(organization.owner, new_business()).raise_for_status()

    answer = connect(organization.owner, new_business())

    assert (answer.status_code, code_of(answer)) == (409, "already_connected")


def test_the_same_call_repeated_changes_nothing_but_the_credentials(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business], database: Connection
) -> None:
    organization, business = new_organization(), new_business()
    first = connect(organization.owner, business).json()["integration"]

    again = connect(organization.owner, business).json()["integration"]

    assert again["id"] == first["id"]
    assert again["webhook"] == first["webhook"]


def test_an_agent_sees_the_state_but_no_verify_token(
    new_organization: Callable[..., Organization],
    new_user: Callable[[], User],
    new_business: Callable[..., Business],
) -> None:
    organization, agent = new_organization(), new_user()
    organization.take_in(agent)
    connect(organization.owner, new_business()).raise_for_status()

    answer = agent.functions.get(f"{OAUTH}/status", params={"organization_id": organization.id})

    assert answer.json()["role"] == "agent"
    assert answer.json()["integration"]["status"] == "connected"
    assert answer.json()["integration"]["webhook"]["verify_token"] is None


def test_who_never_connected_has_no_integration(new_organization: Callable[..., Organization]) -> None:
    answer = new_organization().owner.functions.get(f"{OAUTH}/status")

    assert (answer.status_code, answer.json()["integration"]) == (200, None)


def test_a_user_of_two_organizations_must_say_which(
    new_user: Callable[[], User], new_organization: Callable[..., Organization]
) -> None:
    user = new_user()
    new_organization(user)
    new_organization(user)

    answer = user.functions.get(f"{OAUTH}/status")

    assert (answer.status_code, code_of(answer)) == (400, "organization_required")


def test_the_organization_may_stand_in_the_query_and_a_body_may_be_left_out(
    new_user: Callable[[], User],
    new_organization: Callable[..., Organization],
    new_business: Callable[..., Business],
) -> None:
    user = new_user()
    first, _second = new_organization(user), new_organization(user)
    query = {"organization_id": first.id}

    connected = user.functions.post(f"{OAUTH}/credentials", params=query, json=new_business().pasted)
    left = user.functions.post(f"{OAUTH}/disconnect", params=query)
    nobody = user.functions.get(f"{OAUTH}/status", params={"organization_id": "no-id"})

    assert connected.json()["organization_id"] == first.id
    assert left.json()["integration"]["status"] == "disconnected"
    assert (nobody.status_code, code_of(nobody)) == (422, "invalid_query")


def test_a_wrong_pin_does_not_forget_the_right_one(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business], simulator: Simulator
) -> None:
    owner, business = new_organization().owner, new_business(registered=False, status="PENDING")
    connect(owner, business).raise_for_status()
    owner.functions.post(f"{OAUTH}/disconnect", json={"deregister": True}).raise_for_status()

    wrong = connect(owner, business, pin="000000")
    again = connect(owner, business)

    assert code_of(wrong) == "pin_required"
    assert again.status_code == 200, again.text


def test_disconnecting_removes_the_subscription_and_the_credentials(
    new_organization: Callable[..., Organization],
    new_business: Callable[..., Business],
    simulator: Simulator,
    database: Connection,
) -> None:
    organization, business = new_organization(), new_business()
    connect(organization.owner, business).raise_for_status()

    answer = organization.owner.functions.post(f"{OAUTH}/disconnect", json={})

    assert answer.json()["integration"]["status"] == "disconnected"
    row = stored(database, organization) or {}
    assert (row["access_token"], row["app_secret"]) == (None, None)
    (waba,) = [waba for waba in simulator.get("/wabas") if waba["id"] == business.waba_id]
    assert waba["subscriptions"] == {}


def test_a_disconnected_number_is_free_for_another_organization(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business]
) -> None:
    first, second, business = new_organization(), new_organization(), new_business()
    connect(first.owner, business).raise_for_status()
    first.owner.functions.post(f"{OAUTH}/disconnect", json={}).raise_for_status()

    answer = connect(second.owner, business)

    assert answer.status_code == 200, answer.text


def test_disconnecting_works_with_a_dead_token(
    new_organization: Callable[..., Organization], new_business: Callable[..., Business], simulator: Simulator
) -> None:
    organization, business = new_organization(), new_business()
    connect(organization.owner, business).raise_for_status()
    simulator.patch(f"/tokens/{business.pasted['access_token']}", is_revoked=True)

    answer = organization.owner.functions.post(f"{OAUTH}/disconnect", json={})

    assert (answer.status_code, answer.json()["integration"]["status"]) == (200, "disconnected")
