"""The web edge under a real server: what only a socket can do."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.web import create_app, read_body, read_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

LIMIT = 1_000


async def measure(request: Request) -> Response:
    return JSONResponse({"bytes": len(await read_body(request, limit=LIMIT))})


async def keep(request: Request) -> Response:
    return JSONResponse(await read_json(request, limit=LIMIT))


@asynccontextmanager
async def running() -> AsyncIterator[int]:
    routes = [Route("/", measure, methods=["POST"]), Route("/keep", keep, methods=["POST"])]
    app = create_app("whatsapp-test", routes, environ={})
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="on")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn offers no event
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def exchange(port: int, request: bytes, *, half_close: bool = False) -> tuple[int, Any]:
    """Send raw bytes and read what comes back: the status and the decoded body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    await writer.drain()
    if half_close:
        writer.write_eof()
    head, _, body = (await asyncio.wait_for(reader.read(), 5)).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return (int(head.split()[1]), json.loads(body or b"null")) if head else (0, None)


def post(body: bytes, *headers: str, path: str = "/") -> bytes:
    head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", "Connection: close", *headers])
    return f"{head}\r\n\r\n".encode() + body


async def test_a_chunked_body_over_the_limit_is_refused_while_it_comes() -> None:
    """The last chunk never comes, and nobody waits for it."""
    chunk = b"258\r\n" + b"x" * 600 + b"\r\n"

    async with running() as port:
        status, body = await exchange(port, post(chunk * 2, "Transfer-Encoding: chunked"))

    assert (status, body["error"]["code"]) == (413, "too_large")


async def test_a_declared_length_over_the_limit_is_refused_before_the_body_comes() -> None:
    async with running() as port:
        status, body = await exchange(port, post(b"", "Content-Length: 9999999"))

    assert (status, body["error"]["code"]) == (413, "too_large")


async def test_a_chunked_body_within_the_limit_is_read_whole() -> None:
    chunk = b"12c\r\n" + b"x" * 300 + b"\r\n"

    async with running() as port:
        status, body = await exchange(port, post(chunk * 3 + b"0\r\n\r\n", "Transfer-Encoding: chunked"))

    assert (status, body) == (200, {"bytes": 900})


async def test_a_body_that_is_cut_short_is_not_taken_for_a_whole_one() -> None:
    async with running() as port:
        status, body = await exchange(
            port, post(b'{"a":1}', "Content-Length: 500", path="/keep"), half_close=True
        )

    assert (status, body) == (0, None)


async def test_many_requests_at_once_do_not_mix() -> None:
    async with running() as port:
        answers = await asyncio.gather(
            *(
                exchange(port, post(content, f"Content-Length: {len(content)}", path="/keep"))
                for content in (json.dumps({"n": n}).encode() for n in range(50))
            )
        )

    assert answers == [(200, {"n": n}) for n in range(50)]
