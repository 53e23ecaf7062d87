"""Takes the pictures that the guides show, and those of every other state, to be looked at one by one.

PICTURES=docs/es/imagenes make test ARGS="tests/web/test_pictures.py"
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.connecting import new_number
from tests.web.steps import type_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.web.conftest import Person, Shop
    from tests.world import Simulator, World

PHONE = {"viewport": {"width": 390, "height": 844}}
DESK = {"viewport": {"width": 1120, "height": 720}}
LOOKS: dict[str, dict[str, Any]] = {
    "es-claro": DESK,
    "es-claro-telefono": PHONE,
    "en-oscuro": {"language": "en", "color_scheme": "dark", **DESK},
    "en-oscuro-telefono": {"language": "en", "color_scheme": "dark", **PHONE},
}
PEOPLE = (
    ("51900000015", "Diego", "¡Gracias!"),
    ("51900000014", "Café El Roble", "¿A qué hora abren el domingo?"),
    ("51900000013", "Lucía Fernández", "Perfecto, paso a las 5"),
    ("51900000012", "Jorge Salazar", "Necesito 40 panes para el sábado"),
)
MARIA = {"phone_number": "51900000011", "name": "María Quispe"}


@pytest.fixture
def take() -> Callable[[Page, str], None]:
    folder = os.environ.get("PICTURES")
    if not folder:
        pytest.skip("PICTURES names no folder")
    Path(folder).mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> None:
        page.mouse.move(0, 0)
        page.wait_for_timeout(700)
        page.screenshot(path=f"{folder}/{name}.png")

    return take


@pytest.mark.parametrize("look", LOOKS)
def test_connecting_in_pictures(
    take: Callable[[Page, str], None],
    visit: Callable[..., Page],
    new_person: Callable[[], Person],
    world: World,
    look: str,
) -> None:
    owner = new_person()
    page = visit(None, "/entrar/", **LOOKS[look])
    page.get_by_role("heading").wait_for()
    take(page, f"entrar-{look}")
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
    take: Callable[[Page, str], None],
    visit: Callable[..., Page],
    new_shop: Callable[..., Shop],
    simulator: Simulator,
    look: str,
) -> None:
    shop = new_shop()
    for number, name, text in PEOPLE:
        simulator.write(shop.phone_number_id, text, sender={"phone_number": number, "name": name})  # type: ignore[arg-type]
    simulator.write(shop.phone_number_id, "Hola 👋 ¿Tienen *pan de yema* hoy?", sender=MARIA)  # type: ignore[arg-type]
    simulator.settle()
    page = visit(shop.owner, **LOOKS[look])
    page.locator(".chat-row").first.wait_for()
    take(page, f"lista-{look}")
    page.get_by_role("link", name=re.compile("María")).click()
    box = type_in(page, "¡Hola María! Sí, recién salido del horno 🥖")
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
    page.goto(page.url.partition("/chats/")[0] + "/configuracion/")
    page.locator(".big-number").wait_for()
    take(page, f"conectado-{look}")
    page.goto(page.url.replace("/configuracion/", "/equipo/"))
    page.locator(".members li").wait_for()
    take(page, f"equipo-{look}")
