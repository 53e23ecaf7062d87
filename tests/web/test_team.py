"""An owner brings people into the team and lets them go; nobody is brought in unasked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.web.conftest import Person, Shop
    from tests.world import World


def test_who_was_invited_says_yes_comes_in_as_an_agent_and_can_be_let_go(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], new_person: Callable[[], Person]
) -> None:
    shop, agent = new_shop("Panadería Rosa"), new_person()
    owners = visit(shop.owner, "/equipo/")
    owners.get_by_label("Correo de la persona").fill(agent.user.email.upper())
    owners.get_by_role("button", name="Invitar", exact=True).click()
    expect(owners.get_by_text("Invitaciones pendientes")).to_be_visible()

    agents = visit(agent, "/equipo/")
    asked = agents.get_by_role("region", name="Te invitaron a un equipo")
    expect(asked).to_contain_text("Panadería Rosa")
    expect(asked).to_contain_text(f"Te invita {shop.owner.user.email}")
    agents.get_by_role("button", name="Aceptar: Panadería Rosa").click()
    expect(agents.get_by_role("region", name="Equipo")).to_contain_text(shop.owner.user.email)
    expect(agents.get_by_text("Solo un propietario puede invitar o quitar personas.")).to_be_visible()
    owners.reload()
    expect(owners.get_by_role("region", name="Equipo")).to_contain_text(agent.user.email)
    expect(owners.get_by_text("Invitaciones pendientes")).to_have_count(0)
    owners.get_by_role("button", name=f"Quitar del equipo: {agent.user.email}").click()
    owners.get_by_role("dialog").get_by_role("button", name="Quitar del equipo").click()
    expect(owners.get_by_text(agent.user.email)).to_have_count(0)
    agents.reload()

    expect(agents.get_by_label("Nombre de la empresa")).to_be_visible()


def test_nobody_lands_in_a_team_that_invites_them_and_who_came_can_leave(
    visit: Callable[..., Page], new_person: Callable[[], Person], world: World
) -> None:
    mine, theirs, person = new_person(), new_person(), new_person()
    world.new_organization(person.user, name="Panadería Rosa")
    other = world.new_organization(theirs.user, name="Panaderia Rosa")
    unwanted = world.new_organization(mine.user, name="Desconocidos")
    for organization in (other, unwanted):
        asked = {"organization": organization.id, "address": person.user.email, "new_role": "owner"}
        organization.owner.rest.post("/rpc/invite_member", json=asked).raise_for_status()

    page = visit(person, "/configuracion/")
    expect(page.get_by_role("button", name="Panadería Rosa")).to_be_visible()
    page.get_by_role("link", name="2 Te invitaron a un equipo").click()
    page.get_by_role("button", name="Rechazar: Desconocidos").click()
    expect(page.get_by_text("Desconocidos")).to_have_count(0)
    expect(page.get_by_role("button", name="Salir del equipo")).to_have_count(0)
    page.get_by_role("button", name="Aceptar: Panaderia Rosa").click()
    expect(page.get_by_text("Te invitaron a un equipo")).to_have_count(0)
    page.get_by_role("button", name="Panadería Rosa").click()
    page.get_by_label("Empresa").select_option("Panaderia Rosa")
    page.get_by_role("button", name="Salir del equipo").click()
    leaving = page.get_by_role("dialog", name="Salir del equipo")
    expect(leaving).to_contain_text("Panaderia Rosa")
    leaving.get_by_role("button", name="Salir del equipo").click()

    expect(page.get_by_text(theirs.user.email)).to_have_count(0)
    expect(page.get_by_role("button", name="Panadería Rosa")).to_be_visible()
    assert [row["name"] for row in person.user.rest.get("/organizations").json()] == ["Panadería Rosa"]


def test_a_stranger_invites_nobody_and_sees_no_invitation(
    new_shop: Callable[..., Shop], new_person: Callable[[], Person]
) -> None:
    shop, stranger = new_shop(), new_person()
    asked = {"organization": shop.organization.id, "address": stranger.user.email}
    refused = stranger.user.rest.post("/rpc/invite_member", json={**asked, "new_role": "owner"})

    shop.owner.user.rest.post("/rpc/invite_member", json=asked).raise_for_status()

    assert (refused.status_code, refused.json()["details"]) == (400, "not_a_member")
    assert stranger.user.rest.get("/member_invitations").json() == []
