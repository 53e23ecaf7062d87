"""`whatsapp-oauth` on Vercel: its ASGI application as it is."""

from functions.oauth.handler import app

__all__ = ["app"]
