"""What people do in the dashboard again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def type_in(page: Page, text: str) -> Locator:
    """Write, and wait until Meta was told that somebody types: that call too goes to its messages edge."""
    box = page.locator(".composer textarea")
    with page.expect_response(lambda given: '"typing":true' in (given.request.post_data or "")):
        box.fill(text)
    return box
