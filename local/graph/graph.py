"""Graph itself, as an ASGI application: reads a call, finds its edge, checks the token, answers as Meta does.

It is plain ASGI on purpose: a message costs well under a millisecond here.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from local.graph import limits, versions, wire
from local.graph.calls import Answer, Call, File, read_body, read_query
from local.graph.errors import GraphError, documented, nonexisting_field, unknown_object
from local.graph.simulator import Request, Simulator

if TYPE_CHECKING:
    from local.graph.faults import Fault
    from local.graph.state import Token

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Handler = Callable[[Simulator, Call, Any], Any]

_TEXT_KEPT = 16 * 1024
_LARGEST_BODY = 110 * 1024 * 1024
_REVISION = b"1041000000"
_JSON = (b"content-type", b"application/json; charset=UTF-8")
_NO_STORE = (b"cache-control", b"no-store")
_PRIVATE = (b"cache-control", b"private, no-cache, no-store, must-revalidate")


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What stands behind a method on a kind of node."""

    handler: Handler
    scope: str | None
    usage: str
    is_counted: bool


EDGES: dict[tuple[str, str, str], Edge] = {}
"""(kind of node, name of the edge, method) → what answers."""

ROOTS: dict[tuple[str, str], Edge] = {}
"""(path, method) → what answers, for paths that do not begin with a node."""

NODE_TYPES = {
    "number": "WhatsAppBusinessPhoneNumber",
    "waba": "WhatsAppBusinessAccount",
    "template": "WhatsAppMessageTemplate",
    "media": "WhatsAppMedia",
    "app": "Application",
    "business": "Business",
    "user": "User",
    "upload": "UploadSession",
}


def edge(
    kind: str,
    name: str,
    method: str,
    *,
    scope: str | None = "whatsapp_business_management",
    usage: str = "whatsapp_business_management",
    is_counted: bool = True,
) -> Callable[[Handler], Handler]:
    """Register a function as an edge of a kind of node; `node` is the node itself."""

    def register(handler: Handler) -> Handler:
        EDGES[kind, name, method] = Edge(handler=handler, scope=scope, usage=usage, is_counted=is_counted)
        return handler

    return register


def root(path: str, *methods: str) -> Callable[[Handler], Handler]:
    """Register a function for a path without a node."""

    def register(handler: Handler) -> Handler:
        for method in methods:
            ROOTS[path, method] = Edge(handler=handler, scope=None, usage="", is_counted=False)
        return handler

    return register


class ConnectionCut(httpx.RemoteProtocolError):
    """The connection died; in a test without a server the caller sees this very error."""


class Graph:
    """The ASGI application."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call and keep what was said."""
        self.simulator.calls_under_way += 1
        try:
            await self._serve_call(scope, receive, send)
        finally:
            self.simulator.calls_under_way -= 1

    async def _serve_call(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        simulator = self.simulator
        method, path = scope["method"], scope["path"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        raw = await _read(receive)
        call = _begin(method, path, scope.get("query_string", b""), headers, raw)
        fault = None
        if simulator.faults:
            fault = simulator.faults.take(method, call.edge, call.object_id)
            if fault is not None and fault.latency_ms:
                await asyncio.sleep(fault.latency_ms / 1000)
            if fault is not None and fault.cut == "before":
                self._note(call, started, 0, b"", fault="cut before")
                _cut(scope)
        try:
            status, answer_headers, content = await self._answer(call, fault)
        except GraphError as error:
            status, answer_headers, content = self._refuse(call, error)
            self._note(call, started, status, content, error_code=error.code, fault=_name_of(fault))
        except ConnectionCut:
            raise
        except Exception as error:  # noqa: BLE001 - told as Meta tells its own faults
            traceback.print_exc(file=sys.stderr)
            unknown = documented(1, http_status=500)
            status, answer_headers, content = self._refuse(call, unknown)
            self._note(call, started, status, content, error_code=1, fault=f"internal: {error!r}")
        else:
            self._note(call, started, status, content, fault=_name_of(fault))
        if fault is not None and fault.cut == "after":
            _cut(scope)
        answer_headers.append((b"content-length", b"%d" % len(content)))
        await send({"type": "http.response.start", "status": status, "headers": answer_headers})
        await send({"type": "http.response.body", "body": content})

    async def _answer(self, call: Call, fault: Fault | None) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        simulator = self.simulator
        call.served_version, warning = self._serve(call.version)
        if fault is not None and fault.body is not None:
            return (
                fault.http_status or 502,
                [(b"content-type", b"text/html; charset=UTF-8")],
                fault.body.encode(),
            )
        await _read_body(call)
        found = ROOTS.get(("/".join(call.segments), call.method))
        node: Any = None
        if found is None:
            call.token = self._authenticate(call)
            kind, node = find_node(simulator, call.object_id, call.token)
            found = self._find_edge(call, kind, node)
            call.usage = found.usage
            self._authorize(call, kind or "", node, found)
        if (
            fault is not None
            and (fault.code is not None or fault.http_status is not None)
            and not fault.by_status
        ):
            raise _error_of(fault)
        if found.is_counted and simulator.settings.enforce_limits:
            limits.count_management_call(simulator, call)
        if fault is not None and fault.by_status and fault.code is not None:
            call.fails = (fault.code, fault.details)
        result = found.handler(simulator, call, node)
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, Answer):
            return result.status, result.headers, result.content
        content = wire.to_answer(result)
        return 200, self._success_headers(call, content, warning), content

    def _serve(self, asked: str | None) -> tuple[str, str | None]:
        settings, now = self.simulator.settings, self.simulator.clock.now()
        oldest = settings.oldest_version or versions.oldest(now, settings.newest_version)
        return versions.serve(asked, now=now, oldest_alive=oldest, newest=settings.newest_version)

    def _authenticate(self, call: Call) -> Token:
        """Find the caller's token and check the proof, if there is one."""
        return authenticate(self.simulator, call)

    def _find_edge(self, call: Call, kind: str | None, node: Any) -> Edge:
        if kind is None or node is None:
            if call.method == "DELETE" and "_" in call.object_id:
                raise GraphError(100, "(#100) Invalid post_id parameter")
            raise unknown_object(call.method, call.object_id)
        found = EDGES.get((kind, call.edge, call.method))
        if found is None and "/" in call.edge:
            found = EDGES.get((kind, f"{call.edge.split('/')[0]}/*", call.method))
        if found is not None:
            return found
        if call.method == "GET" and call.edge != "node":
            raise nonexisting_field(call.edge, NODE_TYPES[kind])
        raise unknown_object(call.method, call.object_id)

    def _authorize(self, call: Call, kind: str, node: Any, found: Edge) -> None:
        """Check that the token opens the node and has the permission that the edge needs."""
        waba_id = waba_of(kind, node)
        if waba_id is not None:
            if not call.token.opens(waba_id):
                raise unknown_object(call.method, call.object_id)
            call.waba_id = waba_id
        if found.scope is not None and found.scope not in call.token.scopes:
            raise documented(10 if found.scope.endswith("messaging") else 200)

    def _success_headers(self, call: Call, content: bytes, warning: str | None) -> list[tuple[bytes, bytes]]:
        headers = [_JSON, _PRIVATE]
        if call.method == "GET":
            headers.append((b"etag", wire.etag(content).encode()))
        headers += self._common_headers(call, self.simulator.ids.trace_id(), warning)
        return headers

    def _common_headers(self, call: Call, trace_id: str, warning: str | None) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"facebook-api-version", call.served_version.encode()),
            (b"x-fb-request-id", trace_id.encode()),
            (b"x-fb-trace-id", self.simulator.ids.short_trace_id().encode()),
            (b"x-fb-rev", _REVISION),
        ]
        if warning is not None:
            headers.append((b"x-ad-api-version-warning", warning.encode()))
        if call.waba_id is not None:
            headers.append((b"x-business-use-case-usage", self._usage(call).encode()))
        else:
            headers.append((b"x-app-usage", b'{"call_count":0,"total_cputime":0,"total_time":0}'))
        return headers

    def _usage(self, call: Call) -> str:
        percent = limits.usage_percent(self.simulator, call)
        minutes = limits.minutes_to_regain(self.simulator, call)
        return (
            f'{{"{call.waba_id}":[{{"type":"{call.usage}","call_count":{percent},"total_cputime":1,'
            f'"total_time":1,"estimated_time_to_regain_access":{minutes}}}]}}'
        )

    def _refuse(self, call: Call, error: GraphError) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        trace_id = self.simulator.ids.trace_id()
        content = wire.to_answer(error.to_body(trace_id))
        mid = self.simulator.ids.mid()
        _, warning = self._serve(call.version)
        headers = [
            _JSON,
            _NO_STORE,
            (b"www-authenticate", error.challenge.encode()),
            *self._common_headers(call, trace_id, warning),
            (b"debug-link", f"https://www.meta.com/debug/?mid={mid}".encode()),
            (b"error-mid", mid.encode()),
            *error.headers,
        ]
        return error.http_status, headers, content

    def _note(
        self,
        call: Call,
        started: float,
        status: int,
        content: bytes,
        *,
        error_code: int | None = None,
        fault: str | None = None,
    ) -> None:
        simulator = self.simulator
        simulator.request_count += 1
        is_multipart = bool(call.files)
        request = Request(
            id=simulator.request_count,
            at=simulator.clock.now(),
            method=call.method,
            path=call.path,
            query=call.query.get("_raw", ""),
            edge=call.edge,
            object_id=call.object_id,
            headers=call.headers,
            body="<multipart>" if is_multipart else call.raw[:_TEXT_KEPT].decode("utf-8", "replace"),
            status=status,
            answer=content[:_TEXT_KEPT].decode("utf-8", "replace"),
            duration_ms=math.ceil((time.perf_counter() - started) * 10_000) / 10,
            fault=fault,
            error_code=error_code,
        )
        simulator.requests.append(request)
        simulator.tell("request", request)


def authenticate(simulator: Simulator, call: Call) -> Token:
    """Return the token of a call; raises the errors 104, 190 and those about a wrong proof."""
    value = _bearer(call)
    if value is None:
        raise documented(104)
    token = simulator.state.tokens.get(value) or _app_token(simulator, value)
    if token is None:
        raise documented(190)
    app = simulator.state.apps.get(token.app_id)
    if token.is_revoked or app is None:
        raise GraphError(
            190,
            f"Error validating access token: The user has not authorized application {token.app_id}.",
            http_status=401,
            subcode=458,
        )
    now = simulator.clock.now()
    if token.expires_at and token.expires_at <= now:
        raise expired(token.expires_at, now)
    proof = call.text("appsecret_proof")
    if proof is not None and proof != wire.appsecret_proof(app.secret, value):
        raise GraphError(
            100, "Invalid appsecret_proof provided in the API argument", kind="GraphMethodException"
        )
    if proof is None and app.requires_proof:
        raise GraphError(
            100, "API calls from the server require an appsecret_proof argument", kind="GraphMethodException"
        )
    return token


def expired(since: float, now: float) -> GraphError:
    """Build the error for a token that is past its end, with the dates as Meta words them."""
    pattern = "%A, %d-%b-%y %H:%M:%S GMT"
    was, is_now = (time.strftime(pattern, time.gmtime(moment)) for moment in (since, now))
    return GraphError(
        190,
        f"Error validating access token: Session has expired on {was}. The current time is {is_now}.",
        http_status=401,
        subcode=463,
    )


def find_node(simulator: Simulator, object_id: str, token: Token) -> tuple[str | None, Any]:
    """Return the kind of a node and the node."""
    state = simulator.state
    if object_id == "me":
        return "user", token.user_id
    if object_id == "app":
        object_id = token.app_id
    for kind, shelf in (
        ("number", state.numbers),
        ("waba", state.wabas),
        ("media", state.media),
        ("template", state.templates),
        ("app", state.apps),
    ):
        node = shelf.get(object_id)
        if node is not None:
            return kind, node
    if object_id.startswith("upload:"):
        return "upload", state.uploads.get(object_id)
    if object_id in state.users:
        return "user", object_id
    if any(waba.business_id == object_id for waba in state.wabas.values()):
        return "business", object_id
    return None, None


def waba_of(kind: str, node: Any) -> str | None:
    """Return the WABA whose access a node needs."""
    if kind == "waba":
        waba_id: str = node.id
        return waba_id
    return getattr(node, "waba_id", None)


def _begin(method: str, path: str, query: bytes, headers: dict[str, str], raw: bytes) -> Call:
    segments = [segment for segment in path.split("/") if segment]
    version = None
    if segments and versions.PATTERN.match(segments[0]):
        version = segments.pop(0)
    parameters = read_query(query)
    if query:
        parameters["_raw"] = query.decode("latin-1")
    name = "node" if len(segments) <= 1 else "/".join(segments[1:])
    if ("/".join(segments), method) in ROOTS:
        name = "/".join(segments)
    override = parameters.get("method")
    if method == "POST" and isinstance(override, str) and override.upper() in ("GET", "DELETE"):
        method = override.upper()
    return Call(
        method="GET" if method == "HEAD" else method,
        path=path,
        version=version,
        segments=segments,
        query=parameters,
        headers=headers,
        raw=raw,
        edge=name,
        object_id=segments[0] if segments else "",
    )


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    chunks, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > _LARGEST_BODY:
            return b""
        chunks.append(chunk)
    return b"".join(chunks)


async def _read_body(call: Call) -> None:
    content_type = call.headers.get("content-type", "")
    if content_type.startswith("multipart/form-data"):
        call.body, call.files = await _read_multipart(call.headers, call.raw)
    else:
        call.body = read_body(content_type, call.raw)


async def _read_multipart(headers: dict[str, str], raw: bytes) -> tuple[dict[str, Any], dict[str, File]]:
    from starlette.datastructures import Headers, UploadFile
    from starlette.formparsers import MultiPartException, MultiPartParser

    async def stream() -> Any:
        yield raw
        yield b""

    parser = MultiPartParser(Headers(headers), stream(), max_part_size=_LARGEST_BODY)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise GraphError(100, "(#100) Invalid parameter", details=error.message) from error
    body: dict[str, Any] = {}
    files: dict[str, File] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files[name] = File(
                name=value.filename,
                mime_type=value.content_type or "application/octet-stream",
                content=await value.read(),
            )
        else:
            body[name] = value
    await form.close()
    return body, files


def _bearer(call: Call) -> str | None:
    header = call.headers.get("authorization", "")
    scheme, _, value = header.partition(" ")
    if scheme.lower() in ("bearer", "oauth") and value.strip():
        return value.strip()
    return call.text("access_token")


def _app_token(simulator: Simulator, value: str) -> Token | None:
    """Read an app token, `app id|app secret`."""
    from local.graph.state import Token

    app_id, _, secret = value.partition("|")
    app = simulator.state.apps.get(app_id)
    if app is None or not secret or secret != app.secret:
        return None
    return Token(value=value, app_id=app_id, type="APP", user_id="", scopes=[], waba_ids=[])


def _error_of(fault: Fault) -> GraphError:
    if fault.code is None:
        error = documented(2 if (fault.http_status or 0) >= 500 else 1)  # noqa: PLR2004
        error.http_status = fault.http_status or error.http_status
    else:
        error = documented(
            fault.code,
            details=fault.details,
            message=fault.message,
            http_status=fault.http_status,
            subcode=fault.subcode,
            is_transient=fault.is_transient,
        )
    if fault.retry_after is not None:
        error.headers = ((b"retry-after", b"%d" % fault.retry_after),)
    return error


def _name_of(fault: Fault | None) -> str | None:
    return None if fault is None else fault.id


def _cut(scope: Scope) -> None:
    """Let the connection die: the server aborts it, a test's transport raises."""
    abort = scope.get("extensions", {}).get("simulator.abort")
    if abort is not None:
        abort()
    raise ConnectionCut("Server disconnected without sending a response.")
