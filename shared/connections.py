"""How this process opens connections: one TLS context for all clients, and idle ones that outlive a pause.

Loading the certificates costs 15 ms; Lambda freezes a process between two requests for longer than the five
seconds of httpx.
"""

from __future__ import annotations

import logging
import os
import ssl
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
import httpx

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT_SECONDS = 3.0
POOL_SECONDS = 5.0
KEEPALIVE_SECONDS = 60.0
MOST_CONNECTIONS = 100
LANE_WIDTH = 8
# Beside certifi's bundle: the same roots one by one, where deploy/roots.py laid them out.
ROOTS_FOLDER = "by_hash"

# httpcore imports sniffio at every lock that it makes. Where it is not installed, each import searches the
# whole path anew, which costs most of a millisecond a request: say once that it is not there.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

# It writes whole addresses at level info, and some of Meta's carry a token in their query.
logging.getLogger("httpx").setLevel(logging.WARNING)


@cache
def tls_context() -> ssl.SSLContext:
    """Trust certifi's roots, or what SSL_CERT_FILE and SSL_CERT_DIR name; made once.

    From a folder of single roots OpenSSL reads the one that it needs; the bundle it has to read whole.
    """
    folder = Path(certifi.__file__).with_name(ROOTS_FOLDER)
    is_named = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    if folder.is_dir() and not is_named:
        return ssl.create_default_context(capath=folder)
    return httpx.create_ssl_context()


class Lanes(httpx.AsyncBaseTransport):
    """Several small pools as one: the first that is not busy takes the request.

    At each request httpcore compares every connection of its pool with every other: with sixty of them that
    costs more than the request. One after another, requests stay in one pool and on one connection.
    """

    def __init__(self, make_pool: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._make_pool = make_pool
        self._pools: list[httpx.AsyncBaseTransport] = []
        self._busy: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass the request to a pool."""
        lane = next((lane for lane, busy in enumerate(self._busy) if busy < LANE_WIDTH), len(self._busy))
        if lane == len(self._busy):
            self._pools.append(self._make_pool())
            self._busy.append(0)
        self._busy[lane] += 1
        try:
            return await self._pools[lane].handle_async_request(request)
        finally:
            self._busy[lane] -= 1

    async def aclose(self) -> None:
        """Close every pool."""
        for pool in self._pools:
            await pool.aclose()


def open_transport() -> Lanes:
    """Make room for many connections at once."""
    limits = httpx.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS)
    return Lanes(lambda: httpx.AsyncHTTPTransport(verify=tls_context(), limits=limits))


def open_client(transport: httpx.AsyncBaseTransport | None, *, read_seconds: float) -> httpx.AsyncClient:
    """Make a client with explicit timeouts, over this transport or over a pool of its own."""
    timeout = httpx.Timeout(read_seconds, connect=CONNECT_SECONDS, pool=POOL_SECONDS)
    # A transport that is given leaves no room for the environment's proxies, nor for surprises.
    return httpx.AsyncClient(transport=transport or open_transport(), timeout=timeout)
