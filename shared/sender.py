"""Sends one message to Meta and says what became of it; an edge: everything here is I/O.

The credentials stay in the warm instance under the stamp that the database gave with the send, so that a call
with replaced credentials never happens and one with known credentials costs no round trip.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared import log
from shared.crypto import CannotDecrypt
from shared.errors import AppError, DatabaseUnavailable, Misconfigured, NotConnected
from shared.graph import GraphError, GraphUnreachable
from shared.sending import (
    ATTEMPTS_AT_ONCE,
    MOST_ATTEMPTS,
    NUMBER_FORM_CODES,
    build_body,
    decide,
    find_media,
    other_form,
    read_acceptance,
    replace_files,
    to_result,
    to_result_base,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.web import Resources

MOST_REMEMBERED = 1_000
# A permit is for one call a second, and a little more for clocks that tick differently: whoever calls again
# under the same one waits for that long.
PERMIT_SECONDS = 1.005


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a call in an organization's name needs."""

    access_token: str
    app_secret: str | None

    def __repr__(self) -> str:
        return "Credentials(…)"


class Sender:
    """Sends in the name of any organization; lives as long as the warm instance does."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Credentials] = OrderedDict()
        self._loading: dict[tuple[str, str], asyncio.Task[Credentials]] = {}

    async def load_credentials(self, resources: Resources, send: Mapping[str, Any]) -> Credentials:
        """Return what the send's number is called with; from the database only where the stamp is new."""
        key = (send["integration_id"], send["credentials_stamp"])
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        if key not in self._loading:
            # Many sends of one number may ask at once: one answer serves them all.
            self._loading[key] = asyncio.ensure_future(_fetch_credentials(resources, key[0]))
        try:
            credentials = await asyncio.shield(self._loading[key])
        finally:
            self._loading.pop(key, None)
        self._known[key] = credentials
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        return credentials

    async def send(
        self,
        resources: Resources,
        send: Mapping[str, Any],
        *,
        user_token: str | None = None,
        may_repeat: bool = True,
    ) -> dict[str, Any]:
        """Call Meta, at most a few times where that is certainly safe; return the result for finish_sends.

        Raises nothing of Meta's: a refusal, and an answer that was lost, are results too.
        """
        attempts = send.get("attempts", 0)
        try:
            credentials = await self.load_credentials(resources, send)
            content = await _resolve_files(resources, send["content"], user_token)
        except AppError as error:
            # Meta was not called: later, or never if nobody repairs it.
            log.warning("sending.not_prepared", message_id=send["message_id"], error=error)
            return _not_prepared(send, error, attempts)
        body = build_body(send, content)
        tries = 0
        is_other_form_tried = False
        while True:
            tries += 1
            started = time.perf_counter()
            try:
                answer = await resources.graph.send_message(
                    send["phone_number_id"],
                    body,
                    token=credentials.access_token,
                    app_secret=credentials.app_secret,
                )
            except (GraphError, GraphUnreachable) as error:
                log.info(
                    "sending.not_accepted", message_id=send["message_id"], tries=tries, **error.log_fields
                )
                other = _find_other_form(error, body) if not is_other_form_tried else None
                if other is not None:
                    is_other_form_tried = True
                    body = {**body, "to": other}
                    await asyncio.sleep(PERMIT_SECONDS)
                    continue
                verdict = decide(
                    error,
                    attempts=attempts,
                    tries=tries if may_repeat else ATTEMPTS_AT_ONCE,
                    is_queued=not may_repeat,
                )
                if verdict.outcome != "again":
                    return to_result(verdict, send) | _timing(started)
                await asyncio.sleep(PERMIT_SECONDS + verdict.seconds)
                continue
            accepted = read_acceptance(answer)
            if accepted is None:
                log.error("sending.answer_unreadable", message_id=send["message_id"])
                return {"message_id": send["message_id"], "outcome": "uncertain"} | _timing(started)
            return {**to_result_base(send), **accepted} | _timing(started)


async def _fetch_credentials(resources: Resources, integration_id: str) -> Credentials:
    service = resources.database.as_service()
    found = (
        await service.select("whatsapp_integrations", "access_token,app_secret,has_own_app")
        .eq("id", integration_id)
        .limit(1)
        .execute()
    )
    row: Any = found.data[0] if found.data else {}
    if not row.get("access_token"):
        raise NotConnected
    await resources.load_keys()
    try:
        return _open_credentials(resources, integration_id, row)
    except CannotDecrypt as error:
        # The key ring lost a key: nothing can be sent until the deployer gives it back.
        log.error("sending.credentials_closed", integration_id=integration_id, error=error)
        raise Misconfigured(
            problems={"ENCRYPTION_KEYS": "ENCRYPTION_KEYS lacks the key of this row."}
        ) from None


def _open_credentials(resources: Resources, integration_id: str, row: Mapping[str, Any]) -> Credentials:
    keys, settings = resources.keys, resources.settings
    secret: str | None = None
    if row["app_secret"]:
        # Several while they are rotated, the newest first.
        own = keys.decrypt(row["app_secret"], row_id=integration_id, column="app_secret")
        secret = own.split(",")[0]
    elif not row["has_own_app"] and settings.has("WHATSAPP_APP_SECRET"):
        secret = settings.whatsapp_app_secret
    token = keys.decrypt(row["access_token"], row_id=integration_id, column="access_token")
    return Credentials(access_token=token, app_secret=secret)


async def _resolve_files(
    resources: Resources, content: dict[str, Any], user_token: str | None
) -> dict[str, Any]:
    paths = {part["storage_path"] for _, _, part in find_media(content)}
    if not paths:
        return content
    from shared.attachments import sign_link

    links = {path: await sign_link(resources, path, user_token=user_token) for path in paths}
    resolved: dict[str, Any] = replace_files(content, links)
    return resolved


async def finish_sends(
    resources: Resources,
    results: Sequence[Mapping[str, Any]],
    permits: Sequence[Mapping[str, Any]] = (),
    *,
    show: bool = False,
) -> list[dict[str, Any]]:
    """Write what became of messages; what Meta has accepted must not be forgotten for one failed call.

    Raises `DatabaseUnavailable` after some attempts: then the status webhook heals what was accepted.
    """
    from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

    for result in results:
        log.info(
            "sending.finished",
            message_id=result["message_id"],
            organization_id=result.get("organization_id"),
            wamid=result.get("wamid"),
            outcome=result["outcome"],
            meta_code=(result.get("error") or {}).get("code"),
            duration_ms=round(result["call_seconds"] * 1000, 1) if "call_seconds" in result else None,
        )
    params = {"results": list(results), "permits": list(permits), "show": show}
    async for attempt in AsyncRetrying(
        stop=stop_after_attempt(4),
        wait=wait_random_exponential(multiplier=0.2, max=2),
        retry=retry_if_exception_type(DatabaseUnavailable),
        reraise=True,
    ):
        with attempt:
            messages: list[dict[str, Any]] = await resources.database.call_rpc("finish_sends", params)
            return messages
    raise AssertionError("tenacity returns or raises")  # pragma: no cover - for the type checker


def _not_prepared(send: Mapping[str, Any], error: AppError, attempts: int) -> dict[str, Any]:
    base = to_result_base(send)
    if error.retryable and attempts + 1 < MOST_ATTEMPTS:
        return {**base, "outcome": "retry", "retry_seconds": 2.0**attempts}
    return {**base, "outcome": "failed", "error": {"title": error.code}}


def _find_other_form(error: GraphError | GraphUnreachable, body: Mapping[str, Any]) -> str | None:
    if not isinstance(error, GraphError) or error.code not in NUMBER_FORM_CODES:
        return None
    to = body.get("to")
    return other_form(to) if isinstance(to, str) and body["recipient_type"] == "individual" else None


def _timing(started: float) -> dict[str, float]:
    """Say how long the call took and when it was over; for the pace, the database ignores it."""
    ended = time.perf_counter()
    return {"call_seconds": ended - started, "ended": ended}
