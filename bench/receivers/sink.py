"""One insert a message."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn

from local.settings import HOST

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope

SECRET = os.environ["WHATSAPP_APP_SECRET"]
_HEADERS = {"authorization": f"Bearer {os.environ['SINK_KEY']}", "apikey": os.environ["SINK_KEY"]}
_client = httpx.AsyncClient(headers=_HEADERS, trust_env=False, limits=httpx.Limits(max_connections=64))


async def insert(wamid: str, sender: str, type_: str, text: str | None, content: dict[str, Any]) -> None:
    """Insert a message; raises when it was not."""
    row = {"wamid": wamid, "sender": sender, "type": type_, "text": text, "content": content}
    answer = await _client.post(os.environ["SINK_URL"], json=row)
    answer.raise_for_status()


async def read(receive: Receive) -> bytes:
    """Read a request's body."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


def signature_of(scope: Scope) -> str:
    """Return the signature that came with a request."""
    return next((value.decode() for name, value in scope["headers"] if name == b"x-hub-signature-256"), "")


def serve(app: ASGIApp) -> None:
    """Serve as our own functions are served."""
    uvicorn.run(app, host=HOST, port=int(sys.argv[1]), log_level="warning", access_log=False, lifespan="off")
