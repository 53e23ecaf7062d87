"""The simulator behind a port: what only a real connection shows."""

from __future__ import annotations

import httpx
import pytest

from tests.simulator.conftest import SERVER_APP

pytestmark = pytest.mark.slow


def test_cut_connection_looks_like_one_and_the_message_was_accepted(server: httpx.Client) -> None:
    """Before: nothing came of the call. After: it was obeyed, and only the answer is lost."""
    made = server.post("/_simulator/businesses", json={"name": "Bodega"}).json()
    path, headers = (
        f"/{made['phone_number_id']}/messages",
        {"Authorization": f"Bearer {made['access_token']}"},
    )
    body = {"messaging_product": "whatsapp", "to": "15550100001", "text": {"body": "x"}}
    for moment in ("before", "after"):
        server.post("/_simulator/faults", json={"edge": "messages", "cut": moment, "times": 1})

    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            server.post(path, json=body, headers=headers)
    sent = server.get("/_simulator/messages").json()["data"]
    again = server.post(path, json=body, headers=headers)

    assert [message["direction"] for message in sent] == ["outgoing"]
    assert again.status_code == 200
    assert made["app_id"] == SERVER_APP["WHATSAPP_APP_ID"]


def test_events_are_streamed(server: httpx.Client) -> None:
    """The live log sends what happens as server-sent events."""
    server.post("/_simulator/businesses", json={"name": "Bodega"})
    with server.stream("GET", "/_simulator/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": connected"
        httpx.post(
            f"{server.base_url}/_simulator/customers/messages",
            json={"text": {"body": "hola"}},
            trust_env=False,
        )
        kinds = [line for _, line in zip(range(6), lines, strict=False) if line.startswith("event: ")]

    assert kinds[:2] == ["event: delivery", "event: message"]
