"""Whether and where Meta delivers for this account. An edge.

https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/override
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.meta_api.models import SubscriptionAnswer
from functions.meta_api.number import learn
from shared.connecting import find_subscription, webhook_url
from shared.verify_tokens import make_verify_token

if TYPE_CHECKING:
    from shared.access import StoredAccess
    from shared.web import Resources


async def read(tools: Resources, access: StoredAccess) -> SubscriptionAnswer:
    """Read the subscription."""
    apps = await tools.graph.subscribed_apps(access.waba_id, token=access.token, app_secret=access.app_secret)
    ours = find_subscription(apps, access.app_id)
    override = await _number_override(tools, access) or (ours or {}).get("override_callback_uri")
    return SubscriptionAnswer(
        is_subscribed=ours is not None,
        callback="override" if override else "app",
        override_url=override,
        other_apps=len(apps) - (ours is not None),
    )


async def change(tools: Resources, access: StoredAccess, *, callback: str) -> SubscriptionAnswer:
    """Subscribe; an override is set for the number, since others may share its account."""
    if callback == "override":
        await _override(tools, access)
    elif await _number_override(tools, access):
        await _configure(tools, access, url="", verify_token=None)
    apps = await tools.graph.subscribed_apps(access.waba_id, token=access.token, app_secret=access.app_secret)
    ours = find_subscription(apps, access.app_id)
    is_diverted = callback == "app" and ours is not None and bool(ours.get("override_callback_uri"))
    # Subscribing clears the account's override: not ours to do where others share the account.
    if ours is None or (is_diverted and not await _is_shared(tools, access)):
        await tools.graph.subscribe_app(access.waba_id, token=access.token, app_secret=access.app_secret)
    cleared = {"callback_override": None} if callback == "app" else {}
    await learn(tools, access, {"is_subscribed": True, **cleared})
    return await read(tools, access)


async def _is_shared(tools: Resources, access: StoredAccess) -> bool:
    others = await tools.database.as_service().rpc(
        "count_others_on_waba", {"integration": access.integration_id}
    )
    return access.is_platform or others > 0


async def _override(tools: Resources, access: StoredAccess) -> None:
    """Let Meta deliver this number's events to an address of its own; it asks that address at once."""
    url = webhook_url(
        tools.settings.demand("WHATSAPP_WEBHOOK_URL").whatsapp_webhook_url, access.integration_id
    )
    verify_token = access.open("webhook_verify_token")
    if verify_token is None:
        verify_token = make_verify_token()
        encrypted = tools.keys.encrypt(
            verify_token, row_id=access.integration_id, column="webhook_verify_token"
        )
        await learn(tools, access, {"webhook_verify_token": encrypted})
    await _configure(tools, access, url=url, verify_token=verify_token)
    await learn(tools, access, {"callback_override": url})


async def _configure(tools: Resources, access: StoredAccess, *, url: str, verify_token: str | None) -> None:
    configuration = {"override_callback_uri": url} | ({"verify_token": verify_token} if verify_token else {})
    await tools.graph.post(
        access.phone_number_id,
        token=access.token,
        app_secret=access.app_secret,
        json={"webhook_configuration": configuration},
    )


async def _number_override(tools: Resources, access: StoredAccess) -> str | None:
    node = await tools.graph.phone_number(
        access.phone_number_id,
        token=access.token,
        app_secret=access.app_secret,
        fields="webhook_configuration",
    )
    configured = node.get("webhook_configuration")
    url = configured.get("phone_number") if isinstance(configured, dict) else None
    return str(url) if url else None
