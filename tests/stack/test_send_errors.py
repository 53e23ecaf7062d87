"""Every documented error, once through the whole path: the message, the connection, the agent's sentence."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

import pytest

from shared.errors import MetaRefused
from shared.meta_errors import TABLE, MetaErrorClass, classify_code
from tests.offices import Office, open_office

if TYPE_CHECKING:
    import psycopg

    from tests.world import Simulator, World

    Connection = psycopg.Connection[tuple[Any, ...]]

# One row speaks for all of 200 to 299; each other key of the table is tried.
CODES = [key for key in TABLE if not 200 < key[0] <= 299]
AT_ONCE = 6


def test_every_documented_code(world: World, database: Connection, simulator: Simulator) -> None:
    """Each on a number of its own, so that none stands in the other's way."""
    owner = world.new_user()
    offices = [open_office(world, database, owner) for _ in CODES]
    chats = [office.open_chats(1)[0] for office in offices]
    for office, (code, subcode) in zip(offices, CODES, strict=True):
        office.fault(code=code, **({"subcode": subcode} if subcode else {}))

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(_send_in_both_languages, offices, chats))

    wrong = {
        key: problem
        for key, office, answer in zip(CODES, offices, answers, strict=True)
        if (problem := _problem(key, office, answer)) is not None
    }
    assert wrong == {}


def _send_in_both_languages(office: Office, to: str) -> list[Any]:
    # The second asks again for the first, under its key.
    return [
        office.post(
            "/",
            {"to": to, "text": "hola", "organization_id": office.organization.id},
            **{"idempotency-key": "k", "accept-language": language},
        )
        for language in ("es", "en")
    ]


def _problem(  # noqa: PLR0911 - one return a thing that may be wrong
    key: tuple[int, int | None], office: Office, answers: list[Any]
) -> object:
    meaning = classify_code(*key)
    (message,) = office.messages()
    integration = office.row(
        "select status::text, error_code from whatsapp_integrations where id = %s", office.integration_id
    )
    expected_integration = ("error", "token_dead") if meaning.effect == "token_dead" else ("connected", None)
    if integration != expected_integration:
        return integration
    if message["error_code"] != key[0]:
        return message["error_code"]
    if message["status"] in {"queued", "sending"}:
        return None if _may_wait(meaning) and answers[0].status_code == 202 else (message, answers[0].text)
    if message["status"] != "failed" or _may_wait(meaning):
        return message["status"]
    errors = [answer.json().get("error", {}) for answer in answers]
    expected = [_sentence(meaning, language) for language in ("es", "en")]
    if [error.get("message") for error in errors] != expected:
        return errors
    if [answer.json()["message"]["id"] for answer in answers] != [message["id"]] * 2:
        return answers
    anchors = {error["help"] for error in errors}
    return None if anchors == {meaning.anchor} or not issubclass(meaning.raises, MetaRefused) else anchors


def _may_wait(meaning: MetaErrorClass) -> bool:
    """Tell whether a message waits for it to pass; where a person must act, it does not."""
    is_soon = meaning.delay is not None and meaning.delay.first < 1800
    return meaning.is_retryable and meaning.actor == "nobody" and is_soon


def _sentence(meaning: MetaErrorClass, language: str) -> str:
    if issubclass(meaning.raises, MetaRefused):
        return meaning.sentence(language)
    return meaning.raises().sentence(language)


@pytest.mark.parametrize("code,status", [(132015, "PAUSED"), (132016, "DISABLED")])
def test_a_paused_template_is_no_longer_offered(
    world: World, database: Connection, simulator: Simulator, code: int, status: str
) -> None:
    office = open_office(world, database)
    office.database.execute(
        """
        insert into message_templates (organization_id, integration_id, template_id, name, language, status)
        values (%s, %s, '1', 'aviso', 'es', 'APPROVED')
        """,
        (office.organization.id, office.integration_id),
    )
    office.fault(code=code)

    answer = office.send(to="+15550100001", type="template", template={"name": "aviso", "language": "es"})

    assert answer.status_code == 422, answer.text
    assert office.row(
        "select status from message_templates where organization_id = %s", office.organization.id
    ) == (status,)
