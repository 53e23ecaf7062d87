"""How this process opens connections: one TLS context for all clients, and idle ones that outlive a pause.

Loading the certificates costs 20 ms a client; Lambda freezes a process between two requests for longer than
httpx's own five seconds.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import ssl

CONNECT_SECONDS = 3.0
POOL_SECONDS = 5.0
KEEPALIVE_SECONDS = 60.0
MOST_CONNECTIONS = 100

# It writes whole addresses at level info, and some of Meta's carry a token in their query.
logging.getLogger("httpx").setLevel(logging.WARNING)


@cache
def tls_context() -> ssl.SSLContext:
    """Load the certificates that we trust, once."""
    return httpx.create_ssl_context()


def open_transport() -> httpx.AsyncHTTPTransport:
    """Make a pool of connections."""
    limits = httpx.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS)
    return httpx.AsyncHTTPTransport(verify=tls_context(), limits=limits)


def open_client(transport: httpx.AsyncBaseTransport | None, *, read_seconds: float) -> httpx.AsyncClient:
    """Make a client with explicit timeouts, over this transport or over a pool of its own."""
    timeout = httpx.Timeout(read_seconds, connect=CONNECT_SECONDS, pool=POOL_SECONDS)
    # A transport that is given leaves no room for the environment's proxies, nor for surprises.
    return httpx.AsyncClient(transport=transport or open_transport(), timeout=timeout)
