"""pywa, as its documentation tells for a server of one's own: check, hand over, answer what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pywa_async import WhatsApp, types

from bench.receivers.sink import SECRET, insert, read, serve, signature_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

whatsapp = WhatsApp(
    phone_id="1",
    token="bench",  # noqa: S106 # made up
    server=None,
    verify_token="bench",  # noqa: S106 # made up
    app_secret=SECRET,
    filter_updates=False,
)


@whatsapp.on_message  # type: ignore[untyped-decorator]
async def keep(_client: WhatsApp, message: types.Message) -> None:
    """Insert what it hands over."""
    wa_id = str(message.from_user.wa_id)
    await insert(message.id, wa_id, str(message.type), message.text, dict(message.raw))


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one delivery."""
    body = await read(receive)
    told = await whatsapp.webhook_update_validator(body, signature_of(scope))
    text, status = told or await whatsapp.webhook_update_handler(body)
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})


if __name__ == "__main__":
    serve(app)
