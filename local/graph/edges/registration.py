"""How a number comes to the Cloud API: added, verified by a code, registered with a PIN. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph import limits, phones
from local.graph.edges.numbers import check_pin_format
from local.graph.errors import GraphError, documented, required
from local.graph.graph import edge
from local.graph.simulator import Event

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import Number, Waba

_HOUR, _THREE_DAYS = 3600.0, 72 * 3600.0
_CODE_LENGTH = 6
_SHORTEST_NAME, _LONGEST_NAME = 2, 75
_FULL_LENGTH = 11
"""From this many digits on, a number that begins with its country code is taken as complete."""


@edge("waba", "phone_numbers", "POST")
def add_number(simulator: Simulator, call: Call, waba: Waba) -> dict[str, Any]:
    """Add a number that is on no WABA yet; it is neither verified nor registered."""
    # The documentation says `cc`; clients that work send `country_code`.
    code = phones.digits_of(call.text("country_code") or call.need("cc"))
    given = call.need("phone_number")
    name = call.need("verified_name")
    if not _SHORTEST_NAME <= len(name) <= _LONGEST_NAME:
        raise GraphError(100, "(#100) Param verified_name must be 2 to 75 characters long")
    digits = phones.digits_of(given)
    if not (given.startswith("+") or (digits.startswith(code) and len(digits) >= _FULL_LENGTH)):
        digits = code + digits
    if any(number.phone_number == digits for number in simulator.state.numbers.values()):
        raise _already_used()
    number = simulator.create_number(
        waba_id=waba.id,
        phone_number=digits,
        verified_name=name,
        registered=False,
        code_verification_status="NOT_VERIFIED",
        status="PENDING",
        quality_rating="UNKNOWN",
        name_status="AVAILABLE_WITHOUT_REVIEW",
    )
    return {"id": number.id}


def _already_used() -> GraphError:
    return GraphError(
        100,
        "Invalid parameter",
        subcode=2388012,
        is_transient=False,
        user_title="Phone number already in use",
        user_message="This phone number is already listed in a WhatsApp Business account.",
    )


@edge("number", "request_code", "POST")
def request_code(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Send a code by SMS or voice; the control API can read it."""
    method = call.need("code_method").upper()
    call.need("language")
    if method not in ("SMS", "VOICE", "IVR"):
        raise GraphError(100, "(#100) Param code_method must be one of {SMS, VOICE}")
    now = simulator.clock.now()
    number.code_requests = limits.within(number.code_requests, now, _HOUR)
    if number.code_verification_status == "VERIFIED":
        raise _cannot_send("This phone number has already been verified.")
    if len(number.code_requests) >= simulator.settings.code_requests_per_hour:
        raise _cannot_send("Please try again after some time.")
    number.code_requests.append(now)
    number.code = simulator.ids.digits(_CODE_LENGTH)
    number.code_method = method
    number.code_expires_at = now + simulator.settings.code_lifetime
    number.code_guesses = 0
    simulator.tell(
        "code", Event(content={"phone_number": number.phone_number, "method": method, "code": number.code})
    )
    simulator.changed()
    return {"success": True}


def _cannot_send(reason: str) -> GraphError:
    error = documented(136024)
    error.user_message = reason
    return error


@edge("number", "verify_code", "POST")
def verify_code(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Check the code; too late, too often or wrong, it is refused."""
    given = call.need("code")
    if len(given) != _CODE_LENGTH or not (given.isascii() and given.isdigit()):
        raise GraphError(100, "(#100) Param code must be 6 digits without a hyphen")
    if number.code is None:
        raise _cannot_verify("Request a code first.")
    if number.code_guesses >= simulator.settings.code_guesses:
        raise _cannot_verify("You have tried too many times. Please request a new code.")
    if number.code_expires_at <= simulator.clock.now():
        raise _cannot_verify("The code has expired. Please request a new code.")
    if given != number.code:
        number.code_guesses += 1
        raise documented(136025)
    number.code, number.code_verification_status = None, "VERIFIED"
    simulator.changed()
    return {"success": True}


def _cannot_verify(reason: str) -> GraphError:
    error = documented(136025)
    error.user_message = reason
    return error


@edge("number", "register", "POST", usage="whatsapp", is_counted=False)
def register(simulator: Simulator, call: Call, number: Number) -> dict[str, Any]:
    """Register the number: only then can it send."""
    if call.get("messaging_product") != "whatsapp":
        raise required("messaging_product")
    pin = call.need("pin")
    check_pin_format(pin)
    if number.is_on_biz_app:
        raise GraphError(136025, "(#136025) Phone number registration not available for SMB accounts")
    number.registrations = _count(simulator, number.registrations)
    if number.code_verification_status != "VERIFIED" and number.account_mode != "SANDBOX":
        raise documented(133006)
    _check_pin(simulator, number, pin)
    number.pin, number.is_pin_enabled = pin, True
    number.status, number.platform_type = "CONNECTED", "CLOUD_API"
    if number.throughput_level == "NOT_APPLICABLE":
        number.throughput_level = "STANDARD"
    if number.quality_rating == "UNKNOWN":
        number.quality_rating = "GREEN"
    number.last_onboarded_time = simulator.clock.now()
    simulator.changed()
    return {"success": True}


@edge("number", "deregister", "POST", usage="whatsapp", is_counted=False)
def deregister(simulator: Simulator, _call: Call, number: Number) -> dict[str, Any]:
    """Take the number off the Cloud API; it stays on its WABA."""
    if number.is_on_biz_app:
        raise GraphError(100, "Deregister endpoint is not available for API solution for SMB businesses.")
    if not number.is_registered:
        raise GraphError(
            100, "Phone number not registered on the WhatsApp Business Platform.", subcode=2207051
        )
    number.deregistrations = _count(simulator, number.deregistrations)
    number.status = "DISCONNECTED"
    simulator.changed()
    return {"success": True}


def _count(simulator: Simulator, times: list[float]) -> list[float]:
    """Count an attempt among those of the last 72 hours; raises 133016."""
    now = simulator.clock.now()
    recent = limits.within(times, now, _THREE_DAYS)
    if len(recent) >= simulator.settings.registrations_per_72_hours:
        raise documented(133016)
    return [*recent, now]


def _check_pin(simulator: Simulator, number: Number, pin: str) -> None:
    if not number.is_pin_enabled or number.pin is None:
        return
    now = simulator.clock.now()
    number.pin_guesses = limits.within(number.pin_guesses, now, _HOUR)
    if len(number.pin_guesses) >= simulator.settings.pin_guesses_per_hour:
        raise documented(133008)
    if pin != number.pin:
        number.pin_guesses.append(now)
        raise documented(133005)
