"""Reading everything anew, as after connecting. An edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.meta_api import number, templates
from functions.meta_api.models import SyncAnswer
from shared.coexistence import start_sync

if TYPE_CHECKING:
    from shared.access import StoredAccess
    from shared.web import Resources


async def synchronise(tools: Resources, access: StoredAccess) -> SyncAnswer:
    """Read number and templates; ask for the phone app's contacts and history where the number has one."""
    live = await number.read(tools, access)
    found = await templates.list_all(tools, access)
    is_requested = live.is_coexistence and await start_sync(tools, access, access.phone_number_id)
    connection = await number.learn(tools, access, {})
    return SyncAnswer(
        templates=len(found),
        last_sync_at=connection["last_sync_at"],
        coexistence_requested=is_requested,
    )
