"""The simulator behind a port: uvicorn, with a way to let connections die."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.graph.graph import ConnectionCut

if TYPE_CHECKING:
    from local.graph.app import SimulatorApp
    from local.graph.graph import Receive, Scope, Send

_transports: dict[tuple[str, int], asyncio.Transport] = {}


class Protocol(H11Protocol):
    """Remembers its transport, so that a fault can abort the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the connection."""
        super().connection_made(transport)
        if self.client is not None:
            _transports[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self.client is not None:
            _transports.pop(self.client, None)
        super().connection_lost(exc)


class WithAbort:
    """Puts `simulator.abort` into the extensions of each request."""

    def __init__(self, app: SimulatorApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            transport = _transports.get(tuple(scope.get("client") or ()))
            if transport is not None:
                scope["extensions"] = {**scope.get("extensions", {}), "simulator.abort": transport.abort}
        try:
            await self.app(scope, receive, send)
        except ConnectionCut:
            # The transport is gone; uvicorn has to learn of that before it looks for an answer.
            await asyncio.sleep(0.01)


def serve(app: SimulatorApp, host: str, port: int, log_level: str = "warning") -> None:
    """Serve until interrupted."""
    config = uvicorn.Config(
        cast("Any", WithAbort(app)),
        host=host,
        port=port,
        http=Protocol,
        log_level=log_level,
        access_log=False,
        server_header=False,
        # Longer than any client keeps its connections: a call never meets one that is being closed.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        lifespan="on",
        backlog=4096,
    )
    uvicorn.Server(config).run()
