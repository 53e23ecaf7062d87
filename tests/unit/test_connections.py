"""Connections: one TLS context for all, explicit time limits, and no address in any log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import httpx

from shared.connections import open_client, open_transport, tls_context

if TYPE_CHECKING:
    import pytest


def test_certificates_are_loaded_once() -> None:
    assert tls_context() is tls_context()


async def test_every_pool_uses_the_one_context_and_keeps_idle_connections_for_a_minute() -> None:
    first, second = open_transport(), open_transport()

    for transport in (first, second):
        assert transport._pool._ssl_context is tls_context()
        assert transport._pool._keepalive_expiry == 60.0
        await transport.aclose()


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
