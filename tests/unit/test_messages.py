"""What may be sent: each of Meta's limits at its edge, and every body as Meta's own schema wants it."""

from __future__ import annotations

import copy
import importlib
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.send_message.models import BatchBody, ReadBody, read_item, read_items
from shared.errors import InvalidBody, InvalidPhoneNumber
from shared.messages import TYPES, UnreadablePhoneNumber, digits_of
from shared.sending import build_body
from shared.web import validate
from tests.evidence import OPENAPI

TO = "+15550100001"
LINK = "https://files.example.com/a"


def button(number: int = 1, **changed: Any) -> dict[str, Any]:
    return {"type": "reply", "reply": {"id": f"id{number}", "title": f"Título {number}", **changed}}


def buttons(count: int = 1, **changed: Any) -> dict[str, Any]:
    return {
        "type": "button",
        "body": {"text": "¿Vienes?"},
        "action": {"buttons": [button(number) for number in range(count)]},
        **changed,
    }


def list_of(*sections: int, **changed: Any) -> dict[str, Any]:
    row = iter(range(100))
    made = [
        {"title": f"Parte {number}", "rows": [{"id": str(next(row)), "title": "Fila"} for _ in range(rows)]}
        for number, rows in enumerate(sections)
    ]
    return {
        "type": "list",
        "body": {"text": "Elige"},
        "action": {"button": "Ver", "sections": made},
        **changed,
    }


def flow(**parameters: Any) -> dict[str, Any]:
    known = {"flow_id": "123", "flow_cta": "Abrir", **parameters}
    return {
        "type": "flow",
        "body": {"text": "Completa"},
        "action": {
            "name": "flow",
            "parameters": {name: value for name, value in known.items() if value is not None},
        },
    }


def cta(**parameters: Any) -> dict[str, Any]:
    known = {"display_text": "Abrir", "url": LINK, **parameters}
    return {"type": "cta_url", "body": {"text": "Mira"}, "action": {"name": "cta_url", "parameters": known}}


def template(*components: Any, **changed: Any) -> dict[str, Any]:
    return {"name": "aviso", "language": {"code": "es"}, "components": list(components) or None, **changed}


def words(*texts: str, **named: str) -> dict[str, Any]:
    parameters = [{"type": "text", "text": each} for each in texts]
    parameters += [{"type": "text", "text": each, "parameter_name": name} for name, each in named.items()]
    return {"type": "body", "parameters": parameters}


def header(kind: str, value: Any) -> dict[str, Any]:
    return {"type": "header", "parameters": [{"type": kind, kind: value}]}


def template_button(sub_type: str, index: int, kind: str, value: Any) -> dict[str, Any]:
    return {
        "type": "button",
        "sub_type": sub_type,
        "index": index,
        "parameters": [{"type": kind, kind: value}],
    }


CARD = {"card_index": 0, "components": [header("image", {"media_id": "1"}), words("a")]}

ACCEPTED: dict[str, dict[str, Any]] = {
    "text of 4,096": {"type": "text", "text": {"body": "x" * 4096}},
    "text without a type": {"text": "hola"},
    "text with a preview": {"type": "text", "text": {"body": LINK, "preview_url": True}},
    "image with a caption of 1,024": {"type": "image", "image": {"link": LINK, "caption": "x" * 1024}},
    "image by media id": {"type": "image", "image": {"media_id": 123456}},
    "image by storage path": {"type": "image", "image": {"storage_path": "media/a/b.png"}},
    "video": {"type": "video", "video": {"link": "http://files.example.com/a", "caption": "Mira"}},
    "voice note": {"type": "audio", "audio": {"media_id": "1", "voice": True}},
    "document with a name": {
        "type": "document",
        "document": {"link": LINK, "filename": "a.pdf", "caption": "b"},
    },
    "sticker": {"type": "sticker", "sticker": {"media_id": "1"}},
    "place at the edge of the world": {"type": "location", "location": {"latitude": -90, "longitude": 180}},
    "place with a name": {
        "type": "location",
        "location": {"latitude": -12.0464, "longitude": -77.0428, "name": "Lima", "address": "Plaza"},
    },
    "contact with a whole name alone": {
        "type": "contacts",
        "contacts": [{"name": {"formatted_name": "Ana"}}],
    },
    "five contacts": {
        "type": "contacts",
        "contacts": [
            {
                "name": {"formatted_name": "Ana Paz", "first_name": "Ana"},
                "phones": [{"phone": TO, "type": "WORK", "wa_id": "15550100001"}],
                "emails": [{"email": "ana@example.com", "type": "HOME"}],
                "urls": [{"url": LINK}],
                "addresses": [{"city": "Lima", "country_code": "PE", "zip": "15001"}],
                "org": {"company": "Panadería", "title": "Dueña"},
                "birthday": "1990-01-31",
            }
        ]
        * 5,
    },
    "one button": {"type": "interactive", "interactive": buttons()},
    "three buttons": {"type": "interactive", "interactive": buttons(3)},
    "button of the longest": {
        "type": "interactive",
        "interactive": buttons(
            body={"text": "x" * 1024},
            footer={"text": "x" * 60},
            header={"type": "text", "text": "x" * 60},
            action={"buttons": [button(id="x" * 256, title="x" * 20)]},
        ),
    },
    "buttons under a picture": {
        "type": "interactive",
        "interactive": buttons(header={"type": "image", "image": {"link": LINK}}),
    },
    "buttons under a film": {
        "type": "interactive",
        "interactive": buttons(header={"type": "video", "video": {"media_id": "1"}}),
    },
    "buttons under a file": {
        "type": "interactive",
        "interactive": buttons(header={"type": "document", "document": {"link": LINK, "filename": "a.pdf"}}),
    },
    "list of ten rows in ten sections": {"type": "interactive", "interactive": list_of(*[1] * 10)},
    "list of ten rows in one section": {"type": "interactive", "interactive": list_of(10)},
    "list of the longest": {
        "type": "interactive",
        "interactive": list_of(
            1,
            header={"type": "text", "text": "x" * 60},
            footer={"text": "x" * 60},
            action={
                "button": "x" * 20,
                "sections": [
                    {
                        "title": "x" * 24,
                        "rows": [{"id": "x" * 200, "title": "x" * 24, "description": "x" * 72}],
                    }
                ],
            },
        ),
    },
    "list body of 4,096": {"type": "interactive", "interactive": list_of(1, body={"text": "x" * 4096})},
    "link button of the longest": {"type": "interactive", "interactive": cta(display_text="x" * 20)},
    "location request": {
        "type": "interactive",
        "interactive": {"type": "location_request_message", "body": {"text": "x" * 1024}},
    },
    "flow by id": {"type": "interactive", "interactive": flow()},
    "flow by name with a first screen": {
        "type": "interactive",
        "interactive": flow(
            flow_id=None,
            flow_name="cita",
            flow_cta="x" * 30,
            mode="draft",
            flow_action="navigate",
            flow_action_payload={"screen": "INICIO", "data": {"dia": "lunes"}},
        ),
    },
    "reaction": {"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": "👍🏽"}},
    "reaction removed": {"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": ""}},
    "template without parameters": {"type": "template", "template": template()},
    "template with its language as text": {"type": "template", "template": template(language="es_PE")},
    "template by position": {"type": "template", "template": template(words("Ana", "lunes"))},
    "template by name": {"type": "template", "template": template(words(cliente="Ana", dia="lunes"))},
    "template with an amount and a day": {
        "type": "template",
        "template": template(
            {
                "type": "body",
                "parameters": [
                    {
                        "type": "currency",
                        "currency": {"fallback_value": "S/ 10", "code": "PEN", "amount_1000": 10000},
                    },
                    {"type": "date_time", "date_time": {"fallback_value": "mañana"}},
                ],
            }
        ),
    },
    "template under a text": {"type": "template", "template": template(header("text", "Hola"))},
    "template under a picture": {"type": "template", "template": template(header("image", {"link": LINK}))},
    "template under a film": {"type": "template", "template": template(header("video", {"media_id": "1"}))},
    "template under a file": {
        "type": "template",
        "template": template(header("document", {"link": LINK, "filename": "a.pdf"})),
    },
    "template under a place": {
        "type": "template",
        "template": template(
            header("location", {"latitude": 1, "longitude": 2, "name": "a", "address": "b"})
        ),
    },
    "template with every button": {
        "type": "template",
        "template": template(
            template_button("quick_reply", 0, "payload", "SI"),
            template_button("url", 1, "text", "pedido/1"),
            template_button("copy_code", 2, "coupon_code", "x" * 15),
            template_button("flow", 3, "action", {"flow_token": "a"}),
            template_button("catalog", 4, "action", {"thumbnail_product_retailer_id": "a"}),
        ),
    },
    "template with a countdown": {
        "type": "template",
        "template": template(
            {
                "type": "limited_time_offer",
                "parameters": [
                    {
                        "type": "limited_time_offer",
                        "limited_time_offer": {"expiration_time_ms": 1_800_000_000_000},
                    }
                ],
            }
        ),
    },
    "template with cards": {
        "type": "template",
        "template": template({"type": "carousel", "cards": [CARD, {**CARD, "card_index": 1}]}),
    },
}

# What is refused, where, and by which rule.
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "no type at all": ({"type": "fax"}, "type", "enum"),
    "another type's part": ({"type": "text", "image": {"link": LINK}}, "text", "missing"),
    "an unknown field": ({"text": {"body": "a", "bold": True}}, "text.bold", "extra_forbidden"),
    "text of 4,097": ({"text": {"body": "x" * 4097}}, "text.body", "string_too_long"),
    "an empty text": ({"text": ""}, "text.body", "string_too_short"),
    "a blank text": ({"text": " \n "}, "text.body", "string_pattern_mismatch"),
    "a caption of 1,025": (
        {"type": "image", "image": {"link": LINK, "caption": "x" * 1025}},
        "image.caption",
        "string_too_long",
    ),
    "two sources": ({"type": "image", "image": {"link": LINK, "media_id": "1"}}, "image", "one_source"),
    "no source": ({"type": "image", "image": {}}, "image", "one_source"),
    "a link that is no address": (
        {"type": "image", "image": {"link": "ftp://example.com"}},
        "image.link",
        "url",
    ),
    "a path out of the bucket": (
        {"type": "image", "image": {"storage_path": "media/../a.png"}},
        "image.storage_path",
        "storage_path",
    ),
    "a sound with a caption": (
        {"type": "audio", "audio": {"link": LINK, "caption": "a"}},
        "audio.caption",
        "extra_forbidden",
    ),
    "a sticker with a caption": (
        {"type": "sticker", "sticker": {"link": LINK, "caption": "a"}},
        "sticker.caption",
        "extra_forbidden",
    ),
    "beyond the pole": (
        {"type": "location", "location": {"latitude": 90.01, "longitude": 0}},
        "location.latitude",
        "less_than_equal",
    ),
    "six contacts": (
        {"type": "contacts", "contacts": [{"name": {"formatted_name": "Ana"}}] * 6},
        "contacts",
        "too_long",
    ),
    "a contact without a name": ({"type": "contacts", "contacts": [{}]}, "contacts[0].name", "missing"),
    "no button": (
        {"type": "interactive", "interactive": buttons(0)},
        "interactive.action.buttons",
        "too_short",
    ),
    "four buttons": (
        {"type": "interactive", "interactive": buttons(4)},
        "interactive.action.buttons",
        "too_long",
    ),
    "two buttons of one title": (
        {
            "type": "interactive",
            "interactive": buttons(action={"buttons": [button(1, title="a"), button(2, title="a")]}),
        },
        "interactive.action",
        "unique",
    ),
    "a button's title of 21": (
        {"type": "interactive", "interactive": buttons(action={"buttons": [button(title="x" * 21)]})},
        "interactive.action.buttons[0].reply.title",
        "string_too_long",
    ),
    "a button's id of 257": (
        {"type": "interactive", "interactive": buttons(action={"buttons": [button(id="x" * 257)]})},
        "interactive.action.buttons[0].reply.id",
        "string_too_long",
    ),
    "a body of 1,025": (
        {"type": "interactive", "interactive": buttons(body={"text": "x" * 1025})},
        "interactive.body.text",
        "string_too_long",
    ),
    "a footer of 61": (
        {"type": "interactive", "interactive": buttons(footer={"text": "x" * 61})},
        "interactive.footer.text",
        "string_too_long",
    ),
    "a header of 61": (
        {"type": "interactive", "interactive": buttons(header={"type": "text", "text": "x" * 61})},
        "interactive.header.text",
        "string_too_long",
    ),
    "eleven rows in all": (
        {"type": "interactive", "interactive": list_of(6, 5)},
        "interactive.action",
        "too_many_rows",
    ),
    "eleven rows in one section": (
        {"type": "interactive", "interactive": list_of(11)},
        "interactive.action.sections[0].rows",
        "too_long",
    ),
    "eleven sections": (
        {"type": "interactive", "interactive": list_of(*[1] * 11)},
        "interactive.action.sections",
        "too_long",
    ),
    "a list's body of 4,097": (
        {"type": "interactive", "interactive": list_of(1, body={"text": "x" * 4097})},
        "interactive.body.text",
        "string_too_long",
    ),
    "a list under a picture": (
        {"type": "interactive", "interactive": list_of(1, header={"type": "image", "image": {"link": LINK}})},
        "interactive.header.type",
        "literal_error",
    ),
    "a list's button of 21": (
        {
            "type": "interactive",
            "interactive": list_of(
                1, action={"button": "x" * 21, "sections": [{"rows": [{"id": "1", "title": "a"}]}]}
            ),
        },
        "interactive.action.button",
        "string_too_long",
    ),
    "a link's words of 21": (
        {"type": "interactive", "interactive": cta(display_text="x" * 21)},
        "interactive.action.parameters.display_text",
        "string_too_long",
    ),
    "a flow by id and by name": (
        {"type": "interactive", "interactive": flow(flow_name="cita")},
        "interactive.action.parameters",
        "one_flow",
    ),
    "an unknown kind of question": (
        {"type": "interactive", "interactive": {"type": "poll"}},
        "interactive",
        "union_tag_invalid",
    ),
    "a reaction of letters": (
        {"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": "ok"}},
        "reaction",
        "emoji",
    ),
    "a reaction as a reply": (
        {"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": "👍"}, "reply_to": "wamid.Y"},
        "",
        "no_reply",
    ),
    "a template's name with a space": (
        {"type": "template", "template": template(name="un aviso")},
        "template.name",
        "string_pattern_mismatch",
    ),
    "parameters half by name": (
        {
            "type": "template",
            "template": template(
                {
                    "type": "body",
                    "parameters": [
                        {"type": "text", "text": "a", "parameter_name": "b"},
                        {"type": "text", "text": "c"},
                    ],
                }
            ),
        },
        "template.components[0]",
        "parameter_name",
    ),
    "a button's wrong parameter": (
        {"type": "template", "template": template(template_button("url", 0, "payload", "a"))},
        "template.components[0]",
        "parameter_type",
    ),
    "a button beyond the tenth": (
        {"type": "template", "template": template(template_button("url", 10, "text", "a"))},
        "template.components[0].index",
        "string_pattern_mismatch",
    ),
    "a coupon of 16": (
        {"type": "template", "template": template(template_button("copy_code", 0, "coupon_code", "x" * 16))},
        "template.components[0].parameters[0].coupon_code",
        "string_too_long",
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_just_inside_is_accepted(name: str) -> None:
    item = read_item({"to": TO, **ACCEPTED[name]})

    assert item["type"] == ACCEPTED[name].get("type", "text")


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_just_outside_is_named_by_field_and_rule(name: str) -> None:
    body, field, rule = REFUSED[name]

    with pytest.raises(InvalidBody) as refusal:
        read_item({"to": TO, **body})

    assert (field, rule) in [(detail["field"], detail["rule"]) for detail in refusal.value.details]


@pytest.mark.parametrize(
    "addressee",
    [
        {},
        {"to": TO, "recipient": "PE.1"},
        {"to": TO, "chat_id": "00000000-0000-4000-8000-000000000000"},
        {"recipient": "PE"},
        {"recipient": "+15550100001"},
        {"chat_id": "1"},
    ],
)
def test_there_is_exactly_one_addressee_and_each_has_its_form(addressee: dict[str, str]) -> None:
    with pytest.raises(InvalidBody):
        read_item({"text": "hola", **addressee})


def test_a_bsuid_in_to_is_no_phone_number() -> None:
    with pytest.raises(InvalidPhoneNumber):
        read_item({"text": "hola", "to": "PE.1234567"})


@pytest.mark.parametrize(
    "typed,digits",
    [
        ("+1 (555) 010-0001", "15550100001"),
        ("15550100001", "15550100001"),
        ("0015550100001", "15550100001"),
        ("+51 900 000 001", "51900000001"),
        ("+55 11 99000-0001", "5511990000001"),
        ("+52 1 55 0000 0001", "5215500000001"),
        ("+54 9 11 0000-0001", "5491100000001"),
        (" +44 7700 900123 ", "447700900123"),
    ],
)
def test_a_typed_number_becomes_full_digits(typed: str, digits: str) -> None:
    assert digits_of(typed) == digits


@pytest.mark.parametrize(
    "typed", ["", "+", "987", "+51", "hola", "+1555010000112345678", "+999123456789", "\uff11\uff12\uff13"]
)
def test_what_is_no_number_is_refused(typed: str) -> None:
    with pytest.raises(UnreadablePhoneNumber):
        digits_of(typed)


@given(st.text(max_size=40))
def test_any_text_is_a_number_or_refused(typed: str) -> None:
    try:
        digits = digits_of(typed)
    except UnreadablePhoneNumber:
        return
    assert digits.isascii()
    assert digits.isdigit()


def test_all_wrong_messages_of_a_batch_are_named() -> None:
    with pytest.raises(InvalidBody) as refusal:
        read_items([{"to": TO, "text": "a"}, {"to": "x", "text": "b"}, {"to": TO, "text": ""}])

    assert [detail["field"] for detail in refusal.value.details] == [
        "messages[1].to",
        "messages[2].text.body",
    ]


@pytest.mark.parametrize("count,is_accepted", [(1, True), (1000, True), (0, False), (1001, False)])
def test_a_batch_has_one_to_a_thousand(count: int, is_accepted: bool) -> None:
    body = {"messages": [{"to": TO, "text": "a"}] * count}

    if is_accepted:
        assert len(validate(BatchBody, body).messages) == count
    else:
        with pytest.raises(InvalidBody):
            validate(BatchBody, body)


def test_what_is_read_must_be_named() -> None:
    with pytest.raises(InvalidBody):
        validate(ReadBody, {"typing": True})


# ---- Meta's own schema


@pytest.fixture(scope="session")
def meta_schemas() -> dict[str, Any]:
    if not OPENAPI.is_file():
        pytest.skip("Meta's OpenAPI file is not there")
    yaml = importlib.import_module("yaml")
    document = yaml.load(OPENAPI.read_text("utf-8"), Loader=yaml.CSafeLoader)
    schemas: dict[str, Any] = document["components"]["schemas"]
    return schemas


NOT_IN_METAS_FILE = {
    # Bodies of features that its version of November 2025 does not describe.
    "list body of 4,096",
    "template under a place",
    "template with every button",
    "template with a countdown",
    "template with cards",
}


@pytest.mark.parametrize("name", [name for name in ACCEPTED if name not in NOT_IN_METAS_FILE])
def test_every_body_is_valid_against_metas_own_schema(meta_schemas: dict[str, Any], name: str) -> None:
    item = read_item({"to": TO, **ACCEPTED[name]})
    content = {
        kind: {"link": LINK} if isinstance(part, dict) and "storage_path" in part else part
        for kind, part in item["content"].items()
    }
    send = {
        "message_id": "00000000-0000-4000-8000-000000000000",
        "address": {"to": "15550100001"},
        "type": item["type"],
        "reply_to_wamid": None if item["type"] == "reaction" else "wamid.X",
        "target_wamid": item["target"],
    }

    body = build_body(send, content)

    schema = _schema_of(meta_schemas, item["type"])
    jsonschema.Draft202012Validator(schema).validate(body)


def test_each_type_is_among_them() -> None:
    tried = {ACCEPTED[name].get("type", "text") for name in ACCEPTED if name not in NOT_IN_METAS_FILE}

    assert tried == set(TYPES)


def _schema_of(schemas: dict[str, Any], kind: str) -> dict[str, Any]:
    mapping = schemas["Message"]["discriminator"]["mapping"]
    schema: dict[str, Any] = _resolve(schemas, {"$ref": mapping[kind]})
    # Newer than the file, or left out of it: our id, the BSUID.
    schema["properties"] |= {"biz_opaque_callback_data": {"type": "string", "maxLength": 512}}
    return schema


def _resolve(schemas: dict[str, Any], schema: Any) -> Any:
    if isinstance(schema, list):
        return [_resolve(schemas, each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _resolve(schemas, copy.deepcopy(_corrected(schemas, schema["$ref"].rpartition("/")[2])))
    resolved = {name: _resolve(schemas, value) for name, value in schema.items() if name != "discriminator"}
    if "allOf" not in resolved:
        return resolved
    # As written, `additionalProperties: false` beside `allOf` would forbid every common property: what is
    # meant is the sum of both.
    parts = resolved.pop("allOf")
    merged: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for part in parts:
        merged["properties"] |= part.get("properties", {})
        merged["required"] += part.get("required", [])
        if part.get("additionalProperties") is False:
            merged["additionalProperties"] = False
    return merged


def _corrected(schemas: dict[str, Any], name: str) -> Any:
    """Return a schema with what is known to be missing or mistyped in the file of November 2025."""
    schema = copy.deepcopy(schemas[name])
    if name == "InteractiveObject":
        schema["properties"]["type"]["enum"] += ["cta_url", "location_request_message"]
    elif name == "ActionObject":
        schema["oneOf"] += [
            {"required": ["name"], "properties": {"name": {"enum": ["cta_url", "send_location"]}}},
        ]
        for choice in schema["oneOf"]:
            # A choice that does not demand a name takes no action that has one.
            if "name" not in choice["required"]:
                choice["not"] = {"required": ["name"]}
    elif name in {"TemplateComponent", "ButtonComponent"}:
        # Its pattern `^[2-6, 11-14]$` refuses its own example, "0".
        for part in (schema, *schema.get("allOf", [])):
            if "index" in part.get("properties", {}):
                part["properties"]["index"]["pattern"] = "^[0-9]$"
    return schema
