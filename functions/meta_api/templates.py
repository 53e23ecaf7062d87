"""Message templates: Meta reviews and keeps them; our copy is what agents choose from. An edge.

In the platform's account, which organizations share, each has those alone whose names it has claimed.

https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/template-management
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from functions.meta_api.models import TemplatesAnswer, TemplateView
from shared.errors import InvalidQuery, TemplateNameTaken, TemplateNotFound

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
    filters = {name: query.get(name) for name in FILTERS}
    if access.is_platform:
        return await _list_shared(tools, access, filters, limit=int(limit), after=query.get("after"))
    read_at = datetime.now(UTC)
    page = await tools.graph.get(
        f"{access.waba_id}/message_templates",
        token=access.token,
        app_secret=access.app_secret,
        params={"fields": FIELDS, "limit": limit, "after": query.get("after"), **filters},
    )
    found = [each for each in page.get("data") or [] if isinstance(each, dict)]
    await keep(tools, access, found, is_complete=False, read_at=read_at)
    paging = page.get("paging") or {}
    after = (paging.get("cursors") or {}).get("after") if paging.get("next") else None
    return TemplatesAnswer(templates=[TemplateView.model_validate(each) for each in found], after=after)


async def _list_shared(
    tools: Resources,
    access: StoredAccess,
    filters: Mapping[str, str | None],
    *,
    limit: int,
    after: str | None,
) -> TemplatesAnswer:
    # Meta's pages are full of what is others'.
    read_at = datetime.now(UTC)
    found = await _ask(tools, access, **filters)
    own = await keep(tools, access, found, is_complete=False, read_at=read_at)
    # In the order of their ids: one that is deleted meanwhile shifts no page.
    left = {str(each["id"]): each for each in own if after is None or str(each["id"]) > after}
    page = sorted(left)[:limit]
    return TemplatesAnswer(
        templates=[TemplateView.model_validate(left[template_id]) for template_id in page],
        after=page[-1] if len(page) < len(left) else None,
    )


async def list_all(tools: Resources, access: StoredAccess) -> list[dict[str, Any]]:
    """List every template of the organization's, and forget those that are gone."""
    read_at = datetime.now(UTC)
    found = await _ask(tools, access)
    return await keep(tools, access, found, is_complete=True, read_at=read_at)


async def create(tools: Resources, access: StoredAccess, body: TemplateBody) -> TemplateView:
    """Give a template to Meta for review; raise `TemplateNameTaken` where its name is another's."""
    if access.is_platform:
        await _claim(tools, access, body.name)
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
    if access.is_platform and not await _owns(tools, access, name, template_id):
        raise TemplateNotFound
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
) -> list[dict[str, Any]]:
    """Keep templates as Meta told them at this time; return those of them that are the organization's."""
    kept = await tools.database.as_service().rpc(
        "keep_templates",
        {
            "integration": access.integration_id,
            "account": access.waba_id,
            "templates": templates,
            "is_complete": is_complete,
            "read_at": read_at.isoformat(),
        },
    )
    return [each for each in templates if str(each.get("id")) in set(kept)]


async def _ask(tools: Resources, access: StoredAccess, **filters: str | None) -> list[dict[str, Any]]:
    return await tools.graph.list_all(
        f"{access.waba_id}/message_templates",
        token=access.token,
        app_secret=access.app_secret,
        params={"fields": FIELDS, "limit": LARGEST_PAGE, **filters},
    )


async def _claim(tools: Resources, access: StoredAccess, name: str) -> None:
    if await _owns(tools, access, name):
        return
    # The platform's own, whose names nobody claimed: a further language of one would be deleted with it.
    is_platforms = name == tools.settings.verification_template or any(
        each.get("name") == name for each in await _ask(tools, access, name=name)
    )
    if is_platforms:
        raise TemplateNameTaken(name=name)
    claim = {"integration": access.integration_id, "template_name": name}
    await tools.database.as_service().rpc("claim_template_name", claim)


async def _owns(tools: Resources, access: StoredAccess, name: str, template_id: str | None = None) -> bool:
    wanted = {"integration": access.integration_id, "template_name": name, "template": template_id}
    is_own: bool = await tools.database.as_service().rpc("owns_template", wanted)
    return is_own


def _refuse(field: str, message: str) -> InvalidQuery:
    return InvalidQuery(details=[{"field": field, "rule": "value", "message": message}])
