"""Measures the pages and prints what docs/web.md quotes.

FIGURES=1 make test ARGS="tests/web/test_figures.py -s"
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.web.test_live import ANA, Realtime

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg
    from playwright.sync_api import Page

    from tests.web.conftest import Shop
    from tests.world import Simulator

pytestmark = pytest.mark.skipif("FIGURES" not in os.environ, reason="FIGURES is not set")
WATCH = """() => {
    window.seen = {};
    new MutationObserver(() => {
        const words = document.querySelectorAll('.bubble-line .words');
        for (const each of words) seen[each.textContent] ??= Date.now();
    }).observe(document.querySelector('.messages'), {childList: true, subtree: true, characterData: true});
}"""
SCROLL = """async (element) => {
    const gaps = [];
    let last = performance.now();
    for (let step = 0; step < 120; step++) {
        element.scrollTop += 300;
        await new Promise(requestAnimationFrame);
        gaps.push(performance.now() - last);
        last = performance.now();
    }
    return gaps.sort((a, b) => a - b);
}"""


def report(line: str) -> None:
    sys.stdout.write(f"\n{line}\n")


def tell(name: str, seconds: list[float]) -> None:
    report(f"{name}: median {statistics.median(seconds) * 1000:.0f} ms, worst {max(seconds) * 1000:.0f} ms")


@pytest.mark.parametrize("way", ["polling", "realtime"])
def test_from_the_customers_phone_to_the_agents_screen(
    visit: Callable[..., Page],
    new_shop: Callable[..., Shop],
    simulator: Simulator,
    database: psycopg.Connection[tuple[Any, ...]],
    way: str,
) -> None:
    shop, realtime = new_shop(), Realtime()
    simulator.write(shop.phone_number_id, "Hola", sender=ANA)
    simulator.settle()
    page = visit(shop.owner, realtime=realtime.serve if way == "realtime" else None)
    page.get_by_role("link", name=re.compile("Ana")).click()
    page.locator(".bubble").wait_for()
    page.wait_for_timeout(3_000)
    page.evaluate(WATCH)

    took = []
    for number in range(50):
        text = f"Mensaje {number}"
        began = time.time()
        simulator.write(shop.phone_number_id, text, sender=ANA)
        if way == "realtime":
            # What Supabase does: it tells as soon as the row is committed.
            while not database.execute(
                "select 1 from messages where organization_id = %s and text = %s",
                (shop.organization.id, text),
            ).fetchone():
                time.sleep(0.005)
            realtime.tell()
        page.wait_for_function("text => window.seen[text]", arg=text)
        took.append(page.evaluate("text => window.seen[text]", text) / 1000 - began)
    tell(way, took)

    assert statistics.median(took) < 3


def test_a_list_of_ten_thousand_chats_and_a_chat_of_fifty_thousand_messages(
    visit: Callable[..., Page],
    new_shop: Callable[..., Shop],
    simulator: Simulator,
    database: psycopg.Connection[tuple[Any, ...]],
) -> None:
    shop = new_shop()
    simulator.write(shop.phone_number_id, "Hola", sender=ANA)
    simulator.settle()
    organization = {"organization": shop.organization.id}
    database.execute(
        """
        with people as (
            insert into contacts (organization_id, name, phone_number)
            select %(organization)s, 'Cliente ' || n, '+1555' || lpad(n::text, 7, '0')
            from generate_series(1, 9999) as n
            returning id, organization_id
        )
        insert into chats (organization_id, contact_id, last_message_at, last_message_text, last_message_type)
        select organization_id, id, now() - random() * interval '90 days' - interval '1 hour', 'Hola', 'text'
        from people
        """,
        organization,
    )
    database.execute(
        """
        insert into messages (organization_id, chat_id, wamid, direction, type, text, occurred_at)
        select c.organization_id, c.id, 'wamid.many.' || n, 'inbound', 'text', 'Mensaje ' || n,
            now() - n * interval '1 minute'
        from generate_series(1, 49999) as n, chats as c join contacts as p on p.id = c.contact_id
        where c.organization_id = %(organization)s and p.name = 'Ana'
        """,
        organization,
    )
    database.execute("analyze chats; analyze messages; analyze contacts")

    page = visit(shop.owner)
    began = time.time()
    page.locator(".chat-row").first.wait_for()
    report(f"list of 10,000: first rows after {time.time() - began:.2f} s")
    gaps = page.locator(".scroller").evaluate(SCROLL)
    rows = page.locator(".chat-row").count()
    report(f"scrolling it: median frame {gaps[60]:.1f} ms, 95 % {gaps[114]:.1f} ms, {rows} rows drawn")
    page.locator(".scroller").evaluate("element => element.scrollTo(0, 0)")
    began = time.time()
    page.get_by_role("link", name=re.compile("Ana")).click()
    page.locator(".bubble").first.wait_for()
    report(f"chat of 50,000: first messages after {time.time() - began:.2f} s")
    area = page.get_by_role("region", name="Mensajes")
    for _ in range(30):
        area.evaluate("element => element.scrollTo(0, 0)")
        page.wait_for_timeout(120)
    drawn = area.locator("li[data-id]").count()
    gaps = area.evaluate(SCROLL)
    report(f"scrolling it: median frame {gaps[60]:.1f} ms, 95 % {gaps[114]:.1f} ms, {drawn} messages drawn")

    assert rows < 60
    assert drawn <= 300
