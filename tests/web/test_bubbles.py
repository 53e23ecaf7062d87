"""Each kind of message is drawn as what it is: its bytes, its words, and what was said about it later."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.offices import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg
    from playwright.sync_api import Locator, Page

    from tests.web.conftest import Shop
    from tests.world import Simulator, World

ANA = {"phone_number": "15550100001", "name": "Ana"}


def png(width: int, height: int) -> bytes:
    """Make a picture of one colour."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    rows = (b"\x00" + b"\xc9\x8a\x4b" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def ogg_opus(seconds: float) -> bytes:
    """Make a voice note that says nothing: https://www.rfc-editor.org/rfc/rfc7845."""
    silence, samples = b"\xf8\xff\xfe", 960
    frames = [silence] * int(seconds * 50)

    def page(number: int, flags: int, position: int, packets: list[bytes]) -> bytes:
        lengths = bytes(len(packet) for packet in packets)
        head = struct.pack("<4sBBqIII", b"OggS", 0, flags, position, 1, number, 0)
        whole = head + bytes([len(lengths)]) + lengths + b"".join(packets)
        checksum = 0
        for byte in whole:
            checksum ^= byte << 24
            for _ in range(8):
                checksum = ((checksum << 1) ^ (0x04C11DB7 if checksum & 0x80000000 else 0)) & 0xFFFFFFFF
        return whole[:22] + struct.pack("<I", checksum) + whole[26:]

    told = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 0, 48000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 0) + struct.pack("<I", 0)
    parts = [frames[start : start + 50] for start in range(0, len(frames), 50)]
    sound, position = [], 0
    for number, part in enumerate(parts, 2):
        position += samples * len(part)
        sound.append(page(number, 4 if number == len(parts) + 1 else 0, position, part))
    return page(0, 2, 0, [told]) + page(1, 0, 0, [tags]) + b"".join(sound)


def encoded(content: bytes, mime_type: str) -> dict[str, str]:
    return {"data_base64": base64.b64encode(content).decode(), "mime_type": mime_type}


@pytest.fixture
def shop(new_shop: Callable[..., Shop], simulator: Simulator) -> Shop:
    shop = new_shop()
    simulator.write(shop.phone_number_id, "Hola", sender=ANA)  # type: ignore[arg-type]
    simulator.settle()
    return shop


@pytest.fixture(scope="module")
def _fetching(world: World) -> Iterator[None]:
    """Have the bytes of what customers send fetched, as a worker does."""
    with workers(world):
        yield


@pytest.fixture
def write(simulator: Simulator, shop: Shop) -> Callable[..., str]:
    """Let the customer send something; answers its wamid."""

    def write(kind: str, content: Any, **fields: Any) -> str:
        body = {"phone_number_id": shop.phone_number_id, "from": ANA, "type": kind, kind: content, **fields}
        told: str = simulator.post("/customers/messages", **body)["message"]["id"]
        return told

    return write


@pytest.fixture
def conversation(visit: Callable[..., Page], shop: Shop) -> Locator:
    page = visit(shop.owner)
    page.get_by_role("link", name=re.compile("Ana")).click()
    area = page.get_by_role("region", name="Mensajes")
    expect(area.locator("li[data-id]")).to_have_count(1)
    return area


@pytest.mark.usefixtures("_fetching")
def test_pictures_and_stickers_are_shown(conversation: Locator, write: Callable[..., str]) -> None:
    write("image", {"caption": "Mi *pedido*", **encoded(png(320, 200), "image/png")})
    write("sticker", encoded(png(64, 64), "image/png"))

    picture = conversation.locator("img.picture")
    expect(picture).to_have_attribute("src", re.compile("^blob:"))
    expect(picture).to_have_attribute("alt", "Foto")
    expect(conversation.locator("li[data-id]").filter(has_text="Mi").locator("strong")).to_have_text("pedido")
    assert picture.evaluate("async image => (await image.decode(), image.naturalWidth)") == 320
    expect(conversation.get_by_role("img", name="Sticker")).to_have_attribute("src", re.compile("^blob:"))
    assert picture.bounding_box()["width"] <= 320 + 1  # type: ignore[index]


@pytest.mark.usefixtures("_fetching")
def test_a_voice_note_is_played_here(conversation: Locator, write: Callable[..., str]) -> None:
    write("audio", {"voice": True, **encoded(ogg_opus(3), "audio/ogg; codecs=opus")})

    player = conversation.locator("audio")
    expect(player).to_have_attribute("aria-label", "Nota de voz")
    expect(player).to_have_js_property("readyState", 4)
    assert round(player.evaluate("player => player.duration")) == 3


@pytest.mark.usefixtures("_fetching")
def test_a_film_and_a_file_come_when_they_are_asked_for(
    conversation: Locator, write: Callable[..., str]
) -> None:
    write("video", {"caption": "El horno"})
    write("document", {"filename": "lista.pdf", "caption": "Precios"})

    conversation.get_by_role("button", name=re.compile("Video")).click()
    expect(conversation.locator("video")).to_have_attribute("src", re.compile("^blob:"))
    expect(conversation.get_by_text("El horno")).to_be_visible()
    with conversation.page.expect_download() as download:
        conversation.get_by_role("button", name=re.compile(r"lista\.pdf")).click()
    assert download.value.suggested_filename == "lista.pdf"
    expect(conversation.get_by_text("Precios")).to_be_visible()


@pytest.mark.usefixtures("_fetching")
def test_what_whatsapp_no_longer_has_says_so(
    conversation: Locator, write: Callable[..., str], database: psycopg.Connection[tuple[Any, ...]]
) -> None:
    wamid = write("image", {})
    expect(conversation.locator("img.picture")).to_be_visible()
    database.execute(
        "update message_media set state = 'expired', storage_path = null where message_id ="
        " (select id from messages where wamid = %s)",
        (wamid,),
    )

    conversation.page.reload()

    expect(conversation.get_by_text("El archivo ya no está disponible en WhatsApp.")).to_be_visible()


def test_an_order_tells_what_how_many_and_for_how_much(
    conversation: Locator, write: Callable[..., str]
) -> None:
    items = [
        {"product_retailer_id": "pan-de-yema", "quantity": 2, "item_price": 30.5, "currency": "PEN"},
        {"product_retailer_id": "empanada", "quantity": 1, "item_price": 8, "currency": "PEN"},
    ]
    write("order", {"catalog_id": "400000000000001", "text": "Para las 5", "product_items": items})

    order = conversation.locator("li[data-id]").last
    expect(order).to_contain_text(re.compile("2 . pan-de-yema"))
    expect(order).to_contain_text(re.compile("1 . empanada"))
    expect(order).to_contain_text(re.compile(r"Total: 69,00\sPEN"))
    expect(order).to_contain_text("Para las 5")


def test_places_cards_and_chosen_buttons_are_told_in_words(
    conversation: Locator, write: Callable[..., str]
) -> None:
    write("location", {"latitude": -12.1, "longitude": -77.0, "name": "Parque", "address": "Av. Larco 1"})
    write("contacts", [{"name": {"formatted_name": "Luis Paz"}, "phones": [{"phone": "+1 555 010 0177"}]}])
    write("interactive", {"type": "button_reply", "button_reply": {"id": "si", "title": "Sí, por favor"}})
    write(
        "interactive",
        {
            "type": "list_reply",
            "list_reply": {"id": "a", "title": "Integral", "description": "De masa madre"},
        },
    )
    write("button", {"payload": "p", "text": "Confirmar"})

    expect(conversation.get_by_text("Parque", exact=True)).to_be_visible()
    expect(conversation.get_by_role("link", name="Abrir en el mapa")).to_have_attribute(
        "href", re.compile(r"^https://www\.openstreetmap\.org/\?mlat=-12\.1&mlon=-77")
    )
    for words in ("Luis Paz", "+1 555 010 0177", "Sí, por favor", "Integral", "Confirmar"):
        expect(conversation.get_by_text(words, exact=True)).to_be_visible()


def test_what_is_said_about_a_message_is_shown_on_it(
    conversation: Locator, write: Callable[..., str]
) -> None:
    wamid = write("text", {"body": "Quiero dos"})
    line = conversation.locator("li[data-id]").filter(has_text="Quiero dos")
    expect(line).to_have_count(1)

    write("reaction", {"message_id": wamid, "emoji": "🙏"})
    expect(line.locator(".reactions")).to_contain_text("🙏")
    write("text", {"body": "¿Llegó?"}, context={"id": wamid})
    expect(conversation.locator(".quote")).to_contain_text("Quiero dos")
    write(
        "edit", {"original_message_id": wamid, "message": {"type": "text", "text": {"body": "Quiero tres"}}}
    )
    expect(conversation.locator("li[data-id]").filter(has_text="Editado")).to_contain_text("Quiero tres")
    write("revoke", {"original_message_id": wamid})

    expect(conversation.get_by_text("Se eliminó este mensaje")).to_be_visible()


def test_marks_of_format_and_links_are_drawn_and_nothing_else(
    conversation: Locator, write: Callable[..., str]
) -> None:
    write("text", {"body": "*fuerte* _suave_ ~no~ `código` https://example.com/a?b=1 javascript:alert(1)"})

    words = conversation.locator("li[data-id]").last
    for tag, text in (("strong", "fuerte"), ("em", "suave"), ("s, del", "no"), ("code", "código")):
        expect(words.locator(tag)).to_have_text(text)
    expect(words.locator("a")).to_have_attribute("href", "https://example.com/a?b=1")
    expect(words.locator("a")).to_have_attribute("rel", re.compile("noopener"))


def test_what_cannot_be_shown_says_where_to_look(conversation: Locator, write: Callable[..., str]) -> None:
    write("unsupported", {}, errors=[{"code": 131051, "title": "Message type unknown"}])

    expect(conversation.get_by_text("Ábrelo en el teléfono.")).to_be_visible()
