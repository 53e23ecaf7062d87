"""The database client against a small PostgREST of our own: every fault becomes an error to act on."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from shared.database import Database
from shared.errors import (
    AppError,
    BadRequest,
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    InvalidToken,
    Misconfigured,
    NotConnected,
    NotFound,
    NumberTaken,
    ResendTooEarly,
    TooLarge,
    TooManyRequests,
    Unauthorized,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

PUBLISHABLE = "sb_publishable_for_tests"
SECRET = "sb_secret_for_tests"
USER_TOKEN = "header.payload.signature"


class Postgrest:
    """Answers as PostgREST does: two functions, one table, and whatever fault is asked for."""

    def __init__(self, fault: Response | Exception | None = None) -> None:
        self.fault = fault
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST", "PATCH"])])

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.seen.append((request.method, str(request.url), dict(request.headers), body))
        if isinstance(self.fault, Exception):
            raise self.fault
        if self.fault is not None:
            return self.fault
        if request.url.path == "/rest/v1/rpc/echo":
            return JSONResponse(json.loads(body))
        if request.url.path == "/rest/v1/rpc/nothing":
            return Response(status_code=204)
        return JSONResponse([{"id": 1, "name": "Ana"}])

    def database(self) -> Database:
        transport = httpx.ASGITransport(self.app)
        return Database("http://supabase.test/", PUBLISHABLE, SECRET, transport=transport)


def fault(status: int, code: str | None = None, message: str = "", **more: object) -> Response:
    body = {"code": code, "message": message, "details": None, "hint": None, **more}
    return JSONResponse(body, status_code=status)


FAULTS: list[tuple[str, Response, type[AppError]]] = [
    ("own_code", fault(400, "P0001", "Taken.", details="number_taken"), NumberTaken),
    ("own_code_any_state", fault(403, "42501", "No.", details="not_connected"), NotConnected),
    ("unknown_own_code", fault(400, "P0001", "Odd.", details="no_such_code"), Conflict),
    ("raised_plainly", fault(400, "P0001", "Odd."), Conflict),
    ("no_permission", fault(403, "42501", "permission denied for table whatsapp_integrations"), Forbidden),
    ("nobody", fault(401, "42501", "permission denied for table chats"), Unauthorized),
    (
        "unique",
        fault(409, "23505", 'duplicate key violates unique constraint "messages_wamid_key"'),
        Conflict,
    ),
    ("foreign_key", fault(409, "23503", "violates foreign key constraint"), Conflict),
    ("check", fault(400, "23514", "violates check constraint"), Conflict),
    ("no_uuid", fault(400, "22P02", 'invalid input syntax for type uuid: "15550100001"'), BadRequest),
    ("jwt_wrong", fault(401, "PGRST301", "JWSError JWSInvalidSignature"), InvalidToken),
    ("jwt_expired", fault(401, "PGRST303", "JWT expired"), InvalidToken),
    ("just_401", PlainTextResponse("Unauthorized", 401), InvalidToken),
    ("no_row", fault(406, "PGRST116", "Cannot coerce the result to a single JSON object"), NotFound),
    ("bad_key", JSONResponse({"message": "Invalid API key", "hint": "x"}, 401), Misconfigured),
    (
        "no_function",
        fault(404, "PGRST202", "Could not find the function public.f in the schema cache"),
        Misconfigured,
    ),
    ("no_table", fault(404, "42P01", 'relation "chats" does not exist'), Misconfigured),
    ("no_column", fault(400, "42703", "column does not exist"), Misconfigured),
    ("deadlock", fault(500, "40P01", "deadlock detected"), DatabaseUnavailable),
    ("serialization", fault(500, "40001", "could not serialize access"), DatabaseUnavailable),
    ("timeout", fault(500, "57014", "canceling statement due to statement timeout"), DatabaseUnavailable),
    ("shutdown", fault(503, "57P01", "terminating connection"), DatabaseUnavailable),
    ("too_many", fault(503, "53300", "too many connections"), DatabaseUnavailable),
    ("no_connection", fault(503, "PGRST000", "Could not connect with the database"), DatabaseUnavailable),
    ("pool", fault(504, "PGRST003", "Timed out acquiring connection"), DatabaseUnavailable),
    ("broken_pipe", fault(400, "EPIPE", "write EPIPE"), DatabaseUnavailable),
    ("cut", fault(400, "ECONNRESET", "read ECONNRESET"), DatabaseUnavailable),
    ("html", PlainTextResponse("<html>Bad gateway</html>", 502), DatabaseUnavailable),
    ("odd_json", JSONResponse(["x"], 500), DatabaseUnavailable),
    ("cloudflare", PlainTextResponse("", 520), DatabaseUnavailable),
    ("recursion", fault(500, "42P17", "infinite recursion detected in policy"), AppError),
    ("our_bug", fault(400, "42601", "syntax error"), AppError),
    ("strange", fault(418), AppError),
    ("large", PlainTextResponse("", 413), TooLarge),
    ("fast", PlainTextResponse("", 429), TooManyRequests),
]


@pytest.mark.parametrize("answer, expected", [pytest.param(*rest, id=name) for name, *rest in FAULTS])
@pytest.mark.parametrize("way", ["rpc", "table", "plain"])
async def test_each_fault_becomes_its_error_whichever_way_is_taken(
    way: str, answer: Response, expected: type[AppError]
) -> None:
    database = Postgrest(answer).database()
    user = database.as_user(USER_TOKEN)
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "rpc": lambda: user.rpc("echo", {"a": 1}),
        "table": lambda: user.table("chats").select("*").single().execute(),
        "plain": lambda: database.call_rpc("echo", {"a": 1}, token=USER_TOKEN),
    }

    with pytest.raises(AppError) as caught:
        await calls[way]()

    assert type(caught.value) is expected


@pytest.mark.parametrize(
    "answer, named",
    [
        (fault(401, "PGRST301", "JWT invalid"), "SUPABASE_SECRET_KEY"),
        (JSONResponse({"message": "Invalid API key"}, 401), "SUPABASE_SECRET_KEY"),
    ],
    ids=["jwt", "key"],
)
async def test_a_secret_key_that_is_refused_is_the_deployers_matter(answer: Response, named: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        await Postgrest(answer).database().call_rpc("echo", {})

    assert set(caught.value.problems) == {named}


async def test_a_publishable_key_that_is_refused_is_the_deployers_matter_too() -> None:
    answer = JSONResponse({"message": "No API key found in request"}, 401)

    with pytest.raises(Misconfigured) as caught:
        await Postgrest(answer).database().as_user(USER_TOKEN).rpc("echo")

    assert set(caught.value.problems) == {"SUPABASE_PUBLISHABLE_KEY"}


async def test_a_grant_that_the_service_lacks_is_our_fault_and_not_the_callers() -> None:
    with pytest.raises(AppError) as caught:
        await Postgrest(fault(403, "42501", "permission denied")).database().as_service().rpc("echo")

    assert caught.value.status == 500


@pytest.mark.parametrize(
    "error",
    [httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.ReadError("x"), httpx.PoolTimeout("x")],
    ids=repr,
)
async def test_a_database_that_cannot_be_reached_is_unavailable(error: Exception) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise error

    database = Database("http://supabase.test", PUBLISHABLE, SECRET, transport=httpx.MockTransport(refuse))

    for call in (
        lambda: database.as_user("t").rpc("echo"),
        lambda: database.as_service().select("chats", "id").execute(),
        lambda: database.call_rpc("echo", {}),
    ):
        with pytest.raises(DatabaseUnavailable) as caught:
            await call()
        assert caught.value.retryable
        assert caught.value.__cause__ is None


async def test_an_answer_that_breaks_off_is_unavailable_too() -> None:
    class Cut(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            yield b'{"a":'
            raise httpx.ReadError("reset")

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Cut()))

    with pytest.raises(DatabaseUnavailable):
        await Database("http://supabase.test", PUBLISHABLE, SECRET, transport=transport).call_rpc("echo", {})


async def test_an_answer_that_is_no_json_is_no_answer() -> None:
    with pytest.raises(DatabaseUnavailable):
        await Postgrest(PlainTextResponse("<html>paused</html>")).database().call_rpc("echo", {})


async def test_a_read_is_not_repeated_inside_a_request() -> None:
    """supabase-py would sleep up to seven seconds; our caller is told to come again."""
    postgrest = Postgrest(fault(503))

    with pytest.raises(DatabaseUnavailable):
        await postgrest.database().as_user("t").table("chats").select("*").execute()

    assert len(postgrest.seen) == 1


async def test_sql_may_fill_our_sentence_by_its_hint() -> None:
    early = fault(400, "P0001", "Too early.", details="resend_too_early", hint='{"retry_after": 41.2}')

    with pytest.raises(ResendTooEarly) as caught:
        await Postgrest(early).database().as_user("t").rpc("echo")

    assert caught.value.to_body()["error"]["retry_after"] == 42


@pytest.mark.parametrize("hint", ["Try another.", "[1]", '"x"', "7", "{", '{"details": 5}'])
async def test_a_hint_for_people_is_no_value(hint: str) -> None:
    taken = fault(400, "P0001", "Taken.", details="number_taken", hint=hint)

    with pytest.raises(NumberTaken):
        await Postgrest(taken).database().as_user("t").rpc("echo")


async def test_no_value_of_a_row_reaches_the_caller_or_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    unique = fault(
        409,
        "23505",
        'duplicate key value violates unique constraint "integrations_number_key"',
        details="Key (phone_number, app_secret)=(+15550100001, hush-hush) already exists.",
    )

    with pytest.raises(Conflict) as caught:
        await Postgrest(unique).database().as_user(USER_TOKEN).rpc("echo", {"x": "hush-hush"})

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["event"], line["sqlstate"], line["constraint"]) == (
        "database.refused",
        "23505",
        "integrations_number_key",
    )
    told = f"{line} {caught.value!r} {caught.value.to_body()}"
    assert not any(value in told for value in ("hush", "15550100001", USER_TOKEN, SECRET))


async def test_a_user_acts_with_the_users_own_token() -> None:
    postgrest = Postgrest()

    await postgrest.database().as_user(USER_TOKEN).rpc("echo", {"a": 1})
    await postgrest.database().call_rpc("echo", {"a": 1}, token=USER_TOKEN)

    for _, url, headers, _ in postgrest.seen:
        assert url == "http://supabase.test/rest/v1/rpc/echo"
        assert (headers["apikey"], headers["authorization"]) == (PUBLISHABLE, f"Bearer {USER_TOKEN}")


async def test_the_service_acts_with_the_secret_key() -> None:
    postgrest = Postgrest()

    await postgrest.database().as_service().rpc("echo", {"a": 1})
    await postgrest.database().call_rpc("echo", {"a": 1})

    for _, _, headers, _ in postgrest.seen:
        assert (headers["apikey"], headers["authorization"]) == (SECRET, f"Bearer {SECRET}")


async def test_a_key_that_is_not_set_is_missed_when_it_is_used_and_not_before() -> None:
    transport = httpx.ASGITransport(Postgrest().app)
    for_service = Database("http://supabase.test", None, SECRET, transport=transport)
    for_users = Database("http://supabase.test", PUBLISHABLE, None, transport=transport)

    assert await for_service.call_rpc("echo", {"a": 1}) == {"a": 1}
    assert await for_users.as_user("t").rpc("echo", {"a": 1}) == {"a": 1}
    with pytest.raises(Misconfigured, match="SUPABASE_PUBLISHABLE_KEY"):
        for_service.as_user("t")
    with pytest.raises(Misconfigured, match="SUPABASE_SECRET_KEY"):
        for_users.as_service()


async def test_two_callers_share_connections_and_nothing_else() -> None:
    postgrest = Postgrest()
    database = postgrest.database()
    first, second = database.as_user("first"), database.as_user("second")

    await first.rpc("echo", {})
    await second.table("chats").select("id").execute()
    await first.table("chats").select("id").execute()

    assert [headers["authorization"] for _, _, headers, _ in postgrest.seen] == [
        "Bearer first",
        "Bearer second",
        "Bearer first",
    ]
    assert first._client is second._client


@pytest.mark.parametrize("way", ["rpc", "plain"])
async def test_values_come_back_as_they_went(way: str) -> None:
    params = {"text": "á \U0001f600 \\ \" '", "nested": {"a": [1, None, True, 1.5]}, "empty": {}}
    database = Postgrest().database()

    answer = await (
        database.as_user("t").rpc("echo", params) if way == "rpc" else database.call_rpc("echo", params)
    )

    assert answer == params


async def test_rows_are_read_with_supabases_own_builder() -> None:
    postgrest = Postgrest()

    rows = await postgrest.database().as_user("t").select("chats", "id", "name").eq("id", 1).execute()

    assert rows.data == [{"id": 1, "name": "Ana"}]
    assert postgrest.seen[0][1] == "http://supabase.test/rest/v1/chats?select=id%2Cname&id=eq.1"


async def test_a_function_that_returns_nothing_returns_none() -> None:
    assert await Postgrest().database().call_rpc("nothing", {}) is None


async def test_closing_closes_what_was_opened() -> None:
    database = Database("http://127.0.0.1:9", PUBLISHABLE, SECRET)
    client = database._client

    await database.close()
    await database.close()

    assert client.is_closed


def test_the_webhooks_way_loads_neither_supabase_nor_pydantic() -> None:
    """They would double its cold start."""
    code = (
        "import asyncio, sys, httpx\n"
        "from shared.database import Database\n"
        "transport = httpx.MockTransport(lambda request: httpx.Response(200, json={}))\n"
        "database = Database('http://x.test', 'p', 's', transport=transport)\n"
        "asyncio.run(database.call_rpc('echo', {}))\n"
        "costly = {'postgrest', 'pydantic', 'supabase', 'cryptography', 'tenacity'}\n"
        "print(sorted(costly & set(sys.modules)))\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
