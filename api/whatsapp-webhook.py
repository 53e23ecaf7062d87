"""`whatsapp-webhook` on Vercel: its ASGI application as it is."""

from functions.webhook.handler import app

__all__ = ["app"]
