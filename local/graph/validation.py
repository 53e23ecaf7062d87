"""What Meta demands of each type of message, in its own words. No I/O.

Two kinds of refusal: a parameter that is missing or has no right shape is an error 100 whose message says it;
a value that WhatsApp does not take is an error 131009 whose details say it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from local.graph.errors import GraphError, bad_value, documented, missing_parameter
from local.graph.template_text import check_parameters

if TYPE_CHECKING:
    from local.graph.simulator import Simulator
    from local.graph.state import Number, Template

TYPES = (
    "audio",
    "contacts",
    "document",
    "image",
    "interactive",
    "location",
    "reaction",
    "sticker",
    "template",
    "text",
    "video",
)
_LONGEST_TEXT, _LONGEST_CAPTION = 4096, 1024
_LONGEST_BODY, _LONGEST_LIST_BODY, _LONGEST_FOOTER, _LONGEST_HEADER = 1024, 4096, 60, 60
_BUTTON_TITLE, _BUTTON_ID, _MOST_BUTTONS = 20, 256, 3
_ROW_TITLE, _ROW_ID, _ROW_DESCRIPTION, _MOST_ROWS, _MOST_SECTIONS, _SECTION_TITLE = 24, 200, 72, 10, 10, 24
_CTA = 20
_MEDIA_KINDS = {"image": "image", "video": "video", "audio": "audio", "document": None, "sticker": "sticker"}

Check = Callable[["Simulator", "Number", Any], None]


def check_message(simulator: Simulator, number: Number, kind: str, body: dict[str, Any]) -> Template | None:
    """Refuse a message that Meta would refuse; return its template, if it is one of a template."""
    if kind not in TYPES:
        allowed = ", ".join(TYPES).upper()
        raise GraphError(100, f'(#100) Param type must be one of {{{allowed}}} - got "{kind}".')
    content = body.get(kind)
    if content is None:
        raise required(kind)
    if kind == "contacts":
        _contacts(content)
        return None
    if not isinstance(content, dict):
        raise GraphError(100, f"(#100) Param {kind} must be a JSON object.")
    if kind == "template":
        return _template(simulator, number, body, content)
    if kind in _MEDIA_KINDS:
        _media(simulator, number, kind, content)
    else:
        _CHECKS[kind](simulator, number, content)
    return None


def required(parameter: str) -> GraphError:
    """Build the error for a parameter that is missing."""
    return GraphError(100, f"(#100) The parameter {parameter} is required.")


def _need_text(content: dict[str, Any], path: str, name: str, longest: int) -> str:
    """Return a text that must be there; raises the errors of the outer parameters."""
    value = content.get(name)
    parameter = f"{path}['{name}']"
    if value is None or value == "":
        raise required(parameter)
    if not isinstance(value, str):
        raise GraphError(100, f"(#100) Param {parameter} must be a string.")
    if len(value) > longest:
        raise GraphError(100, f"(#100) Param {parameter} must be at most {longest} characters long.")
    return value


def _length(what: str, value: Any, longest: int) -> None:
    """Check the length of a text inside an interactive message."""
    if not isinstance(value, str) or not 1 <= len(value) <= longest:
        raise bad_value(f"{what} length invalid. Min length: 1, Max length: {longest}")


def _text(_simulator: Simulator, _number: Number, content: dict[str, Any]) -> None:
    _need_text(content, "text", "body", _LONGEST_TEXT)


def _media(simulator: Simulator, number: Number, kind: str, content: dict[str, Any]) -> None:
    media_id, link = content.get("id"), content.get("link")
    if not media_id and not link:
        raise required(f"{kind}['id']")
    if media_id and link:
        raise GraphError(100, f"(#100) Param {kind} must have one of id or link, not both.")
    if link and not re.match(r"https?://[^\s/]+", str(link)):
        raise GraphError(100, f"(#100) Param {kind}['link'] is not a valid URL.")
    if "caption" in content:
        if kind in ("audio", "sticker"):
            raise GraphError(100, f'(#100) Unexpected key "caption" on param {kind}.')
        if len(str(content["caption"])) > _LONGEST_CAPTION:
            raise GraphError(
                100, f"(#100) Param {kind}['caption'] must be at most {_LONGEST_CAPTION} characters long."
            )
    if media_id:
        _known_media(simulator, number, kind, str(media_id))


def _known_media(simulator: Simulator, number: Number, kind: str, media_id: str) -> None:
    from local.graph.edges.media import MIME_TYPES

    media = simulator.state.media.get(media_id)
    if media is None or media.waba_id != number.waba_id or media.lives_until <= simulator.clock.now():
        raise GraphError(100, "(#100) Invalid parameter", details=f"Media ID {media_id} is not valid.")
    wanted = _MEDIA_KINDS[kind]
    found = MIME_TYPES.get(media.mime_type.partition(";")[0], ("document", 0))[0]
    if wanted is not None and found != wanted:
        raise documented(
            131053, details=f"Media of type {media.mime_type} cannot be sent as {kind}.", http_status=400
        )


def _location(_simulator: Simulator, _number: Number, content: dict[str, Any]) -> None:
    for name, most in (("latitude", 90.0), ("longitude", 180.0)):
        value = content.get(name)
        if value is None or value == "":
            raise required(f"location['{name}']")
        try:
            degrees = float(value)
        except (TypeError, ValueError):
            raise GraphError(100, f"(#100) Param location['{name}'] must be a number.") from None
        if not -most <= degrees <= most:
            raise bad_value(f"{name} must be between -{most:g} and {most:g}.")


def _contacts(content: Any) -> None:
    if not isinstance(content, list) or not content:
        raise GraphError(100, "(#100) Param contacts must be a non-empty array.")
    for position, contact in enumerate(content):
        name = contact.get("name") if isinstance(contact, dict) else None
        if not isinstance(name, dict):
            raise required(f"contacts[{position}]['name']")
        if not name.get("formatted_name"):
            raise required(f"contacts[{position}]['name']['formatted_name']")


def _reaction(_simulator: Simulator, _number: Number, content: dict[str, Any]) -> None:
    if not content.get("message_id"):
        raise required("reaction['message_id']")
    if not isinstance(content.get("emoji"), str):
        raise required("reaction['emoji']")


def _interactive(_simulator: Simulator, _number: Number, content: dict[str, Any]) -> None:
    kind = content.get("type")
    if not kind:
        raise required("interactive['type']")
    check = _INTERACTIVE.get(str(kind))
    if check is None:
        allowed = ", ".join(_INTERACTIVE).upper()
        raise GraphError(
            100, f"(#100) Param interactive['type'] must be one of {{{allowed}}} - got \"{kind}\"."
        )
    action = content.get("action")
    if not isinstance(action, dict) and kind not in ("call_permission_request", "request_contact_info"):
        raise required("interactive['action']")
    _interactive_texts(str(kind), content)
    check(action or {})


def _interactive_texts(kind: str, content: dict[str, Any]) -> None:
    body = content.get("body")
    if kind != "product":
        if not isinstance(body, dict) or not body.get("text"):
            raise required("interactive['body']['text']")
        _length("Body text", body["text"], _LONGEST_LIST_BODY if kind == "list" else _LONGEST_BODY)
    footer = content.get("footer")
    if footer is not None:
        _length("Footer text", footer.get("text") if isinstance(footer, dict) else None, _LONGEST_FOOTER)
    header = content.get("header")
    if header is None:
        return
    header_type = header.get("type") if isinstance(header, dict) else None
    if kind in ("list", "product_list") and header_type != "text":
        raise bad_value("Invalid header type. List messages only support text headers.")
    if header_type == "text":
        _length("Header text", header.get("text"), _LONGEST_HEADER)
    elif header_type not in ("image", "video", "document"):
        raise bad_value("Invalid header type.")


def _object(value: Any) -> dict[str, Any]:
    """Return a JSON object; anything else is an empty one, which then lacks what it needs."""
    return value if isinstance(value, dict) else {}


def _buttons(action: dict[str, Any]) -> None:
    buttons = action.get("buttons")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= _MOST_BUTTONS:
        raise bad_value(
            f"Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: {_MOST_BUTTONS}"
        )
    replies = [_object(_object(button).get("reply")) for button in buttons]
    for reply in replies:
        _length("Button title", reply.get("title"), _BUTTON_TITLE)
        _length("Button id", reply.get("id"), _BUTTON_ID)
    if len({reply["title"] for reply in replies}) < len(replies):
        raise bad_value("Duplicate button title. Button titles must be unique.")
    if len({reply["id"] for reply in replies}) < len(replies):
        raise bad_value("Duplicate button id. Button ids must be unique.")


def _list(action: dict[str, Any]) -> None:
    _length("Button label", action.get("button"), _BUTTON_TITLE)
    sections = action.get("sections")
    if not isinstance(sections, list) or not 1 <= len(sections) <= _MOST_SECTIONS:
        raise bad_value(f"Invalid sections count. Min allowed: 1, Max allowed: {_MOST_SECTIONS}")
    rows: list[dict[str, Any]] = []
    for section in map(_object, sections):
        title = section.get("title")
        if len(sections) > 1 or title is not None:
            _length("Section title", title, _SECTION_TITLE)
        found = section.get("rows")
        rows.extend(map(_object, found if isinstance(found, list) else []))
    if not rows:
        raise bad_value("Section rows are required.")
    if len(rows) > _MOST_ROWS:
        raise bad_value(f"Total row count exceed max allowed count: {_MOST_ROWS}")
    for row in rows:
        _row(row)
    if len({str(row["id"]) for row in rows}) < len(rows):
        raise bad_value("Duplicate row id. Row ids must be unique.")


def _row(row: dict[str, Any]) -> None:
    if not row.get("id") or not row.get("title"):
        raise bad_value("Row id and title are required.")
    for name, longest in (("title", _ROW_TITLE), ("id", _ROW_ID), ("description", _ROW_DESCRIPTION)):
        if len(str(row.get(name) or "")) > longest:
            raise bad_value(f"Row {name} is too long. Max length is {longest}")


def _cta_url(action: dict[str, Any]) -> None:
    parameters = action.get("parameters")
    if not isinstance(parameters, dict):
        raise required("interactive['action']['parameters']")
    _length("Display text", parameters.get("display_text"), _CTA)
    if not re.match(r"https?://[^\s/]+", str(parameters.get("url", ""))):
        raise bad_value("url is not a valid URL.")


def _location_request(action: dict[str, Any]) -> None:
    if action.get("name") != "send_location":
        raise bad_value("Action name must be send_location.")


def _flow(action: dict[str, Any]) -> None:
    parameters = action.get("parameters")
    if not isinstance(parameters, dict):
        raise required("interactive['action']['parameters']")
    if not parameters.get("flow_id") and not parameters.get("flow_name"):
        raise missing_parameter("flow_id or flow_name is required.")
    if not parameters.get("flow_cta"):
        raise missing_parameter("flow_cta is required.")
    if str(parameters.get("flow_message_version", "3")) != "3":
        raise bad_value("flow_message_version must be 3.")


def _product(action: dict[str, Any]) -> None:
    for name in ("catalog_id", "product_retailer_id"):
        if not action.get(name):
            raise required(f"interactive['action']['{name}']")


def _product_list(action: dict[str, Any]) -> None:
    if not action.get("catalog_id"):
        raise required("interactive['action']['catalog_id']")
    if not action.get("sections"):
        raise required("interactive['action']['sections']")


def _anything(_action: dict[str, Any]) -> None:
    return None


_INTERACTIVE: dict[str, Callable[[dict[str, Any]], None]] = {
    "button": _buttons,
    "list": _list,
    "cta_url": _cta_url,
    "location_request_message": _location_request,
    "flow": _flow,
    "product": _product,
    "product_list": _product_list,
    "catalog_message": _anything,
    "carousel": _anything,
    "address_message": _anything,
    "call_permission_request": _anything,
    "request_contact_info": _anything,
    "voice_call": _anything,
    "order_details": _anything,
    "order_status": _anything,
}

_CHECKS: dict[str, Check] = {
    "text": _text,
    "location": _location,
    "reaction": _reaction,
    "interactive": _interactive,
}


def _template(
    simulator: Simulator, number: Number, body: dict[str, Any], content: dict[str, Any]
) -> Template:
    name = content.get("name")
    if not name:
        raise required("template['name']")
    language = content.get("language")
    code = language.get("code") if isinstance(language, dict) else None
    if not code:
        raise required("template['language']")
    template = next(
        (
            candidate
            for candidate in simulator.state.templates_of(number.waba_id)
            if candidate.name == name and candidate.language == code
        ),
        None,
    )
    if template is None or template.status in ("PENDING", "REJECTED", "IN_APPEAL", "PENDING_DELETION"):
        raise documented(132001, details=f"template name ({name}) does not exist in {code}")
    if template.status == "PAUSED":
        raise documented(132015)
    if template.status == "DISABLED":
        raise documented(132016)
    if template.category == "AUTHENTICATION" and not body.get("to"):
        raise documented(131062)
    check_parameters(template, content.get("components") or [])
    return template
