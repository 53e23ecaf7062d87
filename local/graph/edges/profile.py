"""The business profile, the block list, and smaller settings of a number. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph import phones, wire
from local.graph.errors import GraphError, documented, nonexisting_field, required
from local.graph.graph import edge
from local.graph.paging import page

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import Number

FIELDS = (
    "about",
    "address",
    "description",
    "email",
    "profile_picture_url",
    "websites",
    "vertical",
)
_LENGTHS = {"about": 139, "address": 256, "description": 512, "email": 128}
_MOST_WEBSITES, _LONGEST_WEBSITE = 2, 256
VERTICALS = frozenset(
    (
        "UNDEFINED",
        "OTHER",
        "AUTO",
        "BEAUTY",
        "APPAREL",
        "EDU",
        "ENTERTAIN",
        "EVENT_PLAN",
        "FINANCE",
        "GROCERY",
        "GOVT",
        "HOTEL",
        "HEALTH",
        "NONPROFIT",
        "PROF_SERVICES",
        "RETAIL",
        "TRAVEL",
        "RESTAURANT",
        "NOT_A_BIZ",
        "ALCOHOL",
        "ONLINE_GAMBLING",
        "PHYSICAL_GAMBLING",
        "OTC_DRUGS",
        "MATRIMONY_SERVICE",
    )
)


@edge("number", "whatsapp_business_profile", "GET")
def get_profile(_simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Show the profile; fields that are not set are missing."""
    kept = {"vertical": "UNDEFINED", **number.profile}
    shown: dict[str, Any] = {}
    for name in call.fields() or FIELDS:
        if name not in (*FIELDS, "id", "messaging_product"):
            raise nonexisting_field(name, "WhatsAppBusinessProfile")
        if kept.get(name) not in (None, "", []):
            shown[name] = kept[name]
    shown["messaging_product"] = "whatsapp"
    return {"data": [shown]}


@edge("number", "whatsapp_business_profile", "POST")
def change_profile(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Change what is given of the profile."""
    if call.get("messaging_product") != "whatsapp":
        raise required("messaging_product")
    changes = {name: call.get(name) for name in FIELDS if call.get(name) is not None}
    for name, most in _LENGTHS.items():
        if len(str(changes.get(name, ""))) > most:
            raise GraphError(100, f"(#100) Param {name} must be at most {most} characters long.")
    if changes.get("about") == "":
        raise GraphError(100, "(#100) Param about must be at least 1 character long.")
    websites = changes.get("websites", [])
    if not isinstance(websites, list) or len(websites) > _MOST_WEBSITES:
        raise GraphError(100, "(#100) Param websites must be an array of at most 2 elements.")
    if any(len(str(site)) > _LONGEST_WEBSITE for site in websites):
        raise GraphError(100, "(#100) Param websites[0] must be at most 256 characters long.")
    if "vertical" in changes and changes["vertical"] not in VERTICALS:
        raise GraphError(100, f"(#100) Param vertical must be one of {{{', '.join(sorted(VERTICALS))}}}")
    handle = call.text("profile_picture_handle")
    if handle is not None:
        if all(upload.handle != handle for upload in simulator.state.uploads.values()):
            raise GraphError(100, "(#100) Param profile_picture_handle is not a valid file handle")
        changes["profile_picture_url"] = f"https://pps.whatsapp.net/v/{simulator.ids.letters(12)}.jpg"
    number.profile.update(changes)
    simulator.changed()
    return {"success": True}


@edge("number", "whatsapp_commerce_settings", "GET")
def get_commerce(_simulator: Simulator, _call: Call, number: Number) -> dict[str, Any]:
    """Show whether cart and catalogue are visible."""
    kept = {"is_cart_enabled": True, "is_catalog_visible": False, **number.profile.get("_commerce", {})}
    return {"data": [{**kept, "id": number.id}]}


@edge("number", "whatsapp_commerce_settings", "POST")
def change_commerce(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Change the visibility of cart and catalogue."""
    kept = number.profile.setdefault("_commerce", {})
    for name in ("is_cart_enabled", "is_catalog_visible"):
        if call.get(name) is not None:
            kept[name] = str(call.get(name)).lower() == "true"
    simulator.changed()
    return {"success": True}


@edge("number", "username", "GET")
def get_username(_simulator: Simulator, _call: Call, number: Number) -> dict[str, Any]:
    """Show the business's username."""
    return wire.without_empty(
        {"username": number.username, "status": "approved" if number.username else None}
    )


@edge("number", "username", "POST")
def set_username(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Take a username that nobody has."""
    name = call.need("username").lstrip("@").lower()
    if any(other.username == name and other is not number for other in simulator.state.numbers.values()):
        raise documented(147001)
    number.username = name
    simulator.changed()
    return {"status": "approved"}


@edge("number", "username", "DELETE")
def remove_username(simulator: Simulator, _call: Call, number: Number) -> dict[str, Any]:
    """Give the username up."""
    number.username = None
    simulator.changed()
    return {"success": True}


@edge("number", "block_users", "GET")
def list_blocked(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """List the people that the business blocked."""

    def show(key: str) -> dict[str, Any]:
        customer = simulator.state.customers.get(key)
        return {"messaging_product": "whatsapp", "wa_id": customer.phone_number if customer else key}

    return page(call, number.blocked, show, simulator.base_url)


@edge("number", "block_users", "POST")
def block(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Block people who wrote within the last 24 hours; others cannot be blocked."""
    added, failed = [], []
    for given in _users(call):
        customer = simulator.state.find_customer(phones.digits_of(given) or given)
        if customer is None or not simulator.is_in_window(number, customer):
            failed.append(_failed(given))
            continue
        if customer.key not in number.blocked:
            number.blocked.append(customer.key)
        added.append({"input": given, "wa_id": customer.phone_number})
    simulator.changed()
    return _blocking("added_users", added, failed)


@edge("number", "block_users", "DELETE")
def unblock(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Unblock people."""
    removed = []
    for given in _users(call):
        customer = simulator.state.find_customer(phones.digits_of(given) or given)
        if customer is not None and customer.key in number.blocked:
            number.blocked.remove(customer.key)
        removed.append({"input": given, "wa_id": customer.phone_number if customer else given})
    simulator.changed()
    return _blocking("removed_users", removed, [])


def _users(call: Call) -> list[str]:
    users = call.get("block_users")
    if not isinstance(users, list) or not users:
        raise required("block_users")
    return [str(user.get("user", "")) for user in users if isinstance(user, dict)]


def _failed(given: str) -> dict[str, Any]:
    return {
        "input": given,
        "wa_id": phones.digits_of(given),
        "errors": [
            {
                "message": "Re-engagement required",
                "code": 131047,
                "error_data": {"details": "Message the user within the last 24 hours before blocking."},
            }
        ],
    }


def _blocking(name: str, users: list[dict[str, Any]], failed: list[dict[str, Any]]) -> dict[str, Any]:
    if failed and not users:
        raise documented(139100)
    told: dict[str, Any] = {name: users}
    if failed:
        told["failed_users"] = failed
    return {"messaging_product": "whatsapp", "block_users": told}
