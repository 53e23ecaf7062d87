"""What one would write first: a bare ASGI application that checks the signature and inserts each message."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING

from bench.receivers.sink import SECRET, insert, read, serve, signature_of

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one delivery."""
    body = await read(receive)
    right = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    is_signed = hmac.compare_digest(right.encode(), signature_of(scope).encode())
    if is_signed:
        for entry in json.loads(body)["entry"]:
            for change in entry["changes"]:
                for message in change["value"].get("messages", []):
                    text = message.get("text", {}).get("body")
                    await insert(message["id"], message["from"], message["type"], text, message)
    await send({"type": "http.response.start", "status": 200 if is_signed else 401, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


if __name__ == "__main__":
    serve(app)
