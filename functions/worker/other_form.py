"""Tries a number in its other form after Meta could not deliver to it. An edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.jobs import DONE, Outcome
from shared.sending import other_form

if TYPE_CHECKING:
    from shared.jobs import Work


async def retry_other_form(work: Work) -> Outcome:
    """Do one job of kind retry_other_form."""
    form = other_form(str(work.job.payload["wa_id"]))
    if form is None:
        return Outcome(word="done", reason="one_form_only")
    await work.resources.database.call_rpc(
        "retry_in_other_form", {"message": work.job.payload["message_id"], "form": form}
    )
    return DONE
