"""A person comes in: with a new account, with an old one, and never into somebody else's."""

from __future__ import annotations

import json
import re
import secrets
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.web.conftest import SESSION_KEY
from tests.web.steps import address_with_session_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from local.stack import Stack
    from tests.web.conftest import Person
    from tests.world import World


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
    page.get_by_role("button", name="Entrar", exact=True).click()

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
    page.get_by_role("button", name="Entrar", exact=True).click()

    page.wait_for_url("**/configuracion/")


def link_sent_to(stack: Stack, address: str) -> str:
    """Return the link of the newest mail to somebody; the local stack writes its mails into a folder."""
    mails = sorted((stack.folder / "run" / "mail").glob("*.txt"))
    words = [text for mail in mails if f"To: {address}\n" in (text := mail.read_text("utf-8"))]
    (link,) = re.findall(r"https?://\S+", words[-1])
    return str(link)


@pytest.fixture
def _mailbox(stack: Stack) -> None:
    if not (stack.folder / "run").is_dir():
        pytest.skip("another Supabase sends real mails")


@pytest.mark.usefixtures("_mailbox")
def test_a_forgotten_password_is_replaced_by_the_link_in_a_mail(
    visit: Callable[..., Page], new_person: Callable[[], Person], stack: Stack
) -> None:
    person = new_person()
    page = visit(None, "/entrar/")
    page.get_by_role("button", name="Olvidé mi contraseña").click()
    page.get_by_label("Correo electrónico").fill(person.user.email)
    page.get_by_role("button", name="Enviarme un enlace").click()
    expect(page.get_by_role("status")).to_contain_text("Si esa cuenta existe, te enviamos un enlace.")

    link = link_sent_to(stack, person.user.email)
    page.goto(link)
    expect(page.get_by_role("heading", name="Guardar contraseña")).to_be_visible()
    password = secrets.token_urlsafe(12)
    page.get_by_label("Contraseña nueva").fill(password)
    page.get_by_role("button", name="Guardar contraseña").click()
    page.wait_for_url("**/chats/**")
    other = visit(None, "/entrar/")
    other.get_by_label("Correo electrónico").fill(person.user.email)
    other.get_by_label("Contraseña").fill(password)
    other.get_by_role("button", name="Entrar", exact=True).click()
    other.wait_for_url("**/chats/**")

    other = visit(None, "/icon.svg")
    other.goto(link)
    expect(other.get_by_role("alert")).to_contain_text("El enlace venció o ya se usó. Pide otro.")


@pytest.mark.usefixtures("_mailbox")
def test_a_link_in_a_mail_signs_in_without_a_password_and_tells_nobody_who_has_an_account(
    visit: Callable[..., Page], new_person: Callable[[], Person], stack: Stack
) -> None:
    person = new_person()
    page = visit(None, "/configuracion/")
    for address in (f"{secrets.token_hex(6)}@example.com", person.user.email):
        page.wait_for_url("**/entrar/**")
        page.get_by_role("button", name="Entrar con un enlace").click()
        page.get_by_label("Correo electrónico").fill(address)
        page.get_by_role("button", name="Enviarme un enlace").click()
        expect(page.get_by_role("status")).to_contain_text("Si esa cuenta existe, te enviamos un enlace.")
        page.reload()

    page.goto(link_sent_to(stack, person.user.email))

    # Where the person wanted to go; their first question there.
    page.wait_for_url("**/configuracion/")
    expect(page.get_by_label("Nombre de la empresa")).to_be_visible()


def who_is_signed_in(page: Page) -> str | None:
    kept = page.evaluate(f"localStorage.getItem('{SESSION_KEY}')")
    return str(json.loads(kept)["user"]["id"]) if kept else None


@pytest.mark.parametrize("path", ["/configuracion/", "/chats/", "/equipo/"])
def test_a_session_in_an_address_is_nothing_to_any_other_page(
    visit: Callable[..., Page], new_person: Callable[[], Person], path: str
) -> None:
    victim, attacker = new_person(), new_person()
    fragment = address_with_session_of(attacker)

    signed_in = visit(victim, f"{path}{fragment}")
    signed_out = visit(None, f"{path}{fragment}")

    expect(signed_in.get_by_text(victim.user.email)).to_be_visible()
    assert who_is_signed_in(signed_in) == victim.user.id
    expect(signed_out.get_by_label("Contraseña")).to_be_visible()
    assert who_is_signed_in(signed_out) is None


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_a_link_that_this_browser_did_not_ask_for_signs_in_only_who_says_so(
    visit: Callable[..., Page], new_person: Callable[[], Person], dashboard_url: str, is_signed_in: bool
) -> None:
    victim, attacker = new_person(), new_person()
    before = victim.user.id if is_signed_in else None
    fragment = address_with_session_of(attacker)

    page = visit(victim if is_signed_in else None, f"/entrar/{fragment}")
    expect(page.get_by_role("heading", name=f"¿Continuar como {attacker.user.email}?")).to_be_visible()
    assert who_is_signed_in(page) == before
    assert "access_token" not in page.url
    page.get_by_role("button", name="No es mi cuenta").click()
    expect(page.get_by_label("Nombre de la empresa" if is_signed_in else "Contraseña")).to_be_visible()
    assert who_is_signed_in(page) == before

    other_device = visit(None, f"/entrar/?next=/equipo/{fragment}")
    other_device.get_by_role("button", name="Continuar", exact=True).click()
    other_device.wait_for_url(f"{dashboard_url}/equipo/")
    assert who_is_signed_in(other_device) == attacker.user.id


@pytest.mark.parametrize("status, sentence", [(403, "El enlace venció"), (503, "No se pudo llegar")])
def test_a_link_that_cannot_be_opened_says_why(
    visit: Callable[..., Page], new_person: Callable[[], Person], status: int, sentence: str
) -> None:
    page = visit(None, "/icon.svg")
    page.route("**/auth/v1/user", lambda route: route.fulfill(status=status, json={"message": "no"}))

    page.goto(page.url.replace("/icon.svg", f"/entrar/{address_with_session_of(new_person())}"))

    expect(page.get_by_role("alert")).to_contain_text(sentence)
    expect(page.get_by_label("Contraseña")).to_be_visible()


def test_what_meta_sent_back_reaches_no_server_while_somebody_signs_in(
    visit: Callable[..., Page], new_person: Callable[[], Person], world: World
) -> None:
    person = new_person()
    world.new_organization(person.user)
    page = visit(None, "/icon.svg")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(page.url.replace("/icon.svg", "/configuracion/#whatsapp_state=begun&whatsapp_ticket=secret"))
    page.wait_for_url("**/entrar/**")
    page.get_by_label("Correo electrónico").fill(person.user.email)
    page.get_by_label("Contraseña").fill(person.password)
    page.get_by_role("button", name="Entrar", exact=True).click()

    page.wait_for_url("**/configuracion/")
    # What was brought is still there: the page asks what to do with it.
    expect(page.get_by_role("heading", name="Entrar con Facebook")).to_be_visible()
    assert [url for url in asked if "secret" in url.partition("#")[0]] == []


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
