"""Fetches an attachment from Meta and keeps it; an edge: everything here is I/O.

The message is stored already and stays as it is, whatever becomes of the bytes. They pass through a file,
never through memory whole: a document has up to 100 MB, a function 512.
https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared import log
from shared.access import load_access
from shared.graph import GraphError, GraphUnreachable
from shared.jobs import SETTLED, Outcome, outcome_of, retry
from shared.media import HEAD_BYTES, LARGEST, OCTETS, MediaRefused, begins_as, main_type, read_answer
from shared.media_store import media_path, open_media_store
from shared.meta_errors import classify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.access import StoredAccess
    from shared.jobs import Work

CHUNK_BYTES = 64 * 1024
# Each time a URL turned out to be too old, a fresh one; Meta's live five minutes.
FRESH_URLS = 3
OK, NOT_FOUND = 200, 404
# Graph's word for what is not there, or not any more.
UNKNOWN_OBJECT = 100


class UrlExpired(Exception):
    """Meta no longer serves this URL; the id behind it may be good for a new one."""


async def fetch_media(work: Work) -> Outcome:
    """Do one job of kind fetch_media."""
    media: dict[str, Any] | None = await work.call("begin_media", job=work.job.id, token=work.job.lease_token)
    if media is None:
        # The message is gone: its organization was deleted meanwhile.
        return Outcome(word="done", reason="message_gone")
    if media["state"] == "stored":
        return Outcome(word="done")
    if media["twin"] is not None:
        return await _finish(work, {**media["twin"], "state": "stored"})
    try:
        stored = await _fetch(work, media)
    except MediaRefused as refusal:
        log.warning("media.refused", message_id=media["message_id"], reason=refusal.reason)
        return await _finish(work, {"state": "failed", "failure_reason": refusal.reason})
    except (GraphError, GraphUnreachable, UrlExpired) as error:
        return await _give_up_or_wait(work, media, error)
    return await _finish(work, stored)


async def _fetch(work: Work, media: Mapping[str, Any]) -> dict[str, Any]:
    access = await load_access(work.resources, media["integration_id"]) if media["integration_id"] else None
    if access is None:
        raise MediaRefused("no_access")
    if not media["media_id"]:
        raise MediaRefused("not_found")
    for attempt in range(FRESH_URLS):
        answer = await work.resources.graph.get(
            media["media_id"],
            token=access.token,
            app_secret=access.app_secret,
            params={"phone_number_id": media["phone_number_id"]},
        )
        try:
            return await _take(work, media, access, answer)
        except UrlExpired:
            if attempt + 1 == FRESH_URLS:
                raise
            log.info("media.url_renewed", message_id=media["message_id"])
    raise AssertionError("the loop returns or raises")  # pragma: no cover - for the type checker


async def _take(
    work: Work, media: Mapping[str, Any], access: StoredAccess, answer: Mapping[str, Any]
) -> dict[str, Any]:
    size, sha256 = read_answer(answer, mime_type=media["mime_type"], sha256=media["sha256"])
    url = str(answer.get("url") or "")
    if not work.resources.graph.is_media_url(url):
        raise MediaRefused("foreign_url")
    mime_type = media["mime_type"] or main_type(answer.get("mime_type")) or None
    with tempfile.NamedTemporaryFile(prefix="media-", buffering=0) as file:
        path = Path(file.name)
        count, digest = await _download(work, url, access.token, file, size)
        if size is not None and count != size:
            raise MediaRefused("size_mismatch")
        if sha256 is not None and digest != sha256:
            raise MediaRefused("hash_mismatch")
        file.seek(0)
        if not begins_as(mime_type, file.read(HEAD_BYTES)):
            # The sender's file, named wrongly; without a hash it may be any page of an error.
            if sha256 is None:
                raise MediaRefused("type_mismatch")
            mime_type = OCTETS
        place = media_path(media["organization_id"], digest)
        await open_media_store(work.resources).keep(place, path, mime_type=mime_type)
    return {
        "state": "stored",
        "storage_path": place,
        "byte_count": count,
        "sha256": digest,
        "mime_type": mime_type,
    }


async def _download(work: Work, url: str, token: str, file: Any, size: int | None) -> tuple[int, str]:
    limit = LARGEST if size is None else size
    count, digest = 0, hashlib.sha256()
    async with work.resources.graph.download(url, token=token) as response:
        if response.status_code == NOT_FOUND:
            raise UrlExpired
        if response.status_code != OK:
            raise GraphUnreachable(request_written=True, reason=f"HTTP {response.status_code}")
        async for chunk in response.aiter_bytes(CHUNK_BYTES):
            count += len(chunk)
            if count > limit:
                # No need to read on: it is not what was announced.
                raise MediaRefused("size_mismatch" if size is not None else "too_large")
            digest.update(chunk)
            file.write(chunk)
    return count, digest.hexdigest()


async def _give_up_or_wait(work: Work, media: Mapping[str, Any], error: Exception) -> Outcome:
    job = work.job
    reason = "unavailable"
    if isinstance(error, GraphError):
        log.info("media.not_given", message_id=media["message_id"], **error.log_fields)
        if error.code == UNKNOWN_OBJECT:
            if media["is_old"]:
                return await _finish(work, {"state": "expired"})
            return await _finish(work, {"state": "failed", "failure_reason": "not_found"})
        meaning = classify(error)
        if meaning.effect == "token_dead":
            await work.call(
                "mark_integration_error",
                integration=media["integration_id"],
                reason_code="token_dead",
                reason_message=meaning.sentence("es"),
            )
            # Nothing that waiting mends: fetched when the connection is repaired (private.revive_media).
            return await _finish(work, {"state": "failed", "failure_reason": "no_access"})
    if media["is_old"]:
        return await _finish(work, {"state": "expired"})
    outcome = retry(job, "url_expired") if isinstance(error, UrlExpired) else outcome_of(job, error)
    if outcome.word == "dead" or job.is_last_attempt:
        return await _finish(work, {"state": "failed", "failure_reason": reason})
    return outcome


async def _finish(work: Work, result: dict[str, Any]) -> Outcome:
    job = work.job
    if not await work.call("finish_media", job=job.id, token=job.lease_token, result=result):
        log.warning("media.lease_lost", job_id=job.id)
    return SETTLED
