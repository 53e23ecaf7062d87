"""What a send costs: three calls of the database when the function is cold, two when it is warm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from functions.send_message.handler import create
from shared.connections import open_transport
from shared.crypto import KeyRing
from shared.database import Database
from tests.offices import SEND, open_office

if TYPE_CHECKING:
    import psycopg

    from tests.world import Simulator, World

    Connection = psycopg.Connection[tuple[Any, ...]]


class Counting(httpx.AsyncBaseTransport):
    """Passes requests on, and remembers their paths."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._transport = open_transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()


@pytest.mark.anyio
async def test_three_round_trips_cold_and_two_warm(
    world: World, database: Connection, simulator: Simulator
) -> None:
    office = open_office(world, database)
    chat_id = office.hear()
    app = create(world.variables)
    counted = Counting()
    app.resources.database = Database(
        world.supabase_url, world.publishable_key, world.secret_key, transport=counted
    )
    headers = {"authorization": f"Bearer {office.organization.owner.token}"}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function") as client:
        cold = await client.post(f"{SEND}/", json={"chat_id": chat_id, "text": "uno"}, headers=headers)
        first = list(counted.paths)
        counted.paths.clear()
        warm = await client.post(f"{SEND}/", json={"chat_id": chat_id, "text": "dos"}, headers=headers)
        second = list(counted.paths)
        counted.paths.clear()
        refused = await client.post(f"{SEND}/", json={"to": "+15550100777", "text": "tres"}, headers=headers)
    await app.resources.close()

    assert (cold.status_code, warm.status_code, refused.status_code) == (200, 200, 409), cold.text
    assert first == [
        "/rest/v1/rpc/begin_send",
        "/rest/v1/whatsapp_integrations",
        "/rest/v1/rpc/finish_sends",
    ]
    assert second == ["/rest/v1/rpc/begin_send", "/rest/v1/rpc/finish_sends"]
    assert counted.paths == ["/rest/v1/rpc/begin_send"]


@pytest.mark.anyio
async def test_replaced_credentials_are_used_at_once(
    world: World, database: Connection, simulator: Simulator
) -> None:
    office = open_office(world, database)
    other = open_office(world, database)
    chat_id = office.hear()
    app = create(world.variables)
    headers = {"authorization": f"Bearer {office.organization.owner.token}"}

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://function") as client:
        await client.post(f"{SEND}/", json={"chat_id": chat_id, "text": "uno"}, headers=headers)
        # Another business's token, sealed for this row: Meta refuses what it may not do.
        keys = KeyRing.from_setting(world.variables["ENCRYPTION_KEYS"])
        token = other.business["access_token"]
        database.execute(
            "update whatsapp_integrations set access_token = %s where id = %s",
            (
                keys.encrypt(token, row_id=office.integration_id, column="access_token"),
                office.integration_id,
            ),
        )
        refused = await client.post(f"{SEND}/", json={"chat_id": chat_id, "text": "dos"}, headers=headers)
    await app.resources.close()

    assert refused.status_code == 502, refused.text
    assert len(office.received()) == 1
