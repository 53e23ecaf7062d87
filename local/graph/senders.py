"""Edges to other people's servers: how deliveries and handshakes leave the simulator."""

from __future__ import annotations

from typing import Protocol

import httpx

USER_AGENT = "facebookexternalua"


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
    """Return headers as bytes; a forged signature may hold anything."""
    return [(name.encode(), value.encode("utf-8", "surrogatepass")) for name, value in headers.items()]


class HttpxSender:
    """Deliveries through httpx, so that tests can give a transport of their own."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
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
