"""The bytes that tests send are written as Meta writes them."""

from __future__ import annotations

import json

import pytest

from tests import wire


def test_meta_s_escapes_are_written_and_read_back() -> None:
    """ASCII, lower-case hex, `/`, `<`, `%` and `@` escaped, nothing between the tokens."""
    payload = {"a": ["ñ 😀", "a/b", "<c>", "100%", "@ana", '\\ " \n']}
    body = wire.to_wire(payload)
    assert body == (rb'{"a":["\u00f1 \ud83d\ude00","a\/b","\u003Cc>","100\u0025","\u0040ana","\\ \" \n"]}')
    assert json.loads(body) == payload


@pytest.mark.parametrize("count, size", [(1000, 2_600_000), (10, 100_000), (3, None), (0, None)])
def test_a_batch_has_the_count_and_size_asked_for(count: int, size: int | None) -> None:
    """Each message with its own wamid and its own sender."""
    payload = wire.batch(count, size=size)
    value = payload["entry"][0]["changes"][0]["value"]
    assert len({message["id"] for message in value["messages"]}) == count
    assert len({message["from"] for message in value["messages"]}) == len(value["contacts"]) == count
    if size is not None:
        assert len(wire.to_wire(payload)) == pytest.approx(size, rel=0.01)


def test_a_batch_of_few_senders_names_each_once() -> None:
    """Two people who write a hundred messages are two contacts."""
    value = wire.batch(100, senders=2)["entry"][0]["changes"][0]["value"]
    assert [len(value["contacts"]), len(value["messages"])] == [2, 100]


def test_builders_leave_out_what_is_none() -> None:
    """As Meta leaves out, and does not send empty, what it may not tell."""
    assert "from" not in wire.text_message(sender=None, bsuid="MX.1")
    assert wire.contact(None, bsuid="MX.1", name=None) == {"user_id": "MX.1"}
    assert "recipient_id" not in wire.status(recipient=None)
    assert wire.status("failed", error_code=131047)["errors"][0]["code"] == 131047
    assert wire.delivery({}, time=5)["entry"][0]["time"] == 5
    assert wire.history({"id": "1"}, progress=100)["metadata"]["progress"] == 100
    assert "to" not in wire.echo(to=None)
