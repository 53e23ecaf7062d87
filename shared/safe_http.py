"""POST to an address that a customer typed, and never to anything of ours. An edge: the one call is I/O.

Who may type an address can make us call it. So it must be https at a public name and the usual port; the name
is resolved once, every address it has must be public, and the connection goes to one of those very addresses:
a name that changes between check and use leads nowhere else. Redirects are answers, not instructions.
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpcore

from shared.connections import tls_context
from shared.settings import is_loopback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    Resolve = Callable[[str, int], Awaitable[list[str]]]

HTTPS_PORT = 443
LONGEST_URL = 2_000
CONNECT_SECONDS = 5.0
NAME = re.compile(r"(?=.{1,253}\.?$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\.?")
# Names that only mean something inside a network.
INNER_NAMES = (
    ".localhost",
    ".local",
    ".internal",
    ".intranet",
    ".lan",
    ".home.arpa",
    ".corp",
    ".home",
    ".onion",
)
# IPv6 forms that carry an IPv4 address (RFC 6052, RFC 4291); what is inside decides.
NAT64 = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))
CARRIER = ipaddress.ip_network("::/96")
# Older versions of Python take these for public. https://www.iana.org/assignments/iana-ipv4-special-registry/
NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "100::/64", "2001::/23", "5f00::/16")
)


class UnsafeAddress(Exception):
    """The address may not be called; `rule` says why, in one word for programs."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        super().__init__(SENTENCES[rule])


SENTENCES: Mapping[str, str] = {
    "url": "This is not a whole address: write it as https://host.example/path.",
    "scheme": "The address must begin with https://.",
    "credentials": "The address must hold no user name or password.",
    "port": "Only the usual port of https can be called.",
    "host": "The host must be a public name, not an IP address and not a name of an inner network.",
    "private_address": "The host leads to an address that is not public.",
    "no_address": "The host has no address.",
}


class EndpointFailed(Exception):
    """No answer that counts came; `reason` is one of a few words."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What an endpoint said."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Target:
    """An address that has the form of one that may be called."""

    url: str
    host: str
    port: int
    is_loopback: bool


def read_url(url: str, *, allows_loopback: bool = False) -> Target:
    """Check the form of an address; raise `UnsafeAddress`. What its name leads to is checked at each call."""
    if not url.isascii() or not url.isprintable() or len(url) > LONGEST_URL or re.search(r"[\s\\]", url):
        # Parsers disagree about these, and one that disagrees with the next can be led astray.
        raise UnsafeAddress("url")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise UnsafeAddress("url") from None
    if "@" in parts.netloc:
        raise UnsafeAddress("credentials")
    if allows_loopback and parts.scheme in {"http", "https"} and is_loopback(host):
        default = HTTPS_PORT if parts.scheme == "https" else 80
        return Target(url=url, host=host, port=port or default, is_loopback=True)
    if parts.scheme != "https":
        raise UnsafeAddress("scheme" if parts.scheme and parts.netloc else "url")
    if not NAME.fullmatch(host) or f".{host.rstrip('.')}".endswith(INNER_NAMES):
        raise UnsafeAddress("host")
    if port not in (None, HTTPS_PORT) or parts.netloc.endswith(":"):
        raise UnsafeAddress("port")
    return Target(url=url, host=host, port=HTTPS_PORT, is_loopback=False)


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, whatever it is written in."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None or ip.is_site_local:
            return False
        inner = _carried(ip)
        if inner is not None:
            return is_public(str(inner))
    if any(ip in network for network in NOT_PUBLIC if network.version == ip.version):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _carried(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if ip in CARRIER or any(ip in network for network in NAT64):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


async def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name, as the system resolves it."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class _CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Opens connections to checked addresses only; TLS still proves the name."""

    def __init__(self, resolve_name: Resolve, inner: httpcore.AsyncNetworkBackend, target: Target) -> None:
        self._resolve = resolve_name
        self._inner = inner
        self._target = target

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's name
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if (host.lower(), port) != (self._target.host, self._target.port):
            raise UnsafeAddress("host")
        addresses = await self._resolve(host, port)
        if not addresses:
            raise EndpointFailed("no_address")
        # All of them, so that a name with one public and one private address is refused every time.
        if not all(is_public(each) or (self._target.is_loopback and _is_own(each)) for each in addresses):
            raise UnsafeAddress("private_address")
        for position, address in enumerate(addresses):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if position + 1 == len(addresses):
                    raise
        raise AssertionError("the loop returns or raises")  # pragma: no cover - for the type checker

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's name
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        del path, timeout, socket_options
        raise UnsafeAddress("url")

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def _is_own(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class SafeClient:
    """Calls customers' endpoints, each time over a connection of its own."""

    def __init__(
        self,
        *,
        allows_loopback: bool = False,
        resolve_name: Resolve = resolve,
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._allows_loopback = allows_loopback
        self._resolve = resolve_name
        self._network = network

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, most_bytes: int
    ) -> Answer:
        """Send and read the whole answer, in so many seconds in all.

        Raise `UnsafeAddress` where nothing may be called, and `EndpointFailed` where no answer came.
        """
        target = read_url(url, allows_loopback=self._allows_loopback)
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(target, body, headers, most_bytes)
        except TimeoutError:
            raise EndpointFailed("too_slow") from None
        except httpcore.ConnectTimeout:
            raise EndpointFailed("cannot_connect") from None
        except httpcore.ConnectError as error:
            raise EndpointFailed(
                "bad_certificate" if "certificate" in str(error).lower() else "cannot_connect"
            ) from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException):
            raise EndpointFailed("broken_connection") from None

    async def _exchange(
        self, target: Target, body: bytes, headers: Mapping[str, str], most_bytes: int
    ) -> Answer:
        inner = self._network or _default_network()
        sent = {"Accept-Encoding": "identity", "User-Agent": "whatsapp-functions", **headers}
        async with httpcore.AsyncConnectionPool(
            ssl_context=tls_context(),
            network_backend=_CheckedNetwork(self._resolve, inner, target),
            retries=0,
        ) as pool:
            request = pool.stream(
                "POST",
                target.url,
                headers=[
                    ("Host", _host_header(target.url)),
                    ("Content-Length", str(len(body))),
                    *sent.items(),
                ],
                content=body,
                extensions={"timeout": {"connect": CONNECT_SECONDS, "pool": CONNECT_SECONDS}},
            )
            async with request as response:
                content = bytearray()
                async for chunk in response.aiter_stream():
                    content += chunk
                    if len(content) > most_bytes:
                        raise EndpointFailed("answer_too_large")
                known = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in response.headers
                }
                return Answer(status=response.status, headers=known, body=bytes(content))


def _host_header(url: str) -> str:
    return urlsplit(url).netloc


def _default_network() -> httpcore.AsyncNetworkBackend:
    from httpcore import AnyIOBackend

    return AnyIOBackend()
