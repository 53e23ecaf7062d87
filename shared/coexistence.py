"""Numbers that stay in the WhatsApp Business app: their contacts and history can be asked for. An edge.

https://developers.facebook.com/documentation/business-messaging/whatsapp/embedded-signup/onboarding-business-app-users
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.graph import GraphError

if TYPE_CHECKING:
    from shared.attempts import Access
    from shared.web import Resources

SYNC_TYPES = {"smb_app_state_sync": "contacts", "history": "history"}
# Asked for before, or later than 24 hours after onboarding: nothing that asking again could change.
ASKED_BEFORE, TOO_LATE = 2593107, 2593108
OVER = frozenset({ASKED_BEFORE, TOO_LATE})


async def start_sync(tools: Resources, access: Access, phone_number_id: str) -> bool:
    """Ask for contacts and history, each once within 24 hours of onboarding; tell whether Meta took it."""
    is_started = False
    for sync_type, kind in SYNC_TYPES.items():
        what = {"number_id": phone_number_id, "wanted": kind}
        if not await tools.database.call_rpc("begin_sync", what):
            continue
        try:
            await tools.graph.post(
                f"{phone_number_id}/smb_app_data",
                token=access.token,
                app_secret=access.app_secret,
                json={"messaging_product": "whatsapp", "sync_type": sync_type},
            )
            is_started = True
            await tools.database.call_rpc("finish_sync", {**what, "reached": "requested"})
        except GraphError as error:
            code = next((each for each in (error.code, error.subcode) if each in OVER), None)
            reached = "requested" if code == ASKED_BEFORE else "failed" if code is None else "refused"
            await tools.database.call_rpc("finish_sync", {**what, "reached": reached, "code": code})
            if code is None:
                raise
    return is_started
