"""`whatsapp-worker` on Vercel: its ASGI application as it is."""

from functions.worker.handler import app

__all__ = ["app"]
