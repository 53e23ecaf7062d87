"""Meta's Graph API: one small client, its refusals as typed errors. An edge: everything here is I/O.

The token travels in the Authorization header only. What the caller must know after a fault is whether the
request may have reached Meta: Graph has no idempotency key, so a message sent twice is two messages.
https://developers.facebook.com/docs/graph-api/guides/error-handling
"""

from __future__ import annotations

import json
import random
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx

from shared import log
from shared.connections import open_client
from shared.errors import AppError, MetaUnavailable, OutcomeUnknown
from shared.signatures import appsecret_proof

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tenacity import RetryCallState

READ_SECONDS = 20.0
LARGEST_ANSWER = 8_000_000
MOST_PAGES = 50
GET_ATTEMPTS = 3
FIRST_WAIT = 0.2
LONGEST_WAIT = 3.0
USAGE_HEADERS = ("x-business-use-case-usage", "x-app-usage")
USAGE_KEYS = ("call_count", "total_cputime", "total_time")
VERSION_WARNING = "x-ad-api-version-warning"
PATH = re.compile(r"/?(?!\.)[A-Za-z0-9_.-]+(/(?!\.)[A-Za-z0-9_.-]+)*")
# Where Meta keeps attachments: lookaside.fbsbx.com today.
MEDIA_HOSTS = (".fbsbx.com", ".facebook.com", ".fbcdn.net", ".whatsapp.net", ".whatsapp.com")
# "(#100) Tried accessing nonexisting field (x) on node type (y)"
INVALID_PARAMETER, UNKNOWN_FIELD = 100, re.compile(r"nonexisting field \(([A-Za-z0-9_]+)\)")
# Meta is busy, and says so; a read may be asked again.
PASSING_CODES = frozenset({1, 2, 131000, 131016, 133004, 2494100})
# These happen before a single byte is sent; everything else may have reached Meta.
NEVER_WRITTEN = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """How much of Meta's limits is used: the highest percentage, and minutes until there is room again."""

    percent: float = 0.0
    minutes_to_regain: float = 0.0


class GraphError(Exception):
    """Meta answered, and the answer is no.

    `message`, `details`, `user_title` and `user_msg` are Meta's words: localised to the owner of the token,
    and they may repeat what was sent, so they go to no stranger and into no log.
    """

    def __init__(  # noqa: PLR0913 - Meta's envelope has that many fields
        self,
        *,
        code: int,
        http_status: int,
        subcode: int | None = None,
        type: str = "",  # noqa: A002 - Meta's word
        message: str = "",
        details: str = "",
        user_title: str = "",
        user_msg: str = "",
        fbtrace_id: str = "",
        is_transient: bool = False,
        retry_after: float | None = None,
        usage: Usage | None = None,
    ) -> None:
        self.code = code
        self.subcode = subcode
        self.type = type
        self.message = message
        self.details = details
        self.user_title = user_title
        self.user_msg = user_msg
        self.fbtrace_id = fbtrace_id
        self.http_status = http_status
        self.is_transient = is_transient
        self.retry_after = retry_after
        self.usage = usage or Usage()
        super().__init__(f"Graph refused with code {code}, subcode {subcode}, HTTP {http_status}.")

    @classmethod
    def from_response(cls, response: httpx.Response, content: object) -> GraphError:
        """Read Meta's envelope; an answer that holds none becomes code -1 with its HTTP status."""
        envelope = content.get("error") if isinstance(content, dict) else None
        error: dict[str, Any] = envelope if isinstance(envelope, dict) else {}
        more = error.get("error_data")
        return cls(
            code=_int(error.get("code"), -1),
            subcode=_int(error.get("error_subcode"), 0) or None,
            type=str(error.get("type", "")),
            message=str(error.get("message", "")),
            details=str(more.get("details", "")) if isinstance(more, dict) else "",
            user_title=str(error.get("error_user_title", "")),
            user_msg=str(error.get("error_user_msg", "")),
            fbtrace_id=str(error.get("fbtrace_id") or response.headers.get("x-fb-request-id", "")),
            http_status=response.status_code,
            is_transient=error.get("is_transient") is True,
            retry_after=_retry_after(response.headers),
            usage=read_usage(response.headers),
        )

    @property
    def log_fields(self) -> Mapping[str, object]:
        """What the log may know of it."""
        return {
            "meta_code": self.code,
            "meta_subcode": self.subcode,
            "meta_type": self.type,
            "http_status": self.http_status,
            "fbtrace_id": self.fbtrace_id,
            "is_transient": self.is_transient,
        }

    def to_refusal(self) -> AppError:
        """Turn it into what our own caller is told."""
        from shared.meta_errors import classify

        refusal: AppError = classify(self).to_refusal(self)
        return refusal


class GraphUnreachable(Exception):
    """No answer came that can be read. `request_written` False: Meta certainly never had the request."""

    def __init__(self, *, request_written: bool, reason: str) -> None:
        self.request_written = request_written
        self.reason = reason
        super().__init__(f"Graph gave no answer ({reason}).")

    @property
    def log_fields(self) -> Mapping[str, object]:
        """What the log may know of it."""
        return {"reason": self.reason, "request_written": self.request_written}

    def to_refusal(self) -> AppError:
        """Turn it into what our own caller is told."""
        return OutcomeUnknown() if self.request_written else MetaUnavailable()


class GraphClient:
    """Calls Graph under one version, over one pool of connections."""

    def __init__(
        self,
        base_url: str,
        version: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.version = version
        self._transport = transport
        self._read_seconds = read_seconds
        self._is_warned = False
        # What the last answer told of Meta itself: the version that served it, and Meta's clock.
        self.served_version: str | None = None
        self.last_date: str | None = None

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        return open_client(self._transport, read_seconds=self._read_seconds)

    async def close(self) -> None:
        """Close the connections."""
        if "_client" in self.__dict__:
            await self.__dict__.pop("_client").aclose()

    async def get(
        self,
        path: str,
        *,
        token: str,
        app_secret: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Read; asked again, a little later, when Meta is busy or the connection breaks.

        A field that Meta's version does not know (yet, or any more) is left out: it must not cost the others.
        """
        while True:
            try:
                return await self._get(path, token=token, app_secret=app_secret, params=params)
            except GraphError as error:
                without = _without_unknown_field(params, error)
                if without is None:
                    raise
                params = without

    async def _get(
        self, path: str, *, token: str, app_secret: str | None, params: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(GET_ATTEMPTS),
            retry=retry_if_exception(_is_passing),
            wait=_wait,
            reraise=True,
        ):
            with attempt:
                return await self.request("GET", path, token=token, app_secret=app_secret, params=params)
        raise AssertionError("tenacity returns or raises")  # pragma: no cover - for the type checker

    async def post(
        self,
        path: str,
        *,
        token: str,
        app_secret: str | None = None,
        params: Mapping[str, Any] | None = None,
        json: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Change something, once: a repetition is the caller's decision."""
        return await self.request(
            "POST", path, token=token, app_secret=app_secret, params=params, json=json, data=data, files=files
        )

    async def delete(
        self,
        path: str,
        *,
        token: str,
        app_secret: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Remove something, once."""
        return await self.request("DELETE", path, token=token, app_secret=app_secret, params=params)

    async def request(
        self,
        method: str,
        path: str,
        *,
        token: str,
        app_secret: str | None = None,
        params: Mapping[str, Any] | None = None,
        **body: Any,
    ) -> dict[str, Any]:
        """Call Graph once; raise `GraphError` for its refusal, `GraphUnreachable` where no answer came."""
        query = {name: value for name, value in (params or {}).items() if value is not None}
        if app_secret:
            query["appsecret_proof"] = appsecret_proof(token, app_secret)
        request = self._client.build_request(
            method,
            self._url(path),
            params=query,
            headers={"Authorization": f"Bearer {token}"},
            **{name: value for name, value in body.items() if value is not None},
        )
        response, content = await self._send(request)
        self._warn_of_version(response)
        return _read_answer(response, content)

    async def _send(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        try:
            response = await self._client.send(request, stream=True)
            try:
                return response, await _read_bounded(response)
            finally:
                await response.aclose()
        except NEVER_WRITTEN as error:
            raise GraphUnreachable(request_written=False, reason=type(error).__name__) from None
        except httpx.HTTPError as error:
            raise GraphUnreachable(request_written=True, reason=type(error).__name__) from None

    @asynccontextmanager
    async def download(self, url: str, *, token: str) -> AsyncIterator[httpx.Response]:
        """Open a media URL, whose bytes need the token too; raise ValueError for one that is not Meta's.

        The answer's status is the caller's to read: a URL that is too old is a 404.
        """
        if not self.is_media_url(url):
            raise ValueError("The token goes to Meta's own hosts only.")
        request = self._client.build_request("GET", url, headers={"Authorization": f"Bearer {token}"})
        try:
            response = await self._client.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
        except NEVER_WRITTEN as error:
            raise GraphUnreachable(request_written=False, reason=type(error).__name__) from None
        except httpx.HTTPError as error:
            raise GraphUnreachable(request_written=True, reason=type(error).__name__) from None

    def is_media_url(self, url: str) -> bool:
        """Tell whether an address is one of Meta's, or of what stands in for it."""
        try:
            given, own = httpx.URL(url), httpx.URL(self.base_url)
        except httpx.InvalidURL:
            return False
        if given.userinfo:
            return False
        if (given.scheme, given.host, given.port) == (own.scheme, own.host, own.port):
            return True
        return given.scheme == "https" and given.port is None and given.host.endswith(MEDIA_HOSTS)

    def _url(self, path: str) -> str:
        # An id that somebody pasted must not lead anywhere else.
        if not PATH.fullmatch(path):
            raise ValueError("A Graph path consists of plain segments.")
        return f"{self.base_url}/{self.version}/{path.lstrip('/')}"

    def _warn_of_version(self, response: httpx.Response) -> None:
        self.served_version = response.headers.get("facebook-api-version", self.served_version)
        self.last_date = response.headers.get("date", self.last_date)
        if VERSION_WARNING in response.headers and not self._is_warned:
            self._is_warned = True
            served = response.headers.get("facebook-api-version")
            log.warning("graph.version_ended", asked=self.version, served=served)

    async def send_message(
        self, phone_number_id: str, message: Mapping[str, Any], *, token: str, app_secret: str | None = None
    ) -> dict[str, Any]:
        """Send a message; the answer means accepted, not sent."""
        path = f"{phone_number_id}/messages"
        return await self.post(path, token=token, app_secret=app_secret, json=message)

    async def debug_token(self, input_token: str, *, token: str) -> dict[str, Any]:
        """Ask about a token, which Meta takes in the query only; an invalid one is `is_valid: false`."""
        answer = await self.get("debug_token", token=token, params={"input_token": input_token})
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    async def phone_number(
        self, phone_number_id: str, *, token: str, app_secret: str | None = None, fields: str | None = None
    ) -> dict[str, Any]:
        """Read a number's node: these comma-separated fields, or Meta's default ones."""
        return await self.get(phone_number_id, token=token, app_secret=app_secret, params={"fields": fields})

    async def waba(
        self, waba_id: str, *, token: str, app_secret: str | None = None, fields: str | None = None
    ) -> dict[str, Any]:
        """Read a WABA's node."""
        return await self.get(waba_id, token=token, app_secret=app_secret, params={"fields": fields})

    async def waba_phone_numbers(
        self, waba_id: str, *, token: str, app_secret: str | None = None, fields: str | None = None
    ) -> list[dict[str, Any]]:
        """List every number of a WABA, over all pages."""
        path = f"{waba_id}/phone_numbers"
        return await self.list_all(path, token=token, app_secret=app_secret, params={"fields": fields})

    async def list_all(
        self,
        path: str,
        *,
        token: str,
        app_secret: str | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> list[dict[str, Any]]:
        """Read an edge page by page, by its cursors; Meta's own `next` address would carry the token."""
        found: list[dict[str, Any]] = []
        after: str | None = None
        for _ in range(MOST_PAGES):
            page = await self.get(
                path, token=token, app_secret=app_secret, params={**(params or {}), "after": after}
            )
            found += [each for each in page.get("data") or [] if isinstance(each, dict)]
            paging = page.get("paging") or {}
            after = (paging.get("cursors") or {}).get("after")
            if not after or not paging.get("next"):
                break
        return found

    async def subscribe_app(
        self,
        waba_id: str,
        *,
        token: str,
        app_secret: str | None = None,
        callback_url: str | None = None,
        verify_token: str | None = None,
    ) -> dict[str, Any]:
        """Subscribe our app to a WABA; without a callback of its own, one that was set is cleared."""
        override = (
            {"override_callback_uri": callback_url, "verify_token": verify_token} if callback_url else None
        )
        return await self.post(
            f"{waba_id}/subscribed_apps", token=token, app_secret=app_secret, json=override
        )

    async def subscribed_apps(
        self, waba_id: str, *, token: str, app_secret: str | None = None
    ) -> list[dict[str, Any]]:
        """List the apps that a WABA's deliveries go to."""
        return await self.list_all(f"{waba_id}/subscribed_apps", token=token, app_secret=app_secret)


def read_usage(headers: httpx.Headers) -> Usage:
    """Read how much of the limits is used, from whichever of the two headers came.

    https://developers.facebook.com/docs/graph-api/overview/rate-limiting
    """
    entries: list[Any] = []
    for name in USAGE_HEADERS:
        try:
            content = json.loads(headers.get(name, "{}"))
        except ValueError:
            continue
        groups = content.values() if isinstance(content, dict) else []
        entries += [entry for group in groups if isinstance(group, list) for entry in group]
        entries += [content] if isinstance(content, dict) else []
    known: list[dict[str, Any]] = [entry for entry in entries if isinstance(entry, dict)]
    return Usage(
        percent=max((_number(entry.get(key)) for entry in known for key in USAGE_KEYS), default=0.0),
        minutes_to_regain=max(
            (_number(entry.get("estimated_time_to_regain_access")) for entry in known), default=0.0
        ),
    )


async def _read_bounded(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            raise GraphUnreachable(request_written=True, reason="answer_too_large")
    return bytes(content)


def _read_answer(response: httpx.Response, content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    has_envelope = isinstance(answer, dict) and isinstance(answer.get("error"), dict)
    if response.is_success and isinstance(answer, dict) and not has_envelope:
        return answer
    if has_envelope or response.is_client_error:
        raise GraphError.from_response(response, answer)
    # A page of some proxy's: Meta may have done what was asked.
    raise GraphUnreachable(request_written=True, reason=f"http_{response.status_code}_without_envelope")


def _without_unknown_field(params: Mapping[str, Any] | None, error: GraphError) -> Mapping[str, Any] | None:
    """Return the query without the field that Meta says does not exist, None if it said another thing."""
    named = UNKNOWN_FIELD.search(error.message) if error.code == INVALID_PARAMETER else None
    fields = str((params or {}).get("fields") or "").split(",")
    if named is None or params is None or named[1] not in fields or len(fields) == 1:
        return None
    log.warning("graph.unknown_field", field=named[1])
    return {**params, "fields": ",".join(field for field in fields if field != named[1])}


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, GraphUnreachable):
        return error.reason != "answer_too_large"
    if not isinstance(error, GraphError):
        return False
    # A limit is not passed by asking more often.
    is_soon = error.retry_after is None or error.retry_after <= LONGEST_WAIT
    return is_soon and error.code in PASSING_CODES


def _wait(state: RetryCallState) -> float:
    """Wait with full jitter, and no shorter than Meta asked for."""
    error = state.outcome.exception() if state.outcome else None
    asked = getattr(error, "retry_after", None) or 0.0
    ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2.0**state.attempt_number)
    return float(max(asked, random.uniform(0, ceiling)))  # noqa: S311 - a pause is no secret


def _retry_after(headers: httpx.Headers) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if re.fullmatch(r"\d{1,7}(\.\d{1,3})?", text) else None


def _int(value: object, otherwise: int) -> int:
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        return otherwise


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
