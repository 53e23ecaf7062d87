"""The web edge: every refusal first, then what an answer carries; the same under every server."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from mangum import Mangum
from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, Router

from shared import log
from shared.errors import Conflict, Forbidden, InvalidBody, TooManyRequests
from shared.graph import GraphError
from shared.web import bearer_token, create_app, language_of, read_body, read_json, resources, validate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mangum.types import LambdaContext
    from starlette.requests import Request

    from shared.web import App

    Message = dict[str, Any]

ORIGIN = "https://app.example.com"
ENVIRON = {"ALLOWED_ORIGINS": ORIGIN, "LOG_LEVEL": "debug", "WHATSAPP_APP_SECRET": "platform-app-secret"}
LIMIT = 1_000


class Greeting(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=2, max_length=5)
    times: int = Field(default=1, ge=1, le=3)
    kind: str = "plain"

    @field_validator("kind")
    @classmethod
    def known(cls, kind: str) -> str:
        if kind == "odd":
            raise ValueError("This kind is odd.")
        if kind == "foreign":
            raise PydanticCustomError("kind_foreign", "It is foreign.", {"es": "Es ajeno."})
        return kind


class NestedGreetings(BaseModel):
    greetings: list[Greeting] = Field(max_length=2)


async def show_path(request: Request) -> Response:
    return JSONResponse({"path": request.url.path, "params": request.path_params})


async def echo(request: Request) -> Response:
    return Response(await read_body(request, limit=LIMIT), media_type="application/octet-stream")


async def greet(request: Request) -> Response:
    greeting = await read_json(request, Greeting, limit=LIMIT)
    return JSONResponse(greeting.model_dump())


async def greet_all(request: Request) -> Response:
    return JSONResponse((await read_json(request, NestedGreetings)).model_dump())


async def any_object(request: Request) -> Response:
    return JSONResponse(await read_json(request))


async def who(request: Request) -> Response:
    return JSONResponse({"token": bearer_token(request), "language": language_of(request)})


async def fail(request: Request) -> Response:
    raise make_failure(request.path_params["how"])


def make_failure(how: str) -> Exception:
    return FAILURES[how]()


async def needs_settings(request: Request) -> Response:
    return PlainTextResponse(resources(request).settings.whatsapp_app_secret)


async def breaks_in_the_middle(_: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"half"
        raise ValueError("EAAGsecret in the middle")

    return StreamingResponse(chunks())


FAILURES: dict[str, Callable[[], Exception]] = {
    "unforeseen": lambda: ValueError("EAAGsecret +15550100001"),
    "forbidden": Forbidden,
    "slow": lambda: TooManyRequests(retry_after=12.3),
    "http": lambda: HTTPException(404, detail="EAAGsecret"),
    "teapot": lambda: HTTPException(418, detail="EAAGsecret"),
    "group": lambda: ExceptionGroup("EAAGsecret", [ValueError("EAAGsecret")]),
    "conflict": Conflict,
    "meta": lambda: GraphError(code=133016, http_status=400, fbtrace_id="Atrace"),
}

ROUTES = [
    Route("/", show_path),
    Route("/", echo, methods=["POST"]),
    Route("/greet", greet, methods=["POST", "PUT"]),
    Route("/greet-all", greet_all, methods=["POST"]),
    Route("/any", any_object, methods=["POST"]),
    Route("/who", who),
    Route("/fail/{how}", fail, methods=["GET", "POST"]),
    Route("/settings", needs_settings),
    Route("/broken", breaks_in_the_middle),
    Route("/{thing_id}", show_path, methods=["GET", "DELETE"]),
]


def make_app(environ: dict[str, str] | None = None, need: tuple[str, ...] = ()) -> App:
    return create_app(
        "whatsapp-test",
        ROUTES,
        need=need,
        environ=ENVIRON if environ is None else environ,
        aliases=("/api/webhooks/whatsapp",),
    )


def client(app: Any | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app or make_app())
    return httpx.AsyncClient(transport=transport, base_url="http://functions.test")


def error_of(response: httpx.Response) -> dict[str, Any]:
    body = response.json()
    assert set(body) == {"error"}
    assert {"code", "message", "retryable", "help"} <= set(body["error"])
    error: dict[str, Any] = body["error"]
    return error


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def call_raw(app: App, messages: list[Message], **scope: Any) -> list[Message]:
    """Speak ASGI by hand, for what no honest client would send."""
    waiting = iter(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        return next(waiting)

    async def send(message: Any) -> None:
        sent.append(message)

    await app(
        {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": [], **scope},
        receive,
        send,
    )
    return sent


@pytest.fixture(autouse=True)
def fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_secrets", ())
    monkeypatch.setattr(log, "_lowest", log.LEVELS["debug"])


@pytest.mark.parametrize("path", ["/a/b", "/functions/v1/whatsapp-tester/a", "/whatsapp-test/a/b/c", "/fail"])
async def test_an_unknown_path_is_answered_with_the_envelope(path: str) -> None:
    async with client() as http:
        response = await http.post(path)

    assert response.status_code in {404, 405}
    assert error_of(response)["code"] in {"unknown_path", "method_not_allowed"}


async def test_nothing_at_an_address_is_a_404() -> None:
    async with client() as http:
        response = await http.get("/a/b")

    assert response.status_code == 404
    assert error_of(response)["code"] == "unknown_path"


@pytest.mark.parametrize(
    "method, path, allow",
    [
        ("PATCH", "/", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("GET", "/greet-all", None),
        ("TRACE", "/fail/x", "GET, HEAD, OPTIONS, POST"),
        ("PUT", "/who", "DELETE, GET, HEAD, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_told_every_right_one(method: str, path: str, allow: str | None) -> None:
    async with client() as http:
        response = await http.request(method, path)

    if allow is None:
        assert response.status_code == 200  # /{thing_id} answers
        return
    assert response.status_code == 405
    assert error_of(response)["code"] == "method_not_allowed"
    assert set(response.headers["allow"].split(", ")) <= set(allow.split(", "))


async def test_every_method_of_one_path_is_allowed_wherever_it_is_routed() -> None:
    async with client() as http:
        response = await http.patch("/")

    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize(
    "body, headers",
    [
        (b"x" * (LIMIT + 1), {}),
        (b"x", {"content-length": str(LIMIT + 1)}),
        (b"x", {"content-length": "9" * 5_000}),
        (b"x" * (LIMIT + 1), {"content-length": "1"}),
        (b"x" * (LIMIT + 1), {"content-length": "-1"}),
        (b"x" * (LIMIT + 1), {"content-length": "junk"}),
    ],
)
async def test_a_body_over_the_limit_is_refused_whatever_its_length_header_says(
    body: bytes, headers: dict[str, str]
) -> None:
    async with client() as http:
        response = await http.post("/", content=body, headers=headers)

    assert response.status_code == 413
    assert error_of(response)["code"] == "too_large"


async def test_a_body_is_refused_before_its_rest_is_read() -> None:
    """The second chunk goes over the limit; a third is never asked for."""
    chunk = {"type": "http.request", "body": b"x" * 600, "more_body": True}

    sent = await call_raw(make_app(), [chunk, chunk])

    assert sent[0]["status"] == 413


async def test_a_body_at_the_limit_is_read_whole() -> None:
    async with client() as http:
        response = await http.post("/", content=b"x" * LIMIT)

    assert response.content == b"x" * LIMIT


async def test_a_client_that_goes_away_in_the_middle_is_answered_by_nobody(
    capsys: pytest.CaptureFixture[str],
) -> None:
    half = {"type": "http.request", "body": b'{"name":', "more_body": True}

    sent = await call_raw(make_app(), [half, {"type": "http.disconnect"}], path="/greet")

    assert sent == []
    assert [line["event"] for line in lines(capsys)] == ["request.cut_by_client"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"1",
        b"null",
        b"\xff",
        b'{"name":NaN}',
        b'{"name":-Infinity}',
        b"name=Ana",
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        b'{"a":' * 150 + b"1" + b"}" * 150,
        b'{"a":' + b"1" * 5_000 + b"}",
        b'{"name":"Ana"} trailing',
    ],
    ids=[
        "empty",
        "cut",
        "list",
        "text",
        "number",
        "null",
        "not_utf8",
        "nan",
        "infinity",
        "form",
        "very_deep",
        "deep",
        "huge_number",
        "trailing",
    ],
)
async def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    async with client() as http:
        response = await http.post("/any", content=body, headers={"content-type": "application/json"})

    assert response.status_code == 400
    assert error_of(response)["code"] == "not_json"


@pytest.mark.parametrize(
    "body, field",
    [
        (b'{"a":{"b":["x","\\u0000"]}}', "a.b[1]"),
        (b'{"a":"half \\ud83d"}', "a"),
        (b'{"a":{"\\u0000":1}}', "a"),
    ],
    ids=["null_character", "half_a_pair", "in_a_name"],
)
async def test_a_text_that_the_database_cannot_store_is_named(body: bytes, field: str) -> None:
    async with client() as http:
        response = await http.post("/any", content=body)

    error = error_of(response)
    assert response.status_code == 422
    assert error["code"] == "invalid_body"
    assert [(detail["field"], detail["rule"]) for detail in error["details"]] == [(field, "storable_text")]


@pytest.mark.parametrize(
    "body, details",
    [
        ({}, [("name", "missing", "Este campo es obligatorio.")]),
        ({"name": "A"}, [("name", "string_too_short", "Debe tener al menos 2 caracteres.")]),
        ({"name": "EAAGsecret"}, [("name", "string_too_long", "Debe tener como máximo 5 caracteres.")]),
        (
            {"name": 5, "times": 9, "x": 1},
            [
                ("name", "string_type", "Debe ser un texto."),
                ("times", "less_than_equal", "Debe ser como máximo 3."),
                ("x", "extra_forbidden", "Este campo no existe."),
            ],
        ),
        ({"name": "Ana", "kind": "odd"}, [("kind", "value_error", "This kind is odd.")]),
        ({"name": "Ana", "kind": "foreign"}, [("kind", "kind_foreign", "Es ajeno.")]),
    ],
    ids=["missing", "short", "long", "all_at_once", "own_rule", "own_bilingual_rule"],
)
async def test_each_broken_rule_is_named_in_the_readers_language_and_no_value_is_repeated(
    body: dict[str, Any], details: list[tuple[str, str, str]]
) -> None:
    async with client() as http:
        response = await http.post("/greet", json=body, headers={"accept-language": "es-PE"})

    error = error_of(response)
    assert response.status_code == 422
    assert [(each["field"], each["rule"], each["message"]) for each in error["details"]] == details
    assert "EAAGsecret" not in response.text


async def test_a_field_deep_inside_is_named_by_its_path() -> None:
    async with client() as http:
        response = await http.post("/greet-all", json={"greetings": [{"name": "Ana"}, {"name": None}]})

    assert error_of(response)["details"] == [
        {"field": "greetings[1].name", "rule": "string_type", "message": "This must be text."}
    ]


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "text/plain", "", "junk"])
async def test_the_content_type_does_not_matter(content_type: str) -> None:
    async with client() as http:
        response = await http.post(
            "/greet", content=b'{"name":"Ana"}', headers={"content-type": content_type}
        )

    assert response.json() == {"name": "Ana", "times": 1, "kind": "plain"}


@pytest.mark.parametrize(
    "header, code",
    [
        (None, "missing_token"),
        ("", "missing_token"),
        ("Bearer", "invalid_token"),
        ("Bearer ", "invalid_token"),
        ("Basic dXNlcg==", "invalid_token"),
        ("Bearer a b", "invalid_token"),
        ("Bearer a,b", "invalid_token"),
        ("Bearer " + "x" * 20_000, "invalid_token"),
    ],
)
async def test_a_request_without_a_bearer_token_is_unknown(header: str | None, code: str) -> None:
    async with client() as http:
        response = await http.get("/who", headers={} if header is None else {"authorization": header})

    assert response.status_code == 401
    assert error_of(response)["code"] == code
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("header", ["Bearer abc.d-e_f", "bearer abc.d-e_f", "BEARER  abc.d-e_f "])
async def test_a_bearer_token_is_handed_on(header: str) -> None:
    async with client() as http:
        response = await http.get("/who", headers={"authorization": header})

    assert response.json()["token"] == "abc.d-e_f"


@pytest.mark.parametrize(
    "how, status, code",
    [
        ("unforeseen", 500, "unexpected"),
        ("group", 500, "unexpected"),
        ("forbidden", 403, "forbidden"),
        ("http", 404, "unknown_path"),
        ("teapot", 500, "unexpected"),
        ("slow", 429, "too_many_requests"),
    ],
)
async def test_no_error_leaks_what_it_says_inside(
    how: str, status: int, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with client() as http:
        response = await http.get(f"/fail/{how}")

    written = capsys.readouterr().out
    assert response.status_code == status
    assert error_of(response)["code"] == code
    assert "secret" not in response.text + written
    assert "5550100001" not in response.text + written


async def test_what_nobody_foresaw_is_logged_with_its_type_and_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with client() as http:
        await http.get("/fail/unforeseen", headers={"x-request-id": "request-0001"})

    failed, answered = lines(capsys)
    assert (failed["event"], failed["level"], failed["request_id"]) == (
        "request.failed_unforeseen",
        "error",
        "request-0001",
    )
    assert failed["error"]["type"] == "builtins.ValueError"
    assert any("shared.web" in frame for frame in failed["error"]["frames"])
    assert (answered["event"], answered["level"], answered["status"]) == ("request.answered", "error", 500)


async def test_a_refusal_of_metas_is_logged_with_its_code_and_as_no_fault_of_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with client() as http:
        response = await http.get("/fail/meta")

    failed, answered = lines(capsys)
    assert (failed["event"], failed["level"]) == ("request.failed", "warning")
    assert (failed["error"]["meta_code"], failed["error"]["fbtrace_id"]) == (133016, "Atrace")
    assert (answered["level"], answered["status"]) == ("warning", response.status_code)


async def test_an_answer_that_breaks_in_the_middle_is_not_answered_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sent = await call_raw(make_app(), [{"type": "http.request"}], method="GET", path="/broken")

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert lines(capsys)[0]["event"] == "request.failed_unforeseen"


async def test_seconds_to_wait_are_a_header_too() -> None:
    async with client() as http:
        response = await http.get("/fail/slow")

    assert response.headers["retry-after"] == "13"
    assert error_of(response)["retry_after"] == 13


def test_a_model_may_be_filled_from_elsewhere_than_a_body() -> None:
    with pytest.raises(InvalidBody):
        validate(Greeting, {"name": 5})

    assert validate(Greeting, {"name": "Ana"}).times == 1


async def test_missing_settings_are_named_when_they_are_first_needed_and_not_before() -> None:
    app = make_app({}, need=("WHATSAPP_APP_SECRET", "SUPABASE_URL"))

    async with client(app) as http:
        fine = await http.get("/who", headers={"authorization": "Bearer x"})
        refused = await http.get("/settings")

    assert fine.status_code == 200
    assert refused.status_code == 500
    assert error_of(refused)["code"] == "misconfigured"
    assert [detail["field"] for detail in error_of(refused)["details"]] == [
        "WHATSAPP_APP_SECRET",
        "SUPABASE_URL",
    ]


async def test_settings_that_are_put_right_are_seen_without_a_restart() -> None:
    environ: dict[str, str] = {"LOG_LEVEL": "debug"}
    app = make_app(environ, need=("WHATSAPP_APP_SECRET",))

    async with client(app) as http:
        before = await http.get("/settings")
        environ["WHATSAPP_APP_SECRET"] = "now-it-is-set"
        after = await http.get("/settings")

    assert (before.status_code, after.text) == (500, "now-it-is-set")


async def test_the_secrets_in_use_are_hidden_from_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    async with client() as http:
        await http.get("/settings")
    log.info("a.b", reason="it was platform-app-secret")

    assert "platform-app-secret" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "header, language",
    [
        (None, "en"),
        ("", "en"),
        ("es", "es"),
        ("es-PE,es;q=0.9,en;q=0.8", "es"),
        ("en-US,en;q=0.9,es;q=0.8", "en"),
        ("pt-BR,es;q=0.5,en;q=0.4", "es"),
        ("pt", "en"),
        ("*", "en"),
        ("ES-419", "es"),
        ("en;q=0,es;q=0.1", "es"),
        ("es;q=junk", "es"),
        ("es" * 10_000, "en"),
        ("español", "en"),
        ("es;q=0", "en"),
    ],
)
async def test_the_language_is_the_readers_favourite_of_ours(header: str | None, language: str) -> None:
    headers = {} if header is None else {b"accept-language": header.encode()}

    async with client() as http:
        response = await http.get("/fail/forbidden", headers=headers)

    assert response.headers["content-language"] == language
    assert error_of(response)["message"] == Forbidden.sentences[language]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "*",
        "",
    ],
)
async def test_another_origin_is_not_let_in(origin: str) -> None:
    headers = {"origin": origin, "access-control-request-method": "POST"}

    async with client() as http:
        preflight = await http.options("/greet", headers=headers)
        answer = await http.get("/who", headers={"origin": origin})

    for response in (preflight, answer):
        assert not any(name.startswith("access-control-") for name in response.headers)
        assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize("path", ["/greet", "/a/b/c", "/functions/v1/whatsapp-test/greet"])
async def test_a_preflight_from_our_page_is_let_in_even_where_there_is_nothing(path: str) -> None:
    headers = {
        "origin": ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,idempotency-key",
    }

    async with client() as http:
        response = await http.options(path, headers=headers)

    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == ORIGIN
    allowed = response.headers["access-control-allow-headers"].split(", ")
    assert set(allowed) == {
        "authorization",
        "x-client-info",
        "apikey",
        "content-type",
        "idempotency-key",
        "accept-language",
    }
    assert "POST" in response.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in response.headers


@pytest.mark.parametrize("path", ["/who", "/a/b/c", "/fail/unforeseen", "/fail/slow"])
async def test_our_page_may_read_refusals_too(path: str) -> None:
    async with client() as http:
        response = await http.get(path, headers={"origin": ORIGIN})

    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-expose-headers"] == "x-request-id, retry-after"


async def test_without_allowed_origins_no_page_is_let_in() -> None:
    async with client(make_app({})) as http:
        response = await http.get("/who", headers={"origin": ORIGIN})

    assert "access-control-allow-origin" not in response.headers


async def test_a_wrong_list_of_origins_lets_no_page_in_and_is_told_to_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with client(make_app({"ALLOWED_ORIGINS": "*"})) as http:
        response = await http.get("/who", headers={"origin": ORIGIN, "authorization": "Bearer x"})

    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers
    assert lines(capsys)[0]["event"] == "web.allowed_origins_wrong"


async def test_options_that_is_no_preflight_lists_the_methods() -> None:
    async with client() as http:
        known = await http.options("/")
        unknown = await http.options("/a/b/c")

    assert (known.status_code, known.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    assert unknown.status_code == 404


async def test_head_answers_as_get_without_a_body() -> None:
    async with client() as http:
        got = await http.get("/")
        head = await http.head("/")
        refused = await http.head("/a/b")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert (refused.status_code, refused.content) == (404, b"")


@pytest.mark.parametrize(
    "path, own",
    [
        ("/", "/"),
        ("", "/"),
        ("/functions/v1/whatsapp-test", "/"),
        ("/functions/v1/whatsapp-test/", "/"),
        ("/functions/v1/whatsapp-test///", "/"),
        ("/functions/v1/whatsapp-test/thing", "/thing"),
        ("/functions/v1/whatsapp-test/thing/", "/thing"),
        ("/whatsapp-test/thing", "/thing"),
        ("/api/whatsapp-test", "/"),
        ("/functions/v1", "/"),
        ("/functions/v1/thing", "/thing"),
        ("/api/webhooks/whatsapp", "/"),
        ("/api/webhooks/whatsapp/", "/"),
        ("/api/webhooks/whatsapp/thing", "/thing"),
        ("/whatsapp-tests", "/whatsapp-tests"),
        ("/thing", "/thing"),
    ],
)
async def test_its_name_and_a_trailing_slash_are_taken_off_without_a_redirect(path: str, own: str) -> None:
    async with client() as http:
        response = await http.get(path)

    assert response.status_code == 200
    assert response.json()["path"] == own


async def test_it_answers_below_another_application_too() -> None:
    outer = Router([Mount("/functions/v1/whatsapp-test", make_app()), Mount("/whatsapp-test", make_app())])

    async with client(outer) as http:
        first = await http.get("/functions/v1/whatsapp-test/thing")
        second = await http.get("/whatsapp-test/thing/")

    assert first.json() == second.json() == {"path": "/thing", "params": {"thing_id": "thing"}}


async def test_a_path_that_repeats_the_outer_one_is_not_taken_off_twice() -> None:
    async with client(Router([Mount("/thing", make_app())])) as http:
        response = await http.get("/thing/thing")

    assert response.json()["path"] == "/thing"


async def test_every_answer_carries_its_request_id_and_is_not_cached() -> None:
    async with client() as http:
        given = await http.get("/who", headers={"x-request-id": "my-request-1"})
        made = await http.get("/who", headers={"x-request-id": "bad id\x00"[:6]})

    assert given.headers["x-request-id"] == "my-request-1"
    assert len(made.headers["x-request-id"]) == 36
    assert given.headers["cache-control"] == "no-store"
    assert given.headers["x-content-type-options"] == "nosniff"


async def test_one_line_tells_of_each_request_by_its_route_and_not_by_its_path(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with client() as http:
        await http.get("/15550100001?code=123456", headers={"x-request-id": "request-0001"})
        await http.get("/fail/forbidden")

    first, second = lines(capsys)
    assert first | {"time": "", "duration_ms": 0} == {
        "time": "",
        "level": "info",
        "event": "request.answered",
        "function": "whatsapp-test",
        "request_id": "request-0001",
        "method": "GET",
        "route": "/{thing_id}",
        "status": 200,
        "duration_ms": 0,
    }
    assert (second["status"], second["refused_with"]) == (403, "forbidden")


async def test_resources_are_made_once_for_all_requests_and_closed_at_the_end() -> None:
    app = make_app(
        {
            **ENVIRON,
            "SUPABASE_URL": "http://127.0.0.1:1",
            "SUPABASE_PUBLISHABLE_KEY": "p",
            "SUPABASE_SECRET_KEY": "s",
            "ENCRYPTION_KEYS": "k1:" + base64.b64encode(bytes(32)).decode(),
        }
    )
    made = app.resources

    assert made.settings is made.settings
    assert made.graph is made.graph
    assert made.database is made.database
    assert made.keys.decrypt(made.keys.encrypt("x", row_id="r", column="c"), row_id="r", column="c") == "x"
    graph = made.graph

    await made.close()

    assert made.graph is not graph


async def test_the_servers_start_and_end_need_no_settings() -> None:
    app = make_app({}, need=("WHATSAPP_APP_SECRET",))
    coming = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    sent: list[Any] = []

    async def receive() -> Message:
        return next(coming)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await app({"type": "lifespan"}, receive, send)

    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_a_websocket_is_closed() -> None:
    sent: list[Any] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await make_app()({"type": "websocket", "path": "/", "headers": []}, receive, send)

    assert sent == [{"type": "websocket.close", "code": 1000}]


def lambda_event(
    method: str, path: str, body: bytes | None, *, is_base64: bool, **headers: str
) -> dict[str, Any]:
    text = None
    if body is not None:
        text = base64.b64encode(body).decode() if is_base64 else body.decode()
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "a=b",
        "headers": {"host": "x.lambda-url.us-east-1.on.aws", **headers},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"}
        },
        "body": text,
        "isBase64Encoded": is_base64,
    }


class Context:
    """What the edge reads of Lambda's context."""

    aws_request_id = "7b0c7c4e-0000-4000-8000-123456789012"


def invoke(event: dict[str, Any]) -> Any:
    # Mangum leaves open the event loop that it makes where there is none.
    with asyncio.Runner() as runner:
        asyncio.set_event_loop(runner.get_loop())
        return Mangum(make_app(), lifespan="off")(event, cast("LambdaContext", Context()))


BODIES = [b"", b'{"a":"\\u00e1"}', "á".encode(), b"\x00\r\n", b"x" * LIMIT]


@pytest.mark.parametrize(
    "body, is_base64",
    # AWS sends what is no UTF-8 as base64 only.
    [(body, True) for body in (*BODIES, bytes(range(256)))] + [(body, False) for body in BODIES],
    ids=str,
)
def test_under_lambda_the_bytes_arrive_as_they_were_sent(body: bytes, is_base64: bool) -> None:
    answer: Any = invoke(lambda_event("POST", "/", body, is_base64=is_base64))

    received = base64.b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
    assert answer["statusCode"] == 200
    assert received == body


def test_under_lambda_refusals_are_the_same() -> None:
    large: Any = invoke(lambda_event("POST", "/", b"x" * (LIMIT + 1), is_base64=True))
    unknown: Any = invoke(lambda_event("GET", "/a/b", None, is_base64=False))
    broken: Any = invoke(
        lambda_event("GET", "/functions/v1/whatsapp-test/fail/unforeseen/", None, is_base64=False)
    )

    assert [each["statusCode"] for each in (large, unknown, broken)] == [413, 404, 500]
    assert [json.loads(each["body"])["error"]["code"] for each in (large, unknown, broken)] == [
        "too_large",
        "unknown_path",
        "unexpected",
    ]
    assert large["headers"]["x-request-id"] == Context.aws_request_id
