"""The business profile: what customers see beside a message. An edge.

https://developers.facebook.com/documentation/business-messaging/whatsapp/business-profiles
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from functions.meta_api.models import ProfileAnswer

if TYPE_CHECKING:
    from functions.meta_api.models import ProfileBody
    from shared.access import StoredAccess
    from shared.web import Resources

FIELDS = "about,address,description,email,websites,vertical,profile_picture_url"


async def read(tools: Resources, access: StoredAccess) -> ProfileAnswer:
    """Read the profile."""
    answer = await tools.graph.get(
        f"{access.phone_number_id}/whatsapp_business_profile",
        token=access.token,
        app_secret=access.app_secret,
        params={"fields": FIELDS},
    )
    entries = answer.get("data") or [{}]
    return ProfileAnswer.model_validate(entries[0])


async def change(tools: Resources, access: StoredAccess, body: ProfileBody) -> ProfileAnswer:
    """Change what is given, and read the profile again."""
    wanted = body.model_dump(exclude={"organization_id"}, exclude_none=True)
    await tools.graph.post(
        f"{access.phone_number_id}/whatsapp_business_profile",
        token=access.token,
        app_secret=access.app_secret,
        json={"messaging_product": "whatsapp", **wanted},
    )
    return await read(tools, access)
