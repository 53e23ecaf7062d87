"""Deliveries sent to a receiver: as fast as it takes them, or at a rate of their own."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.signatures import sign

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

OK = (b"HTTP/1.1 200", b"HTTP/1.1 201", b"HTTP/1.1 204")


@dataclass(frozen=True)
class Sent:
    """What was sent and answered by 2xx, with the seconds that each answer took, and all together."""

    count: int
    seconds: float
    each: Sequence[float]

    def percentile(self, percent: float) -> float:
        """Return the milliseconds within which this many percent were answered."""
        ordered = sorted(self.each)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


def write_requests(url: str, bodies: Iterable[bytes], secret: str) -> list[bytes]:
    """Sign bodies and write them as HTTP, beforehand: the measuring process has better to do meanwhile."""
    path = urlsplit(url).path or "/"
    return [
        (
            f"POST {path} HTTP/1.1\r\nhost: receiver\r\ncontent-type: application/json\r\n"
            f"x-hub-signature-256: {sign(body, secret)}\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode()
        + body
        for body in bodies
    ]


def saturate(url: str, requests: Sequence[bytes], *, connections: int, seconds: float) -> Sent:
    """Send over so many connections, on each the next as soon as the last is answered."""
    return asyncio.run(_saturate(url, iter(requests), connections, seconds))


def keep_pace(url: str, requests: Sequence[bytes], *, a_second: float) -> Sent:
    """Send at this rate whatever the answers do; each is timed from the moment that it was due."""
    return asyncio.run(_keep_pace(url, requests, a_second))


class Connection:
    """One kept connection to a receiver."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: str) -> Connection:
        """Connect."""
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    async def ask(self, request: bytes) -> None:
        """Send a request and read its answer, which must be 2xx."""
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        start = head.find(b"content-length:")
        if start >= 0:
            body = await self._reader.readexactly(int(head[start + 15 :].split(b"\r\n", 1)[0]))
        else:
            body = await self._read_chunks() if b"chunked" in head else b""
        if not head.upper().startswith(OK):
            raise RuntimeError(f"{head.decode()}{body.decode(errors='replace')}")

    async def _read_chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
        return body

    def close(self) -> None:
        """Close it."""
        self._writer.close()


async def _saturate(url: str, requests: Iterator[bytes], connections: int, seconds: float) -> Sent:
    each: list[float] = []
    opened = [await Connection.open(url) for _ in range(connections)]
    began = time.perf_counter()
    until = began + seconds

    async def work(connection: Connection) -> None:
        while (now := time.perf_counter()) < until and (request := next(requests, None)):
            await connection.ask(request)
            each.append(time.perf_counter() - now)
        connection.close()

    await asyncio.gather(*(work(connection) for connection in opened))
    return Sent(len(each), time.perf_counter() - began, each)


async def _keep_pace(url: str, requests: Sequence[bytes], a_second: float) -> Sent:
    idle: list[Connection] = []
    each: list[float] = []
    began = time.perf_counter()

    async def send(request: bytes, due: float) -> None:
        connection = idle.pop() if idle else await Connection.open(url)
        await connection.ask(request)
        each.append(time.perf_counter() - due)
        idle.append(connection)

    async with asyncio.TaskGroup() as tasks:
        for number, request in enumerate(requests):
            due = began + number / a_second
            await asyncio.sleep(due - time.perf_counter())
            tasks.create_task(send(request, due))
    for connection in idle:
        connection.close()
    return Sent(len(each), time.perf_counter() - began, each)
