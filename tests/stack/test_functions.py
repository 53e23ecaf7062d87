"""The local server finds every function at the paths that the deployments give it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.programs import ROOT

if TYPE_CHECKING:
    from tests.world import World

FUNCTIONS = sorted(
    f"whatsapp-{handler.parent.name.replace('_', '-')}"
    for handler in (ROOT / "functions").glob("*/handler.py")
)


def test_every_function_is_loaded(world: World) -> None:
    health = world.client(world.variables["DASHBOARD_URL"], {}).get("/health")

    assert health.json() == {"status": "ok", "functions": FUNCTIONS}


@pytest.mark.parametrize("path", ["", "/", "?hub.mode=subscribe", "/not-an-id"])
@pytest.mark.parametrize("base", ["/functions/v1/whatsapp-webhook", "/api/webhooks/whatsapp"])
def test_the_webhook_answers_at_both_of_its_addresses(world: World, base: str, path: str) -> None:
    answer = world.client(world.variables["DASHBOARD_URL"], {}).get(base + path)

    assert answer.is_error
    assert answer.json()["error"]["code"] != "not_found" or path == "/not-an-id"
    assert not answer.has_redirect_location


@pytest.mark.parametrize("path", ["/functions/v1/whatsapp-nothing", "/functions/v1/"])
def test_an_unknown_path_is_told_what_there_is(world: World, path: str) -> None:
    answer = world.client(world.variables["DASHBOARD_URL"], {}).get(path)

    assert answer.status_code == 404
    assert "whatsapp-webhook" in answer.json()["error"]["message"]


def test_the_first_page_shows_addresses_and_no_secrets(world: World) -> None:
    page = world.client(world.variables["DASHBOARD_URL"], {}).get("/").text

    assert world.functions_url in page
    secrets = [
        text
        for name, text in world.variables.items()
        if text and any(word in name for word in ("SECRET", "TOKEN", "KEYS", "DATABASE"))
    ]
    assert [secret for secret in secrets if secret in page] == []
