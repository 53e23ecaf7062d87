"""Edges to other people's servers: how deliveries and handshakes leave the simulator."""

from __future__ import annotations

import asyncio
import ssl
from functools import cache, lru_cache
from typing import Protocol
from urllib.parse import urlsplit

import httpx

USER_AGENT = "facebookexternalua"
_MOST_KEPT = 64 * 1024
_MOST_IDLE = 64


class NoAnswer(Exception):
    """The other side did not answer: refused, cut, or too slow."""


class Sender(Protocol):
    """Something that makes one HTTP request and returns status and the beginning of the body."""

    async def send(
        self, method: str, url: str, headers: dict[str, str], body: bytes, patience: float
    ) -> tuple[int, bytes]:
        """Make a request; raises NoAnswer."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


def to_wire(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Return headers as bytes; a forged signature may hold anything but a line's end."""
    return [
        (name.encode(), value.translate({10: None, 13: None}).encode("utf-8", "surrogatepass"))
        for name, value in headers.items()
    ]


class HttpxSender:
    """Deliveries through httpx, so that tests can give a transport of their own."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._client = httpx.AsyncClient(transport=transport, trust_env=False)

    async def send(
        self, method: str, url: str, headers: dict[str, str], body: bytes, patience: float
    ) -> tuple[int, bytes]:
        """Make a request; raises NoAnswer. Redirects are not followed: Meta does not."""
        try:
            answer = await self._client.request(
                method, url, headers=to_wire(headers), content=body, timeout=patience
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        return answer.status_code, answer.content

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.aclose()


class StreamSender:
    """Deliveries over bare HTTP/1.1 with kept connections: about a tenth of what httpx costs each."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str, int], list[_Connection]] = {}

    async def send(
        self, method: str, url: str, headers: dict[str, str], body: bytes, patience: float
    ) -> tuple[int, bytes]:
        """Make a request; raises NoAnswer. Redirects are not followed: Meta does not."""
        try:
            address, host, target = _split(url)
        except ValueError as error:
            raise NoAnswer(f"The URL is not valid: {error}") from error
        request = _request(method, target, host, headers, body)
        try:
            async with asyncio.timeout(patience):
                return await self._exchange(address, request)
        except TimeoutError as error:
            raise NoAnswer(f"No answer within {patience:g} s.") from error
        except OSError as error:
            raise NoAnswer(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Let go of all connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def _exchange(self, address: tuple[str, str, int], request: bytes) -> tuple[int, bytes]:
        idle = self._idle.setdefault(address, [])
        while idle:
            connection = idle.pop()
            if not connection.is_open:
                continue
            try:
                return await self._use(connection, idle, request)
            except _Stale:
                continue
        scheme, host, port = address
        loop = asyncio.get_running_loop()
        context = _tls() if scheme == "https" else None
        _, connection = await loop.create_connection(_Connection, host, port, ssl=context)
        try:
            return await self._use(connection, idle, request)
        except _Stale as error:
            raise NoAnswer("The connection was closed without an answer.") from error

    async def _use(
        self, connection: _Connection, idle: list[_Connection], request: bytes
    ) -> tuple[int, bytes]:
        try:
            answer = await connection.ask(request)
        except BaseException:
            connection.close()
            raise
        if connection.is_open and connection.is_reusable and len(idle) < _MOST_IDLE:
            idle.append(connection)
        else:
            connection.close()
        return answer


class _Stale(ConnectionError):
    """The connection was closed before a byte of the answer came."""


class _Connection(asyncio.Protocol):
    """One connection; it holds one request at a time."""

    def __init__(self) -> None:
        self.is_open = False
        self.is_reusable = True
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._kept = bytearray()
        self._status = 0
        self._body_at = -1
        self._length: int | None = None
        self._is_chunked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        """End what was waiting: a body without a length ends here as it should."""
        self.is_open = False
        if self._answer is None or self._answer.done():
            return
        if self._body_at >= 0 and self._length is None and not self._is_chunked:
            self._finish(bytes(self._kept[self._body_at :]))
        elif not self._kept:
            self._answer.set_exception(_Stale(str(exc or "closed")))
        else:
            self._answer.set_exception(ConnectionError("The connection was closed within the answer."))

    def ask(self, request: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """Send a request; the future holds its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._kept.clear()
        self._body_at, self._length, self._is_chunked = -1, None, False
        if self._transport is not None:
            self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._answer is None or self._answer.done():
            self.close()
            return
        self._kept += data
        try:
            self._read_on()
        except (ValueError, IndexError):
            self.is_reusable = False
            self._answer.set_exception(ConnectionError("The answer is not HTTP."))

    def close(self) -> None:
        """Close the connection."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def _read_on(self) -> None:
        while self._body_at < 0:
            end = self._kept.find(b"\r\n\r\n")
            if end < 0:
                if len(self._kept) > _MOST_KEPT:
                    raise ValueError("The head does not end.")
                return
            self._read_head(bytes(self._kept[:end]), end + 4)
        body = self._kept[self._body_at :]
        if self._is_chunked:
            if body.startswith(b"0\r\n") or b"\r\n0\r\n" in body:
                self._finish(_unchunk(bytes(body)))
        elif self._length is not None and len(body) >= self._length:
            self._finish(bytes(body[: self._length]))
        if len(body) > _MOST_KEPT and self._answer is not None and not self._answer.done():
            self.is_reusable = False
            self._finish(bytes(body[:_MOST_KEPT]))

    def _read_head(self, head: bytes, body_at: int) -> None:
        lines = head.split(b"\r\n")
        self._status = int(lines[0].split(b" ", 2)[1])
        if self._status < 200:  # noqa: PLR2004 - an interim answer, the real one follows
            del self._kept[:body_at]
            return
        self._body_at = body_at
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            name, value = name.strip().lower(), value.strip().lower()
            if name == b"content-length":
                self._length = int(value)
            elif name == b"transfer-encoding":
                self._is_chunked = b"chunked" in value
            elif name == b"connection" and value == b"close":
                self.is_reusable = False
        if self._status in (204, 304):
            self._length = 0
        if lines[0].startswith(b"HTTP/1.0"):
            self.is_reusable = False

    def _finish(self, body: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._status, body))


def _unchunk(body: bytes) -> bytes:
    parts: list[bytes] = []
    position = 0
    while True:
        end = body.find(b"\r\n", position)
        size = int(body[position:end].split(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + size])
        position = end + 4 + size


@lru_cache(maxsize=1024)
def _split(url: str) -> tuple[tuple[str, str, int], str, str]:
    """Return address, Host header and target of a URL; raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it must begin with http:// or https:// and name a host")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    target = httpx.URL(url).raw_path.decode("ascii")
    host = parts.netloc.rpartition("@")[2]
    return (parts.scheme, parts.hostname, port), host, target


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _request(method: str, target: str, host: str, headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"{method} {target} HTTP/1.1\r\nHost: {host}".encode()]
    lines += [name + b": " + value for name, value in to_wire(headers)]
    if method != "GET":
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
