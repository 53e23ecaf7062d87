"""Bots: woken by what customers write now, silent where a person speaks, heard once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from shared.bots import decide, has_keyword, is_open_at, read_endpoint_answer, read_hours, read_message
from shared.crypto import KeyRing
from shared.errors import InvalidBody
from tests import wire
from tests.endpoint import Endpoint, Reply

if TYPE_CHECKING:
    from tests.offices import Office
    from tests.worker.conftest import WorkOff

WELCOME = {"kind": "welcome", "keywords": [], "reply": {"type": "text", "text": "¡Bienvenida!"}}
HOURS = {"kind": "keyword", "keywords": ["horario"], "reply": {"type": "text", "text": "De 9 a 18."}}
PERSON = {
    "kind": "hand_over",
    "keywords": ["persona", "agente"],
    "reply": {"type": "text", "text": "Un momento."},
}
CLOSED = {"kind": "out_of_hours", "keywords": [], "reply": {"type": "text", "text": "Está cerrado."}}


def make_bot(
    office: Office, *rules: dict[str, Any], endpoint: Endpoint | None = None, **settings: Any
) -> None:
    chosen = {
        "is_on": True,
        "endpoint_url": endpoint.url if endpoint else None,
        "time_zone": "America/Lima",
        "opening_hours": {},
        "pause_minutes": 60,
        "most_age_seconds": 600,
        **settings,
    }
    office.database.execute(
        "select save_bot(%s, %s, %s)", (office.organization.id, Jsonb(chosen), Jsonb(list(rules)))
    )
    if endpoint:
        keys = KeyRing.from_setting(office.world.variables["ENCRYPTION_KEYS"])
        sealed = keys.encrypt(endpoint.secret, row_id=office.organization.id, column="endpoint_secret")
        office.database.execute(
            "update bots set endpoint_secret = %s where organization_id = %s",
            (sealed, office.organization.id),
        )


def said(office: Office) -> list[tuple[str, str]]:
    """What the bot has queued, as (who, words)."""
    return [(each["sent_by_bot"], each["text"]) for each in office.messages() if each["sent_by_bot"]]


def jobs(office: Office) -> list[tuple[str, str | None]]:
    return office.database.execute(
        "select state::text, last_error from jobs"
        " where organization_id = %s and kind = 'run_bot' order by id",
        (office.organization.id,),
    ).fetchall()


def deliver(office: Office, payload: dict[str, Any]) -> None:
    """Deliver a payload of our own making for the office's number."""
    office.world.simulator.post("/webhooks", payload=payload)


async def test_rules_answer_in_their_order(office: Office, work_off: WorkOff) -> None:
    make_bot(office, WELCOME, HOURS)

    office.hear(text="hola")
    office.hear(text="¿Cuál es su HORARIO?")
    office.hear(text="gracias")
    await work_off()
    office.wait_until_sent()

    assert said(office) == [("welcome", "¡Bienvenida!"), ("keyword", "De 9 a 18.")]
    assert len(office.received()) == 2
    assert jobs(office) == [("done", "welcome"), ("done", "keyword"), ("done", "nothing")]


async def test_the_endpoint_answers_where_no_rule_does(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    make_bot(office, HOURS, endpoint=endpoint)
    endpoint.answer = lambda call: Reply(
        body={"messages": [{"text": f"Eco: {call.event['data']['message']['text']}"}]}
    )

    office.hear(text="horario")
    office.hear(text="¿Tienen pan?")
    await work_off()

    (call,) = endpoint.calls
    assert call.is_signed(endpoint.secret)
    assert call.event["type"] == "bot.message"
    assert call.event["data"]["organization_id"] == office.organization.id
    assert call.event["data"]["contact"]["wa_id"] == "15550100001"
    assert said(office) == [("keyword", "De 9 a 18."), ("endpoint", "Eco: ¿Tienen pan?")]


async def test_a_repetition_carries_the_same_id_and_is_answered_once(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    make_bot(office, endpoint=endpoint)
    endpoint.answer = lambda _call: Reply(
        status=500 if len(endpoint.calls) == 1 else 200, body={"messages": [{"text": "Sí"}]}
    )
    office.hear()

    await work_off()
    office.database.execute("update jobs set run_at = now()")
    await work_off()

    assert len({call.id for call in endpoint.calls}) == 1
    assert len(endpoint.calls) == 2
    assert said(office) == [("endpoint", "Sí")]


async def test_while_the_secret_is_rotated_both_prove_it(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    older = Endpoint()
    make_bot(office, endpoint=endpoint)
    keys = KeyRing.from_setting(office.world.variables["ENCRYPTION_KEYS"])
    sealed = keys.encrypt(older.secret, row_id=office.organization.id, column="endpoint_secret")
    office.database.execute(
        "update bots set previous_secret = %s, previous_secret_until = now() + interval '1 day'"
        " where organization_id = %s",
        (sealed, office.organization.id),
    )
    older._server.server_close()
    office.hear()

    await work_off()

    assert endpoint.calls[0].is_signed(endpoint.secret)
    assert endpoint.calls[0].is_signed(older.secret)


async def test_an_agents_answer_pauses_the_bot_in_that_chat_alone(office: Office, work_off: WorkOff) -> None:
    make_bot(office, HOURS)
    chat = office.hear(text="buenas")
    office.send(chat_id=chat, type="text", text="Le atiendo yo.")

    office.hear(text="horario")
    office.hear(sender="15550100002", text="horario")
    await work_off()
    office.database.execute("update chats set bot_paused_until = now() where id = %s", (chat,))
    office.hear(text="horario otra vez")
    await work_off()

    assert said(office) == [("keyword", "De 9 a 18.")] * 2


async def test_who_answers_while_the_endpoint_thinks_is_not_interrupted(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    make_bot(office, endpoint=endpoint)
    chat = office.hear()

    def answer(_call: Any) -> Reply:
        office.send(chat_id=chat, type="text", text="Le atiendo yo.")
        return Reply(body={"messages": [{"text": "Demasiado tarde"}]})

    endpoint.answer = answer
    await work_off()

    assert said(office) == []
    assert jobs(office) == [("done", "person_answered")]


def fail_connection(office: Office, status: str = "error") -> None:
    office.database.execute(
        "update whatsapp_integrations set status = %s where organization_id = %s",
        (status, office.organization.id),
    )


async def test_a_question_waits_for_a_failed_connection_until_it_is_mended(
    office: Office, work_off: WorkOff
) -> None:
    make_bot(office, HOURS)
    fail_connection(office)
    office.hear(text="horario")

    # Oftener than a job may fail.
    for _ in range(9):
        office.database.execute("update jobs set run_at = now()")
        await work_off()
    waiting = jobs(office)
    fail_connection(office, "connected")
    office.database.execute("update jobs set run_at = now()")
    await work_off()
    office.wait_until_sent()

    assert waiting == [("ready", "connection_error")]
    assert said(office) == [("keyword", "De 9 a 18.")]
    assert len(office.received()) == 1


async def test_a_question_that_grew_old_meanwhile_is_not_answered(office: Office, work_off: WorkOff) -> None:
    make_bot(office, HOURS)
    fail_connection(office)
    office.hear(text="horario")
    await work_off()

    office.database.execute(
        "update messages set occurred_at = now() - interval '1 hour' where organization_id = %s",
        (office.organization.id,),
    )
    fail_connection(office, "connected")
    office.database.execute("update jobs set run_at = now()")
    await work_off()

    assert said(office) == []
    assert jobs(office) == [("done", "too_old")]


async def test_what_the_endpoint_said_waits_for_a_connection_that_failed_meanwhile(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    make_bot(office, endpoint=endpoint)

    def answer(_call: Any) -> Reply:
        fail_connection(office)
        return Reply(body={"messages": [{"text": "Sí"}]})

    endpoint.answer = answer
    office.hear()
    await work_off()
    early = office.received()
    fail_connection(office, "connected")
    await work_off()
    office.wait_until_sent()

    assert early == []
    assert said(office) == [("endpoint", "Sí")]
    assert len(office.received()) == 1


async def test_a_hand_over_is_for_good_until_a_member_lets_the_bot_in_again(
    office: Office, work_off: WorkOff
) -> None:
    make_bot(office, HOURS, PERSON)
    chat = office.hear(text="quiero hablar con una persona")
    await work_off()
    office.hear(text="horario")
    await work_off()

    let_in = office.organization.owner.rest.post("/rpc/set_chat_bot", json={"chat": chat, "is_on": True})
    office.hear(text="horario")
    await work_off()

    assert let_in.json() == {"chat_id": chat, "is_bot_on": True}
    assert said(office) == [("hand_over", "Un momento."), ("keyword", "De 9 a 18.")]


async def test_a_stranger_cannot_turn_the_bot_off(office: Office, work_off: WorkOff) -> None:
    chat = office.hear()
    stranger = office.world.new_organization().owner

    refused = stranger.rest.post("/rpc/set_chat_bot", json={"chat": chat, "is_on": False})

    assert refused.status_code >= 400
    assert office.row("select is_bot_on from chats where id = %s", chat) == (True,)


async def test_history_echoes_old_messages_and_reactions_wake_nobody(
    office: Office, work_off: WorkOff
) -> None:
    make_bot(office, WELCOME)
    now = int(time.time())
    ids = {
        "phone_number_id": office.business["phone_number_id"],
        "own_phone": office.business["phone_number"].lstrip("+"),
    }
    waba = office.business["waba_id"]
    old = wire.text_message("de ayer", number=1, timestamp=str(now - 3600))
    reaction = wire.message(
        "reaction", {"message_id": wire.wamid(1), "emoji": "👍"}, number=2, timestamp=str(now)
    )
    thread = {"id": wire.CUSTOMER, "messages": [wire.text_message("de marzo", number=3, timestamp=str(now))]}
    system = wire.message("system", {"type": "customer_identity_changed"}, number=4, timestamp=str(now))

    deliver(office, wire.delivery(wire.value(messages=[old, reaction, system], **ids), waba_id=waba))
    deliver(
        office,
        wire.delivery(wire.value(history=[wire.history(thread)], **ids), field="history", waba_id=waba),
    )
    echo = {**wire.echo("desde el teléfono", number=5), "timestamp": str(now)}
    deliver(
        office,
        wire.delivery(wire.value(message_echoes=[echo], **ids), field="smb_message_echoes", waba_id=waba),
    )
    await work_off()

    stored = office.row("select count(*) from messages where organization_id = %s", office.organization.id)
    assert stored[0] >= 4
    assert jobs(office) == []
    # What the business wrote in its own app is a person's answer.
    paused = office.row(
        "select count(*) from chats where organization_id = %s and bot_paused_until > now()",
        office.organization.id,
    )
    assert paused == (1,)


async def test_a_redelivery_wakes_nobody_again(office: Office, work_off: WorkOff) -> None:
    make_bot(office, WELCOME)
    office.hear()
    await work_off()

    for delivery in office.world.simulator.get("/deliveries", field="messages", limit=5):
        office.world.simulator.post(f"/deliveries/{delivery['id']}/retry")
    office.world.simulator.settle()
    await work_off()

    assert said(office) == [("welcome", "¡Bienvenida!")]


async def test_out_of_hours_is_said_once_in_a_while(office: Office, work_off: WorkOff) -> None:
    make_bot(office, CLOSED, opening_hours={"mon": []})

    office.hear(text="¿Están?")
    office.hear(text="¿Hola?")
    await work_off()

    assert said(office) == [("out_of_hours", "Está cerrado.")]


@pytest.mark.parametrize(
    "reply, reason",
    [
        (Reply(body={"messages": [{"text": "x" * 5000}]}), "answer_refused"),
        (Reply(body={"messages": [{"text": "a", "to": "15550100009"}]}), "answer_refused"),
        (Reply(body={"messages": [{"type": "image", "image": {"storage_path": "x/y"}}]}), "answer_refused"),
        (Reply(body={"messages": [{"text": "a"}] * 6}), "answer_refused"),
        (Reply(body={"else": 1}), "answer_refused"),
        (Reply(body="x" * 70_000), "endpoint_failed: answer_too_large"),
        (Reply(status=302, headers={"location": "http://169.254.169.254/"}), "endpoint_failed: HTTP 302"),
        (Reply(status=404), "endpoint_failed: HTTP 404"),
    ],
    ids=["long", "addressed", "storage", "many", "unknown", "large", "redirect", "missing"],
)
async def test_an_answer_that_cannot_be_sent_is_none(
    office: Office, work_off: WorkOff, endpoint: Endpoint, reply: Reply, reason: str
) -> None:
    make_bot(office, endpoint=endpoint)
    endpoint.answer = lambda _call: reply
    office.hear()

    await work_off()

    assert said(office) == []
    ((state, error),) = jobs(office)
    assert state == "ready"
    assert error is not None
    assert error.startswith(reason)


@pytest.mark.parametrize(
    "url",
    ["https://localhost:99/", "http://10.0.0.1/", "https://metadata.google.internal/", "https://[::1]/"],
)
async def test_an_inner_address_is_never_called(
    office: Office, work_off: WorkOff, endpoint: Endpoint, url: str
) -> None:
    make_bot(office, endpoint=endpoint)
    office.database.execute(
        "update bots set endpoint_url = %s where organization_id = %s", (url, office.organization.id)
    )
    office.hear()

    await work_off()

    ((state, error),) = jobs(office)
    assert (state, (error or "").split(":")[0]) in {
        ("dead", "endpoint_refused"),
        # This machine itself, which the local stack allows: nobody answers there.
        ("ready", "endpoint_failed"),
    }


async def test_a_bot_of_a_neighbour_hears_nothing(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    from tests.offices import open_office

    neighbour = open_office(office.world, office.database)
    make_bot(neighbour, endpoint=endpoint)

    office.hear(text="secreto")
    await work_off()

    assert endpoint.calls == []


TURN: dict[str, Any] = {
    "message": {"text": "hola"},
    "rules": [],
    "is_first": True,
    "said_closed": False,
    "opening_hours": {},
    "weekday": "mon",
    "yesterday": "sun",
    "time": "12:00",
    "endpoint_url": None,
    "endpoint_secret": None,
}


def test_nobody_speaks_where_nothing_fits() -> None:
    assert decide(TURN).by == "nothing"
    assert decide({**TURN, "endpoint_url": "https://x.example"}).by == "nothing"


@pytest.mark.parametrize(
    "text, keyword, expected",
    [
        ("¿Cuál es el HORARIO?", "horario", True),
        ("Menú del día", "menu", True),
        ("quiero hablar con una persona ya", "hablar con una persona", True),
        ("personaje", "persona", False),
        ("", "hola", False),
        ("hola", "", False),
        ("hola", "!!!", False),
        ("\uff28\uff2f\uff2c\uff21", "hola", True),
    ],
)
def test_a_keyword_is_words_of_their_own(text: str, keyword: str, *, expected: bool) -> None:
    assert has_keyword(text, keyword) is expected


@pytest.mark.parametrize(
    "weekday, yesterday, time_, expected",
    [
        ("mon", "sun", "09:00", True),
        ("mon", "sun", "17:59", True),
        ("mon", "sun", "18:00", False),
        ("tue", "mon", "10:00", False),
        ("fri", "thu", "23:30", True),
        ("sat", "fri", "01:59", True),
        ("sat", "fri", "02:00", False),
    ],
)
def test_hours_may_pass_midnight(weekday: str, yesterday: str, time_: str, *, expected: bool) -> None:
    hours = {"mon": [["09:00", "18:00"]], "fri": [["20:00", "02:00"]]}

    assert is_open_at(hours, weekday, yesterday, time_) is expected
    assert is_open_at({}, weekday, yesterday, time_)


@pytest.mark.parametrize(
    "hours", [{"lunes": []}, {"mon": "9-18"}, {"mon": [["9", "18:00"]]}, {"mon": [["09:00"]]}]
)
def test_hours_have_one_form(hours: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"day|span"):
        read_hours(hours)


def test_a_reply_is_a_message_without_an_addressee() -> None:
    assert read_message({"text": "hola"})["content"] == {"text": {"body": "hola"}}
    for refused in (None, "hola", {"type": "nothing"}, {"type": ["text"]}, {"text": "a", "chat_id": "1"}):
        with pytest.raises(InvalidBody):
            read_message(refused)


def test_an_endpoint_may_keep_quiet_or_call_a_person() -> None:
    assert read_endpoint_answer(None).replies == ()
    assert read_endpoint_answer({"hand_over": True}).hands_over
    unreadable: list[object] = [[], {"messages": "x"}, {"hand_over": "yes"}, {"messages": [1]}]
    for refused in unreadable:
        with pytest.raises(InvalidBody):
            read_endpoint_answer(refused)
