"""A delivery of Meta becomes items that stand alone, and loses nothing on the way."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import webhook_messages, webhooks
from shared.webhooks import KNOWN_FIELDS, Delivery, parse_delivery
from tests import expectations, wire

SAMPLES = {path.name: path for path in sorted(expectations.SAMPLES.glob("*.json"))}
CORPUS = {path.name: path for path in sorted(expectations.CORPUS.glob("*.json"))}


def parse(*values: object, **keywords: Any) -> Delivery:
    return parse_delivery(wire.to_wire(wire.delivery(*values, **keywords)))


def only_item(*values: object, **keywords: Any) -> dict[str, Any]:
    delivery = parse(*values, **keywords)
    assert delivery.problems == []
    [item] = delivery.items
    return item


def message_item(message: wire.Json, **parts: Any) -> dict[str, Any]:
    return only_item(wire.value(messages=[message], **parts))


def summaries(delivery: Delivery) -> dict[str, list[str]]:
    problems = [f"{problem['reason']} {problem['path']}" for problem in delivery.problems]
    return {"items": [expectations.summary(item) for item in delivery.items], "problems": problems}


# What each payload must become


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_becomes_what_its_name_says(name: str) -> None:
    """File by file, on Meta's own wire form."""
    body = wire.to_wire(json.loads(SAMPLES[name].read_text()))
    assert summaries(parse_delivery(body)) == expectations.load("samples")[name]


def test_every_sample_has_its_expectation() -> None:
    """And no expectation speaks of a file that is gone."""
    assert expectations.load("samples").keys() == SAMPLES.keys()


@pytest.mark.skipif(not CORPUS, reason="the corpus of published payloads is not part of the project")
def test_each_corpus_file_becomes_what_its_meaning_demands() -> None:
    """As published, and again in Meta's own wire form."""
    expected = expectations.load("corpus")
    for name, path in CORPUS.items():
        as_published = path.read_bytes()
        assert summaries(parse_delivery(as_published)) == expected[name], name
        assert summaries(parse_delivery(wire.to_wire(json.loads(as_published)))) == expected[name], name


def test_a_message_item_has_this_form() -> None:
    """The whole item, so that whoever reads it knows what to expect."""
    message = wire.text_message("Hola", context={"from": wire.OWN_PHONE, "id": "wamid.BEFORE"})
    assert message_item(message, contacts=[wire.contact(bsuid="MX.1", username="@ana")]) == {
        "kind": "message",
        "path": "entry[0].changes[0].value.messages[0]",
        "waba_id": wire.WABA_ID,
        "phone_number_id": wire.PHONE_NUMBER_ID,
        "occurred_at": "2026-09-21T14:13:20+00:00",
        "wamid": wire.wamid(1),
        "direction": "inbound",
        "origin": "live",
        "is_standby": False,
        "type": "text",
        "text": "Hola",
        "content": {
            "text": {"body": "Hola"},
            "context": {"from": wire.OWN_PHONE, "id": "wamid.BEFORE"},
        },
        "reply_to_wamid": "wamid.BEFORE",
        "target_wamid": None,
        "is_forwarded": False,
        "group_id": None,
        "status": None,
        "contact": {
            "aliases": [f"phone:{wire.CUSTOMER}", "bsuid:MX.1"],
            "wa_id": wire.CUSTOMER,
            "phone_number": f"+{wire.CUSTOMER}",
            "bsuid": "MX.1",
            "parent_bsuid": None,
            "username": "ana",
            "name": "Ana Ejemplo",
        },
        "media": None,
    }


def test_a_status_item_has_this_form() -> None:
    """The error in our words, and Meta's own beside it."""
    raw_error = {"code": "131049", "title": "T", "error_data": {"details": "D"}, "href": "/h"}
    raw = wire.status("failed", callback_data="row-1", errors=[raw_error], new_field=1)
    assert only_item(wire.value(statuses=[raw])) == {
        "kind": "status",
        "path": "entry[0].changes[0].value.statuses[0]",
        "waba_id": wire.WABA_ID,
        "phone_number_id": wire.PHONE_NUMBER_ID,
        "occurred_at": "2026-09-21T14:13:20+00:00",
        "wamid": wire.wamid(1),
        "status": "failed",
        "recipient": {
            "aliases": [f"phone:{wire.CUSTOMER}"],
            "wa_id": wire.CUSTOMER,
            "phone_number": f"+{wire.CUSTOMER}",
            "bsuid": None,
            "parent_bsuid": None,
            "username": None,
            "name": None,
        },
        "error": {"code": 131049, "title": "T", "message": None, "details": "D", "href": "/h"},
        "errors": [raw_error],
        "pricing": None,
        "conversation": None,
        "callback_data": "row-1",
        "group_id": None,
        "extra": {"new_field": 1},
    }


@pytest.mark.parametrize(
    "raw, code",
    [
        ({"code": 131047}, 131047),
        ({"code": "131047"}, 131047),
        ({"code": 131047.0}, 131047),
        ({"code": "<ERROR_CODE>"}, None),
        ({"code": 2**40}, None),
        ({"code": True}, None),
        ({}, None),
        ("It failed", None),
        (7, None),
    ],
)
def test_an_error_is_read_in_any_form(raw: object, code: int | None) -> None:
    """A code that fits the column, or none; the error as Meta wrote it stays beside it."""
    item = only_item(wire.value(statuses=[{**wire.status("failed"), "errors": [raw]}]))
    assert (item["error"]["code"], item["errors"]) == (code, [raw])
    assert item["error"]["message"] == ("It failed" if raw == "It failed" else None)


def test_errors_that_are_one_object_are_a_list_of_one() -> None:
    """An object where a list was due is read, not refused."""
    item = only_item(wire.value(statuses=[{**wire.status("failed"), "errors": {"code": 1, "title": "T"}}]))
    assert (item["error"]["title"], item["errors"]) == ("T", [{"code": 1, "title": "T"}])


@pytest.mark.parametrize("parent", ["recipient_parent_user_id", "parent_recipient_user_id", "parent_user_id"])
def test_the_parent_bsuid_has_three_names(parent: str) -> None:
    """Meta's texts of February, March and June 2026 differ."""
    raw = {**wire.status(recipient=None, recipient_user_id="MX.1"), parent: "MX.ENT.2"}
    assert only_item(wire.value(statuses=[raw]))["recipient"]["parent_bsuid"] == "MX.ENT.2"


# What a list shows of a message


@pytest.mark.parametrize(
    "type_, content, text",
    [
        ("text", {"body": "Hola"}, "Hola"),
        ("text", {"body": "  "}, None),
        ("text", {"body": 7}, None),
        ("text", ["Hola"], None),
        ("text", {"body": "x" * 5000}, "x" * 4096),
        ("image", {"id": "1", "caption": "La fachada"}, "La fachada"),
        ("video", {"id": "1"}, None),
        ("audio", {"id": "1", "caption": "nobody shows it"}, None),
        ("document", {"id": "1", "filename": "a.pdf"}, "a.pdf"),
        ("document", {"id": "1", "filename": "a.pdf", "caption": "La factura"}, "La factura"),
        ("location", {"latitude": -12, "longitude": 77.5}, "-12, 77.5"),
        ("location", {"latitude": -12, "longitude": 77.5, "name": "Plaza"}, "Plaza"),
        ("location", {"latitude": -12, "name": "Plaza", "address": "Lima"}, "Plaza, Lima"),
        ("location", {}, None),
        ("contacts", [{"name": {"formatted_name": "Eva"}}, {"name": {"first_name": "Iván"}}], "Eva, Iván"),
        ("contacts", [{"phones": [{"phone": "+1 555 010 0003"}]}], "+1 555 010 0003"),
        ("contacts", [{}, 7, None], None),
        ("interactive", {"type": "button_reply", "button_reply": {"id": "1", "title": "Sí"}}, "Sí"),
        ("interactive", {"type": "list_reply", "list_reply": {"title": "A", "description": "B"}}, "A"),
        ("interactive", {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Enviado"}}, "Enviado"),
        (
            "interactive",
            {"type": "call_permission_reply", "call_permission_reply": {"response": "accept"}},
            "accept",
        ),
        ("interactive", {"type": "button", "body": {"text": "¿Cuál?"}, "action": {}}, "¿Cuál?"),
        ("interactive", {"type": ["list"]}, None),
        ("button", {"payload": "STOP", "text": "Cancelar"}, "Cancelar"),
        ("button", {"payload": "STOP"}, "STOP"),
        ("reaction", {"message_id": "wamid.1", "emoji": "👍"}, "👍"),
        ("reaction", {"message_id": "wamid.1", "emoji": ""}, None),
        ("reaction", {"message_id": "wamid.1"}, None),
        ("order", {"text": "Por favor"}, "Por favor"),
        ("system", {"type": "customer_identity_changed", "body": "Changed"}, "Changed"),
        ("edit", {"message": {"type": "text", "text": {"body": "Corregido"}}}, "Corregido"),
        ("edit", {"message": {"type": "image", "image": {"caption": "Otra"}}}, "Otra"),
        ("edit", {"message": {"type": "edit", "edit": {"message": {"type": "text"}}}}, None),
        ("edit", {}, None),
        ("revoke", {"original_message_id": "wamid.1"}, None),
        ("unsupported", {"type": "poll"}, None),
        ("hologram", {"caption": "Del futuro"}, "Del futuro"),
        ("hologram", "Del futuro", "Del futuro"),
        ("hologram", {"a": 1}, None),
    ],
)
def test_each_type_shows_what_a_person_would_read(type_: str, content: object, text: str | None) -> None:
    """The type itself and the whole content are kept whatever they are."""
    item = message_item(wire.message(type_, content))
    assert (item["type"], item["text"], item["content"]) == (type_, text, {type_: content})


@pytest.mark.parametrize("type_", ["image", "video", "audio", "document", "sticker", "voice"])
def test_each_kind_of_media_can_be_fetched(type_: str) -> None:
    """Everything that the download needs is in one place."""
    content = {"id": 5, "mime_type": "x/y", "sha256": "q=", "url": "https://example.com/m", "filename": "f"}
    assert message_item(wire.message(type_, content))["media"] == {
        "media_id": "5",
        "mime_type": "x/y",
        "sha256": "q=",
        "filename": "f",
        "is_voice": type_ == "voice",
        "is_animated": False,
        "url": "https://example.com/m",
    }


@pytest.mark.parametrize("content", [{}, {"id": ""}, "lost", None, [{"id": "5"}], {"id": {"a": 1}}])
def test_media_without_an_id_is_a_message_without_media(content: object) -> None:
    """The message arrived; only its file did not."""
    assert message_item(wire.message("image", content))["media"] is None


@pytest.mark.parametrize(
    "type_, content",
    [
        ("reaction", {"message_id": "wamid.OLD", "emoji": "👍"}),
        ("edit", {"original_message_id": "wamid.OLD", "message": {}}),
        ("revoke", {"original_message_id": "wamid.OLD"}),
    ],
)
def test_a_message_about_a_message_names_it(type_: str, content: object) -> None:
    """So that the store finds what was reacted to, edited or revoked."""
    assert message_item(wire.message(type_, content))["target_wamid"] == "wamid.OLD"


def test_fields_that_nobody_knows_yet_stay_in_the_content() -> None:
    """What Meta adds tomorrow is there when we learn to read it."""
    item = message_item(wire.text_message("Hola", from_logical_id="1", future={"a": [1]}, to={"odd": True}))
    assert item["content"] == {
        "text": {"body": "Hola"},
        "from_logical_id": "1",
        "future": {"a": [1]},
        "to": {"odd": True},
    }


@pytest.mark.parametrize("type_", [None, "", 7, {"a": 1}, ["text"], True])
def test_a_message_without_a_usable_type_is_still_a_message(type_: object) -> None:
    """Its type is read from what it holds, or from the number that should have been a word."""
    item = message_item({**wire.text_message("Hola"), "type": type_})
    assert item["type"] == ("7" if type_ == 7 else "text")


# When


@pytest.mark.parametrize(
    "timestamp, occurred_at",
    [
        ("1790000000", "2026-09-21T14:13:20+00:00"),
        (1790000000, "2026-09-21T14:13:20+00:00"),
        (1790000000.0, "2026-09-21T14:13:20+00:00"),
        ("1790000000123", "2026-09-21T14:13:20.123000+00:00"),
        ("1790000000123456", "2026-09-21T14:13:20.123456+00:00"),
        ("1790000000123456789", "2026-09-21T14:13:20.123457+00:00"),
        ("9999999999", None),
        ("-1790000000", None),
        ("0", None),
        (0, None),
        ("", None),
        ("ayer", None),
        ("NaN", None),
        ("Infinity", None),
        ("9" * 5000, None),
        (True, None),
        (None, None),
        (["1790000000"], None),
        ({"seconds": 1790000000}, None),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_time_is_read_in_any_unit_or_left_unknown(timestamp: object, occurred_at: str | None) -> None:
    """An unknown time is no reason to lose the message: the store takes the time of receipt."""
    assert message_item({**wire.text_message(), "timestamp": timestamp})["occurred_at"] == occurred_at


@pytest.mark.parametrize("ahead, is_known", [(0, True), (3600, True), (90_000, False), (10**8, False)])
def test_a_time_far_ahead_of_the_receipt_is_unknown(ahead: int, is_known: bool) -> None:
    """A chat must not be pinned on top by a wrong clock."""
    body = wire.to_wire(
        wire.delivery(wire.value(messages=[wire.text_message(timestamp=wire.TIMESTAMP + ahead)]))
    )
    [item] = parse_delivery(body, received_at=wire.TIMESTAMP).items
    assert (item["occurred_at"] is not None) == is_known


# Who


def test_a_person_without_a_phone_number_is_known_by_bsuid() -> None:
    """Meta leaves out `from` and `wa_id` of people with a username."""
    item = message_item(
        wire.text_message(sender=None, bsuid="MX.1"),
        contacts=[wire.contact(None, bsuid="MX.1", username="@ana")],
    )
    assert item["contact"]["aliases"] == ["bsuid:MX.1"]
    assert item["contact"]["phone_number"] is None
    assert item["contact"]["username"] == "ana"


def test_each_message_of_a_batch_gets_its_own_sender_s_name() -> None:
    """Whatever the order of `contacts`."""
    messages = [wire.text_message(number=n, sender=f"1555010000{n}") for n in range(1, 4)]
    contacts = [wire.contact(f"1555010000{n}", name=f"Persona {n}") for n in (3, 1, 2)]
    items = parse(wire.value(messages=messages, contacts=contacts)).items
    names: list[Any] = [item["contact"] for item in items]
    assert [contact["name"] for contact in names] == ["Persona 1", "Persona 2", "Persona 3"]


@pytest.mark.parametrize(
    "system, before, after, aliases",
    [
        (
            {"type": "user_changed_number", "wa_id": "15550100009"},
            ["phone:15550100001"],
            ["phone:15550100009"],
            ["phone:15550100001", "phone:15550100009"],
        ),
        (
            {
                "type": "user_changed_number",
                "wa_id": "15550100009",
                "user_id": "MX.2",
                "previous_user_id": "MX.1",
            },
            ["phone:15550100001", "bsuid:MX.1"],
            ["phone:15550100009", "bsuid:MX.2"],
            ["phone:15550100001", "bsuid:MX.1", "phone:15550100009", "bsuid:MX.2"],
        ),
        (
            {"type": "user_changed_user_id", "user_id": "MX.2", "previous_user_id": "MX.1"},
            ["phone:15550100001", "bsuid:MX.1"],
            ["bsuid:MX.2"],
            ["phone:15550100001", "bsuid:MX.1", "bsuid:MX.2"],
        ),
    ],
)
def test_a_change_of_identity_says_who_is_one_person(
    system: wire.Json, before: list[str], after: list[str], aliases: list[str]
) -> None:
    """The message belongs to the person as we knew them; the identity item says how they are reached now."""
    message, identity = parse(wire.value(messages=[wire.message("system", system)])).items
    contacts: list[Any] = [message["contact"], identity["contact"]]
    assert [contact["aliases"] for contact in contacts] == [before, after]
    assert identity["aliases"] == aliases


@pytest.mark.parametrize(
    "system",
    [
        {"type": "user_changed_number"},
        {"type": "user_changed_number", "wa_id": wire.CUSTOMER},
        {"type": "customer_identity_changed", "wa_id": "15550100009"},
        {"wa_id": "15550100009"},
        "user_changed_number",
    ],
)
def test_a_system_message_that_joins_nobody_is_only_a_message(system: object) -> None:
    """Two people must never be joined by accident."""
    assert message_item(wire.message("system", system))["type"] == "system"


def test_only_a_system_message_joins_people() -> None:
    """A customer cannot write one: the type is Meta's word."""
    system = {"type": "user_changed_number", "wa_id": "15550100009"}
    assert message_item(wire.text_message(system=system))["kind"] == "message"


# Whose number, whose words


@pytest.mark.parametrize("field", ["smb_message_echoes", "message_echoes"])
def test_an_echo_is_ours_and_belongs_to_the_customer_s_chat(field: str) -> None:
    """The contact is `to`, not `from`."""
    item = only_item(wire.value(message_echoes=[wire.echo()]), field=field)
    assert (item["direction"], item["origin"]) == ("outbound", "echo")
    assert item["contact"]["aliases"] == [f"phone:{wire.CUSTOMER}"]


@pytest.mark.parametrize(
    "own_phone, message, direction",
    [
        (wire.OWN_PHONE, {"from": wire.OWN_PHONE}, "outbound"),
        (wire.OWN_PHONE, {"from": f"+{wire.OWN_PHONE}"}, "outbound"),
        (wire.OWN_PHONE, {"from": wire.CUSTOMER}, "inbound"),
        (wire.OWN_PHONE, {"from": "15550100002"}, "inbound"),
        ("", {"from": wire.CUSTOMER}, "inbound"),
        ("", {"from": wire.OWN_PHONE}, "outbound"),
        (wire.OWN_PHONE, {"from": None, "from_user_id": "MX.1"}, "inbound"),
        (wire.OWN_PHONE, {"from": None, "to": wire.CUSTOMER}, "outbound"),
        (wire.OWN_PHONE, {"from": None}, "inbound"),
        (wire.OWN_PHONE, {"from": wire.CUSTOMER, "history_context": {"from_me": True}}, "outbound"),
    ],
)
def test_history_tells_our_words_from_theirs(own_phone: str, message: wire.Json, direction: str) -> None:
    """Both stand in one list, and the thread says whose chat it is."""
    thread = {"id": wire.CUSTOMER, "messages": [{**wire.text_message(), **message}]}
    value = wire.value(own_phone=own_phone, history=[{"threads": [thread]}])
    item = only_item(value, field="history")
    assert (item["direction"], item["origin"]) == (direction, "history")
    assert item["contact"]["aliases"] == [f"phone:{wire.CUSTOMER}"]


@pytest.mark.parametrize(
    "word, status",
    [
        ("SENT", "sent"),
        ("DELIVERED", "delivered"),
        ("READ", "read"),
        ("PLAYED", "played"),
        ("ERROR", "failed"),
        ("PENDING", "pending"),
        ("NEW WORD", "new word"),
        (None, None),
        ({"a": 1}, None),
    ],
)
def test_history_brings_the_status_with_the_message(word: object, status: str | None) -> None:
    """There is no other status webhook for old messages."""
    message = wire.text_message(history_context={"status": word})
    value = wire.value(history=[{"threads": [{"id": wire.CUSTOMER, "messages": [message]}]}])
    assert only_item(value, field="history")["status"] == status


@pytest.mark.parametrize("raw", [{"id": wire.CUSTOMER}, {"id": wire.CUSTOMER, "messages": []}])
def test_an_empty_thread_is_told(raw: wire.Json) -> None:
    """Even what holds nothing is not dropped in silence."""
    delivery = parse(wire.value(history=[{"threads": [raw]}]), field="history")
    assert [(problem["reason"], problem["item"]) for problem in delivery.problems] == [("empty_thread", raw)]


@pytest.mark.parametrize("chunk", [{}, {"threads": []}, {"metadata": {}, "errors": None}])
def test_an_empty_chunk_is_told(chunk: wire.Json) -> None:
    """As an empty thread is."""
    delivery = parse(wire.value(history=[chunk]), field="history")
    assert [(problem["reason"], problem["item"]) for problem in delivery.problems] == [("empty_chunk", chunk)]


def test_metadata_that_is_no_object_is_told() -> None:
    """The messages are read; whose number they are for is not known from them then."""
    value = {**wire.value(messages=[wire.text_message()]), "metadata": "lost"}
    delivery = parse(value)
    assert [item["phone_number_id"] for item in delivery.items] == [None]
    assert [problem["item"] for problem in delivery.problems] == [{"metadata": "lost"}]


# Fields


@pytest.mark.parametrize("field", sorted(KNOWN_FIELDS))
def test_a_known_field_with_an_odd_value_is_kept(field: str) -> None:
    """A value that fits nothing is raw in an item or in a problem."""
    value = {"surprise": {"a": 1}}
    delivery = parse(value, field=field)
    assert json.dumps(value) in json.dumps(delivery.items + delivery.problems)


@pytest.mark.parametrize("field", ["quantum_update", "", None, 7, ["messages"], {"a": 1}])
def test_an_unknown_field_is_kept_raw(field: object) -> None:
    """With its whole change, so that it can be replayed when we know it."""
    payload = wire.delivery(wire.value(messages=[wire.text_message()]))
    payload["entry"][0]["changes"][0]["field"] = field
    delivery = parse_delivery(wire.to_wire(payload))
    assert delivery.items == []
    assert [problem["item"] for problem in delivery.problems] == [payload["entry"][0]["changes"][0]]


def test_all_documented_fields_are_known() -> None:
    """The list of Meta's overview and changelog, August 2026."""
    documented = """account_alerts account_review_update account_update automatic_events
        business_capability_update business_username_updates calls flows group_lifecycle_update
        group_participants_update group_settings_update group_status_update history message_echoes
        message_template_components_update message_template_quality_update message_template_status_update
        messages messaging_handovers standby partner_solutions payment_configuration_update
        phone_number_name_update phone_number_quality_update security smb_app_state_sync smb_message_echoes
        template_category_update user_preferences whatsapp_account user_id_update"""
    assert set(documented.split()) <= KNOWN_FIELDS


def test_a_partner_s_entry_speaks_of_the_customer_s_waba() -> None:
    """`entry.id` is the partner's own business then."""
    item = only_item({"event": "PARTNER_REMOVED", "waba_info": {"waba_id": "42"}}, field="account_update")
    assert (item["waba_id"], item["severity"]) == ("42", "critical")


@pytest.mark.parametrize("field", ["message_template_quality_update", "message_template_status_update"])
def test_a_template_s_quality_is_known_by_its_shape(field: str) -> None:
    """Meta's documentation shows it under both fields."""
    value = {"message_template_id": 1, "message_template_name": "n", "new_quality_score": "YELLOW"}
    item, notice = parse(value, field=field).items
    assert (item["event"], item["quality"], item["status"]) == ("QUALITY", "YELLOW", None)
    assert (notice["kind"], notice["event"], notice["severity"]) == ("notice", "QUALITY_YELLOW", "info")


def test_each_customer_s_wish_about_marketing_is_a_notice() -> None:
    """One value may speak of several customers, and each may want something else."""
    wishes = [
        {"wa_id": wire.CUSTOMER, "value": "stop", "timestamp": wire.TIMESTAMP},
        {"wa_id": "15550100002", "value": "resume"},
        {"user_id": "US.3", "value": "stop"},
    ]
    items = parse(wire.value(user_preferences=wishes), field="user_preferences").items
    assert [item["event"] for item in items] == ["STOP", "RESUME", "STOP"]
    assert [item["content"] for item in items] == [{"user_preferences": [wish]} for wish in wishes]
    assert {item["phone_number"] for item in items} == {f"+{wire.OWN_PHONE}"}


# Nothing raises, nothing is lost


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"\x00",
        b"\xff\xfe",
        b"not json",
        b"{",
        b'{"object":',
        b'{"object":"whatsapp_business_account"}{}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'"' + b"\\" * 99_999,
        b"null",
        b"7",
        b"NaN",
        b"[]",
        b'"text"',
        b"true",
        b"1" * 100_000,
    ],
    ids=lambda body: f"{body[:12]!r}x{len(body)}",
)
def test_a_body_that_is_no_object_is_one_problem(body: bytes) -> None:
    """It is stored raw; nobody is answered with an error for it."""
    delivery = parse_delivery(body)
    assert (delivery.items, len(delivery.problems), delivery.is_readable) == ([], 1, False)
    assert_storable(delivery)


@pytest.mark.parametrize(
    "body",
    [
        b'{"object":null,"entry":null}',
        b'{"entry":7}',
        b"{}",
        b'{"object":"page","entry":[{"id":"1"}]}',
        b'{"object":"whatsapp_business_account","entry":[{}]}',
        b'{"object":"whatsapp_business_account","entry":[{"changes":[{}]}]}',
        b'{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages"}]}]}',
        b'{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":7}]}]}',
        b'{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":{}}]}]}',
        b'{"object":"whatsapp_business_account","entry":"x"}',
    ],
)
def test_an_envelope_without_content_is_told(body: bytes) -> None:
    """Every level that holds nothing we know says so."""
    delivery = parse_delivery(body)
    assert delivery.is_readable
    assert delivery.items == []
    assert len(delivery.problems) == 1


def test_an_envelope_without_entries_is_nothing_and_no_problem() -> None:
    """Meta's own smallest delivery."""
    delivery = parse_delivery(b'{"object":"whatsapp_business_account","entry":[]}')
    assert (delivery.items, delivery.problems) == ([], [])


def test_a_good_message_survives_every_poisoned_neighbour() -> None:
    """One of each kind of damage, and the message in the middle of them."""
    deep: object = "bottom"
    for _ in range(5000):
        deep = [deep]
    body = wire.to_wire(wire.delivery(wire.value(messages=["HERE", wire.text_message("Sano y salvo")])))
    poison = [
        b"null,7,[],true,{}",
        b'{"id":1e999,"from":NaN,"text":-Infinity}',
        b'{"id":"w1","from":"15550100001","type":"text","text":{"body":"\\u0000\\ud800 \\udc00x"}}',
        b'{"id":"w2","from":"15550100001","type":"text","text":' + b"[" * 5000 + b"1" + b"]" * 5000 + b"}",
        b'{"id":' + b"9" * 10_000 + b',"from":"15550100001","type":"text","text":{"body":"n"}}',
        b'{"id":"w3","id":"w4","from":"15550100001","type":"text","type":"image"}',
        b'{"id":"w5","from":"15550100001","type":"text","text":{"body":"\xff\xfe raw \x01"}}',
    ]
    delivery = parse_delivery(body.replace(b'"HERE"', b",".join(poison)))
    assert "Sano y salvo" in [item["text"] for item in delivery.items]
    assert delivery.is_readable
    assert_storable(delivery)


def test_deep_nesting_is_kept_as_text() -> None:
    """Its neighbours are parsed, and the text of it can be read by whoever looks."""
    body = wire.to_wire(wire.delivery(wire.value(messages=[wire.message("hologram", "DEEP")])))
    nested = b'{"a":"[]{}\\"' + b'","b":[' * 1 + b"[" * 3000 + b'"x"' + b"]" * 3000 + b"]}"
    delivery = parse_delivery(body.replace(b'"DEEP"', nested))
    [item] = delivery.items
    assert '[[[[\\"x\\"]]]]' in json.dumps(item["content"])


def test_a_name_that_comes_twice_loses_nothing() -> None:
    """Two `messages` in one value are one list; other values stand beside each other."""
    first, second = json.dumps(wire.text_message("A")), json.dumps(wire.text_message("B", number=2))
    body = (
        '{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":'
        f'{{"messages":[{first}],"messages":[{second}],"errors":{{"code":1}},"errors":{{"code":2}}}}}}]}}]}}'
    )
    delivery = parse_delivery(body.encode())
    assert [item.get("text") for item in delivery.items] == ["A", "B", None]
    assert [problem["item"] for problem in delivery.problems] == [{"errors#": [{"code": 1}]}]


def test_a_fault_of_ours_in_one_item_costs_only_that_item(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last net: whatever we did not think of is kept raw, and its neighbours are stored."""
    read_facts = webhook_messages.message_facts

    def faulty(raw: wire.Json) -> wire.Json:
        if raw["id"] == wire.wamid(2):
            raise ZeroDivisionError
        return read_facts(raw)

    monkeypatch.setattr("shared.webhooks.message_facts", faulty)
    delivery = parse(wire.value(messages=[wire.text_message(number=number) for number in (1, 2, 3)]))
    assert [item["wamid"] for item in delivery.items] == [wire.wamid(1), wire.wamid(3)]
    assert [problem["reason"] for problem in delivery.problems] == ["parser_fault"]
    assert delivery.problems[0]["item"] == wire.text_message(number=2)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
words = st.sampled_from(
    ["sent", "delivered", "read", "played", "failed", "deleted", "warning", "SENT", "new"]
)
types = st.sampled_from(
    ["text", "image", "reaction", "system", "edit", "order", "unsupported", "hologram", ""]
)
phones = st.sampled_from(["15550100001", "551190000001", 15550100002, "", None, "MX.1", "junk"])


@st.composite
def conversations(draw: st.DrawFn) -> wire.Json:
    """Draw a value whose messages and statuses are half good, half odd."""
    messages = [
        draw(
            st.one_of(
                json_values,
                st.fixed_dictionaries(
                    {"id": st.just(wire.wamid(number)), "type": types, "from": phones},
                    optional={
                        "timestamp": json_values,
                        "text": json_values,
                        "system": json_values,
                        "context": json_values,
                    },
                ),
            )
        )
        for number in range(draw(st.integers(0, 5)))
    ]
    statuses = [
        draw(
            st.one_of(
                json_values,
                st.fixed_dictionaries(
                    {"id": st.just(wire.wamid(number)), "status": words, "recipient_id": phones},
                    optional={
                        "errors": json_values,
                        "type": json_values,
                        "pricing": json_values,
                        "unknown": json_values,
                    },
                ),
            )
        )
        for number in range(draw(st.integers(0, 5)))
    ]
    return wire.value(messages=messages, statuses=statuses, contacts=draw(json_values))


@settings(deadline=None)
@given(
    st.lists(conversations(), min_size=1, max_size=3),
    st.sampled_from(["messages", "standby", "history", "new"]),
)
def test_each_message_and_status_ends_in_exactly_one_place(values: list[wire.Json], field: str) -> None:
    """In one item or in one problem, never in none and never in two."""
    payload = wire.delivery(*values, field=field)
    delivery = parse_delivery(wire.to_wire(payload))
    for path in element_paths(payload):
        assert len(places_of(path, delivery)) == 1, path
    assert_storable(delivery)


@settings(deadline=None)
@given(st.binary(max_size=200) | json_values.map(wire.to_wire))
def test_no_bytes_raise(body: bytes) -> None:
    """Not JSON, not an object, not ours: always a delivery."""
    assert_storable(parse_delivery(body))


def element_paths(payload: Any) -> list[str]:
    """List the paths of all messages and statuses of a well-formed envelope."""
    return [
        f"entry[{e}].changes[{c}].value.{part}[{index}]"
        for e, entry in enumerate(payload["entry"])
        for c, change in enumerate(entry["changes"])
        for part in ("messages", "statuses")
        for index in range(len(change["value"].get(part, [])))
    ]


def places_of(path: str, delivery: Delivery) -> list[str]:
    """List what speaks of a path: its own items and problems, or a problem that keeps all around it."""
    own = [
        str(item["path"]) for item in delivery.items if item["kind"] != "identity" and item["path"] == path
    ]
    kept = [str(problem["path"]) for problem in delivery.problems]
    return own + [p for p in kept if p in {path, "$"} or path.startswith((f"{p}.", f"{p}["))]


def assert_storable(delivery: Delivery) -> None:
    """Postgres takes it: JSON without NaN, U+0000 and lone surrogates."""
    text = json.dumps([delivery.items, delivery.problems], allow_nan=False, ensure_ascii=False)
    assert "\x00" not in text
    assert "\\u0000" not in text.replace("\\\\", "")
    text.encode("utf-8")


@pytest.mark.parametrize(
    "payload",
    [
        wire.delivery(wire.value(messages=[{}] * 200_000)),
        wire.delivery(wire.value(messages=[wire.text_message()], contacts=[{}] * 200_000)),
        wire.delivery(wire.value(messages=[wire.text_message()], **{f"key{n}": n for n in range(100_000)})),  # type: ignore[arg-type]
        wire.delivery(*[{}] * 60_000),
    ],
    ids=["messages", "contacts", "keys", "changes"],
)
def test_millions_of_nothings_are_not_millions_of_problems(payload: wire.Json) -> None:
    """An organization signs with its own secret what it likes; it may not make us swell."""
    delivery = parse_delivery(wire.to_wire(payload))
    assert len(delivery.items) + len(delivery.problems) <= webhooks.MAX_ITEMS + 1
    assert_storable(delivery)


# Speed


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 3_000_000,
        b'{"a":' * 600_000,
        b'{"entry":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
        b'"' + b'\\"' * 1_500_000,
        b'"' + b"\\" * 3_000_000,
        b'{"a":"' + b"\\u0000" * 500_000 + b'"}',
        b"9" * 3_000_000,
        b'{"entry":[' + b"1e9," * 700_000 + b"1]}",
        b'{"a":1,' * 1 + b'"b":2,' * 350_000 + b'"c":3}',
        b'{"a":[1],' + b'"a":[2],' * 300_000 + b'"c":3}',
        b'{"a":1,' + b'"b":2,"b":3,' * 200_000 + b'"c":3}',
    ],
    ids=lambda body: f"{body[:10]!r}x{len(body)}",
)
def test_no_body_of_3_mb_takes_long(body: bytes) -> None:
    """Nesting, escapes, digits, doubled names: the time grows with the size, not with its square."""
    started = time.perf_counter()
    assert_storable(parse_delivery(body))
    assert time.perf_counter() - started < 5


def test_a_thousand_messages_of_2_6_mb_are_read_at_once() -> None:
    """Parsing is a small part of what a delivery may cost; about 25 ms where this was written."""
    body = wire.to_wire(wire.batch(1000, size=2_600_000))
    started = time.perf_counter()
    delivery = parse_delivery(body)
    took = time.perf_counter() - started
    assert len(delivery.items) == 1000
    assert delivery.problems == []
    assert took < 1
