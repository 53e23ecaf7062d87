"""The log: one JSON object a line, and no secret, phone number or message text in any of them."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import log
from shared.crypto import KeyRing
from shared.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl"
KEY = base64.b64encode(bytes(range(32))).decode()
CIPHERTEXT = KeyRing({"k1": bytes(32)}).encrypt("EAAG", row_id="1", column="token")
WAMID = "wamid.HBgLMTU1NTAxMDAwMDEVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"
# What gives itself away by its look, wherever it stands and whatever stands beside it.
BY_LOOK = [
    "EAAGm0PX4ZCpsBAKZCyhZCs8ZD",
    "sb_secret_N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    JWT,
    KEY,
    CIPHERTEXT,
    "100000000000001|aBcDeFgHiJkLmNoPqRsTuVwXyZ0",
    "dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756",
    "sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756",
    "AKIAABCDEFGHIJKLMNOP",
    "+15550100001",
    "15550100001",
    "447700900123",
    "+51 900 000 021",
    "+1 (555) 010-0001",
    WAMID,
]
SECRET_NAMES = [
    "access_token", "accessToken", "Authorization", "X-Hub-Signature-256", "app_secret", "appsecret_proof",
    "webhook_verify_token", "apikey", "api-key", "password", "Cookie", "SUPABASE_SECRET_KEY",
    "encryption_keys", "refresh_token", "jwt", "client_secret",
]  # fmt: skip
TEXT_NAMES = ["text", "body", "caption", "content", "payload", "name", "username", "filename", "message_text"]
CODE_NAMES = ["code", "otp", "pin", "verification_code", "smsCode"]


@pytest.fixture(autouse=True)
def fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_secrets", ())
    monkeypatch.setattr(log, "_lowest", log.LEVELS["debug"])


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of any shape that a field may have, with the leaf somewhere in them."""
    names = st.sampled_from(
        ["a", "items", "error", "value", "reason", "to", "status", "entry[0]", "X-Header"]
    )
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3),
            st.tuples(st.sampled_from(["x", "y"]), inner),
            st.dictionaries(names, inner, min_size=1, max_size=3),
            st.builds(lambda name, value: {name: {"deeper": value}}, names, inner),
        ),
        max_leaves=4,
    )


surroundings = st.text(st.sampled_from(" \n\t,;:()[]{}<>\"'/?!&áñ…zZ_"), max_size=5)


@settings(deadline=None, max_examples=500)
@given(data=st.data(), secret=st.sampled_from(BY_LOOK), before=surroundings, after=surroundings)
def test_what_looks_like_a_secret_survives_in_no_position(
    data: st.DataObject, secret: str, before: str, after: str
) -> None:
    value = data.draw(nested(st.just(f"{before}{secret}{after}")))

    written = json.dumps(log.redact(value), ensure_ascii=False)

    assert secret not in written
    assert secret.lstrip("+") not in written


@settings(deadline=None)
@given(secret=st.sampled_from(BY_LOOK), value=st.integers() | st.none())
def test_nor_does_it_survive_as_the_name_of_a_field(secret: str, value: int | None) -> None:
    written = json.dumps(log.redact({"a": [{secret: value}]}))

    assert secret not in written


@settings(deadline=None)
@given(data=st.data(), secret=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=8))
def test_a_secret_in_use_survives_in_no_position(data: st.DataObject, secret: str) -> None:
    before = log._secrets
    log.configure(level="debug", secrets=[secret])
    value = data.draw(nested(st.just(f"a {secret} b")))

    try:
        shown = log.redact(value)
    finally:
        log._secrets = before

    assert all(secret not in text or secret in log.HIDDEN for text in texts_of(shown))


def texts_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_of(each)


@settings(deadline=None)
@given(
    name=st.sampled_from([*SECRET_NAMES, *TEXT_NAMES]),
    value=nested(st.just("s3cret-of-no-form")) | st.just(b"s3cret-of-no-form"),
)
def test_under_a_secret_or_private_name_nothing_is_shown(name: str, value: object) -> None:
    for shape in ({name: value}, [{name: value}], {"headers": [(name, value)]}, {"a": {name.upper(): value}}):
        assert "s3cret" not in json.dumps(log.redact(shape))


@pytest.mark.parametrize("name", CODE_NAMES)
@pytest.mark.parametrize("value", ["123456", "123-456", 123456, "000042", "1234", "AQDxyz"], ids=repr)
def test_a_verification_code_is_hidden(name: str, value: object) -> None:
    assert log.redact({name: value}) == {name: log.HIDDEN}


@pytest.mark.parametrize("code", ["window_closed", "not_json", 190, 100])
def test_an_error_code_is_shown(code: object) -> None:
    assert log.redact({"code": code, "meta_code": 131047, "error_code": 131056}) == {
        "code": code,
        "meta_code": 131047,
        "error_code": 131056,
    }


@pytest.mark.parametrize(
    "text, hidden",
    [
        ("GET https://graph.example/x?access_token=tok-en-1&fields=id", "tok-en-1"),
        ("https://graph.example/debug_token?input_token=abcdefg", "abcdefg"),
        ("?hub.mode=subscribe&hub.verify_token=my-verify&hub.challenge=5", "my-verify"),
        ("/callback?code=AQBx7&state=st-4te", "AQBx7"),
        ("/callback?code=AQBx7&state=st-4te", "st-4te"),
        ("client_secret=deadbeef9", "deadbeef9"),
        ("Authorization: Bearer abc.def", "abc.def"),
        ("authorization: basic dXNlcjpwdw", "dXNlcjpwdw"),
        ("postgres://postgres:hunter2@127.0.0.1/db", "hunter2"),
        ('{"access_token": "quoted-token"}', "quoted-token"),
        ("{'app_secret': 'quoted-secret'}", "quoted-secret"),
        ("password=pa$$word!", "pa$$word!"),
        ("your code: 123456", "123456"),
        ("pin=123456", "123456"),
    ],
)
def test_a_secret_inside_an_address_or_a_sentence_is_hidden(text: str, hidden: str) -> None:
    shown = log.redact({"reason": text})["reason"]

    assert hidden not in shown
    assert log.HIDDEN in shown


@pytest.mark.parametrize(
    "name, value",
    [
        ("phone_number", "+15550100001"),
        ("wa_id", "15550100001"),
        ("from", "15550100001"),
        ("to", 15550100001),
        ("input", "(555) 010-0001"),
        ("recipient_id", "5550100001"),
        ("anything", 15550100001),
        ("x", 15550100001.0),
        ("chat_id", "15550100001"),
        ("display_phone_number", "555-0100"),
    ],
)
def test_a_phone_number_is_hidden_as_text_and_as_a_number(name: str, value: object) -> None:
    assert log.redact({name: value}) == {name: log.PHONE}


def test_what_a_developer_needs_stays_readable() -> None:
    fields = {
        "phone_number_id": "106540352242922",
        "waba_id": "102290129340398",
        "media_id": 2754859441498128,
        "chat_id": "7d9a3a51-12345678-4000",
        "message_id": "7b0c7c4e-0000-4000-8000-123456789012",
        "request_id": "7b0c7c4e-0000-4000-8000-123456789012",
        "route": "/media/{message_id}",
        "status": "accepted",
        "from": "accepted",
        "duration_ms": 12345678.5,
        "bytes": 123456789,
        "count": 10,
        "ratio": 0.25,
        "is_signed": True,
        "token": None,
        "fbtrace_id": "AdnIgIQ3zP2ZBMGEDi7mGXc",
        "template_name": "order_ready",
    }

    shown = log.redact(fields)

    assert shown == {**fields, "chat_id": shown["chat_id"]}


def test_a_wamid_becomes_a_short_hash_that_can_be_compared() -> None:
    shown = log.redact({"wamid": WAMID, "path": f"/messages/{WAMID}?fields=id"})

    assert re.fullmatch(r"wamid#[0-9a-f]{12}", shown["wamid"])
    assert shown["path"] == f"/messages/{shown['wamid']}?fields=id"
    assert shown["wamid"] == log.hash_wamid(WAMID)
    assert log.redact(shown) == shown


@pytest.mark.parametrize(
    "value, shown",
    [
        (b"EAAG", "[4 bytes]"),
        (memoryview(b"ab"), "[2 bytes]"),
        (object(), "[object]"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (dt.datetime(2026, 11, 24, tzinfo=dt.UTC), "2026-11-24T00:00:00+00:00"),
        (float("nan"), "[number]"),
        (float("-inf"), "[number]"),
        pytest.param(10**5000, "[number]", id="huge"),
        (True, True),
        ({1}, [1]),
        (ValueError("EAAG"), {"type": "builtins.ValueError"}),
    ],
    ids=str,
)
def test_any_value_can_be_written(value: object, shown: object) -> None:
    assert log.redact(value) == shown


def test_what_is_too_deep_too_long_or_too_many_is_cut() -> None:
    deep: Any = "bottom"
    for _ in range(20):
        deep = {"a": deep}

    shown = log.redact(
        {"deep": deep, "long": "x" * 5_000, "many": list(range(100)), "wide": dict.fromkeys(range(100))}
    )

    assert "[deeper]" in json.dumps(shown["deep"])
    assert len(shown["long"]) < 2_100
    assert shown["many"][-1] == "[100 items]"
    assert shown["wide"]["…"] == "[100 fields]"


def test_two_names_that_look_the_same_hidden_are_both_kept() -> None:
    assert len(log.redact({"15550100001": 1, "15550100002": 2})) == 2


def test_an_exception_is_told_by_its_type_and_our_frames_and_never_by_its_text() -> None:
    def fail() -> None:
        try:
            json.loads("EAAGsecret")
        except ValueError as error:
            raise RuntimeError("+15550100001 EAAGsecret") from error

    with pytest.raises(RuntimeError) as caught:
        fail()

    shown = log.describe(caught.value)

    assert shown["type"] == "builtins.RuntimeError"
    assert shown["cause"]["type"] == "json.decoder.JSONDecodeError"
    assert "json.decoder" in shown["cause"]["frames"][-1]
    assert "secret" not in json.dumps(shown)
    assert "5550100001" not in json.dumps(shown)


def test_frames_of_ours_are_all_named() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - only where it comes from counts
        KeyRing.from_setting("nonsense")

    shown = log.describe(caught.value)

    assert [frame.partition(":")[0] for frame in shown["frames"]] == ["shared.crypto", "shared.crypto"]
    assert shown["frames"][-1].endswith(" parse_keys")


def test_a_group_of_exceptions_is_told_one_by_one() -> None:
    shown = log.describe(ExceptionGroup("EAAG", [ValueError("EAAG"), KeyError("EAAG")]))

    assert [each["type"] for each in shown["exceptions"]] == ["builtins.ValueError", "builtins.KeyError"]


def test_an_error_of_ours_adds_what_the_log_may_know() -> None:
    shown = log.describe(Misconfigured(missing=["CRON_SECRET"]))

    assert shown["missing"] == ["CRON_SECRET"]


def test_a_line_is_one_json_object_with_time_level_and_event(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("webhook.delivery_stored", count=3, event="other", level="other")

    (line,) = lines(capsys)
    assert line | {"time": ""} == {
        "time": "",
        "level": "info",
        "event": "webhook.delivery_stored",
        "count": 3,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])


def test_lines_below_the_level_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure(level="warning")

    log.debug("a.b")
    log.info("a.b")
    log.warning("a.c")
    log.error("a.d")

    assert [line["event"] for line in lines(capsys)] == ["a.c", "a.d"]


def test_a_line_break_in_a_value_begins_no_new_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("a.b", reason='x\n{"level":"error"}\u2028y')

    assert len(lines(capsys)) == 1


async def test_fields_of_the_context_are_on_every_line_of_their_own_task(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def work(request_id: str) -> None:
        with log.context(request_id=request_id):
            await asyncio.sleep(0)
            with log.context(step=1):
                log.info("a.b")
            log.info("a.c")

    await asyncio.gather(work("first-request"), work("second-request"))
    log.info("a.d")

    seen = [(line["event"], line.get("request_id"), line.get("step")) for line in lines(capsys)]
    assert sorted(seen, key=str) == [
        ("a.b", "first-request", 1),
        ("a.b", "second-request", 1),
        ("a.c", "first-request", None),
        ("a.c", "second-request", None),
        ("a.d", None, None),
    ]


def test_short_secrets_are_not_hidden_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Else a verify token of one letter would make every line unreadable."""
    log.configure(level="info", secrets=["a", ""])

    log.info("a.b", reason="a plain sentence")

    assert lines(capsys)[0]["reason"] == "a plain sentence"


def test_secrets_stay_hidden_when_others_are_added() -> None:
    log.configure(level="info", secrets=["first-secret"])
    log.configure(level="info", secrets=["second-secret"])

    assert log.redact("first-secret second-secret") == f"{log.HIDDEN} {log.HIDDEN}"
