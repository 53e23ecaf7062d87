"""`whatsapp-meta-api` on Vercel: its ASGI application as it is."""

from functions.meta_api.handler import app

__all__ = ["app"]
