"""Embedded Signup: Meta's own dialog, in a popup or by redirect; what a browser claims is checked. An edge.

The state binds a dialog to the user and the organization that began it. In the redirect flow nobody is signed
in when Meta sends the browser back, and somebody else may have been talked into opening the dialog: so the
callback connects nothing. It exchanges the code within its 30 seconds and gives that very browser a ticket;
only the user who began, with the ticket, can go on.
https://developers.facebook.com/documentation/business-messaging/whatsapp/embedded-signup/implementation
"""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

from functions.oauth.models import StartAnswer
from shared.attempts import Access, begin_attempt
from shared.callers import Caller
from shared.connecting import (
    NUMBER_FIELDS,
    NumberFacts,
    Problem,
    TokenFacts,
    find_number,
    problem_of_waba_read,
)
from shared.errors import (
    AppError,
    CredentialsRefused,
    DialogCodeSpent,
    InvalidState,
    NumberChoiceRequired,
)
from shared.graph import GraphError, GraphUnreachable
from shared.settings import DEFAULT_GRAPH_API_URL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions.oauth.models import ExchangeBody, StartBody
    from shared.errors import Language
    from shared.web import Resources

PLATFORM_APP = ("WHATSAPP_APP_ID", "WHATSAPP_APP_SECRET")
DIALOG_HOST = "https://www.facebook.com"
# Used already; or not a code of ours, or older than 30 seconds: Meta tells none of these apart reliably.
CODE_REFUSED, CODE_SPENT_SUBCODE = frozenset({100}), 36009


async def start(tools: Resources, caller: Caller, body: StartBody, callback_url: str) -> StartAnswer:
    """Begin a dialog."""
    is_redirect = body.flow == "redirect"
    settings = tools.settings.demand(*PLATFORM_APP, "WHATSAPP_CONFIG_ID", *(["DASHBOARD_URL"] * is_redirect))
    state = secrets.token_urlsafe(32)
    begun = await tools.database.as_service().rpc(
        "begin_signup",
        {
            "new_id": str(uuid4()),
            "organization": caller.organization_id,
            "by_user": caller.user_id,
            "chosen_flow": body.flow,
            "new_state_hash": hash_of(state),
            "wants_coexistence": body.coexistence,
            "chosen_redirect_uri": callback_url if is_redirect else None,
            "chosen_return_path": body.return_path if is_redirect else None,
        },
    )
    options = _login_options(settings.whatsapp_config_id, is_coexistence=body.coexistence)
    return StartAnswer(
        organization_id=caller.organization_id,
        state=state,
        expires_at=begun["expires_at"],
        app_id=settings.whatsapp_app_id,
        config_id=settings.whatsapp_config_id,
        graph_api_version=settings.graph_api_version,
        login_options=options,
        authorize_url=_authorize_url(tools, state, callback_url, options) if is_redirect else None,
    )


async def receive_callback(tools: Resources, query: Mapping[str, str]) -> str:
    """Exchange the code that a browser brings back from Meta; return where to send that browser."""
    dashboard = tools.settings.demand("DASHBOARD_URL").dashboard_url
    state, code = query.get("state", ""), query.get("code", "")
    if not code:
        # The person closed the dialog or declined; Meta's own words stay out of our addresses.
        return f"{dashboard}/#whatsapp_error=cancelled"
    service = tools.database.as_service()
    try:
        received = await service.rpc(
            "receive_signup_code", {"given_state_hash": hash_of(state), "given_code_hash": hash_of(code)}
        )
        token, expires_at = None, None
        if received["access_token"] is None:
            token, expires_at = await _exchange(tools, code, redirect_uri=received["redirect_uri"])
            keys = await tools.load_keys()
            token = keys.encrypt(token, row_id=received["id"], column="access_token")
        ticket = secrets.token_urlsafe(32)
        await service.rpc(
            "keep_signup_token",
            {
                "signup": received["id"],
                "encrypted_token": token,
                "expires": expires_at,
                "new_ticket_hash": hash_of(ticket),
            },
        )
    except (AppError, GraphError, GraphUnreachable) as error:
        refusal = error if isinstance(error, AppError) else error.to_refusal()
        return f"{dashboard}/#{urlencode({'whatsapp_error': refusal.code})}"
    # In the fragment: it reaches no server's log and no other page.
    fragment = urlencode({"whatsapp_state": state, "whatsapp_ticket": ticket})
    return f"{dashboard}{received['return_path'] or '/'}#{fragment}"


async def exchange(tools: Resources, token: str, body: ExchangeBody, language: Language) -> Caller:
    """Finish a dialog: code or ticket → token → WABA → number → registered → subscribed → connected."""
    taken = await tools.database.as_user(token).rpc(
        "take_signup",
        {
            "given_state_hash": hash_of(body.state),
            "given_code_hash": hash_of(body.code) if body.code else None,
            "given_ticket_hash": hash_of(body.ticket) if body.ticket else None,
            "organization": body.organization,
        },
    )
    caller, signup = Caller.from_answer(taken), taken["signup"]
    access, token_facts = await _find_token(tools, signup, body)
    waba_id = _find_waba(token_facts, body.waba_id, language)
    number = await _find_number(
        tools, access, waba_id, body.phone_number_id, language, is_coexistence=signup["is_coexistence"]
    )
    async with begin_attempt(
        tools,
        organization_id=caller.organization_id,
        user_id=caller.user_id,
        way="embedded_signup",
        inputs={"signup": signup["id"]},
        phone_number_id=number.id,
    ) as attempt:
        await attempt.advance(
            "proven",
            {
                **number.to_facts(),
                "business_account_id": waba_id,
                "app_id": access.app_id,
                "has_own_app": False,
                "has_platform_token": False,
                "token_expires_at": token_facts.expires_at.isoformat() if token_facts.expires_at else None,
                **attempt.encrypt(access_token=access.token, app_secret=None),
            },
        )
        await attempt.ensure_registered(number, access, given_pin=body.pin)
        await attempt.ensure_subscribed(waba_id, access)
        if body.override_callback:
            await attempt.override_callback(number.id, access)
        # The worker asks for a phone app's contacts and chats: what came before this would be nobody's.
        await attempt.finish()
    await tools.database.as_service().rpc("finish_signup", {"signup": signup["id"]})
    return caller


async def _find_token(
    tools: Resources, signup: dict[str, Any], body: ExchangeBody
) -> tuple[Access, TokenFacts]:
    """Return the token of this dialog: the one that is kept, or the code's, kept before anything else."""
    settings = tools.settings.demand(*PLATFORM_APP, *(["WHATSAPP_WEBHOOK_URL"] * body.override_callback))
    service = tools.database.as_service()
    kept = await service.rpc("find_signup_token", {"signup": signup["id"]})
    keys = await tools.load_keys()
    if kept["access_token"] is not None:
        token = keys.decrypt(kept["access_token"], row_id=signup["id"], column="access_token")
    elif body.code is None:
        raise InvalidState
    else:
        token, expires_at = await _exchange(tools, body.code, redirect_uri=None)
        await service.rpc(
            "keep_signup_token",
            {
                "signup": signup["id"],
                "encrypted_token": keys.encrypt(token, row_id=signup["id"], column="access_token"),
                "expires": expires_at,
            },
        )
    access = Access(token=token, app_id=settings.whatsapp_app_id, app_secret=settings.whatsapp_app_secret)
    data = await tools.graph.debug_token(token, token=f"{access.app_id}|{access.app_secret}")
    return access, TokenFacts.from_debug(data)


async def _exchange(tools: Resources, code: str, *, redirect_uri: str | None) -> tuple[str, str | None]:
    """Exchange a code, once: a second try would find it spent."""
    settings = tools.settings
    app_token = f"{settings.whatsapp_app_id}|{settings.whatsapp_app_secret}"
    try:
        answer = await tools.graph.request(
            "GET",
            "oauth/access_token",
            token=app_token,
            params={
                "client_id": settings.whatsapp_app_id,
                "client_secret": settings.whatsapp_app_secret,
                "code": code,
                "redirect_uri": redirect_uri,
            },
        )
    except GraphError as error:
        if error.code in CODE_REFUSED or error.subcode == CODE_SPENT_SUBCODE:
            raise DialogCodeSpent from error
        raise
    lasts = answer.get("expires_in")
    expires_at = datetime.now(UTC) + timedelta(seconds=lasts) if isinstance(lasts, int) and lasts else None
    return str(answer["access_token"]), expires_at.isoformat() if expires_at else None


def _find_waba(token: TokenFacts, claimed: str | None, language: Language) -> str:
    """Return a WABA that the token was granted for: the claimed one if it is among them, else the newest."""
    if not token.is_valid or token.missing_scopes:
        raise CredentialsRefused(details=[_not_granted("permissions", language)])
    if claimed is not None:
        if not token.covers(claimed):
            raise CredentialsRefused(details=[_not_granted("waba_id", language)])
        return claimed
    if not token.waba_ids:
        raise CredentialsRefused(details=[_not_granted("waba_id", language)])
    return token.waba_ids[0]


async def _find_number(
    tools: Resources,
    access: Access,
    waba_id: str,
    claimed: str | None,
    language: Language,
    *,
    is_coexistence: bool,
) -> NumberFacts:
    """Return the number of this WABA, read with the token itself: that proves what no list did."""
    try:
        nodes = await tools.graph.waba_phone_numbers(
            waba_id, token=access.token, app_secret=access.app_secret, fields=NUMBER_FIELDS
        )
    except GraphError as error:
        if problem_of_waba_read(error) is None:
            raise
        raise CredentialsRefused(details=[_not_granted("waba_id", language)]) from error
    if claimed is not None:
        number = find_number(nodes, claimed)
        if number is None:
            raise CredentialsRefused(details=[_not_granted("phone_number_id", language)])
        return number
    numbers = [NumberFacts.from_node(node) for node in nodes]
    if is_coexistence:
        # Such a dialog tells the account only; the number in the phone app is the one that was meant.
        numbers = [number for number in numbers if number.is_coexistence] or numbers
    if not numbers:
        raise CredentialsRefused(details=[_not_granted("phone_number_id", language)])
    if len(numbers) > 1:
        raise NumberChoiceRequired(
            details=[
                {"field": "phone_number_id", "rule": "choose", "message": each.phone_number, "value": each.id}
                for each in numbers
            ]
        )
    return numbers[0]


def _not_granted(field: str, language: Language) -> dict[str, object]:
    return Problem(
        field=field,
        rule="not_granted",
        en="Meta's dialog did not grant this. Open it again and accept everything, for the right account.",
        es="La ventana de Meta no concedió esto. Ábrela de nuevo y acepta todo, con la cuenta correcta.",
    ).to_detail(language)


def _login_options(config_id: str, *, is_coexistence: bool) -> dict[str, Any]:
    extras: dict[str, Any] = {"setup": {}, "sessionInfoVersion": "3"}
    if is_coexistence:
        extras["featureType"] = "whatsapp_business_app_onboarding"
    return {
        "config_id": config_id,
        "response_type": "code",
        "override_default_response_type": True,
        "extras": extras,
    }


def _authorize_url(tools: Resources, state: str, redirect_uri: str, options: dict[str, Any]) -> str:
    settings = tools.settings
    is_meta = settings.graph_api_url == DEFAULT_GRAPH_API_URL
    query = {
        "client_id": settings.whatsapp_app_id,
        "redirect_uri": redirect_uri,
        "state": state,
        **options,
        "override_default_response_type": "true",
        "extras": json.dumps(options["extras"]),
    }
    host = DIALOG_HOST if is_meta else settings.graph_api_url
    return f"{host}/{settings.graph_api_version}/dialog/oauth?{urlencode(query)}"


def hash_of(value: str) -> str:
    """Hash what is random enough not to be guessed."""
    return hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()
