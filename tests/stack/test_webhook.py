"""The webhook as Meta and strangers meet it: refusals, limits, and what one delivery costs."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest

from functions.webhook.handler import LARGEST_DELIVERY, create
from shared.connections import open_transport
from shared.crypto import KeyRing
from shared.database import Database
from shared.signatures import sign
from tests import wire
from tests.database.tenants import Tenant, make_tenant, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from local.stack import Stack
    from tests.world import World

    Connection = psycopg.Connection[tuple[Any, ...]]

PATHS = ["/whatsapp-webhook", "/whatsapp-webhook/"]


@pytest.fixture
def secret(stack: Stack) -> str:
    return stack.variables["WHATSAPP_APP_SECRET"]


@pytest.fixture
def tenant(database: Connection) -> Tenant:
    return make_tenant(database)


@pytest.fixture
def deliver(world: World, secret: str) -> Callable[..., httpx.Response]:
    def post(body: bytes, *, signature: str | None = None, path: str = PATHS[0]) -> httpx.Response:
        headers = {"X-Hub-Signature-256": sign(body, secret) if signature is None else signature}
        return world.functions.post(path, content=body, headers=headers)

    return post


def hello(tenant: Tenant, *, number: int = 1) -> bytes:
    """A customer's message to this organization."""
    value = wire.value(phone_number_id=tenant.phone_number_id, messages=[wire.text_message(number=number)])
    return wire.to_wire(wire.delivery(value, waba_id=tenant.waba_id))


# Who is not Meta


def forged(body: bytes, secret: str) -> dict[str, dict[str, str]]:
    """Signatures that are not genuine, by what is wrong with them."""
    genuine = sign(body, secret)
    digest = genuine.removeprefix("sha256=")
    sha1 = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    headers = {
        "missing": None,
        "empty": "",
        "another secret's": sign(body, "x" * 32),
        "over other bytes": sign(body + b" ", secret),
        "in capitals": f"sha256={digest.upper()}",
        "with a capital prefix": f"SHA256={digest}",
        "without its prefix": digest,
        "too short": genuine[:-1],
        "too long": f"{genuine}0",
        "of zeros": "sha256=" + "0" * 64,
        "with a space": f" {genuine}".strip() + " x",
        "not ASCII": "sha256=" + "é" * 64,
        "repeated": f"{genuine}, {genuine}",
        "of the older kind": f"sha1={sha1}",
        "with an empty secret": sign(body, ""),
    }
    return {
        name: {} if value is None else {"X-Hub-Signature-256": value.encode()}  # type: ignore[dict-item]
        for name, value in headers.items()
    }


@pytest.mark.parametrize("wrong", list(forged(b"", "")))
def test_what_is_not_signed_is_refused_and_written_nowhere(
    database: Connection, world: World, tenant: Tenant, secret: str, wrong: str
) -> None:
    body = hello(tenant)

    answer = world.functions.post(PATHS[0], content=body, headers=forged(body, secret)[wrong])

    assert answer.status_code == 401
    assert snapshot(database, tenant)["messages"] == []
    assert not _is_kept(database, body)


def test_every_refusal_is_the_same(world: World, database: Connection, tenant: Tenant, secret: str) -> None:
    """Whoever guesses learns neither which endpoint exists nor which part was wrong."""
    body = hello(tenant)
    own = make_tenant(database, has_own_app=True)
    unknown = "00000000-0000-4000-8000-000000000000"
    paths = [PATHS[0], f"{PATHS[0]}/{own.integration_id}", f"{PATHS[0]}/{unknown}", f"{PATHS[0]}/nonsense"]

    answers = [
        world.functions.post(path, content=body, headers=headers)
        for path in paths
        for headers in (forged(body, secret)["another secret's"], forged(body, secret)["missing"])
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert secret not in answers[0].text


# The handshake


def shake(world: World, path: str = PATHS[0], **query: str) -> httpx.Response:
    names = {name: f"hub.{name}" for name in ("mode", "challenge", "verify_token")}
    return world.functions.get(path, params={names[name]: value for name, value in query.items()})


@pytest.mark.parametrize("path", [*PATHS, "/whatsapp-webhook?"])
def test_the_handshake_says_the_challenge_back(world: World, stack: Stack, path: str) -> None:
    token = stack.variables["WHATSAPP_WEBHOOK_VERIFY_TOKEN"]

    answer = shake(world, path, mode="subscribe", challenge="1158201444", verify_token=token)

    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"verify_token": "wrong"},
        {"verify_token": ""},
        {"verify_token": "é"},
        {"mode": "unsubscribe"},
        {"challenge": ""},
        {"challenge": "<script>alert(1)</script>"},
        {"challenge": "1" * 101},
    ],
    ids=str,
)
def test_a_wrong_handshake_is_refused_and_says_nothing_back(
    world: World, stack: Stack, query: dict[str, str]
) -> None:
    right = {
        "mode": "subscribe",
        "challenge": "1158201444",
        "verify_token": stack.variables["WHATSAPP_WEBHOOK_VERIFY_TOKEN"],
    }

    answer = shake(world, **({**right, **query} if query else {}))

    assert answer.status_code == 403
    assert "1158201444" not in answer.text
    assert "script" not in answer.text
    assert right["verify_token"] not in answer.text


def test_an_organizations_own_app_shakes_hands_with_its_own_token(
    database: Connection, world: World, stack: Stack
) -> None:
    tenant = make_tenant(database, has_own_app=True)
    keys = KeyRing.from_setting(stack.variables["ENCRYPTION_KEYS"])
    sealed = keys.encrypt("its own token", row_id=str(tenant.integration_id), column="webhook_verify_token")
    database.execute(
        "update whatsapp_integrations set webhook_verify_token = %s where id = %s",
        (sealed, tenant.integration_id),
    )
    path = f"{PATHS[0]}/{tenant.integration_id}"
    platforms = stack.variables["WHATSAPP_WEBHOOK_VERIFY_TOKEN"]

    own = shake(world, path, mode="subscribe", challenge="42", verify_token="its own token")
    other = shake(world, path, mode="subscribe", challenge="42", verify_token=platforms)
    none = shake(
        world,
        f"{PATHS[0]}/{make_tenant(database).integration_id}",
        mode="subscribe",
        challenge="42",
        verify_token="",
    )

    assert (own.status_code, own.text) == (200, "42")
    assert (other.status_code, none.status_code) == (403, 403)


# What cannot be read


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b'{"object":"\\u0000"}',
        b'{"object":"page","entry":[]}',
        b"[" * 100_000,
        b'{"entry":[{"changes":[{"field":"messages","value":{"messages":[null]}}]}]}',
        b'{"entry":' + b"9" * 10_000 + b"}",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_signed_and_cannot_be_read_is_kept_as_it_came(
    database: Connection, deliver: Callable[..., httpx.Response], body: bytes
) -> None:
    answer = deliver(body)

    assert answer.status_code == 200
    kept = database.execute(
        "select coalesce(convert_to(body, 'UTF8'), body_bytes) from webhook_events where digest = %s",
        (hashlib.sha256(body).hexdigest(),),
    ).fetchall()
    assert kept == [(body,)]


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "in chunks of unknown number"])
def test_more_than_meta_may_send_is_refused_before_it_is_read_whole(
    world: World, secret: str, declared: bool
) -> None:
    body = b"x" * (LARGEST_DELIVERY + 1)
    chunks: Iterator[bytes] = (body[start : start + 65_536] for start in range(0, len(body), 65_536))

    answer = world.functions.post(
        PATHS[0], content=body if declared else chunks, headers={"X-Hub-Signature-256": sign(body, secret)}
    )

    assert answer.status_code == 413


def test_the_largest_delivery_is_taken(
    database: Connection, deliver: Callable[..., httpx.Response], tenant: Tenant
) -> None:
    body = hello(tenant)
    body += b" " * (LARGEST_DELIVERY - len(body))

    answer = deliver(body)

    assert answer.status_code == 200
    assert len(snapshot(database, tenant)["messages"]) == 1


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_named_as_wrong(world: World, method: str) -> None:
    answer = world.functions.request(method, PATHS[0])

    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))


# Where it answers


@pytest.mark.parametrize("path", ["", "/"])
def test_the_url_of_old_answers_too(
    database: Connection, world: World, tenant: Tenant, secret: str, path: str
) -> None:
    body = hello(tenant)
    root = world.functions_url.removesuffix("/functions/v1")

    answer = httpx.post(
        f"{root}/api/webhooks/whatsapp{path}",
        content=body,
        headers={"X-Hub-Signature-256": sign(body, secret)},
        trust_env=False,
    )

    assert answer.status_code == 200
    assert len(snapshot(database, tenant)["messages"]) == 1


def test_a_secret_that_is_being_rotated_out_still_counts(
    database: Connection, stack: Stack, tenant: Tenant, anyio_backend: str
) -> None:
    """Both secrets are accepted while they are changed, so that no delivery is lost in between."""
    environ = {**stack.variables, "WHATSAPP_APP_SECRET": "n" * 32 + "," + "o" * 32}

    with _Served(create(environ)) as webhook:
        statuses = [
            webhook.post("/", hello(tenant, number=number), secret=secret).status_code
            for number, secret in enumerate(["n" * 32, "o" * 32, "p" * 32], start=1)
        ]

    assert statuses == [200, 200, 401]
    assert len(snapshot(database, tenant)["messages"]) == 2


# What it costs


def test_a_delivery_however_large_is_one_call_to_the_database(
    database: Connection, stack: Stack, tenant: Tenant, secret: str
) -> None:
    payload = wire.batch(1_000, size=2_600_000)
    payload["entry"][0]["id"] = tenant.waba_id
    payload["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = tenant.phone_number_id
    body = wire.to_wire(payload)
    app = create(stack.variables)
    calls = _Counting()
    names = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY")
    app.resources.database = Database(*(stack.variables[name] for name in names), transport=calls)

    with _Served(app) as webhook:
        answer = webhook.post("/", body, secret=secret)

    assert answer.status_code == 200
    assert calls.paths == ["/rest/v1/rpc/store_delivery"]
    count = database.execute(
        "select count(*) from messages where organization_id = %s", (tenant.organization_id,)
    ).fetchone()
    assert count == (1_000,)


# When the database does not answer


@pytest.mark.parametrize(
    "fault",
    [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), 500, 503, 57014, 53300, 40001],
    ids=str,
)
def test_it_asks_meta_to_come_again_when_the_database_is_away(
    stack: Stack, tenant: Tenant, secret: str, fault: Exception | int
) -> None:
    def answer(_request: httpx.Request) -> httpx.Response:
        if isinstance(fault, Exception):
            raise fault
        if fault < 1_000:
            return httpx.Response(fault, text="<html>")
        return httpx.Response(400, json={"code": str(fault), "message": "a fault of Postgres"})

    app = create(stack.variables)
    app.resources.database = Database("http://127.0.0.1:1", "p", "s", transport=httpx.MockTransport(answer))

    with _Served(app) as webhook:
        response = webhook.post("/", hello(tenant), secret=secret)

    assert response.status_code == 503
    assert json.loads(response.content)["error"]["retryable"] is True


def test_content_that_the_database_refuses_is_kept_raw_and_acknowledged(
    stack: Stack, tenant: Tenant, secret: str
) -> None:
    """Never a 5xx for content: it would come back for seven days."""
    kept: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        params = json.loads(request.content)
        if params["parsed_items"]:
            return httpx.Response(400, json={"code": "22P05", "message": "unsupported Unicode escape"})
        kept.append(params)
        stored = {"event_id": 1, "state": "unreadable", "is_duplicate": False, "items": 0, "problems": 1}
        return httpx.Response(200, json=stored)

    app = create(stack.variables)
    app.resources.database = Database("http://127.0.0.1:1", "p", "s", transport=httpx.MockTransport(answer))

    with _Served(app) as webhook:
        response = webhook.post("/", hello(tenant), secret=secret)

    assert response.status_code == 200
    assert [params["body_text"].encode() for params in kept] == [hello(tenant)]


def test_a_flood_of_unknown_addresses_does_not_reach_the_database(stack: Stack, secret: str) -> None:
    lookups: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        lookups.append(request.url.path)
        return httpx.Response(200, content=b"null")

    app = create(stack.variables)
    app.resources.database = Database("http://127.0.0.1:1", "p", "s", transport=httpx.MockTransport(answer))
    body = b"{}"

    with _Served(app) as webhook:
        statuses = [
            webhook.post(f"/00000000-0000-4000-8000-{nr:012d}", body, secret=secret).status_code
            for nr in range(300)
        ]

    assert set(statuses) == {401, 429}
    assert len(lookups) < 200


class _Counting(httpx.AsyncBaseTransport):
    """Counts the calls on their way."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self._transport = open_transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _Served:
    """An application of the webhook's in this process, called from a test that is not async."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __enter__(self) -> Self:
        import anyio.from_thread

        self._portal_context = anyio.from_thread.start_blocking_portal("asyncio")
        self._portal = self._portal_context.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._portal.call(self._app.resources.close)
        self._portal_context.__exit__(None, None, None)

    def post(self, path: str, body: bytes, *, secret: str) -> httpx.Response:
        async def post() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://webhook") as client:
                return await client.post(
                    path, content=body, headers={"X-Hub-Signature-256": sign(body, secret)}
                )

        return self._portal.call(post)


def _is_kept(database: Connection, body: bytes) -> bool:
    digest = hashlib.sha256(body).hexdigest()
    found = database.execute("select 1 from webhook_events where digest = %s", (digest,)).fetchone()
    return found is not None
