"""How to speak to Meta for a connected organization: its stored credentials, opened. An edge."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from shared.attempts import Access
from shared.errors import IntegrationNotFound, NotConnected, TooManyRequests
from shared.graph import GraphError
from shared.meta_errors import classify

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from shared.callers import Caller
    from shared.crypto import KeyRing
    from shared.web import Resources

USABLE = frozenset({"connected", "error"})
COLUMNS = (
    "id", "organization_id", "status", "access_token", "app_id", "app_secret", "has_own_app",
    "has_platform_token", "business_account_id", "phone_number_id", "token_expires_at", "pin",
    "webhook_verify_token", "callback_override",
)  # fmt: skip


@dataclass(kw_only=True, repr=False)
class StoredAccess(Access):
    """Access to one connection's WABA and number."""

    waba_id: str
    phone_number_id: str
    is_platform: bool
    row: dict[str, Any]
    keys: KeyRing

    @property
    def integration_id(self) -> str:
        """The connection's id."""
        return str(self.row["id"])

    @property
    def expires_at(self) -> datetime | None:
        """When the token ends; None: never."""
        text = self.row["token_expires_at"]
        return None if text is None else datetime.fromisoformat(text)

    def open(self, column: str) -> str | None:
        """Open another secret of this connection."""
        return open_secret(self.keys, self.row, column)

    def __repr__(self) -> str:
        return f"StoredAccess({self.integration_id})"


async def need_access(tools: Resources, caller: Caller) -> StoredAccess:
    """Return access to the caller's connection; raise where there is none, or it cannot be used now.

    One management call is reserved, see `take_calls`.
    """
    if caller.integration is None:
        raise IntegrationNotFound
    access = await load_access(tools, str(caller.integration["id"]))
    if access is None or access.row["status"] not in USABLE:
        raise NotConnected
    await take_calls(tools, access.integration_id)
    return access


async def take_calls(
    tools: Resources, integration_id: str, wanted: int = 1, *, platform_account: str | None = None
) -> None:
    """Reserve management calls about the connection's account, or about the platform's.

    Meta counts them by account (5,000 an hour, 200 before a number is registered): whoever would go beyond is
    told when to come again (`TooManyRequests`), before Meta refuses the whole account.
    """
    calls = {"integration": integration_id, "wanted": wanted, "platform_account": platform_account}
    wait = await tools.database.as_service().rpc("take_management_calls", calls)
    if wait:
        raise TooManyRequests(retry_after=float(wait))


@asynccontextmanager
async def watching(tools: Resources, integration_id: str) -> AsyncIterator[None]:
    """Watch for the end of the token: the connection becomes `error`, and its owner is told why."""
    try:
        yield
    except GraphError as error:
        meaning = classify(error)
        if meaning.effect == "token_dead":
            await mark_token_dead(tools, integration_id, meaning.sentence("es"))
        raise


async def mark_token_dead(tools: Resources, integration_id: str, reason: str) -> None:
    """Store that sends stop and why; what customers write goes on arriving."""
    await tools.database.as_service().rpc(
        "mark_integration_error",
        {"integration": integration_id, "reason_code": "token_dead", "reason_message": reason},
    )


async def load_access(tools: Resources, integration_id: str) -> StoredAccess | None:
    """Open the credentials of a connection; None where there are none (disconnected, or never connected)."""
    query = tools.database.as_service().select("whatsapp_integrations", *COLUMNS).eq("id", integration_id)
    rows = (await query.execute()).data
    row: dict[str, Any] = dict(rows[0]) if rows else {}  # type: ignore[arg-type]
    if not row or row["access_token"] is None:
        return None
    await tools.load_keys()
    return open_access(tools, row)


def open_access(tools: Resources, row: dict[str, Any]) -> StoredAccess:
    """Open a row that was read with `COLUMNS`."""
    settings = tools.settings
    platform_secret = settings.whatsapp_app_secret if settings.has("WHATSAPP_APP_SECRET") else None
    return StoredAccess(
        token=open_secret(tools.keys, row, "access_token") or "",
        app_id=str(row["app_id"] or ""),
        app_secret=open_secret(tools.keys, row, "app_secret") if row["has_own_app"] else platform_secret,
        waba_id=str(row["business_account_id"] or ""),
        phone_number_id=str(row["phone_number_id"] or ""),
        is_platform=bool(row["has_platform_token"]),
        row=row,
        keys=tools.keys,
    )


def open_secret(keys: KeyRing, row: Mapping[str, Any], column: str) -> str | None:
    """Open one encrypted column of a connection's row."""
    text = row[column]
    return None if text is None else keys.decrypt(text, row_id=str(row["id"]), column=column)
