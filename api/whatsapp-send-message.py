"""`whatsapp-send-message` on Vercel: its ASGI application as it is."""

from functions.send_message.handler import app

__all__ = ["app"]
