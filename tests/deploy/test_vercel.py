"""The same applications in Vercel's layout: its file names each, and each answers as Vercel drives it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from deploy.imports import ROOT, Sources
from functions.worker.handler import RUN_SECONDS
from shared.signatures import sign
from tests import wire
from tests.offices import Office, open_office

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg
    from starlette.types import Receive, Scope, Send

    from local.stack import Stack
    from shared.web import App
    from tests.world import Simulator, World

    Connection = psycopg.Connection[tuple[Any, ...]]

CONFIG: dict[str, Any] = json.loads((ROOT / "vercel.json").read_text("utf-8"))
FILES = sorted((ROOT / "api").glob("*.py"))
# https://vercel.com/docs/project-configuration/vercel-json
KNOWN = {
    "$schema", "buildCommand", "crons", "framework", "functions", "headers", "outputDirectory", "redirects",
    "regions", "rewrites", "installCommand",
}  # fmt: skip
LONGEST = 300


def test_only_known_keys_are_used() -> None:
    """Vercel's own validator lets a misspelt one pass."""
    assert set(CONFIG) <= KNOWN
    for settings in CONFIG["functions"].values():
        assert set(settings) <= {"maxDuration", "memory", "excludeFiles", "includeFiles", "runtime"}
        assert settings["maxDuration"] <= LONGEST


def test_there_is_one_file_for_each_function() -> None:
    names = [f"whatsapp-{name.replace('_', '-')}" for name in Sources().functions]

    assert [path.stem for path in FILES] == sorted(names)


def test_every_rewrite_and_cron_leads_to_a_file() -> None:
    targets = [each["destination"] for each in CONFIG["rewrites"]] + [
        each["path"] for each in CONFIG["crons"]
    ]

    assert [target for target in targets if not (ROOT / f"{target.lstrip('/')}.py").is_file()] == []
    for cron in CONFIG["crons"]:
        assert len(cron["schedule"].split()) == 5


def test_no_rewrite_changes_the_query() -> None:
    """A named part of a path that the destination does not use becomes a parameter: `?path=status`."""
    assert [each["source"] for each in CONFIG["rewrites"] if ":" in each["source"]] == []


def test_the_worker_has_no_path_but_the_crons() -> None:
    assert not any("worker" in each["source"] for each in CONFIG["rewrites"])


def test_what_is_published_holds_no_source() -> None:
    """Without an output directory that exists, Vercel would publish the whole folder."""
    published = [path for path in (ROOT / CONFIG["outputDirectory"]).rglob("*") if path.is_file()]

    assert [path.name for path in published] == ["robots.txt"]


def test_nothing_is_bundled_that_no_function_imports() -> None:
    left_out = set(re.findall(r"[\w.]+", CONFIG["functions"]["api/*.py"]["excludeFiles"]))
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}

    assert folders - left_out - {"build"} == {"api", "functions", "shared"}


@pytest.fixture
def office(world: World, database: Connection, simulator: Simulator) -> Office:
    return open_office(world, database)


@pytest.fixture
def vercel(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """Serve the files as Vercel does: found by path, `app` under uvicorn, paths as they came."""
    for name, text in stack.variables.items():
        if name != "DATABASE_URL":
            monkeypatch.setenv(name, text)
    monkeypatch.setenv("CRON_SECRET", "a-cron-secret-of-the-test")
    apps = {f"/api/{path.stem}": _load(path) for path in FILES}
    server = uvicorn.Server(
        uvicorn.Config(_Edge(apps), host="127.0.0.1", port=0, log_level="error", lifespan="auto")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
        yield client
    server.should_exit = True
    thread.join()


def test_a_delivery_is_stored_at_both_addresses(vercel: httpx.Client, stack: Stack, office: Office) -> None:
    for number, path in enumerate(("/functions/v1/whatsapp-webhook", "/api/webhooks/whatsapp"), start=1):
        value = wire.value(
            phone_number_id=office.business["phone_number_id"],
            messages=[wire.text_message("hola", number=number)],
        )
        body = wire.to_wire(wire.delivery(value, waba_id=office.business["waba_id"]))
        headers = {"X-Hub-Signature-256": sign(body, stack.variables["WHATSAPP_APP_SECRET"])}

        answer = vercel.post(path, content=body, headers=headers)

        assert answer.status_code == 200, answer.text
    stored = office.row("select count(*) from messages where organization_id = %s", office.organization.id)
    assert stored[0] == 2


def test_each_function_of_a_user_answers(vercel: httpx.Client, office: Office) -> None:
    vercel.headers["Authorization"] = f"Bearer {office.organization.owner.token}"
    chat_id = office.hear()

    answers = [
        vercel.get("/functions/v1/whatsapp-oauth/status"),
        vercel.get("/functions/v1/whatsapp-meta-api/number"),
        vercel.post(
            "/functions/v1/whatsapp-send-message",
            json={"chat_id": chat_id, "type": "text", "text": {"body": "Hola"}},
        ),
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200], [each.text for each in answers]


def test_only_the_cron_runs_the_worker(vercel: httpx.Client) -> None:
    stranger = vercel.get("/api/whatsapp-worker")
    metrics = vercel.get("/metrics", headers={"Authorization": "Bearer a-cron-secret-of-the-test"})
    cron = vercel.get(
        "/api/whatsapp-worker",
        headers={"Authorization": "Bearer a-cron-secret-of-the-test"},
        # As long as it works where much is due.
        timeout=RUN_SECONDS + 30,
    )

    # It is there, and for another secret.
    assert (stranger.status_code, metrics.status_code) == (401, 401)
    assert (cron.status_code, set(cron.json())) == (200, {"sent", "jobs"})


def test_many_requests_at_once_share_one_process(vercel: httpx.Client, office: Office) -> None:
    headers = {"Authorization": f"Bearer {office.organization.owner.token}"}

    async def ask_all() -> list[int]:
        async with httpx.AsyncClient(base_url=vercel.base_url, timeout=30, trust_env=False) as client:
            asked = [client.get("/functions/v1/whatsapp-oauth/status", headers=headers) for _ in range(20)]
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask_all()) == [200] * 20


class _Edge:
    """Vercel's routing: files first, then the rewrites of vercel.json."""

    def __init__(self, apps: dict[str, App]) -> None:
        self._apps = apps
        self._rewrites = [(re.compile(each["source"]), each["destination"]) for each in CONFIG["rewrites"]]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            for app in self._apps.values():
                await app.resources.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"]
        target = path if path in self._apps else ""
        for source, destination in self._rewrites:
            target = target or (destination if source.fullmatch(path) else "")
        await self._apps[target](scope, receive, send)


def _load(path: Path) -> App:
    spec = importlib.util.spec_from_file_location(f"vercel_{path.stem.replace('-', '_')}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # A new one of its kind: other tests may have used the module's own.
    package = module.app.name.removeprefix("whatsapp-").replace("-", "_")
    made: App = importlib.import_module(f"functions.{package}.handler").create()
    assert type(made) is type(module.app)
    return made
