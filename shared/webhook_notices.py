"""What Meta tells about accounts, numbers and templates → our template and notice items. No I/O.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.contacts import identifier_of, phone_digits
from shared.loose_json import integer_of, list_of, mapping_of, moment_of, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

Item = dict[str, object]
Mapping = dict[str, object]

INFO, WARNING, CRITICAL = "info", "warning", "critical"
_MAX_EVENT = 128

TEMPLATE_FIELDS = frozenset(
    {
        "message_template_status_update",
        "message_template_quality_update",
        "message_template_components_update",
        "template_category_update",
    }
)

# Fields whose value is stored whole. The second spellings are in Meta's own texts too.
NOTICE_FIELDS = frozenset(
    {
        "account_alerts",
        "account_review_update",
        "account_settings_update",
        "account_update",
        "automatic_events",
        "business_capability_update",
        "business_status_update",
        "business_username_update",
        "business_username_updates",
        "calls",
        "flows",
        "group_lifecycle_update",
        "group_participant_update",
        "group_participants_update",
        "group_settings_update",
        "group_status_update",
        "messaging_handovers",
        "partner_solutions",
        "payment_configuration_update",
        "phone_number_name_update",
        "phone_number_quality_update",
        "security",
        "tracking_events",
        "user_id_update",
        "user_preferences",
        "whatsapp_account",
    }
)

# The business can no longer work, or no longer with us, until somebody acts.
_CRITICAL_ACCOUNT_EVENTS = frozenset(
    {
        "ACCOUNT_DELETED",
        "ACCOUNT_OFFBOARDED",
        "ACCOUNT_RESTRICTION",
        "ACCOUNT_VIOLATION",
        "DISABLED_UPDATE",
        "PARTNER_APP_UNINSTALLED",
        "PARTNER_REMOVED",
    }
)
_WARNING_ACCOUNT_EVENTS = frozenset(
    {"PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE", "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE"}
)
# Errors at value level that stop a number altogether; the rest concern single messages.
_CRITICAL_ERRORS = frozenset({0, 190, 368, 131031, 131042, 131045})

_BAD_TEMPLATE_STATUS = {
    "REJECTED": WARNING,
    "PAUSED": WARNING,
    "FLAGGED": WARNING,
    "LIMIT_EXCEEDED": WARNING,
    "DISABLED": CRITICAL,
}
_BAD_TEMPLATE_QUALITY = {"RED": WARNING}

_LISTS = ("calls", "groups", "user_preferences", "automatic_events", "statuses", "user_id_update")


def template_facts(value: Mapping) -> Item | None:
    """Return the template item of a value, or None if it names no template.

    The value's shape decides, not the field: Meta's own documentation shows quality scores
    under `message_template_status_update`.
    """
    template_id = identifier_of(value.get("message_template_id"))
    name = identifier_of(value.get("message_template_name"))
    if template_id is None and name is None:
        return None
    return {
        "template_id": template_id,
        "name": name,
        "language": _template_language(value),
        "event": _template_event(value),
        "status": _word(value.get("event")),
        "quality": _word(value.get("new_quality_score")),
        "category": _word(value.get("new_category")) or _word(value.get("message_template_category")),
        "reason": _template_reason(value),
        "content": value,
    }


def _template_event(value: Mapping) -> str:
    if (status := _word(value.get("event"))) is not None:
        return status
    if "new_quality_score" in value or "previous_quality_score" in value:
        return "QUALITY"
    if "new_category" in value or "correct_category" in value:
        return "CATEGORY"
    return "COMPONENTS"


def _template_language(value: Mapping) -> str | None:
    """Return the language as Graph's list spells it: news may say `en-US`."""
    language = identifier_of(value.get("message_template_language"))
    return None if language is None else language.replace("-", "_")


def _template_reason(value: Mapping) -> str | None:
    reason = text_of(value.get("reason"))
    if reason is not None and reason.upper() != "NONE":
        return reason
    information = mapping_of(value.get("rejection_info")) or mapping_of(value.get("other_info"))
    return text_of(information.get("reason")) or text_of(information.get("description"))


def template_notice(field: str, facts: Item, value: Mapping) -> Item:
    """Return the notice item beside a template item: news that asks for nothing is told too."""
    event = str(facts["event"])
    severity = _BAD_TEMPLATE_STATUS.get(event, INFO)
    if event == "QUALITY" and facts["quality"] is not None:
        event = f"QUALITY_{facts['quality']}"
        severity = _BAD_TEMPLATE_QUALITY.get(str(facts["quality"]), INFO)
    return {**notice_facts(field, value), "event": event, "severity": severity}


def notice_facts(field: str, value: Mapping) -> Item:
    """Return the notice item of a whole value: what happened, how bad it is, to which number or template."""
    first = _first_of_lists(value)
    event = (
        _word(value.get("event"))
        or _word(mapping_of(value.get("alert_info")).get("alert_type"))
        or _word(first.get("type"))
        or _word(first.get("event"))
        or _word(first.get("event_name"))
        or _word(value.get("decision"))
        or _word(first.get("value"))
        or field.upper()
    )
    return {
        "field": field,
        "event": event,
        "severity": _SEVERITIES[field](event, value) if field in _SEVERITIES else INFO,
        "content": value,
        "phone_number": phone_number_of(value),
        "template_id": identifier_of(value.get("message_template_id")),
    }


def preference_notice(field: str, preference: Mapping, phone_number: str | None) -> Item:
    """Return the notice item of what one of several customers wants of a business number's marketing."""
    content: Item = {"user_preferences": [preference]}
    return {**notice_facts(field, content), "phone_number": phone_number}


def error_notice(field: str, error: Mapping) -> Item:
    """Return the notice item of an error that Meta put beside messages, not into one."""
    code = integer_of(error.get("code"))
    severity = CRITICAL if code in _CRITICAL_ERRORS else WARNING
    return _plain_notice(field, "ERROR" if code is None else str(code), severity, error)


def status_notice(field: str, status: Mapping) -> Item:
    """Return the notice item of a status that speaks of a payment or a call instead of a message."""
    event = "_".join(word for key in ("type", "status") if (word := _word(status.get(key))))
    return _plain_notice(field, event, INFO, status)


def progress_notice(field: str, metadata: Mapping) -> Item:
    """Return the notice item of a history chunk: its phase, its place, and how much has come."""
    return _plain_notice(field, "SYNC_PROGRESS", INFO, metadata)


def _plain_notice(field: str, event: str, severity: str, content: Mapping) -> Item:
    return {
        "field": field,
        "event": event,
        "severity": severity,
        "content": content,
        "phone_number": None,
        "template_id": None,
    }


def phone_number_of(value: Mapping) -> str | None:
    """Return, as E.164, the business number that a value names."""
    metadata = mapping_of(value.get("metadata"))
    candidates = (
        value.get("display_phone_number"),
        value.get("phone_number"),
        metadata.get("display_phone_number"),
    )
    digits = next((digits for candidate in candidates if (digits := phone_digits(candidate))), None)
    return f"+{digits}" if digits else None


def waba_id_of(value: Mapping) -> str | None:
    """Return the WABA that a value speaks of when the entry is the partner's own business."""
    return identifier_of(mapping_of(value.get("waba_info")).get("waba_id"))


def time_of(value: Mapping, *, latest: float | None) -> str | None:
    """Return the time that a notice's value states for itself."""
    own = moment_of(value.get("timestamp"), latest=latest)
    return own or moment_of(_first_of_lists(value).get("timestamp"), latest=latest)


def _first_of_lists(value: Mapping) -> Mapping:
    for key in _LISTS:
        for element in list_of(value.get(key)):
            return mapping_of(element)
    return {}


def _word(value: object) -> str | None:
    text = text_of(value)
    return text[:_MAX_EVENT].upper() if text else None


def _account_update(event: str, value: Mapping) -> str:
    ban = _word(mapping_of(value.get("ban_info")).get("waba_ban_state"))
    if event == "DISABLED_UPDATE" and ban == "REINSTATE":
        return INFO
    if event in _CRITICAL_ACCOUNT_EVENTS:
        return CRITICAL
    return WARNING if event in _WARNING_ACCOUNT_EVENTS else INFO


def _account_alerts(_event: str, value: Mapping) -> str:
    severity = _word(mapping_of(value.get("alert_info")).get("alert_severity"))
    return {"CRITICAL": CRITICAL, "WARNING": WARNING}.get(severity or "", INFO)


def _account_review(_event: str, value: Mapping) -> str:
    return CRITICAL if _word(value.get("decision")) == "REJECTED" else INFO


def _name_update(_event: str, value: Mapping) -> str:
    return WARNING if _word(value.get("decision")) in {"REJECTED", "DECLINED", "EXPIRED"} else INFO


def _number_quality(event: str, _value: Mapping) -> str:
    return WARNING if event in {"FLAGGED", "DOWNGRADE"} else INFO


def _security(_event: str, _value: Mapping) -> str:
    # Somebody changed or wants to reset the number's PIN: harmless only if it was the owner.
    return WARNING


def _flows(_event: str, value: Mapping) -> str:
    is_alert = _word(value.get("alert_state")) == "ACTIVATED"
    is_stopped = _word(value.get("new_status")) in {"THROTTLED", "BLOCKED"}
    return WARNING if is_alert or is_stopped else INFO


def _group_status(event: str, _value: Mapping) -> str:
    return WARNING if event == "GROUP_SUSPEND" else INFO


_SEVERITIES: dict[str, Callable[[str, Mapping], str]] = {
    "account_alerts": _account_alerts,
    "account_review_update": _account_review,
    "account_update": _account_update,
    "flows": _flows,
    "group_status_update": _group_status,
    "phone_number_name_update": _name_update,
    "phone_number_quality_update": _number_quality,
    "security": _security,
}
