"""Verified deliveries in SQS: the acknowledgement then does not depend on the database. An edge.

A message is JSON: {"source": integration id or null, "body": base64 of the zlib-compressed raw bytes}, or
{"wake_up": true} for a worker who is to look into the database.
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from functools import cache, partial
from typing import Any

import anyio.to_thread

from shared import log

# SQS takes 1 MiB a message. What is larger even when compressed is stored at once instead.
LARGEST_MESSAGE = 1024 * 1024
# A delivery is at most this long (functions/webhook): a forged message cannot unpack to more.
LARGEST_BODY = 4 * 1024 * 1024


class NotADelivery(Exception):
    """A message of the queue that we did not write."""


async def enqueue(queue_url: str, body: bytes, *, source: str | None) -> bool:
    """Put a delivery into the queue; tell False when SQS did not take it: then it is stored at once."""
    message = pack(body, source=source)
    if len(message) > LARGEST_MESSAGE:
        log.info("delivery.too_large_to_queue", length=len(body))
        return False
    send = partial(_client().send_message, QueueUrl=queue_url, MessageBody=message)
    try:
        await anyio.to_thread.run_sync(send)
    except Exception as error:  # noqa: BLE001 - whatever ails the queue, the database may still take it
        log.error("delivery.not_queued", error=error)
        return False
    log.info("delivery.queued", length=len(body))
    return True


async def wake_worker(queue_url: str) -> None:
    """Tell a worker that there is something to do; a hint, since the schedule will find it too."""
    send = partial(_client().send_message, QueueUrl=queue_url, MessageBody=json.dumps({"wake_up": True}))
    try:
        await anyio.to_thread.run_sync(send)
    except Exception as error:  # noqa: BLE001 - what was accepted is accepted, whatever ails the queue
        log.warning("worker.not_woken", error=error)


def pack(body: bytes, *, source: str | None) -> str:
    """Write a delivery as one message."""
    return json.dumps({"source": source, "body": base64.b64encode(zlib.compress(body)).decode()})


def unpack(message: str) -> tuple[bytes, str | None]:
    """Read the raw bytes and the source of a message; raise `NotADelivery`."""
    try:
        content: dict[str, Any] = json.loads(message)
        inflater = zlib.decompressobj()
        body = inflater.decompress(base64.b64decode(content["body"], validate=True), LARGEST_BODY)
        source = content["source"]
    except (ValueError, KeyError, TypeError, binascii.Error, zlib.error) as error:
        raise NotADelivery from error
    if not inflater.eof or not isinstance(source, str | None):
        raise NotADelivery
    return body, source


@cache
def _client() -> Any:
    import boto3

    return boto3.client("sqs")
