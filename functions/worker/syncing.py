"""Reads what Meta has of a connection, when it comes about and once a day; an edge: everything here is I/O.

What came for the number before it was connected is stored first: the ledger has it.

Meta gives past chats only of a number that stays in the WhatsApp Business app, asked for once within a day;
of any other number there are none to be had, and the sync's state says so.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from functions.worker.replay import store_again
from shared import log
from shared.access import load_access, watching
from shared.coexistence import start_sync
from shared.connecting import NUMBER_FIELDS, NumberFacts
from shared.jobs import DONE, Outcome, retry

if TYPE_CHECKING:
    from shared.access import StoredAccess
    from shared.jobs import Work

TEMPLATE_FIELDS = "id,name,language,category,status,components,rejected_reason,quality_score"
PROFILE_FIELDS = "about,address,description,email,profile_picture_url,websites,vertical"
PAGE_SIZE = 200
# As long as the database waits for whoever asked before.
ASKING_SECONDS = 60.0


async def sync_connection(work: Work) -> Outcome:
    """Do one job of kind sync_connection."""
    access = await load_access(work.resources, str(work.job.payload["integration_id"]))
    if access is None or access.row["status"] != "connected":
        return Outcome(word="done", reason="not_connected")
    await _store_early_events(work, access)
    async with watching(work.resources, access.integration_id):
        is_coexistence = await _read_number(work, access)
        await _read_profile(work, access)
        await _read_templates(work, access)
        if is_coexistence:
            is_asked = await start_sync(work.resources, access, access.phone_number_id)
            log.info("sync.history", integration_id=access.integration_id, is_asked=is_asked)
            if await work.call("is_asking_sync", integration=access.integration_id):
                return retry(work.job, "Somebody is asking, or was cut off.", seconds=ASKING_SECONDS)
        else:
            for kind in ("contacts", "history"):
                await _tell(work, access, kind, "not_offered")
    return DONE


async def _store_early_events(work: Work, access: StoredAccess) -> None:
    last = 0
    while page := await work.call("list_early_events", integration=access.integration_id, after_id=last):
        for event in page:
            await store_again(work.resources, event)
            last = event["id"]


async def _read_number(work: Work, access: StoredAccess) -> bool:
    node = await work.resources.graph.phone_number(
        access.phone_number_id, token=access.token, app_secret=access.app_secret, fields=NUMBER_FIELDS
    )
    facts = NumberFacts.from_node(node)
    told = {**facts.to_facts(), "is_registered": facts.is_registered}
    await work.call("learn_number", integration=access.integration_id, facts=told)
    await _tell(work, access, "number", "done")
    return facts.is_coexistence


async def _read_profile(work: Work, access: StoredAccess) -> None:
    answer = await work.resources.graph.get(
        f"{access.phone_number_id}/whatsapp_business_profile",
        token=access.token,
        app_secret=access.app_secret,
        params={"fields": PROFILE_FIELDS},
    )
    rows = answer.get("data") or []
    profile = rows[0] if rows and isinstance(rows[0], dict) else {}
    await _tell(work, access, "profile", "done", found=profile)


async def _read_templates(work: Work, access: StoredAccess) -> None:
    read_at = datetime.now(UTC)
    found = await work.resources.graph.list_all(
        f"{access.waba_id}/message_templates",
        token=access.token,
        app_secret=access.app_secret,
        params={"fields": TEMPLATE_FIELDS, "limit": PAGE_SIZE},
    )
    kept = await work.call(
        "keep_templates",
        integration=access.integration_id,
        account=access.waba_id,
        templates=found,
        is_complete=True,
        read_at=read_at.isoformat(),
    )
    await _tell(work, access, "templates", "done", found={"count": len(kept)})


async def _tell(
    work: Work, access: StoredAccess, kind: str, reached: str, *, found: dict[str, object] | None = None
) -> None:
    await work.call(
        "finish_sync", number_id=access.phone_number_id, wanted=kind, reached=reached, found=found or {}
    )
