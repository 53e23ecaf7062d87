"""Whose secret a delivery must be signed with, while the database comes and goes."""

from __future__ import annotations

import base64
from uuid import uuid4

import httpx
import pytest

from functions.webhook.endpoints import REMEMBERED_SECONDS, Endpoint, Endpoints
from shared.crypto import KeyRing
from shared.database import Database
from shared.errors import DatabaseUnavailable
from shared.web import Resources

pytestmark = pytest.mark.anyio

KEYS = f"k:{base64.b64encode(bytes(32)).decode()}"
SETTINGS = {
    "SUPABASE_URL": "https://project.supabase.test",
    "SUPABASE_SECRET_KEY": "sb_secret_x",
    "ENCRYPTION_KEYS": KEYS,
}
ID = str(uuid4())


class Supabase:
    """What PostgREST answers about one organization's own app, while it is there."""

    def __init__(self) -> None:
        self.is_away = False
        self.now = 0.0
        self.row: dict[str, object] | None = None
        self.endpoints = Endpoints(clock=lambda: self.now)

    def know(self, secret: str) -> None:
        ciphertext = KeyRing.from_setting(KEYS).encrypt(secret, row_id=ID, column="app_secret")
        self.row = {"app_secret": ciphertext, "has_own_app": True, "webhook_verify_token": None}

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_away:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200, json=self.row)

    async def find(self) -> Endpoint:
        tools = Resources(SETTINGS, (), None)
        transport = httpx.MockTransport(self.answer)
        tools.database = Database(
            SETTINGS["SUPABASE_URL"], None, SETTINGS["SUPABASE_SECRET_KEY"], transport=transport
        )
        try:
            return await self.endpoints.find(tools, ID)
        finally:
            await tools.close()


@pytest.fixture
def supabase() -> Supabase:
    return Supabase()


async def test_a_secret_that_was_looked_up_is_good_for_as_long_as_the_database_is_away(
    supabase: Supabase,
) -> None:
    supabase.know("theirs")
    await supabase.find()
    supabase.is_away = True

    for _ in range(3):
        supabase.now += 2 * REMEMBERED_SECONDS
        assert (await supabase.find()).secrets == ("theirs",)


async def test_a_newer_secret_counts_as_soon_as_the_database_is_back(supabase: Supabase) -> None:
    supabase.know("theirs")
    await supabase.find()
    supabase.is_away, supabase.now = True, 2 * REMEMBERED_SECONDS
    await supabase.find()
    supabase.know("renewed")
    supabase.is_away, supabase.now = False, 4 * REMEMBERED_SECONDS

    assert (await supabase.find()).secrets == ("renewed",)


@pytest.mark.parametrize("was_asked", [False, True])
async def test_who_is_not_known_is_asked_to_come_again_and_not_refused(
    supabase: Supabase, *, was_asked: bool
) -> None:
    """Meta repeats what is answered 503; that an organization was unknown a minute ago says nothing now."""
    if was_asked:
        assert (await supabase.find()).secrets == ()
    supabase.is_away, supabase.now = True, 2 * REMEMBERED_SECONDS

    with pytest.raises(DatabaseUnavailable):
        await supabase.find()
