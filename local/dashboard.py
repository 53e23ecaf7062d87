"""The dashboard as the stack serves it: the build of `web/`, with the addresses of this start filled in.

The pages are static; what they cannot know when they are built stands in them as %NAME%. Nothing that is
filled in is a secret: the publishable key is for browsers.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from local.programs import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.requests import Request

BUILD = ROOT / "web" / "dist"
# Names that change with their content.
HASHED = "_astro/"
HEADERS = {
    # The rest of the policy is in each page: it names the hashes of that page's own scripts.
    "content-security-policy": "frame-ancestors 'none'",
    "permissions-policy": "camera=(), geolocation=(self), microphone=(self), payment=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Dashboard:
    """Answers with the pages and files of the build."""

    def __init__(self, environ: Mapping[str, str], build: Path = BUILD) -> None:
        self.build = build
        self.texts = _texts(environ)

    def is_built(self) -> bool:
        """Tell whether there is anything to show."""
        return (self.build / "index.html").is_file()

    async def answer(self, request: Request) -> Response:
        """Answer one request."""
        path = request.path_params.get("path", "")
        file = (self.build / path).resolve()
        if not file.is_relative_to(self.build.resolve()):
            return self._not_found()
        if (file / "index.html").is_file():
            if path and not path.endswith("/"):
                return RedirectResponse(f"/{path}/", headers=HEADERS)
            return self._page(file / "index.html", 200)
        if not file.is_file():
            return self._not_found()
        lasting = "public, max-age=31536000, immutable" if path.startswith(HASHED) else "no-cache"
        return FileResponse(file, headers={**HEADERS, "cache-control": lasting})

    def _page(self, file: Path, status: int) -> Response:
        page = file.read_text("utf-8")
        for name, text in self.texts.items():
            page = page.replace(f"%{name}%", text)
        return HTMLResponse(page, status_code=status, headers={**HEADERS, "cache-control": "no-cache"})

    def _not_found(self) -> Response:
        page = self.build / "404.html"
        return self._page(page, 404) if page.is_file() else Response(status_code=404, headers=HEADERS)


def _texts(environ: Mapping[str, str]) -> dict[str, str]:
    names = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "FUNCTIONS_URL")
    values = {name: environ.get(name, "") for name in names}
    supabase = _origin(values["SUPABASE_URL"])
    sources = [supabase, supabase.replace("http", "ws", 1), _origin(values["FUNCTIONS_URL"])]
    # They stand inside JSON inside a script element.
    quoted = {name: json.dumps(text)[1:-1].replace("<", "\\u003c") for name, text in values.items()}
    return {**quoted, "CONNECT_SOURCES": " ".join(sources)}


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"
