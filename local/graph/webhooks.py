"""The payloads of webhooks, built from what happened. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph import wire

if TYPE_CHECKING:
    from local.graph.state import Customer, Message, Number, Waba

OBJECT = "whatsapp_business_account"
CONVERSATION_UNTIL = 24
"""From this version on, statuses carry no conversation."""


def envelope(waba_id: str, field: str, value: dict[str, Any], time: int | None = None) -> dict[str, Any]:
    """Wrap one change; `time` is only written for fields about accounts and templates."""
    entry: dict[str, Any] = {"id": waba_id}
    if time is not None:
        entry["time"] = time
    entry["changes"] = [{"value": value, "field": field}]
    return {"object": OBJECT, "entry": [entry]}


def metadata(number: Number) -> dict[str, Any]:
    """Return the head of a value that concerns a number."""
    return {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": number.phone_number, "phone_number_id": number.id},
    }


def contact(customer: Customer, business_id: str, *, shows_phone: bool) -> dict[str, Any]:
    """Describe a person in `contacts`."""
    profile = wire.without_empty(
        {"name": customer.name, "username": f"@{customer.username}" if customer.username else None}
    )
    return wire.without_empty(
        {
            "profile": profile,
            "wa_id": (customer.wa_id or customer.phone_number) if shows_phone else None,
            "user_id": customer.bsuids.get(business_id),
            "parent_user_id": customer.parent_bsuids.get(business_id),
        }
    )


def incoming(
    number: Number, waba: Waba, customer: Customer, message: dict[str, Any], *, shows_phone: bool
) -> dict[str, Any]:
    """Build the value for a message that a customer sent; `message` holds id, timestamp, type and content."""
    sender = wire.without_empty(
        {
            "from": (customer.wa_id or customer.phone_number) if shows_phone else None,
            "from_user_id": customer.bsuids.get(waba.business_id),
            "from_parent_user_id": customer.parent_bsuids.get(waba.business_id),
        }
    )
    value = metadata(number)
    if message.get("type") != "system":
        value["contacts"] = [contact(customer, waba.business_id, shows_phone=shows_phone)]
    value["messages"] = [{**sender, **message}]
    return value


def status(  # noqa: PLR0913 - each is a part of the payload
    number: Number,
    waba: Waba,
    customer: Customer,
    message: Message,
    name: str,
    timestamp: int,
    *,
    has_pricing: bool,
    webhook_version: str,
    is_in_window: bool,
    error: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the value for a status of a message that the business sent."""
    shows_phone = message.by_phone
    told: dict[str, Any] = wire.without_empty(
        {
            "id": message.id,
            "status": name,
            "timestamp": str(timestamp),
            "recipient_id": (customer.wa_id or customer.phone_number) if shows_phone else None,
            "recipient_user_id": customer.bsuids.get(waba.business_id),
            "recipient_parent_user_id": customer.parent_bsuids.get(waba.business_id),
            "biz_opaque_callback_data": message.callback_data,
        }
    )
    if has_pricing:
        is_free = message.category == "service"
        if int(webhook_version.lstrip("v").split(".")[0]) < CONVERSATION_UNTIL:
            told["conversation"] = {
                "id": message.id[-32:].lower(),
                "expiration_timestamp": str(timestamp + 86400),
                "origin": {"type": message.category},
            }
        told["pricing"] = {
            "billable": not is_free,
            "pricing_model": "PMP",
            "type": "free_customer_service" if is_free and is_in_window else "regular",
            "category": message.category,
        }
    if error is not None:
        told["errors"] = [error]
    value = metadata(number)
    if name != "failed":
        value["contacts"] = [contact(customer, waba.business_id, shows_phone=shows_phone)]
    value["statuses"] = [told]
    return value


def merge(payloads: list[dict[str, Any]], shape: str) -> dict[str, Any]:
    """Put several deliveries for one callback into one, as Meta may."""
    if len(payloads) == 1:
        return payloads[0]
    entries = [entry for payload in payloads for entry in payload["entry"]]
    if shape == "entries":
        return {"object": OBJECT, "entry": entries}
    merged: dict[str, dict[str, Any]] = {}
    for entry in entries:
        kept = merged.setdefault(entry["id"], {**entry, "changes": []})
        kept["changes"].extend(entry["changes"])
    if shape == "values":
        for entry in merged.values():
            entry["changes"] = _join_values(entry["changes"])
    return {"object": OBJECT, "entry": list(merged.values())}


def _join_values(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    joined: dict[tuple[str, str], dict[str, Any]] = {}
    others: list[dict[str, Any]] = []
    for change in changes:
        value = change["value"]
        number_id = value.get("metadata", {}).get("phone_number_id")
        if change["field"] != "messages" or number_id is None:
            others.append(change)
            continue
        key = (change["field"], number_id)
        if key not in joined:
            joined[key] = {"value": {**value}, "field": change["field"]}
            continue
        kept = joined[key]["value"]
        for name in ("contacts", "messages", "statuses", "errors"):
            if name in value:
                kept[name] = [*kept.get(name, []), *value[name]]
        kept["contacts"] = list({str(person): person for person in kept.get("contacts", [])}.values())
    return [*joined.values(), *others]
