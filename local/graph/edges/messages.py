"""The messages edge: sending, reading, typing. No I/O."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local.graph import ids, limits, phones
from local.graph.errors import (
    documented,
    invalid_parameter,
    missing_parameter,
    required,
)
from local.graph.graph import edge
from local.graph.simulator import Event
from local.graph.state import MESSAGING, Message
from local.graph.validation import check_message

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import Customer, Number, Template

LONGEST_CALLBACK_DATA = 512


@edge("number", "messages", "POST", scope=MESSAGING, usage="whatsapp", is_counted=False)
def post_message(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Accept a message, or mark one as read."""
    body = call.body or call.query
    if body.get("messaging_product") is None:
        raise required("messaging_product")
    if body.get("messaging_product") != "whatsapp":
        raise invalid_parameter(
            f'Param messaging_product must be one of {{WHATSAPP}} - got "{body.get("messaging_product")}".'
        )
    if body.get("status") is not None:
        return _mark_read(simulator, number, body)
    return _send(simulator, call, number, body)


def _send(simulator: Simulator, call: Call, number: Number, body: dict[str, Any]) -> dict[str, Any]:
    shown_input, recipient, is_phone = _recipient(body)
    kind = str(body.get("type") or "text").lower()
    body = {**body, kind: _decoded(body[kind])} if kind in body else body
    template = check_message(simulator, number, kind, body)
    if not number.is_registered:
        raise documented(133010)
    if is_phone and recipient == number.phone_number:
        raise documented(131021)
    if number.allowed_recipients is not None and recipient not in number.allowed_recipients:
        raise documented(131030)
    if simulator.settings.enforce_limits:
        limits.check_throughput(simulator, number)
        limits.check_pair(simulator, number, recipient)
    waba = simulator.state.wabas[number.waba_id]
    customer = simulator.customer_by(recipient, waba)
    message = _accept(
        simulator, call, number, body, customer, kind=kind, is_phone=is_phone, template=template
    )
    # A BSUID in `to` is a trap at Meta: accepted, and nothing ever comes of it.
    if is_phone or not body.get("to"):
        _plan(simulator, call, number, customer, message)
    contact: dict[str, Any] = {"input": shown_input}
    if is_phone:
        contact["wa_id"] = customer.wa_id or customer.phone_number
        if body.get("recipient"):
            contact["user_id"] = customer.bsuids[waba.business_id]
    else:
        contact["user_id"] = recipient
    accepted: dict[str, Any] = {"id": message.id}
    if kind == "template":
        accepted["message_status"] = "accepted"
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [accepted]}


def _decoded(content: Any) -> Any:
    """Read an object that was given as text: Graph takes any object so, and clients rely on it."""
    if isinstance(content, str) and content[:1] in ("{", "["):
        try:
            return json.loads(content)
        except ValueError:
            return content
    return content


def _recipient(body: dict[str, Any]) -> tuple[str, str, bool]:
    """Return the recipient as given and as known, and whether it is a phone number; `to` wins."""
    to = body.get("to")
    if to is not None and to != "":
        digits = phones.digits_of(str(to))
        if not digits and "." not in str(to):
            raise invalid_parameter(f'Param to must be a phone number - got "{to}".')
        is_phone = "." not in str(to)
        return str(to), digits if is_phone else str(to), is_phone
    recipient = body.get("recipient")
    if recipient:
        return str(recipient), str(recipient), False
    raise required("to")


def _accept(
    simulator: Simulator,
    call: Call,
    number: Number,
    body: dict[str, Any],
    customer: Customer,
    *,
    kind: str,
    is_phone: bool,
    template: Template | None,
) -> Message:
    content = body.get(kind, {})
    user = (
        customer.phone_number
        if is_phone
        else customer.bsuids[simulator.state.wabas[number.waba_id].business_id]
    )
    message = Message(
        id=simulator.ids.outgoing_wamid(user or customer.key),
        number_id=number.id,
        waba_id=number.waba_id,
        direction="outgoing",
        customer=customer.key,
        type=kind,
        content=content if isinstance(content, dict) else {"items": content},
        created_at=simulator.clock.now(),
        app_id=call.token.app_id,
        callback_data=_callback_data(body),
        context_id=_context(body),
        category=template.category.lower() if template else "service",
        by_phone=is_phone,
    )
    simulator.state.remember(message)
    if is_phone:
        simulator.note_phone_use(number, customer)
    simulator.tell("message", Event(content=simulator.show_message(message)))
    simulator.changed()
    return message


def _callback_data(body: dict[str, Any]) -> str | None:
    value = body.get("biz_opaque_callback_data")
    if value is None:
        return None
    if len(str(value)) > LONGEST_CALLBACK_DATA:
        raise invalid_parameter("Param biz_opaque_callback_data must be at most 512 characters long.")
    return str(value)


def _context(body: dict[str, Any]) -> str | None:
    context = body.get("context")
    if context is None:
        return None
    if not isinstance(context, dict) or not isinstance(context.get("message_id"), str):
        raise missing_parameter("The parameter context['message_id'] is required.")
    return str(context["message_id"])


def _plan(simulator: Simulator, call: Call, number: Number, customer: Customer, message: Message) -> None:
    """Plan what will come of an accepted message: its statuses, or the reason of its failure."""
    if call.fails is not None:
        simulator.plan_statuses(message, fails=call.fails[0], details=call.fails[1])
    elif not customer.is_on_whatsapp:
        simulator.plan_statuses(message, fails=131026)
    elif customer.key in number.blocked:
        simulator.plan_statuses(message, fails=130403)
    elif (
        simulator.settings.enforce_window
        and message.type != "template"
        and not simulator.is_in_window(number, customer)
    ):
        simulator.plan_statuses(message, fails=131047)
    elif _is_over_limit(simulator, number, customer):
        simulator.plan_statuses(message, fails=131048)
    elif message.type == "reaction" and not _can_be_reacted_to(simulator, message):
        simulator.plan_statuses(message, fails=131009, details="The message cannot be reacted to.")
    elif simulator.settings.fetch_links and isinstance(message.content.get("link"), str):
        simulator.fetch_link(message)
    else:
        simulator.plan_statuses(message)


def _is_over_limit(simulator: Simulator, number: Number, customer: Customer) -> bool:
    """Tell whether the portfolio wrote first to too many people."""
    if not simulator.settings.enforce_limits or simulator.is_in_window(number, customer):
        return False
    waba = simulator.state.wabas[number.waba_id]
    return limits.exceeds_messaging_limit(simulator, waba, customer)


def _can_be_reacted_to(simulator: Simulator, message: Message) -> bool:
    target = simulator.state.messages.get(str(message.content.get("message_id")))
    return target is not None and target.type != "reaction" and target.number_id == message.number_id


def _mark_read(simulator: Simulator, number: Number, body: dict[str, Any]) -> dict[str, Any]:
    if body["status"] != "read":
        raise invalid_parameter(f'Param status must be one of {{READ}} - got "{body["status"]}".')
    message_id = body.get("message_id")
    if not isinstance(message_id, str):
        raise required("message_id")
    message = simulator.state.messages.get(message_id)
    if message is None or message.number_id != number.id:
        if ids.is_outgoing(message_id):
            raise _is_outgoing(message_id)
        raise invalid_parameter("Please check the message ID you have provided.")
    if message.direction == "outgoing":
        raise _is_outgoing(message_id)
    for earlier in reversed(simulator.state.messages.values()):
        if earlier.customer != message.customer or earlier.direction == "outgoing":
            continue
        if earlier.created_at <= message.created_at:
            if earlier.is_read:
                break
            earlier.is_read = True
            simulator.tell("message", Event(content=simulator.show_message(earlier)))
    simulator.changed()
    return {"success": True}


def _is_outgoing(message_id: str) -> Exception:
    return invalid_parameter(
        f"Message supplied to mark message as read API with message ID: {message_id} is outgoing. "
        "Please use an incoming message ID."
    )
