"""Numbers that live in the WhatsApp Business app as well: contacts, history, echoes. No I/O.

https://developers.facebook.com/documentation/business-messaging/whatsapp/embedded-signup/onboarding-business-app-users
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph import phones, webhooks
from local.graph.errors import GraphError, documented, required, to_status_error
from local.graph.graph import edge
from local.graph.state import Message

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import Customer, Number

SYNC_TYPES = ("smb_app_state_sync", "history")
_BEFORE = 3600.0
_CHUNK = 2


@edge("number", "smb_app_data", "POST")
def synchronize(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Ask for the contacts or the history of the app: each once, within a day of the onboarding."""
    if call.get("messaging_product") != "whatsapp":
        raise required("messaging_product")
    kind = call.need("sync_type")
    if kind not in SYNC_TYPES:
        raise GraphError(100, f"(#100) Param sync_type must be one of {{{', '.join(SYNC_TYPES)}}}")
    if not number.is_on_biz_app:
        raise GraphError(100, "(#100) This phone number is not used in the WhatsApp Business app")
    if kind in number.synced:
        raise documented(2593107)
    if simulator.clock.now() - number.onboarded_at > simulator.settings.sync_within:
        raise documented(2593108)
    number.synced.append(kind)
    if kind == "history":
        simulator.plan(simulator.settings.sent_after, lambda: send_history(simulator, number))
    else:
        simulator.plan(simulator.settings.sent_after, lambda: send_contacts(simulator, number))
    simulator.changed()
    return {"messaging_product": "whatsapp", "request_id": simulator.ids.letters(22)}


def send_contacts(simulator: Simulator, number: Number) -> None:
    """Deliver the contact book of the app."""
    rows = [
        contact_change(simulator, customer, "add")
        for customer in simulator.state.customers.values()
        if customer.phone_number
    ]
    if rows:
        publish_contacts(simulator, number, rows)


def contact_change(simulator: Simulator, customer: Customer, action: str) -> dict[str, Any]:
    """Describe that a contact was added (or edited) or removed; a removal holds only the number."""
    contact: dict[str, Any] = {"phone_number": customer.phone_number}
    if action == "add":
        name = customer.name or "Contact"
        contact = {"full_name": name, "first_name": name.split(maxsplit=1)[0], **contact}
    return {
        "type": "contact",
        "contact": contact,
        "action": action,
        "metadata": {"timestamp": str(int(simulator.clock.now()))},
    }


def publish_contacts(simulator: Simulator, number: Number, rows: list[dict[str, Any]]) -> None:
    """Deliver changes of the contact book."""
    value = {**webhooks.metadata(number), "state_sync": rows}
    simulator.publish(simulator.state.wabas[number.waba_id], "smb_app_state_sync", value, number)


def send_history(simulator: Simulator, number: Number) -> None:
    """Deliver the history in chunks, which need not arrive in their order; or that it is not shared."""
    if not simulator.settings.shares_history:
        _publish_history(simulator, number, {"errors": [_refusal()]})
        return
    threads = number.history or _sample_threads(simulator, number)
    chunks = [threads[start : start + _CHUNK] for start in range(0, len(threads), _CHUNK)] or [[]]
    for order, chunk in enumerate(chunks, start=1):
        metadata = {
            "phase": 0 if order < len(chunks) else 2,
            "chunk_order": order,
            "progress": round(100 * order / len(chunks)),
        }
        _publish_history(simulator, number, {"metadata": metadata, "threads": chunk})


def _refusal() -> dict[str, Any]:
    error = to_status_error(2593109)
    error.pop("href")
    error["error_data"] = {"details": "History sharing is turned off by the business"}
    return error


def _publish_history(simulator: Simulator, number: Number, part: dict[str, Any]) -> None:
    value = {**webhooks.metadata(number), "history": [part]}
    simulator.publish(simulator.state.wabas[number.waba_id], "history", value, number)


def _sample_threads(simulator: Simulator, number: Number) -> list[dict[str, Any]]:
    """Make a small past: with each customer who is known, else with one who is invented."""
    people = [
        customer.phone_number for customer in simulator.state.customers.values() if customer.phone_number
    ] or ["15550100001"]
    return [_thread(simulator, number, phone) for phone in people]


def _thread(simulator: Simulator, number: Number, phone: str) -> dict[str, Any]:
    then = int(simulator.clock.now() - _BEFORE)
    business = phones.digits_of(number.phone_number)

    def message(sender: str, made_id: str, kind: str, status: str, **content: Any) -> dict[str, Any]:
        to = {"to": phone} if sender == business else {}
        return {
            "from": sender,
            **to,
            "id": made_id,
            "timestamp": str(then),
            "type": kind,
            **content,
            "history_context": {"status": status},
        }

    return {
        "id": phone,
        "context": {"wa_id": phone},
        "messages": [
            message(
                phone,
                simulator.ids.incoming_wamid(phone),
                "text",
                "READ",
                text={"body": "Hola, ¿tienen pan?"},
            ),
            message(
                business, simulator.ids.outgoing_wamid(phone), "text", "READ", text={"body": "Sí, a las 6."}
            ),
            message(phone, simulator.ids.incoming_wamid(phone), "media_placeholder", "DELIVERED"),
        ],
    }


def echo(simulator: Simulator, number: Number, customer: Customer, wanted: dict[str, Any]) -> Message:
    """Let the business write from its phone: the Cloud API gets an echo, and no statuses."""
    kind = str(wanted.get("type") or "text")
    phone = customer.phone_number or customer.key
    told = {
        "from": number.phone_number,
        "to": phone,
        "id": wanted.get("id") or simulator.ids.outgoing_wamid(phone),
        "timestamp": str(int(simulator.clock.now())),
        "type": kind,
        kind: wanted.get(kind, {}),
    }
    message = Message(
        id=told["id"],
        number_id=number.id,
        waba_id=number.waba_id,
        direction="outgoing",
        customer=customer.key,
        type=kind,
        content=told[kind] if isinstance(told[kind], dict) else {"items": told[kind]},
        created_at=simulator.clock.now(),
        status="echo",
    )
    simulator.state.remember(message)
    value = {**webhooks.metadata(number), "message_echoes": [told]}
    simulator.publish(simulator.state.wabas[number.waba_id], "smb_message_echoes", value, number)
    return message
