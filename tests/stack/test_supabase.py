"""Supabase in the local stack behaves as the hosted one wherever the project relies on it.

A second one is started over a database of its own, with tables and functions made for these tests:
@supabase/lite sees only what is there when it starts.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import postgrest.types
import psycopg
import pytest
import supabase

from local.programs import ROOT, find_node
from local.services import supabase_service
from local.settings import Settings
from tests.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.services import Service
    from local.stack import Stack

MINIMAL = postgrest.types.ReturnMethod.minimal
SCRATCH = """
create function who() returns jsonb language sql as $$
    select jsonb_build_object('role', current_user, 'uid', auth.uid())
$$;
create function echo(payload jsonb) returns jsonb language sql as $$ select payload $$;
create function measure(payload jsonb) returns int language sql as $$ select length(payload::text) $$;
create function refuse(code text) returns void language plpgsql as $$
begin
    raise exception 'An English sentence.' using errcode = code, detail = 'our_code', hint = 'a hint';
end
$$;
create function remark() returns int language plpgsql as $$
begin
    raise notice 'remarkable';
    return 1;
end
$$;
create function wait(seconds float) returns int language sql as $$ select 1 from pg_sleep(seconds) $$;
create function only_for_service() returns int language sql as $$ select 1 $$;
revoke execute on function only_for_service() from public, anon, authenticated;

create table notes (
    id int generated always as identity primary key,
    owner_id uuid not null default auth.uid(),
    body jsonb,
    secret text
);
alter table notes enable row level security;
revoke all on notes from anon, authenticated;
grant select (id, owner_id, body), insert (body) on notes to authenticated;
create policy "Owners can read their notes" on notes
    for select to authenticated using (owner_id = (select auth.uid()));
create policy "Owners can write their notes" on notes
    for insert to authenticated with check (owner_id = (select auth.uid()));
"""


class Scratch(World):
    """The second Supabase, and what it logged."""

    def __init__(self, settings: Settings, log: Path) -> None:
        super().__init__(settings.variables)
        self.log = log


@pytest.fixture(scope="module")
def scratch(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    """A Supabase over a database with `SCRATCH` in it."""
    if not stack.variables.get("DATABASE_URL"):
        pytest.skip("DATABASE_URL is not set")
    folder = tmp_path_factory.mktemp("scratch")
    name = f"scratch_{uuid.uuid4().hex}"
    with psycopg.connect(stack.variables["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        url = stack.variables["DATABASE_URL"].rpartition("/")[0] + f"/{name}"
        settings = Settings.from_environ({"DATABASE_URL": url})
        service = supabase_service(settings, folder / "storage", folder / "mail")
        for _ in range(2):  # what a start makes, the next finds
            subprocess.run([*service.command, "--prepare"], cwd=ROOT, env=service.environ, check=True)
        with psycopg.connect(url) as made:
            made.execute(SCRATCH.encode())
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(
                service.command, cwd=ROOT, env=service.environ, stdout=log, stderr=log
            ) as process,
        ):
            try:
                deadline = time.monotonic() + 30
                while not asyncio.run(_is_healthy(service)):
                    assert process.poll() is None
                    assert time.monotonic() < deadline, (folder / "log").read_text()
                    time.sleep(0.05)
                scratch = Scratch(settings, folder / "log")
                yield scratch
                scratch.close()
            finally:
                process.terminate()
        connection.execute(f"drop database {name} with (force)".encode())


async def _is_healthy(service: Service) -> bool:
    return await service.is_healthy()


def test_each_key_and_token_has_its_role(scratch: Scratch) -> None:
    user = scratch.new_user()

    anonymous, own, service = (
        client.post("/rpc/who").json() for client in (scratch.anonymous, user.rest, scratch.service)
    )

    assert anonymous == {"role": "anon", "uid": None}
    assert own == {"role": "authenticated", "uid": user.id}
    assert service == {"role": "service_role", "uid": None}


def test_a_request_without_a_key_is_refused(scratch: Scratch) -> None:
    answer = scratch.client(f"{scratch.supabase_url}/rest/v1", {}).post("/rpc/who")

    assert answer.status_code == 401


def test_a_token_signed_with_the_well_known_secret_is_refused(scratch: Scratch) -> None:
    def part(fields: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")

    claims = {"role": "service_role", "sub": str(uuid.uuid4()), "exp": int(time.time()) + 600}
    signed = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    digest = hmac.digest(b"unsafe-secret-change-me", signed.encode(), hashlib.sha256)
    token = f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    answer = scratch.anonymous.post("/rpc/who", headers={"authorization": f"Bearer {token}"})

    assert answer.status_code == 401


def test_rows_and_columns_of_others_stay_closed(scratch: Scratch) -> None:
    """Column grants hold: nothing hands every table to every role at the first request."""
    owner, stranger = scratch.new_user(), scratch.new_user()
    assert owner.rest.post("/notes", json={"body": {"text": "mine"}}).status_code == 201

    answers = {
        "owner": owner.rest.get("/notes?select=body"),
        "stranger": stranger.rest.get("/notes?select=body"),
        "service": scratch.service.get(f"/notes?select=body,secret&owner_id=eq.{owner.id}"),
    }
    refusals = [
        owner.rest.get("/notes?select=secret"),
        owner.rest.post("/notes", json={"body": {}, "secret": "x"}),
        owner.rest.patch("/notes?id=gt.0", json={"body": {}}),
        owner.rest.delete("/notes?id=gt.0"),
        owner.rest.post("/rpc/only_for_service"),
    ]

    assert answers["owner"].json() == [{"body": {"text": "mine"}}]
    assert answers["stranger"].json() == []
    assert answers["service"].json() == [{"body": {"text": "mine"}, "secret": None}]
    assert [(refusal.status_code, refusal.json()["code"]) for refusal in refusals] == [(403, "42501")] * 5
    assert scratch.anonymous.get("/notes").json()["code"] == "42501"
    assert scratch.service.post("/rpc/only_for_service").json() == 1


@pytest.mark.parametrize(
    "code, status",
    [
        ("P0001", 400),
        ("22023", 400),
        ("23514", 400),
        ("23505", 409),
        ("42501", 403),
        ("28000", 403),
        ("40001", 500),
        ("40P01", 500),
        ("55P03", 500),
        ("57014", 500),
        ("53300", 503),
        ("57P01", 503),
        ("PT429", 429),
    ],
)
def test_an_exception_comes_through_with_all_its_fields(scratch: Scratch, code: str, status: int) -> None:
    """As PostgREST: https://docs.postgrest.org/en/stable/references/errors.html."""
    answer = scratch.service.post("/rpc/refuse", json={"code": code})

    assert answer.status_code == status
    fields = answer.json()
    assert (fields["code"], fields["message"]) == (code, "An English sentence.")
    assert fields["details"] == "our_code"
    if code != "23505":  # lite leaves the hint of this one out
        assert fields["hint"] == "a hint"


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, None, True, 1.5, {"b": []}]},
        [],
        ["a", {}],
        "text",
        'ñandú 👋 \\ "quoted" \u2028',
        7,
        None,
        False,
        {"json inside": '{"a": 1}'},
    ],
    ids=repr,
)
def test_json_arrives_as_it_was_sent(scratch: Scratch, value: object) -> None:
    answer = scratch.service.post("/rpc/echo", json={"payload": value})

    assert answer.json() == value


def test_a_body_of_eight_megabytes_is_taken(scratch: Scratch) -> None:
    answer = scratch.service.post("/rpc/measure", json={"payload": ["x" * 1000] * 8_000})

    assert answer.json() > 8_000_000


def test_thirty_two_calls_run_at_once(scratch: Scratch) -> None:
    began = time.monotonic()

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: scratch.service.post("/rpc/wait", json={"seconds": 1}), range(32)))

    assert {answer.status_code for answer in answers} == {200}
    assert time.monotonic() - began < 4


def test_neither_notices_nor_details_are_logged(scratch: Scratch) -> None:
    scratch.service.post("/rpc/remark")
    scratch.service.post("/rpc/refuse", json={"code": "P0001"})

    log = scratch.log.read_text("utf-8")

    assert "P0001 An English sentence." in log
    assert "remarkable" not in log
    assert "our_code" not in log


def test_its_own_pages_are_closed(scratch: Scratch) -> None:
    """They tell the database's address, password included."""
    client = scratch.client(scratch.supabase_url, {"apikey": scratch.secret_key})

    answers = [client.get(path) for path in ("/_system/info", "/_system/config", "/_", "/")]

    assert {answer.status_code for answer in answers} == {404}


def test_files_are_kept_for_whoever_may_read_them(scratch: Scratch) -> None:
    storage = f"{scratch.supabase_url}/storage/v1"
    service = scratch.client(storage, {"apikey": scratch.secret_key})
    user = scratch.new_user()
    stranger = scratch.client(
        storage, {"apikey": scratch.publishable_key, "authorization": f"Bearer {user.token}"}
    )
    photo = os.urandom(200_000)
    service.post("/bucket", json={"id": "media", "name": "media", "public": False}).raise_for_status()
    service.post(
        "/object/media/a/b.jpg", content=photo, headers={"content-type": "image/jpeg"}
    ).raise_for_status()

    whole = service.get("/object/media/a/b.jpg")
    signed = service.post("/object/sign/media/a/b.jpg", json={"expiresIn": 60}).json()
    linked = scratch.client(storage, {}).get(signed["signedURL"])
    refused = [client.get("/object/media/a/b.jpg") for client in (stranger, scratch.client(storage, {}))]
    service.request("DELETE", "/object/media", json={"prefixes": ["a/b.jpg"]}).raise_for_status()

    assert whole.content == linked.content == photo
    assert whole.headers["content-type"] == "image/jpeg"
    assert {answer.status_code for answer in refused} == {400}
    assert service.get("/object/media/a/b.jpg").status_code == 400


def test_supabase_py_acts_as_its_user(scratch: Scratch) -> None:
    user = scratch.new_user()
    with httpx.Client(trust_env=False) as transport:
        options = supabase.ClientOptions(httpx_client=transport)
        client = supabase.create_client(scratch.supabase_url, scratch.publishable_key, options)
        client.postgrest.auth(user.token)

        client.table("notes").insert({"body": {"by": "supabase-py"}}, returning=MINIMAL).execute()
        notes = client.table("notes").select("body").execute().data
        who = client.rpc("who", {}).execute().data

    assert notes == [{"body": {"by": "supabase-py"}}]
    assert who == {"role": "authenticated", "uid": user.id}


def test_supabase_js_acts_as_its_user(scratch: Scratch) -> None:
    script = """
        import { createClient } from "@supabase/supabase-js";
        const client = createClient(process.env.SUPABASE_URL, process.env.SUPABASE_PUBLISHABLE_KEY);
        const fail = ({ error, data }) => { if (error) throw error; return data; };
        const password = "correct horse";
        const { user } = fail(await client.auth.signUp({ email: process.env.EMAIL, password }));
        fail(await client.from("notes").insert({ body: { by: "supabase-js" } }));
        const notes = fail(await client.from("notes").select("body"));
        const who = fail(await client.rpc("who"));
        console.log(JSON.stringify({ notes, isSame: who.uid === user.id, role: who.role }));
        process.exit(0);
    """

    done = subprocess.run(
        [find_node(), "--input-type=module", "--eval", script],
        cwd=ROOT,
        env={**os.environ, **scratch.variables, "EMAIL": f"{uuid.uuid4()}@example.com"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "notes": [{"body": {"by": "supabase-js"}}],
        "isSame": True,
        "role": "authenticated",
    }
