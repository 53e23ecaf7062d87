"""All functions behind one address, as the deployments have them: `python -m local.functions PORT`.

A folder `functions/<name>` with a `handler.py` answers at `/functions/v1/whatsapp-<name>`; it is found, not
listed here. The webhook answers at `/api/webhooks/whatsapp` too, the path that Vercel gives it.

GET  /         the dashboard; where it is not built, a page about this stack, for the developer
GET  /functions/v1/openapi.json   what all of them take and answer
GET  /functions/v1/openapi        the same, to be read
GET  /health   whether the functions could be loaded
"""

from __future__ import annotations

import html
import importlib
import os
import sys
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from local import openapi
from local.dashboard import Dashboard
from local.programs import ROOT
from local.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/functions/v1/"
ALIASES = {"/api/webhooks/whatsapp": "whatsapp-webhook"}


class Functions:
    """Hands each request on, path and all, to the function that its path names."""

    def __init__(self, apps: Mapping[str, ASGIApp], otherwise: ASGIApp) -> None:
        self.apps = apps
        self.otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        app = self.find(scope["path"]) if scope["type"] == "http" else None
        await (app or self.otherwise)(scope, receive, send)

    def find(self, path: str) -> ASGIApp | None:
        """Find the function of a path."""
        for alias, name in ALIASES.items():
            if path == alias or path.startswith(alias + "/"):
                return self.apps.get(name)
        if not path.startswith(PREFIX):
            return None
        return self.apps.get(path.removeprefix(PREFIX).partition("/")[0])


def load() -> dict[str, ASGIApp]:
    """Import every function that exists."""
    return {
        f"whatsapp-{handler.parent.name.replace('_', '-')}": importlib.import_module(
            f"functions.{handler.parent.name}.handler"
        ).app
        for handler in sorted((ROOT / "functions").glob("*/handler.py"))
    }


def create(environ: Mapping[str, str]) -> Functions:
    """Make the application of the stack."""
    apps = load()

    async def show_page(_request: Request) -> HTMLResponse:
        return HTMLResponse(_page(list(apps), environ))

    async def show_health(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "functions": list(apps)})

    async def not_there(_request: Request) -> Response:
        raise HTTPException(404)

    async def refuse(_request: Request, _error: Exception) -> JSONResponse:
        message = f"There is no function at this path. There are {', '.join(apps)}."
        error = {"code": "not_found", "message": message, "retryable": False, "help": "not_found"}
        return JSONResponse({"error": error}, 404)

    async def show_document(_request: Request) -> JSONResponse:
        return JSONResponse(openapi.document())

    async def show_api(_request: Request) -> HTMLResponse:
        return HTMLResponse(openapi.page(openapi.document()))

    dashboard = Dashboard(environ)
    pages = [Route("/{path:path}", dashboard.answer)] if dashboard.is_built() else [Route("/", show_page)]
    api = [Route(f"{PREFIX}openapi.json", show_document), Route(f"{PREFIX}openapi", show_api)]
    routes = [Route("/health", show_health), *api, Route(f"{PREFIX}{{path:path}}", not_there), *pages]
    return Functions(apps, Starlette(routes=routes, exception_handlers={404: refuse}))


def _page(names: list[str], environ: Mapping[str, str]) -> str:
    def link(address: str) -> str:
        return f'<a href="{html.escape(address)}">{html.escape(address)}</a>'

    base = environ.get("FUNCTIONS_URL", "")
    rows = [
        ("Functions", "<br>".join(html.escape(f"{base}/{name}") for name in names) or "none yet"),
        ("Supabase", html.escape(environ.get("SUPABASE_URL", ""))),
        ("The API", link(f"{base}/openapi")),
        ("Graph API", link(environ.get("GRAPH_API_URL", "") + "/_simulator")),
    ]
    table = "".join(f"<tr><th scope=row>{name}<td>{value}" for name, value in rows)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The local stack</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem }}
  th {{ text-align: left; vertical-align: top; padding-right: 2rem }}
  code {{ background: #eee; padding: .1em .3em }}
</style>
<h1>The local stack is up</h1>
<p>The dashboard is not built: <code>make setup</code> does it. This page stands in its place.</p>
<table>{table}</table>
<ul>
  <li>Keys and addresses are in <code>.local/env</code>, logs in <code>.local/logs</code>.
  <li><code>make story</code> plays a whole conversation on a stack of its own.
  <li><code>make down</code> ends this one; nothing that was stored in it remains.
</ul>
<p>How it works: <code>docs/local-stack.md</code>.</p>
"""


def main() -> None:
    """Serve until asked to stop."""
    uvicorn.run(
        create(os.environ),
        host=HOST,
        port=int(sys.argv[1]),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        # Longer than any client keeps its connections: a request never meets one that is being closed.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
