"""What is kept of a template is as new, and has the form, that Graph's list gives it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from tests import wire
from tests.database.tenants import Tenant, make_tenant, store

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

ID = "1315502779341834"
COMPONENTS = [{"type": "BODY", "text": "Gracias, {{1}}."}]
LISTED = {"id": ID, "name": "aviso", "language": "en_US", "category": "UTILITY", "components": COMPONENTS}
EDITED = {
    "message_template_title": "Pedido",
    "message_template_element": "Muchas gracias, {{1}}.",
    "message_template_buttons": [
        {"message_template_button_type": "QUICK_REPLY", "message_template_button_text": "De nada"}
    ],
}


def keep(database: Connection, tenant: Tenant, *, at: int = 0, **fields: Any) -> None:
    """Keep Graph's list of one template, read some seconds after an arbitrary moment."""
    database.execute(
        "select public.keep_templates(%s, %s, %s, true, %s)",
        (
            tenant.integration_id,
            tenant.waba_id,
            Jsonb([{**LISTED, "status": "APPROVED", **fields}]),
            datetime.fromtimestamp(wire.TIMESTAMP + at, UTC),
        ),
    )


def tell(
    database: Connection, tenant: Tenant, kind: str = "message_template_status", *, at: int = 0, **facts: Any
) -> None:
    """Deliver news of the template."""
    value = {"message_template_id": int(ID), "message_template_name": "aviso", **facts}
    value.setdefault("message_template_language", "en_US")
    news = wire.delivery(value, field=f"{kind}_update", waba_id=tenant.waba_id, time=wire.TIMESTAMP + at)
    store(database, news)


def kept(database: Connection, tenant: Tenant, column: str) -> Any:
    rows = database.execute(
        f"select {column} from message_templates where organization_id = %s", (tenant.organization_id,)
    ).fetchall()
    ((value,),) = rows
    return value


def test_news_of_other_words_leaves_graphs_list_and_has_it_read_again(database: Connection) -> None:
    mine = make_tenant(database)
    keep(database, mine)

    for _ in range(2):
        tell(database, mine, "message_template_components", at=60, **EDITED)

    assert kept(database, mine, "components") == COMPONENTS
    jobs = database.execute(
        "select payload from jobs where organization_id = %s and kind = 'sync_connection'",
        (mine.organization_id,),
    ).fetchall()
    assert jobs == [({"integration_id": str(mine.integration_id)},)]


def test_of_an_unknown_template_no_words_are_kept_from_news(database: Connection) -> None:
    mine = make_tenant(database)

    tell(database, mine, "message_template_components", at=60, **EDITED)

    assert kept(database, mine, "components") is None


def test_a_language_is_spelled_as_graph_spells_it(database: Connection) -> None:
    mine = make_tenant(database)
    keep(database, mine)

    tell(database, mine, at=60, event="PAUSED", message_template_language="en-US")

    assert kept(database, mine, "language") == "en_US"
    assert kept(database, mine, "status") == "PAUSED"


def test_late_news_does_not_undo_a_newer_list(database: Connection) -> None:
    mine = make_tenant(database)
    tell(database, mine, at=0, event="PENDING")
    keep(database, mine, at=120, quality_score={"score": "GREEN"}, category="MARKETING")

    tell(database, mine, at=60, event="PAUSED")
    tell(database, mine, "message_template_quality", at=60, new_quality_score="RED")
    tell(database, mine, "template_category", at=60, new_category="UTILITY")

    assert kept(database, mine, "status") == "APPROVED"
    assert kept(database, mine, "quality") == "GREEN"
    assert kept(database, mine, "category") == "MARKETING"


def test_nor_does_a_list_that_was_read_before(database: Connection) -> None:
    mine = make_tenant(database)
    keep(database, mine, at=0)
    tell(database, mine, at=120, event="PAUSED", reason="LOW_QUALITY")

    keep(database, mine, at=60)
    tell(database, mine, at=90, event="DISABLED")

    assert kept(database, mine, "status") == "PAUSED"
    assert kept(database, mine, "rejection_reason") == "LOW_QUALITY"


@pytest.mark.parametrize("seconds, last", [(60, "UTILITY"), (30, "MARKETING")])
def test_a_category_told_beside_a_status_is_as_old_as_it_is(
    database: Connection, seconds: int, last: str
) -> None:
    """Of the same second the greater word counts, in whatever order they come."""
    forth, back = make_tenant(database), make_tenant(database)
    status: dict[str, Any] = {
        "at": seconds,
        "event": "APPROVED",
        "message_template_category": "UTILITY",
    }

    tell(database, forth, **status)
    for each in (forth, back):
        tell(database, each, "template_category", at=60, new_category="MARKETING")
    tell(database, back, **status)

    assert [kept(database, each, "category") for each in (forth, back)] == [last, last]


def test_what_a_list_does_not_tell_is_no_newer_for_it(database: Connection) -> None:
    mine = make_tenant(database)
    keep(database, mine, at=120)

    tell(database, mine, "message_template_quality", at=60, new_quality_score="RED")

    assert kept(database, mine, "quality") == "RED"


def test_a_reason_ends_with_the_rejection(database: Connection) -> None:
    mine = make_tenant(database)
    keep(database, mine, at=0, status="REJECTED", rejected_reason="INVALID_FORMAT")

    keep(database, mine, at=60, rejected_reason="NONE")

    assert kept(database, mine, "rejection_reason") is None


def test_a_reason_stays_while_a_list_tells_none_and_the_state_is_the_same(database: Connection) -> None:
    mine = make_tenant(database)
    keep(database, mine, at=0, rejected_reason="NONE")
    assert kept(database, mine, "rejection_reason") is None
    tell(database, mine, at=60, event="PAUSED", reason="LOW_QUALITY")

    keep(database, mine, at=120, status="PAUSED", rejected_reason="NONE")

    assert kept(database, mine, "rejection_reason") == "LOW_QUALITY"
