"""Renewing access tokens before they end, so that nobody notices. An edge.

https://developers.facebook.com/documentation/business-messaging/whatsapp/access-tokens
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from shared import log
from shared.access import load_access, mark_token_dead
from shared.graph import GraphError
from shared.meta_errors import classify

if TYPE_CHECKING:
    from shared.access import StoredAccess
    from shared.crypto import KeyRing
    from shared.web import Resources

# Failing this close to the end, the owner is told; before that, trying again is enough.
ALARM = timedelta(days=3)
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 6 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """What came of a renewal."""

    expires_at: datetime | None
    is_refreshed: bool


async def refresh_token(tools: Resources, access: StoredAccess) -> Renewal:
    """Exchange the token for one that lasts longer; the old one works until its own end.

    The platform's own token is renewed by whoever deploys: it is copied anew from the settings.
    """
    if access.is_platform:
        return await _copy_platform_token(tools, access)
    if not access.app_secret:
        return Renewal(expires_at=access.expires_at, is_refreshed=False)
    answer = await tools.graph.request(
        "GET",
        "oauth/access_token",
        token=access.token,
        params={
            "grant_type": "fb_exchange_token",
            "client_id": access.app_id,
            "client_secret": access.app_secret,
            "fb_exchange_token": access.token,
            "set_token_expires_in_60_days": "true" if access.expires_at else None,
        },
    )
    lasts = answer.get("expires_in")
    expires_at = datetime.now(UTC) + timedelta(seconds=lasts) if isinstance(lasts, int) and lasts else None
    return await _keep(tools, access, str(answer["access_token"]), expires_at)


# As many as `find_stale_platform_tokens` names at once.
COPIED_AT_ONCE = 100


async def refresh_due_tokens(tools: Resources) -> tuple[int, bool]:
    """Do what no token's own job does: revive lost renewals, and copy a new token of the platform's around.

    Returns how many were revived or copied, and whether more may be left.
    """
    service = tools.database.as_service()
    revived: int = await service.rpc("revive_token_refreshes")
    if not tools.settings.has("WHATSAPP_ACCESS_TOKEN"):
        return revived, False
    current = hash_platform_token(await tools.load_keys(), tools.settings.whatsapp_access_token)
    stale: list[str] = await service.rpc("find_stale_platform_tokens", {"current_hash": current}) or []
    copied = 0
    for integration_id in stale:
        access = await load_access(tools, integration_id)
        if access is not None:
            copied += (await _copy_platform_token(tools, access)).is_refreshed
    # What cannot be copied is named again each time: without progress, the next round is the schedule's.
    return revived + copied, copied > 0 and len(stale) == COPIED_AT_ONCE


def hash_platform_token(keys: KeyRing, token: str) -> str:
    """Hash the platform's token, to notice when another one is set."""
    return keys.keyed_hash(token, purpose="platform_token")


def retry_seconds(expires_at: datetime | None, attempts: int, now: datetime) -> float:
    """Return the pause after a failed renewal: minutes, then hours, and several tries before the end."""
    left = (expires_at - now).total_seconds() if expires_at else LONGEST_PAUSE
    return max(SHORTEST_PAUSE, min(LONGEST_PAUSE, 60.0 * 3.0 ** min(attempts - 1, 8), left / 4))


async def tell_of_failure(tools: Resources, access: StoredAccess, error: Exception) -> None:
    """Tell the operator, and the owner too when the end is close or has come."""
    is_close = access.expires_at is not None and access.expires_at - datetime.now(UTC) < ALARM
    write = log.error if is_close else log.warning
    write(
        "token.not_refreshed",
        integration_id=access.integration_id,
        expires_at=access.expires_at,
        error=error,
    )
    if isinstance(error, GraphError) and classify(error).effect == "token_dead":
        await mark_token_dead(tools, access.integration_id, classify(error).sentence("es"))
    elif is_close:
        await tools.database.as_service().rpc(
            "tell_owner",
            {
                "integration": access.integration_id,
                "news": "TOKEN_NOT_REFRESHED",
                "how_severe": "warning",
                "content": {"expires_at": access.expires_at.isoformat() if access.expires_at else None},
            },
        )


async def _copy_platform_token(tools: Resources, access: StoredAccess) -> Renewal:
    current = tools.settings.demand("WHATSAPP_ACCESS_TOKEN").whatsapp_access_token
    return await _keep(tools, access, current, None, hash_platform_token(tools.keys, current))


async def _keep(
    tools: Resources,
    access: StoredAccess,
    token: str,
    expires_at: datetime | None,
    platform_hash: str | None = None,
) -> Renewal:
    is_kept = await tools.database.as_service().rpc(
        "keep_refreshed_token",
        {
            "integration": access.integration_id,
            "replaced_token": access.row["access_token"],
            "encrypted_token": tools.keys.encrypt(token, row_id=access.integration_id, column="access_token"),
            "expires": expires_at.isoformat() if expires_at else None,
            "platform_hash": platform_hash,
        },
    )
    return Renewal(expires_at=expires_at, is_refreshed=bool(is_kept))
