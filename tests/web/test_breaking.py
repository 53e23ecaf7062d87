"""Where a page breaks, people are told so and load it again; what is odd in the data breaks none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from psycopg.types.json import Jsonb

from tests.web.conftest import SESSION_KEY
from tests.web.test_chatting import answer, message, open_chat

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from playwright.sync_api import Browser, Page

    from tests.web.conftest import Shop
    from tests.world import Simulator

WORDS = {
    "es": ("Algo falló en esta página.", "Cargar de nuevo"),
    "en": ("Something went wrong on this page.", "Load again"),
}
# As a fault of ours would: in the middle of what every page does.
BREAK = "Object.defineProperty(document, 'title', { configurable: true, set() { throw new Error('broken') } })"


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("path", ["/chats/", "/configuracion/", "/equipo/", "/entrar/"])
def test_a_page_that_breaks_says_so_and_is_loaded_again(
    browser: Browser, dashboard_url: str, new_shop: Callable[..., Shop], path: str, language: str
) -> None:
    sentence, button = WORDS[language]
    kept = {"language": language}
    if path != "/entrar/":
        kept[SESSION_KEY] = json.dumps(new_shop().owner.session)
    context = browser.new_context(locale="es-PE")
    try:
        context.add_init_script(
            f"for (const [name, text] of Object.entries({json.dumps(kept)})) localStorage[name] = text;"
            f" if (!sessionStorage.begun) {{ sessionStorage.begun = 1; {BREAK} }}"
        )
        page = context.new_page()
        page.goto(f"{dashboard_url}{path}")
        expect(page.get_by_role("alert")).to_contain_text(sentence)

        page.get_by_role("button", name=button).click()

        expect(page.get_by_role("heading", level=1)).to_be_attached()
        expect(page.get_by_text(sentence)).to_have_count(0)
    finally:
        context.close()


def test_words_of_a_template_in_another_form_leave_the_conversation_readable(
    visit: Callable[..., Page],
    new_shop: Callable[..., Shop],
    simulator: Simulator,
    database: psycopg.Connection[Any],
) -> None:
    shop = new_shop()
    body = [{"type": "BODY", "text": "Tu pedido está listo."}]
    asked = {"name": "listo", "language": "es", "category": "UTILITY", "components": body}
    post = shop.owner.user.functions.post
    post("/whatsapp-meta-api/templates", json=asked).raise_for_status()
    simulator.write(shop.phone_number_id, "Hola", sender={"phone_number": "15550100001", "name": "Ana"})  # type: ignore[arg-type]
    # The review takes a second.
    assert simulator.post("/settle", within=30, horizon=2)["settled"]
    sent = {"to": "+15550100001", "type": "template", "template": {"name": "listo", "language": "es"}}
    post("/whatsapp-send-message/", json=sent).raise_for_status()
    database.execute(
        "update message_templates set components = %s where organization_id = %s",
        (Jsonb({"title": "Pedido", "element": "Tu pedido está listo."}), shop.organization.id),
    )

    page = visit(shop.owner)
    with page.expect_response(lambda answered: "/rest/v1/message_templates" in answered.url):
        open_chat(page)
    answer(page, "¿Alguna pregunta?")

    for text in ("Hola", "listo", "¿Alguna pregunta?"):
        expect(message(page, text)).to_have_count(1)
