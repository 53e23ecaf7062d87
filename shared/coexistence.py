"""Numbers that stay in the WhatsApp Business app: their contacts and history can be asked for. An edge.

https://developers.facebook.com/documentation/business-messaging/whatsapp/embedded-signup/onboarding-business-app-users
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.graph import GraphError

if TYPE_CHECKING:
    from shared.attempts import Access
    from shared.web import Resources

SYNC_TYPES = ("smb_app_state_sync", "history")
# Asked for before, or later than 24 hours after onboarding: nothing that asking again could change.
OVER = frozenset({2593107, 2593108})


async def start_sync(tools: Resources, access: Access, phone_number_id: str) -> bool:
    """Ask for contacts and history, each once within 24 hours of onboarding; tell whether Meta took it."""
    is_started = False
    for sync_type in SYNC_TYPES:
        try:
            await tools.graph.post(
                f"{phone_number_id}/smb_app_data",
                token=access.token,
                app_secret=access.app_secret,
                json={"messaging_product": "whatsapp", "sync_type": sync_type},
            )
            is_started = True
        except GraphError as error:
            if error.code not in OVER and error.subcode not in OVER:
                raise
    return is_started
