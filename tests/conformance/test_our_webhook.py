"""Our own webhook under the whole suite, on the running stack; and another's, to see what it tells apart."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from local.conformance.payloads import Maker
from local.conformance.suite import Suite, to_table
from local.stack import running_stack
from tests.conformance.receivers import SECRET, VERIFY_TOKEN
from tests.database.tenants import make_tenant
from tests.stack.test_crash import Server, database_server, webhook_server

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack

__all__ = ["database_server"]


@pytest.mark.slow
async def test_our_webhook_passes_the_whole_suite(
    stack: Stack, database: psycopg.Connection[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    """Every case passes; those that break the receiver are skipped here, and proven by the crash tests."""
    tenant = make_tenant(database)

    async def count(keys: list[str]) -> dict[str, int]:
        statement = "select wamid, count(*) from messages where wamid = any(%s) group by wamid"
        rows = await asyncio.to_thread(lambda: database.execute(statement, (keys,)).fetchall())
        return {str(wamid): int(total) for wamid, total in rows}

    async with httpx.AsyncClient(timeout=60.0, trust_env=False) as client:
        suite = Suite(
            url=f"{stack.variables['FUNCTIONS_URL']}/whatsapp-webhook",
            secret=stack.variables["WHATSAPP_APP_SECRET"],
            client=client,
            verify_token=stack.variables["WHATSAPP_WEBHOOK_VERIFY_TOKEN"],
            maker=Maker(waba_id=tenant.waba_id, phone_number_id=tenant.phone_number_id),
            ask=count,
        )
        # A busy machine says nothing about the code: speed is measured elsewhere.
        results = [result for result in await suite.run() if result.area != "speed"]

    with capsys.disabled():
        print(to_table(results))  # noqa: T201 - the table is what a reader wants to see
    assert [result for result in results if result.outcome == "failed"] == []
    assert {result.area for result in results if result.outcome == "skipped"} == {"trouble"}


@pytest.mark.slow
async def test_our_webhook_passes_the_cases_that_break_it(
    tmp_path: Path, database_server: tuple[Server, str]
) -> None:
    """Its database goes away and comes back; its process is killed: nothing is lost and nothing doubled."""
    postgres, database_url = database_server
    environ = {**os.environ, "DATABASE_URL": database_url, "LOCAL_WORKER": "off"}
    for name in ("SUPABASE_URL", "FUNCTIONS_URL"):
        environ.pop(name, None)
    with running_stack(tmp_path / "stack", environ) as stack, webhook_server(stack) as (webhook, url):
        with psycopg.connect(database_url, autocommit=True) as connection:
            tenant = make_tenant(connection)

        async def count(keys: list[str]) -> dict[str, int]:
            return await asyncio.to_thread(_count, database_url, keys)

        async def crash() -> None:
            await asyncio.to_thread(webhook.end, signal.SIGKILL)
            await asyncio.to_thread(webhook.start)

        async def break_store() -> None:
            await asyncio.to_thread(postgres.end, signal.SIGINT)

        async def mend_store() -> None:
            await asyncio.to_thread(postgres.start)

        async with httpx.AsyncClient(timeout=60.0, trust_env=False) as client:
            suite = Suite(
                url=url,
                secret=stack.variables["WHATSAPP_APP_SECRET"],
                client=client,
                maker=Maker(waba_id=tenant.waba_id, phone_number_id=tenant.phone_number_id),
                ask=count,
                crash=crash,
                break_store=break_store,
                mend_store=mend_store,
            )
            results = await suite.run("trouble")

    assert [result.outcome for result in results] == ["passed", "passed"], to_table(results)


def _count(database_url: str, keys: list[str]) -> dict[str, int]:
    statement = "select wamid, count(*) from messages where wamid = any(%s) group by wamid"
    with psycopg.connect(database_url, autocommit=True) as connection:
        return {str(wamid): int(total) for wamid, total in connection.execute(statement, (keys,))}


async def test_a_public_librarys_receiver_fails_where_it_is_known_to(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The handlers of pywa keep what they get: it reads one item of a delivery, and nothing of some kinds."""
    from pywa_async import WhatsApp

    client = WhatsApp(
        phone_id=Maker.phone_number_id,
        token="EAAexample",
        server=None,
        app_secret=SECRET,
        verify_token=VERIFY_TOKEN,
    )
    kept: dict[str, int] = {}

    async def keep(_client: WhatsApp, message: Any) -> None:
        kept[message.id] = kept.get(message.id, 0) + 1

    for register in (client.on_message, client.on_callback_button, client.on_callback_selection):
        register(keep)

    async def serve(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            asked = request.url.params
            text, status = await client.webhook_challenge_handler(
                vt=asked.get("hub.verify_token"), ch=asked.get("hub.challenge")
            )
            return httpx.Response(status, text=text or "")
        try:
            return await take(request)
        except Exception as error:  # noqa: BLE001 - any server answers 500 then
            return httpx.Response(500, text=type(error).__name__)

    async def take(request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        header = dict(request.headers.raw).get(b"X-Hub-Signature-256")
        given = None if header is None else header.decode("utf-8", "replace")
        refused = await client.webhook_update_validator(body, given)
        text, status = refused or await client.webhook_update_handler(body)
        return httpx.Response(status, text=text)

    async def count(keys: list[str]) -> dict[str, int]:
        return {key: kept.get(key, 0) for key in keys}

    async with httpx.AsyncClient(transport=httpx.MockTransport(serve)) as http:
        suite = Suite(
            url="http://receiver.test/",
            secret=SECRET,
            client=http,
            verify_token=VERIFY_TOKEN,
            ask=count,
            settle_seconds=0.2,
        )
        results = await suite.run()

    with capsys.disabled():
        print(to_table([result for result in results if result.outcome == "failed"]))  # noqa: T201 - as above
    failed = {result.name for result in results if result.outcome == "failed"}
    assert "a thousand messages in one delivery" in failed
    assert "a signed delivery is acknowledged" not in failed
