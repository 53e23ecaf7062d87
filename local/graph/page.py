"""The page for people: three static files, served under a policy that lets nothing else in."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.requests import Request

_FOLDER = Path(__file__).parent / "page"
_TYPES = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def index(_request: Request) -> Response:
    """Give the page."""
    return _file("index.html")


async def asset(request: Request) -> Response:
    """Give the script or the style sheet."""
    return _file(request.path_params["name"])


def _file(name: str) -> Response:
    if name not in _TYPES:
        raise HTTPException(404, "There is no such file.")
    headers = {
        "content-security-policy": _POLICY,
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
    }
    return Response(_read(name), media_type=_TYPES[name], headers=headers)


@cache
def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()
