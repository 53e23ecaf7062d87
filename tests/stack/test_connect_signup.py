"""Meta's own dialog, by popup or redirect: what it granted is connected, what a browser claims is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.connecting import (
    OAUTH,
    add_agent,
    code_of,
    fragment_of,
    new_business,
    new_number,
    paste,
    status,
    waba_at_meta,
    walk_through_the_dialog,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import psycopg

    from tests.world import Organization, Simulator, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def owner(new_organization: Callable[..., Organization]) -> User:
    return new_organization().owner


def start(user: User, **fields: Any) -> dict[str, Any]:
    answer = user.functions.post(f"{OAUTH}/start", json=fields)
    assert answer.status_code == 200, answer.text
    begun: dict[str, Any] = answer.json()
    return begun


def sign_up(simulator: Simulator, **fields: Any) -> dict[str, Any]:
    """Do in Meta's dialog what a business does there."""
    done: dict[str, Any] = simulator.post("/signups", phone_number=new_number().digits, **fields)
    return done


def exchange(user: User, state: str, **fields: Any) -> httpx.Response:
    return user.functions.post(f"{OAUTH}/exchange", json={"state": state, **fields})


def claimed(done: dict[str, Any]) -> dict[str, str]:
    """Return what the dialog's window tells the page."""
    data = done["message"]["data"]
    return {name: data[name] for name in ("waba_id", "phone_number_id") if name in data}


def test_an_agent_cannot_begin(
    new_organization: Callable[..., Organization], new_user: Callable[[], User]
) -> None:
    organization = new_organization()
    agent = add_agent(organization, new_user())

    answer = agent.functions.post(f"{OAUTH}/start", json={"organization_id": organization.id})

    assert (answer.status_code, code_of(answer)) == (403, "owner_required")


def test_the_page_gets_all_that_metas_dialog_needs(owner: User, world: World) -> None:
    begun = start(owner)

    assert begun["app_id"] == world.variables["WHATSAPP_APP_ID"]
    options = begun["login_options"]
    assert options["config_id"] == world.variables["WHATSAPP_CONFIG_ID"]
    assert options["response_type"] == "code"
    assert options["override_default_response_type"] is True
    assert "featureType" not in options["extras"]
    extras = start(owner, coexistence=True)["login_options"]["extras"]
    assert extras["featureType"] == "whatsapp_business_app_onboarding"


def test_a_popup_ends_connected(owner: User, simulator: Simulator, world: World) -> None:
    begun, done = start(owner), sign_up(simulator, name="Panadería")

    answer = exchange(owner, begun["state"], code=done["code"], **claimed(done))

    assert answer.status_code == 200, answer.text
    integration = answer.json()["integration"]
    assert (integration["status"], integration["way"]) == ("connected", "embedded_signup")
    assert integration["phone_number_id"] == done["phone_number_id"]
    (number,) = [row for row in simulator.get("/numbers") if row["id"] == done["phone_number_id"]]
    assert (number["status"], len(number["registrations"])) == ("CONNECTED", 1)
    subscriptions = waba_at_meta(simulator, done["waba_id"])["subscriptions"]
    assert list(subscriptions) == [world.variables["WHATSAPP_APP_ID"]]


def test_ids_may_be_left_out_where_they_are_plain(owner: User, simulator: Simulator) -> None:
    begun, done = start(owner), sign_up(simulator)

    answer = exchange(owner, begun["state"], code=done["code"])

    assert answer.json()["integration"]["phone_number_id"] == done["phone_number_id"]


def test_a_number_of_the_phone_app_is_connected_without_registering_and_its_past_is_left_to_the_worker(
    owner: User, simulator: Simulator, database: Connection
) -> None:
    """What came of the question before the number is connected would be nobody's."""
    begun, done = start(owner, coexistence=True), sign_up(simulator, coexistence=True)

    # Such a dialog tells only the account.
    answer = exchange(owner, begun["state"], code=done["code"], waba_id=done["waba_id"])

    integration = answer.json()["integration"]
    assert (integration["status"], integration["is_coexistence"]) == ("connected", True)
    assert integration["throughput"] == 20
    (number,) = [row for row in simulator.get("/numbers") if row["id"] == done["phone_number_id"]]
    assert number["registrations"] == []
    assert number["synced"] == []
    jobs = database.execute(
        "select count(*) from jobs where kind = 'sync_connection' and payload ->> 'integration_id' = %s",
        (integration["id"],),
    ).fetchone()
    assert jobs == (1,)


def test_an_account_with_several_numbers_asks_which(owner: User, simulator: Simulator) -> None:
    begun, done = start(owner), sign_up(simulator)
    second = simulator.post("/numbers", waba_id=done["waba_id"], phone_number=new_number().digits)

    asked = exchange(owner, begun["state"], code=done["code"], waba_id=done["waba_id"])
    answer = exchange(
        owner, begun["state"], code=done["code"], waba_id=done["waba_id"], phone_number_id=second["id"]
    )

    assert (asked.status_code, code_of(asked)) == (409, "number_choice_required")
    assert {each["value"] for each in asked.json()["error"]["details"]} == {
        done["phone_number_id"],
        second["id"],
    }
    assert answer.json()["integration"]["phone_number_id"] == second["id"]


def test_of_several_numbers_the_one_in_the_phone_app_is_meant_by_its_dialog(
    owner: User, simulator: Simulator
) -> None:
    begun, done = start(owner, coexistence=True), sign_up(simulator, coexistence=True)
    simulator.post("/numbers", waba_id=done["waba_id"], phone_number=new_number().digits)

    answer = exchange(owner, begun["state"], code=done["code"], waba_id=done["waba_id"])

    assert answer.json()["integration"]["phone_number_id"] == done["phone_number_id"]


def test_a_number_with_a_pin_of_its_own_asks_for_it_and_goes_on(owner: User, simulator: Simulator) -> None:
    begun, done = start(owner), sign_up(simulator)
    simulator.patch(f"/numbers/{done['phone_number_id']}", pin="246810", is_pin_enabled=True)

    asked = exchange(owner, begun["state"], code=done["code"], **claimed(done))
    answer = exchange(owner, begun["state"], code=done["code"], pin="246810", **claimed(done))

    assert (asked.status_code, code_of(asked)) == (409, "pin_required")
    assert answer.json()["integration"]["status"] == "connected"


def test_a_redirect_ends_connected_for_the_user_who_began(
    owner: User, simulator: Simulator, world: World
) -> None:
    begun = start(owner, flow="redirect", return_path="/ajustes/whatsapp")

    landed = walk_through_the_dialog(begun)
    told = fragment_of(landed)
    answer = exchange(owner, told["whatsapp_state"], ticket=told["whatsapp_ticket"])

    assert landed.headers["location"].startswith(f"{world.variables['DASHBOARD_URL']}/ajustes/whatsapp#")
    assert "code" not in told
    assert answer.status_code == 200, answer.text
    assert answer.json()["integration"]["status"] == "connected"


def test_the_callback_alone_connects_nothing(owner: User) -> None:
    walk_through_the_dialog(start(owner, flow="redirect"))

    assert owner.functions.get(f"{OAUTH}/status").json()["integration"] is None


def test_who_declines_is_sent_back_and_told(owner: User) -> None:
    landed = walk_through_the_dialog(start(owner, flow="redirect"), choice="deny")

    assert fragment_of(landed) == {"whatsapp_error": "cancelled"}


def test_a_code_is_refused_after_thirty_seconds(owner: User, simulator: Simulator) -> None:
    begun, done = start(owner), sign_up(simulator)
    simulator.patch("/settings", oauth_code_lifetime=0)

    answer = exchange(owner, begun["state"], code=done["code"], **claimed(done))
    simulator.patch("/settings", oauth_code_lifetime=30)

    assert (answer.status_code, code_of(answer)) == (400, "dialog_code_spent")


# Attacks


def test_a_state_of_another_user_is_refused(
    owner: User, simulator: Simulator, new_organization: Callable[..., Organization]
) -> None:
    attacker = new_organization().owner
    begun, done = start(owner), sign_up(simulator)

    answer = exchange(attacker, begun["state"], code=done["code"], **claimed(done))

    assert (answer.status_code, code_of(answer)) == (400, "invalid_state")


def test_a_made_up_state_is_refused(owner: User, simulator: Simulator) -> None:
    answer = exchange(owner, "x" * 43, code=sign_up(simulator)["code"])

    assert (answer.status_code, code_of(answer)) == (400, "invalid_state")


def test_a_state_is_good_once(owner: User, simulator: Simulator) -> None:
    begun, done = start(owner), sign_up(simulator)
    exchange(owner, begun["state"], code=done["code"], **claimed(done)).raise_for_status()

    replayed = exchange(owner, begun["state"], code=done["code"], **claimed(done))
    with_new_code = exchange(owner, begun["state"], code=sign_up(simulator)["code"])

    assert [code_of(answer) for answer in (replayed, with_new_code)] == ["invalid_state"] * 2


def test_another_code_cannot_be_slipped_into_a_dialog_that_has_its_own(
    owner: User, simulator: Simulator
) -> None:
    begun, done, attackers = start(owner), sign_up(simulator), sign_up(simulator)
    simulator.patch(f"/numbers/{done['phone_number_id']}", pin="246810", is_pin_enabled=True)
    assert code_of(exchange(owner, begun["state"], code=done["code"], **claimed(done))) == "pin_required"

    answer = exchange(owner, begun["state"], code=attackers["code"], **claimed(attackers))

    assert code_of(answer) == "invalid_state"


def test_a_code_is_good_once(
    owner: User, simulator: Simulator, new_organization: Callable[..., Organization]
) -> None:
    done = sign_up(simulator)
    exchange(owner, start(owner)["state"], code=done["code"], **claimed(done)).raise_for_status()
    attacker = new_organization().owner

    answer = exchange(attacker, start(attacker)["state"], code=done["code"], **claimed(done))

    assert (answer.status_code, code_of(answer)) == (400, "dialog_code_spent")


def test_a_state_ends_after_ten_minutes(owner: User, simulator: Simulator, database: Connection) -> None:
    begun, done = start(owner), sign_up(simulator)
    database.execute("update oauth_states set expires_at = expires_at - interval '601 seconds'")

    answer = exchange(owner, begun["state"], code=done["code"], **claimed(done))

    assert (answer.status_code, code_of(answer)) == (400, "invalid_state")


@pytest.mark.parametrize("swapped", ["waba_id", "phone_number_id"])
def test_ids_that_the_token_was_not_granted_are_refused(
    owner: User, simulator: Simulator, swapped: str
) -> None:
    begun, done, victim = start(owner), sign_up(simulator), sign_up(simulator)
    ids = {**claimed(done), swapped: victim[swapped]}

    answer = exchange(owner, begun["state"], code=done["code"], **ids)

    assert (answer.status_code, code_of(answer)) == (422, "credentials_refused")
    assert answer.json()["error"]["details"][0]["field"] == swapped


def test_the_organization_of_another_cannot_be_named(
    owner: User, simulator: Simulator, new_organization: Callable[..., Organization]
) -> None:
    begun, done, other = start(owner), sign_up(simulator), new_organization()

    started = owner.functions.post(f"{OAUTH}/start", json={"organization_id": other.id})
    answer = exchange(owner, begun["state"], code=done["code"], organization_id=other.id, **claimed(done))

    assert code_of(started) == "not_a_member"
    assert code_of(answer) == "invalid_state"


def test_who_is_no_owner_any_more_cannot_finish(
    new_organization: Callable[..., Organization],
    new_user: Callable[[], User],
    simulator: Simulator,
    database: Connection,
) -> None:
    organization, second = new_organization(), new_user()
    organization.take_in(second, "owner")
    begun, done = start(second, organization_id=organization.id), sign_up(simulator)
    database.execute("update organization_members set role = 'agent' where user_id = %s", (second.id,))

    answer = exchange(second, begun["state"], code=done["code"], **claimed(done))

    assert code_of(answer) == "owner_required"


def test_a_dialog_that_a_victim_was_talked_into_connects_nothing(
    owner: User, simulator: Simulator, new_organization: Callable[..., Organization]
) -> None:
    """The attacker begins, the victim consents: only the victim's browser gets the ticket."""
    attacker, victim = owner, new_organization().owner
    begun = start(attacker, flow="redirect")

    told = fragment_of(walk_through_the_dialog(begun))
    by_attacker = exchange(attacker, begun["state"], ticket="a" * 43)
    by_attacker_without = exchange(attacker, begun["state"])
    by_victim = exchange(victim, told["whatsapp_state"], ticket=told["whatsapp_ticket"])

    assert [code_of(each) for each in (by_attacker, by_attacker_without, by_victim)] == ["invalid_state"] * 3


def test_a_callback_with_a_foreign_state_exchanges_nothing(world: World, simulator: Simulator) -> None:
    done = sign_up(simulator, redirect_uri=f"{world.functions_url}{OAUTH}/callback")

    landed = world.functions.get(f"{OAUTH}/callback", params={"code": done["code"], "state": "x" * 43})

    assert fragment_of(landed) == {"whatsapp_error": "invalid_state"}


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nLocation: x", "ajustes", "/x#y"],
)
def test_the_callback_sends_nobody_elsewhere(owner: User, path: str) -> None:
    answer = owner.functions.post(f"{OAUTH}/start", json={"flow": "redirect", "return_path": path})

    assert (answer.status_code, code_of(answer)) == (422, "invalid_body")


def test_a_query_of_the_callback_cannot_change_where_it_leads(world: World) -> None:
    landed = world.functions.get(
        f"{OAUTH}/callback",
        params={"error": "x", "state": "y", "redirect_uri": "https://evil.example", "next": "//evil.example"},
    )

    assert landed.headers["location"].startswith(f"{world.variables['DASHBOARD_URL']}/#")


def test_a_page_from_elsewhere_may_not_read_the_answers(world: World) -> None:
    answer = world.functions.options(
        f"{OAUTH}/credentials",
        headers={
            "origin": "https://evil.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization",
        },
    )

    assert "access-control-allow-origin" not in answer.headers


def test_a_number_that_is_taken_is_not_connected_by_the_dialog_either(
    owner: User, simulator: Simulator, new_organization: Callable[..., Organization]
) -> None:
    other = new_organization().owner
    begun, done = start(owner), sign_up(simulator)
    exchange(owner, begun["state"], code=done["code"], **claimed(done)).raise_for_status()
    again = simulator.post("/oauth/codes", waba_ids=[done["waba_id"]])

    answer = exchange(other, start(other)["state"], code=again["value"], **claimed(done))

    assert (answer.status_code, code_of(answer)) == (409, "number_taken")


def test_the_business_token_is_in_no_table_in_the_clear(
    owner: User, simulator: Simulator, database: Connection
) -> None:
    begun, done = start(owner), sign_up(simulator)
    exchange(owner, begun["state"], code=done["code"], **claimed(done)).raise_for_status()

    tokens = [row["value"] for row in simulator.get("/tokens") if row["waba_ids"] == [done["waba_id"]]]
    rows = database.execute(
        "select to_jsonb(i)::text from whatsapp_integrations i"
        " union all select to_jsonb(s)::text from oauth_states s"
    ).fetchall()

    assert len(tokens) == 1
    assert not any(tokens[0] in row[0] for row in rows)
    assert not any(begun["state"] in row[0] for row in rows)


def test_pasting_a_number_that_the_dialog_connected_keeps_one_connection(
    owner: User, simulator: Simulator
) -> None:
    business = new_business(simulator, own_app=False)
    paste(owner, business).raise_for_status()
    code = simulator.post("/oauth/codes", waba_ids=[business.waba_id])["value"]

    answer = exchange(
        owner,
        start(owner)["state"],
        code=code,
        waba_id=business.waba_id,
        phone_number_id=business.phone_number_id,
    )

    assert answer.json()["integration"]["way"] == "embedded_signup"
    assert status(owner)["status"] == "connected"
