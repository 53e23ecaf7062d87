"""The number flow: a typed number is proven by a code, then connected in the platform's own WABA. An edge.

Meta makes and sends the code while it has not verified the number; where it has, the code is ours.
Everything is counted in the database; each step is stored before and after the call to Meta.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from shared.access import take_calls
from shared.attempts import Access, Attempt, begin_attempt
from shared.code_senders import send_code
from shared.connecting import NUMBER_FIELDS, NumberFacts, find_number_by_phone, is_same_phone
from shared.errors import (
    AlreadyConnected,
    AppError,
    CodeExpired,
    ConnectionSuperseded,
    TooManyAttempts,
    WrongCode,
)
from shared.graph import GraphError, GraphUnreachable
from shared.numbers import read_number
from shared.token_refresh import hash_platform_token

if TYPE_CHECKING:
    from functions.oauth.models import RequestCodeBody, VerifyCodeBody
    from shared.callers import Caller
    from shared.errors import Language
    from shared.numbers import TypedNumber
    from shared.web import Resources

CODE_DIGITS = 6
# request_code: verified already, or asked too often. verify_code: not the code.
# https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
NO_CODE_NOW = 136024
NOT_THE_CODE = frozenset({136025, 2388093})
META_LANGUAGES = {"es": "es_ES", "en": "en_US"}
LONGEST_NAME, SHORTEST_NAME = 75, 2
PLATFORM = (
    "WHATSAPP_BUSINESS_ACCOUNT_ID", "WHATSAPP_ACCESS_TOKEN", "WHATSAPP_APP_ID", "WHATSAPP_APP_SECRET"
)  # fmt: skip
# Management calls about the platform's account that each takes at most: the numbers listed twice, one added,
# read twice, a code asked for; the number read, a code tried; the number read twice, registered, given an
# address of its own, our subscription looked up and made.
CALLS_OF_A_REQUEST, CALLS_OF_A_GUESS, CALLS_OF_CONNECTING = 6, 2, 6


async def request_code(
    tools: Resources, caller: Caller, body: RequestCodeBody, language: Language
) -> dict[str, Any]:
    """Have a code sent to the typed number; return the verification that now waits for it."""
    number = read_number(body.phone_number, region=body.country)
    access = platform_access(tools)
    row = caller.integration or {}
    if row.get("status") == "connected" or (
        row.get("status") == "error" and not is_same_phone(row["phone_number"], number.e164)
    ):
        raise AlreadyConnected
    async with _begin(tools, caller, number.e164) as attempt:
        wanted = {
            "new_id": str(uuid4()),
            "organization": caller.organization_id,
            "by_user": caller.user_id,
            "phone": number.e164,
            "chosen_method": body.method,
            "platform_per_hour": tools.settings.verifications_per_hour,
        }
        verification: dict[str, Any] = await attempt.service.rpc("begin_verification", wanted)
        if verification["is_under_way"]:
            return verification
        sending = _Sending(tools=tools, attempt=attempt, access=access, language=language)
        try:
            await take_calls(
                tools, attempt.integration_id, CALLS_OF_A_REQUEST, platform_account=_account(tools)
            )
            name = _display_name(body.display_name or caller.organization_name)
            known = await find_or_add_number(tools, access, number, name)
            return await sending.send(verification, known, number, body.method)
        except (AppError, GraphError, GraphUnreachable):
            # Of two calls at once, only that which sends may say that nothing was sent.
            if verification["is_new"] or sending.has_begun:
                await _advance(attempt, verification, "failed")
            raise


async def verify_code(tools: Resources, caller: Caller, body: VerifyCodeBody) -> None:
    """Count the guess, try it, and connect the number when it is right."""
    access = platform_access(tools, has_override=body.override_callback)
    service = tools.database.as_service()
    keys = await tools.load_keys()
    guess = {
        "organization": caller.organization_id,
        "guess_hash": keys.keyed_hash(body.code, purpose=f"guess:{caller.organization_id}"),
        "wanted": None if body.verification_id is None else str(body.verification_id),
    }
    taken: dict[str, Any] = await service.rpc("take_guess", guess)
    if taken["outcome"] in REFUSALS:
        raise REFUSALS[taken["outcome"]]
    if taken["outcome"] != "verified":
        if taken["sender"] == "meta" and caller.integration is not None:
            await take_calls(
                tools, caller.integration["id"], CALLS_OF_A_GUESS, platform_account=_account(tools)
            )
        was_read = taken["outcome"] == "again" and await _is_verified(tools, access, taken)
        is_right = was_read or await _is_right(tools, access, taken, body.code)
        settled = await service.rpc(
            "settle_guess", {"verification": taken["id"], "is_right": is_right, "was_read": was_read}
        )
        if not is_right:
            raise WrongCode(
                details=[{"field": "code", "rule": "wrong", "attempts_left": taken["attempts_left"]}]
            )
        if settled["state"] != "verified":
            # Replaced by a newer code meanwhile, or the number was proven by another organization.
            raise CodeExpired
    async with _begin(tools, caller, taken["phone_number"], taken["phone_number_id"]) as attempt:
        # As it was typed: Meta may spell it in another way.
        attempt.row["typed_number"] = taken["phone_number"]
        await connect_platform_number(
            tools,
            attempt,
            access,
            taken["phone_number_id"],
            pin=body.pin,
            has_override=body.override_callback,
        )


async def connect_platform_number(
    tools: Resources,
    attempt: Attempt,
    access: Access,
    phone_number_id: str,
    *,
    pin: str | None,
    has_override: bool = False,
) -> None:
    """Go from a proven number in the platform's WABA to a connected one."""
    waba_id = _account(tools)
    await take_calls(tools, attempt.integration_id, CALLS_OF_CONNECTING, platform_account=waba_id)
    number = await _read(tools, access, phone_number_id)
    await attempt.advance(
        "proven",
        {
            **number.to_facts(),
            "phone_number": attempt.row.get("typed_number") or number.phone_number,
            "business_account_id": waba_id,
            "app_id": access.app_id,
            "has_own_app": False,
            "has_platform_token": True,
            "platform_token_hash": hash_platform_token(tools.keys, access.token),
            "token_expires_at": None,
            **attempt.encrypt(access_token=access.token, app_secret=None),
        },
    )
    await attempt.ensure_registered(number, access, given_pin=pin)
    await attempt.ensure_subscribed(waba_id, access)
    if has_override:
        await attempt.override_callback(number.id, access)
    await attempt.finish()


def platform_access(tools: Resources, *, has_override: bool = False) -> Access:
    """Return how to speak to Meta as the platform; names all settings that are missing for it at once."""
    settings = tools.settings.demand(*PLATFORM, *(["WHATSAPP_WEBHOOK_URL"] * has_override))
    return Access(
        token=settings.whatsapp_access_token,
        app_id=settings.whatsapp_app_id,
        app_secret=settings.whatsapp_app_secret,
    )


async def find_or_add_number(tools: Resources, access: Access, number: TypedNumber, name: str) -> NumberFacts:
    """Return the number in the platform's WABA, added now unless it is there; Meta says if it is taken."""
    found = await _find(tools, access, number)
    if found is not None:
        return found
    try:
        added = await tools.graph.post(
            f"{_account(tools)}/phone_numbers",
            token=access.token,
            app_secret=access.app_secret,
            json={"cc": number.country_code, "phone_number": number.national, "verified_name": name},
        )
    except (GraphError, GraphUnreachable):
        # Added by a call whose answer was lost, or by somebody else a moment ago?
        found = await _find(tools, access, number)
        if found is None:
            raise
        return found
    return await _read(tools, access, str(added["id"]))


class _Sending:
    """Sends one code, by whoever can."""

    def __init__(self, *, tools: Resources, attempt: Attempt, access: Access, language: Language) -> None:
        self.tools = tools
        self.attempt = attempt
        self.access = access
        self.language: Language = language
        self.has_begun = False

    async def send(
        self, verification: dict[str, Any], known: NumberFacts, number: TypedNumber, method: str
    ) -> dict[str, Any]:
        """Let Meta send the code, or send our own where Meta has verified the number before."""
        if known.is_verified:
            return await self._send_ours(verification, known, number, method)
        # Meta's own codes come by SMS or call only.
        by = "voice" if method == "voice" else "sms"
        facts = {"phone_number_id": known.id, "sender": "meta", "method": by}
        begun = await _advance(self.attempt, verification, "sending", facts)
        if not begun["is_advanced"]:
            return begun
        self.has_begun = True
        try:
            await self.tools.graph.post(
                f"{known.id}/request_code",
                token=self.access.token,
                app_secret=self.access.app_secret,
                data={"code_method": by.upper(), "language": META_LANGUAGES[self.language]},
            )
        except GraphError as error:
            is_verified = (
                error.code == NO_CODE_NOW and (await _read(self.tools, self.access, known.id)).is_verified
            )
            if not is_verified:
                raise
            return await self._send_ours(verification, known, number, method)
        except GraphUnreachable as error:
            if not error.request_written:
                raise
            # The code may be under way: better to wait for it than to send a second one.
        return await _advance(self.attempt, verification, "sent")

    async def _send_ours(
        self, verification: dict[str, Any], known: NumberFacts, number: TypedNumber, method: str
    ) -> dict[str, Any]:
        code = make_code()
        by = "whatsapp" if method == "whatsapp" else "sms"
        purpose = f"verification:{verification['id']}"
        facts = {
            "phone_number_id": known.id,
            "sender": "platform",
            "method": by,
            "code_hash": self.tools.keys.keyed_hash(code, purpose=purpose),
        }
        begun = await _advance(self.attempt, verification, "sending", facts)
        if not begun["is_advanced"]:
            return begun
        self.has_begun = True
        try:
            await send_code(self.tools, self.access, code, to=number.e164, by=by, language=self.language)
        except GraphUnreachable as error:
            if not error.request_written:
                raise
        return await _advance(self.attempt, verification, "sent")


async def _is_verified(tools: Resources, access: Access, taken: dict[str, Any]) -> bool:
    """Ask Meta whether the same guess before, whose answer was lost, was right: again it would be refused."""
    return (await _read(tools, access, taken["phone_number_id"])).is_verified


async def _is_right(tools: Resources, access: Access, taken: dict[str, Any], code: str) -> bool:
    if taken["sender"] == "platform":
        purpose = f"verification:{taken['id']}"
        return tools.keys.is_keyed_hash(taken["code_hash"] or "", code, purpose=purpose)
    if not taken["may_try"]:
        raise TooManyAttempts
    try:
        await tools.graph.post(
            f"{taken['phone_number_id']}/verify_code",
            token=access.token,
            app_secret=access.app_secret,
            data={"code": code},
        )
    except GraphError as error:
        if error.code in NOT_THE_CODE or error.subcode in NOT_THE_CODE:
            return False
        raise
    return True


def _begin(tools: Resources, caller: Caller, phone_number: str, phone_number_id: str | None = None) -> Any:
    return begin_attempt(
        tools,
        organization_id=caller.organization_id,
        user_id=caller.user_id,
        way="number",
        inputs={"phone_number": phone_number},
        phone_number_id=phone_number_id,
    )


async def _advance(
    attempt: Attempt, verification: dict[str, Any], reached: str, facts: dict[str, Any] | None = None
) -> dict[str, Any]:
    step = {"verification": verification["id"], "reached": reached, "facts": facts or {}}
    answer: dict[str, Any] = await attempt.service.rpc("advance_verification", step)
    return answer


def _account(tools: Resources) -> str:
    return tools.settings.whatsapp_business_account_id


async def _find(tools: Resources, access: Access, number: TypedNumber) -> NumberFacts | None:
    nodes = await tools.graph.waba_phone_numbers(
        _account(tools), token=access.token, app_secret=access.app_secret, fields=NUMBER_FIELDS
    )
    return find_number_by_phone(nodes, number.e164)


async def _read(tools: Resources, access: Access, phone_number_id: str) -> NumberFacts:
    node = await tools.graph.phone_number(
        phone_number_id, token=access.token, app_secret=access.app_secret, fields=NUMBER_FIELDS
    )
    return NumberFacts.from_node(node)


def _display_name(text: str) -> str:
    """Return what customers will see, within Meta's bounds."""
    name = " ".join(text.split())[:LONGEST_NAME]
    return name if len(name) >= SHORTEST_NAME else f"{name} WhatsApp"


def make_code() -> str:
    """Make a code of ours: six digits, each code as likely as any other."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


REFUSALS: dict[str, type[AppError]] = {
    "none": CodeExpired,
    "late": CodeExpired,
    "too_many": TooManyAttempts,
    "other": ConnectionSuperseded,
}
