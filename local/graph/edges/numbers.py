"""The phone number node: what it shows, its callback, its PIN. No I/O but the handshake with a callback."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from local.graph import phones
from local.graph.errors import GraphError, nonexisting_field
from local.graph.graph import NODE_TYPES, edge

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import App, Number

Show = Callable[["Simulator", "Call", "Number"], Any]

DEFAULT_FIELDS = (
    "verified_name",
    "code_verification_status",
    "display_phone_number",
    "quality_rating",
    "platform_type",
    "throughput",
    "last_onboarded_time",
    "webhook_configuration",
)
LONGEST_CALLBACK = 200
PIN_LENGTH = 6


def throughput(_simulator: Simulator, _call: Call, number: Number) -> Any:
    """Show the level of the throughput."""
    return {"level": number.throughput_level}


def webhook_configuration(simulator: Simulator, call: Call, number: Number) -> Any:
    """Show the callbacks that the caller's app has for this number, by where they were set."""
    app_id = call.token.app_id
    waba = simulator.state.wabas[number.waba_id]
    app = simulator.state.apps[app_id]
    shown = {
        "phone_number": number.overrides.get(app_id),
        "whatsapp_business_account": waba.subscriptions.get(app_id),
        "application": app.callback_url,
    }
    return {name: url for name, url in shown.items() if url} or None


def last_onboarded_time(_simulator: Simulator, _call: Call, number: Number) -> Any:
    """Show when the number came to the Cloud API."""
    if number.last_onboarded_time is None:
        return None
    return time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime(number.last_onboarded_time))


def health_status(simulator: Simulator, call: Call, number: Number) -> Any:
    """Show whether messages can be sent, and by what it is hindered."""
    entities = [
        {"entity_type": "PHONE_NUMBER", "id": number.id, **_number_health(number)},
        *waba_and_app_health(simulator, call, number.waba_id),
    ]
    return {"can_send_message": _worst(entities), "entities": entities}


def health_of_waba(simulator: Simulator, call: Call, waba_id: str) -> dict[str, Any]:
    """Show whether a WABA can send messages."""
    entities = waba_and_app_health(simulator, call, waba_id)
    return {"can_send_message": _worst(entities), "entities": entities}


def waba_and_app_health(simulator: Simulator, call: Call, waba_id: str) -> list[dict[str, Any]]:
    """Show the health of what stands above a number or a template."""
    waba = simulator.state.wabas[waba_id]
    return [
        {"entity_type": "WABA", "id": waba.id, "can_send_message": _waba_health(waba.status)},
        {"entity_type": "BUSINESS", "id": waba.business_id, "can_send_message": "AVAILABLE"},
        {
            "entity_type": "APP",
            "id": call.token.app_id,
            "can_send_message": "AVAILABLE",
            "can_receive_call_sip": "AVAILABLE",
        },
    ]


def _number_health(number: Number) -> dict[str, Any]:
    if number.status != "CONNECTED":
        return {
            "can_send_message": "BLOCKED",
            "errors": [
                {
                    "error_code": 141000,
                    "error_description": "The phone number is not registered on the Cloud API.",
                    "possible_solution": "Register the phone number.",
                }
            ],
        }
    if number.name_status not in ("APPROVED", "AVAILABLE_WITHOUT_REVIEW"):
        return {
            "can_send_message": "LIMITED",
            "can_receive_call_sip": "AVAILABLE",
            "additional_info": [
                (
                    "Your display name has not been approved yet. "
                    "Your message limit will increase after the display name is approved."
                )
            ],
        }
    return {"can_send_message": "AVAILABLE", "can_receive_call_sip": "AVAILABLE"}


def _waba_health(status: str) -> str:
    return "AVAILABLE" if status == "ACTIVE" else "BLOCKED"


def _worst(entities: list[dict[str, Any]]) -> str:
    states = {entity["can_send_message"] for entity in entities}
    return next(state for state in ("BLOCKED", "LIMITED", "AVAILABLE") if state in states)


def _plain(name: str) -> Show:
    def show(_simulator: Simulator, _call: Call, number: Number) -> Any:
        return getattr(number, name)

    return show


def _of_waba(name: str) -> Show:
    def show(simulator: Simulator, _call: Call, number: Number) -> Any:
        return getattr(simulator.state.wabas[number.waba_id], name)

    return show


def _always(value: Any) -> Show:
    return lambda _simulator, _call, _number: value


FIELDS: dict[str, Show] = {
    **{
        name: _plain(name)
        for name in (
            "id",
            "display_phone_number",
            "verified_name",
            "code_verification_status",
            "quality_rating",
            "platform_type",
            "status",
            "name_status",
            "new_display_name",
            "new_name_status",
            "account_mode",
            "is_on_biz_app",
            "is_official_business_account",
            "is_pin_enabled",
            "certificate",
            "new_certificate",
            "search_visibility",
            "username",
        )
    },
    "throughput": throughput,
    "webhook_configuration": webhook_configuration,
    "last_onboarded_time": last_onboarded_time,
    "health_status": health_status,
    "whatsapp_business_manager_messaging_limit": _of_waba("messaging_limit"),
    "messaging_limit_tier": _of_waba("messaging_limit"),
    "eligibility_for_api_business_global_search": _always("NON_ELIGIBLE_VERIFIED_LEVEL"),
    "is_preverified_number": _always(value=False),
    "host_platform": _plain("platform_type"),
    "quality_score": lambda _simulator, _call, number: {"score": number.quality_rating},
    "country_dial_code": lambda _simulator, _call, number: phones.split(number.phone_number)[0],
    "country_code": lambda _simulator, _call, number: phones.country_of(number.phone_number),
    "unified_cert_status": _plain("name_status"),
    "conversational_automation": lambda _simulator, _call, number: (
        {"id": number.id, **number.automation} if number.automation else None
    ),
}


def show_number(
    simulator: Simulator, call: Call, number: Number, asked: list[str] | None = None
) -> dict[str, Any]:
    """Return the fields that were asked for; fields without a value are left out, the id never is."""
    shown: dict[str, Any] = {}
    for name in asked if asked is not None else DEFAULT_FIELDS:
        show = FIELDS.get(name)
        if show is None:
            raise nonexisting_field(name, NODE_TYPES["number"])
        value = show(simulator, call, number)
        if value is not None:
            shown[name] = value
    shown.setdefault("id", number.id)
    return shown


@edge("number", "node", "GET")
def get_number(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Show the number."""
    return show_number(simulator, call, number, call.fields())


@edge("number", "node", "POST")
async def change_number(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Change the PIN, the display name, the visibility or the callback of the number."""
    configuration = call.get("webhook_configuration")
    if isinstance(configuration, dict):
        await _set_override(simulator, simulator.state.apps[call.token.app_id], number, configuration)
    pin = call.text("pin")
    if pin is not None:
        check_pin_format(pin)
        number.pin, number.is_pin_enabled = pin, True
    name = call.text("new_display_name")
    if name is not None:
        number.new_display_name, number.new_name_status = name, "PENDING_REVIEW"
    visibility = call.text("search_visibility")
    if visibility is not None:
        number.search_visibility = visibility
    simulator.changed()
    return {"success": True}


def check_pin_format(pin: str) -> None:
    """Refuse a PIN that is not six digits."""
    if len(pin) != PIN_LENGTH or not (pin.isascii() and pin.isdigit()):
        raise GraphError(100, "Invalid PIN format. PIN must be exactly 6 digits")


async def _set_override(
    simulator: Simulator, app: App, number: Number, configuration: dict[str, Any]
) -> None:
    url = str(configuration.get("override_callback_uri") or "")
    if not url:
        number.overrides.pop(app.id, None)
        return
    await check_callback(simulator, url, str(configuration.get("verify_token") or ""))
    number.overrides[app.id] = url


async def check_callback(simulator: Simulator, url: str, verify_token: str) -> None:
    """Refuse a callback that is too long, not HTTP, or does not answer the handshake."""
    if len(url) > LONGEST_CALLBACK:
        raise GraphError(100, "(#100) Param override_callback_uri must be at most 200 characters long")
    if not url.startswith(("http://", "https://")):
        raise GraphError(100, "(#100) Param override_callback_uri must be a valid URL")
    if not verify_token:
        raise GraphError(100, "(#100) The parameter verify_token is required.")
    wrong = await simulator.shake_hands(url, verify_token)
    if wrong is not None:
        raise GraphError(2200, f"(#2200) Callback verification failed with the following errors: {wrong}")
