"""What goes wrong most while a number is connected: each is told in a sentence, with its way out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.connecting import (
    at_meta,
    connect_number,
    let_time_pass,
    new_business,
    new_number,
    paste,
    sent_code,
)
from tests.web.test_connecting import CONNECTED, LABELS
from tests.web.test_connecting import paste as paste_in_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg
    from playwright.sync_api import Page

    from tests.connecting import Typed
    from tests.web.conftest import Person
    from tests.world import Simulator, World

    Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture(autouse=True)
def no_fault_stays(simulator: Simulator) -> Iterator[None]:
    yield
    simulator.client.delete("/faults")


@pytest.fixture
def owner(new_person: Callable[[], Person], world: World) -> Person:
    person = new_person()
    world.new_organization(person.user)
    return person


@pytest.fixture
def page(visit: Callable[..., Page], owner: Person) -> Page:
    return visit(owner, "/configuracion/")


def ask_for_a_code(page: Page, number: Typed) -> None:
    page.get_by_role("button", name="Usar mi número").click()
    page.get_by_label("País").select_option("US")
    page.get_by_label("Número de teléfono").fill(number.digits[1:])
    page.get_by_role("button", name="Enviar código").click()


def get_a_code(page: Page, number: Typed) -> None:
    ask_for_a_code(page, number)
    expect(page.get_by_text("Te quedan 3 intentos.")).to_be_visible()


def enter(page: Page, code: str) -> None:
    page.get_by_label("Código de 6 dígitos").fill(code)
    page.get_by_role("button", name="Verificar y conectar").click()


def told(page: Page, *sentences: str) -> None:
    """Expect each of these sentences, wherever on the page, and no number that is connected."""
    for sentence in sentences:
        expect(page.get_by_text(sentence).first).to_be_visible()
    expect(page.get_by_text(CONNECTED)).to_have_count(0)


def test_the_third_wrong_code_is_the_last_and_a_new_one_connects(
    page: Page, simulator: Simulator, database: Connection
) -> None:
    number = new_number()
    get_a_code(page, number)
    code = sent_code(simulator, number)
    wrong = "000000" if code != "000000" else "111111"

    for left in ("Te quedan 2 intentos.", "Te queda 1 intento."):
        enter(page, wrong)
        expect(page.get_by_text(left).first).to_be_visible()
    enter(page, wrong)

    told(page, "Ya no quedan intentos. Pide un código nuevo.")
    expect(page.get_by_role("button", name="Verificar y conectar")).to_be_disabled()
    let_time_pass(database, number, 61)
    page.reload()
    told(page, "Ya no quedan intentos. Pide un código nuevo.")
    page.get_by_role("button", name="Mensaje de texto (SMS)").click()
    expect(page.get_by_text("Te quedan 3 intentos.")).to_be_visible()
    enter(page, sent_code(simulator, number))
    expect(page.get_by_text(CONNECTED)).to_be_visible()


def test_a_code_that_is_too_old_is_told_and_a_new_one_connects(
    page: Page, simulator: Simulator, database: Connection
) -> None:
    number = new_number()
    get_a_code(page, number)
    let_time_pass(database, number, 601)

    enter(page, sent_code(simulator, number))

    told(page, "Pide un código nuevo.")
    expect(page.get_by_role("button", name="Verificar y conectar")).to_be_disabled()
    page.reload()
    get_a_code(page, number)
    enter(page, sent_code(simulator, number))
    expect(page.get_by_text(CONNECTED)).to_be_visible()


def test_a_number_of_another_organization_is_told_without_saying_whose(
    page: Page, simulator: Simulator, new_person: Callable[[], Person], world: World
) -> None:
    other = new_person()
    world.new_organization(other.user, name="La Competencia")
    number = connect_number(other.user, simulator)

    ask_for_a_code(page, number)

    told(page, "Desconéctalo primero en la otra empresa, o usa otro número.")
    assert "La Competencia" not in page.content()


def test_a_number_with_a_pin_of_its_own_asks_for_it_and_connects(page: Page, simulator: Simulator) -> None:
    number = new_number()
    get_a_code(page, number)
    (there,) = at_meta(simulator, number)
    simulator.patch(f"/numbers/{there['id']}", is_pin_enabled=True, pin="654321")
    code = sent_code(simulator, number)

    enter(page, code)
    told(page, "Escribe el PIN de 6 dígitos del número")
    page.get_by_label(re.compile("^PIN")).fill("654321")
    page.get_by_role("button", name="Verificar y conectar").click()

    expect(page.get_by_text(CONNECTED)).to_be_visible()


@pytest.mark.parametrize(
    "edge, fault, sentence",
    [
        pytest.param("register", {"code": 131031}, "Administrador de WhatsApp", id="account-restricted"),
        pytest.param("register", {"code": 133016}, "72 horas", id="registered-too-often"),
        pytest.param("register", {"code": 4}, "hay un límite de Meta", id="throttled"),
        pytest.param("register", {"code": 2, "http_status": 503}, "no está disponible por el momento", id="meta-is-down"),
        pytest.param("register", {"cut": "after"}, "lo que ya se hizo no se hace dos veces", id="answer-lost"),
    ],
)
def test_what_meta_refuses_is_told_and_the_same_button_goes_on(
    page: Page, simulator: Simulator, edge: str, fault: dict[str, Any], sentence: str
) -> None:
    number = new_number()
    get_a_code(page, number)
    simulator.post("/faults", edge=edge, **fault)

    enter(page, sent_code(simulator, number))

    told(page, sentence)
    simulator.client.delete("/faults")
    page.get_by_role("button", name="Verificar y conectar").click()
    expect(page.get_by_text(CONNECTED)).to_be_visible()


@pytest.mark.parametrize(
    "business, changed, field, sentence",
    [
        pytest.param({"expires_in": -60}, {}, "access_token", "caducó", id="token-too-old"),
        pytest.param(
            {"scopes": ["whatsapp_business_management"]},
            {},
            "access_token",
            "whatsapp_business_messaging",
            id="permission-missing",
        ),
        pytest.param({}, {"app_secret": "f" * 32}, "app_secret", "clave secreta", id="secret-of-another-app"),
        pytest.param({}, {"phone_number_id": "999999999999999"}, "phone_number_id", "número", id="no-such-number"),
    ],
)
def test_a_pasted_value_that_meta_refuses_is_told_at_its_field(
    page: Page,
    simulator: Simulator,
    business: dict[str, Any],
    changed: dict[str, str],
    field: str,
    sentence: str,
) -> None:
    page.get_by_role("button", name="Tengo mi propia app de Meta").click()

    paste_in_page(page, new_business(simulator, **business), **changed)

    entry = page.get_by_label(LABELS[field], exact=True)
    expect(entry).to_have_attribute("aria-invalid", "true")
    expect(entry).to_have_accessible_description(re.compile(sentence))
    told(page, "Corrige el campo marcado")


def test_a_pasted_number_of_another_organization_is_told(
    page: Page, simulator: Simulator, new_person: Callable[[], Person], world: World
) -> None:
    other, business = new_person(), new_business(simulator)
    world.new_organization(other.user)
    paste(other.user, business).raise_for_status()
    page.get_by_role("button", name="Tengo mi propia app de Meta").click()

    paste_in_page(page, business)

    told(page, "Desconéctalo primero en la otra empresa, o usa otro número.")
