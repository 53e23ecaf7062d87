"""How to speak to Meta for a connected organization: its stored credentials, opened. An edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.attempts import Access

if TYPE_CHECKING:
    from shared.web import Resources

COLUMNS = (
    "id", "organization_id", "status", "access_token", "app_id", "app_secret", "has_own_app",
    "has_platform_token", "business_account_id", "phone_number_id", "token_expires_at",
)  # fmt: skip


@dataclass(kw_only=True)
class StoredAccess(Access):
    """Access to one connection's WABA and number."""

    waba_id: str
    phone_number_id: str
    is_platform: bool
    row: dict[str, Any]


async def load_access(tools: Resources, integration_id: str) -> StoredAccess | None:
    """Open the credentials of a connection; None where there are none (disconnected, or never connected)."""
    query = tools.database.as_service().select("whatsapp_integrations", *COLUMNS).eq("id", integration_id)
    rows = (await query.execute()).data
    row: dict[str, Any] = dict(rows[0]) if rows else {}  # type: ignore[arg-type]
    if not row or row["access_token"] is None:
        return None
    return open_access(tools, row)


def open_access(tools: Resources, row: dict[str, Any]) -> StoredAccess:
    """Open a row that was read with `COLUMNS`."""

    def opened(column: str) -> str | None:
        text = row[column]
        return None if text is None else tools.keys.decrypt(text, row_id=str(row["id"]), column=column)

    settings = tools.settings
    platform_secret = settings.whatsapp_app_secret if settings.has("WHATSAPP_APP_SECRET") else None
    return StoredAccess(
        token=opened("access_token") or "",
        app_id=str(row["app_id"] or ""),
        app_secret=opened("app_secret") if row["has_own_app"] else platform_secret,
        waba_id=str(row["business_account_id"] or ""),
        phone_number_id=str(row["phone_number_id"] or ""),
        is_platform=bool(row["has_platform_token"]),
        row=row,
    )
