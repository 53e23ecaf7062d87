"""Where Meta has verified a number before, possession is proven by a code of ours: an SMS, or a template."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from functions.oauth import handler as oauth
from functions.oauth.codes import make_code
from shared import code_senders
from shared.attempts import make_pin
from tests.connecting import (
    OAUTH,
    Typed,
    at_meta,
    code_of,
    connect_number,
    new_number,
    request_code,
    run,
    sent_code,
    status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from tests.world import Organization, Simulator, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]

SIX_DIGITS = re.compile(r"\b\d{6}\b")


@pytest.fixture
def owner(new_organization: Callable[..., Organization]) -> User:
    return new_organization().owner


@pytest.fixture
def number(
    simulator: Simulator, new_organization: Callable[..., Organization], database: Connection
) -> Typed:
    """A number that another organization proved to Meta, and let go."""
    former = new_organization().owner
    number = connect_number(former, simulator)
    former.functions.post(f"{OAUTH}/disconnect", json={}).raise_for_status()
    database.execute(
        "update whatsapp_verifications set resend_at = now() where phone_number = %s", (number.e164,)
    )
    return number


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], list[str]]]:
    """Amazon SNS on this machine; tells what was sent to a phone."""
    from moto import mock_aws
    from moto.backends import get_backend

    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    code_senders._sns.cache_clear()
    with mock_aws():

        def sent(phone: str) -> list[str]:
            messages = get_backend("sns")["123456789012"]["us-east-1"].sms_messages.values()
            return [text for to, text, *_ in messages if to == phone]

        yield sent
    code_senders._sns.cache_clear()


def call(world: World, user: User, path: str, body: dict[str, Any], **environ: str) -> httpx.Response:
    """Call the function in this process, where moto stands in for AWS."""

    async def go() -> httpx.Response:
        app = oauth.create({**world.variables, **environ})
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="http://functions.test",
            headers={"authorization": f"Bearer {user.token}", "accept-language": "es"},
        )
        try:
            return await client.post(path, json=body)
        finally:
            await client.aclose()
            await app.resources.close()

    return run(go())


def test_an_sms_by_sns_proves_the_number(
    owner: User,
    number: Typed,
    world: World,
    simulator: Simulator,
    texts: Callable[[str], list[str]],
    database: Connection,
) -> None:
    asked = call(world, owner, "/request-code", {"phone_number": number.e164}, VERIFICATION_SMS="sns")
    assert asked.status_code == 200, asked.text
    assert asked.json()["verification"]["sender"] == "platform"
    (text,) = texts(number.e164)
    (code,) = SIX_DIGITS.findall(text)
    stored = database.execute(
        "select to_jsonb(v)::text from whatsapp_verifications v where phone_number = %s", (number.e164,)
    ).fetchall()
    assert not any(code in row[0] for row in stored)

    wrong = call(world, owner, "/verify-code", {"code": f"{(int(code) + 1) % 1_000_000:06d}"})
    right = call(world, owner, "/verify-code", {"code": code})

    assert "10 minutos" in text
    assert (wrong.status_code, code_of(wrong)) == (422, "wrong_code")
    assert right.status_code == 200, right.text
    assert status(owner)["phone_number"] == number.e164
    # It was registered when the former owner had it; nothing is done twice.
    assert len(at_meta(simulator, number)[0]["registrations"]) == 1


def test_a_template_on_whatsapp_proves_the_number(
    owner: User, number: Typed, world: World, simulator: Simulator
) -> None:
    simulator.post(
        "/templates",
        waba_id=world.variables["WHATSAPP_BUSINESS_ACCOUNT_ID"],
        name="verification_code",
        language="es",
        category="AUTHENTICATION",
        status="APPROVED",
        components=[
            {"type": "BODY", "text": "{{1}} es tu código de verificación."},
            {
                "type": "BUTTONS",
                "buttons": [{"type": "URL", "text": "Copiar", "url": "https://x.example/{{1}}"}],
            },
        ],
    )
    body = {"phone_number": number.e164, "method": "whatsapp"}

    asked = call(world, owner, "/request-code", body)
    assert asked.status_code == 200, asked.text
    sent = [
        message
        for message in simulator.get("/messages", limit=1000)
        if message["type"] == "template" and number.digits in str(message)
    ]
    (code,) = set(SIX_DIGITS.findall(str(sent[0]["content"])))
    right = call(world, owner, "/verify-code", {"code": code})

    assert asked.json()["verification"]["method"] == "whatsapp"
    assert right.status_code == 200, right.text


def test_without_a_way_to_send_a_code_the_deployer_is_named_the_setting(
    owner: User, number: Typed, world: World
) -> None:
    answer = call(world, owner, "/request-code", {"phone_number": number.e164})

    assert (answer.status_code, code_of(answer)) == (500, "misconfigured")
    assert answer.json()["error"]["details"][0]["field"] == "VERIFICATION_SMS"


def test_the_platform_bounds_the_codes_of_all_organizations_together(
    owner: User, number: Typed, world: World
) -> None:
    # The number's former owner has asked for one in this hour.
    answer = call(world, owner, "/request-code", {"phone_number": number.e164}, VERIFICATIONS_PER_HOUR="1")

    assert (answer.status_code, code_of(answer)) == (429, "too_many_requests")


@pytest.mark.parametrize("path", ["/verify-code", "/credentials", "/exchange", "/start"])
def test_the_deployer_is_named_all_settings_at_once_before_anything_is_done(
    new_organization: Callable[..., Organization], world: World, simulator: Simulator, path: str
) -> None:
    owner, number = new_organization().owner, new_number()
    request_code(owner, number).raise_for_status()
    done = simulator.post("/signups", phone_number=new_number().digits)
    state = owner.functions.post(f"{OAUTH}/start", json={}).json()["state"]
    ids = {"phone_number_id": "12345678", "business_account_id": "12345678", "access_token": "EAAtoken"}
    body, needed = {
        "/verify-code": ({"code": sent_code(simulator, number)}, "WHATSAPP_APP_ID"),
        "/credentials": (ids, "WHATSAPP_APP_ID"),
        "/exchange": ({"state": state, "code": done["code"]}, "WHATSAPP_APP_ID"),
        "/start": ({"flow": "redirect"}, "WHATSAPP_CONFIG_ID"),
    }[path]
    last = "DASHBOARD_URL" if path == "/start" else "WHATSAPP_WEBHOOK_URL"
    override = {} if path == "/start" else {"override_callback": True}

    answer = call(world, owner, path, {**body, **override}, **{needed: "", last: ""})
    again = call(world, owner, path, body)

    assert (answer.status_code, code_of(answer)) == (500, "misconfigured")
    assert [each["field"] for each in answer.json()["error"]["details"]] == [needed, last]
    # No guess and no code of Meta's was used up.
    if path != "/credentials":
        assert again.status_code == 200, again.text


def test_where_boto3_is_not_there_sms_by_sns_is_told_to_be_for_aws(
    owner: User, number: Typed, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    code_senders._sns.cache_clear()

    answer = call(world, owner, "/request-code", {"phone_number": number.e164}, VERIFICATION_SMS="sns")

    assert (answer.status_code, code_of(answer)) == (500, "misconfigured")
    assert "AWS only" in answer.json()["error"]["details"][0]["message"]


def test_an_sms_that_fails_can_be_asked_for_again_at_once(
    owner: User, number: Typed, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    code_senders._sns.cache_clear()

    first = call(world, owner, "/request-code", {"phone_number": number.e164}, VERIFICATION_SMS="sns")
    second = call(world, owner, "/request-code", {"phone_number": number.e164}, VERIFICATION_SMS="sns")
    code_senders._sns.cache_clear()

    assert [code_of(answer) for answer in (first, second)] == ["unavailable"] * 2


def test_codes_and_pins_are_uniform() -> None:
    for make in (make_code, make_pin):
        made = [make() for _ in range(60_000)]

        assert {len(each) for each in made} == {6}
        assert len(set(made)) > 57_000
        for place in range(6):
            counts = [sum(each[place] == str(digit) for each in made) for digit in range(10)]
            # Six standard deviations of a fair draw.
            assert all(abs(count - 6_000) < 6 * 74 for count in counts)
