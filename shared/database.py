"""Supabase's data API, as a user or as the service; an edge: everything here is I/O.

A caller's right is proven by the database, with the caller's own token (`as_user`). The service's key is
used only afterwards, or where no user stands behind the call. Every fault becomes one of our errors below
the client, so that supabase-py's builders raise them too. SQL speaks to us with `raise exception 'An
English sentence.' using errcode = 'P0001', detail = '<our code>'`, and may fill the sentence's placeholders
with a JSON object in `hint`. https://docs.postgrest.org/en/stable/references/errors.html
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx

from shared import log
from shared.connections import CONNECT_SECONDS, POOL_SECONDS, open_client, open_transport
from shared.errors import (
    AppError,
    BadRequest,
    Conflict,
    DatabaseUnavailable,
    Forbidden,
    InvalidToken,
    Misconfigured,
    NotFound,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    find_by_code,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from postgrest import AsyncPostgrestClient, AsyncRequestBuilder, AsyncSelectRequestBuilder

READ_SECONDS = 15.0
SUCCESS = range(200, 300)
SERVER_ERROR = 500
UNAUTHORIZED = 401

# After these classes of SQLSTATE, and these single states, the same call may succeed.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
PASSING_CLASSES = ("08", "53", "57", "58", "XX")
PASSING_STATES = frozenset({"40001", "40P01", "55P03", "25006"})
PASSING_STATUS = frozenset({408, 425})
# Names of the system's errors (EPIPE, ECONNRESET …), which are no SQLSTATE: a gateway's own trouble.
SYSTEM_ERROR = re.compile(r"E[A-Z]{3,}")
NOT_MIGRATED = frozenset({"42883", "42P01", "42703", "PGRST202", "PGRST203", "PGRST204", "PGRST205"})
STATES: Mapping[str, type[AppError]] = {
    "42501": Forbidden,
    "PGRST116": NotFound,  # one row was asked for, and there is none that the caller may see
    "PGRST301": InvalidToken,
    "PGRST302": InvalidToken,
    "PGRST303": InvalidToken,
}
CLASSES: Mapping[str, type[AppError]] = {"22": BadRequest, "23": Conflict, "P0": Conflict}
STATUSES: Mapping[int, type[AppError]] = {
    401: InvalidToken,
    403: Forbidden,
    404: NotFound,
    406: NotFound,
    409: Conflict,
    413: TooLarge,
    429: TooManyRequests,
}
CONSTRAINT = re.compile(r'constraint "([a-zA-Z0-9_]+)"')
WRONG_API_KEY = re.compile(r"(?i)invalid api key|no api key|unregistered api key")


class Database:
    """One Supabase project, over one pool of connections.

    A function that never acts for a user needs no publishable key, one that only does needs no secret key:
    either is missed when it is first used.
    """

    def __init__(
        self,
        supabase_url: str,
        publishable_key: str | None,
        secret_key: str | None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._rest_url = f"{supabase_url.rstrip('/')}/rest/v1"
        self._keys = {"SUPABASE_PUBLISHABLE_KEY": publishable_key, "SUPABASE_SECRET_KEY": secret_key}
        self._transport = transport

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        transport = _Translating(self._transport or open_transport(), self._keys["SUPABASE_SECRET_KEY"])
        return open_client(transport, read_seconds=READ_SECONDS)

    def as_user(self, token: str) -> Session:
        """Act as the user whose token this is: policies decide what is seen and changed."""
        return Session(self._rest_url, self._client, self._headers(token))

    def as_service(self) -> Session:
        """Act past every policy; only after the user's own right was proven, or where there is no user."""
        return Session(self._rest_url, self._client, self._headers(None))

    async def call_rpc(
        self,
        name: str,
        params: Mapping[str, object],
        *,
        token: str | None = None,
        seconds: float = READ_SECONDS,
    ) -> Any:
        """Call a function of the database, as the user or as the service; see `Session.rpc`."""
        session = Session(self._rest_url, self._client, self._headers(token))
        return await session.rpc(name, params, seconds=seconds)

    def _headers(self, token: str | None) -> dict[str, str]:
        name = "SUPABASE_SECRET_KEY" if token is None else "SUPABASE_PUBLISHABLE_KEY"
        key = self._keys[name]
        if key is None:
            raise Misconfigured(missing=[name])
        # The gateway takes a secret key as a bearer token only beside itself.
        return {"apikey": key, "Authorization": f"Bearer {key if token is None else token}"}

    async def close(self) -> None:
        """Close the connections."""
        if "_client" in self.__dict__:
            await self.__dict__.pop("_client").aclose()


class Session:
    """What one caller does: tables through supabase-py's data client, functions by a plain call."""

    def __init__(self, rest_url: str, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        self._rest_url = rest_url
        self._client = client
        self._headers = headers

    @cached_property
    def _postgrest(self) -> AsyncPostgrestClient:
        from postgrest import AsyncPostgrestClient

        return AsyncPostgrestClient(
            self._rest_url,
            headers=dict(self._headers),
            http_client=self._client,
            # It would sleep for seconds inside a request; our caller is told to come again instead.
            retry_enabled=False,
        )

    async def rpc(
        self, name: str, params: Mapping[str, object] | None = None, *, seconds: float = READ_SECONDS
    ) -> Any:
        """Call a function of the database without loading supabase-py, which costs a cold start 30 ms.

        Returns the decoded answer, None for an empty one; `seconds` is how long it may be silent.
        """
        url = f"{self._rest_url}/rpc/{name}"
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS, pool=POOL_SECONDS)
        answer = await self._client.post(url, json=dict(params or {}), headers=self._headers, timeout=timeout)
        return _decode(answer)

    def table(self, name: str) -> AsyncRequestBuilder:
        """Begin a query with supabase-py's builder; `.execute()` raises our errors."""
        return self._postgrest.table(name)

    def select(self, table: str, *columns: str) -> AsyncSelectRequestBuilder:
        """Begin a query that reads these columns."""
        return self.table(table).select(*columns)


class _Translating(httpx.AsyncBaseTransport):
    """Passes answers on, and raises our own error for every other outcome."""

    def __init__(self, transport: httpx.AsyncBaseTransport, secret_key: str | None) -> None:
        self._transport = transport
        self._as_service = f"Bearer {secret_key}"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        what = request.url.path.removeprefix("/rest/v1/")
        try:
            response = await self._transport.handle_async_request(request)
            content = await response.aread()
        except (httpx.TransportError, httpx.DecodingError) as error:
            log.error("database.unreachable", what=what, reason=type(error).__name__)
            raise DatabaseUnavailable from None
        if response.status_code in SUCCESS:
            return response
        is_service = request.headers.get("authorization") == self._as_service
        raise _refuse(response.status_code, content, what=what, is_service=is_service)

    async def aclose(self) -> None:
        await self._transport.aclose()


def _refuse(status: int, content: bytes, *, what: str, is_service: bool) -> AppError:
    error = _parse_error(content)
    state, message = str(error.get("code") or ""), str(error.get("message") or "")
    refusal = _our_own(error) or _find_refusal(status, state, message, is_service=is_service)
    constraint = CONSTRAINT.search(message)
    log.write(
        refusal.level,
        "database.refused",
        {
            "what": what,
            "http_status": status,
            "sqlstate": state,
            "constraint": constraint[1] if constraint else None,
            "refused_with": refusal.code,
        },
    )
    return refusal


def _parse_error(content: bytes) -> dict[str, Any]:
    try:
        error = json.loads(content)
    except ValueError:
        return {}
    return error if isinstance(error, dict) else {}


def _our_own(error: Mapping[str, Any]) -> AppError | None:
    """Raise what SQL asked for by our own code, in `detail`."""
    refusal = find_by_code(str(error.get("details")))
    if refusal is None:
        return None
    try:
        values = json.loads(str(error.get("hint")))
        return refusal(**values)
    except (ValueError, TypeError):
        # No hint, or one for people.
        return refusal()


def _find_refusal(status: int, state: str, message: str, *, is_service: bool) -> AppError:
    if _is_passing(status, state):
        return DatabaseUnavailable()
    if WRONG_API_KEY.search(message) or (is_service and status == UNAUTHORIZED):
        return _wrong_key(is_service=is_service)
    if state in NOT_MIGRATED:
        return Misconfigured(
            problems={"SUPABASE_URL": "The database lacks a migration: apply those in sql/."}
        )
    if status == UNAUTHORIZED and state == "42501":
        # The token was good enough to be let in as nobody.
        return Unauthorized()
    if is_service and state == "42501":
        # A grant is missing; nothing that our caller did or could do.
        return AppError()
    found = STATES.get(state) or CLASSES.get(state[:2]) or STATUSES.get(status) or AppError
    return found()


def _is_passing(status: int, state: str) -> bool:
    if state in PASSING_STATES or state.startswith(PASSING_CLASSES) or SYSTEM_ERROR.fullmatch(state):
        return True
    if status in PASSING_STATUS:
        return True
    # Class 42 is a mistake in SQL, and stays one however often it is tried.
    return status >= SERVER_ERROR and not state.startswith("42")


def _wrong_key(*, is_service: bool) -> Misconfigured:
    name = "SUPABASE_SECRET_KEY" if is_service else "SUPABASE_PUBLISHABLE_KEY"
    return Misconfigured(problems={name: f"{name} is not a key of the project at SUPABASE_URL."})


def _decode(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        log.error("database.answer_not_json", http_status=response.status_code)
        raise DatabaseUnavailable from None
