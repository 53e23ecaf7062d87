"""Tokens are renewed before they end, so that nobody notices; where that fails, the owner is told in time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from shared.access import load_access
from shared.graph import GraphUnreachable
from shared.token_refresh import refresh_due_tokens, retry_seconds, tell_of_failure
from shared.web import Resources
from tests.connecting import at_meta, connect_number, new_business, paste, run, status
from tests.offices import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from tests.world import Organization, Simulator, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def owner(new_organization: Callable[..., Organization]) -> User:
    return new_organization().owner


@pytest.fixture
def worker(world: World) -> Iterator[None]:
    with workers(world, 1):
        yield


def jobs(database: Connection, integration_id: str) -> list[tuple[str, Any]]:
    return database.execute(
        "select state::text, run_at from jobs where kind = 'refresh_token'"
        " and payload ->> 'integration_id' = %s order by id",
        (integration_id,),
    ).fetchall()


@pytest.mark.slow
def test_a_token_that_ends_during_use_is_renewed_without_one_failed_send(
    owner: User, simulator: Simulator, worker: None
) -> None:
    business = new_business(simulator, own_app=False, expires_in=8)
    paste(owner, business).raise_for_status()
    simulator.write(business.phone_number_id, "hola", sender="15550100066")
    simulator.settle()
    end = time.monotonic() + 10

    answers = []
    while time.monotonic() < end:
        answers.append(
            owner.functions.post(
                "/whatsapp-send-message/",
                json={"to": "15550100066", "type": "text", "text": {"body": "sigo aquí"}},
            )
        )
        time.sleep(0.2)

    assert len(answers) > 10
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert {answer.json()["message"]["status"] for answer in answers} & {"failed", "uncertain"} == set()
    (old,) = [row for row in simulator.get("/tokens") if row["value"] == business.pasted["access_token"]]
    assert old["expires_at"] < time.time()
    assert status(owner)["status"] == "connected"


def test_a_renewal_is_planned_a_week_before_the_end(
    owner: User, simulator: Simulator, database: Connection
) -> None:
    business = new_business(simulator, expires_in=60 * 86400)
    integration = paste(owner, business).json()["integration"]

    ((state, run_at),) = jobs(database, integration["id"])

    assert state == "ready"
    due = run_at - datetime.now(UTC)
    assert timedelta(days=52) < due < timedelta(days=54)


def test_a_token_without_end_needs_no_renewal(
    owner: User, simulator: Simulator, database: Connection
) -> None:
    integration = paste(owner, new_business(simulator)).json()["integration"]

    assert jobs(database, integration["id"]) == []
    assert integration["token"]["expires_at"] is None


@pytest.mark.slow
def test_a_token_that_cannot_be_renewed_becomes_an_error_with_its_reason(
    owner: User, simulator: Simulator, worker: None
) -> None:
    business = new_business(simulator, own_app=False, expires_in=4)
    paste(owner, business).raise_for_status()
    simulator.patch(f"/tokens/{business.pasted['access_token']}", is_revoked=True)
    deadline = time.monotonic() + 20

    while status(owner)["status"] != "error" and time.monotonic() < deadline:
        time.sleep(0.2)

    integration = status(owner)
    assert (integration["status"], integration["error_code"]) == ("error", "token_dead")
    notices = owner.rest.get("/notices", params={"field": "eq.connection"}).json()
    assert [(notice["event"], notice["severity"]) for notice in notices] == [("TOKEN_DEAD", "critical")]


def test_an_end_that_comes_close_is_told_to_the_owner_once(
    owner: User, simulator: Simulator, world: World
) -> None:
    business = new_business(simulator, own_app=False, expires_in=86400)
    integration = paste(owner, business).json()["integration"]
    tools = Resources(world.variables, (), None)

    async def fail_twice() -> None:
        access = await load_access(tools, integration["id"])
        assert access is not None
        for _ in range(2):
            await tell_of_failure(
                tools, access, GraphUnreachable(request_written=False, reason="ConnectError")
            )
        await tools.close()

    run(fail_twice())

    notices = owner.rest.get("/notices", params={"field": "eq.connection"}).json()
    assert [(notice["event"], notice["severity"]) for notice in notices] == [
        ("TOKEN_NOT_REFRESHED", "warning")
    ]
    assert status(owner)["status"] == "connected"


def test_a_new_token_of_the_platforms_reaches_every_connection_in_its_account(
    owner: User, simulator: Simulator, world: World
) -> None:
    number = connect_number(owner, simulator)
    fresh = simulator.post(
        "/tokens",
        app_id=world.variables["WHATSAPP_APP_ID"],
        waba_ids=[world.variables["WHATSAPP_BUSINESS_ACCOUNT_ID"]],
    )["value"]

    async def deploy_and_wait() -> tuple[int, int, str]:
        tools = Resources({**world.variables, "WHATSAPP_ACCESS_TOKEN": fresh}, (), None)
        is_more_left, copied = True, 0
        while is_more_left:
            count, is_more_left = await refresh_due_tokens(tools)
            copied += count
        again, _ = await refresh_due_tokens(tools)
        access = await load_access(tools, status(owner)["id"])
        assert access is not None
        await tools.close()
        return copied, again, access.token

    copied, again, stored = run(deploy_and_wait())

    assert copied >= 1
    assert again == 0
    assert stored == fresh
    assert at_meta(simulator, number)[0]["status"] == "CONNECTED"


def test_pauses_grow_but_leave_several_tries_before_the_end() -> None:
    now = datetime.now(UTC)

    week = [retry_seconds(now + timedelta(days=7), attempt, now) for attempt in (1, 2, 3, 9)]
    minute = [retry_seconds(now + timedelta(minutes=1), attempt, now) for attempt in (1, 9)]

    assert week == [60.0, 180.0, 540.0, 21600.0]
    assert max(minute) <= 15.0
