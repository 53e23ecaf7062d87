"""Meta's limits, on a clock that the test moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from local.graph import Simulator


async def send_many(graph: httpx.AsyncClient, business: dict[str, Any], recipients: list[str]) -> list[int]:
    """Send a text to each and return the codes of the answers, 0 for success."""
    codes = []
    for recipient in recipients:
        answer = await graph.post(
            f"/{business['phone_number_id']}/messages",
            json={"messaging_product": "whatsapp", "to": recipient, "text": {"body": "x"}},
        )
        codes.append(answer.json().get("error", {}).get("code", 0))
    return codes


@pytest.mark.parametrize(
    "change, allowed", [({}, 80), ({"is_on_biz_app": True}, 20)], ids=["standard", "app"]
)
async def test_number_has_its_throughput(
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    change: dict[str, Any],
    allowed: int,
) -> None:
    """Eighty messages a second, twenty for a number on the phone app; a second later it goes on."""
    simulator.move_clock(speed=0)
    for name, value in change.items():
        setattr(simulator.state.numbers[business["phone_number_id"]], name, value)
    recipients = [f"1555020{position:04d}" for position in range(allowed + 2)]

    codes = await send_many(graph, business, recipients)
    simulator.move_clock(by=1.01)
    later = await send_many(graph, business, ["15550299999"])

    assert codes == [0] * allowed + [130429] * 2
    assert later == [0]


async def test_pair_may_burst_and_then_waits_six_seconds_each(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator
) -> None:
    simulator.move_clock(speed=0)

    burst = await send_many(graph, business, ["15550100001"] * 46)
    simulator.move_clock(by=6.01)
    after = await send_many(graph, business, ["15550100001"] * 2)

    assert burst == [0] * 45 + [131056]
    assert after == [0, 131056]


async def test_management_calls_are_counted_per_hour(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator
) -> None:
    """80007 comes with the minutes until access is regained in the usage header."""
    simulator.settings.management_calls_per_hour_registered = 3
    path = f"/{business['waba_id']}/phone_numbers"

    answers = [await graph.get(path) for _ in range(4)]
    simulator.move_clock(by=3601)
    later = await graph.get(path)

    assert [answer.status_code for answer in answers] == [200, 200, 200, 400]
    assert answers[3].json()["error"]["code"] == 80007
    assert '"estimated_time_to_regain_access":60' in answers[3].headers["x-business-use-case-usage"]
    assert later.status_code == 200


async def test_who_wrote_lately_can_be_blocked(
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    receiver: Any,
    write: Any,
    text: Any,
) -> None:
    write()
    path = f"/{business['phone_number_id']}/block_users"

    stranger = await graph.post(
        path, json={"messaging_product": "whatsapp", "block_users": [{"user": "15550100009"}]}
    )
    blocked = await graph.post(
        path, json={"messaging_product": "whatsapp", "block_users": [{"user": "15550100001"}]}
    )
    await graph.post(f"/{business['phone_number_id']}/messages", json=text("15550100001"))
    listed = await graph.get(path)
    assert await simulator.settle()

    assert stranger.json()["error"]["code"] == 139100
    assert blocked.json()["block_users"]["added_users"] == [{"input": "15550100001", "wa_id": "15550100001"}]
    assert listed.json()["data"][0]["wa_id"] == "15550100001"
    assert receiver.statuses()[0]["errors"][0]["code"] == 130403


async def test_portfolio_writes_first_to_so_many_people_a_day(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator, receiver: Any
) -> None:
    """Outside open windows a tier counts people, not messages; a day later they are free again."""
    simulator.state.wabas[business["waba_id"]].messaging_limit = "TIER_50"
    simulator.settings.enforce_window = False
    simulator.settings.statuses = ["sent"]

    await send_many(graph, business, [f"1555030{position:04d}" for position in range(51)])
    await send_many(graph, business, ["15550300000"])
    simulator.move_clock(by=86_401)
    await send_many(graph, business, ["15550300099"])
    assert await simulator.settle()

    failed = [status for status in receiver.statuses() if status["status"] == "failed"]
    assert [(status["recipient_id"], status["errors"][0]["code"]) for status in failed] == [
        ("15550300050", 131048)
    ]


async def test_memory_is_bounded(simulator: Simulator, business: dict[str, Any], monkeypatch: Any) -> None:
    """The oldest files, people and deliveries go when there are too many."""
    from local.graph import deliveries, state

    monkeypatch.setattr(state, "MOST_MEDIA_BYTES", 100)
    monkeypatch.setattr(state, "MOST_CUSTOMERS", 2)
    monkeypatch.setattr(deliveries, "MOST_BYTES", 2000)
    number = simulator.state.numbers[business["phone_number_id"]]
    media = [simulator.add_media(number, b"x" * 60, "image/png", None, 9.0) for _ in range(3)]
    for position in range(5):
        customer = simulator.create_customer(phone_number=f"1555040{position:04d}")
        simulator.write_as_customer(number, customer, {"text": "hola"})
    assert await simulator.settle()

    assert list(simulator.state.media) == [media[2].id]
    assert list(simulator.state.customers) == ["15550400003", "15550400004"]
    assert simulator.state.find_customer("15550400000") is None
    assert sum(len(delivery.body) for delivery in simulator.deliveries.log) <= 2000
