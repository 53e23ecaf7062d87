"""Templates: what they may hold when created, and what a message must give for them. No I/O.

https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/template-management
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from local.graph.errors import GraphError, bad_value, documented, missing_parameter, required

if TYPE_CHECKING:
    from local.graph.state import Template

CATEGORIES = ("AUTHENTICATION", "MARKETING", "UTILITY")
_NAME = re.compile(r"[a-z0-9_]{1,512}\Z")
_LANGUAGE = re.compile(r"[a-z]{2,3}(_[A-Z]{2,3}|_[A-Z][a-z]{3})?\Z")
_VARIABLE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
_HEADER_FORMATS = ("TEXT", "IMAGE", "VIDEO", "DOCUMENT", "LOCATION", "GIF")
_LENGTHS = {"HEADER": 60, "BODY": 1024, "FOOTER": 60}
_MOST_BUTTONS, _BUTTON_TEXT = 10, 25
_MISSING_FIELD, _TOO_LONG, _AT_THE_EDGE = 2388043, 2388040, 2388299


def variables(text: str) -> list[str]:
    """Return the names of the variables in a text, each once, in their order."""
    return list(dict.fromkeys(_VARIABLE.findall(text)))


def invalid(subcode: int | None, title: str, message: str) -> GraphError:
    """Build the error of the template edges: `Invalid parameter` with a sentence for the user."""
    return GraphError(
        100,
        "Invalid parameter",
        subcode=subcode,
        is_transient=False,
        user_title=title,
        user_message=message,
    )


def check_name(name: str) -> None:
    """Refuse a name that is not lower-case letters, digits and underscores."""
    if not _NAME.match(name):
        raise GraphError(
            100, "(#100) Param name must contain only lowercase alphanumeric characters and underscores"
        )


def check_language(language: str) -> None:
    """Refuse what cannot be a language."""
    if not _LANGUAGE.match(language):
        raise GraphError(100, f'(#100) Param language must be a supported language - got "{language}".')


def check_category(category: str) -> None:
    """Refuse a category that does not exist."""
    if category not in CATEGORIES:
        raise GraphError(
            100, f'(#100) Param category must be one of {{{", ".join(CATEGORIES)}}} - got "{category}".'
        )


def normalize(components: Any, category: str) -> list[dict[str, Any]]:
    """Check the components and return them as Graph shows them; raises GraphError."""
    if not isinstance(components, list) or not components:
        raise required("components")
    shown = [_component(component, category) for component in components]
    kinds = [component["type"] for component in shown]
    if len(set(kinds)) < len(kinds):
        raise invalid(None, "Duplicate components", "Each type of component can be given once.")
    if "BODY" not in kinds:
        raise invalid(
            _MISSING_FIELD,
            'Message template "components" param is missing expected field(s)',
            "component of type BODY is missing",
        )
    return shown


def _component(component: Any, category: str) -> dict[str, Any]:
    if not isinstance(component, dict) or not component.get("type"):
        raise required("components[0]['type']")
    shown = {**component, "type": str(component["type"]).upper()}
    kind = shown["type"]
    if kind == "HEADER":
        shown["format"] = str(shown.get("format", "")).upper()
        if shown["format"] not in _HEADER_FORMATS:
            raise required("components[0]['format']")
    if kind == "BUTTONS":
        shown["buttons"] = _buttons(shown.get("buttons"))
    needs_text = kind in ("BODY", "FOOTER") or shown.get("format") == "TEXT"
    if needs_text and category != "AUTHENTICATION":
        _check_text(shown)
    return shown


def _check_text(component: dict[str, Any]) -> None:
    kind, text = component["type"], component.get("text")
    if not isinstance(text, str) or not text:
        raise _missing(kind, "text")
    if len(text) > _LENGTHS[kind]:
        raise invalid(
            _TOO_LONG, "Field is too long", f"The {kind} field can hold at most {_LENGTHS[kind]} characters."
        )
    names = variables(text)
    if not names:
        return
    if kind == "FOOTER":
        raise invalid(None, "Variables are not allowed", "The FOOTER cannot hold variables.")
    if kind == "BODY" and (text.strip().startswith("{{") or text.strip().endswith("}}")):
        raise invalid(
            _AT_THE_EDGE,
            "Leading or trailing params not allowed",
            "Variables can't be at the start or end of the template.",
        )
    if not component.get("example"):
        raise _missing(kind, "example")
    digits = [name for name in names if name.isdigit()]
    if digits and digits != [str(position) for position in range(1, len(names) + 1)]:
        raise invalid(None, "Invalid variables", "Variables must be numbered {{1}}, {{2}} … without gaps.")


def _missing(kind: str, field: str) -> GraphError:
    return invalid(
        _MISSING_FIELD,
        'Message template "components" param is missing expected field(s)',
        f"component of type {kind} is missing expected field(s) ({field})",
    )


def _buttons(buttons: Any) -> list[dict[str, Any]]:
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= _MOST_BUTTONS:
        raise invalid(None, "Invalid buttons", f"A template can hold 1 to {_MOST_BUTTONS} buttons.")
    shown = []
    for button in buttons:
        if not isinstance(button, dict):
            raise invalid(None, "Invalid buttons", "A button is an object.")
        copy = {**button, "type": str(button.get("type", "")).upper()}
        if len(str(copy.get("text", ""))) > _BUTTON_TEXT:
            raise invalid(_TOO_LONG, "Field is too long", "A button's text can hold at most 25 characters.")
        phone = copy.get("phone_number")
        if phone and not str(phone).startswith("+"):
            copy["phone_number"] = f"+{phone}"
        shown.append(copy)
    return shown


def check_parameters(template: Template, given: list[Any]) -> None:
    """Refuse a message whose parameters do not fit its template."""
    if not isinstance(given, list):
        raise GraphError(100, "(#100) Param template['components'] must be an array.")
    for position, component in enumerate(given):
        parameters = component.get("parameters", []) if isinstance(component, dict) else None
        if not isinstance(parameters, list | None) or not isinstance(component, dict):
            raise GraphError(100, f"(#100) Param template['components'][{position}] must be a JSON object.")
        if any(not isinstance(parameter, dict) for parameter in parameters or []):
            raise GraphError(
                100, f"(#100) Param template['components'][{position}]['parameters'] must be JSON objects."
            )
    by_kind = {str(component.get("type", "")).lower(): component for component in given}
    for component in template.components:
        kind = component["type"]
        if kind == "HEADER":
            _check_header(component, by_kind.get("header"))
        elif kind == "BODY":
            expected = variables(str(component.get("text", "")))
            if template.category == "AUTHENTICATION" and not expected:
                expected = ["1"]
            _check_count("body", expected, by_kind.get("body"))
        elif kind == "BUTTONS":
            _check_buttons(component.get("buttons", []), given)


def _check_header(component: dict[str, Any], given: dict[str, Any] | None) -> None:
    form = component.get("format", "TEXT")
    if form == "TEXT":
        _check_count("header", variables(str(component.get("text", ""))), given)
        return
    parameters = (given or {}).get("parameters") or []
    found = str(parameters[0].get("type", "")).upper() if parameters else "UNKNOWN"
    if found != form:
        raise documented(132012, details=f"header: Format mismatch, expected {form}, received {found}")


def _check_count(where: str, expected: list[str], given: dict[str, Any] | None) -> None:
    parameters = (given or {}).get("parameters") or []
    if len(parameters) != len(expected):
        raise documented(
            132000,
            details=(
                f"{where}: number of localizable_params ({len(parameters)}) "
                f"does not match the expected number of params ({len(expected)})"
            ),
        )
    for parameter in parameters:
        name = parameter.get("parameter_name")
        if not expected[0].isdigit() and name not in expected:
            raise GraphError(100, "(#100) Invalid parameter", details="Parameter name is missing or empty")
        if str(parameter.get("type", "")).lower() == "text" and not parameter.get("text"):
            raise documented(131008, details=f"{where}: Parameter of type text is missing text value")


def _check_buttons(buttons: list[dict[str, Any]], given: list[dict[str, Any]]) -> None:
    sent = {
        str(component.get("index")): component
        for component in given
        if str(component.get("type", "")).lower() == "button"
    }
    for index, button in enumerate(buttons):
        kind = button["type"]
        is_dynamic = (kind == "URL" and variables(str(button.get("url", "")))) or kind in ("OTP", "COPY_CODE")
        if is_dynamic and not (sent.get(str(index)) or {}).get("parameters"):
            raise missing_parameter(
                f"buttons: Button at index {index} of type {kind.title()} requires a parameter"
            )
    for position in sent:
        if not position.isdigit() or int(position) >= len(buttons):
            raise bad_value(f"buttons: Button index {position} is not in the template")
