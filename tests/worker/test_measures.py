"""How the work stands, told to the log each minute and to Prometheus when it asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from functions.worker.measures import summarize, to_exposition

if TYPE_CHECKING:
    import psycopg
    import pytest

    from local.stack import Stack
    from tests.offices import Office
    from tests.worker.conftest import WorkOff
    from tests.world import World

    Connection = psycopg.Connection[tuple[Any, ...]]

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]
NOTHING: dict[str, Any] = {
    "jobs": [],
    "sends": {"waiting": 0, "delayed": 0, "in_flight": 0, "oldest_seconds": 0},
    "connections": {},
    "tokens": {"ending": 0, "least_days": None},
    "recent": {"seconds": 300, "deliveries": {}, "lag": None, "sends": []},
}


def read(text: str) -> Figures:
    """Read what Prometheus would, with its own parser."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def ask(world: World, token: str | None) -> Any:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return world.functions.get("/whatsapp-worker/metrics", headers=headers)


def test_only_who_has_the_token_is_told(world: World, stack: Stack) -> None:
    """Whoever may look may not run the worker, and the other way round."""
    asked = [ask(world, None), ask(world, "wrong"), ask(world, stack.variables["CRON_SECRET"])]
    ran = world.functions.get(
        "/whatsapp-worker", headers={"authorization": f"Bearer {stack.variables['METRICS_TOKEN']}"}
    )

    assert [answer.status_code for answer in (*asked, ran)] == [401] * 4


def test_what_waits_runs_and_is_dead_is_counted(
    world: World, stack: Stack, database: Connection, office: Office
) -> None:
    database.execute("delete from jobs")
    database.execute(
        """
        insert into jobs (organization_id, kind, key, state, run_at, lease_until, finished_at) values
            (%(o)s, 'test_kind', 'a', 'ready', now() - interval '90 seconds', null, null),
            (%(o)s, 'test_kind', 'b', 'ready', now() - interval '10 seconds', null, null),
            (%(o)s, 'test_kind', 'c', 'ready', now() + interval '1 hour', null, null),
            (%(o)s, 'test_kind', 'd', 'running', now(), now() + interval '1 minute', null),
            (%(o)s, 'test_kind', 'e', 'dead', now(), null, now()),
            (%(o)s, 'test_kind', 'f', 'done', now(), null, now())
        """,
        {"o": office.organization.id},
    )
    database.execute(
        "update whatsapp_integrations set token_expires_at = now() + interval '5 days' where id = %s",
        (office.integration_id,),
    )
    office.hear(text="hola")

    answer = ask(world, stack.variables["METRICS_TOKEN"])

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    figures = read(answer.text)

    def of(name: str, **labels: str) -> float:
        return figures[name, frozenset(labels.items())]

    counted = {
        state: of("whatsapp_jobs", kind="test_kind", state=state)
        for state in ("waiting", "delayed", "running", "dead")
    }
    assert counted == {"waiting": 2, "delayed": 1, "running": 1, "dead": 1}
    assert 90 <= of("whatsapp_jobs_oldest_seconds", kind="test_kind") < 120
    assert of("whatsapp_connections", status="connected") >= 1
    assert of("whatsapp_tokens_ending") >= 1
    assert 0 < of("whatsapp_token_least_days") <= 5
    assert of("whatsapp_recent_deliveries", state="stored") >= 1
    assert of("whatsapp_recent_lag_seconds", quantile="1") >= of(
        "whatsapp_recent_lag_seconds", quantile="0.5"
    )


async def test_sends_are_counted_by_what_became_of_them(
    world: World, stack: Stack, office: Office, work_off: WorkOff
) -> None:
    chat_id = office.hear()
    office.world.simulator.post(
        "/faults", edge="messages", object_id=office.business["phone_number_id"], code=131026
    )
    refused = office.organization.owner.functions.post(
        "/whatsapp-send-message", json={"chat_id": chat_id, "type": "text", "text": {"body": "Hola"}}
    )
    await work_off()

    figures = read(ask(world, stack.variables["METRICS_TOKEN"]).text)

    assert refused.status_code >= 400
    of_the_code = frozenset({"status": "failed", "code": "131026"}.items())
    assert figures["whatsapp_recent_sends", of_the_code] >= 1
    assert figures["whatsapp_sends", frozenset({("state", "waiting")})] == 0


async def test_the_log_tells_how_the_work_stands(
    database: Connection, office: Office, work_off: WorkOff, capsys: pytest.CaptureFixture[str]
) -> None:
    database.execute("update job_schedules set next_at = now() where kind = 'measure_work'")
    database.execute(
        "insert into jobs (organization_id, kind, key, run_at) values (%s, 'test_kind', 'late', %s)",
        (office.organization.id, "2026-01-01T00:00:00Z"),
    )

    await work_off(METRICS_STAGE="test")

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    (told,) = [line for line in lines if line["event"] == "work.measured"]
    assert (told["JobsWaiting"], told["Stage"]) == (told["waiting_job_count"], "test")
    assert told["JobsWaiting"] >= 1
    assert told["JobsWaitingAge"] > 86_400
    named = {each["Metrics"][0]["Name"] for each in told["_aws"]["CloudWatchMetrics"]}
    assert {"JobsWaiting", "JobsWaitingAge", "JobsLyingDead", "SendsWaiting", "SendsWaitingAge"} <= named


def test_where_nothing_is_there_is_nothing_to_tell() -> None:
    assert "days_left" not in summarize(NOTHING)
    assert summarize(NOTHING)["oldest_job_seconds"] == 0
    figures = read(to_exposition(NOTHING).decode())
    assert ("whatsapp_token_least_days", frozenset()) not in figures
    assert figures["whatsapp_sends_oldest_seconds", frozenset()] == 0
