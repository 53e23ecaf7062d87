"""A new key takes over while the system works: nothing fails, and a rotation that was cut off goes on."""

from __future__ import annotations

import asyncio
import base64
import secrets
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from functions.send_message import handler as send_message
from local.rotate_keys import rotate
from shared.crypto import CannotDecrypt, KeyRing
from shared.key_rotation import Rotation, rotate_keys
from shared.web import Resources
from tests.connecting import new_business, paste, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from tests.world import Organization, Simulator, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]

COUNT = 1_000


class CutOff(Exception):
    """The process was killed."""


@pytest.fixture
def ring(world: World) -> str:
    """The keys of a system in rotation: a new one in front, the old one behind it."""
    return f"new:{base64.b64encode(secrets.token_bytes(32)).decode()},{world.variables['ENCRYPTION_KEYS']}"


@pytest.fixture
def environ(world: World, ring: str, database: Connection) -> Iterator[dict[str, str]]:
    # Other tests break credentials on purpose, by naming a key that there never was.
    database.execute(
        "update whatsapp_integrations set access_token = null"
        " where split_part(access_token, '.', 2) <> split_part(%s, ':', 1)",
        (world.variables["ENCRYPTION_KEYS"],),
    )
    yield {**world.variables, "ENCRYPTION_KEYS": ring}
    # The stack itself knows the old key only: everything goes back to it.
    new, old = ring.split(",", 1)
    back = {**world.variables, "ENCRYPTION_KEYS": f"{old},{new}"}
    run(rotate(back, is_dry_run=False))


@pytest.fixture
def many(
    environ: dict[str, str], database: Connection, world: World, new_user: Callable[[], User]
) -> Iterator[list[str]]:
    """A thousand organizations with connected numbers."""
    keys = KeyRing.from_setting(world.variables["ENCRYPTION_KEYS"])
    ids = [
        str(row[0])
        for row in database.execute(
            """
            with made as (
                insert into organizations (owner_id, name) select %s, 'Rotación' from generate_series(1, %s)
                returning id
            )
            insert into whatsapp_integrations (organization_id) select id from made returning id
            """,
            (new_user().id, COUNT),
        ).fetchall()
    ]
    with database.cursor() as cursor:
        cursor.executemany(
            "update whatsapp_integrations set access_token = %s, pin = %s where id = %s",
            [
                (
                    keys.encrypt(f"token of {id_}", row_id=id_, column="access_token"),
                    keys.encrypt("123456", row_id=id_, column="pin"),
                    id_,
                )
                for id_ in ids
            ],
        )
    yield ids
    database.execute(
        "delete from organizations where id in"
        " (select organization_id from whatsapp_integrations where id = any(%s::uuid[]))",
        (ids,),
    )


def test_a_thousand_connections_are_rotated_while_messages_are_sent(
    environ: dict[str, str],
    ring: str,
    many: list[str],
    simulator: Simulator,
    new_organization: Callable[..., Organization],
    database: Connection,
) -> None:
    owner, business = new_organization().owner, new_business(simulator, own_app=False)
    paste(owner, business).raise_for_status()
    simulator.write(business.phone_number_id, "hola", sender="15550100077")
    simulator.settle()
    app = send_message.create(environ)
    answers: list[int] = []
    is_over = asyncio.Event()

    async def keep_sending() -> None:
        transport = httpx.ASGITransport(app=app)
        headers = {"authorization": f"Bearer {owner.token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://functions.test", headers=headers
        ) as client:
            while not is_over.is_set():
                sent = await client.post(
                    "/", json={"to": "15550100077", "type": "text", "text": {"body": "seguimos"}}
                )
                answers.append(sent.status_code)

    totals, done = [], []

    def cut_off_half_way(rotation: Rotation) -> None:
        totals.append(rotation.total)
        done.append(rotation.rotated)
        if rotation.rotated >= COUNT / 2:
            raise CutOff

    async def rotate_twice() -> Rotation:
        sending = asyncio.create_task(keep_sending())
        tools = Resources(environ, (), None)
        with pytest.raises(CutOff):
            await rotate_keys(tools.database.as_service(), tools.keys, tell=cut_off_half_way)
        rest = await rotate_keys(tools.database.as_service(), tools.keys)
        is_over.set()
        await sending
        await tools.close()
        await app.resources.close()
        return rest

    rest = run(rotate_twice())

    assert len(answers) >= 3
    assert set(answers) <= {200, 201}
    # The second run had only the rest to do.
    assert rest.total == totals[0] - done[-1]
    assert rest.rotated == rest.total - len(rest.unreadable)
    only_new = KeyRing.from_setting(ring.split(",", maxsplit=1)[0])
    rows = database.execute(
        "select id, access_token, pin from whatsapp_integrations where id = any(%s::uuid[])", (many,)
    ).fetchall()
    assert len(rows) == COUNT
    for id_, token, pin in rows:
        assert only_new.decrypt(token, row_id=str(id_), column="access_token") == f"token of {id_}"
        assert only_new.decrypt(pin, row_id=str(id_), column="pin") == "123456"


def test_the_secrets_of_endpoints_are_rotated_with_everything_else(
    world: World,
    environ: dict[str, str],
    ring: str,
    new_organization: Callable[..., Organization],
    database: Connection,
) -> None:
    organization = new_organization().id
    keys = KeyRing.from_setting(world.variables["ENCRYPTION_KEYS"])
    row = database.execute("select gen_random_uuid()::text").fetchone()
    assert row is not None
    endpoint = str(row[0])
    # The previous secret was encrypted as the one in use.
    of_bot = [
        keys.encrypt(text, row_id=organization, column="endpoint_secret") for text in ("newer", "older")
    ]
    of_endpoint = [
        keys.encrypt(text, row_id=endpoint, column="signing_secret") for text in ("newer", "older")
    ]
    database.execute(
        "insert into bots (organization_id, endpoint_secret, previous_secret) values (%s, %s, %s)",
        (organization, *of_bot),
    )
    database.execute(
        "insert into event_endpoints (id, organization_id, url, kinds, signing_secret, previous_secret)"
        " values (%s, %s, 'https://example.com/hook', '{message.received}', %s, %s)",
        (endpoint, organization, *of_endpoint),
    )

    rotation = run(rotate(environ, is_dry_run=False))

    only_new = KeyRing.from_setting(ring.split(",", maxsplit=1)[0])
    rows = database.execute(
        "select b.endpoint_secret, b.previous_secret, e.signing_secret, e.previous_secret"
        " from bots as b join event_endpoints as e using (organization_id) where organization_id = %s",
        (organization,),
    ).fetchall()
    database.execute("delete from organizations where id = %s", (organization,))
    (found,) = rows
    assert [only_new.decrypt(text, row_id=organization, column="endpoint_secret") for text in found[:2]] == [
        "newer",
        "older",
    ]
    assert [only_new.decrypt(text, row_id=endpoint, column="signing_secret") for text in found[2:]] == [
        "newer",
        "older",
    ]
    assert {"bots", "event_endpoints"} <= rotation.outdated.keys()


def test_a_dry_run_counts_and_changes_nothing(
    environ: dict[str, str], many: list[str], database: Connection
) -> None:
    before = database.execute(
        "select md5(string_agg(access_token, '' order by id)) from whatsapp_integrations"
    )
    digest = before.fetchone()

    rotation = run(rotate(environ, is_dry_run=True))

    assert rotation.outdated["whatsapp_integrations"] >= COUNT
    after = database.execute(
        "select md5(string_agg(access_token, '' order by id)) from whatsapp_integrations"
    )
    assert after.fetchone() == digest


def test_what_no_key_opens_is_told_and_stops_nothing(
    world: World, environ: dict[str, str], many: list[str], database: Connection
) -> None:
    lost, moved = many[0], many[1]
    database.execute(
        "update whatsapp_integrations set access_token = 'v1.lost.' || split_part(access_token, '.', 3)"
        " where id = %s",
        (lost,),
    )
    database.execute(
        "update whatsapp_integrations set access_token ="
        " (select access_token from whatsapp_integrations where id = %s) where id = %s",
        (many[2], moved),
    )

    rotation = run(rotate(environ, is_dry_run=False))
    database.execute(
        "update whatsapp_integrations set access_token = null where id = any(%s::uuid[])", ([lost, moved],)
    )

    # Other tests may have left some too.
    assert {f"whatsapp_integrations {id_}" for id_ in (lost, moved)} <= set(rotation.unreadable)
    assert rotation.rotated >= COUNT - 2


def test_a_ciphertext_moved_to_another_row_or_column_does_not_open(world: World) -> None:
    keys = KeyRing.from_setting(world.variables["ENCRYPTION_KEYS"])
    text = keys.encrypt("EAAsecret", row_id="mine", column="access_token")

    for row_id, column in (("theirs", "access_token"), ("mine", "pin")):
        with pytest.raises(CannotDecrypt):
            keys.decrypt(text, row_id=row_id, column=column)
