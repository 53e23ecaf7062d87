"""The built zips answer AWS's events: unpacked, under AWS's own runtime client, against the running stack."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from deploy import events
from deploy.runtime import FunctionFailed, Lambda
from shared.delivery_queue import pack
from shared.signatures import sign
from tests import wire
from tests.deploy.conftest import FUNCTIONS
from tests.offices import Office, open_office

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import psycopg

    from deploy.build import Built
    from local.stack import Stack
    from tests.world import Simulator, World

    Connection = psycopg.Connection[tuple[Any, ...]]
    Run = Callable[..., Lambda]

WEBHOOK = "/functions/v1/whatsapp-webhook"
FORMATS = {"http api": events.http_api, "rest api": events.rest_api, "function url": events.function_url}
# What a text can hold that is easily spoilt on its way: escapes, UTF-8, a line break, slashes.
TEXTS = {"escaped": "Hola, ¿qué tal? \u2603 \U0001f600", "plain": 'hola\r\n a/b \\ "c" \ttab'}


@pytest.fixture(scope="module")
def run(stack: Stack, built: Callable[[str], Built], runtime: Path, python: str) -> Iterator[Run]:
    """Start functions, each once with the same surroundings; they end with the last test here."""
    running: dict[tuple[str, str], Lambda] = {}

    def start(function: str, environ: Mapping[str, str] | None = None) -> Lambda:
        key = (function, json.dumps(environ))
        if key not in running:
            variables = {name: text for name, text in stack.variables.items() if name != "DATABASE_URL"}
            running[key] = Lambda(
                built(function).path,
                f"functions/{function}/handler.handler",
                {**variables, **(environ or {})},
                runtime=runtime,
                python=python,
            ).__enter__()
        return running[key]

    yield start
    for each in running.values():
        each.__exit__()


@pytest.fixture
def office(world: World, database: Connection, simulator: Simulator) -> Office:
    return open_office(world, database)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_begins_without_an_environment(
    function: str, built: Callable[[str], Built], runtime: Path, python: str
) -> None:
    """Its import asks for nothing, and what is missing is told by name at the first request."""
    handler = f"functions/{function}/handler.handler"
    with Lambda(built(function).path, handler, {}, runtime=runtime, python=python) as started:
        name = function.replace("_", "-")
        answer = started.invoke(events.http_api("POST", f"/functions/v1/whatsapp-{name}/nothing/here"))

    assert answer["statusCode"] in {404, 401}
    assert json.loads(answer["body"])["error"]["code"] in {"unknown_path", "bad_signature"}


def test_a_wrong_handler_is_told_as_lambda_tells_it(
    built: Callable[[str], Built], runtime: Path, python: str
) -> None:
    handler = "functions/webhook/handler.nothing"

    with (
        pytest.raises(FunctionFailed, match="HandlerNotFound"),
        Lambda(built("webhook").path, handler, {}, runtime=runtime, python=python),
    ):
        pass


@pytest.mark.parametrize("form", FORMATS)
def test_the_handshake_is_answered(run: Run, stack: Stack, form: str) -> None:
    token = stack.variables["WHATSAPP_WEBHOOK_VERIFY_TOKEN"]
    query = f"hub.mode=subscribe&hub.verify_token={token}&hub.challenge=4711"

    answer = FORMATS[form]("GET", "/api/webhooks/whatsapp", query=query)

    told = run("webhook").invoke(answer)
    assert (told["statusCode"], told["body"]) == (200, "4711")


def test_deliveries_keep_their_bytes_in_every_format(run: Run, stack: Stack, office: Office) -> None:
    """Plain and base64, by each kind of door; a signature over other bytes would not hold."""
    webhook = run("webhook")
    secret = stack.variables["WHATSAPP_APP_SECRET"]
    expected: list[str] = []
    for form, make in FORMATS.items():
        for is_base64 in (False, True):
            for name, text in TEXTS.items():
                number = len(expected) + 1
                body = _delivery(office, text, number, is_escaped=name == "escaped")
                headers = {"X-Hub-Signature-256": sign(body, secret), "Content-Type": "application/json"}

                told = webhook.invoke(make("POST", WEBHOOK, headers=headers, body=body, is_base64=is_base64))

                assert told["statusCode"] == 200, (form, is_base64, name, told)
                assert json.loads(told["body"]) == {"received": True}
                expected.append(text)
    stored = office.row(
        "select jsonb_agg(text order by wamid) from messages where organization_id = %s",
        office.organization.id,
    )
    assert sorted(stored[0]) == sorted(expected)


def test_a_forged_delivery_is_refused(run: Run, office: Office) -> None:
    body = _delivery(office, "hola", 1)
    headers = {"X-Hub-Signature-256": sign(body, "another secret")}

    told = run("webhook").invoke(events.http_api("POST", WEBHOOK, headers=headers, body=body))

    assert told["statusCode"] == 401
    assert json.loads(told["body"])["error"]["code"] == "bad_signature"


def test_an_owner_sees_the_connection(run: Run, office: Office) -> None:
    headers = {"Authorization": f"Bearer {office.organization.owner.token}"}

    told = run("oauth").invoke(events.http_api("GET", "/functions/v1/whatsapp-oauth/status", headers=headers))

    assert told["statusCode"] == 200, told
    assert json.loads(told["body"])["integration"]["status"] == "connected"


def test_the_number_is_read_at_meta(run: Run, office: Office) -> None:
    headers = {"Authorization": f"Bearer {office.organization.owner.token}"}

    told = run("meta_api").invoke(events.function_url("GET", "/whatsapp-meta-api/number", headers=headers))

    assert told["statusCode"] == 200, told
    assert json.loads(told["body"])["phone_number_id"] == office.business["phone_number_id"]


def test_a_message_is_sent(run: Run, office: Office) -> None:
    chat_id = office.hear()
    headers = {
        "Authorization": f"Bearer {office.organization.owner.token}",
        "Content-Type": "application/json",
    }
    body = json.dumps({"chat_id": chat_id, "type": "text", "text": {"body": "Hola"}}).encode()

    told = run("send_message").invoke(
        events.rest_api("POST", "/functions/v1/whatsapp-send-message", headers=headers, body=body)
    )

    assert told["statusCode"] == 200, told
    assert office.bodies()[-1]["text"]["body"] == "Hola"


def test_one_bad_record_of_a_batch_blocks_none_of_its_neighbours(run: Run, office: Office) -> None:
    records = [
        pack(_delivery(office, "uno", 1), source=None),
        "this was never ours",
        pack(_delivery(office, "dos", 2), source=None),
    ]

    told = run("worker").invoke(events.queue(records))

    assert told == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    stored = office.row("select count(*) from messages where organization_id = %s", office.organization.id)
    assert stored[0] == 2


def test_the_schedule_does_what_is_due(run: Run) -> None:
    told = run("worker").invoke(events.schedule())

    assert set(told) == {"sent", "jobs"}


def test_what_is_logged_is_counted_and_tells_nothing_private(run: Run, stack: Stack, office: Office) -> None:
    webhook = run("webhook", {"METRICS_STAGE": "test"})
    body = _delivery(office, "un secreto", 1)
    headers = {"X-Hub-Signature-256": sign(body, stack.variables["WHATSAPP_APP_SECRET"])}

    webhook.invoke(events.http_api("POST", WEBHOOK, headers=headers, body=body))

    lines = {line["event"]: line for line in webhook.read_log()}
    assert lines["request.answered"]["DeliveriesTaken"] == 1
    assert lines["delivery.stored"]["DeliveryLag"] > 0
    assert lines["request.answered"]["request_id"] == "11111111-2222-3333-4444-555555555555"
    output = webhook.read_output()
    for hidden in ("un secreto", stack.variables["WHATSAPP_APP_SECRET"], wire.CUSTOMER):
        assert hidden not in output


def _delivery(office: Office, text: str, number: int, *, is_escaped: bool = True) -> bytes:
    value = wire.value(
        phone_number_id=office.business["phone_number_id"],
        messages=[wire.text_message(text, number=number)],
    )
    delivery = wire.delivery(value, waba_id=office.business["waba_id"])
    return wire.to_wire(delivery) if is_escaped else json.dumps(delivery, ensure_ascii=False).encode()


def test_a_body_that_is_no_text_arrives_whole(run: Run) -> None:
    """What cannot be shown as text comes in base64; it is refused for its signature, not its bytes."""
    event = events.http_api("POST", WEBHOOK, headers={"X-Hub-Signature-256": "sha256=" + "0" * 64})
    event |= {"body": base64.b64encode(bytes(range(256))).decode(), "isBase64Encoded": True}

    told = run("webhook").invoke(event)

    assert told["statusCode"] == 401
