"""Smaller edges: QR codes, conversation starters, the key of flows, the accounts of a portfolio. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph.edges.wabas import show_waba
from local.graph.errors import GraphError
from local.graph.graph import edge
from local.graph.paging import page

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import Number, Waba

_LONGEST_PREFILL = 140


@edge("number", "message_qrdls", "GET")
def list_qr_codes(_simulator: Simulator, _call: Call, number: Number) -> dict[str, Any]:
    """List the QR codes of a number."""
    return {"data": [_show_qr(code, text) for code, text in number.qr_codes.items()]}


@edge("number", "message_qrdls", "POST")
def create_qr_code(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Make a QR code, or change the text of one that is named by `code`."""
    text = call.need("prefilled_message")
    if len(text) > _LONGEST_PREFILL:
        raise GraphError(100, "(#100) Param prefilled_message must be at most 140 characters long.")
    code = call.text("code") or simulator.ids.qr_code()
    number.qr_codes[code] = text
    simulator.changed()
    shown = _show_qr(code, text)
    image = call.text("generate_qr_image")
    if image:
        shown["qr_image_url"] = f"https://scontent.xx.fbcdn.net/m1/{code}.{image.lower()}"
    return shown


@edge("number", "message_qrdls/*", "GET")
def get_qr_code(_simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Show one QR code, in a list as Graph does."""
    code = _qr_code(call, number)
    return {"data": [_show_qr(code, number.qr_codes[code])]}


@edge("number", "message_qrdls/*", "POST")
def change_qr_code(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Change the text of a QR code."""
    code = _qr_code(call, number)
    number.qr_codes[code] = call.need("prefilled_message")
    simulator.changed()
    return _show_qr(code, number.qr_codes[code])


@edge("number", "message_qrdls/*", "DELETE")
def delete_qr_code(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Delete a QR code."""
    del number.qr_codes[_qr_code(call, number)]
    simulator.changed()
    return {"success": True}


def _qr_code(call: Call, number: Number) -> str:
    code = call.segments[-1]
    if code not in number.qr_codes:
        raise GraphError(100, "(#100) The QR code does not exist.")
    return code


def _show_qr(code: str, text: str) -> dict[str, Any]:
    return {"code": code, "prefilled_message": text, "deep_link_url": f"https://wa.me/message/{code}"}


@edge("number", "conversational_automation", "GET")
def get_automation(_simulator: Simulator, _call: Call, number: Number) -> dict[str, Any]:
    """Show commands and ice breakers."""
    return {"conversational_automation": {"id": number.id, **number.automation}, "id": number.id}


@edge("number", "conversational_automation", "POST")
def change_automation(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Set commands and ice breakers."""
    for name in ("enable_welcome_message", "prompts", "commands"):
        if call.get(name) is not None:
            number.automation[name] = call.get(name)
    simulator.changed()
    return {"success": True}


@edge("number", "settings", "GET")
def get_settings(_simulator: Simulator, _call: Call, number: Number) -> dict[str, Any]:
    """Show the settings of a number: calls are switched off, storage is the default."""
    return {
        "calling": {
            "status": "DISABLED",
            "call_icon_visibility": "DEFAULT",
            "ip_addresses": {"default": ["192.0.2.1"]},
            "callback_permission_status": "DISABLED",
        },
        "storage_configuration": {"status": "DEFAULT"},
        **number.settings,
    }


@edge("number", "settings", "POST")
def change_settings(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Keep what is set."""
    for name in ("calling", "storage_configuration", "payload_encryption", "user_identity_change"):
        if isinstance(call.get(name), dict):
            number.settings[name] = {**number.settings.get(name, {}), **call.get(name)}
    simulator.changed()
    return {"success": True}


@edge("number", "whatsapp_business_encryption", "GET")
def get_key(_simulator: Simulator, _call: Call, number: Number) -> dict[str, Any]:
    """Show the public key of the number's flows."""
    if number.public_key is None:
        return {"data": []}
    return {
        "data": [{"business_public_key": number.public_key, "business_public_key_signature_status": "VALID"}]
    }


@edge("number", "whatsapp_business_encryption", "POST")
def set_key(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Set the public key of the number's flows."""
    number.public_key = call.need("business_public_key")
    simulator.changed()
    return {"success": True}


@edge("business", "owned_whatsapp_business_accounts", "GET")
def list_owned(simulator: Simulator, call: Call, business_id: str) -> dict[str, Any]:
    """List the WABAs of a portfolio that the token opens."""
    return page(
        call,
        _wabas(simulator, call, business_id),
        lambda waba: show_waba(simulator, call, waba),
        simulator.base_url,
    )


@edge("business", "client_whatsapp_business_accounts", "GET")
def list_shared(simulator: Simulator, call: Call, _business_id: str) -> dict[str, Any]:
    """List the WABAs that others shared: all that the token opens."""
    return page(
        call,
        [waba for waba in simulator.state.wabas.values() if call.token.opens(waba.id)],
        lambda waba: show_waba(simulator, call, waba),
        simulator.base_url,
    )


@edge("business", "node", "GET")
def get_business(simulator: Simulator, call: Call, business_id: str) -> dict[str, Any]:
    """Show a portfolio."""
    wabas = _wabas(simulator, call, business_id)
    name = wabas[0].business_name if wabas else "Business"
    return {"id": business_id, "name": name}


def _wabas(simulator: Simulator, call: Call, business_id: str) -> list[Waba]:
    return [
        waba
        for waba in simulator.state.wabas.values()
        if waba.business_id == business_id and call.token.opens(waba.id)
    ]
