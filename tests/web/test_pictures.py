"""Takes the pictures of each state that docs/pictures.md shows: `make pictures`."""

from __future__ import annotations

import base64
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from local.programs import ROOT
from tests.connecting import add_agent, new_number
from tests.offices import workers
from tests.web.steps import type_in
from tests.web.test_bubbles import encoded, ogg_opus, png

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from playwright.sync_api import Page

    from tests.web.conftest import Person, Shop
    from tests.world import Simulator, World

PHONE = {"viewport": {"width": 390, "height": 844}}
TABLET = {"viewport": {"width": 768, "height": 1024}}
DESK = {"viewport": {"width": 1120, "height": 720}}
ENGLISH = {"language": "en"}
DARK = {"color_scheme": "dark"}
LOOKS: dict[str, dict[str, Any]] = {
    "es-claro": DESK,
    "es-claro-telefono": PHONE,
    "es-oscuro-tableta": {**DARK, **TABLET},
    "en-oscuro": {**ENGLISH, **DARK, **DESK},
    "en-oscuro-telefono": {**ENGLISH, **DARK, **PHONE},
}
PEOPLE = (
    ("51900000015", "Diego", "¡Gracias!"),
    ("51900000014", "Café El Roble", "¿A qué hora abren el domingo?"),
    ("51900000013", "Lucía Fernández", "Perfecto, paso a las 5"),
    ("51900000012", "Jorge Salazar", "Necesito 40 panes para el sábado"),
)
MARIA = {"phone_number": "51900000011", "name": "María Quispe"}
INDEX = ROOT / "docs" / "pictures.md"
QUALITY = 72


@pytest.fixture
def take() -> Callable[..., None]:
    folder = os.environ.get("PICTURES")
    if not folder:
        pytest.skip("PICTURES names no folder")
    Path(folder).mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str, *, whole: bool = False) -> None:
        page.mouse.move(0, 0)
        page.wait_for_timeout(700)
        before = page.viewport_size
        assert before is not None
        if whole:
            height = page.evaluate("document.querySelector('main').scrollHeight") + 80
            page.set_viewport_size({"width": before["width"], "height": max(before["height"], height)})
            page.wait_for_timeout(300)
        told = page.context.new_cdp_session(page).send(
            "Page.captureScreenshot", {"format": "webp", "quality": QUALITY}
        )
        Path(folder, f"{name}.webp").write_bytes(base64.b64decode(told["data"]))
        page.set_viewport_size(before)

    return take


def test_the_page_of_pictures_shows_each_once() -> None:
    shown = re.findall(r"\]\(pictures/([^)]+)\)", INDEX.read_text("utf-8"))

    assert sorted(shown) == sorted(path.name for path in (INDEX.parent / "pictures").iterdir())


@pytest.mark.parametrize("look", LOOKS)
def test_connecting_in_pictures(
    take: Callable[..., None],
    visit: Callable[..., Page],
    new_person: Callable[[], Person],
    world: World,
    look: str,
) -> None:
    owner = new_person()
    page = visit(None, "/entrar/", **LOOKS[look])
    page.get_by_role("heading").wait_for()
    take(page, f"entrar-{look}")
    page.locator("form .button.plain").first.click()
    page.locator("form .muted").wait_for()
    take(page, f"enlace-{look}")
    world.new_organization(owner.user, name="Panadería Rosa")
    page = visit(owner, "/configuracion/", **LOOKS[look])
    page.locator(".way").first.wait_for()
    take(page, f"formas-{look}")
    for name, way in (("facebook", 0), ("mi-app", 2), ("mi-numero", 1)):
        page.locator(".way").nth(way).click()
        take(page, f"{name}-{look}")
        if way != 1:
            page.locator("button.back").click()
    page.locator("select").first.select_option("US")
    page.locator("[type=tel]").fill(new_number().digits[1:])
    page.locator("[type=submit]").click()
    page.locator(".code").wait_for()
    take(page, f"codigo-{look}")


@pytest.mark.parametrize("look", LOOKS)
def test_chatting_in_pictures(
    take: Callable[..., None],
    visit: Callable[..., Page],
    new_shop: Callable[..., Shop],
    new_person: Callable[[], Person],
    simulator: Simulator,
    look: str,
) -> None:
    shop, agent = new_shop(), new_person()
    add_agent(shop.organization, agent.user)
    page = visit(shop.owner, **LOOKS[look])
    page.locator(".empty").first.wait_for()
    take(page, f"vacio-{look}")
    for number, name, text in PEOPLE:
        simulator.write(shop.phone_number_id, text, sender={"phone_number": number, "name": name})  # type: ignore[arg-type]
    simulator.write(shop.phone_number_id, "Hola ¿Tienen *pan de yema* hoy?", sender=MARIA)  # type: ignore[arg-type]
    simulator.settle()
    page = visit(shop.owner, **LOOKS[look])
    page.locator(".chat-row").first.wait_for()
    take(page, f"lista-{look}")
    page.get_by_role("link", name=re.compile("María")).click()
    box = type_in(page, "¡Hola María! Sí, recién salido del horno")
    box.press("Enter")
    expect(page.locator(".bubble-line.ours")).to_have_attribute("data-status", "delivered")
    (sent,) = simulator.get("/messages", phone_number_id=shop.phone_number_id, direction="outgoing")
    simulator.post(f"/messages/{sent['id']}/status", status="read")
    page.wait_for_timeout(1100)
    simulator.write(shop.phone_number_id, "¿Me guardas una docena?", sender=MARIA, context={"id": sent["id"]})  # type: ignore[arg-type]
    expect(page.locator(".bubble-line.theirs")).to_have_count(2)
    page.wait_for_timeout(1100)
    box.fill("Claro. Son *S/ 12*, te esperamos hasta las 8.")
    box.press("Enter")
    expect(page.locator(".bubble-line.ours").last).to_have_attribute("data-status", "delivered")
    simulator.post(
        "/faults", edge="messages", object_id=shop.phone_number_id, code=131049, by_status=True, times=1
    )
    box.fill("Hoy además hay 2x1 en empanadas")
    box.press("Enter")
    page.locator(".failure.failed").wait_for()
    take(page, f"chat-{look}")
    page.context.set_offline(offline=True)
    box.fill("Te lo llevo yo")
    box.press("Enter")
    take(page, f"sin-red-{look}")
    page.context.set_offline(offline=False)
    page.goto(page.url.partition("/chats/")[0] + "/configuracion/")
    page.locator(".big-number").wait_for()
    take(page, f"conectado-{look}", whole=True)
    page.locator("section[aria-labelledby=doctor] button").first.click()
    page.locator(".checks li").first.wait_for()
    take(page, f"diagnostico-{look}", whole=True)
    page.goto(page.url.replace("/configuracion/", "/equipo/"))
    page.locator(".members li").first.wait_for()
    take(page, f"equipo-{look}")
    page = visit(agent, "/configuracion/", **LOOKS[look])
    page.locator(".big-number").wait_for()
    take(page, f"agente-{look}")


CONTENTS: tuple[tuple[str, Any], ...] = (
    ("image", {"caption": "¿Tienen este?", **encoded(png(280, 150), "image/png")}),
    ("audio", {"voice": True, **encoded(ogg_opus(7), "audio/ogg; codecs=opus")}),
    ("document", {"filename": "lista de precios.pdf"}),
    ("location", {"latitude": -12.12, "longitude": -77.03, "name": "Parque Kennedy"}),
    ("contacts", [{"name": {"formatted_name": "Luis Paz"}, "phones": [{"phone": "+51 900 000 017"}]}]),
    (
        "order",
        {
            "catalog_id": "400000000000001",
            "product_items": [
                {"product_retailer_id": "pan-de-yema", "quantity": 12, "item_price": 1, "currency": "PEN"},
                {"product_retailer_id": "empanada", "quantity": 2, "item_price": 6.5, "currency": "PEN"},
            ],
        },
    ),
)
NEWS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("account_update", {"event": "VERIFIED_ACCOUNT"}),
    (
        "message_template_status_update",
        {
            "message_template_id": 600000000000001,
            "message_template_name": "pedido_listo",
            "message_template_language": "es",
            "event": "APPROVED",
        },
    ),
    ("account_update", {"event": "SOMETHING_NEW"}),
    ("phone_number_quality_update", {"event": "FLAGGED", "current_limit": "TIER_1K"}),
    ("account_update", {"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SPAM"}}),
)


@pytest.mark.parametrize("look", LOOKS)
def test_kinds_and_news_in_pictures(
    take: Callable[..., None],
    visit: Callable[..., Page],
    new_shop: Callable[..., Shop],
    world: World,
    simulator: Simulator,
    database: psycopg.Connection[tuple[Any, ...]],
    look: str,
) -> None:
    shop = new_shop()
    template = {
        "name": "pedido_listo",
        "language": "es",
        "category": "UTILITY",
        "components": [
            {
                "type": "BODY",
                "text": "Hola {{1}}, tu pedido está listo.",
                "example": {"body_text": [["Ana"]]},
            },
            {
                "type": "BUTTONS",
                "buttons": [
                    {
                        "type": "URL",
                        "text": "Ver",
                        "url": "https://example.com/p/{{1}}",
                        "example": ["https://example.com/p/1"],
                    }
                ],
            },
        ],
    }
    shop.owner.user.functions.post("/whatsapp-meta-api/templates", json=template).raise_for_status()
    simulator.write(shop.phone_number_id, "Buenos días", sender=MARIA)  # type: ignore[arg-type]
    for kind, content in CONTENTS:
        body = {"phone_number_id": shop.phone_number_id, "from": MARIA, "type": kind, kind: content}
        simulator.post("/customers/messages", **body)
    simulator.settle()
    with workers(world):
        page = visit(shop.owner, **LOOKS[look])
        page.locator(".chat-row").first.click()
        expect(page.locator("audio")).to_have_js_property("readyState", 4, timeout=15_000)
        take(page, f"tipos-{look}", whole=True)
    line = page.locator(".bubble-line").first
    line.locator(".bubble").focus()
    line.locator(".toolbar button").last.click()
    page.get_by_role("dialog").wait_for()
    take(page, f"detalle-{look}")
    database.execute(
        "update chats set window_expires_at = now() - interval '1 hour' where organization_id = %s",
        (shop.organization.id,),
    )
    page.reload()
    page.locator(".closed-window .button").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("radio").last.check()
    dialog.locator("input.input").first.fill("María")
    take(page, f"plantilla-{look}")
    page.keyboard.press("Escape")
    for field, value in NEWS:
        simulator.post("/events", phone_number_id=shop.phone_number_id, field=field, value=value)
    simulator.settle()
    database.execute(
        "update whatsapp_integrations set status = 'error', error_code = 'token_dead',"
        " error_message = 'Meta ya no acepta el token de acceso.' where organization_id = %s",
        (shop.organization.id,),
    )
    page.goto(page.url.partition("/chats/")[0] + "/configuracion/")
    page.locator(".news li").first.wait_for()
    take(page, f"avisos-{look}", whole=True)
