"""The web edge of every function: one ASGI application, the same under uvicorn, Mangum and Vercel.

It strips the function's own path name and a trailing slash (senders do not follow redirects), answers CORS,
routes, reads bodies under a limit, and turns every refusal into the JSON envelope in the caller's language.
What nobody foresaw is logged with its type and told to nobody.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, overload

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from shared import collector, log, metrics
from shared.errors import (
    AppError,
    InvalidBody,
    InvalidToken,
    MethodNotAllowed,
    Misconfigured,
    MissingToken,
    NotJson,
    TooLarge,
    UnknownPath,
)
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import httpx
    from pydantic import BaseModel
    from starlette.types import Message, Receive, Scope, Send

    from shared.crypto import KeyRing
    from shared.database import Database
    from shared.errors import Language
    from shared.graph import GraphClient

    Model = TypeVar("Model", bound=BaseModel)

DEFAULT_LIMIT = 1_000_000
LONGEST_TOKEN = 16_384
ALLOWED_HEADERS = "authorization, x-client-info, apikey, content-type, idempotency-key, accept-language"
EXPOSED_HEADERS = "x-request-id, retry-after"
ALLOWED_METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
PREFLIGHT_SECONDS = "7200"
REQUEST_ID = re.compile(r"[A-Za-z0-9:=;_.-]{8,100}")
BEARER = re.compile(r"(?i)bearer +([A-Za-z0-9._~+/=-]+) *")
DEEPEST_JSON = 100
# What such a setting of keys names is asked of AWS: shared/key_sources.py.
KEPT_ELSEWHERE = ("secretsmanager:", "kms:")
LONGEST_LANGUAGES = 500
UNPAIRED = re.compile("[\ud800-\udfff]")


class Resources:
    """What the handlers of one application work with, each part made on first use and then kept.

    So importing a function needs no environment, and a request that is refused early pays for nothing.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None,
        need: Iterable[str],
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        self._environ = environ
        self._need = tuple(need)
        self._transport = transport
        self._loading_keys = asyncio.Lock()

    @cached_property
    def settings(self) -> Settings:
        """The function's settings; refuses while one that it needs is missing or wrong."""
        environ = os.environ if self._environ is None else self._environ
        settings = Settings.from_environ(environ, self._need)
        log.configure(level=settings.log_level, secrets=settings.secrets())
        metrics.configure(settings.metrics_stage)
        return settings

    @cached_property
    def database(self) -> Database:
        """Supabase, as a user or as the service."""
        from shared.database import Database

        settings = self.settings
        return Database(
            settings.supabase_url,
            settings.supabase_publishable_key if settings.has("SUPABASE_PUBLISHABLE_KEY") else None,
            settings.supabase_secret_key if settings.has("SUPABASE_SECRET_KEY") else None,
        )

    @cached_property
    def graph(self) -> GraphClient:
        """Meta's Graph API."""
        from shared.graph import GraphClient

        return GraphClient(
            self.settings.graph_api_url, self.settings.graph_api_version, transport=self._transport
        )

    @cached_property
    def keys(self) -> KeyRing:
        """The keys that open what is encrypted at rest."""
        from shared.key_sources import load_key_ring

        return load_key_ring(self.settings.encryption_keys)

    async def load_keys(self) -> KeyRing:
        """Return the keys. Where AWS keeps them it is asked once, in a thread, so that nothing else waits."""
        if "keys" not in self.__dict__ and self.settings.encryption_keys.startswith(KEPT_ELSEWHERE):
            import anyio.to_thread

            async with self._loading_keys:
                await anyio.to_thread.run_sync(lambda: self.keys)
        return self.keys

    async def close(self) -> None:
        """Close what was opened; the server is going down."""
        for name in ("graph", "database"):
            if name in self.__dict__:
                await self.__dict__.pop(name).close()

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The pages that may call; none while the setting is wrong, so that the rest still answers."""
        environ = os.environ if self._environ is None else self._environ
        try:
            return Settings.from_environ(environ).allowed_origins
        except Misconfigured as error:
            log.error("web.allowed_origins_wrong", error=error)
            return ()


class App:
    """One function as an ASGI application."""

    def __init__(
        self, name: str, routes: Sequence[Route], resources: Resources, aliases: Sequence[str]
    ) -> None:
        self.name = name
        self.routes = list(routes)
        self.resources = resources
        # The longest first, so that /functions/v1/<name> is taken off whole.
        own = (f"/functions/v1/{name}", f"/api/{name}", f"/{name}", "/functions/v1", *aliases)
        self._prefixes = sorted(own, key=len, reverse=True)

    @cached_property
    def allowed_origins(self) -> tuple[str, ...]:
        """The origins of ALLOWED_ORIGINS, read once."""
        return self.resources.allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            request_id = _request_id(scope)
            with log.context(function=self.name, request_id=request_id):
                await self._answer(scope, receive, _Answer(scope, send, request_id, self.allowed_origins))
            collector.settle()
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.resources.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        started = time.perf_counter()
        own_path = self._own_path(scope)
        inner = {**scope, "app": self, "path": own_path, "root_path": "", "asked_path": scope["path"]}
        refusal: AppError | None = None
        try:
            await self._route(inner, receive, answer)
        except ClientDisconnect:
            log.info("request.cut_by_client", method=scope["method"])
            return
        except Exception as error:  # noqa: BLE001 - the last line of defence: nothing may leak from here
            refusal = _refusal_of(error)
            if type(refusal) is AppError:
                log.error("request.failed_unforeseen", error=error)
            elif refusal is not error:
                # Meta's own words are for support; what they mean is in the answer.
                log.write(refusal.level, "request.failed", {"error": error})
            if answer.status is None:
                await _to_response(refusal, _language_of(scope))(inner, receive, answer)
        status = answer.status or 0
        level = refusal.level if refusal else ("error" if status >= 500 else "info")  # noqa: PLR2004
        log.write(
            level,
            "request.answered",
            {
                "method": scope["method"],
                "route": inner.get("route_path", "unknown"),
                "status": status,
                "duration_ms": round((time.perf_counter() - started) * 1000, 1),
                **_fields_of(refusal),
            },
        )

    async def _route(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            # Even for a path that is not there: the browser must be let through to read the 404.
            await Response(status_code=204)(scope, receive, answer)
            return
        allowed: set[str] = set()
        for route in self.routes:
            match, found = route.matches(scope)
            if match is Match.NONE:
                continue
            scope["route_path"] = route.path
            if match is Match.FULL:
                scope.update(found)
                await route.handle(scope, receive, answer)
                return
            allowed |= set(route.methods or ())
        if not allowed:
            raise UnknownPath
        allowed.add("OPTIONS")
        if scope["method"] != "OPTIONS":
            raise MethodNotAllowed(allowed=sorted(allowed))
        await Response(status_code=204, headers={"Allow": ", ".join(sorted(allowed))})(scope, receive, answer)

    def _own_path(self, scope: Scope) -> str:
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        if root and (path == root or path.startswith(f"{root}/")):
            path = path[len(root) :]
        for prefix in self._prefixes:
            if path == prefix or path.startswith(f"{prefix}/"):
                path = path[len(prefix) :]
                break
        return path.rstrip("/") or "/"


class _Answer:
    """Sends the response with the headers that every answer has, and remembers its status."""

    def __init__(self, scope: Scope, send: Send, request_id: str, origins: tuple[str, ...]) -> None:
        self.status: int | None = None
        self._send = send
        self._is_head = scope["method"] == "HEAD"
        self._request_id = request_id
        self._origins = origins
        self._headers = Headers(scope=scope)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._request_id
            headers["X-Content-Type-Options"] = "nosniff"
            headers.setdefault("Cache-Control", "no-store")
            self._allow_origin(headers)
        elif message["type"] == "http.response.body" and self._is_head:
            message = {**message, "body": b""}
        await self._send(message)

    def _allow_origin(self, headers: MutableHeaders) -> None:
        if not self._origins:
            return
        headers.add_vary_header("Origin")
        origin = self._headers.get("origin", "")
        if origin.lower() not in self._origins:
            return
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = EXPOSED_HEADERS
        if "access-control-request-method" in self._headers:
            headers["Access-Control-Allow-Methods"] = ALLOWED_METHODS
            headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
            headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS


def create_app(
    name: str,
    routes: Sequence[Route],
    *,
    need: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
    aliases: Sequence[str] = (),
) -> App:
    """Make a function's application.

    `name` is its path name (`whatsapp-oauth`), `aliases` are other paths that it answers at as if they were
    its own, `need` the settings without which it refuses. `environ` stands in for the process's environment
    and `transport` for the network to Meta.
    """
    return App(name, routes, Resources(environ, need, transport), aliases)


def resources(request: Request) -> Resources:
    """Return what the application of this request works with."""
    app: App = request.scope["app"]
    return app.resources


def bearer_token(request: Request) -> str:
    """Return the caller's own token; raise `MissingToken` when there is none."""
    header = request.headers.get("authorization", "")
    if not header:
        raise MissingToken
    match = BEARER.fullmatch(header)
    if match is None or len(header) > LONGEST_TOKEN:
        raise InvalidToken
    return match[1]


def language_of(request: Request) -> Language:
    """Return the language of Accept-Language that we speak: Spanish or English."""
    return _language_of(request.scope)


async def read_body(request: Request, *, limit: int = DEFAULT_LIMIT) -> bytes:
    """Read the raw body; raise `TooLarge` as soon as it is known to be, whatever its headers say."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(limit)) or int(declared) > limit):
        raise TooLarge
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge
    return bytes(body)


@overload
async def read_json(request: Request, model: type[Model], *, limit: int = ...) -> Model: ...
@overload
async def read_json(request: Request, model: None = ..., *, limit: int = ...) -> dict[str, Any]: ...
async def read_json(
    request: Request, model: type[Model] | None = None, *, limit: int = DEFAULT_LIMIT
) -> Model | dict[str, Any]:
    """Read a JSON object, whatever its content type says, into the model if one is given.

    Raise `NotJson`, or `InvalidBody` with each field's rule.
    """
    content = _parse_json(await read_body(request, limit=limit))
    if model is None:
        return content
    return validate(model, content)


async def read_optional_json(request: Request, model: type[Model], *, limit: int = DEFAULT_LIMIT) -> Model:
    """Read as `read_json` does, where no body at all means that everything is left out."""
    body = await read_body(request, limit=limit)
    return validate(model, _parse_json(body) if body.strip() else {})


def validate(model: type[Model], content: object) -> Model:
    """Make the model, or raise `InvalidBody` that names each field and rule, and repeats no value."""
    from pydantic import ValidationError

    from shared.field_rules import to_detail

    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise InvalidBody(details=[to_detail(each) for each in found]) from None


def _parse_json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise NotJson from None
    if not isinstance(content, dict):
        raise NotJson
    unstorable = next(_find_unstorable(content, (), DEEPEST_JSON), None)
    if unstorable is not None:
        from shared.field_rules import break_rule

        raise InvalidBody(details=[break_rule(unstorable, "storable_text")])
    return content


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _find_unstorable(
    value: object, location: tuple[int | str, ...], depth: int
) -> Iterator[tuple[int | str, ...]]:
    """Yield where a text stands that Postgres cannot store: U+0000, or half of a surrogate pair."""
    if depth == 0:
        raise NotJson
    if isinstance(value, str):
        if not _is_storable(value):
            yield location
    elif isinstance(value, dict):
        for key, each in value.items():
            if not _is_storable(key):
                yield location
            yield from _find_unstorable(each, (*location, key), depth - 1)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _find_unstorable(each, (*location, index), depth - 1)


def _is_storable(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not UNPAIRED.search(text))


def _refusal_of(error: Exception) -> AppError:
    if isinstance(error, AppError):
        return error
    if isinstance(error, HTTPException):
        known: dict[int, type[AppError]] = {404: UnknownPath, 405: MethodNotAllowed, 413: TooLarge}
        return known.get(error.status_code, AppError)()
    # An error of Meta's knows what it means to the caller; asking it keeps its module out of this import.
    refusal = getattr(error, "to_refusal", lambda: None)()
    return refusal if isinstance(refusal, AppError) else AppError()


def _to_response(refusal: AppError, language: Language) -> Response:
    headers: dict[str, str] = {"Content-Language": language}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    if isinstance(refusal, MethodNotAllowed):
        headers["Allow"] = ", ".join(refusal.allowed)
    if isinstance(refusal, (MissingToken, InvalidToken)):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(refusal.to_body(language), status_code=refusal.status, headers=headers)


def _fields_of(refusal: AppError | None) -> dict[str, object]:
    return {} if refusal is None else {"refused_with": refusal.code, **refusal.log_fields}


def _language_of(scope: Scope) -> Language:
    best: tuple[float, Language] = (0.0, "en")
    for part in Headers(scope=scope).get("accept-language", "")[:LONGEST_LANGUAGES].split(","):
        tag, _, quality = part.strip().lower().partition(";q=")
        language = tag.partition("-")[0]
        if language not in ("en", "es"):
            continue
        weight = float(quality) if re.fullmatch(r"[01](\.\d{0,3})?", quality) else 1.0
        if weight > best[0]:
            best = (weight, "es" if language == "es" else "en")
    return best[1]


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    if REQUEST_ID.fullmatch(given):
        return given
    lambda_id = getattr(scope.get("aws.context"), "aws_request_id", None)
    return lambda_id if isinstance(lambda_id, str) else str(uuid.uuid4())
