"""What is served: strict policies, no secret, little JavaScript, sentences that are the functions' own."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from local.catalogue import API, META_ERRORS, api, meta_errors
from local.programs import ROOT, find_node

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Response

    from tests.web.conftest import Shop
    from tests.world import Simulator, World

PAGES = ("/", "/entrar/", "/configuracion/", "/chats/", "/equipo/")
SECRETS = (
    "SUPABASE_SECRET_KEY",
    "WHATSAPP_APP_SECRET",
    "WHATSAPP_ACCESS_TOKEN",
    "ENCRYPTION_KEYS",
    "CRON_SECRET",
)
BUDGET = 120_000
BROTLI = """
const zlib = require("node:zlib"), fs = require("node:fs");
const size = (file) => zlib.brotliCompressSync(fs.readFileSync(file)).length;
console.log(process.argv.slice(1).reduce((sum, file) => sum + size(file), 0));
"""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_only_its_own_scripts_and_holds_no_secret(
    world: World, dashboard_url: str, path: str
) -> None:
    answer = httpx.get(dashboard_url + path, trust_env=False)

    assert answer.status_code == 200
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', answer.text)
    assert policy
    directives = {rule.split()[0]: rule.split()[1:] for rule in policy[1].split("; ")}
    assert directives["default-src"] == ["'none'"]
    assert "'unsafe-inline'" not in policy[1]
    assert "'unsafe-eval'" not in policy[1]
    assert all(source == "'self'" or source.startswith("'sha256-") for source in directives["script-src"])
    assert directives["require-trusted-types-for"] == ["'script'"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert not [name for name in SECRETS if world.variables[name] in answer.text]
    assert "%" not in json.loads(re.search(r'id="config">(.*?)</script>', answer.text)[1])["supabaseUrl"]  # type: ignore[index]


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/%2e%2e/pyproject.toml", "/_astro/../../package.json", "/no-hay/"]
)
def test_nothing_but_the_build_is_served(dashboard_url: str, path: str) -> None:
    answer = httpx.get(dashboard_url + path, trust_env=False)

    assert answer.status_code == 404
    assert "version" not in answer.text


@pytest.mark.parametrize("path", ["/entrar/", "/configuracion/", "/chats/"])
def test_a_page_needs_at_most_120_kb_of_compressed_javascript(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], dashboard_url: str, path: str
) -> None:
    loaded: set[str] = set()
    shop = new_shop()
    page = visit(None if path == "/entrar/" else shop.owner, "/icon.svg")

    def note(response: Response) -> None:
        if response.url.endswith(".js"):
            loaded.add(response.url)

    page.on("response", note)
    page.goto(dashboard_url + path)
    page.get_by_role("heading").first.wait_for()
    page.wait_for_timeout(800)

    files = [str(ROOT / "web" / "dist" / url.removeprefix(dashboard_url).lstrip("/")) for url in loaded]
    told = subprocess.run([find_node(), "-e", BROTLI, *files], capture_output=True, text=True, check=True)
    assert 0 < int(told.stdout) <= BUDGET


def test_the_first_content_is_there_within_a_second(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], simulator: Simulator
) -> None:
    shop = new_shop()
    simulator.write(shop.phone_number_id, "Hola")
    simulator.settle()
    page = visit(shop.owner)
    page.locator(".chat-row").wait_for()

    page.reload()
    page.locator(".chat-row").wait_for()

    seconds = page.evaluate("performance.now()") / 1000
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000
    assert paint < 1
    assert seconds < 5
    expect(page.locator(".chat-row")).to_have_count(1)


def test_the_sentences_for_metas_codes_are_the_functions_own() -> None:
    assert META_ERRORS.read_text("utf-8") == meta_errors(), "run: .venv/bin/python -m local.catalogue"


def test_the_types_of_the_api_are_those_of_its_document() -> None:
    assert API.read_text("utf-8") == api(), "run: .venv/bin/python -m local.catalogue"
