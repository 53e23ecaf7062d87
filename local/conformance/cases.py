"""What a receiver of WhatsApp webhooks must do, case by case; each docstring says why.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/create-webhook-endpoint
"""

# ruff: noqa: D401, D403 - a case's docstring says why it matters, not what the function does

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

import httpx

from local.conformance.payloads import BSUID, CUSTOMER, FIELDS, MESSAGES, deep, spaced, with_raw_text
from local.conformance.suite import OK, SERVER, Failed, Skipped, Suite, case
from local.graph import wire

MOST_UPDATES = 1000
THREE_MB = 3 * 1000 * 1000
_MEDIAN_SECONDS, _SLOW_SECONDS = 0.25, 1.0


# Handshake


async def _shake(suite: Suite, **changes: str | None) -> httpx.Response:
    if suite.verify_token is None:
        raise Skipped("Give --verify-token.")
    asked: dict[str, str | None] = {
        "hub.mode": "subscribe",
        "hub.challenge": "1158201444",
        "hub.verify_token": suite.verify_token,
    }
    asked.update({name.replace("_", ".", 1): value for name, value in changes.items()})
    return await suite.client.get(
        suite.url, params={name: value for name, value in asked.items() if value is not None}
    )


@case("handshake", "the challenge comes back as it was sent")
async def handshake(suite: Suite) -> str | None:
    """Meta compares the whole body with its challenge."""
    answer = await _shake(suite)
    if answer.status_code != OK or answer.text.strip() != "1158201444":
        raise Failed(f"It answered {answer.status_code} with {answer.text[:60]!r}.")
    return None


@case("handshake", "a wrong verify token is refused")
async def wrong_token(suite: Suite) -> str | None:
    """Whoever knows the URL could otherwise subscribe it to an app of their own."""
    answer = await _shake(suite, hub_verify_token="wrong")  # noqa: S106 - it is the wrong one
    if answer.status_code < 400 or "1158201444" in answer.text:  # noqa: PLR2004
        raise Failed(f"It answered {answer.status_code}.")
    suite.tells_nothing(answer)
    return None


@case("handshake", "a missing verify token is refused")
async def missing_token(suite: Suite) -> str | None:
    """An empty token must not match a setting that is empty."""
    answer = await _shake(suite, hub_verify_token=None)
    if answer.status_code < 400:  # noqa: PLR2004
        raise Failed(f"It answered {answer.status_code}.")
    return None


@case("handshake", "a challenge is not given back as a page")
async def challenge_as_page(suite: Suite) -> str | None:
    """A challenge that is markup would run in the browser of whoever follows a link."""
    answer = await _shake(suite, hub_challenge="<script>alert(1)</script>")
    if "text/html" in answer.headers.get("content-type", "") and "<script>" in answer.text:
        raise Failed("It answers markup as text/html.")
    return None


@case("handshake", "a GET without parameters is no server error")
async def bare_get(suite: Suite) -> str | None:
    """People and crawlers open the URL."""
    answer = await suite.client.get(suite.url)
    if answer.status_code >= SERVER:
        raise Failed(f"It answered {answer.status_code}.")
    return None


# Signatures


@case("signatures", "a signed delivery is acknowledged")
async def signed(suite: Suite) -> str | None:
    """The least of all."""
    message_id, body = suite.maker.text()
    await suite.accepted(body)
    await suite.stored_once(message_id)
    return None


def _forgery(name: str, why: str, forge: Any) -> None:
    async def run(suite: Suite) -> str | None:
        message_id, body = suite.maker.text("forged")
        await suite.refused(body, forge(suite, body))
        await suite.stored_never(message_id)
        return None

    run.__doc__ = why
    case("signatures", name)(run)


_forgery("no signature is refused", "Anybody can post to the URL.", lambda _suite, _body: None)
_forgery(
    "the signature of another secret is refused",
    "Another app's events are not this one's.",
    lambda suite, body: wire.signature(suite.secret + "x", body),
)
_forgery(
    "a signature over other bytes is refused",
    "A signature that was seen once must not sign anything else.",
    lambda suite, body: wire.signature(suite.secret, body + b" "),
)
_forgery(
    "a shortened signature is refused",
    "A comparison of the shorter length would take an empty one.",
    lambda suite, body: wire.signature(suite.secret, body)[:-1],
)
_forgery(
    "a signature without its prefix is refused",
    "Only sha256= says what it is.",
    lambda suite, body: wire.signature(suite.secret, body).removeprefix("sha256="),
)
_forgery(
    "an empty signature is refused", "It must not be taken as none needed.", lambda _suite, _body: b"sha256="
)
_forgery(
    "a signature that is not ASCII is refused",
    "Comparisons of text raise on it, which becomes a server error.",
    lambda _suite, _body: ("sha256=" + "é" * 64).encode(),
)
_forgery(
    "the old SHA-1 signature alone is refused",
    "Meta still sends it beside the new one; it proves too little.",
    lambda suite, body: wire.legacy_signature(suite.secret, body),
)


@case("signatures", "the bytes are verified, not their meaning")
async def over_bytes(suite: Suite) -> str | None:
    """Whoever parses and serializes again before verifying refuses what Meta signed."""
    message_id, body = suite.maker.text("ñandú / 50% @ <b>")
    await suite.accepted(body)
    other_id, other = suite.maker.text("ñandú")
    await suite.accepted(spaced(other))
    await suite.stored_once(message_id, other_id)
    return None


@case("signatures", "ten forged megabytes are refused quickly")
async def large_forgery(suite: Suite) -> str | None:
    """A stranger must not be able to fill the memory."""
    started = time.monotonic()
    answer = await suite.post(b'{"a":"' + b"x" * 10_000_000 + b'"}', "sha256=" + "0" * 64)
    if not 400 <= answer.status_code < SERVER:  # noqa: PLR2004
        raise Failed(f"It answered {answer.status_code}.")
    return f"{time.monotonic() - started:.2f} s"


# Contents


def _kind(kind: str) -> None:
    async def run(suite: Suite) -> str | None:
        message = suite.maker.message(kind)
        await suite.accepted(suite.maker.delivery(suite.maker.value(messages=[message])))
        await suite.stored_once(message["id"])
        return None

    run.__doc__ = "Every type that customers send has to be kept, those of tomorrow too."
    case("messages", f"type {kind}")(run)


for _name in MESSAGES:
    _kind(_name)


@case("messages", "a customer without a phone number (BSUID only)")
async def without_phone(suite: Suite) -> str | None:
    """Since 2026 `from` and `wa_id` are missing for people with a username."""
    message = suite.maker.message()
    del message["from"]
    contact = {"profile": {"name": "Ana", "username": "@ana"}, "user_id": BSUID}
    await suite.accepted(suite.maker.delivery(suite.maker.value(messages=[message], contacts=[contact])))
    await suite.stored_once(message["id"])
    return None


@case("messages", "without contacts, or without a profile")
async def without_contacts(suite: Suite) -> str | None:
    """System messages have no contacts, and a profile may be missing."""
    first, second = suite.maker.message(), suite.maker.message()
    await suite.accepted(suite.maker.delivery(suite.maker.value(messages=[first], contacts=None)))
    await suite.accepted(
        suite.maker.delivery(suite.maker.value(messages=[second], contacts=[{"wa_id": CUSTOMER}]))
    )
    await suite.stored_once(first["id"], second["id"])
    return None


@case("messages", "unknown members everywhere")
async def unknown_members(suite: Suite) -> str | None:
    """Meta adds members without a new version."""
    message = suite.maker.message(new_member={"a": [1]})
    value = suite.maker.value(messages=[message], new_list=[{"x": 1}])
    await suite.accepted(suite.maker.delivery({**value, "metadata": {**suite.maker.metadata(), "new": True}}))
    await suite.stored_once(message["id"])
    return None


@case("statuses", "sent, delivered, read, played, failed, and one of tomorrow")
async def every_status(suite: Suite) -> str | None:
    """Statuses are half of what arrives."""
    for name in ("sent", "delivered", "read", "played", "failed", "deleted", "teleported"):
        await suite.accepted(suite.maker.delivery(suite.maker.value(statuses=[suite.maker.status(name)])))
    return None


@case("statuses", "read before delivered before sent")
async def disorder(suite: Suite) -> str | None:
    """Meta promises no order."""
    message_id = suite.maker.status("read")["id"]
    for name in ("read", "delivered", "sent"):
        status = suite.maker.status(name, message_id)
        await suite.accepted(suite.maker.delivery(suite.maker.value(statuses=[status])))
    return None


@case("statuses", "without a recipient's phone number")
async def status_to_bsuid(suite: Suite) -> str | None:
    """A message to a BSUID has statuses without `recipient_id`."""
    status = suite.maker.status("delivered")
    del status["recipient_id"]
    await suite.accepted(suite.maker.delivery(suite.maker.value(statuses=[status])))
    return None


def _field(name: str) -> None:
    async def run(suite: Suite) -> str | None:
        value = json.loads(json.dumps(FIELDS[name]))
        if "metadata" in value:
            value["metadata"] = suite.maker.metadata()
        await suite.accepted(suite.maker.delivery(value, name=name))
        return None

    run.__doc__ = "A field that is not acknowledged comes again for seven days."
    case("fields", name)(run)


for _name in FIELDS:
    _field(_name)


@case("fields", "history, contacts and echoes of the business app")
async def coexistence(suite: Suite) -> str | None:
    """Numbers that live on the phone as well send these."""
    head = {"messaging_product": "whatsapp", "metadata": suite.maker.metadata()}
    message = suite.maker.message(history_context={"status": "READ"})
    thread = {"id": CUSTOMER, "messages": [message]}
    progress = {"phase": 0, "chunk_order": 1, "progress": 100}
    await suite.accepted(
        suite.maker.delivery(
            {**head, "history": [{"metadata": progress, "threads": [thread]}]}, name="history"
        )
    )
    echo = suite.maker.message(to=CUSTOMER, **{"from": suite.maker.display_phone_number})
    await suite.accepted(suite.maker.delivery({**head, "message_echoes": [echo]}, name="smb_message_echoes"))
    contact = {"full_name": "Ana", "first_name": "Ana", "phone_number": CUSTOMER}
    row = {"type": "contact", "contact": contact, "action": "add", "metadata": {"timestamp": "1739321024"}}
    await suite.accepted(suite.maker.delivery({**head, "state_sync": [row]}, name="smb_app_state_sync"))
    return None


# Oddities


def _oddity(name: str, why: str, body: bytes) -> None:
    async def run(suite: Suite) -> str | None:
        answer = await suite.survived(body)
        return str(answer.status_code)

    run.__doc__ = why
    case("oddities", name)(run)


_HEAD = b'{"object":"whatsapp_business_account","entry":'
_oddity("signed, but empty", "It must not be a server error.", b"")
_oddity("signed, but no JSON", "It must not be a server error.", b"not json")
_oddity("signed, but not UTF-8", "It must not be a server error.", b'{"a":"\xff\xfe"}')
_oddity("JSON, but no object", "It must not be a server error.", b'[1,"two",null]')
_oddity("null", "It must not be a server error.", b"null")
_oddity("no entries", "Meta's test button sends little.", _HEAD + b"[]}")
_oddity("entry is no list", "It must not be a server error.", _HEAD + b'{"id":1}}')
_oddity("changes is null", "It must not be a server error.", _HEAD + b'[{"id":"1","changes":null}]}')
_oddity(
    "value is null",
    "It must not be a server error.",
    _HEAD + b'[{"id":"1","changes":[{"field":"messages","value":null}]}]}',
)
_oddity(
    "NaN and Infinity",
    "Parsers that take them hand them on.",
    _HEAD + b'[{"id":NaN,"changes":[{"field":"messages","value":{"a":Infinity}}]}]}',
)
_oddity(
    "a number of ten thousand digits",
    "Some parsers raise on it.",
    _HEAD + b'[{"id":' + b"9" * 10_000 + b"}]}",
)
_oddity("ten thousand levels deep", "A recursive parser dies of it.", deep(10_000))


@case("oddities", "NUL and half a surrogate in a text")
async def poisonous_text(suite: Suite) -> str | None:
    """Databases refuse U+0000 and lone surrogates; the neighbours must not suffer."""
    first, body = with_raw_text(suite.maker, '"a\\u0000b"')
    second, other = with_raw_text(suite.maker, '"a\\ud800b"')
    await suite.accepted(body)
    await suite.accepted(other)
    await suite.stored_once(first, second)
    return None


@case("oddities", "bad items among good ones")
async def poison_among_good(suite: Suite) -> str | None:
    """One item that cannot be read must not take its neighbours with it."""
    good = [suite.maker.message() for _ in range(4)]
    bad: list[Any] = [None, 7, "text", [], {}, {"id": 5, "type": 9}, {"type": "text", "text": None}]
    rows = [good[0], *bad[:3], good[1], *bad[3:], good[2]]
    value = suite.maker.value(messages=rows, statuses=[None, {}, suite.maker.status("sent")])
    await suite.accepted(
        suite.maker.delivery(value, {"messages": "no list"}, suite.maker.value(messages=[good[3]]))
    )
    await suite.stored_once(*(message["id"] for message in good))
    return None


# Amounts


@case("amounts", "a thousand messages in one delivery")
async def thousand(suite: Suite) -> str | None:
    """Meta joins up to a thousand updates."""
    messages = [suite.maker.message(text={"body": f"mensaje {n}"}) for n in range(MOST_UPDATES)]
    started = time.monotonic()
    await suite.accepted(suite.maker.delivery(suite.maker.value(messages=messages)))
    took = time.monotonic() - started
    await suite.stored_once(*(message["id"] for message in messages))
    return f"{took:.2f} s"


@case("amounts", "three megabytes in one delivery")
async def three_megabytes(suite: Suite) -> str | None:
    """Deliveries may have three megabytes."""
    texts = [suite.maker.message(text={"body": "x" * 4000}) for _ in range(700)]
    body = suite.maker.delivery(suite.maker.value(messages=texts))
    if len(body) > THREE_MB:
        raise AssertionError(f"The suite made {len(body)} bytes.")
    await suite.accepted(body)
    await suite.stored_once(*(message["id"] for message in texts))
    return f"{len(body) / 1e6:.1f} MB"


@case("amounts", "several entries, changes and values")
async def several(suite: Suite) -> str | None:
    """n entries with n changes with n items; readers of `[0][0][0]` lose most of it."""
    messages = [suite.maker.message() for _ in range(8)]
    values = [suite.maker.value(messages=messages[n : n + 2]) for n in range(0, 8, 2)]
    entries = [
        {"id": suite.maker.waba_id, "changes": [{"field": "messages", "value": value} for value in pair]}
        for pair in (values[:2], values[2:])
    ]
    await suite.accepted(wire.to_webhook({"object": "whatsapp_business_account", "entry": entries}))
    await suite.stored_once(*(message["id"] for message in messages))
    return None


# Repetition


@case("repetition", "the same delivery three times")
async def repeated(suite: Suite) -> str | None:
    """Meta repeats whatever it is not sure of."""
    message_id, body = suite.maker.text()
    for _ in range(3):
        await suite.accepted(body)
    await suite.stored_once(message_id)
    return None


@case("repetition", "the same delivery twenty times at once")
async def repeated_at_once(suite: Suite) -> str | None:
    """Retries overlap; looking before inserting is not enough."""
    message_id, body = suite.maker.text()
    statuses = await asyncio.gather(*(_outcome(suite, body) for _ in range(20)))
    if OK not in statuses:
        raise Failed("Not one of twenty was acknowledged.")
    if any(status != OK for status in statuses):
        await _until_accepted(suite, body)
    await suite.stored_once(message_id)
    return None


@case("repetition", "the same message twice in one delivery")
async def repeated_inside(suite: Suite) -> str | None:
    """A unique key that is hit inside one statement must not fail the whole."""
    message, other = suite.maker.message(), suite.maker.message()
    await suite.accepted(suite.maker.delivery(suite.maker.value(messages=[message, other, message])))
    await suite.stored_once(message["id"], other["id"])
    return None


@case("repetition", "the same message in another delivery")
async def overlapping(suite: Suite) -> str | None:
    """A retry may be batched otherwise than the first attempt."""
    messages = [suite.maker.message() for _ in range(3)]
    await suite.accepted(suite.maker.delivery(suite.maker.value(messages=messages[:2])))
    await suite.accepted(suite.maker.delivery(suite.maker.value(messages=messages[1:])))
    await suite.stored_once(*(message["id"] for message in messages))
    return None


# Trouble


@case("trouble", "nothing is acknowledged while the store is down")
async def store_down(suite: Suite) -> str | None:
    """What got 200 never comes again: an acknowledgement before it is stored loses the message."""
    if suite.break_store is None or suite.mend_store is None or suite.ask is None:
        raise Skipped("Give --break-command, --mend-command and a way to ask what is stored.")
    deliveries = dict(suite.maker.text() for _ in range(5))
    await suite.break_store()
    try:
        answers = {message_id: await _outcome(suite, body) for message_id, body in deliveries.items()}
    finally:
        await suite.mend_store()
    for message_id, status in answers.items():
        if status != OK:
            await _until_accepted(suite, deliveries[message_id])
    await suite.stored_once(*deliveries)
    early = sum(1 for status in answers.values() if status == OK)
    return f"{early} of 5 were acknowledged meanwhile, and are stored"


@case("trouble", "nothing is lost and nothing doubled when the receiver dies")
async def crash(suite: Suite) -> str | None:
    """A process can die between any two lines."""
    if suite.crash is None or suite.ask is None:
        raise Skipped("Give --crash-command and a way to ask what is stored.")
    deliveries = dict(suite.maker.text() for _ in range(60))

    async def deliver_all() -> dict[str, int]:
        limit = asyncio.Semaphore(8)

        async def one(message_id: str, body: bytes) -> tuple[str, int]:
            async with limit:
                return message_id, await _outcome(suite, body)

        return dict(await asyncio.gather(*(one(*item) for item in deliveries.items())))

    running = asyncio.create_task(deliver_all())
    await asyncio.sleep(0.05)
    await suite.crash()
    answers = await running
    again = [message_id for message_id, status in answers.items() if status != OK]
    for message_id in again:
        await _until_accepted(suite, deliveries[message_id])
    await suite.stored_once(*deliveries)
    return f"{len(again)} of 60 had to be delivered again"


async def _outcome(suite: Suite, body: bytes) -> int:
    try:
        return (await suite.post(body)).status_code
    except httpx.HTTPError:
        return 0


async def _until_accepted(suite: Suite, body: bytes) -> None:
    for _ in range(100):
        if await _outcome(suite, body) == OK:
            return
        await asyncio.sleep(0.1)
    raise Failed("It does not accept deliveries again.")


# Speed


@case("speed", "a hundred deliveries, ten at a time")
async def speed(suite: Suite) -> str | None:
    """Meta wants a median of 250 ms and less than one in a hundred over a second."""
    limit = asyncio.Semaphore(10)
    times: list[float] = []

    async def one(body: bytes) -> None:
        async with limit:
            started = time.monotonic()
            await suite.accepted(body)
            times.append(time.monotonic() - started)

    await asyncio.gather(*(one(suite.maker.text()[1]) for _ in range(100)))
    median, slow = statistics.median(times), sum(1 for took in times if took > _SLOW_SECONDS)
    detail = f"median {median * 1000:.0f} ms, {slow} over a second"
    if median > _MEDIAN_SECONDS or slow > 1:
        raise Failed(detail)
    return detail


@case("speed", "a POST is not redirected")
async def no_redirect(suite: Suite) -> str | None:
    """Meta follows no redirect: a missing slash would lose everything."""
    answer = await suite.accepted(suite.maker.text()[1])
    if answer.is_redirect:
        raise Failed(f"It redirects to {answer.headers.get('location')}.")
    return None
