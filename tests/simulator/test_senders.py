"""Deliveries over real sockets: what servers may do, and how it is read."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from local.graph.senders import NoAnswer, StreamSender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEADERS = {"Content-Type": "application/json"}


@asynccontextmanager
async def serving(*answers: bytes | None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve these answers, one a request; None closes the connection instead; the list holds the requests."""
    requests: list[bytes] = []
    waiting = list(answers)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                requests.append(head + await reader.readexactly(length))
                answer = waiting.pop(0)
                if answer is None:
                    break
                writer.write(answer)
                if b"close" in answer:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/hook?a=ñ b", requests
    server.close()


@pytest.fixture
async def sender() -> AsyncIterator[StreamSender]:
    sender = StreamSender()
    yield sender
    await sender.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    "answer, status, body",
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;x=1\r\nayy\r\n0\r\n\r\n",
            200,
            b"okayy",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, b""),
        (b"HTTP/1.0 500 No\r\nConnection: close\r\n\r\nuntil the end", 500, b"until the end"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 302, b""),
    ],
    ids=["length", "none", "chunks", "no chunks", "until closed", "interim", "redirect"],
)
async def test_answer_is_read_however_it_is_framed(
    sender: StreamSender, answer: bytes, status: int, body: bytes
) -> None:
    async with serving(answer) as (url, requests):
        got = await sender.send("POST", url, HEADERS, b"{}", 2.0)

    assert got == (status, body)
    assert requests[0].startswith(b"POST /hook?a=%C3%B1%20b HTTP/1.1\r\nHost: 127.0.0.1:")
    assert requests[0].endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize("answer", [b"not http\r\n\r\n", None], ids=["garbage", "closed"])
async def test_what_is_no_answer_is_told_as_such(sender: StreamSender, answer: bytes | None) -> None:
    async with serving(answer) as (url, _):
        with pytest.raises(NoAnswer):
            await sender.send("POST", url, HEADERS, b"{}", 2.0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "nothing", "ftp://x/", "http://"])
async def test_nobody_there_or_no_address_is_no_answer(sender: StreamSender, url: str) -> None:
    with pytest.raises(NoAnswer):
        await sender.send("POST", url, HEADERS, b"{}", 2.0)


async def test_slow_server_is_given_up(sender: StreamSender) -> None:
    async with serving(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no") as (url, _):
        with pytest.raises(NoAnswer, match=r"No answer within 0\.1 s"):
            await sender.send("POST", url, HEADERS, b"{}", 0.1)


async def test_kept_connection_that_died_is_replaced(sender: StreamSender) -> None:
    """A server may close a kept connection at any time; the delivery then goes over a new one."""
    async with serving(OK, None, OK) as (url, requests):
        first = await sender.send("POST", url, HEADERS, b"1", 2.0)
        second = await sender.send("POST", url, HEADERS, b"2", 2.0)

    assert (first, second) == ((200, b"ok"), (200, b"ok"))
    assert [request[-1:] for request in requests] == [b"1", b"2", b"2"]


async def test_header_cannot_smuggle_another(sender: StreamSender) -> None:
    async with serving(OK) as (url, requests):
        await sender.send("POST", url, {"X-Hub-Signature-256": "a\r\nX-Evil: 1"}, b"", 2.0)

    assert b"\r\nX-Evil" not in requests[0]
