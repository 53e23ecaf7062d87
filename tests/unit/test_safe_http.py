"""An address that a customer typed leads to the public internet, or nowhere."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import httpcore
import pytest

from shared.safe_http import Answer, EndpointFailed, SafeClient, UnsafeAddress, is_public, read_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PUBLIC = "93.184.215.14"


class Network(httpcore.AsyncNetworkBackend):
    """Notes where connections go, and answers without any."""

    def __init__(self, answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") -> None:
        self.connected: list[tuple[str, int]] = []
        self.sent: list[bytes] = []
        self.names: list[str | None] = []
        self.answer = answer

    async def connect_tcp(
        self, host: str, port: int, *_arguments: Any, **_keywords: Any
    ) -> httpcore.AsyncNetworkStream:
        self.connected.append((host, port))
        return Stream(self)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Stream(httpcore.AsyncNetworkStream):
    def __init__(self, network: Network) -> None:
        self.network = network
        self.rest = network.answer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109
        part, self.rest = self.rest[:max_bytes], self.rest[max_bytes:]
        if not part:
            await asyncio.sleep(60)
        return part

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        self.network.sent.append(buffer)

    async def aclose(self) -> None:
        pass

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        assert ssl_context.verify_mode is ssl.CERT_REQUIRED
        assert ssl_context.check_hostname
        self.network.names.append(server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:  # noqa: ARG002
        return None


def names(*answers: Sequence[str]) -> Any:
    """A resolver that says something else each time, and at last the same for ever."""
    told: Iterable[Sequence[str]] = iter(answers)
    last: list[Sequence[str]] = [answers[-1]]

    async def resolve(_host: str, _port: int) -> list[str]:
        return list(next(iter(told), last[0]))

    return resolve


def client(network: Network, *answers: Sequence[str], **keywords: Any) -> SafeClient:
    return SafeClient(resolve_name=names(*(answers or ([PUBLIC],))), network=network, **keywords)


async def post(safe: SafeClient, url: str, **keywords: Any) -> Answer:
    return await safe.post(url, b"{}", {}, **{"seconds": 2.0, "most_bytes": 1_000, **keywords})


@pytest.mark.parametrize(
    "url, rule",
    [
        ("http://hooks.example.com/", "scheme"),
        ("ftp://hooks.example.com/", "scheme"),
        ("file:///etc/passwd", "url"),
        ("gopher://hooks.example.com/", "scheme"),
        ("//hooks.example.com/", "url"),
        ("hooks.example.com", "url"),
        ("", "url"),
        ("https://", "host"),
        ("https://user:secret@hooks.example.com/", "credentials"),
        ("https://hooks.example.com@127.0.0.1/", "credentials"),
        ("https://@127.0.0.1/", "credentials"),
        ("https://hooks.example.com:8443/", "port"),
        ("https://hooks.example.com:22/", "port"),
        ("https://hooks.example.com:80/", "port"),
        ("https://hooks.example.com:0/", "port"),
        ("https://hooks.example.com:/", "port"),
        ("https://hooks.example.com:99999/", "url"),
        ("https://127.0.0.1/", "host"),
        ("https://2130706433/", "host"),
        ("https://0x7f000001/", "host"),
        ("https://0x7f.0.0.1/", "host"),
        ("https://0177.0.0.1/", "host"),
        ("https://127.1/", "host"),
        ("https://127.0.0.1./", "host"),
        ("https://0/", "host"),
        ("https://10.0.0.5/", "host"),
        ("https://169.254.169.254/latest/meta-data/", "host"),
        ("https://93.184.215.14/", "host"),
        ("https://[::1]/", "host"),
        ("https://[::ffff:127.0.0.1]/", "host"),
        ("https://[fe80::1%25eth0]/", "host"),
        ("https://[fd00:ec2::254]/", "host"),
        ("https://localhost/", "host"),
        ("https://localhost./", "host"),
        ("https://app.localhost/", "host"),
        ("https://metadata.google.internal/", "host"),
        ("https://printer.local/", "host"),
        ("https://intranet/", "host"),
        ("https://hooks.example.com\\@127.0.0.1/", "url"),
        ("https://hooks.example.com /", "url"),
        ("https://hooks.example.com/\r\nHost: inner", "url"),
        ("https://hooks.example.com/\t", "url"),
        ("https://①②⑦.⓪.⓪.①/", "url"),
        ("https://\uff4cocalhost/", "url"),
        ("https://hooks.example.com/" + "a" * 2_000, "url"),
    ],
)
async def test_an_address_of_another_form_is_refused_before_any_name_is_asked_for(
    url: str, rule: str
) -> None:
    network = Network()

    with pytest.raises(UnsafeAddress) as refusal:
        await post(client(network), url)

    assert refusal.value.rule == rule
    assert network.connected == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",  # noqa: S104 - the address under test
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "169.254.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "2001:db8::1",
        "2130706433",
        "0177.0.0.1",
        "not an address",
    ],
)
async def test_a_name_that_leads_to_an_inner_address_is_refused(address: str) -> None:
    network = Network()

    with pytest.raises(UnsafeAddress) as refusal:
        await post(client(network, [address]), "https://hooks.example.com/")

    assert refusal.value.rule == "private_address"
    assert network.connected == []
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:93.184.215.14"]
)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


async def test_one_inner_address_among_public_ones_is_enough_to_refuse() -> None:
    network = Network()

    with pytest.raises(UnsafeAddress):
        await post(client(network, [PUBLIC, "10.0.0.1"]), "https://hooks.example.com/")

    assert network.connected == []


async def test_a_name_that_changes_between_check_and_use_leads_nowhere_else() -> None:
    """The name is asked for once, and the connection goes to the very address that was checked."""
    network = Network()
    safe = client(network, [PUBLIC], ["127.0.0.1"])

    answer = await post(safe, "https://rebind.example.com/")
    with pytest.raises(UnsafeAddress):
        await post(safe, "https://rebind.example.com/")

    assert answer.status == 200
    assert network.connected == [(PUBLIC, 443)]
    assert network.names == ["rebind.example.com"]


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    network = Network(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")

    answer = await post(client(network), "https://hooks.example.com/")

    assert answer.status == 302
    assert network.connected == [(PUBLIC, 443)]


async def test_an_answer_is_bounded() -> None:
    network = Network(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5_000)

    with pytest.raises(EndpointFailed, match="answer_too_large"):
        await post(client(network), "https://hooks.example.com/")


async def test_an_answer_that_never_ends_is_too_slow() -> None:
    network = Network(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")

    with pytest.raises(EndpointFailed, match="too_slow"):
        await post(client(network), "https://hooks.example.com/", seconds=0.1)


async def test_a_name_without_an_address_cannot_be_called() -> None:
    with pytest.raises(EndpointFailed, match="no_address"):
        await post(client(Network(), []), "https://hooks.example.com/")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/", "http://localhost:8000/x", "http://[::1]:8000/"])
def test_the_local_stack_alone_may_call_this_very_machine(url: str) -> None:
    with pytest.raises(UnsafeAddress):
        read_url(url)

    assert read_url(url, allows_loopback=True).is_loopback


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1"])
async def test_and_not_whatever_its_name_leads_to(address: str) -> None:
    network = Network()

    with pytest.raises(UnsafeAddress):
        await post(client(network, [address], allows_loopback=True), "http://app.localhost:8000/")

    assert network.connected == []
