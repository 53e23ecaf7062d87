"""A template asks for everything that it needs, shows what the customer will see, and goes out filled in."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.web.test_bubbles import png

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.web.conftest import Shop
    from tests.world import Simulator

BODY = {
    "type": "BODY",
    "text": "Hola {{1}}, aquí va lo tuyo.",
    "example": {"body_text": [["Ana"]]},
}


@pytest.fixture
def shop(new_shop: Callable[..., Shop]) -> Shop:
    return new_shop()


@pytest.fixture
def approve(shop: Shop, simulator: Simulator) -> Callable[..., None]:
    """Have a template of this shop approved."""

    def approve(name: str, *components: dict[str, Any], category: str = "UTILITY") -> None:
        asked = {"name": name, "language": "es", "category": category, "components": list(components)}
        shop.owner.user.functions.post("/whatsapp-meta-api/templates", json=asked).raise_for_status()
        simulator.settle()

    return approve


@pytest.fixture
def picker(visit: Callable[..., Page], shop: Shop) -> Callable[[str], Locator]:
    """Open a new chat with a template of this name."""

    def picker(name: str) -> Locator:
        page = visit(shop.owner)
        page.get_by_role("button", name="Nuevo chat").click()
        dialog = page.get_by_role("dialog", name="Nuevo chat")
        dialog.get_by_label("Número del cliente").fill("+1 555 010 0042")
        dialog.get_by_role("radio", name=re.compile(name.replace("_", " "))).check()
        return dialog

    return picker


@pytest.fixture
def sent(simulator: Simulator, shop: Shop) -> Callable[[], dict[str, Any]]:
    """Return what Graph was asked to send, once it was."""

    def sent() -> dict[str, Any]:
        calls = simulator.get("/requests", edge="messages", object_id=shop.phone_number_id)
        (call,) = [each for each in calls if '"template"' in str(each)]
        body: dict[str, Any] = json.loads(call["body"])
        return body

    return sent


def finish(dialog: Locator) -> Locator:
    """Send it; answers the new chat's messages."""
    dialog.get_by_role("button", name="Enviar", exact=True).click()
    expect(dialog).to_have_count(0)
    return dialog.page.get_by_role("region", name="Mensajes").locator("li[data-id]")


def test_a_new_chat_begins_with_a_template_whose_words_are_shown(
    picker: Callable[[str], Locator], approve: Callable[..., None]
) -> None:
    approve("saludo", BODY, {"type": "FOOTER", "text": "Panadería Rosa"})
    dialog = picker("saludo")
    dialog.get_by_role("button", name="Enviar", exact=True).click()
    expect(dialog.get_by_text("Este dato hace falta.")).to_be_visible()

    dialog.get_by_label("Valor de {{1}}").fill("Ana")
    expect(dialog).to_contain_text("Hola Ana, aquí va lo tuyo.")
    line = finish(dialog)

    expect(line).to_have_attribute("data-status", re.compile("accepted|sent|delivered"))
    expect(line).to_contain_text("Hola Ana, aquí va lo tuyo.")
    expect(line).to_contain_text("Panadería Rosa")


def test_a_document_on_top_is_given_by_its_link(
    picker: Callable[[str], Locator], approve: Callable[..., None], sent: Callable[[], dict[str, Any]]
) -> None:
    header = {"type": "HEADER", "format": "DOCUMENT", "example": {"header_handle": ["4::abc"]}}
    approve("factura", header, BODY)
    dialog = picker("factura")
    dialog.get_by_label("Valor de {{1}}").fill("Ana")
    dialog.get_by_label("Documento del encabezado").fill("factura.pdf")
    dialog.get_by_role("button", name="Enviar", exact=True).click()
    expect(dialog.get_by_text("Escribe un enlace completo")).to_be_visible()

    dialog.get_by_label("Documento del encabezado").fill("https://example.com/f/factura%20de%20mayo.pdf")
    line = finish(dialog)

    expect(line).to_contain_text("Documento")
    header_sent, body_sent = sent()["template"]["components"]
    assert header_sent["parameters"][0]["document"] == {
        "link": "https://example.com/f/factura%20de%20mayo.pdf",
        "filename": "factura de mayo.pdf",
    }
    assert body_sent["parameters"] == [{"type": "text", "text": "Ana"}]


def test_a_picture_on_top_may_be_one_of_this_device(
    picker: Callable[[str], Locator], approve: Callable[..., None], sent: Callable[[], dict[str, Any]]
) -> None:
    header = {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::abc"]}}
    approve("oferta", header, BODY, category="MARKETING")
    dialog = picker("oferta")
    dialog.get_by_label("Valor de {{1}}").fill("Ana")
    chooser = dialog.locator("input[type=file]")

    chooser.set_input_files(files={"name": "a.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.1"})
    expect(dialog.get_by_text("WhatsApp no admite este tipo de archivo.")).to_be_visible()
    chooser.set_input_files(files={"name": "pan.png", "mimeType": "image/png", "buffer": png(8, 8)})
    expect(dialog.get_by_text("pan.png")).to_be_visible()
    finish(dialog)

    (parameter,) = sent()["template"]["components"][0]["parameters"]
    assert parameter["type"] == "image"
    assert re.match("https?://", parameter["image"]["link"])


def test_buttons_and_places_are_filled_in(
    picker: Callable[[str], Locator], approve: Callable[..., None], sent: Callable[[], dict[str, Any]]
) -> None:
    buttons = [
        {"type": "QUICK_REPLY", "text": "Gracias"},
        {
            "type": "URL",
            "text": "Ver pedido",
            "url": "https://example.com/p/{{1}}",
            "example": ["https://example.com/p/1"],
        },
        {"type": "COPY_CODE", "example": "PAN10"},
    ]
    place = {"type": "HEADER", "format": "LOCATION"}
    approve("recojo", place, BODY, {"type": "BUTTONS", "buttons": buttons}, category="MARKETING")
    dialog = picker("recojo")
    fields = {
        "Valor de {{1}}": "Ana",
        "Nombre del lugar": "Panadería Rosa",
        "Dirección": "Av. Larco 1",
        "Latitud": "-12,12",
        "Longitud": "377",
        "Final del enlace de «Ver pedido»": "42",
        "Código que se copia": "PAN25",
    }
    for label, value in fields.items():
        dialog.get_by_label(label).fill(value)
    expect(dialog.get_by_text("Abrirá https://example.com/p/42")).to_be_visible()
    dialog.get_by_role("button", name="Enviar", exact=True).click()
    expect(dialog.get_by_text("Escribe los grados con decimales")).to_be_visible()

    dialog.get_by_label("Longitud").fill("-77.03")
    line = finish(dialog)

    expect(line).to_contain_text("Ver pedido")
    header, _, url, coupon = sent()["template"]["components"]
    place_sent = header["parameters"][0]["location"]
    assert (float(place_sent["latitude"]), float(place_sent["longitude"])) == (-12.12, -77.03)
    assert (url["sub_type"], url["index"], url["parameters"]) == (
        "url",
        "1",
        [{"type": "text", "text": "42"}],
    )
    assert (coupon["sub_type"], coupon["index"]) == ("copy_code", "2")
    assert coupon["parameters"] == [{"type": "coupon_code", "coupon_code": "PAN25"}]


def test_what_only_a_program_can_fill_in_is_not_offered(
    visit: Callable[..., Page], shop: Shop, approve: Callable[..., None]
) -> None:
    approve("saludo", BODY)
    flow = {"type": "FLOW", "text": "Reservar", "flow_id": "1"}
    approve("reserva", BODY, {"type": "BUTTONS", "buttons": [flow]})
    page = visit(shop.owner)

    page.get_by_role("button", name="Nuevo chat").click()

    dialog = page.get_by_role("dialog", name="Nuevo chat")
    expect(dialog.get_by_role("radio", name=re.compile("saludo"))).to_be_visible()
    expect(dialog.get_by_role("radio", name=re.compile("reserva"))).to_have_count(0)
