"""The WABA node, its numbers and its subscribed apps. No I/O but the handshake with a callback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph.edges.numbers import check_callback, health_of_waba, show_number
from local.graph.errors import GraphError, nonexisting_field
from local.graph.graph import NODE_TYPES, edge
from local.graph.paging import page

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import App, Number, Waba

DEFAULT_FIELDS = ("id", "name", "timezone_id", "message_template_namespace")
FIELDS = (
    "id",
    "name",
    "timezone_id",
    "currency",
    "country",
    "message_template_namespace",
    "account_review_status",
    "business_verification_status",
    "ownership_type",
    "primary_business_location",
    "status",
)
WITHOUT_VALUE = (
    "is_enabled_for_insights",
    "marketing_messages_lite_api_status",
    "marketing_messages_onboarding_status",
    "disable_marketing_messages_on_cloud_api",
    "purchase_order_number",
    "primary_funding_id",
    "auth_international_rate_eligibility",
)
"""Fields that Graph knows and the simulator has nothing to say about: left out, like any empty one."""


@edge("waba", "node", "GET")
def get_waba(simulator: Simulator, call: Call, waba: Waba) -> dict[str, Any]:
    """Show the account."""
    return show_waba(simulator, call, waba)


def show_waba(simulator: Simulator, call: Call, waba: Waba) -> dict[str, Any]:
    """Return the fields that were asked for; fields without a value are left out."""
    asked = call.fields()
    shown: dict[str, Any] = {}
    for name in asked if asked is not None else DEFAULT_FIELDS:
        value = _field(simulator, call, waba, name)
        if value is not None:
            shown[name] = value
    shown.setdefault("id", waba.id)
    return shown


def _field(simulator: Simulator, call: Call, waba: Waba, name: str) -> Any:
    if name in FIELDS:
        return getattr(waba, name)
    if name in WITHOUT_VALUE:
        return None
    show = _MADE_FIELDS.get(name)
    if show is None:
        raise nonexisting_field(name, NODE_TYPES["waba"])
    return show(simulator, call, waba)


@edge("waba", "node", "POST")
def change_waba(simulator: Simulator, call: Call, waba: Waba) -> dict[str, Any]:
    """Change the name or the time zone of the account."""
    waba.name = call.text("name") or waba.name
    waba.timezone_id = call.text("timezone_id") or waba.timezone_id
    simulator.changed()
    return {"success": True}


def _owner(_simulator: Simulator, _call: Call, waba: Waba) -> dict[str, Any]:
    return {"id": waba.business_id, "name": waba.business_name}


@edge("waba", "phone_numbers", "GET")
def list_numbers(simulator: Simulator, call: Call, waba: Waba) -> dict[str, Any]:
    """List the numbers of the account."""
    numbers = [number for number in simulator.state.numbers_of(waba.id) if _is_wanted(call, number)]
    if str(call.get("sort", "")).startswith("last_onboarded_time"):
        is_falling = str(call.get("sort")).endswith("descending")
        numbers.sort(key=lambda number: number.last_onboarded_time or 0.0, reverse=is_falling)
    asked = call.fields() if call.edge == "phone_numbers" else None
    return page(call, numbers, lambda number: show_number(simulator, call, number, asked), simulator.base_url)


def _is_wanted(call: Call, number: Number) -> bool:
    """Apply `filtering`, a list of {field, operator, value}."""
    filters = call.get("filtering")
    if not isinstance(filters, list):
        return True
    for rule in filters:
        shown = str(getattr(number, str(rule.get("field")), ""))
        wanted = rule.get("value")
        operator = str(rule.get("operator", "EQUAL")).upper()
        matches = shown in [str(one) for one in wanted] if isinstance(wanted, list) else shown == str(wanted)
        if matches != (operator not in ("NOT_EQUAL", "NOT_IN")):
            return False
    return True


@edge("waba", "subscribed_apps", "GET")
def list_subscribed_apps(simulator: Simulator, _call: Call, waba: Waba) -> dict[str, Any]:
    """List the apps that get the account's webhooks."""
    apps = simulator.state.apps
    return {
        "data": [
            {"whatsapp_business_api_data": _describe(apps[app_id]), **_override(override)}
            for app_id, override in waba.subscriptions.items()
            if app_id in apps
        ]
    }


@edge("waba", "subscribed_apps", "POST")
async def subscribe_app(simulator: Simulator, call: Call, waba: Waba) -> dict[str, Any]:
    """Subscribe the caller's app; without an override in the call, one that was there is cleared."""
    url = call.text("override_callback_uri")
    if url is not None:
        await check_callback(simulator, url, call.text("verify_token") or "")
    elif call.text("verify_token") is not None:
        raise GraphError(100, "(#100) The parameter override_callback_uri is required.")
    waba.subscriptions[call.token.app_id] = url
    simulator.changed()
    return {"success": True}


@edge("waba", "subscribed_apps", "DELETE")
def unsubscribe_app(simulator: Simulator, call: Call, waba: Waba) -> dict[str, Any]:
    """Unsubscribe the caller's app."""
    waba.subscriptions.pop(call.token.app_id, None)
    simulator.changed()
    return {"success": True}


def _describe(app: App) -> dict[str, str]:
    return {
        "id": app.id,
        "link": f"https://www.facebook.com/games/?app_id={app.id}",
        "name": app.name,
    }


def _override(url: str | None) -> dict[str, str]:
    return {"override_callback_uri": url} if url else {}


_MADE_FIELDS: dict[str, Callable[[Simulator, Call, Waba], Any]] = {
    "subscribed_apps": list_subscribed_apps,
    "health_status": lambda simulator, call, waba: health_of_waba(simulator, call, waba.id),
    "phone_numbers": list_numbers,
    "owner_business_info": _owner,
    "on_behalf_of_business_info": _owner,
    "whatsapp_business_manager_messaging_limit": lambda _simulator, _call, waba: waba.messaging_limit,
}
