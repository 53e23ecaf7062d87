"""Where webhooks go, and what happens when nobody takes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from local.graph import Simulator


async def test_anything_but_200_is_tried_again_ever_later(
    simulator: Simulator, receiver: Any, business: dict[str, Any], write: Any
) -> None:
    """A 500, a 201 and a refused connection are all no acknowledgement."""
    receiver.answers = [500, 201, 0, 200]
    simulator.settings.retry_delays = [1.0, 10.0, 100.0]
    write()
    for _ in range(3):
        assert await simulator.settle(horizon=0.1)
        simulator.move_clock(by=101)
    assert await simulator.settle()

    (delivery,) = simulator.deliveries.log
    assert [attempt.get("status") for attempt in delivery.attempts] == [500, 201, None, 200]
    assert delivery.state == "delivered"
    assert len({request.content for request in receiver.requests}) == 1


async def test_delivery_is_given_up_after_seven_days(
    simulator: Simulator, receiver: Any, business: dict[str, Any], write: Any
) -> None:
    receiver.answers = [500] * 100
    write()
    for _ in range(16):
        assert await simulator.settle(horizon=0.1)
        simulator.move_clock(by=43_201)
    assert await simulator.settle()

    (delivery,) = simulator.deliveries.log
    assert delivery.state == "given_up"
    assert delivery.attempts[-1]["at"] - delivery.created_at <= 7 * 86_400


async def test_number_goes_before_waba_before_app(
    simulator: Simulator, receiver: Any, business: dict[str, Any], write: Any
) -> None:
    """The callback is the number's, else the WABA's, else the app's; account fields always go to the app."""
    waba = simulator.state.wabas[business["waba_id"]]
    number = simulator.state.numbers[business["phone_number_id"]]
    write()
    waba.subscriptions[business["app_id"]] = "http://waba.test/"
    write()
    number.overrides[business["app_id"]] = "http://number.test/"
    write()
    simulator.publish(waba, "account_update", {"event": "ACCOUNT_OFFBOARDED"}, number)
    assert await simulator.settle()

    hosts = [delivery.url for delivery in simulator.deliveries.log]
    assert hosts == ["http://receiver.test/webhook", "http://waba.test/", "http://number.test/", hosts[0]]


async def test_nothing_is_sent_to_an_app_that_is_not_subscribed(
    simulator: Simulator, receiver: Any, business: dict[str, Any], graph: httpx.AsyncClient, write: Any
) -> None:
    await graph.delete(f"/{business['waba_id']}/subscribed_apps")
    write()
    assert await simulator.settle()

    assert receiver.requests == []
    (delivery,) = simulator.deliveries.log
    assert (delivery.state, delivery.reason) == ("not_sent", "No app is subscribed to this WABA.")


async def test_override_is_verified_during_the_call(
    simulator: Simulator, receiver: Any, business: dict[str, Any], graph: httpx.AsyncClient
) -> None:
    """A callback that does not answer the handshake is refused; a call without a body clears the override."""
    path = f"/{business['waba_id']}/subscribed_apps"
    wrong = await graph.post(
        path, json={"override_callback_uri": "http://receiver.test/own", "verify_token": "other"}
    )
    right = await graph.post(
        path, json={"override_callback_uri": "http://receiver.test/own", "verify_token": "verify-me"}
    )
    listed = (await graph.get(path)).json()["data"]
    await graph.post(path)
    cleared = (await graph.get(path)).json()["data"]

    assert wrong.json()["error"]["code"] == 2200
    assert right.json() == {"success": True}
    assert listed[0]["override_callback_uri"] == "http://receiver.test/own"
    assert "override_callback_uri" not in cleared[0]


async def test_duplicates_and_batches_on_request(
    simulator: Simulator, receiver: Any, business: dict[str, Any], write: Any
) -> None:
    simulator.settings.change(
        {"duplicates": 1, "batch_max": 3, "batch_within": 0.05, "batch_shape": "values"}
    )
    for _ in range(3):
        write()
    assert await simulator.settle()

    assert len(receiver.payloads) == 2
    assert receiver.payloads[0] == receiver.payloads[1]
    assert len(receiver.values()[0]["messages"]) == 3
    assert len(receiver.values()[0]["contacts"]) == 1


@pytest.mark.parametrize(
    "way", ["missing", "wrong", "uppercase", "truncated", "other_body", "no_prefix", "sha256=é"]
)
async def test_raw_delivery_can_be_signed_wrongly(
    anonymous: httpx.AsyncClient, simulator: Simulator, receiver: Any, way: str
) -> None:
    """Whatever is wrong with the signature, the body goes out as given and once."""
    receiver.answers = [401]

    answer = await anonymous.post("/_simulator/webhooks", json={"body": '{"object":  "x"}', "signature": way})

    assert answer.status_code == 201
    assert answer.json()["attempts"][0]["status"] == 401
    assert answer.json()["state"] == "given_up"
    assert receiver.requests[0].content == b'{"object":  "x"}'


async def test_no_delivery_waits_for_a_worker_that_is_gone(
    simulator: Simulator, receiver: Any, business: dict[str, Any], write: Any
) -> None:
    """With few connections and deliveries that come drop by drop, all of them go out."""
    simulator.settings.deliveries_at_once = 2
    simulator.settings.change({"shuffle_within": 0.05})
    for _ in range(200):
        write()
    assert await simulator.settle()

    assert len(receiver.payloads) == 200
