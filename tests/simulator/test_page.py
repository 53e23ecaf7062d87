"""The page for people, in the machine's own browser: to write and read as a customer, beside the live log."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.async_api import async_playwright, expect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
BUTTONS = {
    "type": "button",
    "body": {"text": "¿Cuántos panes?"},
    "action": {
        "buttons": [
            {"type": "reply", "reply": {"id": "6", "title": "Seis"}},
            {"type": "reply", "reply": {"id": "12", "title": "Doce"}},
        ]
    },
}

pytestmark = pytest.mark.slow


@pytest.fixture
async def page(server: httpx.Client) -> AsyncIterator[Page]:
    """The page, open; it may write nothing into the browser's console."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine")
    problems: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = await browser.new_page(locale="es-PE")
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        await page.goto(f"{server.base_url}/_simulator")
        yield page
        await browser.close()
    assert problems == []


@pytest.fixture
async def api(server: httpx.Client) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the same simulator."""
    async with httpx.AsyncClient(base_url=server.base_url, trust_env=False) as api:
        yield api


async def test_person_plays_a_customer(api: httpx.AsyncClient, page: Page) -> None:
    """A business is made, a customer writes, gets buttons, taps one, reads; all calls stand in the log."""
    await page.get_by_role("button", name="Crear un negocio").click()
    await expect(page.get_by_label("Escribe a")).to_contain_text("Panadería Demo")
    await page.get_by_label("Mensaje").fill("¿Tienen pan?")
    await page.keyboard.press("Enter")
    await expect(page.locator(".bubble.mine")).to_contain_text("¿Tienen pan?")

    number = (await api.get("/_simulator/numbers")).json()["data"][0]
    token = (await api.get("/_simulator/tokens")).json()["data"][0]["value"]
    message: dict[str, Any] = {"messaging_product": "whatsapp", "to": "15550100001", "type": "interactive"}
    await api.post(
        f"/{number['id']}/messages",
        json={**message, "interactive": BUTTONS},
        headers={"Authorization": f"Bearer {token}"},
    )
    await page.get_by_role("button", name="Doce").click()
    await expect(page.locator(".bubble.mine").last).to_contain_text("Doce")
    await page.get_by_role("button", name="marcar leído").click()
    await expect(page.locator(".bubble").nth(1)).to_contain_text("👀")

    await page.locator("#events summary", has_text="POST").first.click()
    await expect(page.locator("#events pre")).to_contain_text("¿Cuántos panes?")
    tapped = (await api.get("/_simulator/messages?direction=incoming")).json()["data"][-1]
    assert tapped["content"]["button_reply"] == {"id": "12", "title": "Doce"}
    assert (await api.get("/_simulator/messages?direction=outgoing")).json()["data"][0]["status"] == "read"


async def test_person_chooses_a_fault_and_the_other_language(api: httpx.AsyncClient, page: Page) -> None:
    # The page takes the last fault away before it sets this one.
    async with page.expect_response(lambda answer: answer.request.method == "POST"):
        await page.get_by_label("Fallo siguiente").select_option("131056")
    await page.get_by_role("button", name="English").click()

    await expect(page.get_by_role("heading", name="Graph simulator")).to_be_visible()
    (fault,) = (await api.get("/_simulator/faults")).json()["data"]
    assert (fault["code"], fault["times"]) == (131056, 1)


async def test_login_dialog_sends_the_person_back_with_a_code(server: httpx.Client, page: Page) -> None:
    """The consent page works without a script, and goes back to the app."""
    back = f"{server.base_url}/_simulator/health"
    query = f"client_id=900000000000009&redirect_uri={back}&state=xyz"
    await page.goto(f"{server.base_url}/v26.0/dialog/oauth?{query}")
    await page.get_by_role("button", name="Continuar").click()

    await page.wait_for_url("**/_simulator/health?code=**")
    assert "state=xyz" in page.url
