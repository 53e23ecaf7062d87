"""What Meta tells of an account or a number reaches whom it concerns, and undoes nothing that is newer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.contacts import canonical_phone
from tests import wire
from tests.database.tenants import Tenant, make_tenant, snapshot, store

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

REMOVED = {"event": "PARTNER_REMOVED"}
RECONNECTED = {"event": "ACCOUNT_RECONNECTED"}


def tell(connection: Connection, tenant: Tenant, value: object, *, at: int = 0, **keywords: Any) -> Any:
    """Deliver news of the tenant's account; `at` is seconds after an arbitrary moment."""
    told: dict[str, Any] = {"field": "account_update", "waba_id": tenant.waba_id, **keywords}
    return store(connection, wire.delivery(value, time=wire.TIMESTAMP + at, **told))


def connect(connection: Connection, tenant: Tenant, *, at: int) -> None:
    """Repair the connection by hand, as connecting again does."""
    connection.execute(
        "update whatsapp_integrations set status = 'connected', error_code = null, error_message = null,"
        " connected_at = to_timestamp(%s) where id = %s",
        (wire.TIMESTAMP + at + 0.5, tenant.integration_id),
    )


def state_of(connection: Connection, tenant: Tenant) -> tuple[str, str | None]:
    row = connection.execute(
        "select status::text, error_code from whatsapp_integrations where id = %s", (tenant.integration_id,)
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def column_of(connection: Connection, tenant: Tenant, column: str) -> Any:
    row = connection.execute(
        f"select {column} from whatsapp_integrations where id = %s", (tenant.integration_id,)
    ).fetchone()
    assert row is not None
    return row[0]


def events_of(connection: Connection, tenant: Tenant) -> list[str]:
    return [row[1] for row in snapshot(connection, tenant)["notices"]]


def test_news_of_the_end_of_an_account_breaks_the_connection(database: Connection) -> None:
    mine = make_tenant(database)
    connect(database, mine, at=0)

    tell(database, mine, REMOVED, at=0)

    assert state_of(database, mine) == ("error", "account_partner_removed")


def test_news_from_before_the_number_was_connected_is_told_and_changes_nothing(database: Connection) -> None:
    mine = make_tenant(database)
    connect(database, mine, at=100)

    tell(database, mine, REMOVED, at=50)

    assert state_of(database, mine) == ("connected", None)
    assert events_of(database, mine) == ["PARTNER_REMOVED"]


def test_news_that_was_told_before_changes_nothing_again(database: Connection) -> None:
    mine = make_tenant(database)
    tell(database, mine, REMOVED)
    database.execute(
        "update whatsapp_integrations set status = 'connected', error_code = null where id = %s",
        (mine.integration_id,),
    )

    # The same news in another delivery, as when Meta repeats what it could deliver in part only.
    payload = wire.delivery(
        REMOVED,
        {"event": "VERIFIED_ACCOUNT"},
        field="account_update",
        waba_id=mine.waba_id,
        time=wire.TIMESTAMP,
    )
    store(database, payload)

    assert state_of(database, mine) == ("connected", None)


def test_the_newest_news_of_a_connection_counts_in_whatever_order_it_comes(database: Connection) -> None:
    mine = make_tenant(database)

    tell(database, mine, RECONNECTED, at=20)
    tell(database, mine, REMOVED, at=10)
    assert state_of(database, mine) == ("connected", None)
    tell(database, mine, REMOVED, at=30)
    assert state_of(database, mine) == ("error", "account_partner_removed")
    tell(database, mine, RECONNECTED, at=40)

    assert state_of(database, mine) == ("connected", None)


def test_newer_news_of_another_matter_hides_none(database: Connection) -> None:
    mine = make_tenant(database)

    tell(database, mine, {"event": "AD_ACCOUNT_LINKED"}, at=20)
    tell(database, mine, REMOVED, at=10)

    assert state_of(database, mine) == ("error", "account_partner_removed")


def test_a_limit_is_one_matter_whichever_news_tells_it(database: Connection) -> None:
    mine = make_tenant(database)

    tell(
        database,
        mine,
        {"max_daily_conversations_per_business": "TIER_10K"},
        field="business_capability_update",
        at=20,
    )
    tell(
        database,
        mine,
        {"display_phone_number": "15550109999", "event": "THROUGHPUT_UPGRADE", "current_limit": "TIER_1K"},
        field="phone_number_quality_update",
        at=10,
    )

    assert column_of(database, mine, "messaging_limit") == "TIER_10K"
    assert column_of(database, mine, "throughput") == 1000


@pytest.mark.parametrize(
    "field, value",
    [
        ("account_update", {**REMOVED, "phone_number": "15550108888"}),
        (
            "phone_number_name_update",
            {
                "display_phone_number": "15550108888",
                "decision": "APPROVED",
                "requested_verified_name": "Otra",
            },
        ),
    ],
    ids=["the end", "a name"],
)
def test_news_of_another_number_of_the_account_is_not_ours(
    database: Connection, field: str, value: object
) -> None:
    mine = make_tenant(database)

    answer = tell(database, mine, value, field=field)

    assert answer["state"] == "unassigned"
    assert state_of(database, mine) == ("connected", None)
    assert events_of(database, mine) == []


@pytest.mark.parametrize(
    "ours, theirs",
    [
        ("+525500000001", "5215500000001"),
        ("+5491100000001", "541100000001"),
        ("+551190000001", "5511990000001"),
    ],
)
def test_news_of_our_number_is_ours_in_either_form(database: Connection, ours: str, theirs: str) -> None:
    mine = make_tenant(database, phone_number=ours)
    # A second number of the same account.
    make_tenant(database, business_account_id=mine.waba_id, phone_number="+15550108888")

    tell(database, mine, {**REMOVED, "phone_number": theirs})

    assert state_of(database, mine) == ("error", "account_partner_removed")


def test_news_of_a_number_goes_to_the_only_one_that_it_can_mean(database: Connection) -> None:
    mine = make_tenant(database, phone_number=None)

    tell(database, mine, {**REMOVED, "phone_number": "15550108888"})

    assert state_of(database, mine) == ("error", "account_partner_removed")


def test_a_message_that_names_no_number_goes_to_one_organization_or_to_none(database: Connection) -> None:
    mine = make_tenant(database)
    without_number = [
        {"messaging_product": "whatsapp", "messages": [wire.text_message(number=1)]},
        {"messaging_product": "whatsapp", "statuses": [wire.status(number=2)]},
        {"messaging_product": "whatsapp", "errors": [{"code": 131031, "title": "Locked"}]},
    ]

    alone = store(database, wire.delivery(*without_number, waba_id=mine.waba_id))
    theirs = make_tenant(database, business_account_id=mine.waba_id, phone_number="+15550108888")
    before = snapshot(database, mine)
    without_number[0]["messages"] = [wire.text_message(number=3)]
    shared = store(database, wire.delivery(*without_number, waba_id=mine.waba_id))

    assert (alone["state"], shared["state"]) == ("stored", "unassigned")
    assert len(before["messages"]) == 1
    assert snapshot(database, mine) == before
    assert not any(snapshot(database, theirs).values())


def test_news_of_an_account_is_for_each_of_its_numbers(database: Connection) -> None:
    mine = make_tenant(database)
    theirs = make_tenant(database, business_account_id=mine.waba_id, phone_number="+15550108888")

    tell(database, mine, {"event": "ACCOUNT_DELETED"})

    assert [state_of(database, each)[0] for each in (mine, theirs)] == ["error", "error"]


def test_a_phone_app_that_left_is_asked_for_its_past_anew_when_it_comes_back(database: Connection) -> None:
    mine = make_tenant(database)
    for kind in ("contacts", "history"):
        database.execute("select public.finish_sync(%s, %s, 'done')", (mine.phone_number_id, kind))
    # A send may have met the dead token first.
    database.execute(
        "update whatsapp_integrations set status = 'error', error_code = 'token_dead' where id = %s",
        (mine.integration_id,),
    )

    tell(database, mine, REMOVED)
    connect(database, mine, at=10)

    for kind in ("contacts", "history"):
        row = database.execute("select public.begin_sync(%s, %s)", (mine.phone_number_id, kind)).fetchone()
        assert row == (True,)


def test_news_without_a_time_is_news_once_a_delivery(database: Connection) -> None:
    """Months later Meta says the very same of a second reading of the phone app's chats."""
    mine = make_tenant(database)
    refused = {"errors": [{"code": 2593109, "title": "History sharing is turned off"}]}

    def deliver(number: int) -> None:
        chunk = wire.value(
            phone_number_id=mine.phone_number_id, history=[refused, wire.history(progress=number)]
        )
        store(database, wire.delivery(chunk, field="history", waba_id=mine.waba_id))

    for number in (10, 10, 20):
        deliver(number)
    assert sorted(events_of(database, mine)) == ["2593109", "2593109", "SYNC_PROGRESS", "SYNC_PROGRESS"]

    # Byte for byte the same, after Meta has long stopped repeating the first.
    database.execute(
        "update webhook_events set received_at = received_at - interval '9 days' where organization_id = %s",
        (mine.organization_id,),
    )
    deliver(20)

    assert sorted(events_of(database, mine)) == ["2593109"] * 3 + ["SYNC_PROGRESS"] * 3


LIKE_A_PHONE = st.from_regex(
    r"(55[1-9]{2}[6-9]|521?|549?(11|[23][0-9]{2,3})?(15)?)?[0-9]{6,12}", fullmatch=True
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(digits=LIKE_A_PHONE)
@example(digits="54111500000001")
@example(digits="5492231500001")
def test_the_database_writes_a_number_as_the_code_does(database: Connection, digits: str) -> None:
    row = database.execute("select private.canonical_phone(%s)", (f"+{digits}",)).fetchone()

    assert row == (canonical_phone(digits),)
