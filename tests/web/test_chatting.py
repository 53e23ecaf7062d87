"""An agent works: what customers write arrives, what is answered leaves, and every mark is true."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.connecting import add_agent
from tests.web.steps import type_in

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from playwright.sync_api import Locator, Page

    from tests.web.conftest import Person, Shop
    from tests.world import Simulator

ANA = {"phone_number": "15550100001", "name": "Ana"}


def open_chat(page: Page, name: str = "Ana") -> None:
    page.get_by_role("link", name=re.compile(name)).click()
    expect(page.get_by_role("region", name=f"Conversación con {name}")).to_be_visible()


def answer(page: Page, text: str) -> None:
    box = page.get_by_label("Escribe un mensaje")
    box.fill(text)
    box.press("Enter")


def message(page: Page, text: str) -> Locator:
    return page.get_by_role("region", name="Mensajes").locator("li[data-id]").filter(has_text=text)


@pytest.fixture
def shop(new_shop: Callable[..., Shop], simulator: Simulator) -> Shop:
    shop = new_shop()
    simulator.write(shop.phone_number_id, "Hola", sender=ANA)  # type: ignore[arg-type]
    simulator.settle()
    return shop


def test_a_conversation_goes_both_ways_with_its_statuses_under_the_eyes(
    visit: Callable[..., Page], shop: Shop, simulator: Simulator
) -> None:
    page = visit(shop.owner)
    expect(page.get_by_text("1 mensaje sin leer")).to_be_attached()
    open_chat(page)

    answer(page, "¡Buenos *días*!")
    sent = message(page, "¡Buenos días!")
    expect(sent).to_have_count(1)
    expect(sent).to_have_attribute("data-status", re.compile("sent|delivered"))
    expect(sent.locator("strong")).to_have_text("días")
    (row,) = simulator.get("/messages", phone_number_id=shop.phone_number_id, direction="outgoing")
    simulator.post(f"/messages/{row['id']}/status", status="read")
    expect(sent.get_by_role("img", name="Leído")).to_be_visible()
    simulator.write(shop.phone_number_id, "Quiero dos panes", sender=ANA)  # type: ignore[arg-type]

    expect(message(page, "Quiero dos panes")).to_have_count(1)
    expect(message(page, "¡Buenos días!")).to_have_count(1)
    expect(page.get_by_text("1 mensaje sin leer")).to_have_count(0)


def test_text_never_becomes_markup(visit: Callable[..., Page], shop: Shop, simulator: Simulator) -> None:
    attack = "<img src=x onerror=document.title='bad'><b>hola</b> javascript:alert(1) {{7*7}}"
    simulator.write(shop.phone_number_id, attack, sender={**ANA, "name": "<i>Ana</i>"})  # type: ignore[arg-type]
    page = visit(shop.owner)

    # Of two messages in one second either may be the one that the list shows.
    page.get_by_role("link", name=re.compile("Ana|onerror")).click()

    expect(message(page, attack)).to_have_count(1)
    assert page.locator(".messages img[src=x], .messages b, .chat-title i").count() == 0
    assert page.title() != "bad"


TYPES: dict[str, tuple[dict[str, Any], str]] = {
    "image": ({"type": "image", "image": {"caption": "Mi pedido"}}, "Mi pedido"),
    "document": ({"type": "document", "document": {"filename": "lista.pdf"}}, "lista.pdf"),
    "location": (
        {"type": "location", "location": {"latitude": -12.1, "longitude": -77.0, "name": "Parque"}},
        "Abrir en el mapa",
    ),
    "contacts": (
        {
            "type": "contacts",
            "contacts": [{"name": {"formatted_name": "Luis Paz"}, "phones": [{"phone": "+1 555 010 0177"}]}],
        },
        "Luis Paz",
    ),
}


@pytest.mark.parametrize("content, shown", TYPES.values(), ids=TYPES)
def test_each_type_is_shown_as_what_it_is(
    visit: Callable[..., Page], shop: Shop, simulator: Simulator, content: dict[str, Any], shown: str
) -> None:
    page = visit(shop.owner)
    open_chat(page)

    simulator.post("/customers/messages", **{"phone_number_id": shop.phone_number_id, "from": ANA, **content})

    expect(page.get_by_role("region", name="Mensajes").get_by_text(shown)).to_be_visible()


def test_a_failure_shows_its_reason_and_can_be_tried_again(
    visit: Callable[..., Page], shop: Shop, simulator: Simulator
) -> None:
    page = visit(shop.owner)
    open_chat(page)
    box = type_in(page, "Oferta")
    simulator.post(
        "/faults", edge="messages", object_id=shop.phone_number_id, code=131049, by_status=True, times=1
    )

    box.press("Enter")
    failed = message(page, "Oferta").first
    expect(failed).to_contain_text("Esta persona ya recibió suficiente marketing.")
    expect(failed).to_contain_text("131049")
    failed.get_by_role("button", name="Reintentar").click()

    expect(message(page, "Oferta")).to_have_count(2)
    expect(message(page, "Oferta").last).to_have_attribute("data-status", re.compile("sent|delivered"))


def test_a_lost_answer_is_shown_as_uncertain_and_offers_no_blind_retry(
    visit: Callable[..., Page], shop: Shop, simulator: Simulator
) -> None:
    page = visit(shop.owner)
    open_chat(page)
    box = type_in(page, "¿Llegó?")
    simulator.patch("/settings", sent_after=6.0)
    simulator.post("/faults", edge="messages", object_id=shop.phone_number_id, cut="after", times=1)

    box.press("Enter")

    unsure = message(page, "¿Llegó?")
    try:
        expect(unsure).to_contain_text("No sabemos si llegó.")
        expect(unsure.get_by_role("button", name="Reintentar")).to_have_count(0)
        # Its status heals it.
        expect(unsure).to_have_attribute("data-status", re.compile("sent|delivered"))
    finally:
        simulator.patch("/settings", sent_after=0.05)


def test_a_closed_window_offers_a_template_which_goes_out(
    visit: Callable[..., Page],
    shop: Shop,
    simulator: Simulator,
    database: psycopg.Connection[tuple[Any, ...]],
) -> None:
    shop.owner.user.functions.post(
        "/whatsapp-meta-api/templates",
        json={
            "name": "pedido_listo",
            "language": "es",
            "category": "UTILITY",
            "components": [
                {
                    "type": "BODY",
                    "text": "Hola {{1}}, tu pedido está listo.",
                    "example": {"body_text": [["Ana"]]},
                }
            ],
        },
    ).raise_for_status()
    simulator.settle()
    database.execute(
        "update chats set window_expires_at = now() - interval '1 hour' where organization_id = %s",
        (shop.organization.id,),
    )
    page = visit(shop.owner)
    open_chat(page)

    expect(page.get_by_label("Escribe un mensaje")).to_have_count(0)
    page.get_by_role("button", name="Elegir plantilla").click()
    page.get_by_role("radio", name=re.compile("pedido listo")).check()
    page.get_by_label("Valor de {{1}}").fill("Ana")
    expect(page.get_by_role("dialog")).to_contain_text("Hola Ana, tu pedido está listo.")
    page.get_by_role("button", name="Enviar").click()

    expect(message(page, "pedido_listo")).to_have_attribute(
        "data-status", re.compile("accepted|sent|delivered")
    )


def test_the_bot_is_sent_out_of_a_chat_and_called_back(
    visit: Callable[..., Page], shop: Shop, database: psycopg.Connection[tuple[Any, ...]]
) -> None:
    def is_on() -> bool:
        row = database.execute(
            "select is_bot_on from chats where organization_id = %s", (shop.organization.id,)
        ).fetchone()
        return bool(row and row[0])

    page = visit(shop.owner)
    open_chat(page)
    bot = page.get_by_role("button", name=re.compile("^Bot"))
    expect(bot).to_have_attribute("aria-pressed", "true")

    with page.expect_response(re.compile("set_chat_bot")):
        bot.click()
    expect(bot).to_have_attribute("aria-pressed", "false")
    expect(bot).to_contain_text("en pausa")
    assert not is_on()
    page.reload()
    expect(bot).to_have_attribute("aria-pressed", "false")
    with page.expect_response(re.compile("set_chat_bot")):
        bot.click()

    expect(bot).to_contain_text("activo")
    assert is_on()


def test_replies_and_reactions(visit: Callable[..., Page], shop: Shop, simulator: Simulator) -> None:
    page = visit(shop.owner)
    open_chat(page)
    hello = message(page, "Hola")

    hello.hover()
    hello.get_by_role("button", name="Reaccionar").click()
    hello.get_by_role("button", name="Reaccionar 👍").click()
    expect(hello.locator(".reactions")).to_contain_text("👍")
    hello.get_by_role("button", name="Responder").click()
    expect(page.get_by_text("Respondiendo a Ana")).to_be_visible()
    answer(page, "¿Cuántos?")

    reply = message(page, "¿Cuántos?")
    expect(reply.locator(".quote")).to_contain_text("Hola")
    simulator.settle()
    sent = simulator.get("/messages", phone_number_id=shop.phone_number_id, direction="outgoing")
    assert [each["type"] for each in sent] == ["reaction", "text"]


def test_a_message_tells_its_own_timeline(visit: Callable[..., Page], shop: Shop) -> None:
    page = visit(shop.owner)
    open_chat(page)
    answer(page, "Listo")
    sent = message(page, "Listo")
    expect(sent).to_have_attribute("data-status", re.compile("sent|delivered"))

    sent.hover()
    sent.get_by_role("button", name="Detalle del mensaje").click()

    dialog = page.get_by_role("dialog")
    for step in ("Entregado a Meta", "Aceptado por Meta", "Enviado"):
        expect(dialog.get_by_text(step, exact=True).first).to_be_visible()
    expect(dialog.get_by_role("textbox", name="Identificador de Meta")).to_have_value(re.compile("^wamid\\."))


def test_what_was_written_offline_leaves_once_when_the_connection_is_back(
    visit: Callable[..., Page], shop: Shop, simulator: Simulator
) -> None:
    page = visit(shop.owner)
    open_chat(page)
    page.context.set_offline(True)
    expect(page.get_by_text("Sin conexión.", exact=False).first).to_be_visible()

    answer(page, "Sin red")
    expect(message(page, "Sin red")).to_contain_text("En espera de conexión")
    simulator.write(shop.phone_number_id, "¿Estás?", sender=ANA)  # type: ignore[arg-type]
    page.context.set_offline(False)

    expect(message(page, "Sin red")).to_have_attribute("data-status", re.compile("sent|delivered"))
    expect(message(page, "¿Estás?")).to_have_count(1)
    expect(message(page, "Sin red")).to_have_count(1)
    sent = simulator.get("/messages", phone_number_id=shop.phone_number_id, direction="outgoing")
    assert len(sent) == 1


def test_two_organizations_in_two_browsers_see_only_their_own(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], simulator: Simulator
) -> None:
    shops = [new_shop("Uno"), new_shop("Dos")]
    pages = [visit(shop.owner) for shop in shops]

    for shop in shops:
        text = f"Para {shop.organization.name}"
        simulator.write(shop.phone_number_id, text, sender=ANA)  # type: ignore[arg-type]

    for page, own, other in zip(pages, ("Uno", "Dos"), ("Dos", "Uno"), strict=True):
        expect(page.get_by_role("link", name=re.compile(f"Para {own}"))).to_be_visible()
        expect(page.get_by_text(f"Para {other}")).to_have_count(0)
    chat = pages[0].get_by_role("link", name=re.compile("Para Uno")).get_attribute("href")
    pages[1].goto(pages[1].url.partition("/chats/")[0] + str(chat))
    expect(pages[1].get_by_role("heading", name="Elige una conversación")).to_be_visible()


def test_an_agent_answers_and_the_owner_sees_it(
    visit: Callable[..., Page], shop: Shop, new_person: Callable[[], Person]
) -> None:
    agent = new_person()
    add_agent(shop.organization, agent.user)
    owners, agents = visit(shop.owner), visit(agent)
    open_chat(owners)
    open_chat(agents)

    answer(agents, "Te atiende Luis")

    expect(message(owners, "Te atiende Luis")).to_have_count(1)
    expect(message(agents, "Te atiende Luis")).to_have_count(1)


def test_lists_are_filtered_and_searched(
    visit: Callable[..., Page], shop: Shop, simulator: Simulator
) -> None:
    for number, name, text in (
        ("15550100002", "Bruno", "Buenas"),
        ("15550100003", "Carla", "¿Precio del kilo?"),
    ):
        simulator.write(shop.phone_number_id, text, sender={"phone_number": number, "name": name})  # type: ignore[arg-type]
    simulator.settle()
    page = visit(shop.owner)
    rows = page.get_by_role("region", name="Lista de conversaciones").get_by_role("listitem")
    expect(rows).to_have_count(3)

    search = page.get_by_role("searchbox")
    search.fill("brun")
    expect(rows).to_have_count(1)
    search.fill("0100003")
    expect(rows.first).to_contain_text("Carla")
    search.fill("kilo")
    expect(rows).to_have_count(1)
    search.fill("")
    expect(rows).to_have_count(3)
    open_chat(page, "Bruno")
    page.get_by_role("button", name="Sin leer").click()

    expect(page.get_by_text("Nada coincide")).to_have_count(0)
    expect(rows.filter(has_text="Ana")).to_have_count(1)


def test_scrolling_back_reaches_the_beginning_with_a_bounded_page(
    visit: Callable[..., Page], shop: Shop, database: psycopg.Connection[tuple[Any, ...]]
) -> None:
    (chat_id,) = database.execute(
        "select id from chats where organization_id = %s", (shop.organization.id,)
    ).fetchone() or (None,)
    database.execute(
        """
        insert into messages (organization_id, chat_id, wamid, direction, type, text, occurred_at)
        select %s, %s, 'wamid.old.' || n, 'inbound', 'text', 'Antiguo ' || n, now() - n * interval '1 minute'
        from generate_series(1, 600) as n
        """,
        (shop.organization.id, chat_id),
    )
    page = visit(shop.owner)
    open_chat(page)
    expect(message(page, "Hola")).to_be_visible()

    area = page.get_by_role("region", name="Mensajes")
    beginning = page.get_by_text("Aquí empieza la conversación")
    most = 0
    for _ in range(60):
        area.evaluate("element => element.scrollTo(0, 0)")
        page.wait_for_timeout(60)
        most = max(most, area.locator("li[data-id]").count())
        if beginning.count():
            break

    expect(beginning).to_be_attached()
    expect(message(page, "Antiguo 600")).to_be_attached()
    assert most <= 300
    page.get_by_role("button", name="Ir a lo más reciente").click()
    expect(message(page, "Hola")).to_be_visible()


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def test_a_file_is_checked_uploaded_and_sent(
    visit: Callable[..., Page], shop: Shop, simulator: Simulator
) -> None:
    page = visit(shop.owner)
    open_chat(page)
    chooser = page.locator("input[type=file]")

    chooser.set_input_files(files={"name": "grande.webp", "mimeType": "image/webp", "buffer": b"0" * 600_000})
    page.get_by_role("button", name="Quitar").click()
    chooser.set_input_files(files={"name": "pan.png", "mimeType": "image/png", "buffer": PNG})
    page.get_by_label("Añade un comentario").fill("Recién hecho")
    page.get_by_role("button", name="Enviar").click()

    sent = message(page, "Recién hecho")
    expect(sent).to_have_attribute("data-status", re.compile("accepted|sent|delivered"))
    expect(sent.locator("img.picture")).to_have_attribute("src", re.compile("^blob:"))
    (row,) = simulator.get("/messages", phone_number_id=shop.phone_number_id, direction="outgoing")
    assert row["type"] == "image"
