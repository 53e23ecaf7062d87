"""Deliveries through SQS: acknowledged without the database, stored by the worker, none lost on the way.

moto's server stands for AWS; the webhook and the worker's Lambda entry are the real ones.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio.from_thread
import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from functions.send_message.handler import create as create_sender
from functions.webhook.handler import create
from functions.worker.handler import create_handler
from shared import delivery_queue
from shared.delivery_queue import LARGEST_MESSAGE, NotADelivery, pack, unpack
from shared.signatures import sign
from tests import wire
from tests.database.tenants import Tenant, make_tenant, snapshot
from tests.offices import open_office

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from local.stack import Stack
    from tests.world import World

    Connection = psycopg.Connection[tuple[Any, ...]]

AWS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Context:
    """What Lambda tells of an invocation."""

    aws_request_id = "00000000-0000-4000-8000-000000000001"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@dataclass
class Queue:
    """A queue of moto's, and what waits in it."""

    client: Any
    url: str

    def receive(self) -> list[dict[str, Any]]:
        """Take out everything, as the records of a Lambda event."""
        taken = self.client.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, AttributeNames=["All"]
        ).get("Messages", [])
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "eventSource": "aws:sqs",
            }
            for message in taken
        ]


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def queue(aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    for name, text in {**AWS, "AWS_ENDPOINT_URL": aws}.items():
        monkeypatch.setenv(name, text)
    delivery_queue._client.cache_clear()
    client = boto3.client("sqs")
    yield Queue(client, client.create_queue(QueueName=f"deliveries-{secrets.token_hex(4)}")["QueueUrl"])
    client.close()
    delivery_queue._client().close()
    delivery_queue._client.cache_clear()


@pytest.fixture
def tenant(database: Connection) -> Tenant:
    return make_tenant(database)


def hello(tenant: Tenant, *, number: int = 1, text: str = "Hola") -> bytes:
    message = wire.text_message(text, number=number)
    value = wire.value(phone_number_id=tenant.phone_number_id, messages=[message])
    return wire.to_wire(wire.delivery(value, waba_id=tenant.waba_id))


def deliver(environ: dict[str, str], body: bytes) -> httpx.Response:
    """Post one delivery to a webhook of its own."""
    app = create(environ)

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://webhook") as client:
            answer = await client.post(
                "/",
                content=body,
                headers={"X-Hub-Signature-256": sign(body, environ["WHATSAPP_APP_SECRET"])},
            )
        await app.resources.close()
        return answer

    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        return portal.call(post)


def queueing(stack: Stack, queue: Queue, **changes: str) -> dict[str, str]:
    return {**stack.variables, "WEBHOOK_QUEUE_URL": queue.url, **changes}


def wamids_of(database: Connection, tenant: Tenant) -> list[str]:
    return [row[0] for row in snapshot(database, tenant)["messages"]]


def test_a_delivery_is_acknowledged_by_the_queue_and_stored_by_the_worker(
    database: Connection, stack: Stack, queue: Queue, tenant: Tenant
) -> None:
    answer = deliver(queueing(stack, queue), hello(tenant))
    before = wamids_of(database, tenant)
    records = queue.receive()

    result = create_handler(stack.variables)({"Records": records}, Context())

    assert (answer.status_code, before, len(records)) == (200, [], 1)
    assert result == {"batchItemFailures": []}
    assert wamids_of(database, tenant) == [wire.wamid(1)]


def test_it_is_acknowledged_while_the_database_is_away(stack: Stack, queue: Queue, tenant: Tenant) -> None:
    environ = queueing(stack, queue, SUPABASE_URL="http://127.0.0.1:1")

    answer = deliver(environ, hello(tenant))

    assert answer.status_code == 200
    assert unpack(queue.receive()[0]["body"]) == (hello(tenant), None)


def test_only_the_records_that_were_not_stored_come_again(
    database: Connection, stack: Stack, queue: Queue, tenant: Tenant
) -> None:
    for number in (1, 2):
        deliver(queueing(stack, queue), hello(tenant, number=number))
    queue.client.send_message(QueueUrl=queue.url, MessageBody="not ours")
    records = queue.receive()
    bad = next(record["messageId"] for record in records if record["body"] == "not ours")

    result = create_handler(stack.variables)({"Records": records}, Context())

    assert result == {"batchItemFailures": [{"itemIdentifier": bad}]}
    assert wamids_of(database, tenant) == [wire.wamid(1), wire.wamid(2)]


def test_all_records_come_again_while_the_database_is_away(
    database: Connection, stack: Stack, queue: Queue, tenant: Tenant
) -> None:
    deliver(queueing(stack, queue), hello(tenant))
    records = queue.receive()
    away = create_handler({**stack.variables, "SUPABASE_URL": "http://127.0.0.1:1"})

    first = away({"Records": records}, Context())
    second = create_handler(stack.variables)({"Records": records}, Context())
    third = create_handler(stack.variables)({"Records": records}, Context())

    assert first == {"batchItemFailures": [{"itemIdentifier": records[0]["messageId"]}]}
    assert (second, third) == ({"batchItemFailures": []}, {"batchItemFailures": []})
    assert wamids_of(database, tenant) == [wire.wamid(1)]


def test_a_batch_wakes_the_worker_who_sends_it(
    database: Connection, stack: Stack, world: World, queue: Queue
) -> None:
    office = open_office(world, database)
    numbers = office.open_chats(3)
    app = create_sender(queueing(stack, queue))
    headers = {"Authorization": f"Bearer {office.organization.owner.token}"}
    messages = {"messages": [{"to": number, "text": "Hola"} for number in numbers]}

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://send") as client:
            answer = await client.post("/batch", json=messages, headers=headers)
        await app.resources.close()
        return answer

    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        answer = portal.call(post)
    records = queue.receive()
    result = create_handler(stack.variables)({"Records": records}, Context())

    assert answer.status_code == 202
    assert [json.loads(record["body"]) for record in records] == [{"wake_up": True}]
    assert result == {"batchItemFailures": []}
    assert len(office.received()) == 3


def test_a_queue_that_is_away_refuses_no_batch(
    database: Connection, stack: Stack, world: World, queue: Queue
) -> None:
    office = open_office(world, database)
    (number,) = office.open_chats(1)
    app = create_sender(queueing(stack, Queue(queue.client, queue.url + "-that-is-not-there")))
    headers = {"Authorization": f"Bearer {office.organization.owner.token}"}

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://send") as client:
            body = {"messages": [{"to": number, "text": "Hola"}]}
            answer = await client.post("/batch", json=body, headers=headers)
        await app.resources.close()
        return answer

    with anyio.from_thread.start_blocking_portal("asyncio") as portal:
        answer = portal.call(post)

    assert answer.status_code == 202
    assert queue.receive() == []


def test_what_does_not_fit_is_stored_at_once(
    database: Connection, stack: Stack, queue: Queue, tenant: Tenant
) -> None:
    body = hello(tenant, text=secrets.token_hex(1_200_000))
    assert len(pack(body, source=None)) > LARGEST_MESSAGE

    answer = deliver(queueing(stack, queue), body)

    assert answer.status_code == 200
    assert queue.receive() == []
    assert wamids_of(database, tenant) == [wire.wamid(1)]


def test_a_delivery_of_metas_largest_size_fits(stack: Stack, queue: Queue) -> None:
    body = wire.to_wire(wire.batch(1_000, size=2_900_000))

    answer = deliver(queueing(stack, queue), body)

    assert answer.status_code == 200
    assert [unpack(record["body"]) for record in queue.receive()] == [(body, None)]


def test_a_queue_that_is_away_is_not_missed(
    database: Connection, stack: Stack, queue: Queue, tenant: Tenant
) -> None:
    environ = queueing(stack, Queue(queue.client, queue.url + "-that-is-not-there"))

    answer = deliver(environ, hello(tenant))

    assert answer.status_code == 200
    assert wamids_of(database, tenant) == [wire.wamid(1)]


def test_neither_queue_nor_database_is_told_to_meta(stack: Stack, queue: Queue, tenant: Tenant) -> None:
    environ = queueing(
        stack, Queue(queue.client, queue.url + "-that-is-not-there"), SUPABASE_URL="http://127.0.0.1:1"
    )

    assert deliver(environ, hello(tenant)).status_code == 503


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{}",
        "[]",
        '{"source": null, "body": "!!"}',
        '{"source": null, "body": "AAAA"}',
        '{"source": 7, "body": "eJwDAAAAAAE="}',
        pack(b"x" * 5_000_000, source=None),
    ],
    ids=lambda message: message[:30],
)
def test_what_we_did_not_write_is_no_delivery(message: str) -> None:
    with pytest.raises(NotADelivery):
        unpack(message)


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\x00\x01", b"x" * 3_000_000], ids=len)
@pytest.mark.parametrize("source", [None, "00000000-0000-4000-8000-000000000001"])
def test_what_is_packed_is_unpacked_the_same(body: bytes, source: str | None) -> None:
    assert unpack(pack(body, source=source)) == (body, source)
