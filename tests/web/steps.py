"""What people do in the dashboard again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.web.conftest import Person


def address_with_session_of(person: Person) -> str:
    """Write a session into an address, as a link in a mail ends."""
    kept = {name: person.session[name] for name in ("access_token", "refresh_token")}
    return "#" + urlencode({**kept, "expires_in": 3600, "token_type": "bearer", "type": "magiclink"})


def type_in(page: Page, text: str) -> Locator:
    """Write, and wait until Meta was told that somebody types: that call too goes to its messages edge."""
    box = page.locator(".composer textarea")
    with page.expect_response(lambda given: '"typing":true' in (given.request.post_data or "")):
        box.fill(text)
    return box
