"""The doctor finds each broken link as that cause, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.connecting import META_API, Business, connect_number, new_business, paste

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.world import Organization, Simulator, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def owner(new_organization: Callable[..., Organization]) -> User:
    return new_organization().owner


@pytest.fixture
def business(owner: User, simulator: Simulator) -> Business:
    """A business of the platform's app whose chain is whole, up to an event that arrived."""
    business = new_business(simulator, own_app=False)
    paste(owner, business).raise_for_status()
    simulator.write(business.phone_number_id, "hola")
    simulator.settle()
    return business


def examine(owner: User, language: str = "en") -> dict[str, Any]:
    answer = owner.functions.get(f"{META_API}/diagnostics", headers={"accept-language": language})
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    return report


def broken(report: dict[str, Any]) -> dict[str, str]:
    """Return the links that do not hold, with their causes."""
    return {
        check["id"]: check["cause"] for check in report["checks"] if check["status"] in ("failed", "warning")
    }


def test_a_whole_chain_is_found_whole(owner: User, business: Business) -> None:
    report = examine(owner)

    assert broken(report) == {}
    assert report["status"] == "ok"
    assert {check["status"] for check in report["checks"]} == {"ok"}


def test_who_never_connected_is_told_so(owner: User) -> None:
    assert examine(owner)["cause"] == "not_connected"


def test_a_connection_that_waits_for_its_first_event_is_no_fault_at_first(
    owner: User, simulator: Simulator, database: Connection
) -> None:
    business = new_business(simulator, own_app=False)
    paste(owner, business).raise_for_status()

    at_first = examine(owner)
    database.execute(
        "update whatsapp_integrations set connected_at = now() - interval '1 hour'"
        " where phone_number_id = %s",
        (business.phone_number_id,),
    )
    later = examine(owner)

    assert (at_first["status"], later["status"]) == ("ok", "warning")
    assert broken(later) == {"events": "no_event_yet"}


def token(simulator: Simulator, business: Business, **change: Any) -> None:
    simulator.patch(f"/tokens/{business.pasted['access_token']}", **change)


def number(simulator: Simulator, business: Business, **change: Any) -> None:
    simulator.patch(f"/numbers/{business.phone_number_id}", **change)


def waba(simulator: Simulator, business: Business, **change: Any) -> None:
    simulator.patch(f"/wabas/{business.waba_id}", **change)


def remove_number(simulator: Simulator, business: Business) -> None:
    simulator.client.delete(f"/numbers/{business.phone_number_id}").raise_for_status()


FAULTS: dict[str, tuple[Callable[[Simulator, Business], None], dict[str, str]]] = {
    "token_expired": (lambda s, b: token(s, b, expires_in=0), {"token": "token_expired"}),
    "token_revoked": (lambda s, b: token(s, b, is_revoked=True), {"token": "token_revoked"}),
    "token_ends_soon": (lambda s, b: token(s, b, expires_in=86400), {"token": "token_ends_soon"}),
    "scopes_missing": (
        lambda s, b: token(s, b, scopes=["whatsapp_business_management"]),
        {"scopes": "scopes_missing"},
    ),
    "account_not_accessible": (
        lambda s, b: token(s, b, waba_ids=["1"]),
        {"account": "account_not_accessible"},
    ),
    "number_gone": (
        remove_number,
        {"number": "number_gone"},
    ),
    "number_not_registered": (
        lambda s, b: number(s, b, status="DISCONNECTED"),
        {"number": "number_not_registered"},
    ),
    "number_not_verified": (
        lambda s, b: number(s, b, status="PENDING", code_verification_status="NOT_VERIFIED"),
        {"number": "number_not_verified"},
    ),
    "number_restricted": (lambda s, b: number(s, b, status="RESTRICTED"), {"number": "number_restricted"}),
    "health_limited": (
        lambda s, b: number(s, b, name_status="PENDING_REVIEW"),
        {"health": "health_limited"},
    ),
    "health_blocked": (lambda s, b: waba(s, b, status="RESTRICTED"), {"health": "health_blocked"}),
    "not_subscribed": (lambda s, b: waba(s, b, subscriptions={}), {"subscription": "not_subscribed"}),
    "callback_overridden": (
        lambda s, b: number(s, b, overrides={b.pasted["app_id"]: "https://elsewhere.example/hook"}),
        {"subscription": "callback_overridden"},
    ),
}


@pytest.mark.parametrize("break_it, expected", FAULTS.values(), ids=FAULTS)
def test_a_fault_at_meta_is_found_as_its_cause(
    owner: User,
    business: Business,
    simulator: Simulator,
    break_it: Callable[[Simulator, Business], None],
    expected: dict[str, str],
) -> None:
    break_it(simulator, business)

    report = examine(owner)

    assert broken(report) == expected
    (cause,) = expected.values()
    assert report["cause"] == cause


def test_an_own_app_whose_webhook_points_elsewhere_is_found(owner: User, simulator: Simulator) -> None:
    business = new_business(simulator)
    integration = paste(owner, business).json()["integration"]

    before = examine(owner)
    simulator.patch(
        f"/apps/{business.pasted['app_id']}",
        callback_url=integration["webhook"]["url"],
        verify_token=integration["webhook"]["verify_token"],
    )
    after = examine(owner)
    simulator.patch(f"/apps/{business.pasted['app_id']}", fields=["account_update"])
    without_messages = examine(owner)

    assert broken(before) == {"subscription": "callback_elsewhere"}
    assert broken(after) == {}
    assert broken(without_messages) == {"subscription": "messages_not_chosen"}


def test_a_changed_app_secret_is_found(owner: User, simulator: Simulator) -> None:
    business = new_business(simulator)
    paste(owner, business).raise_for_status()
    simulator.patch(f"/apps/{business.pasted['app_id']}", secret="e" * 32)

    assert broken(examine(owner)) == {"app": "app_secret_wrong"}


def test_credentials_that_no_key_opens_are_found(
    owner: User, business: Business, database: Connection
) -> None:
    database.execute(
        "update whatsapp_integrations set access_token = 'v1.gone.' || split_part(access_token, '.', 3)"
        " where phone_number_id = %s",
        (business.phone_number_id,),
    )

    assert broken(examine(owner)) == {"keys": "keys_wrong"}


def test_silence_is_found_after_a_week(owner: User, business: Business, database: Connection) -> None:
    database.execute(
        "update whatsapp_integrations set last_event_at = now() - interval '8 days'"
        " where phone_number_id = %s",
        (business.phone_number_id,),
    )

    assert broken(examine(owner)) == {"events": "events_stale"}


def test_causes_are_told_in_spanish(owner: User, business: Business, simulator: Simulator) -> None:
    token(simulator, business, expires_in=0)

    report = examine(owner, "es")

    (check,) = [check for check in report["checks"] if check["status"] == "failed"]
    assert "caducó" in check["message"]
    assert "Reconecta" in check["fix"]


def test_a_number_in_the_platforms_account_is_examined_too(
    owner: User, simulator: Simulator, world: World
) -> None:
    connect_number(owner, simulator)

    assert broken(examine(owner)) == {}
