"""Pasted credentials: everything is checked with Meta before anything is stored. An edge."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from shared.attempts import Access, begin_attempt
from shared.connecting import (
    NUMBER_FIELDS,
    NUMBER_NOT_IN_WABA,
    WABA_FIELDS,
    WABA_NOT_COVERED,
    NumberFacts,
    Problem,
    TokenFacts,
    find_number,
    problem_of_app_check,
    problem_of_waba_read,
)
from shared.errors import CredentialsRefused
from shared.graph import GraphError
from shared.verify_tokens import make_verify_token

if TYPE_CHECKING:
    from functions.oauth.models import CredentialsBody
    from shared.callers import Caller
    from shared.errors import Language
    from shared.graph import GraphClient
    from shared.web import Resources


async def connect(tools: Resources, caller: Caller, body: CredentialsBody, language: Language) -> None:
    """Connect the number that the pasted values name; raise `CredentialsRefused` that names the wrong one."""
    access, has_own_app = _find_access(tools, body, language)
    token = await _check_token(tools.graph, access, language)
    number = await _check_number(tools.graph, access, token, body, language)
    async with begin_attempt(
        tools,
        organization_id=caller.organization_id,
        user_id=caller.user_id,
        way="credentials",
        inputs={"phone_number_id": number.id, "app_id": access.app_id},
        phone_number_id=number.id,
    ) as attempt:
        own = {"app_secret": access.app_secret if has_own_app else None}
        if has_own_app and attempt.decrypt("webhook_verify_token") is None:
            own["webhook_verify_token"] = make_verify_token()
        await attempt.advance(
            "proven",
            {
                **number.to_facts(),
                "business_account_id": body.business_account_id,
                "app_id": access.app_id,
                "has_own_app": has_own_app,
                "has_platform_token": False,
                "token_expires_at": token.expires_at.isoformat() if token.expires_at else None,
                **attempt.encrypt(access_token=access.token, **own),
            },
        )
        await attempt.ensure_registered(number, access, given_pin=body.pin, is_in_use=True)
        await attempt.ensure_subscribed(body.business_account_id, access)
        if body.override_callback:
            await attempt.override_callback(number.id, access)
        await attempt.finish()


def _find_access(tools: Resources, body: CredentialsBody, language: Language) -> tuple[Access, bool]:
    settings = tools.settings
    platform_app = settings.whatsapp_app_id if settings.has("WHATSAPP_APP_ID") else None
    has_own_app = body.app_id is not None and body.app_id != platform_app
    if body.app_secret is None and has_own_app:
        raise _refuse(_missing("app_secret"), language)
    settings.demand(
        *([] if has_own_app else ["WHATSAPP_APP_ID"]),
        *([] if has_own_app or body.app_secret else ["WHATSAPP_APP_SECRET"]),
        *(["WHATSAPP_WEBHOOK_URL"] * body.override_callback),
    )
    if not has_own_app:
        # Whoever names the platform's own app need not know its secret; if they paste one, it is checked.
        secret = body.app_secret or settings.whatsapp_app_secret
        return Access(token=body.access_token, app_id=settings.whatsapp_app_id, app_secret=secret), False
    return Access(token=body.access_token, app_id=str(body.app_id), app_secret=body.app_secret), True


async def _check_token(graph: GraphClient, access: Access, language: Language) -> TokenFacts:
    """Ask Meta, as the app, about the token: that proves app id, app secret and token at once."""
    try:
        data = await graph.debug_token(access.token, token=f"{access.app_id}|{access.app_secret}")
    except GraphError as error:
        raise _refuse(problem_of_app_check(error), language, error) from error
    token = TokenFacts.from_debug(data)
    problem = token.find_problem(app_id=access.app_id, now=datetime.now(UTC))
    if problem is not None:
        raise _refuse(problem, language)
    return token


async def _check_number(
    graph: GraphClient, access: Access, token: TokenFacts, body: CredentialsBody, language: Language
) -> NumberFacts:
    """Read the WABA and its numbers with the token: that proves what `debug_token` may not list."""
    if not token.covers(body.business_account_id):
        raise _refuse(WABA_NOT_COVERED, language)
    waba_id = body.business_account_id
    try:
        await graph.waba(waba_id, token=access.token, app_secret=access.app_secret, fields=WABA_FIELDS)
        nodes = await graph.waba_phone_numbers(
            waba_id, token=access.token, app_secret=access.app_secret, fields=NUMBER_FIELDS
        )
    except GraphError as error:
        raise _refuse(problem_of_waba_read(error), language, error) from error
    number = find_number(nodes, body.phone_number_id)
    if number is None:
        raise _refuse(NUMBER_NOT_IN_WABA, language)
    return number


def _missing(field: str) -> Problem:
    return Problem(
        field=field,
        rule="missing",
        en="This is needed: copy it from App settings → Basic.",
        es="Este dato hace falta: cópialo de Configuración de la app → Básica.",
    )


def _refuse(problem: Problem | None, language: Language, error: GraphError | None = None) -> Exception:
    """Name the field that is wrong; what says nothing about a field stays Meta's refusal."""
    if problem is None and error is not None:
        return error.to_refusal()
    return CredentialsRefused(details=[problem.to_detail(language)] if problem else [])
