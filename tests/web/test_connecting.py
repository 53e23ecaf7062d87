"""An owner connects a number in each way, meets the common errors, and lets the number go."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.connecting import add_agent, new_business, new_number, walk_through_the_dialog
from tests.web.steps import type_in

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from playwright.sync_api import Page

    from tests.connecting import Business
    from tests.web.conftest import Person, Shop
    from tests.world import Simulator, World

    Connection = psycopg.Connection[tuple[Any, ...]]

LABELS = {
    "phone_number_id": "Identificador del número de teléfono",
    "business_account_id": "Identificador de la cuenta de WhatsApp Business",
    "access_token": "Token de acceso",
    "app_id": "Identificador de la app",
    "app_secret": "Clave secreta de la app",
}
CONNECTED = re.compile("^Conectado$")


def paste(page: Page, business: Business, **changed: str) -> None:
    for name, text in {**business.pasted, **changed}.items():
        page.get_by_label(LABELS[name], exact=True).fill(text)
    page.get_by_role("button", name="Comprobar y conectar").click()


def test_own_app_a_wrong_value_is_named_then_it_connects_and_waits_for_the_first_event(
    visit: Callable[..., Page], new_person: Callable[[], Person], world: World, simulator: Simulator
) -> None:
    owner, business = new_person(), new_business(simulator)
    world.new_organization(owner.user)
    page = visit(owner, "/configuracion/")
    page.get_by_role("button", name="Tengo mi propia app de Meta").click()

    page.get_by_role("button", name="Comprobar y conectar").click()
    expect(page.get_by_text("Este dato hace falta.")).to_have_count(5)
    paste(page, business, access_token="EAAnot-a-token")
    expect(page.get_by_label("Token de acceso", exact=True)).to_have_attribute("aria-invalid", "true")
    paste(page, business)

    expect(page.get_by_text(CONNECTED)).to_be_visible()
    expect(page.get_by_text("Esperando el primer evento de Meta")).to_be_visible()
    url = page.get_by_role("textbox", name="URL de devolución de llamada").input_value()
    token = page.get_by_role("textbox", name="Token de verificación").input_value()
    simulator.patch(f"/apps/{business.pasted['app_id']}", callback_url=url, verify_token=token)
    simulator.write(business.phone_number_id, "hola")
    expect(page.get_by_text("Recibiendo mensajes")).to_be_visible()
    assert business.pasted["app_secret"] not in page.content()
    assert business.pasted["access_token"] not in page.content()


def test_my_number_a_code_is_asked_for_a_wrong_one_counted_and_the_right_one_connects(
    visit: Callable[..., Page], new_person: Callable[[], Person], world: World, simulator: Simulator
) -> None:
    owner, number = new_person(), new_number()
    world.new_organization(owner.user)
    page = visit(owner, "/configuracion/")
    page.get_by_role("button", name="Usar mi número").click()

    page.get_by_label("País").select_option("US")
    page.get_by_label("Número de teléfono").fill(number.digits[1:])
    page.get_by_role("button", name="Enviar código").click()
    code = page.get_by_label("Código de 6 dígitos")
    expect(page.get_by_text("Te quedan 3 intentos.")).to_be_visible()
    (sent,) = [row for row in simulator.get("/codes") if row["phone_number"] == number.digits]
    code.fill("000000" if sent["code"] != "000000" else "111111")
    page.get_by_role("button", name="Verificar y conectar").click()
    expect(page.get_by_text("El código no es correcto.")).to_be_visible()
    expect(page.get_by_text("Te quedan 2 intentos.").first).to_be_visible()
    expect(page.get_by_text(re.compile("Podrás pedir otro en"))).to_be_visible()
    # A closed window or a reload loses nothing.
    page.reload()
    page.get_by_label("Código de 6 dígitos").fill(sent["code"])
    page.get_by_role("button", name="Verificar y conectar").click()

    expect(page.get_by_text(CONNECTED)).to_be_visible()
    page.get_by_role("button", name="Desconectar número").click()
    page.get_by_role("button", name="Sí, desconectar").click()
    page.get_by_role("button", name="Volver a conectar").click()
    expect(page.get_by_text(CONNECTED)).to_be_visible()


def test_a_number_in_use_on_whatsapp_is_told_with_its_way_out(
    visit: Callable[..., Page], new_person: Callable[[], Person], world: World, simulator: Simulator
) -> None:
    owner = new_person()
    world.new_organization(owner.user)
    taken = new_number()
    simulator.new_business(name="Otra", phone_number=taken.digits)
    page = visit(owner, "/configuracion/")
    page.get_by_role("button", name="Usar mi número").click()

    page.get_by_label("País").select_option("US")
    page.get_by_label("Número de teléfono").fill(taken.digits[1:])
    page.get_by_role("button", name="Enviar código").click()

    expect(page.get_by_role("alert")).to_contain_text("Eliminar mi cuenta")


def test_what_is_no_number_is_told_at_its_field(
    visit: Callable[..., Page], new_person: Callable[[], Person], world: World
) -> None:
    owner = new_person()
    world.new_organization(owner.user)
    page = visit(owner, "/configuracion/")
    page.get_by_role("button", name="Usar mi número").click()

    page.get_by_label("Número de teléfono").fill("12")
    page.get_by_role("button", name="Enviar código").click()

    expect(page.get_by_label("Número de teléfono")).to_have_attribute("aria-invalid", "true")


def test_facebook_the_dialog_is_gone_through_and_the_number_connected(
    visit: Callable[..., Page], new_person: Callable[[], Person], world: World
) -> None:
    owner = new_person()
    world.new_organization(owner.user)
    page = visit(owner, "/configuracion/")
    page.get_by_role("button", name="Entrar con Facebook").click()

    page.get_by_role("button", name="Ir a Facebook").click()
    page.wait_for_url("**/dialog/oauth**")
    page.locator("[name=phone_number]").fill(new_number().digits)
    page.locator("[value=allow]").click()

    page.wait_for_url("**/configuracion/")
    expect(page.get_by_text(CONNECTED)).to_be_visible()
    assert "ticket" not in page.url


def test_facebook_a_dialog_that_this_browser_did_not_begin_connects_nothing_unasked(
    visit: Callable[..., Page], new_person: Callable[[], Person], world: World, database: Connection
) -> None:
    """Somebody was signed in as another and talked into the other's dialog: they see whose it would become."""
    owner = new_person()
    organization = world.new_organization(owner.user, name="Panadería Rosa")
    asked = {"flow": "redirect", "return_path": "/configuracion/"}
    begun = owner.user.functions.post("/whatsapp-oauth/start", json=asked).json()
    returned = walk_through_the_dialog(begun).headers["location"]
    steps = "select count(*) from whatsapp_integrations where organization_id = %s"

    page = visit(owner, f"/configuracion/#{urlsplit(returned).fragment}")
    question = page.get_by_role("group", name="¿Conectar este número a Panadería Rosa?")
    expect(question).to_contain_text(owner.user.email)
    assert database.execute(steps, (organization.id,)).fetchone() == (0,)
    question.get_by_role("button", name="Cancelar").click()
    expect(page.get_by_role("heading", name="¿Cómo quieres conectar tu número?")).to_be_visible()
    assert database.execute(steps, (organization.id,)).fetchone() == (0,)

    page = visit(owner, f"/configuracion/#{urlsplit(returned).fragment}")
    page.get_by_role("button", name="Conectar el número").click()
    expect(page.get_by_text(CONNECTED)).to_be_visible()


def test_facebook_a_closed_dialog_changes_nothing_and_says_so(
    visit: Callable[..., Page], new_person: Callable[[], Person], world: World, dashboard_url: str
) -> None:
    owner = new_person()
    world.new_organization(owner.user)
    page = visit(owner, "/#whatsapp_error=cancelled")

    page.wait_for_url(f"{dashboard_url}/configuracion/")
    expect(page.get_by_text("Cerraste la ventana de Facebook antes de terminar.")).to_be_visible()


def test_disconnecting_says_what_it_means_and_reconnecting_is_offered(
    visit: Callable[..., Page], new_shop: Callable[..., Shop]
) -> None:
    page = visit(new_shop().owner, "/configuracion/")

    page.get_by_role("button", name="Desconectar número").click()
    expect(page.get_by_role("dialog")).to_contain_text("Tus chats y tu historial se quedan aquí.")
    page.get_by_role("button", name="Sí, desconectar").click()

    expect(page.get_by_text("Este número está desconectado")).to_be_visible()
    expect(page.get_by_role("button", name="Usar mi número")).to_be_visible()


def test_the_doctor_reports_each_link_of_the_chain(
    visit: Callable[..., Page], new_shop: Callable[..., Shop]
) -> None:
    page = visit(new_shop().owner, "/configuracion/")

    page.get_by_role("button", name="Revisar ahora").click()

    report = page.get_by_role("region", name="Diagnóstico")
    expect(report.get_by_text("Token de acceso")).to_be_visible()
    expect(report.get_by_text("Bien").first).to_be_visible()


def test_an_agent_sees_the_connection_and_cannot_touch_it(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], new_person: Callable[[], Person]
) -> None:
    shop, agent = new_shop(), new_person()
    add_agent(shop.organization, agent.user)
    page = visit(agent, "/configuracion/")

    expect(page.get_by_text("Solo un propietario de la empresa puede cambiar la conexión.")).to_be_visible()
    expect(page.get_by_text(CONNECTED)).to_be_visible()
    expect(page.get_by_role("button", name="Desconectar número")).to_have_count(0)
    expect(page.get_by_text("Identificadores")).to_have_count(0)


def test_a_token_that_dies_in_use_is_told_and_sending_stops(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], simulator: Simulator
) -> None:
    shop = new_shop()
    simulator.write(shop.phone_number_id, "¿Hola?")
    simulator.settle()
    page = visit(shop.owner)
    page.get_by_role("link", name=re.compile("¿Hola\\?")).click()
    box = type_in(page, "Buenas")
    simulator.post("/faults", edge="messages", object_id=shop.phone_number_id, code=190, subcode=463, times=1)

    box.press("Enter")
    expect(page.get_by_text("No se envió").first).to_be_visible()
    page.get_by_role("link", name="Configuración").click()

    expect(page.get_by_text("La conexión necesita tu ayuda")).to_be_visible()
    expect(page.get_by_role("button", name="Entrar con Facebook")).to_be_visible()
