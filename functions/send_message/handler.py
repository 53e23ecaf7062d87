"""Sends messages, and says honestly what became of them.

POST /                    one message of any type; an Idempotency-Key makes it one, however often it is posted
POST /batch               up to 1,000 messages: all accepted or none, sent at the number's own pace
GET  /batch/{id}          how far a batch has come
POST /batch/{id}/cancel   takes out of the queue what has not left
POST /retry               tries a failed message again, or one whose outcome stayed unknown, as a new one
POST /read                marks a chat as read, with the typing indicator if wanted

The caller is an agent in a browser: may click twice, in two tabs, and close both. Whether they may send is
asked of the database with their own token; the message's row is there before Meta is called, and its id
travels along.
https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from mangum import Mangum
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from functions.send_message.answers import answer_message, refuse_closed_window
from shared import log
from shared.callers import read_organization
from shared.errors import DatabaseUnavailable, InvalidBody, NotFound
from shared.web import bearer_token, create_app, language_of, read_json, resources, validate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    import httpx
    from starlette.requests import Request

    from shared.database import Session
    from shared.sender import Sender
    from shared.web import App

NEED = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "ENCRYPTION_KEYS")
LONGEST_KEY = 255
# A thousand of the longest texts.
LARGEST_BATCH = 12_000_000
BATCH_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Warm:
    """What is kept while the function is warm: who sends, and the credentials that it has opened."""

    @cached_property
    def sender(self) -> Sender:
        """Loaded by the first message that goes to Meta at once."""
        from shared.sender import Sender

        return Sender()


def create(
    environ: Mapping[str, str] | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> App:
    """Make the application; the credentials that it keeps while it is warm live and die with it."""
    warm = Warm()
    routes = [
        Route("/", partial(send_one, warm), methods=["POST"]),
        Route("/batch", send_batch, methods=["POST"]),
        Route("/batch/{batch_id}", show_batch, methods=["GET"]),
        Route("/batch/{batch_id}/cancel", cancel_batch, methods=["POST"]),
        Route("/retry", partial(retry, warm), methods=["POST"]),
        Route("/read", partial(mark_read, warm), methods=["POST"]),
    ]
    return create_app("whatsapp-send-message", routes, need=NEED, environ=environ, transport=transport)


async def send_one(warm: Warm, request: Request) -> Response:
    """Accept one message under the agent's own right, send it, and write down what became of it."""
    from functions.send_message.models import OrganizationField, read_item

    token = bearer_token(request)
    key = read_key(request)
    content = await read_json(request)
    organization = organization_of(request, validate(OrganizationField, content).organization_id)
    item = read_item({name: value for name, value in content.items() if name != "organization_id"})
    await check_files(request, [item], token)
    begun = await session_of(request, token).rpc(
        "begin_send",
        {
            "message": item,
            "organization": organization,
            "idempotency_key": key,
            "digest": digest_of(content),
        },
    )
    if begun.get("refusal"):
        raise refuse_closed_window(begun, is_batch=False)
    return await complete(warm, request, begun, token)


async def retry(warm: Warm, request: Request) -> Response:
    """Send a message's content once more, as a person decided."""
    from functions.send_message.models import RetryBody

    token = bearer_token(request)
    body = await read_json(request, RetryBody)
    begun = await session_of(request, token).rpc(
        "begin_retry",
        {
            "message": str(body.message_id),
            "organization": organization_of(request, body.organization_id),
        },
    )
    if begun.get("refusal"):
        raise refuse_closed_window(begun, is_batch=False)
    return await complete(warm, request, begun, token)


async def complete(warm: Warm, request: Request, begun: Mapping[str, Any], token: str) -> Response:
    """Call Meta for what was accepted, unless it waits in the queue or was sent under the same key before."""
    message, send = begun["message"], begun.get("send")
    if message is None:
        # The key was used for a batch.
        raise NotFound
    log.add(organization_id=message["organization_id"], message_id=message["id"])
    if send is None:
        if message["status"] == "queued":
            await wake_worker(request)
        return answer_message(message, language_of(request))
    from shared.sender import PERMIT_SECONDS, finish_sends

    await asyncio.sleep(send["wait_seconds"])
    result = await warm.sender.send(resources(request), send, user_token=token)
    # In use for one second more: only then is the number's pace kept, whatever the way to Meta took.
    permits = [{"id": send["permit"], "seconds": PERMIT_SECONDS}]
    try:
        messages = await finish_sends(resources(request), [result], permits, show=True)
        message = messages[0] if messages else message
    except DatabaseUnavailable:
        # Its status webhook carries the row's id and will tell; until then it is on its way.
        log.error("sending.outcome_not_written", message_id=message["id"], outcome=result["outcome"])
        message = {**message, "wamid": result.get("wamid")}
    fbtrace_id = (result.get("error") or {}).get("fbtrace_id", "")
    return answer_message(message, language_of(request), fbtrace_id=fbtrace_id)


async def send_batch(request: Request) -> Response:
    """Accept a whole batch into the queue."""
    from functions.send_message.models import BatchBody, read_items

    token = bearer_token(request)
    key = read_key(request)
    content = await read_json(request, limit=LARGEST_BATCH)
    body = validate(BatchBody, content)
    items = read_items(body.messages)
    await check_files(request, items, token)
    begun = await session_of(request, token).rpc(
        "begin_batch",
        {
            "messages": items,
            "organization": organization_of(request, body.organization_id),
            "idempotency_key": key,
            "digest": digest_of(content),
        },
    )
    if begun.get("refusal"):
        raise refuse_closed_window(begun, is_batch=True)
    log.add(organization_id=begun["batch"]["organization_id"], batch_id=begun["batch"]["id"])
    await wake_worker(request)
    answer = {"batch": begun["batch"], "message_ids": begun["message_ids"]}
    return JSONResponse(answer, status_code=202)


async def wake_worker(request: Request) -> None:
    """Let a worker look at the queue now, where one can be woken; elsewhere its schedule or its loop does."""
    if resources(request).settings.has("WEBHOOK_QUEUE_URL"):
        # boto3 takes its time.
        from shared import delivery_queue

        await delivery_queue.wake_worker(resources(request).settings.webhook_queue_url)


async def show_batch(request: Request) -> Response:
    """Count a batch's messages by their status."""
    token = bearer_token(request)
    batch = await session_of(request, token).rpc("get_batch", {"batch": batch_id_of(request)})
    return JSONResponse({"batch": batch})


async def cancel_batch(request: Request) -> Response:
    """Cancel what has not left; what is on its way stays so."""
    token = bearer_token(request)
    batch = await session_of(request, token).rpc("cancel_batch", {"batch": batch_id_of(request)})
    return JSONResponse({"batch": batch})


async def mark_read(warm: Warm, request: Request) -> Response:
    """Mark as read on our side, then at Meta: the customer's ticks turn blue."""
    from functions.send_message.models import ReadBody

    token = bearer_token(request)
    body = await read_json(request, ReadBody)
    begun = await session_of(request, token).rpc(
        "begin_read",
        {
            "chat": str(body.chat_id) if body.chat_id else None,
            "message": str(body.message_id) if body.message_id else None,
            "message_wamid": body.wamid,
            "organization": organization_of(request, body.organization_id),
        },
    )
    send = begun["send"]
    if send is not None:
        credentials = await warm.sender.load_credentials(resources(request), send)
        told = {"messaging_product": "whatsapp", "status": "read", "message_id": send["wamid"]}
        if body.typing:
            told["typing_indicator"] = {"type": "text"}
        await resources(request).graph.send_message(
            send["phone_number_id"], told, token=credentials.access_token, app_secret=credentials.app_secret
        )
    return JSONResponse({"chat_id": begun["chat_id"], "unread_count": begun["unread_count"]})


def organization_of(request: Request, named: UUID | None) -> str | None:
    """Return the organization that the body names, or else the query; None where neither does."""
    return str(named) if named else read_organization(request)


def session_of(request: Request, token: str) -> Session:
    """Return the database as the caller sees it."""
    return resources(request).database.as_user(token)


async def check_files(request: Request, items: list[dict[str, Any]], token: str) -> None:
    """Look at files of our own storage before anything is written."""
    from shared.sending import find_media

    if any(find_media(item["content"]) for item in items):
        from shared import attachments

        await attachments.check_files(resources(request), items, user_token=token)


def read_key(request: Request) -> str | None:
    """Return the Idempotency-Key, None where the caller gave none."""
    key = request.headers.get("idempotency-key", "").strip()
    if len(key) > LONGEST_KEY or not key.isprintable():
        sentence = f"The key has at most {LONGEST_KEY} printable characters."
        raise InvalidBody(details=[{"field": "Idempotency-Key", "rule": "length", "message": sentence}])
    return key or None


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the same for the same request, however its JSON is written."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def batch_id_of(request: Request) -> str:
    """Return the batch's id; what is none is not found."""
    batch_id: str = request.path_params["batch_id"]
    if not BATCH_ID.fullmatch(batch_id):
        raise NotFound
    return batch_id


app = create()
handler = Mangum(app, lifespan="off")
