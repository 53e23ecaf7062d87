"""The rules that a field can break, as sentences in both languages. No I/O.

Pydantic's own texts are English and some repeat what was sent. A rule of our own is raised as
`PydanticCustomError("rule_name", "English sentence.", {"es": "Frase en español."})`.
https://docs.pydantic.dev/latest/errors/validation_errors/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN_RULE = ("This value is not valid.", "Este valor no es válido.")

RULES: Mapping[str, tuple[str, str]] = {
    "missing": ("This field is required.", "Este campo es obligatorio."),
    "extra_forbidden": ("There is no such field.", "Este campo no existe."),
    "none_required": ("This must be null.", "Debe ser null."),
    "string_type": ("This must be text.", "Debe ser un texto."),
    "string_too_short": (
        "This must have at least {min_length} characters.",
        "Debe tener al menos {min_length} caracteres.",
    ),
    "string_too_long": (
        "This must have at most {max_length} characters.",
        "Debe tener como máximo {max_length} caracteres.",
    ),
    "string_pattern_mismatch": ("This does not have the form expected.", "No tiene el formato esperado."),
    "int_type": ("This must be a whole number.", "Debe ser un número entero."),
    "int_parsing": ("This must be a whole number.", "Debe ser un número entero."),
    "int_from_float": ("This must be a whole number.", "Debe ser un número entero."),
    "float_type": ("This must be a number.", "Debe ser un número."),
    "float_parsing": ("This must be a number.", "Debe ser un número."),
    "finite_number": ("This must be a number.", "Debe ser un número."),
    "bool_type": ("This must be true or false.", "Debe ser true o false."),
    "bool_parsing": ("This must be true or false.", "Debe ser true o false."),
    "greater_than": ("This must be greater than {gt}.", "Debe ser mayor que {gt}."),
    "greater_than_equal": ("This must be at least {ge}.", "Debe ser como mínimo {ge}."),
    "less_than": ("This must be less than {lt}.", "Debe ser menor que {lt}."),
    "less_than_equal": ("This must be at most {le}.", "Debe ser como máximo {le}."),
    "too_short": ("This needs at least {min_length} entries.", "Necesita al menos {min_length} elementos."),
    "too_long": ("This takes at most {max_length} entries.", "Admite como máximo {max_length} elementos."),
    "list_type": ("This must be a list.", "Debe ser una lista."),
    "dict_type": ("This must be an object.", "Debe ser un objeto."),
    "model_type": ("This must be an object.", "Debe ser un objeto."),
    "model_attributes_type": ("This must be an object.", "Debe ser un objeto."),
    "literal_error": ("This must be one of: {expected}.", "Debe ser uno de: {expected}."),
    "enum": ("This must be one of: {expected}.", "Debe ser uno de: {expected}."),
    "union_tag_not_found": ("The field that says the kind is missing.", "Falta el campo que indica el tipo."),
    "union_tag_invalid": (
        "The kind must be one of: {expected_tags}.",
        "El tipo debe ser uno de: {expected_tags}.",
    ),
    "uuid_parsing": ("This must be an id.", "Debe ser un id."),
    "uuid_type": ("This must be an id.", "Debe ser un id."),
    "url_parsing": ("This must be a web address.", "Debe ser una dirección web."),
    "url_type": ("This must be a web address.", "Debe ser una dirección web."),
    "url_scheme": (
        "This must be an address that begins with: {expected_schemes}.",
        "Debe ser una dirección que empiece con: {expected_schemes}.",
    ),
    "url_too_long": (
        "This must have at most {max_length} characters.",
        "Debe tener como máximo {max_length} caracteres.",
    ),
    "datetime_parsing": ("This must be a date and time.", "Debe ser una fecha y hora."),
    "datetime_type": ("This must be a date and time.", "Debe ser una fecha y hora."),
    "datetime_from_date_parsing": ("This must be a date and time.", "Debe ser una fecha y hora."),
    "timezone_aware": ("This needs a time zone.", "Necesita una zona horaria."),
    "storable_text": (
        "This holds a character that cannot be stored.",
        "Contiene un carácter que no se puede guardar.",
    ),
}


def to_detail(error: Mapping[str, Any]) -> dict[str, object]:
    """Turn one of pydantic's errors into {field, rule, message}, the message in both languages."""
    rule, context = str(error["type"]), error.get("ctx") or {}
    if rule in RULES:
        message = _say(rule, context)
    elif rule in ("value_error", "assertion_error"):
        english = str(error["msg"]).partition(", ")[2] or UNKNOWN_RULE[0]
        message = {"en": english, "es": english}
    elif "es" in context:
        message = {"en": str(error["msg"]), "es": str(context["es"]).format_map(context)}
    else:
        message = {"en": UNKNOWN_RULE[0], "es": UNKNOWN_RULE[1]}
    return {"field": to_path(error["loc"]), "rule": rule, "message": message}


def break_rule(field: tuple[int | str, ...], rule: str) -> dict[str, object]:
    """Describe a rule of this table that was found broken without pydantic."""
    return {"field": to_path(field), "rule": rule, "message": _say(rule, {})}


def to_path(location: tuple[int | str, ...]) -> str:
    """Write where a value stands, as `template.components[0].type`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


def _say(rule: str, context: Mapping[str, Any]) -> dict[str, str]:
    english, spanish = RULES[rule]
    return {"en": english.format_map(context), "es": spanish.format_map(context)}
