"""Letting a number go: at Meta as far as it answers, with us in any case. An edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared import log
from shared.access import load_access
from shared.crypto import CannotDecrypt
from shared.errors import IntegrationNotFound
from shared.graph import GraphError, GraphUnreachable

if TYPE_CHECKING:
    from shared.access import StoredAccess
    from shared.attempts import Access
    from shared.callers import Caller
    from shared.web import Resources


async def leave(tools: Resources, caller: Caller, *, deregister: bool) -> dict[str, Any]:
    """Remove our app from the WABA, then the credentials; repeated, it changes nothing more."""
    if caller.integration is None:
        raise IntegrationNotFound
    service = tools.database.as_service()
    integration_id = caller.integration["id"]
    access = await _load(tools, integration_id)
    if access is not None:
        others = await service.rpc("count_others_on_waba", {"integration": integration_id})
        # The platform's own WABA, and one that several organizations share, go on delivering to them.
        if not others and not access.is_platform:
            await _tell_meta(tools, "DELETE", f"{access.waba_id}/subscribed_apps", access)
        if deregister:
            await _tell_meta(tools, "POST", f"{access.phone_number_id}/deregister", access)
    left: dict[str, Any] = await service.rpc(
        "disconnect_integration", {"integration": integration_id, "by_user": caller.user_id}
    )
    return left


async def _load(tools: Resources, integration_id: str) -> StoredAccess | None:
    try:
        return await load_access(tools, integration_id)
    except CannotDecrypt as error:
        # A lost key must not hold anybody.
        log.warning("connection.credentials_unreadable", integration_id=integration_id, error=error)
        return None


async def _tell_meta(tools: Resources, method: str, path: str, access: Access) -> None:
    try:
        await tools.graph.request(method, path, token=access.token, app_secret=access.app_secret)
    except (GraphError, GraphUnreachable) as error:
        # A dead token can no longer remove anything, and that is often why somebody disconnects.
        log.warning("connection.not_removed_at_meta", method=method, error=error)
