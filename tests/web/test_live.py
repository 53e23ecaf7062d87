"""News reaches the screen by polling, by Realtime, after a sleep: nothing is missed, nothing shown twice."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page, WebSocketRoute

    from tests.web.conftest import Shop
    from tests.world import Simulator

ANA: Any = {"phone_number": "15550100001", "name": "Ana"}


class Realtime:
    """Speaks the Phoenix protocol as Supabase Realtime does: joins, heartbeats, changes of rows."""

    def __init__(self) -> None:
        self.joined: list[tuple[WebSocketRoute, str, list[int]]] = []
        self.filters: list[str] = []
        self.refuses = False

    def serve(self, socket: WebSocketRoute) -> None:
        """Take one connection."""
        if self.refuses:
            socket.close(code=1011, reason="away")
            return
        socket.on_message(lambda message: self._answer(socket, str(message)))

    def _answer(self, socket: WebSocketRoute, text: str) -> None:
        join_ref, ref, topic, event, payload = json.loads(text)
        response: dict[str, Any] = {}
        if event == "phx_join":
            wanted = payload["config"]["postgres_changes"]
            self.filters = [each["filter"] for each in wanted]
            response = {"postgres_changes": [{"id": number, **each} for number, each in enumerate(wanted, 1)]}
            self.joined.append((socket, topic, list(range(1, len(wanted) + 1))))
        reply = {"status": "ok", "response": response}
        socket.send(json.dumps([join_ref, ref, topic, "phx_reply", reply]))

    def tell(self, *, times: int = 1) -> None:
        """Say that a row changed."""
        for socket, topic, ids in self.joined:
            data: dict[str, Any] = {
                "schema": "public",
                "table": "messages",
                "type": "INSERT",
                "commit_timestamp": "2026-11-24T00:00:00Z",
                "columns": [],
                "record": {},
                "errors": None,
            }
            for _ in range(times):
                change = {"ids": ids[:1], "data": data}
                socket.send(json.dumps([None, None, topic, "postgres_changes", change]))

    def hang_up(self) -> None:
        """Drop every connection and take no other."""
        self.refuses = True
        for socket, _, _ in self.joined:
            socket.close(code=1011, reason="away")
        self.joined.clear()


def shown(page: Page, text: str) -> Locator:
    return page.get_by_role("region", name="Mensajes").locator("li[data-id]").filter(has_text=text)


def open_chat(page: Page) -> None:
    page.get_by_role("link", name=re.compile("Ana")).click()
    expect(shown(page, "Hola")).to_have_count(1)


@pytest.fixture
def shop(new_shop: Callable[..., Shop], simulator: Simulator) -> Shop:
    shop = new_shop()
    simulator.write(shop.phone_number_id, "Hola", sender=ANA)
    simulator.settle()
    return shop


def test_polling_brings_everything_once(visit: Callable[..., Page], shop: Shop, simulator: Simulator) -> None:
    page = visit(shop.owner)
    open_chat(page)

    for number in range(12):
        simulator.write(shop.phone_number_id, f"Pedido {number:02}", sender=ANA)
    simulator.settle()

    for number in range(12):
        expect(shown(page, f"Pedido {number:02}")).to_have_count(1)


def test_realtime_shows_a_message_at_once_and_its_repeats_never(
    visit: Callable[..., Page], shop: Shop, simulator: Simulator
) -> None:
    realtime = Realtime()
    page = visit(shop.owner, realtime=realtime.serve)
    open_chat(page)
    expect(page.get_by_role("status").filter(has_text="En vivo")).to_be_attached()
    assert realtime.filters == [f"organization_id=eq.{shop.organization.id}"] * 2

    simulator.write(shop.phone_number_id, "¿Siguen ahí?", sender=ANA)
    simulator.settle()
    realtime.tell(times=3)

    expect(shown(page, "¿Siguen ahí?")).to_have_count(1, timeout=1_500)
    realtime.tell(times=3)
    page.wait_for_timeout(500)
    expect(shown(page, "¿Siguen ahí?")).to_have_count(1)


def test_what_came_while_realtime_was_away_is_caught_up_and_polling_takes_over(
    visit: Callable[..., Page], shop: Shop, simulator: Simulator
) -> None:
    realtime = Realtime()
    page = visit(shop.owner, realtime=realtime.serve)
    open_chat(page)
    expect(page.get_by_role("status").filter(has_text="En vivo")).to_be_attached()

    simulator.write(shop.phone_number_id, "Nadie avisó de esto", sender=ANA)
    simulator.settle()
    realtime.hang_up()

    expect(page.get_by_role("status").filter(has_text="Actualizando")).to_be_attached()
    expect(shown(page, "Nadie avisó de esto")).to_have_count(1)
    simulator.write(shop.phone_number_id, "Ni de esto", sender=ANA)
    expect(shown(page, "Ni de esto")).to_have_count(1)


def test_after_a_sleep_the_page_looks_at_once(
    visit: Callable[..., Page], shop: Shop, simulator: Simulator
) -> None:
    realtime = Realtime()
    page = visit(shop.owner, realtime=realtime.serve)
    open_chat(page)
    expect(page.get_by_role("status").filter(has_text="En vivo")).to_be_attached()
    # With Realtime the next look by itself is half a minute away, and no notice comes.
    simulator.write(shop.phone_number_id, "Mientras dormías", sender=ANA)
    simulator.settle()

    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")

    expect(shown(page, "Mientras dormías")).to_have_count(1, timeout=2_500)
