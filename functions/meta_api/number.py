"""The number at Meta: read, registered, deregistered. An edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from functions.meta_api.models import NumberAnswer
from shared.attempts import NOT_VERIFIED, PIN_MISMATCH, begin_registration, make_pin
from shared.connecting import NUMBER_FIELDS, NumberFacts
from shared.errors import PinRequired, VerificationRequired
from shared.graph import GraphError
from shared.numbers import format_number

if TYPE_CHECKING:
    from shared.access import StoredAccess
    from shared.web import Resources


async def read(tools: Resources, access: StoredAccess) -> NumberAnswer:
    """Read the number at Meta, keep its facts, and return them."""
    node = await tools.graph.phone_number(
        access.phone_number_id,
        token=access.token,
        app_secret=access.app_secret,
        fields=f"{NUMBER_FIELDS},health_status",
    )
    facts = NumberFacts.from_node(node)
    await learn(tools, access, {**facts.to_facts(), "is_registered": facts.is_registered})
    return NumberAnswer(
        phone_number_id=facts.id,
        phone_number=facts.phone_number,
        formatted_phone_number=format_number(facts.phone_number) if facts.phone_number else None,
        display_name=facts.display_name,
        name_status=node.get("name_status"),
        status=node.get("status"),
        quality_rating=facts.quality_rating,
        throughput=facts.throughput,
        messaging_limit=facts.messaging_limit,
        is_registered=facts.is_registered,
        is_verified=facts.is_verified,
        is_coexistence=facts.is_coexistence,
        has_pin=facts.has_pin,
        health_status=node.get("health_status"),
    )


async def register(tools: Resources, access: StoredAccess, *, pin: str | None) -> NumberAnswer:
    """Register the number; the PIN is stored before Meta hears of it."""
    service = tools.database.as_service()
    stored = access.row["pin"]
    chosen = pin or (access.open("pin") if stored else None) or make_pin()
    encrypted = tools.keys.encrypt(chosen, row_id=access.integration_id, column="pin")
    await learn(tools, access, {"pin": encrypted})
    turn = await begin_registration(service, access.integration_id, access.phone_number_id, "register")
    try:
        async with turn:
            await tools.graph.post(
                f"{access.phone_number_id}/register",
                token=access.token,
                app_secret=access.app_secret,
                json={"messaging_product": "whatsapp", "pin": chosen},
            )
    except GraphError as error:
        if error.code == PIN_MISMATCH:
            if stored:
                await learn(tools, access, {"pin": stored})
            raise PinRequired from error
        if error.code == NOT_VERIFIED:
            raise VerificationRequired from error
        raise
    return await read(tools, access)


async def deregister(tools: Resources, access: StoredAccess) -> NumberAnswer:
    """Take the number off the Cloud API."""
    service = tools.database.as_service()
    turn = await begin_registration(service, access.integration_id, access.phone_number_id, "deregister")
    async with turn:
        await tools.graph.post(
            f"{access.phone_number_id}/deregister", token=access.token, app_secret=access.app_secret
        )
    return await read(tools, access)


async def learn(tools: Resources, access: StoredAccess, facts: dict[str, Any]) -> dict[str, Any]:
    """Keep what is known now; answers the connection."""
    learnt: dict[str, Any] = await tools.database.as_service().rpc(
        "learn_number", {"integration": access.integration_id, "facts": facts}
    )
    return learnt
