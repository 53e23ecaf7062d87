"""A small, fast stand-in for PostgREST, for measuring only: one HTTP call → one SQL call on a pool.

python -m bench.postgrest_stand_in PORT

@supabase/lite is a development server and would hide what the project itself costs. This plays PostgREST's
part in its own way: the caller's key or JWT is checked, the statement runs in a transaction under the
caller's database role and claims, and the JSON body is taken apart by Postgres.

POST /rest/v1/rpc/NAME   calls a function of the schema `public`
POST /rest/v1/TABLE      inserts one row, unless it is there already
GET  /rest/v1/TABLE      reads columns of rows: `?select=a,b&c=eq.value`

It can do nothing else: no other filter, no schema but `public`.
https://docs.postgrest.org/en/stable/references/transactions.html
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

import psycopg
from psycopg import sql

from local.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Sequence

POOL = 10
"""PostgREST's own default."""
REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
}
FUNCTIONS = """
    select p.proname, p.proretset, p.prorettype::regtype::text as returns, t.typtype = 'c' as is_row,
        coalesce(p.proargnames, '{}'), p.proargtypes::regtype[]::text[],
        array(
            select pg_get_function_arg_default(p.oid, nr::integer)
            from generate_series(1, p.pronargs) as nr
        )
    from pg_proc as p join pg_type as t on t.oid = p.prorettype
    where p.pronamespace = 'public'::regnamespace and p.prokind = 'f'
"""
TABLES = (
    "select c.relname from pg_class as c where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'"
)


@dataclass(frozen=True)
class Caller:
    """A database role, and what `auth.uid()` reads."""

    role: str
    claims: str
    user_id: str = ""


class _Function(NamedTuple):
    """A row of `FUNCTIONS`; the names are more than the types where columns are returned."""

    name: str
    is_set: bool
    returns: str
    is_row: bool
    names: list[str]
    types: list[str]
    defaults: list[str | None]


class Refused(Exception):
    """Not let in, or nothing there; the status says which."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class StandIn:
    """The pool, the keys and the statements that are known."""

    url: str
    secret_key: str
    jwt_secret: str
    statements: dict[str, sql.Composed] = field(default_factory=dict)
    pool: asyncio.LifoQueue[psycopg.AsyncConnection[Any]] = field(default_factory=asyncio.LifoQueue)

    async def open(self) -> None:
        """Read what can be called, once, as PostgREST does, and open the pool."""
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            for row in await (await connection.execute(FUNCTIONS)).fetchall():
                self.statements[f"rpc/{row[0]}"] = _write_call(_Function(*row))
            for (table,) in await (await connection.execute(TABLES)).fetchall():
                self.statements[table] = _write_insert(table)
        for _ in range(POOL):
            connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
            connection.prepare_threshold = 0
            self.pool.put_nowait(connection)

    async def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, bytes]:
        """Run the one statement that a request means; return the status and the answer's body."""
        try:
            caller = self.find_caller(token)
            name, _, query = path.removeprefix("/rest/v1/").partition("?")
            if method == "GET":
                statement, values = self.write_select(name, query)
                return 200, str(await self._run(statement, caller, values)).encode()
            told = await self._run(self.find_statement(name), caller, [body.decode()])
        except Refused as refused:
            return refused.status, json.dumps({"code": "PGRST", "message": str(refused)}).encode()
        except psycopg.Error as error:
            found = error.diag
            problem = {
                "code": error.sqlstate,
                "message": found.message_primary,
                "details": found.message_detail,
                "hint": found.message_hint,
            }
            return (400 if (error.sqlstate or "XX")[:2] in {"22", "23", "P0", "42"} else 500), json.dumps(
                problem
            ).encode()
        if not name.startswith("rpc/"):
            return 201, b""
        return (204, b"") if told is None else (200, str(told).encode())

    def find_statement(self, name: str) -> sql.Composed:
        """Find what a path means."""
        try:
            return self.statements[name]
        except KeyError:
            raise Refused(404, "There is nothing of this name.") from None

    def write_select(self, table: str, query: str) -> tuple[sql.Composed, list[str]]:
        """Write what a read means, with the values of its filters."""
        self.find_statement(table)
        given = dict(parse_qsl(query))
        columns = [sql.Identifier(name) for name in given.pop("select").split(",")]
        given.pop("limit", None)
        filters = [sql.SQL("{}::text = %s").format(sql.Identifier(name)) for name in given]
        statement = sql.SQL(
            "select coalesce(json_agg(r), '[]')::text from (select {} from public.{} where {}) as r"
        ).format(sql.SQL(", ").join(columns), sql.Identifier(table), sql.SQL(" and ").join(filters))
        return statement, [value.removeprefix("eq.") for value in given.values()]

    def find_caller(self, token: str) -> Caller:
        """Take the secret key for the service, and a JWT for whomever it names."""
        if hmac.compare_digest(token.encode(), self.secret_key.encode()):
            return Caller("service_role", '{"role":"service_role"}')
        head, _, given = token.rpartition(".")
        right = hmac.digest(self.jwt_secret.encode(), head.encode(), hashlib.sha256)
        try:
            is_signed = hmac.compare_digest(_decode(given), right)
            claims = _decode(head.partition(".")[2]) if is_signed else b"{}"
            told = json.loads(claims)
        except (ValueError, binascii.Error):
            raise Refused(401, "No JWT.") from None
        if not is_signed or told.get("exp", 0) < time.time() or told.get("role") != "authenticated":
            raise Refused(401, "JWT expired, or not ours.")
        return Caller("authenticated", claims.decode(), str(told.get("sub", "")))

    async def _run(self, statement: sql.Composed, caller: Caller, values: Sequence[str]) -> Any:
        connection = await self.pool.get()
        try:
            # In one round trip, as PostgREST's own driver sends them.
            async with connection.pipeline():
                await connection.execute("begin")
                await connection.execute(
                    # The last is an older way, which the auth.uid() of @supabase/lite still goes.
                    "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true),"
                    " set_config('request.jwt.claim.sub', %s, true)",
                    (caller.role, caller.claims, caller.user_id),
                )
                done = await connection.execute(statement, values)
                await connection.execute("commit")
            row = await done.fetchone() if done.description else None
            return row[0] if row else None
        except psycopg.Error:
            with contextlib.suppress(psycopg.Error):
                await connection.rollback()
            raise
        finally:
            if connection.closed:
                connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
                connection.prepare_threshold = 0
            self.pool.put_nowait(connection)


def _write_call(called: _Function) -> sql.Composed:
    function = sql.Identifier("public", called.name)
    arguments = list(zip(called.names, called.types, called.defaults, strict=False))
    given = sql.SQL(", ").join(
        sql.SQL("{} := {}").format(
            sql.Identifier(argument),
            sql.SQL("r.{}").format(sql.Identifier(argument))
            if default is None
            else sql.SQL("coalesce(r.{}, {})").format(sql.Identifier(argument), sql.SQL(default)),
        )
        for argument, _, default in arguments
    )
    fields = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(argument), sql.SQL(type_)) for argument, type_, _ in arguments
    )
    source = (
        sql.SQL("json_to_record(%s::json) as r({})").format(fields)
        if arguments
        else sql.SQL("(select %s::text) as r")
    )
    call = sql.SQL("{}({})").format(function, given)
    if called.is_set:
        query = "select coalesce(json_agg(c), '[]')::text from {source}, lateral {call} as c"
    elif called.returns == "void":
        query = "select nullif({call}::text, '') from {source}"
    elif called.is_row:
        query = "select row_to_json(c)::text from {source}, lateral {call} as c"
    elif called.returns in {"json", "jsonb"}:
        query = "select {call}::text from {source}"
    else:
        query = "select to_json({call})::text from {source}"
    return sql.SQL(query).format(source=source, call=call)


def _write_insert(table: str) -> sql.Composed:
    name = sql.Identifier("public", table)
    return sql.SQL(
        "insert into {} select * from json_populate_record(null::{}, %s::json) on conflict do nothing"
    ).format(name, name)


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


async def _serve(stand_in: StandIn, port: int) -> None:
    await stand_in.open()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await _answer_one(stand_in, reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, HOST, port, limit=1 << 16)
    await server.serve_forever()


async def _answer_one(stand_in: StandIn, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split(" ")
    token = headers.get("authorization", "").removeprefix("Bearer ")
    # Whoever waits for it to start asks for the root.
    status, told = (200, b"{}") if path == "/" else await stand_in.answer(method, path, token, body)
    writer.write(
        f"HTTP/1.1 {status} {REASONS.get(status, 'Error')}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(told)}\r\n\r\n".encode()
        + told
    )
    await writer.drain()


if __name__ == "__main__":
    asyncio.run(
        _serve(
            StandIn(
                os.environ["DATABASE_URL"],
                os.environ["SUPABASE_SECRET_KEY"],
                os.environ["SUPABASE_JWT_SECRET"],
            ),
            int(sys.argv[1]),
        )
    )
