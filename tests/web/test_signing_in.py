"""A person comes in: with a new account, with an old one, and never into somebody else's."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.web.conftest import Person


def test_a_new_owner_signs_up_names_the_business_and_sees_what_comes_next(visit: Callable[..., Page]) -> None:
    page = visit(None, "/")
    page.wait_for_url("**/entrar/**")

    page.get_by_role("button", name="Crear cuenta").click()
    page.get_by_label("Correo electrónico").fill(f"{secrets.token_hex(6)}@example.com")
    page.get_by_label("Contraseña").fill(secrets.token_urlsafe(12))
    page.get_by_label("Contraseña").press("Enter")
    page.get_by_label("Nombre de la empresa").fill("Panadería Rosa")
    page.get_by_role("button", name="Continuar").click()

    expect(page.get_by_role("heading", name="Todavía no hay conversaciones")).to_be_visible()
    expect(page.get_by_role("link", name="Conectar un número")).to_be_visible()


def test_a_wrong_password_is_told_in_a_sentence(
    visit: Callable[..., Page], new_person: Callable[[], Person]
) -> None:
    page = visit(None, "/entrar/")

    page.get_by_label("Correo electrónico").fill(new_person().user.email)
    page.get_by_label("Contraseña").fill("not-the-password")
    page.get_by_role("button", name="Entrar").click()

    expect(page.get_by_role("alert")).to_contain_text("El correo o la contraseña no son correctos.")


def test_signing_out_ends_the_session_and_returns_to_the_page_afterwards(
    visit: Callable[..., Page], new_person: Callable[[], Person]
) -> None:
    person = new_person()
    page = visit(person, "/configuracion/")
    page.get_by_label("Nombre de la empresa").fill("Uno")
    page.get_by_role("button", name="Continuar").click()
    page.get_by_role("button", name="Uno").click()
    page.get_by_role("button", name="Cerrar sesión").click()
    page.wait_for_url("**/entrar/**")

    page.get_by_label("Correo electrónico").fill(person.user.email)
    page.get_by_label("Contraseña").fill(person.password)
    page.get_by_role("button", name="Entrar").click()

    page.wait_for_url("**/configuracion/")


def test_english_is_one_press_away_and_stays(visit: Callable[..., Page]) -> None:
    page = visit(None, "/entrar/")

    page.get_by_role("button", name="Switch to English").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.reload()

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_no_other_site_is_gone_to_after_signing_in(
    visit: Callable[..., Page], new_person: Callable[[], Person], dashboard_url: str
) -> None:
    page = visit(new_person(), "/entrar/?next=//elsewhere.example/")

    page.wait_for_url(f"{dashboard_url}/chats/")
