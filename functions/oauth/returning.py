"""Connecting the same number again: as far as what is stored, and what was proven, still holds. An edge."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from functions.oauth.codes import connect_platform_number, platform_access
from shared.access import load_access
from shared.attempts import begin_attempt
from shared.connecting import NUMBER_FIELDS, NumberFacts, TokenFacts, find_number
from shared.errors import CredentialsNeeded, IntegrationNotFound, VerificationRequired

if TYPE_CHECKING:
    from functions.oauth.models import Pin
    from shared.access import StoredAccess
    from shared.callers import Caller
    from shared.web import Resources


async def reconnect(tools: Resources, caller: Caller, *, pin: Pin | None) -> None:
    """Go on where it was; raise `VerificationRequired` or `CredentialsNeeded` where a person must act."""
    row = caller.integration
    if row is None or row["phone_number_id"] is None:
        raise IntegrationNotFound
    if row["way"] == "number":
        await _reconnect_platform_number(tools, caller, pin=pin)
        return
    access = await load_access(tools, str(row["id"]))
    if access is None:
        raise _need(row["way"])
    await _reconnect_with(tools, caller, access, pin=pin)


async def _reconnect_platform_number(tools: Resources, caller: Caller, *, pin: Pin | None) -> None:
    row = caller.integration or {}
    access = platform_access(tools)
    question = {"organization": caller.organization_id, "number_id": row["phone_number_id"]}
    if not await tools.database.as_service().rpc("is_number_still_proven", question):
        # Somebody else has proven it since: the number may have changed hands.
        raise VerificationRequired
    async with begin_attempt(
        tools,
        organization_id=caller.organization_id,
        user_id=caller.user_id,
        way="number",
        inputs={"phone_number": row["phone_number"]},
        phone_number_id=row["phone_number_id"],
    ) as attempt:
        await connect_platform_number(tools, attempt, access, row["phone_number_id"], pin=pin)


async def _reconnect_with(tools: Resources, caller: Caller, access: StoredAccess, *, pin: Pin | None) -> None:
    row = caller.integration or {}
    data = await tools.graph.debug_token(access.token, token=f"{access.app_id}|{access.app_secret}")
    token = TokenFacts.from_debug(data)
    if token.find_problem(app_id=access.app_id, now=datetime.now(UTC)) is not None:
        raise _need(row["way"])
    nodes = await tools.graph.waba_phone_numbers(
        access.waba_id, token=access.token, app_secret=access.app_secret, fields=NUMBER_FIELDS
    )
    number: NumberFacts | None = find_number(nodes, access.phone_number_id)
    if number is None:
        raise _need(row["way"])
    async with begin_attempt(
        tools,
        organization_id=caller.organization_id,
        user_id=caller.user_id,
        way=row["way"] or "credentials",
        inputs={"reconnect": number.id},
        phone_number_id=number.id,
    ) as attempt:
        await attempt.advance("proven", number.to_facts())
        await attempt.ensure_registered(number, access, given_pin=pin)
        await attempt.ensure_subscribed(access.waba_id, access)
        await attempt.finish()


def _need(way: str | None) -> CredentialsNeeded:
    return CredentialsNeeded(details=[{"field": "way", "rule": way or "credentials"}])
