"""An owner brings people into the team and lets them go; nobody comes in by another's address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from playwright.sync_api import Page

    from tests.web.conftest import Person, Shop


def test_who_was_invited_comes_in_as_an_agent_and_can_be_let_go(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], new_person: Callable[[], Person]
) -> None:
    shop, agent = new_shop("Panadería Rosa"), new_person()
    owners = visit(shop.owner, "/equipo/")
    owners.get_by_label("Correo de la persona").fill(agent.user.email.upper())
    owners.get_by_role("button", name="Invitar", exact=True).click()
    expect(owners.get_by_text("Invitaciones pendientes")).to_be_visible()

    agents = visit(agent, "/equipo/")
    expect(agents.get_by_role("region", name="Equipo")).to_contain_text(shop.owner.user.email)
    expect(agents.get_by_text("Solo un propietario puede invitar o quitar personas.")).to_be_visible()
    owners.reload()
    expect(owners.get_by_text("Invitaciones pendientes")).to_have_count(0)
    owners.get_by_role("button", name=f"Quitar del equipo: {agent.user.email}").click()
    owners.get_by_role("dialog").get_by_role("button", name="Quitar del equipo").click()
    expect(owners.get_by_text(agent.user.email)).to_have_count(0)
    agents.reload()

    expect(agents.get_by_label("Nombre de la empresa")).to_be_visible()


def test_an_agent_cannot_invite_and_an_address_that_was_not_confirmed_gets_in_nowhere(
    new_shop: Callable[..., Shop],
    new_person: Callable[[], Person],
    database: psycopg.Connection[tuple[Any, ...]],
) -> None:
    shop, stranger = new_shop(), new_person()
    asked = {"organization": shop.organization.id, "address": stranger.user.email}
    refused = stranger.user.rest.post("/rpc/invite_member", json={**asked, "new_role": "owner"})
    assert refused.status_code == 400
    assert refused.json()["details"] == "not_a_member"

    shop.owner.user.rest.post("/rpc/invite_member", json=asked).raise_for_status()
    assert stranger.user.rest.get("/member_invitations").json() == []
    database.execute("update auth.users set email_confirmed_at = null where id = %s", (stranger.user.id,))
    stranger.user.rest.post("/rpc/accept_invitations").raise_for_status()

    assert stranger.user.rest.get("/organizations").json() == []
