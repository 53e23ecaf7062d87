"""A browser in front of the whole local stack: the machine's own Chromium, driven by Playwright."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import sync_playwright

from tests.connecting import new_number
from tests.world import Organization, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Page, WebSocketRoute

    from tests.world import Simulator, World

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 15_000
SESSION_KEY = "whatsapp-dashboard-session"
# The local stack has no Realtime: the page tries, and goes on by polling.
EXPECTED = ("/realtime/v1/websocket", "Failed to load resource")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody with an account and a browser of their own."""

    user: User
    password: str
    session: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Shop:
    """An organization with a connected number, and its owner."""

    organization: Organization
    owner: Person
    phone_number_id: str
    phone_number: str


# Playwright's sync API keeps an event loop running while it is up: no async test of another module could run.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        if os.environ.get("REQUIRE_CHROMIUM"):
            pytest.fail("REQUIRE_CHROMIUM is set and there is no Chromium.")
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def dashboard_url(world: World) -> str:
    address = world.variables["DASHBOARD_URL"]
    answer = httpx.get(f"{address}/entrar/", trust_env=False)
    if "astro-island" not in answer.text:
        pytest.skip("the dashboard is not built or not served at DASHBOARD_URL")
    return address


@pytest.fixture
def new_person(world: World) -> Callable[[], Person]:
    def new_person() -> Person:
        password = secrets.token_urlsafe(16)
        email = f"{secrets.token_hex(8)}@example.com"
        answer = httpx.post(
            f"{world.supabase_url}/auth/v1/signup",
            headers={"apikey": world.publishable_key},
            json={"email": email, "password": password},
            timeout=30,
            trust_env=False,
        )
        answer.raise_for_status()
        session = answer.json()
        bearer = {"authorization": f"Bearer {session['access_token']}"}
        user = User(
            id=session["user"]["id"],
            email=email,
            token=session["access_token"],
            rest=world.client(f"{world.supabase_url}/rest/v1", {"apikey": world.publishable_key, **bearer}),
            functions=world.client(world.functions_url, bearer),
        )
        return Person(user=user, password=password, session=session)

    return new_person


@pytest.fixture
def new_shop(world: World, simulator: Simulator, new_person: Callable[[], Person]) -> Callable[..., Shop]:
    def new_shop(name: str = "Panadería Rosa") -> Shop:
        owner = new_person()
        organization = world.new_organization(owner.user, name=name)
        made = simulator.new_business(name=name, subscribed=True, phone_number=new_number().digits)
        pasted = {
            "organization_id": organization.id,
            "phone_number_id": made["phone_number_id"],
            "business_account_id": made["waba_id"],
            "access_token": made["access_token"],
        }
        owner.user.functions.post("/whatsapp-oauth/credentials", json=pasted).raise_for_status()
        return Shop(
            organization=organization,
            owner=owner,
            phone_number_id=made["phone_number_id"],
            phone_number=made["phone_number"],
        )

    return new_shop


@pytest.fixture
def visit(browser: Browser, dashboard_url: str) -> Iterator[Callable[..., Page]]:
    """Open a page as somebody, in a browser of their own; nothing may go wrong in its console."""
    contexts = []
    problems: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        told = f"{message.text} {message.location.get('url', '')}"
        if message.type == "error" and not any(each in told for each in EXPECTED):
            problems.append(told)

    def visit(
        person: Person | None,
        path: str = "/chats/",
        *,
        language: str = "es",
        realtime: Callable[[WebSocketRoute], None] | None = None,
        **options: Any,
    ) -> Page:
        settings = {"viewport": {"width": 1280, "height": 800}, "locale": "es-PE", **options}
        context = browser.new_context(timezone_id="America/Lima", **settings)
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        kept = {"language": language}
        if person is not None:
            kept[SESSION_KEY] = json.dumps(person.session)
        # Only at the first page: signing out must stay so.
        context.add_init_script(
            f"if (!sessionStorage.begun) {{ sessionStorage.begun = 1;"
            f" for (const [name, text] of Object.entries({json.dumps(kept)})) localStorage[name] = text }}"
        )
        if realtime is not None:
            context.route_web_socket(re.compile("/realtime/v1/websocket"), realtime)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{dashboard_url}{path}")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert problems == []
