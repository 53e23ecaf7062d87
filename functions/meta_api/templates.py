"""Message templates: Meta reviews and keeps them; our copy is what agents choose from. An edge.

https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/template-management
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from functions.meta_api.models import TemplatesAnswer, TemplateView
from shared.errors import InvalidQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from functions.meta_api.models import TemplateBody
    from shared.access import StoredAccess
    from shared.web import Resources

FIELDS = "id,name,language,category,status,components,rejected_reason,quality_score"
DEFAULT_PAGE, LARGEST_PAGE = 50, 200
FILTERS = ("name", "status", "category", "language")


async def list_page(tools: Resources, access: StoredAccess, query: Mapping[str, str]) -> TemplatesAnswer:
    """List one page, and keep what it tells."""
    limit = query.get("limit", str(DEFAULT_PAGE))
    if not re.fullmatch(r"[0-9]{1,3}", limit) or not 1 <= int(limit) <= LARGEST_PAGE:
        raise _refuse("limit", f"A page holds 1 to {LARGEST_PAGE} templates.")
    read_at = datetime.now(UTC)
    page = await tools.graph.get(
        f"{access.waba_id}/message_templates",
        token=access.token,
        app_secret=access.app_secret,
        params={
            "fields": FIELDS,
            "limit": limit,
            "after": query.get("after"),
            **{name: query.get(name) for name in FILTERS},
        },
    )
    found = [each for each in page.get("data") or [] if isinstance(each, dict)]
    await keep(tools, access, found, is_complete=False, read_at=read_at)
    paging = page.get("paging") or {}
    after = (paging.get("cursors") or {}).get("after") if paging.get("next") else None
    return TemplatesAnswer(templates=[TemplateView.model_validate(each) for each in found], after=after)


async def list_all(tools: Resources, access: StoredAccess) -> list[dict[str, Any]]:
    """List every template, and forget those that are gone."""
    read_at = datetime.now(UTC)
    found = await tools.graph.list_all(
        f"{access.waba_id}/message_templates",
        token=access.token,
        app_secret=access.app_secret,
        params={"fields": FIELDS, "limit": LARGEST_PAGE},
    )
    await keep(tools, access, found, is_complete=True, read_at=read_at)
    return found


async def create(tools: Resources, access: StoredAccess, body: TemplateBody) -> TemplateView:
    """Give a template to Meta for review."""
    wanted = body.model_dump(exclude={"organization_id"}, exclude_none=True)
    read_at = datetime.now(UTC)
    made = await tools.graph.post(
        f"{access.waba_id}/message_templates", token=access.token, app_secret=access.app_secret, json=wanted
    )
    template = {**wanted, **made, "id": str(made["id"])}
    await keep(tools, access, [template], is_complete=False, read_at=read_at)
    return TemplateView.model_validate(template)


async def delete(tools: Resources, access: StoredAccess, query: Mapping[str, str]) -> int:
    """Delete by name, in every language unless one template's id is given too; answers how many we knew."""
    name, template_id = query.get("name"), query.get("template_id")
    if not name:
        raise _refuse("name", "Say which template: its name is missing.")
    await tools.graph.delete(
        f"{access.waba_id}/message_templates",
        token=access.token,
        app_secret=access.app_secret,
        params={"name": name, "hsm_id": template_id},
    )
    gone: int = await tools.database.as_service().rpc(
        "forget_templates",
        {"integration": access.integration_id, "template_name": name, "template": template_id},
    )
    return gone


async def keep(
    tools: Resources,
    access: StoredAccess,
    templates: list[dict[str, Any]],
    *,
    is_complete: bool,
    read_at: datetime,
) -> None:
    """Keep templates as Meta told them at this time."""
    await tools.database.as_service().rpc(
        "keep_templates",
        {
            "integration": access.integration_id,
            "templates": templates,
            "is_complete": is_complete,
            "read_at": read_at.isoformat(),
        },
    )


def _refuse(field: str, message: str) -> InvalidQuery:
    return InvalidQuery(details=[{"field": field, "rule": "value", "message": message}])
