"""The simulator as one ASGI application: Graph at the root, the rest under `/_simulator`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Mount

import local.graph.edges  # noqa: F401 - registers the edges
from local.graph.control import Control
from local.graph.graph import Graph, Receive, Scope, Send
from local.graph.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

_OWN_PATHS = ("/_simulator",)


class SimulatorApp(Starlette):
    """Sends calls to Graph past Starlette's layers, which a message would pay for twice."""

    def __init__(self, simulator: Simulator, **options: Any) -> None:
        super().__init__(**options)
        self.simulator = simulator
        self._graph = Graph(simulator)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and not scope["path"].startswith(_OWN_PATHS):
            await self._graph(scope, receive, send)
            return
        if scope["type"] == "http" and _is_foreign(scope):
            refusal = JSONResponse({"error": {"message": "Not from another site's page."}}, status_code=403)
            await refusal(scope, receive, send)
            return
        if scope.get("path") == "/_simulator":
            scope["path"] = "/_simulator/"
        await super().__call__(scope, receive, send)


def _is_foreign(scope: Scope) -> bool:
    """Tell whether a page of another site makes this request: nobody's browser may drive the simulator."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    return origin is not None and origin.partition(b"://")[2] != headers.get(b"host")


def create_simulator(simulator: Simulator | None = None, **options: Any) -> SimulatorApp:
    """Return the application of a simulator; `options` make a new `Simulator` if none is given."""
    simulator = simulator or Simulator(**options)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await simulator.close()

    return SimulatorApp(
        simulator,
        routes=[Mount("/_simulator", app=Control(simulator).router())],
        exception_handlers={ValueError: _refuse, TypeError: _refuse, HTTPException: _say},
        lifespan=lifespan,
    )


async def _refuse(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": {"message": str(error)}}, status_code=422)


async def _say(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else str(error)
    return JSONResponse({"error": {"message": detail}}, status_code=status)
