"""Stores the deliveries that the webhook put into SQS; an edge: everything here is I/O.

A message is deleted only when its delivery is stored: the others are named to SQS, which brings them again
and at last puts them into the dead-letter queue. One that we did not write never blocks its neighbours.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

from shared import log
from shared.deliveries import store_delivery
from shared.delivery_queue import NotADelivery, unpack
from shared.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.web import Resources

AT_ONCE = 4
# A cold start and SQS's own way take less.
LONGEST_WAY = 3.0


def is_from_queue(event: Mapping[str, Any]) -> bool:
    """Tell whether an event of Lambda's is a batch of SQS messages."""
    records = event.get("Records") or []
    return bool(records) and all(record.get("eventSource") == "aws:sqs" for record in records)


def have_waited(records: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether some of a batch lay in the queue: more comes than the workers keep up with."""
    sent = [at for record in records if (at := _sent_at(record)) is not None]
    return bool(sent) and time.time() - min(sent) > LONGEST_WAY


async def store_records(resources: Resources, records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Store each record's delivery; return the message ids of those that were not."""
    few = asyncio.Semaphore(AT_ONCE)

    async def store(record: Mapping[str, Any]) -> str | None:
        async with few:
            message_id = str(record["messageId"])
            return None if await _store_record(resources, record, message_id) else message_id

    failed = await asyncio.gather(*(store(record) for record in records))
    return [message_id for message_id in failed if message_id is not None]


async def _store_record(resources: Resources, record: Mapping[str, Any], message_id: str) -> bool:
    text = str(record.get("body", ""))
    if _is_wake_up(text):
        return True
    try:
        body, source = unpack(text)
        await store_delivery(resources, body, source=source, received_at=_sent_at(record))
    except NotADelivery:
        log.error("worker.record_is_no_delivery", message_id=message_id)
        return False
    except AppError as error:
        log.error("worker.record_not_stored", message_id=message_id, error=error)
        return False
    except Exception as error:  # noqa: BLE001 - one record's fault must not stop the others
        log.error("worker.record_failed_unforeseen", message_id=message_id, error=error)
        return False
    return True


def _is_wake_up(text: str) -> bool:
    """Tell whether a message only says that there is something to do."""
    try:
        content = json.loads(text)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("wake_up") is True


def _sent_at(record: Mapping[str, Any]) -> float | None:
    # Milliseconds since 1970: when the webhook took it in.
    sent = str(record.get("attributes", {}).get("SentTimestamp", ""))
    return int(sent) / 1000 if sent.isdecimal() else None
