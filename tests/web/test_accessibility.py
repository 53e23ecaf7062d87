"""Everybody can use it: axe finds nothing in any state, and the keyboard alone gets through."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from local.programs import ROOT
from tests.web.steps import address_with_session_of, type_in

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from playwright.sync_api import Page

    from tests.web.conftest import Person, Shop
    from tests.world import Simulator, World

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
LOOKS: dict[str, dict[str, Any]] = {
    "es-light-desk": {},
    "en-dark-phone": {"language": "en", "color_scheme": "dark", **PHONE},
    "es-dark-tablet": {"color_scheme": "dark", "viewport": {"width": 768, "height": 1024}},
}


def findings(page: Page) -> list[str]:
    """Return what axe finds, one line each."""
    # Trusted types let no page write a script; the debugger may.
    page.context.new_cdp_session(page).send("Page.setBypassCSP", {"enabled": True})
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("tags => axe.run(document, {runOnly: tags})", RULES)
    return [
        f"{each['id']}: {each['help']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_axe_finds_nothing_while_connecting(
    visit: Callable[..., Page], new_person: Callable[[], Person], world: World, look: dict[str, Any]
) -> None:
    owner = new_person()
    page = visit(None, "/entrar/", **look)
    page.get_by_role("heading").wait_for()
    found = findings(page)
    page = visit(None, f"/entrar/{address_with_session_of(owner)}", **look)
    page.locator("h1", has_text=owner.user.email).wait_for()
    found += findings(page)
    asked = {"organization": (theirs := world.new_organization()).id, "address": owner.user.email}
    theirs.owner.rest.post("/rpc/invite_member", json=asked).raise_for_status()
    page = visit(owner, "/configuracion/", **look)
    page.locator(".invitations").wait_for()
    found += findings(page)
    world.new_organization(owner.user)
    page.goto(page.url.replace("/configuracion/", "/equipo/"))
    page.locator(".page .invitations").wait_for()
    found += findings(page)
    page.goto(page.url.replace("/equipo/", "/configuracion/#whatsapp_state=theirs&whatsapp_ticket=theirs"))
    page.locator("fieldset").wait_for()
    found += findings(page)
    page.reload()
    page.locator(".way").first.wait_for()
    found += findings(page)
    for way in range(3):
        page.locator(".way").nth(way).click()
        submit = page.locator("form button[type=submit]")
        if submit.count():
            submit.click()
        found += findings(page)
        page.locator("button.back").click()

    assert found == []


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_axe_finds_nothing_while_chatting(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], simulator: Simulator, look: dict[str, Any]
) -> None:
    shop = new_shop()
    page = visit(shop.owner, **look)
    page.locator(".empty h2").wait_for()
    found = findings(page)
    for content in (
        {"type": "text", "text": {"body": "Hola *amiga* https://example.com"}},
        {"type": "image", "image": {"caption": "Foto"}},
        {"type": "location", "location": {"latitude": 1, "longitude": 2}},
        {"type": "document", "document": {"filename": "lista.pdf"}},
    ):
        sender = {"phone_number": "15550100001", "name": "Ana"}
        simulator.post(
            "/customers/messages", **{"phone_number_id": shop.phone_number_id, "from": sender, **content}
        )
    simulator.settle()
    page.locator(".chat-row").click()
    box = type_in(page, "Uno")
    simulator.post(
        "/faults", edge="messages", object_id=shop.phone_number_id, code=131049, by_status=True, times=1
    )
    box.press("Enter")
    page.locator(".failure.failed").wait_for()
    found += findings(page)
    page.locator(".bubble-line.ours .bubble").focus()
    page.locator(".bubble-line.ours .toolbar button").last.click()
    page.get_by_role("dialog").wait_for()
    found += findings(page)
    page.keyboard.press("Escape")
    page.locator(".composer [aria-expanded]").click()
    page.locator(".emoji-picker").wait_for()
    found += findings(page)
    page.goto(page.url.partition("/chats/")[0] + "/configuracion/")
    page.locator(".big-number").wait_for()
    page.locator("summary").first.click()
    violation = {"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SPAM"}}
    simulator.post("/events", phone_number_id=shop.phone_number_id, field="account_update", value=violation)
    page.locator(".news .pressing").wait_for()
    found += findings(page)
    page.goto(page.url.replace("/configuracion/", "/equipo/"))
    page.locator(".members li").wait_for()
    found += findings(page)

    assert found == []


WIDTHS = (320, 390, 768, 1024, 1280)
# What is wider than the page, than its card, or than its own box.
SPILLS = """() => {
  const seen = (part) => part.checkVisibility() && !part.closest(".visually-hidden, [hidden]");
  const name = (part) => `${part.className || part.tagName}: ${part.textContent.slice(0, 40)}`;
  const isRight = (part) => part.getBoundingClientRect().right > innerWidth + 1;
  const { scrollWidth } = document.documentElement;
  const found = [];
  if (scrollWidth > innerWidth) {
    const wide = [...document.querySelectorAll("body *")].filter(isRight).map(name);
    found.push(`page ${scrollWidth}`, ...wide);
  }
  const parts = ".badge, .button, .chip, .notice, .bubble, h1, h2, input, select";
  for (const part of [...document.querySelectorAll(parts)].filter(seen)) {
    const box = part.getBoundingClientRect();
    const frame = part.closest(".card, dialog, .bubble-line, .chat-head")?.getBoundingClientRect();
    if (frame && (box.right > frame.right + 1 || box.left < frame.left - 1)) found.push(`out ${name(part)}`);
    const isCut = part.matches(".badge, .button") && part.scrollWidth > part.clientWidth + 1;
    if (isCut) found.push(`in ${name(part)}`);
  }
  return found;
}"""


@pytest.mark.parametrize("language", ["es", "en"])
def test_nothing_spills_over_at_any_width(
    visit: Callable[..., Page],
    new_shop: Callable[..., Shop],
    simulator: Simulator,
    database: psycopg.Connection[tuple[Any, ...]],
    language: str,
) -> None:
    shop = new_shop("Panadería y pastelería Nuestra Señora del Perpetuo Socorro")
    name = "María Fernanda de los Ángeles Quispe Mamani"
    sender = {"phone_number": "51900000011", "name": name}
    for text in ("Buenos días", "https://example.com/" + "a" * 120):
        simulator.write(shop.phone_number_id, text, sender=sender)  # type: ignore[arg-type]
    simulator.settle()
    database.execute(
        "update whatsapp_integrations set token_expires_at = '2026-12-23T12:00:00Z'"
        " where organization_id = %s",
        (shop.organization.id,),
    )
    page = visit(shop.owner, "/configuracion/", language=language)
    page.locator(".big-number").wait_for()
    page.locator("#notices").wait_for()
    found = []
    for path, ready in (
        ("/configuracion/", "#notices"),
        ("/equipo/", ".members li"),
        ("/chats/", ".chat-row"),
    ):
        page.goto(page.url.partition("/configuracion")[0].partition("/equipo")[0] + path)
        page.locator(ready).first.wait_for()
        if path == "/chats/":
            page.locator(".chat-row").click()
            page.locator(".bubble").first.wait_for()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(60)
            found += [f"{path} {width}: {each}" for each in page.evaluate(SPILLS)]

    assert found == []


def test_the_keyboard_alone_answers_a_customer(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], simulator: Simulator
) -> None:
    shop = new_shop()
    simulator.write(shop.phone_number_id, "Hola", sender={"phone_number": "15550100001", "name": "Ana"})  # type: ignore[arg-type]
    simulator.settle()
    page = visit(shop.owner)
    row = page.get_by_role("link", name=re.compile("Ana"))
    row.wait_for()

    for _ in range(20):
        page.keyboard.press("Tab")
        if row.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    box = page.get_by_label("Escribe un mensaje")
    expect(box).to_be_focused()
    page.keyboard.type("Buenas tardes")
    page.keyboard.press("Enter")
    expect(page.locator(".bubble-line.ours")).to_contain_text("Buenas tardes")
    expect(page.locator(".bubble-line.ours")).to_have_attribute("data-status", "delivered")
    # Up into the conversation, to the message's own actions.
    page.get_by_role("region", name="Mensajes").focus()
    page.keyboard.press("Tab")
    expect(page.locator(".bubble:focus")).to_have_count(1)
    page.keyboard.press("Tab")

    expect(page.get_by_role("button", name="Responder")).to_be_focused()


def test_the_keyboard_alone_gets_through_connecting(
    visit: Callable[..., Page], new_person: Callable[[], Person], world: World
) -> None:
    owner = new_person()
    world.new_organization(owner.user)
    page = visit(owner, "/configuracion/")
    way = page.get_by_role("button", name="Usar mi número")
    way.wait_for()

    for _ in range(20):
        page.keyboard.press("Tab")
        if way.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    number = page.get_by_label("Número de teléfono")
    for _ in range(20):
        page.keyboard.press("Tab")
        if number.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.type("12")
    page.keyboard.press("Enter")

    expect(number).to_have_attribute("aria-invalid", "true")
