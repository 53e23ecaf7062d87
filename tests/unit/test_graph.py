"""The Graph client: what may have reached Meta, what Meta refused, and where a token never goes."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from shared import graph as graph_module
from shared import log
from shared.errors import AppError, MetaUnavailable, OutcomeUnknown, PermissionMissing, TokenDead
from shared.graph import GraphClient, GraphError, GraphUnreachable, Usage, read_usage
from shared.signatures import appsecret_proof
from tests.evidence import EXCHANGES

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "EAAGm0PX4ZCpsBAKZCyhZCs8ZD"
APP_SECRET = "0123456789abcdef0123456789abcdef"
ENVELOPE = {
    "error": {
        "message": "(#131056) (Business Account, Consumer Account) pair rate limit hit",
        "type": "OAuthException",
        "code": 131056,
        "error_subcode": 2494055,
        "is_transient": True,
        "error_data": {"messaging_product": "whatsapp", "details": "Too many to +15550100001."},
        "error_user_title": "Título",
        "error_user_msg": "Mensaje",
        "fbtrace_id": "AexampleTraceId",
    }
}


class Meta:
    """Answers every request in the same way, and remembers what it was asked."""

    def __init__(
        self, *answers: httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
    ) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)


def ok(**content: Any) -> httpx.Response:
    return httpx.Response(200, json=content or {"success": True})


def client(meta: Meta) -> GraphClient:
    return GraphClient("https://graph.test/", "v26.0", transport=httpx.MockTransport(meta))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "FIRST_WAIT", 0.0)


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ConnectError("EAAG refused"),
        httpx.ConnectTimeout("slow"),
        httpx.PoolTimeout("full"),
        httpx.ProxyError("proxy"),
        httpx.UnsupportedProtocol("ftp"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_request_that_never_left_was_certainly_not_done(fault: Exception) -> None:
    with pytest.raises(GraphUnreachable) as caught:
        await client(Meta(fault)).post("1/messages", token=TOKEN, json={})

    assert caught.value.request_written is False
    assert isinstance(caught.value.to_refusal(), MetaUnavailable)


@pytest.mark.parametrize(
    "fault",
    [
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.WriteTimeout("slow"),
        httpx.CloseError("closed"),
        httpx.RemoteProtocolError("Server disconnected without sending a response."),
        httpx.LocalProtocolError("odd"),
        httpx.DecodingError("gzip"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_a_request_that_was_cut_may_have_been_done_and_is_not_repeated(fault: Exception) -> None:
    meta = Meta(fault)

    with pytest.raises(GraphUnreachable) as caught:
        await client(meta).post("1/messages", token=TOKEN, json={})

    assert caught.value.request_written is True
    assert isinstance(caught.value.to_refusal(), OutcomeUnknown)
    assert len(meta.requests) == 1


def broken_gzip(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(b"not gzip"), headers={"content-encoding": "gzip"})


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>It works</html>"),
        httpx.Response(200, text=""),
        httpx.Response(200, json=["list"]),
        httpx.Response(200, text="[" * 100_000),
        httpx.Response(302, headers={"location": "https://elsewhere.test/"}),
        httpx.Response(500, text="<html>Sorry, something went wrong.</html>"),
        httpx.Response(502, text=""),
        httpx.Response(503, json={"message": "no envelope"}),
        httpx.Response(504, json={"error": "a text"}),
        broken_gzip,
    ],
    ids=[
        "html",
        "empty",
        "list",
        "deep",
        "redirect",
        "html_500",
        "empty_502",
        "json_503",
        "text_504",
        "gzip",
    ],
)
async def test_an_answer_that_is_not_metas_leaves_the_outcome_unknown(answer: httpx.Response) -> None:
    with pytest.raises(GraphUnreachable) as caught:
        await client(Meta(answer)).post("1/messages", token=TOKEN, json={})

    assert caught.value.request_written is True


async def test_an_endless_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "LARGEST_ANSWER", 1_000)
    bomb = httpx.Response(200, content=gzip.compress(b"x" * 100_000), headers={"content-encoding": "gzip"})
    meta = Meta(bomb)

    with pytest.raises(GraphUnreachable, match="answer_too_large"):
        await client(meta).get("1", token=TOKEN)

    assert len(meta.requests) == 1


async def test_metas_envelope_is_read_whole() -> None:
    answer = httpx.Response(
        400,
        json=ENVELOPE,
        headers={"retry-after": "30", "x-app-usage": '{"call_count":91,"total_cputime":3,"total_time":5}'},
    )

    with pytest.raises(GraphError) as caught:
        await client(Meta(answer)).post("1/messages", token=TOKEN, json={})

    error = caught.value
    assert (error.code, error.subcode, error.http_status) == (131056, 2494055, 400)
    assert (error.type, error.fbtrace_id) == ("OAuthException", "AexampleTraceId")
    assert error.message.startswith("(#131056)")
    assert (error.details, error.user_title, error.user_msg) == (
        "Too many to +15550100001.",
        "Título",
        "Mensaje",
    )
    assert error.is_transient is True
    assert error.retry_after == 30.0
    assert error.usage == Usage(percent=91.0)


@pytest.mark.parametrize(
    "answer, code",
    [
        (httpx.Response(404, text="<html>"), -1),
        (httpx.Response(400, json={"error": {}}), -1),
        (httpx.Response(400, json={"error": {"code": "190"}}), 190),
        (httpx.Response(400, json={"error": {"code": None, "error_data": "text", "error_subcode": "x"}}), -1),
        (httpx.Response(200, json={"error": {"code": 100}}), 100),
        (httpx.Response(500, json={"error": {"code": 131000}}), 131000),
    ],
    ids=["html", "empty", "code_as_text", "odd_types", "on_a_200", "on_a_500"],
)
async def test_a_refusal_of_an_odd_form_is_still_a_refusal(answer: httpx.Response, code: int) -> None:
    with pytest.raises(GraphError) as caught:
        await client(Meta(answer)).post("1", token=TOKEN)

    assert caught.value.code == code


@pytest.mark.skipif(not EXCHANGES.exists(), reason="the recorded exchanges are not part of a release")
def test_every_recorded_refusal_is_understood() -> None:
    seen: Counter[int] = Counter()
    for file in sorted(EXCHANGES.glob("*err_*.json")):
        recorded = json.loads(file.read_text())["response"]
        response = httpx.Response(recorded["status"] or 400, json=recorded["body"])
        error = GraphError.from_response(response, recorded["body"])
        assert error.code == recorded["body"]["error"]["code"], file.name
        assert isinstance(error.to_refusal(), AppError), file.name
        seen[error.code] += 1
    assert len(seen) > 15


@pytest.mark.parametrize("text", ["", "soon", "-1", "1e3", "Wed, 21 Oct 2026 07:28:00 GMT", "9" * 400])
async def test_a_retry_after_that_is_no_number_of_seconds_is_left_aside(text: str) -> None:
    answer = httpx.Response(429, json={"error": {"code": 4}}, headers={"retry-after": text})

    with pytest.raises(GraphError) as caught:
        await client(Meta(answer)).post("1", token=TOKEN)

    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    "headers, usage",
    [
        ({}, Usage()),
        ({"x-app-usage": "junk"}, Usage()),
        ({"x-app-usage": "[1]"}, Usage()),
        ({"x-app-usage": '{"call_count":"many"}'}, Usage()),
        ({"x-business-use-case-usage": '{"1":[1,null],"2":"x"}'}, Usage()),
        (
            {
                "x-business-use-case-usage": '{"100000000000001":[{"type":"whatsapp","call_count":12,'
                '"total_cputime":80,"total_time":3,"estimated_time_to_regain_access":0},'
                '{"type":"whatsapp_business_management","call_count":100,"estimated_time_to_regain_access":7}]}'
            },
            Usage(percent=100.0, minutes_to_regain=7.0),
        ),
    ],
    ids=["none", "junk", "list", "text", "odd", "per_account"],
)
def test_usage_is_the_highest_of_all_that_meta_counts(headers: dict[str, str], usage: Usage) -> None:
    assert read_usage(httpx.Headers(headers)) == usage


async def test_the_token_travels_in_the_authorization_header_and_nowhere_else() -> None:
    meta = Meta(ok())

    await client(meta).post("1/messages", token=TOKEN, app_secret=APP_SECRET, json={"to": "15550100001"})

    (request,) = meta.requests
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in str(request.url)
    assert TOKEN not in request.content.decode()
    assert request.url.params["appsecret_proof"] == appsecret_proof(TOKEN, APP_SECRET)
    assert str(request.url).startswith("https://graph.test/v26.0/1/messages?")


@pytest.mark.parametrize(
    "answer",
    [httpx.ConnectError(TOKEN), httpx.ReadTimeout(TOKEN), httpx.Response(400, json=ENVELOPE)],
    ids=["connect", "read", "refusal"],
)
async def test_no_error_and_no_line_of_the_log_holds_the_token(
    answer: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    with pytest.raises((GraphError, GraphUnreachable)) as caught:
        await client(Meta(answer)).get(
            "me", token=TOKEN, app_secret=APP_SECRET, params={"input_token": TOKEN}
        )
    log.error("graph.failed", error=caught.value)

    error = caught.value
    told = f"{error} {error!r} {error.args} {capsys.readouterr().out} {caplog.text}"
    assert TOKEN not in told
    assert appsecret_proof(TOKEN, APP_SECRET) not in told
    assert "5550100001" not in told
    assert error.__cause__ is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "..",
        "../me",
        "1/../2",
        "1/.hidden",
        "1?fields=x",
        "1#x",
        "1 2",
        "1//2",
        "http://x",
        "1\n",
        "ñ",
    ],
)
async def test_an_id_that_somebody_pasted_leads_nowhere_else(path: str) -> None:
    meta = Meta(ok())

    with pytest.raises(ValueError, match="plain segments"):
        await client(meta).get(path, token=TOKEN)

    assert meta.requests == []


@pytest.mark.parametrize(
    "answers",
    [
        [httpx.ConnectError("x"), ok(id="1")],
        [httpx.ReadTimeout("x"), httpx.ReadError("x"), ok(id="1")],
        [httpx.Response(502, text="<html>"), ok(id="1")],
        [httpx.Response(503, json={"error": {"code": 2, "is_transient": True}}), ok(id="1")],
        [httpx.Response(500, json={"error": {"code": 131000}}, headers={"retry-after": "0"}), ok(id="1")],
    ],
    ids=["unreachable", "cut_twice", "proxy", "busy", "busy_with_header"],
)
async def test_a_read_is_asked_again_when_the_fault_may_pass(answers: list[Any]) -> None:
    meta = Meta(*answers)

    assert await client(meta).get("1", token=TOKEN) == {"id": "1"}
    assert len(meta.requests) == len(answers)


async def test_a_read_is_asked_three_times_at_most() -> None:
    meta = Meta(httpx.ReadTimeout("x"))

    with pytest.raises(GraphUnreachable):
        await client(meta).get("1", token=TOKEN)

    assert len(meta.requests) == 3


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(400, json={"error": {"code": 190}}),
        httpx.Response(400, json={"error": {"code": 4}}),
        httpx.Response(400, json={"error": {"code": 80007}}),
        httpx.Response(500, json={"error": {"code": 2}}, headers={"retry-after": "60"}),
    ],
    ids=["token", "limit", "account_limit", "long_wait"],
)
async def test_a_read_is_not_asked_again_when_that_would_not_help(answer: httpx.Response) -> None:
    meta = Meta(answer)

    with pytest.raises(GraphError):
        await client(meta).get("1", token=TOKEN)

    assert len(meta.requests) == 1


@pytest.mark.parametrize("method", ["post", "delete"])
async def test_a_change_is_asked_for_once(method: str) -> None:
    meta = Meta(httpx.Response(503, json={"error": {"code": 2}}))

    with pytest.raises(GraphError):
        await getattr(client(meta), method)("1", token=TOKEN)

    assert len(meta.requests) == 1


async def test_a_version_that_ended_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    warning = {
        "x-ad-api-version-warning": "The call has been auto-upgraded to v24.0",
        "facebook-api-version": "v24.0",
    }
    graph = client(Meta(httpx.Response(200, json={"id": "1"}, headers=warning)))

    await graph.get("1", token=TOKEN)
    await graph.get("1", token=TOKEN)

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["event"], line["asked"], line["served"]) == ("graph.version_ended", "v26.0", "v24.0")


async def test_refusals_become_what_our_own_caller_is_told() -> None:
    dead = GraphError(code=190, subcode=463, http_status=401, fbtrace_id="A1")
    missing = GraphError(code=100, subcode=33, http_status=400)

    assert isinstance(dead.to_refusal(), TokenDead)
    assert isinstance(missing.to_refusal(), PermissionMissing)
    assert dead.to_refusal().to_body("es")["error"]["meta"] == {
        "code": 190,
        "subcode": 463,
        "fbtrace_id": "A1",
    }


async def test_what_is_not_given_is_not_sent() -> None:
    meta = Meta(ok())

    await client(meta).phone_number("1", token=TOKEN)
    await client(meta).phone_number("1", token=TOKEN, fields="id,verified_name")

    assert [dict(request.url.params) for request in meta.requests] == [{}, {"fields": "id,verified_name"}]


async def test_a_list_is_read_by_its_cursors_to_the_end() -> None:
    def page(request: httpx.Request) -> httpx.Response:
        after = request.url.params.get("after")
        if after is None:
            paging = {
                "cursors": {"before": "a", "after": "b"},
                "next": f"https://graph.test/?access_token={TOKEN}",
            }
            return ok(data=[{"id": "1"}, "odd"], paging=paging)
        return ok(data=[{"id": "2"}], paging={"cursors": {"before": "b", "after": "c"}})

    meta = Meta(page)

    assert await client(meta).waba_phone_numbers("9", token=TOKEN, fields="id") == [{"id": "1"}, {"id": "2"}]
    assert [request.url.path for request in meta.requests] == ["/v26.0/9/phone_numbers"] * 2


async def test_a_list_whose_cursor_never_ends_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "MOST_PAGES", 3)
    meta = Meta(lambda _: ok(data=[], paging={"cursors": {"after": "same"}, "next": "x"}))

    assert await client(meta).subscribed_apps("9", token=TOKEN) == []
    assert len(meta.requests) == 3


async def test_each_call_by_name_is_what_meta_documents() -> None:
    meta = Meta(lambda request: ok(data={"is_valid": True}) if "debug" in request.url.path else ok())
    graph = client(meta)

    await graph.send_message("1", {"type": "text"}, token=TOKEN)
    valid = await graph.debug_token("another", token=TOKEN)
    await graph.waba("9", token=TOKEN, fields="id")
    await graph.subscribe_app("9", token=TOKEN)
    await graph.subscribe_app("9", token=TOKEN, callback_url="https://x.test", verify_token="v")

    asked = [
        (request.method, request.url.path.removeprefix("/v26.0"), request.content.decode())
        for request in meta.requests
    ]
    assert valid == {"is_valid": True}
    assert meta.requests[1].url.params["input_token"] == "another"
    assert asked == [
        ("POST", "/1/messages", '{"type":"text"}'),
        ("GET", "/debug_token", ""),
        ("GET", "/9", ""),
        ("POST", "/9/subscribed_apps", ""),
        ("POST", "/9/subscribed_apps", '{"override_callback_uri":"https://x.test","verify_token":"v"}'),
    ]


async def test_forms_and_files_are_sent_as_such() -> None:
    meta = Meta(ok(id="5"))

    await client(meta).post("1/register", token=TOKEN, data={"pin": "123456"})
    await client(meta).post(
        "1/media", token=TOKEN, data={"type": "image/png"}, files={"file": ("a.png", b"x")}
    )

    form, upload = meta.requests
    assert form.headers["content-type"] == "application/x-www-form-urlencoded"
    assert upload.headers["content-type"].startswith("multipart/form-data")


async def test_connections_are_kept_and_closed_at_the_end() -> None:
    graph = GraphClient("http://127.0.0.1:9", "v26.0")
    pool = graph._client

    await graph.close()
    await graph.close()

    assert pool.is_closed


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/attachment",
        "https://fbsbx.com.evil.example/",
        "https://evilfbsbx.com/",
        "http://lookaside.fbsbx.com/",
        "https://lookaside.fbsbx.com:8443/",
        "https://lookaside.fbsbx.com@evil.example/",
        "https://user:pw@lookaside.fbsbx.com/",
        "http://graph.test/",
        "https://graph.test:444/",
        "file:///etc/passwd",
        "//lookaside.fbsbx.com/",
        "not an address",
        "",
        "https://[",
    ],
)
async def test_the_token_goes_to_no_host_but_metas(url: str) -> None:
    meta = Meta(ok())

    with pytest.raises(ValueError, match="Meta's own hosts"):
        async with client(meta).download(url, token=TOKEN):
            pass

    assert meta.requests == []


@pytest.mark.parametrize(
    "url",
    ["https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&hash=x", "https://graph.test/media/1"],
)
async def test_an_attachment_is_read_with_the_token(url: str) -> None:
    meta = Meta(httpx.Response(200, content=b"bytes"))

    async with client(meta).download(url, token=TOKEN) as response:
        content = await response.aread()

    assert content == b"bytes"
    assert meta.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "fault, written",
    [(httpx.ConnectError("x"), False), (httpx.ReadTimeout("x"), True)],
    ids=["connect", "read"],
)
async def test_an_attachment_that_cannot_be_read_is_unreachable(fault: Exception, written: bool) -> None:
    with pytest.raises(GraphUnreachable) as caught:
        async with client(Meta(fault)).download("https://lookaside.fbsbx.com/x", token=TOKEN):
            pass

    assert caught.value.request_written is written


def unknown_field(name: str) -> httpx.Response:
    message = f"(#100) Tried accessing nonexisting field ({name}) on node type (WhatsAppBusinessPhoneNumber)"
    return httpx.Response(400, json={"error": {"message": message, "type": "OAuthException", "code": 100}})


async def test_a_field_that_meta_does_not_know_costs_only_itself() -> None:
    meta = Meta(unknown_field("is_on_biz_app"), unknown_field("username"), ok(id="1", status="CONNECTED"))
    graph = GraphClient("https://graph.example", "v26.0", transport=httpx.MockTransport(meta))

    node = await graph.phone_number("1", token=TOKEN, fields="id,is_on_biz_app,status,username")
    await graph.close()

    assert node == {"id": "1", "status": "CONNECTED"}
    assert [request.url.params["fields"] for request in meta.requests] == [
        "id,is_on_biz_app,status,username",
        "id,status,username",
        "id,status",
    ]


async def test_a_field_that_nobody_asked_for_is_an_error_like_any_other() -> None:
    meta = Meta(unknown_field("elsewhere"))
    graph = GraphClient("https://graph.example", "v26.0", transport=httpx.MockTransport(meta))

    with pytest.raises(GraphError):
        await graph.phone_number("1", token=TOKEN, fields="id,status")
    await graph.close()

    assert len(meta.requests) == 1
