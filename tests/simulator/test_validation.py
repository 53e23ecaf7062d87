"""What Meta refuses of a message, in its own words, and what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from local.graph import Simulator


def message(kind: str, content: Any) -> dict[str, Any]:
    return {"messaging_product": "whatsapp", "to": "15550100001", "type": kind, kind: content}


def interactive(kind: str, action: dict[str, Any], **more: Any) -> dict[str, Any]:
    return message("interactive", {"type": kind, "body": {"text": "¿?"}, "action": action, **more})


def buttons(*titles: str) -> dict[str, Any]:
    return {
        "buttons": [
            {"type": "reply", "reply": {"id": f"b{position}", "title": title}}
            for position, title in enumerate(titles)
        ]
    }


def rows(count: int, title: str = "Fila") -> dict[str, Any]:
    section = {"title": "Uno", "rows": [{"id": f"r{row}", "title": title} for row in range(count)]}
    return {"button": "Ver", "sections": [section]}


GOOD = {
    "text": message("text", {"body": "x" * 4096, "preview_url": True}),
    "image": message("image", {"link": "https://shop.test/a.png", "caption": "x"}),
    "audio": message("audio", {"link": "https://shop.test/a.ogg"}),
    "location": message("location", {"latitude": -12.05, "longitude": "-77.04", "name": "Lima"}),
    "contacts": message("contacts", [{"name": {"formatted_name": "Ana"}}]),
    "buttons": interactive("button", buttons("Sí", "No")),
    "list": interactive("list", rows(10)),
    "cta": interactive(
        "cta_url", {"name": "cta_url", "parameters": {"display_text": "Ver", "url": "https://shop.test"}}
    ),
    "where": interactive("location_request_message", {"name": "send_location"}),
    "flow": interactive("flow", {"name": "flow", "parameters": {"flow_id": "1", "flow_cta": "Abrir"}}),
    "no type": {"messaging_product": "whatsapp", "to": "15550100001", "text": {"body": "x"}},
}

BAD = {
    "no product": ({"to": "15550100001", "text": {"body": "x"}}, 100, "messaging_product is required."),
    "no recipient": ({"messaging_product": "whatsapp", "text": {"body": "x"}}, 100, "to is required."),
    "no body": (message("text", {}), 100, "The parameter text['body'] is required."),
    "long body": (
        message("text", {"body": "x" * 4097}),
        100,
        "Param text['body'] must be at most 4096 characters long.",
    ),
    "no object": (message("text", "hola"), 100, "Param text must be a JSON object."),
    "type": (message("poll", {}), 100, "Param type must be one of"),
    "no media": (message("image", {"caption": "x"}), 100, "The parameter image['id'] is required."),
    "bad link": (message("image", {"link": "ftp://x"}), 100, "is not a valid URL."),
    "caption of audio": (message("audio", {"link": "https://a.test", "caption": "x"}), 100, "Unexpected key"),
    "latitude": (message("location", {"latitude": 91, "longitude": 0}), 131009, "latitude must be between"),
    "name": (message("contacts", [{"name": {}}]), 100, "['formatted_name'] is required."),
    "four buttons": (
        interactive("button", buttons("a", "b", "c", "d")),
        131009,
        "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3",
    ),
    "long button": (
        interactive("button", buttons("x" * 21)),
        131009,
        "Button title length invalid. Min length: 1, Max length: 20",
    ),
    "same buttons": (interactive("button", buttons("a", "a")), 131009, "Duplicate button title."),
    "eleven rows": (interactive("list", rows(11)), 131009, "Total row count exceed max allowed count: 10"),
    "long row": (interactive("list", rows(1, "x" * 25)), 131009, "Row title is too long. Max length is 24"),
    "no text": (
        message("interactive", {"type": "button", "action": buttons("a")}),
        100,
        "The parameter interactive['body']['text'] is required.",
    ),
    "reaction": (message("reaction", {"emoji": "👍"}), 100, "reaction['message_id'] is required."),
    "product": (
        {**message("text", {"body": "x"}), "messaging_product": "sms"},
        100,
        "must be one of {WHATSAPP}",
    ),
    "letters as recipient": (
        {**message("text", {"body": "x"}), "to": "ana"},
        100,
        "to must be a phone number",
    ),
    "number as body": (message("text", {"body": 5}), 100, "text['body'] must be a string."),
    "nothing of its type": ({**message("text", {"body": "x"}), "type": "image"}, 100, "image is required."),
    "id and link": (message("image", {"id": "1", "link": "https://a.test"}), 100, "one of id or link"),
    "long caption": (
        message("image", {"link": "https://a.test", "caption": "x" * 1025}),
        100,
        "['caption'] must be at most 1024",
    ),
    "no latitude": (message("location", {"longitude": 1}), 100, "location['latitude'] is required."),
    "latitude in words": (message("location", {"latitude": "x", "longitude": 1}), 100, "must be a number."),
    "contacts as object": (message("contacts", {}), 100, "must be a non-empty array."),
    "contact without a name": (message("contacts", [{}]), 100, "contacts[0]['name'] is required."),
    "no emoji": (message("reaction", {"message_id": "x"}), 100, "reaction['emoji'] is required."),
    "no kind": (message("interactive", {"body": {"text": "x"}}), 100, "interactive['type'] is required."),
    "odd kind": (message("interactive", {"type": "poll"}), 100, "interactive['type'] must be one of"),
    "no action": (
        message("interactive", {"type": "button", "body": {"text": "x"}}),
        100,
        "interactive['action'] is required.",
    ),
    "long footer": (
        interactive("button", buttons("a"), footer={"text": "x" * 61}),
        131009,
        "Footer text length invalid. Min length: 1, Max length: 60",
    ),
    "picture above a list": (interactive("list", rows(1), header={"type": "image"}), 131009, "text headers."),
    "long header": (
        interactive("button", buttons("a"), header={"type": "text", "text": "x" * 61}),
        131009,
        "Header text length invalid.",
    ),
    "odd header": (
        interactive("button", buttons("a"), header={"type": "gif"}),
        131009,
        "Invalid header type.",
    ),
    "no sections": (interactive("list", {"button": "x", "sections": []}), 131009, "Invalid sections count."),
    "no rows": (
        interactive("list", {"button": "x", "sections": [{"title": "t"}]}),
        131009,
        "rows are required.",
    ),
    "row without a title": (
        interactive("list", {"button": "x", "sections": [{"title": "t", "rows": [{"id": "r"}]}]}),
        131009,
        "Row id and title are required.",
    ),
    "no url": (
        interactive("cta_url", {"parameters": {"display_text": "x"}}),
        131009,
        "url is not a valid URL.",
    ),
    "no parameters": (interactive("cta_url", {}), 100, "interactive['action']['parameters'] is required."),
    "where to": (interactive("location_request_message", {"name": "x"}), 131009, "must be send_location."),
    "no flow": (interactive("flow", {"parameters": {"flow_cta": "x"}}), 131008, "flow_id or flow_name"),
    "no flow's label": (
        interactive("flow", {"parameters": {"flow_id": "1"}}),
        131008,
        "flow_cta is required.",
    ),
    "no product in it": (
        interactive("product", {"catalog_id": "1"}),
        100,
        "['product_retailer_id'] is required.",
    ),
    "no catalogue": (interactive("product_list", {}), 100, "['catalog_id'] is required."),
    "reply to nothing": (
        {**message("text", {"body": "x"}), "context": {}},
        131008,
        "context['message_id'] is required.",
    ),
    "long data": (
        {**message("text", {"body": "x"}), "biz_opaque_callback_data": "x" * 513},
        100,
        "biz_opaque_callback_data must be at most 512",
    ),
    "odd status": ({"messaging_product": "whatsapp", "status": "seen"}, 100, "status must be one of {READ}"),
    "read nothing": ({"messaging_product": "whatsapp", "status": "read"}, 100, "message_id is required."),
    "no template's name": (
        message("template", {"language": {"code": "es"}}),
        100,
        "template['name'] is required.",
    ),
    "no language": (message("template", {"name": "x"}), 100, "template['language'] is required."),
    "itself": ({**message("text", {"body": "x"}), "to": "15550100100"}, 131021, "Sender and recipient"),
}


@pytest.mark.parametrize("name", GOOD)
async def test_good_message_is_taken(
    graph: httpx.AsyncClient, business: dict[str, Any], write: Any, name: str
) -> None:
    write()

    answer = await graph.post(f"/{business['phone_number_id']}/messages", json=GOOD[name])

    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", BAD)
async def test_bad_message_is_refused_with_a_reason(
    graph: httpx.AsyncClient, business: dict[str, Any], name: str
) -> None:
    body, code, words = BAD[name]

    answer = await graph.post(f"/{business['phone_number_id']}/messages", json=body)

    error = answer.json()["error"]
    told = error["message"] + " " + error.get("error_data", {}).get("details", "")
    assert (answer.status_code, error["code"]) == (400, code)
    assert words in told


async def test_test_number_writes_only_to_its_list(
    anonymous: httpx.AsyncClient, simulator: Simulator, text: Any
) -> None:
    made = simulator.create_business(test=True)
    headers = {"Authorization": f"Bearer {made['access_token']}"}
    path = f"/{made['phone_number_id']}/messages"

    refused = await anonymous.post(path, json=text("15550100001"), headers=headers)
    simulator.state.numbers[made["phone_number_id"]].allowed_recipients = ["15550100001"]
    taken = await anonymous.post(path, json=text("15550100001"), headers=headers)

    assert refused.json()["error"]["code"] == 131030
    assert taken.status_code == 200


ODD: list[Any] = [None, True, 0, -1, 1e308, "", "x", "é" * 5000, [], [None], ["x"], [[]], {}, {"x": None}]

TEMPLATE = {
    "name": "hello_world",
    "language": {"code": "en_US"},
    "components": [
        {"type": "body", "parameters": [{"type": "text", "text": "Ana"}]},
        {"type": "button", "sub_type": "url", "index": 0, "parameters": [{"type": "text", "text": "1"}]},
    ],
}


def mutations(thing: Any) -> Iterator[Any]:
    """Yield copies of a JSON value with one part of it replaced by something odd, or left out."""
    yield from ODD
    if isinstance(thing, dict):
        for name, inner in thing.items():
            yield {other: value for other, value in thing.items() if other != name}
            for changed in mutations(inner):
                yield {**thing, name: changed}
    elif isinstance(thing, list):
        for position, inner in enumerate(thing):
            for changed in mutations(inner):
                yield [*thing[:position], changed, *thing[position + 1 :]]


@pytest.mark.parametrize("name", [*GOOD, "template"])
async def test_oddly_shaped_message_is_taken_or_refused(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator, name: str
) -> None:
    """Whatever stands where something else should: an answer of Graph, never a server error."""
    simulator.settings.enforce_limits = False
    (template,) = simulator.state.templates.values()
    button = {"type": "URL", "text": "Ver", "url": "https://shop.test/{{1}}"}
    template.components = [{"type": "BODY", "text": "Hola {{1}}."}, {"type": "BUTTONS", "buttons": [button]}]
    good = GOOD.get(name, message("template", TEMPLATE))

    for body in mutations(good):
        answer = await graph.post(f"/{business['phone_number_id']}/messages", json=body)

        assert answer.status_code in (200, 400, 404), body
