"""The deployer's doctor: each mistake in settings, database, queue and network is found as that cause."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from local.doctor import tell
from local.programs import ROOT
from shared.probes import diagnose, diagnose_platform
from shared.web import Resources
from tests.connecting import META_API, new_business, paste, status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import psycopg

    from shared.diagnostics import Report
    from tests.world import Organization, Simulator, World

    Connection = psycopg.Connection[tuple[Any, ...]]

# Nothing listens there.
NOWHERE = "http://127.0.0.1:9"
pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_jobs_of_others(database: Connection) -> None:
    """The deployer's doctor looks at everybody's jobs; other tests leave theirs behind."""
    database.execute("delete from jobs where state in ('ready', 'dead')")


async def examine(
    world: World, changed: Mapping[str, str] | None = None, *, late: timedelta = timedelta()
) -> Report:
    tools = Resources({**world.variables, **(changed or {})}, (), None)
    try:
        return await diagnose_platform(tools, now=datetime.now(UTC) + late)
    finally:
        await tools.close()


def broken(report: Report) -> dict[str, str | None]:
    return {
        link: finding.cause
        for link, finding in report.findings.items()
        if finding.state in ("failed", "warning")
    }


async def test_the_local_stack_is_found_whole(world: World) -> None:
    report = await examine(world)

    assert broken(report) == {}
    assert tell(report, "en").endswith("Everything holds.")


MISTAKES: dict[str, tuple[Mapping[str, str], dict[str, str]]] = {
    "no_keys": ({"ENCRYPTION_KEYS": ""}, {"settings": "settings_missing"}),
    "database_nowhere": ({"SUPABASE_URL": NOWHERE}, {"database": "database_unreachable"}),
    "wrong_secret_key": ({"SUPABASE_SECRET_KEY": "sb_secret_wrong"}, {"database": "settings_missing"}),
    "graph_nowhere": ({"GRAPH_API_URL": NOWHERE}, {"graph": "graph_unreachable"}),
    "version_ended": ({"GRAPH_API_VERSION": "v19.0"}, {"graph": "version_ended"}),
    "wrong_app_secret": ({"WHATSAPP_APP_SECRET": "d" * 32}, {"app": "app_secret_wrong"}),
    "unknown_token": ({"WHATSAPP_ACCESS_TOKEN": "EAAnothing"}, {"token": "token_revoked"}),
    "waba_of_others": (
        {"WHATSAPP_BUSINESS_ACCOUNT_ID": "123456789012345"},
        {"account": "account_not_accessible"},
    ),
    "webhook_elsewhere": (
        {"WHATSAPP_WEBHOOK_URL": f"{NOWHERE}/hook"},
        {"subscription": "callback_elsewhere"},
    ),
    "wrong_verify_token": (
        {"WHATSAPP_WEBHOOK_VERIFY_TOKEN": "not-the-one"},
        {"callback": "callback_refused"},
    ),
}


@pytest.mark.parametrize("changed, expected", MISTAKES.values(), ids=MISTAKES)
async def test_a_wrong_setting_is_found_as_its_cause(
    world: World, changed: Mapping[str, str], expected: dict[str, str]
) -> None:
    report = await examine(world, changed)

    assert broken(report) == expected


async def test_a_webhook_that_does_not_answer_is_found(
    world: World, simulator: Simulator, new_organization: Callable[..., Organization]
) -> None:
    organization, business = new_organization(), new_business(simulator)
    owner = organization.owner
    integration = paste(owner, business).json()["integration"]
    simulator.patch(f"/apps/{business.pasted['app_id']}", callback_url=f"{NOWHERE}/hook/{integration['id']}")
    row = status(owner)
    row |= {"organization_id": organization.id, "first_event_at": None, "last_event_at": None}

    tools = Resources({**world.variables, "WHATSAPP_WEBHOOK_URL": f"{NOWHERE}/hook"}, (), None)
    report = await diagnose(tools, organization.id, row, now=datetime.now(UTC))
    await tools.close()

    assert broken(report) == {"callback": "callback_unreachable"}


async def test_a_token_of_another_app_is_found(world: World, simulator: Simulator) -> None:
    other = new_business(simulator).pasted
    changed = {"WHATSAPP_APP_ID": other["app_id"], "WHATSAPP_APP_SECRET": other["app_secret"]}

    assert broken(await examine(world, changed)) == {"token": "token_of_other_app"}


async def test_what_meta_refuses_to_say_is_told_with_its_code(world: World, simulator: Simulator) -> None:
    simulator.post("/faults", edge="subscribed_apps", method="GET", code=368, times=1)

    report = await examine(world)

    assert broken(report) == {"subscription": "meta_refused"}
    assert "368" in tell(report, "en")


async def test_a_clock_that_is_wrong_is_found(world: World) -> None:
    assert broken(await examine(world, late=timedelta(minutes=5))) == {"clock": "clock_off"}


@contextmanager
def undone(database: Connection, do: str, undo: str) -> Iterator[None]:
    database.execute(do)
    try:
        yield
    finally:
        database.execute(undo)


HARM: dict[str, tuple[str, str, dict[str, str]]] = {
    "row_security_off": (
        "alter table public.notices disable row level security",
        "alter table public.notices enable row level security",
        {"protection": "row_security_off"},
    ),
    "open_to_strangers": (
        "grant select on public.chats to anon",
        "revoke select on public.chats from anon",
        {"protection": "row_security_off"},
    ),
    "secret_readable": (
        "grant select (pin) on public.whatsapp_integrations to authenticated",
        "revoke select (pin) on public.whatsapp_integrations from authenticated",
        {"protection": "row_security_off"},
    ),
    "row_security_off_for_bots": (
        "alter table public.bots disable row level security",
        "alter table public.bots enable row level security",
        {"protection": "row_security_off"},
    ),
    "signing_secret_readable": (
        "grant select (endpoint_secret) on public.bots to authenticated",
        "revoke select (endpoint_secret) on public.bots from authenticated",
        {"protection": "row_security_off"},
    ),
    "code_readable": (
        "grant select (code_hash) on public.whatsapp_verifications to authenticated",
        "revoke select (code_hash) on public.whatsapp_verifications from authenticated",
        {"protection": "row_security_off"},
    ),
    "table_missing": (
        "alter table public.message_media rename to media_of_messages",
        "alter table public.media_of_messages rename to message_media",
        {"database": "not_migrated"},
    ),
    "sending_missing": (
        "alter function public.begin_send rename to began_send",
        "alter function public.began_send rename to begin_send",
        {"database": "not_migrated"},
    ),
    "function_missing": (
        "alter function public.take_guess rename to taken_guess",
        "alter function public.taken_guess rename to take_guess",
        {"database": "not_migrated"},
    ),
    "job_late": (
        "insert into jobs (kind, key, run_at) values ('doctor_test', '2', now() - interval '1 hour')",
        "delete from jobs where kind = 'doctor_test'",
        {"jobs": "jobs_late"},
    ),
    "job_dead": (
        "insert into jobs (kind, key, state, finished_at) values ('doctor_test', '1', 'dead', now())",
        "delete from jobs where kind = 'doctor_test'",
        {"jobs": "jobs_dead"},
    ),
}


@pytest.mark.parametrize("do, undo, expected", HARM.values(), ids=HARM)
async def test_harm_to_the_database_is_found(
    world: World, database: Connection, do: str, undo: str, expected: dict[str, str]
) -> None:
    with undone(database, do, undo):
        report = await examine(world)

    assert broken(report) == expected


def run_command(module: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    # An environment of its own: nothing of the developer's may reach the command.
    surroundings = {"PATH": os.environ["PATH"], "SUPABASE_URL": NOWHERE, **environ}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_commands_of_the_makefile_work_on_what_the_environment_names(world: World) -> None:
    whole = run_command("local.doctor", **world.variables)
    counted = run_command("local.rotate_keys", "--dry-run", **world.variables)

    assert (whole.returncode, whole.stdout.splitlines()[-1]) == (0, "Everything holds.")
    assert counted.returncode == 0
    assert counted.stdout.splitlines()[-1] == "Nothing was changed."


def test_the_commands_say_what_is_missing(world: World) -> None:
    ill = run_command("local.doctor", LANG="es_PE.UTF-8")
    refused = run_command("local.rotate_keys")

    assert ill.returncode == 1
    assert "Faltan variables" in ill.stdout
    assert refused.returncode == 1
    assert "ENCRYPTION_KEYS" in refused.stdout


async def test_the_report_names_no_secret(
    world: World, new_organization: Callable[..., Organization], simulator: Simulator
) -> None:
    owner, business = new_organization().owner, new_business(simulator)
    paste(owner, business).raise_for_status()

    text = owner.functions.get(f"{META_API}/diagnostics").text

    secrets = (business.pasted["access_token"], business.pasted["app_secret"], world.secret_key)
    assert not any(secret in text for secret in secrets)
