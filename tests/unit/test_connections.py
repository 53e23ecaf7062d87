"""Connections: one TLS context for all, explicit time limits, and no address in any log."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING

import certifi
import httpx

from shared.connections import ROOTS_FOLDER, Lanes, open_client, open_transport, tls_context

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_certificates_are_loaded_once() -> None:
    assert tls_context() is tls_context()


async def test_every_pool_uses_the_one_context_and_keeps_idle_connections_for_a_minute() -> None:
    first, second = open_transport(), open_transport()

    for transport in (first, second):
        lane = transport._make_pool()
        assert isinstance(lane, httpx.AsyncHTTPTransport)
        assert lane._pool._ssl_context is tls_context()
        assert lane._pool._keepalive_expiry == 60.0
        await lane.aclose()


async def test_one_request_after_the_other_stays_in_one_pool_and_many_at_once_share_several() -> None:
    pools: list[Pool] = []

    def make_pool() -> Pool:
        pools.append(Pool())
        return pools[-1]

    async with httpx.AsyncClient(transport=Lanes(make_pool), base_url="https://graph.test") as client:
        for _ in range(3):
            await client.get("/")
        alone = [pool.most for pool in pools]
        await asyncio.gather(*(client.get("/") for _ in range(20)))

    assert alone == [1]
    assert [pool.most for pool in pools] == [8, 8, 4]
    assert all(pool.is_closed for pool in pools)


class Pool(httpx.AsyncBaseTransport):
    """Counts how many requests it has at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - httpx's
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        return httpx.Response(200)

    async def aclose(self) -> None:
        self.is_closed = True


async def test_no_time_limit_is_left_to_a_default() -> None:
    async with open_client(None, read_seconds=20) as client:
        assert client.timeout == httpx.Timeout(connect=3.0, read=20, write=20, pool=5.0)
        assert not client.follow_redirects


async def test_the_http_library_logs_no_address(caplog: pytest.LogCaptureFixture) -> None:
    """Some of Meta's carry a token in their query."""
    caplog.set_level(logging.DEBUG, logger="root")
    transport = httpx.MockTransport(lambda _: httpx.Response(200))

    async with open_client(transport, read_seconds=1) as client:
        await client.get("https://graph.test/debug_token?input_token=EAAGsecret")

    assert "EAAGsecret" not in caplog.text


def test_roots_that_the_build_laid_out_are_read_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ROOTS_FOLDER).mkdir()
    monkeypatch.setattr(certifi, "__file__", str(tmp_path / "__init__.py"))
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)

    from_folder = tls_context.__wrapped__()
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    from_bundle = tls_context.__wrapped__()

    assert from_folder.cert_store_stats()["x509_ca"] == 0
    assert from_bundle.cert_store_stats()["x509_ca"] > 50
    assert from_folder.verify_mode is from_bundle.verify_mode is ssl.CERT_REQUIRED
    assert from_folder.check_hostname
