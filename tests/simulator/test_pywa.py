"""pywa, a client that others wrote for Meta: it talks to the simulator, and reads its deliveries.

Only its transport is ours. What it cannot do here:
- `get_blocked_users`: it wants an `input` in each row, which Meta's documentation does not have;
- flows, calls, groups, signups, archived and migrated templates: the simulator does not have these edges.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pywa_async import WhatsApp, types
from pywa_async.types import templates

from local.graph import create_simulator
from tests.simulator.conftest import APP_ID, APP_SECRET

if TYPE_CHECKING:
    from local.graph import Simulator

TO = "15550100001"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


@pytest.fixture
async def client(simulator: Simulator, business: dict[str, Any]) -> AsyncIterator[WhatsApp]:
    """Pywa with the business's token; the simulator behind its transport."""
    session = httpx.AsyncClient(transport=httpx.ASGITransport(app=create_simulator(simulator)))
    yield WhatsApp(
        phone_id=business["phone_number_id"],
        token=business["access_token"],
        session=session,
        server=None,
        waba_id=business["waba_id"],
        business_portfolio_id=business["business_id"],
        app_id=business["app_id"],
        app_secret=business["app_secret"],
        verify_token=business["webhook_verify_token"],
    )
    await session.aclose()


Do = Callable[[WhatsApp], Awaitable[Any]]

SENDS: dict[str, Do] = {
    "text": lambda wa: wa.send_message(TO, "hola", tracker="row-1"),
    "buttons": lambda wa: wa.send_message(TO, "x", buttons=[types.Button("Sí", "si")]),
    "list": lambda wa: wa.send_message(
        TO, "x", buttons=types.SectionList("Ver", [types.Section("S", [types.SectionRow("t", "id")])])
    ),
    "url": lambda wa: wa.send_message(TO, "x", buttons=types.URLButton("Ver", "https://shop.test")),
    "flow": lambda wa: wa.send_message(
        TO,
        "x",
        buttons=types.FlowButton(
            "Abrir", flow_id="1", flow_action_type=types.FlowActionType.NAVIGATE, flow_action_screen="S"
        ),
    ),
    "image": lambda wa: wa.send_image(TO, PNG, mime_type="image/png", caption="x"),
    "video": lambda wa: wa.send_video(TO, "https://shop.test/v.mp4"),
    "document": lambda wa: wa.send_document(TO, b"%PDF", filename="a.pdf", mime_type="application/pdf"),
    "audio": lambda wa: wa.send_audio(TO, "https://shop.test/a.mp3"),
    "voice": lambda wa: wa.send_voice(TO, b"OggS", mime_type="audio/ogg"),
    "sticker": lambda wa: wa.send_sticker(TO, "https://shop.test/a.webp"),
    "location": lambda wa: wa.send_location(TO, -12.05, -77.04, "Lima", "Jirón"),
    "location request": lambda wa: wa.request_location(TO, "x"),
    "contact request": lambda wa: wa.request_contact_info(TO, "x"),
    "contact": lambda wa: wa.send_contact(TO, types.Contact(name=types.Contact.Name(formatted_name="Ana"))),
    "catalog": lambda wa: wa.send_catalog(TO, "x"),
    "product": lambda wa: wa.send_product(TO, "catalog", "sku"),
    "products": lambda wa: wa.send_products(TO, "catalog", [types.ProductsSection("t", ["sku"])], "T", "b"),
}

MANAGES: dict[str, Do] = {
    "account": lambda wa: wa.get_business_account(),
    "owned accounts": lambda wa: wa.get_owned_business_accounts(),
    "shared accounts": lambda wa: wa.get_shared_business_accounts(),
    "number": lambda wa: wa.get_business_phone_number(),
    "numbers": lambda wa: wa.get_business_phone_numbers(),
    "settings": lambda wa: wa.get_business_phone_number_settings(),
    "automation": lambda wa: wa.update_conversational_automation(
        ice_breakers=["¿Precio?"], commands=[types.Command("menu", "La carta")]
    ),
    "display name": lambda wa: wa.update_display_name("Bodega"),
    "profile": lambda wa: wa.get_business_profile(),
    "set profile": lambda wa: wa.update_business_profile(
        about="Pan", email="a@shop.test", websites=["https://shop.test"], industry=types.Industry.RETAIL
    ),
    "public key": lambda wa: wa.set_business_public_key("key"),
    "commerce": lambda wa: wa.get_commerce_settings(),
    "set commerce": lambda wa: wa.update_commerce_settings(is_cart_enabled=True),
    "templates": lambda wa: wa.get_templates(),
    "create number": lambda wa: wa.create_phone_number(
        country_calling_code="51", phone_number="900000001", verified_name="Bodega"
    ),
    "register": lambda wa: wa.register_phone_number("123456"),
    "deregister": lambda wa: wa.deregister_phone_number(),
    "qr code": lambda wa: wa.create_qr_code("hola", "PNG"),
    "qr codes": lambda wa: wa.get_qr_codes(),
    "app token": lambda wa: wa.get_app_access_token(APP_ID, APP_SECRET),
    "waba callback": lambda wa: wa.override_waba_callback_url("http://receiver.test/w", "verify-me"),
    "no waba callback": lambda wa: wa.delete_waba_callback_url(),
    "phone callback": lambda wa: wa.override_phone_callback_url("http://receiver.test/p", "verify-me"),
    "no phone callback": lambda wa: wa.delete_phone_callback_url(),
    "block": lambda wa: wa.block_users([TO]),
    "unblock": lambda wa: wa.unblock_users([TO]),
    "username": lambda wa: wa.set_username("panaderia"),
    "no username": lambda wa: wa.delete_username(),
}


@pytest.mark.parametrize("name", SENDS)
async def test_every_type_is_sent_and_its_statuses_are_read(
    client: WhatsApp, simulator: Simulator, receiver: Any, write: Any, name: str
) -> None:
    """Each send gets a wamid, and pywa reads the statuses that the simulator delivers."""
    write()
    read = collect(client.on_message_status)

    sent = await SENDS[name](client)
    assert await simulator.settle()
    await feed(client, receiver)

    assert sent.id.startswith("wamid.")
    assert [status.status.value for status in read] == ["sent", "delivered"]
    assert {status.id for status in read} == {sent.id}


def collect(register: Callable[[Any], Any]) -> list[Any]:
    """Register a handler; the list holds what it gets."""
    kept: list[Any] = []

    async def keep(_client: WhatsApp, thing: Any) -> None:
        kept.append(thing)

    register(keep)
    return kept


async def feed(client: WhatsApp, receiver: Any) -> None:
    """Give pywa what the simulator delivered, as its webhook server would."""
    for request in receiver.requests:
        refused = await client.webhook_update_validator(
            request.content, request.headers["x-hub-signature-256"]
        )
        assert refused is None
        assert (await client.webhook_update_handler(request.content))[1] == 200


@pytest.mark.parametrize("name", MANAGES)
async def test_management_calls_are_answered(client: WhatsApp, write: Any, name: str) -> None:
    write()

    assert await MANAGES[name](client) is not None


async def test_username_is_taken_and_shown(client: WhatsApp) -> None:
    await client.set_username("panaderia")

    assert (await client.get_current_username()).username == "panaderia"


async def test_reading_typing_and_reacting(client: WhatsApp, write: Any) -> None:
    incoming = write()

    assert (await client.mark_message_as_read(incoming)).success
    assert (await client.indicate_typing(incoming)).success
    assert (await client.send_reaction(TO, "👍", incoming)).id
    assert (await client.remove_reaction(TO, incoming)).id


async def test_media_goes_up_and_down(client: WhatsApp) -> None:
    media = await client.upload_media(PNG, "image/png", filename="a.png")

    described = await client.get_media_url(media.id)
    content = await client.get_media_bytes(described.url)
    gone = await client.delete_media(media.id)

    assert content == PNG
    assert described.file_size == len(PNG)
    assert gone.success


async def test_number_is_verified_by_its_code(client: WhatsApp, simulator: Simulator) -> None:
    made = await client.create_phone_number(
        country_calling_code="51", phone_number="900000001", verified_name="Bodega"
    )

    await client.request_verification_code(phone_id=made.id, code_method="SMS", language_code="es")
    code = simulator.state.numbers[made.id].code
    verified = await client.verify_phone_number(phone_id=made.id, code=code)

    assert verified.success


async def test_template_is_created_sent_and_deleted(client: WhatsApp, simulator: Simulator) -> None:
    made = await client.create_template(
        templates.Template(
            name="pedido",
            language=templates.TemplateLanguage.SPANISH,
            category=templates.TemplateCategory.UTILITY,
            parameter_format=templates.ParamFormat.NAMED,
            components=[body := templates.BodyText("Hola {{name}}, llegó.", name="Ana")],
        )
    )
    assert await simulator.settle()
    shown = await client.get_template(made.id)
    sent = await client.send_template(
        TO, "pedido", templates.TemplateLanguage.SPANISH, params=[body.params(name="Luis")]
    )
    gone = await client.delete_template("pedido")

    assert shown.status.value == "APPROVED"
    assert sent.id.startswith("wamid.")
    assert gone.success


RECEIVED: dict[str, dict[str, Any]] = {
    "text": {"text": {"body": "¿Tienen pan?"}},
    "image": {"type": "image", "image": {"caption": "mira"}},
    "video": {"type": "video"},
    "audio": {"type": "audio"},
    "document": {"type": "document", "document": {"filename": "a.pdf"}},
    "sticker": {"type": "sticker", "sticker": {"animated": False}},
    "location": {"type": "location", "location": {"latitude": -12.05, "longitude": -77.04}},
    "contacts": {"type": "contacts", "contacts": [{"name": {"formatted_name": "Ana", "first_name": "Ana"}}]},
    "reaction": {"type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": "👍"}},
    "unsupported": {"type": "unsupported"},
}


@pytest.mark.parametrize("name", RECEIVED)
async def test_every_type_that_a_customer_sends_is_read(
    client: WhatsApp, simulator: Simulator, receiver: Any, write: Any, name: str
) -> None:
    read = collect(client.on_message)

    message_id = write(**RECEIVED[name])
    assert await simulator.settle()
    await feed(client, receiver)

    (message,) = read
    assert (message.id, message.type.value) == (message_id, name)
    assert message.from_user.wa_id == TO


async def test_tapped_buttons_and_chosen_rows_are_read(
    client: WhatsApp, simulator: Simulator, receiver: Any, write: Any
) -> None:
    taps = collect(client.on_callback_button)
    choices = collect(client.on_callback_selection)
    write()
    sent = await client.send_message(TO, "x", buttons=[types.Button("Sí", "si")])

    reply = {"type": "button_reply", "button_reply": {"id": "si", "title": "Sí"}}
    row = {"type": "list_reply", "list_reply": {"id": "r1", "title": "Pan", "description": "de yema"}}
    write(type="interactive", interactive=reply, context={"id": sent.id})
    write(type="interactive", interactive=row, context={"id": sent.id})
    assert await simulator.settle()
    await feed(client, receiver)

    assert [tap.data for tap in (*taps, *choices)] == ["si", "r1"]


async def test_refusal_becomes_its_error_class(client: WhatsApp, simulator: Simulator, write: Any) -> None:
    from pywa.errors import ReEngagementMessage

    from local.graph.faults import Fault

    write()
    simulator.faults.add(Fault(id="f", edge="messages", code=131047))

    with pytest.raises(ReEngagementMessage):
        await client.send_message(TO, "x")


async def test_forged_delivery_is_refused(
    client: WhatsApp, receiver: Any, simulator: Simulator, write: Any
) -> None:
    write()
    assert await simulator.settle()

    refused = await client.webhook_update_validator(receiver.requests[0].content, "sha256=" + "0" * 64)

    assert refused is not None
    assert refused[1] in (400, 401, 403)
