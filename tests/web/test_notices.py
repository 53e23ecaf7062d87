"""What Meta tells about accounts, numbers and templates is told to the people, in sentences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from local.programs import ROOT
from shared import webhook_notices

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.web.conftest import Shop
    from tests.world import Simulator

CATALOGUES = ("es", "en")


def news(page: Page) -> Locator:
    return page.get_by_role("region", name=re.compile("Avisos de Meta|News from Meta")).get_by_role(
        "listitem"
    )


@pytest.fixture
def tell(simulator: Simulator) -> Callable[..., None]:
    def tell(shop: Shop, field: str, value: dict[str, Any]) -> None:
        simulator.post("/events", phone_number_id=shop.phone_number_id, field=field, value=value)
        simulator.settle()

    return tell


def test_news_come_live_stand_out_and_are_read(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], tell: Callable[..., None]
) -> None:
    shop = new_shop()
    page = visit(shop.owner, "/configuracion/")
    expect(page.get_by_text("Meta no ha enviado ningún aviso.")).to_be_visible()

    restriction = {"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "SPAM"}}
    tell(shop, "account_update", restriction)
    first = news(page).first
    told = "Meta dice que tu cuenta incumple sus políticas. Motivo: SPAM."
    expect(first).to_contain_text(told, timeout=15_000)
    expect(first).to_contain_text("Urgente")
    expect(first).to_have_class(re.compile("pressing bad"))
    tell(shop, "account_update", {"event": "VERIFIED_ACCOUNT"})
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(news(page).first).to_contain_text("Meta verificó tu cuenta.")
    expect(news(page).first).not_to_have_class(re.compile("pressing"))

    page.get_by_role("button", name="Marcar como leídos").click()
    expect(page.locator(".pressing")).to_have_count(0)
    page.reload()
    expect(news(page)).to_have_count(2)
    expect(page.locator(".pressing")).to_have_count(0)


def test_news_name_the_number_and_the_template_in_either_language(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], tell: Callable[..., None]
) -> None:
    shop = new_shop()
    template = {
        "message_template_id": 600000000000001,
        "message_template_name": "pedido_listo",
        "message_template_language": "es_PE",
    }
    tell(
        shop, "message_template_status_update", {**template, "event": "REJECTED", "reason": "INVALID_FORMAT"}
    )
    digits = re.sub(r"\D", "", shop.phone_number)
    flagged = {"display_phone_number": digits, "event": "FLAGGED", "current_limit": "TIER_1K"}
    tell(shop, "phone_number_quality_update", flagged)
    page = visit(shop.owner, "/configuracion/", language="en")

    expect(news(page).filter(has_text="pedido_listo")).to_contain_text(
        "The template “pedido_listo” (es_PE) cannot be sent. Reason: INVALID_FORMAT."
    )
    quality = news(page).filter(has_text=f"+{digits}")
    expect(quality).to_contain_text("Limit now: 1,000 new customers a day.")
    expect(quality).to_contain_text("Attention")
    page.get_by_role("button", name="Panadería Rosa").click()
    page.get_by_role("button", name="Cambiar a español").click()
    expect(news(page).filter(has_text="pedido_listo")).to_contain_text("Meta rechazó una plantilla.")


def test_a_connection_that_meta_ended_says_why_in_the_persons_language(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], tell: Callable[..., None]
) -> None:
    shop = new_shop()
    tell(shop, "account_update", {"event": "PARTNER_APP_UNINSTALLED"})

    page = visit(shop.owner, "/configuracion/", language="en")

    broken = page.locator(".notice").filter(has_text="The connection needs your help")
    expect(broken).to_contain_text("The app was removed from the WhatsApp account.")
    page.get_by_role("button", name="Panadería Rosa").click()
    page.get_by_role("button", name="Cambiar a español").click()
    broken = page.locator(".notice").filter(has_text="La conexión necesita tu ayuda")
    expect(broken).to_contain_text("La app se quitó de la cuenta de WhatsApp.")


def test_what_is_not_known_yet_is_shown_in_metas_own_word(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], tell: Callable[..., None]
) -> None:
    shop = new_shop()
    tell(shop, "account_update", {"event": "SOMETHING_OF_2027"})
    page = visit(shop.owner, "/configuracion/")

    expect(news(page).first).to_contain_text("un aviso que aún no sabemos explicar:")
    expect(news(page).first.locator("code")).to_have_text("account_update / SOMETHING_OF_2027")


def test_older_news_come_page_by_page_and_a_look_loses_none(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], tell: Callable[..., None]
) -> None:
    shop = new_shop()
    for position in range(19):
        tell(shop, "account_update", {"event": f"NEWS_{position:02}"})
    page = visit(shop.owner, "/configuracion/")
    older = page.get_by_role("button", name="Ver avisos anteriores")
    for expected in (8, 16):
        expect(news(page)).to_have_count(expected)
        older.click()
    expect(news(page)).to_have_count(19)
    expect(older).to_have_count(0)

    with page.expect_response(re.compile("/rest/v1/notices")):
        page.evaluate("dispatchEvent(new Event('focus'))")

    expect(news(page)).to_have_count(19)
    words = news(page).locator("code").all_inner_texts()
    assert sorted(words) == [f"account_update / NEWS_{position:02}" for position in range(19)]


def test_another_organizations_news_are_not_shown(
    visit: Callable[..., Page], new_shop: Callable[..., Shop], tell: Callable[..., None]
) -> None:
    own, other = new_shop("Uno"), new_shop("Dos")
    tell(other, "account_update", {"event": "ACCOUNT_VIOLATION"})

    page = visit(own.owner, "/configuracion/")

    expect(page.get_by_text("Meta no ha enviado ningún aviso.")).to_be_visible()


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_way_in_which_a_connection_ends_has_its_sentence(language: str) -> None:
    text = (ROOT / "web" / "src" / "i18n" / f"{language}.ts").read_text("utf-8")
    keys = set(re.findall(r"^      ([a-z_]+):", text, re.MULTILINE))
    ends = ("account_deleted", "account_offboarded", "partner_app_uninstalled", "partner_removed")
    assert {"number_deregistered", *(f"account_{end}" for end in ends)} <= keys


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_field_and_critical_event_of_meta_has_its_sentence(language: str) -> None:
    text = (ROOT / "web" / "src" / "i18n" / "notices" / f"{language}.ts").read_text("utf-8")
    keys = set(re.findall(r'^    "?([a-z_]+(?:/[A-Z_]+)?)"?:', text, re.MULTILINE))
    events = webhook_notices._CRITICAL_ACCOUNT_EVENTS | webhook_notices._WARNING_ACCOUNT_EVENTS
    assert {f"account_update/{event}" for event in events} <= keys
    statuses = webhook_notices._BAD_TEMPLATE_STATUS
    assert {f"message_template_status_update/{status}" for status in statuses} <= keys
