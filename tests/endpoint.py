"""An organization's own endpoint, on this machine: it notes what comes, and answers as it is told to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from shared.outbound_events import new_secret, read_secret

if TYPE_CHECKING:
    from collections.abc import Callable

OLDEST = 300


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request that came."""

    id: str
    timestamp: int
    signatures: list[str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """What it tells."""
        content: dict[str, Any] = json.loads(self.body)
        return content

    def is_signed(self, secret: str) -> bool:
        """Prove it as the Standard Webhooks specification says."""
        signed = f"{self.id}.{self.timestamp}.".encode() + self.body
        digest = hmac.new(read_secret(secret), signed, hashlib.sha256).digest()
        wanted = "v1," + base64.b64encode(digest).decode()
        return wanted in self.signatures and abs(time.time() - self.timestamp) < OLDEST


@dataclass(kw_only=True)
class Reply:
    """What to answer with."""

    status: int = 200
    body: Any = None
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


class Endpoint:
    """Serves on a free port until it is left."""

    def __init__(self) -> None:
        self.secret = new_secret()
        self.calls: list[Call] = []
        self.answer: Callable[[Call], Reply] = lambda _call: Reply()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = self.rfile.read(length)
                if len(body) < length:
                    # Whoever asked was killed in the middle of it.
                    self.close_connection = True
                    return
                call = Call(
                    id=self.headers["webhook-id"],
                    timestamp=int(self.headers["webhook-timestamp"]),
                    signatures=self.headers["webhook-signature"].split(" "),
                    body=body,
                )
                endpoint.calls.append(call)
                reply = endpoint.answer(call)
                time.sleep(reply.seconds)
                content = b"" if reply.body is None else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, text in {**reply.headers, "content-length": str(len(content))}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except (BrokenPipeError, ConnectionResetError):
                    # A worker that was killed, or lost its patience.
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_arguments: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
