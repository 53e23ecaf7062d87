"""What an agent sends reaches the customer, once; what cannot be sent says why and changes nothing."""

from __future__ import annotations

import concurrent.futures
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.offices import CUSTOMER, SEND, Office, open_office, workers

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.world import Simulator, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]

LINK = "https://files.example.com/a"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
def office(world: World, database: Connection, simulator: Simulator) -> Office:
    return open_office(world, database)


# One body a type, and what Meta must have been sent of it.
TYPES: dict[str, dict[str, Any]] = {
    "text": {"text": {"body": "Hola, Ana", "preview_url": True}},
    "image": {"image": {"link": LINK, "caption": "Una foto"}},
    "video": {"video": {"link": LINK}},
    "audio": {"audio": {"link": LINK, "voice": True}},
    "document": {"document": {"link": LINK, "filename": "factura.pdf"}},
    "sticker": {"sticker": {"link": LINK}},
    "location": {"location": {"latitude": -12.0464, "longitude": -77.0428, "name": "Lima"}},
    "contacts": {"contacts": [{"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+15550100001"}]}]},
    "interactive": {
        "interactive": {
            "type": "button",
            "body": {"text": "¿Vienes?"},
            "action": {"buttons": [{"reply": {"id": "si", "title": "Sí"}}]},
        }
    },
}


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_arrives(office: Office, kind: str) -> None:
    chat_id = office.hear()

    answer = office.send(chat_id=chat_id, type=kind, **TYPES[kind])

    assert answer.status_code == 200, answer.text
    message = answer.json()["message"]
    # A status may have overtaken the answer.
    assert message["status"] in {"accepted", "sent", "delivered"}
    office.world.simulator.settle()
    stored = office.messages()[0]
    assert (stored["id"], stored["wamid"], stored["status"]) == (
        message["id"],
        message["wamid"],
        "delivered",
    )
    (received,) = office.received()
    assert (received["id"], received["type"]) == (message["wamid"], kind)
    assert received["biz_opaque_callback_data"] == message["id"]


def test_a_template_goes_out_though_nobody_has_written(office: Office, simulator: Simulator) -> None:
    name = approve_template(office)

    answer = office.send(to="+15550100009", type="template", template={"name": name, "language": "es"})

    assert answer.status_code == 200, answer.text
    assert office.received()[0]["type"] == "template"


def test_a_reply_and_a_reaction_name_the_message_they_are_on(office: Office) -> None:
    chat_id = office.hear()
    wamid, own_id = office.row(
        "select wamid, id::text from messages where chat_id = %s and direction = 'inbound'", chat_id
    )

    reply = office.send(chat_id=chat_id, text="Sí", reply_to=own_id)
    reaction = office.send(chat_id=chat_id, type="reaction", reaction={"message_id": own_id, "emoji": "👍"})
    removal = office.send(chat_id=chat_id, type="reaction", reaction={"message_id": wamid, "emoji": ""})

    assert [answer.status_code for answer in (reply, reaction, removal)] == [200, 200, 200]
    first, second, third = office.bodies()
    assert first["context"] == {"message_id": wamid}
    assert second["reaction"] == {"message_id": wamid, "emoji": "👍"}
    assert third["reaction"] == {"message_id": wamid, "emoji": ""}
    assert office.row("select last_message_text from chats where id = %s", chat_id) == ("Sí",)


def test_a_bsuid_goes_into_recipient_and_never_into_to(office: Office, simulator: Simulator) -> None:
    written = simulator.post(
        "/customers/messages",
        phone_number_id=office.business["phone_number_id"],
        **{"from": {"phone_number": "15550100042", "username": "ana", "hidden": True}},
        text={"body": "hola"},
    )
    simulator.settle()
    bsuid, chat_id = office.row(
        "select c.bsuid, h.id::text from contacts c join chats h on h.contact_id = c.id"
        " where c.organization_id = %s",
        office.organization.id,
    )
    assert written

    by_chat = office.send(chat_id=chat_id, text="uno")
    by_bsuid = office.send(recipient=bsuid, text="dos")
    misplaced = office.send(to=bsuid, text="tres")

    assert (by_chat.status_code, by_bsuid.status_code, misplaced.status_code) == (200, 200, 422)
    assert [(body.get("recipient"), body.get("to")) for body in office.bodies()] == [(bsuid, None)] * 2


# ---- Files of our own storage


def test_a_file_of_ours_leaves_as_a_signed_link(office: Office, world: World) -> None:
    chat_id = office.hear()
    path = put_file(office, "foto.png", "image/png")

    answer = office.send(chat_id=chat_id, type="image", image={"storage_path": path, "caption": "Mira"})

    assert answer.status_code == 200, answer.text
    (body,) = office.bodies()
    fetched = httpx.get(body["image"]["link"], trust_env=False)
    assert (fetched.status_code, fetched.content) == (200, PNG)
    # What is kept is the path: the link ends.
    assert answer.json()["message"]["content"] == {"image": {"storage_path": path, "caption": "Mira"}}


def test_a_file_that_the_agent_cannot_open_or_meta_would_not_take_is_refused(
    office: Office, world: World, database: Connection
) -> None:
    chat_id = office.hear()
    theirs = put_file(open_office(world, database), "foto.png", "image/png")
    no_picture = put_file(office, "nota.txt", "text/plain")

    answers = [
        office.send(chat_id=chat_id, type="image", image={"storage_path": path})
        for path in (theirs, no_picture, "whatsapp-media/nothing/here.png")
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422]
    rules = [answer.json()["error"]["details"][0]["rule"] for answer in answers]
    assert rules == ["file_not_found", "file_type", "file_not_found"]
    assert office.messages() == []


def test_a_voice_note_is_ogg_and_another_sound_is_no_voice_note(office: Office) -> None:
    chat_id = office.hear()
    song, note = put_file(office, "song.mp3", "audio/mpeg"), put_file(office, "note.ogg", "audio/ogg")

    refused = office.send(chat_id=chat_id, type="audio", audio={"storage_path": song, "voice": True})
    sound = office.send(chat_id=chat_id, type="audio", audio={"storage_path": song, "voice": False})
    voice = office.send(chat_id=chat_id, type="audio", audio={"storage_path": note, "voice": True})

    assert (refused.status_code, sound.status_code, voice.status_code) == (422, 200, 200)
    (detail,) = refused.json()["error"]["details"]
    assert (detail["field"], detail["rule"]) == ("audio.storage_path", "voice_type")
    assert "audio/ogg" in detail["message"]


def test_a_flow_whose_data_name_a_file_is_refused(office: Office) -> None:
    chat_id = office.hear()
    parameters = {
        "flow_id": "1",
        "flow_cta": "Abrir",
        "flow_action": "navigate",
        "flow_action_payload": {"screen": "A", "data": {"storage_path": "../../bucket/whatsapp-media/empty"}},
    }
    flow = {"type": "flow", "body": {"text": "Completa"}, "action": {"parameters": parameters}}

    answer = office.send(chat_id=chat_id, type="interactive", interactive=flow)

    assert (answer.status_code, code_of(answer)) == (422, "invalid_body")


# ---- Refusals, before anything is written


def test_nobody_sends_without_signing_in(world: World) -> None:
    answer = world.functions.post(f"{SEND}/", json={"to": "+15550100001", "text": "hola"})

    assert (answer.status_code, code_of(answer)) == (401, "missing_token")


def test_what_is_wrong_is_named_by_field_and_rule(office: Office) -> None:
    answer = office.send(
        to="+15550100001",
        type="interactive",
        interactive={"type": "button", "body": {"text": "x"}, "action": {"buttons": []}},
    )

    assert (answer.status_code, code_of(answer)) == (422, "invalid_body")
    (detail,) = answer.json()["error"]["details"]
    assert (detail["field"], detail["rule"]) == ("interactive.action.buttons", "too_short")
    assert office.messages() == []


def test_outside_the_window_only_a_template_goes_out_and_they_are_offered(office: Office) -> None:
    chat_id = office.hear()
    name = approve_template(office)
    office.database.execute(
        "update chats set window_expires_at = now() - interval '1 second' where id = %s", (chat_id,)
    )

    refused = office.send(chat_id=chat_id, text="hola", key="k")
    stranger = office.send(to="+15550100777", text="hola")
    template = office.send(
        chat_id=chat_id, type="template", template={"name": name, "language": "es"}, key="k"
    )

    assert (refused.status_code, code_of(refused)) == (409, "window_closed")
    assert [detail["name"] for detail in refused.json()["error"]["details"]] == [name]
    assert (stranger.status_code, code_of(stranger)) == (409, "window_closed")
    # What was refused has not used its key up, nor made a contact.
    assert template.status_code == 200, template.text
    assert len(office.bodies()) == 1
    assert office.row("select count(*) from contacts where organization_id = %s", office.organization.id) == (
        1,
    )


def test_metas_word_corrects_what_we_believe_of_the_window(office: Office) -> None:
    chat_id = office.hear()
    office.fault(code=131047, times=1)

    refused = office.send(chat_id=chat_id, text="hola")
    again = office.send(chat_id=chat_id, text="hola")

    assert (refused.status_code, code_of(refused)) == (409, "window_closed")
    assert refused.json()["message"]["error_code"] == 131047
    assert (again.status_code, code_of(again)) == (409, "window_closed")
    assert "message" not in again.json()
    assert len(office.bodies()) == 1


def test_a_status_corrects_the_window_too(office: Office, simulator: Simulator) -> None:
    chat_id = office.hear()
    office.fault(code=131047, by_status=True, times=1)

    sent = office.send(chat_id=chat_id, text="hola")
    simulator.settle()
    again = office.send(chat_id=chat_id, text="hola")

    assert sent.status_code == 200
    assert office.messages()[0]["status"] == "failed"
    assert (again.status_code, code_of(again)) == (409, "window_closed")


def test_a_disconnected_number_sends_nothing(office: Office) -> None:
    chat_id = office.hear()
    office.database.execute(
        "update whatsapp_integrations set status = 'disconnected', access_token = null where id = %s",
        (office.integration_id,),
    )

    answer = office.send(chat_id=chat_id, text="hola")

    assert (answer.status_code, code_of(answer)) == (409, "not_connected")


# ---- Once


def test_the_same_key_is_the_same_message(office: Office) -> None:
    chat_id = office.hear()

    first = office.send(chat_id=chat_id, text="hola", key="a")
    again = office.send(text="hola", chat_id=chat_id, key="a")
    other = office.send(chat_id=chat_id, text="otra", key="a")
    without = office.send(chat_id=chat_id, text="hola")

    assert again.json()["message"]["id"] == first.json()["message"]["id"]
    assert (again.status_code, again.json()["message"]["wamid"]) == (200, first.json()["message"]["wamid"])
    assert (other.status_code, code_of(other)) == (409, "idempotency_mismatch")
    assert without.json()["message"]["id"] != first.json()["message"]["id"]
    assert len(office.received()) == 2


def test_two_tabs_at_once_are_one_message(office: Office) -> None:
    chat_id = office.hear()
    office.fault(latency_ms=300)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: office.send(chat_id=chat_id, text="hola", key="a"), range(8)))

    assert len({answer.json()["message"]["id"] for answer in answers}) == 1
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len(office.received()) == 1


def test_a_refusal_is_the_same_under_the_same_key(office: Office) -> None:
    chat_id = office.hear()
    office.fault(code=131051, times=1)

    first = office.send(chat_id=chat_id, text="hola", key="a")
    again = office.send(chat_id=chat_id, text="hola", key="a")

    assert (
        (first.status_code, code_of(first)) == (again.status_code, code_of(again)) == (422, "message_refused")
    )
    assert len(office.bodies()) == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"cut": "after"}, id="the answer is lost"),
        pytest.param({"http_status": 502, "body": "<html>Bad gateway</html>"}, id="a page of a proxy"),
        pytest.param({"code": 999_999, "http_status": 500}, id="an unknown server error"),
    ],
)
def test_an_unknown_outcome_is_uncertain_and_not_sent_again(office: Office, fault: dict[str, Any]) -> None:
    chat_id = office.hear()
    office.fault(times=1, **fault)

    answer = office.send(chat_id=chat_id, text="hola")
    retry = office.post("/retry", {"message_id": answer.json()["message"]["id"]})

    assert (answer.status_code, answer.json()["message"]["status"]) == (202, "uncertain")
    assert answer.json()["message"]["retry_at"] is not None
    assert len(office.bodies()) == 1
    assert retry.status_code in {409, 503}


def test_a_lost_answer_heals_by_the_status(office: Office, simulator: Simulator) -> None:
    chat_id = office.hear()
    office.fault(cut="after", times=1)

    answer = office.send(chat_id=chat_id, text="hola")
    simulator.settle()

    assert answer.json()["message"]["wamid"] is None
    (received,), (stored,) = office.received(), office.messages()
    assert (stored["wamid"], stored["status"]) == (received["id"], "delivered")


def test_a_person_may_try_an_uncertain_message_again_once_a_status_would_have_come(office: Office) -> None:
    chat_id = office.hear()
    office.fault(cut="before", times=1)
    uncertain = office.send(chat_id=chat_id, text="hola").json()["message"]
    too_early = office.post("/retry", {"message_id": uncertain["id"]})
    office.database.execute(
        "update messages set uncertain_at = uncertain_at - interval '11 minutes' where id = %s",
        (uncertain["id"],),
    )

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        clicks = list(pool.map(lambda _: office.post("/retry", {"message_id": uncertain["id"]}), range(4)))

    assert (too_early.status_code, code_of(too_early)) == (503, "outcome_unknown")
    assert len({click.json()["message"]["id"] for click in clicks}) == 1
    assert len(office.received()) == 1


# ---- What Meta refuses


def test_a_dead_token_stops_sends_and_nothing_else(office: Office, simulator: Simulator) -> None:
    chat_id = office.hear()
    office.fault(code=190, subcode=463, times=1)

    refused = office.send(chat_id=chat_id, text="hola")
    paused = office.send(chat_id=chat_id, text="hola")
    office.hear(text="¿Hay alguien?")

    assert (refused.status_code, code_of(refused)) == (502, "token_dead")
    assert refused.json()["message"]["status"] == "failed"
    assert (paused.status_code, code_of(paused)) == (502, "token_dead")
    assert len(office.bodies()) == 1
    assert office.row(
        "select status::text, error_code from whatsapp_integrations where id = %s", office.integration_id
    ) == ("error", "token_dead")
    assert office.row("select unread_count from chats where id = %s", chat_id) == (2,)


def test_a_passing_fault_is_tried_again_at_once(office: Office) -> None:
    chat_id = office.hear()
    office.fault(code=131016, http_status=503, times=1)

    answer = office.send(chat_id=chat_id, text="hola")

    assert (answer.status_code, answer.json()["message"]["status"]) == (200, "accepted")
    assert len(office.received()) == 1


def test_too_fast_is_queued_and_sent_later(office: Office) -> None:
    chat_id = office.hear()
    office.fault(code=130429, times=1)

    answer = office.send(chat_id=chat_id, text="hola")
    with workers(office.world):
        office.wait_until_sent()

    assert (answer.status_code, answer.json()["message"]["status"]) == (202, "queued")
    assert len(office.received()) == 1


@pytest.mark.parametrize("code", [131026, 131030])
@pytest.mark.parametrize(
    "typed,other",
    [
        ("5511990000001", "551190000001"),
        ("5215500000001", "525500000001"),
        ("5491100000001", "541100000001"),
    ],
)
def test_a_number_in_its_other_form_is_tried_once(office: Office, code: int, typed: str, other: str) -> None:
    name = approve_template(office)
    office.fault(code=code, times=1)

    answer = office.send(to=f"+{typed}", type="template", template={"name": name, "language": "es"})

    assert answer.status_code == 200, answer.text
    assert [body["to"] for body in office.bodies()] == [typed, other]
    # Meta's own name for them is remembered.
    assert office.row("select wa_id from contacts where organization_id = %s", office.organization.id) == (
        other,
    )


def test_the_other_form_is_tried_too_when_a_status_says_undeliverable(
    office: Office, simulator: Simulator
) -> None:
    name = approve_template(office)
    office.fault(code=131026, by_status=True, times=1)

    with workers(office.world):
        sent = office.send(to="+5511990000001", type="template", template={"name": name, "language": "es"})
        office.wait_for(lambda: len(office.received()) == 2)
    simulator.settle()

    assert sent.status_code == 200
    assert [body["to"] for body in office.bodies()] == ["5511990000001", "551190000001"]
    assert [(each["status"], each["error_code"]) for each in office.messages()] == [
        ("failed", 131026),
        ("delivered", None),
    ]


# ---- Tenants


def test_no_way_to_send_from_the_others_number(
    office: Office, world: World, database: Connection, new_user: Callable[[], User]
) -> None:
    chat_id = office.hear()
    other = open_office(world, database)
    stranger = new_user()
    bodies: list[dict[str, Any]] = [
        {"chat_id": chat_id, "text": "hola"},
        {"chat_id": chat_id, "organization_id": office.organization.id, "text": "hola"},
        {"chat_id": chat_id, "organization_id": other.organization.id, "text": "hola"},
        {"to": "+15550100001", "organization_id": office.organization.id, "text": "hola"},
    ]

    answers = [other.post("/", body) for body in bodies]
    answers += [stranger.functions.post(f"{SEND}/", json=body) for body in bodies]
    answers += [other.post("/read", {"chat_id": chat_id})]
    answers += [other.post("/retry", {"message_id": str(uuid.uuid4())})]

    assert {answer.status_code for answer in answers} <= {400, 403, 404}
    assert office.bodies() == []
    assert office.messages() == []


def test_nobody_reads_the_others_keys_or_uses_up_its_pace(
    office: Office, world: World, database: Connection
) -> None:
    chat_id = office.hear()
    office.send(chat_id=chat_id, text="hola", key="secreta")
    other = open_office(world, database)
    their_chat = other.hear()
    same_key = other.send(chat_id=their_chat, text="otra", key="secreta")
    tables = ["idempotency_keys", "send_queue", "send_permits", "rate_limits"]

    seen = [other.organization.owner.rest.get(f"/{table}") for table in tables]
    calls = [
        other.organization.owner.rest.post(
            "/rpc/start_sends", json={"integration": office.integration_id, "sends": [], "wanted": 80}
        ),
        other.organization.owner.rest.post("/rpc/claim_sends", json={}),
        other.organization.owner.rest.post("/rpc/finish_sends", json={"results": []}),
        other.organization.owner.rest.post(
            "/rpc/take_management_calls", json={"integration": office.integration_id, "wanted": 5000}
        ),
    ]

    assert same_key.status_code == 200
    assert {answer.status_code for answer in seen} <= {401, 403}
    assert {answer.status_code for answer in calls} <= {401, 403, 404}
    assert office.send(chat_id=chat_id, text="todavía").status_code == 200


# ---- Whose


def test_the_organization_may_stand_in_the_query(office: Office, world: World) -> None:
    chat_id = office.hear()
    other = world.new_organization(office.organization.owner)
    ours, theirs = (f"?organization_id={each}" for each in (office.organization.id, other.id))
    body = {"to": f"+{CUSTOMER}", "text": "hola"}

    unsaid = office.post("/", body)
    said = [
        office.post(f"/{ours}", body),
        office.post(f"/batch{ours}", {"messages": [body]}),
        office.post(f"/read{ours}", {"chat_id": chat_id}),
    ]
    elsewhere = [
        office.post(f"/{theirs}", body),
        office.post(f"/batch{theirs}", {"messages": [body]}),
        office.post(f"/read{theirs}", {"chat_id": chat_id}),
    ]

    assert (unsaid.status_code, code_of(unsaid)) == (400, "organization_required")
    assert [answer.status_code for answer in said] == [200, 202, 200]
    assert {answer.status_code for answer in elsewhere} <= {404, 409}


def test_a_retry_may_name_its_organization(office: Office, world: World) -> None:
    chat_id = office.hear()
    office.fault(code=131051, times=1)
    office.send(chat_id=chat_id, text="hola")
    (message_id,) = office.row(
        "select id::text from messages where chat_id = %s and direction = 'outbound'", chat_id
    )
    other = world.new_organization(office.organization.owner)

    elsewhere = office.post("/retry", {"message_id": message_id, "organization_id": other.id})
    in_the_query = office.post(f"/retry?organization_id={other.id}", {"message_id": message_id})
    said = office.post("/retry", {"message_id": message_id, "organization_id": office.organization.id})

    assert [code_of(answer) for answer in (elsewhere, in_the_query)] == ["message_not_found"] * 2
    assert said.status_code == 200, said.text


@pytest.mark.parametrize("path", ["/", "/batch", "/retry", "/read"])
def test_what_is_no_id_of_an_organization_is_told(office: Office, path: str) -> None:
    body = {
        "/": {"to": "+15550100001", "text": "hola"},
        "/batch": {"messages": [{"to": "+15550100001", "text": "hola"}]},
        "/retry": {"message_id": str(uuid.uuid4())},
        "/read": {"chat_id": str(uuid.uuid4())},
    }[path]

    answer = office.post(f"{path}?organization_id=mine", body)

    assert (answer.status_code, code_of(answer)) == (422, "invalid_query")


# ---- Reading


def test_reading_tells_meta_and_counts_nothing_unread(office: Office) -> None:
    chat_id = office.hear()
    office.hear(text="¿sigues ahí?")

    answer = office.post("/read", {"chat_id": chat_id, "typing": True})

    assert (answer.status_code, answer.json()) == (200, {"chat_id": chat_id, "unread_count": 0})
    (newest,) = office.row(
        "select wamid from messages where chat_id = %s order by occurred_at desc, id desc", chat_id
    )
    assert office.bodies() == [
        {
            "messaging_product": "whatsapp",
            "status": "read",
            "message_id": newest,
            "typing_indicator": {"type": "text"},
        }
    ]
    assert office.row("select unread_count from chats where id = %s", chat_id) == (0,)


def test_a_chat_is_read_on_our_side_even_when_nothing_can_be_sent(office: Office) -> None:
    chat_id = office.hear()
    office.database.execute(
        "update whatsapp_integrations set status = 'error', error_code = 'token_dead' where id = %s",
        (office.integration_id,),
    )

    answer = office.post("/read", {"chat_id": chat_id})

    assert (answer.status_code, answer.json()["unread_count"]) == (200, 0)
    assert office.bodies() == []


# ---- Pace


def test_a_message_to_somebody_who_was_sent_enough_waits_instead_of_failing(office: Office) -> None:
    chat_id = office.hear()
    office.database.execute(
        "insert into rate_limits (organization_id, kind, key, paid_at)"
        " select organization_id, 'pair', contact_id::text, now() + interval '10 minutes'"
        " from chats where id = %s",
        (chat_id,),
    )

    first = office.send(chat_id=chat_id, text="uno")
    second = office.send(chat_id=chat_id, text="dos")

    assert [(each.status_code, each.json()["message"]["status"]) for each in (first, second)] == [
        (202, "queued"),
        (202, "queued"),
    ]
    assert office.bodies() == []


def test_a_message_for_which_the_number_has_no_room_waits_a_moment_or_is_queued(office: Office) -> None:
    chat_id = office.hear()
    office.database.execute(
        """
        insert into send_permits (organization_id, integration_id, starts_at, free_at)
        select organization_id, id, now(),
            now() + case when n = 1 then interval '1 second' else interval '1 hour' end
        from whatsapp_integrations, generate_series(1, 80) as n where id = %s
        """,
        (office.integration_id,),
    )

    waited = office.send(chat_id=chat_id, text="uno")
    office.pause()
    queued = office.send(chat_id=chat_id, text="dos")

    assert (waited.status_code, queued.status_code) == (200, 202), queued.text
    assert waited.elapsed.total_seconds() > 0.5


# ---- Batches


def test_a_batch_is_accepted_whole_and_sent_by_the_worker(office: Office) -> None:
    numbers = office.open_chats(30)
    office.world.simulator.patch("/settings", enforce_window=False)

    accepted = office.post(
        "/batch",
        {"messages": [{"to": number, "text": f"a {number}"} for number in numbers]},
        **{"idempotency-key": "b"},
    )
    again = office.post(
        "/batch",
        {"messages": [{"to": number, "text": f"a {number}"} for number in numbers]},
        **{"idempotency-key": "b"},
    )
    with workers(office.world):
        office.wait_until_sent()

    assert accepted.status_code == 202, accepted.text
    assert again.json()["message_ids"] == accepted.json()["message_ids"]
    batch = office.organization.owner.functions.get(f"{SEND}/batch/{accepted.json()['batch']['id']}").json()[
        "batch"
    ]
    assert (batch["is_finished"], sum(batch["counts"].values())) == (True, 30)
    assert [each["id"] for each in office.messages()] == accepted.json()["message_ids"]
    assert sorted(body["to"] for body in office.bodies()) == sorted(number[1:] for number in numbers)


def test_one_wrong_message_refuses_the_whole_batch(office: Office) -> None:
    numbers = office.open_chats(2)
    messages = [
        {"to": numbers[0], "text": "a"},
        {"to": "nobody", "text": "b"},
        {"to": numbers[1], "text": ""},
    ]

    wrong = office.post("/batch", {"messages": messages})
    closed = office.post("/batch", {"messages": [messages[0], {"to": "+15550100777", "text": "b"}]})
    too_many = office.post("/batch", {"messages": [messages[0]] * 1001})

    assert (wrong.status_code, code_of(wrong)) == (422, "invalid_body")
    assert [detail["field"] for detail in wrong.json()["error"]["details"]] == [
        "messages[1].to",
        "messages[2].text.body",
    ]
    assert (closed.status_code, code_of(closed)) == (409, "window_closed")
    assert closed.json()["error"]["details"][0]["field"] == "messages[1]"
    assert too_many.status_code == 422
    assert office.messages() == []


def test_a_batch_waits_for_whoever_must_mend_the_number(office: Office) -> None:
    chats = [office.hear(f"1555010000{number}") for number in range(5)]
    office.fault(code=133010)

    batch = office.post("/batch", {"messages": [{"chat_id": chat, "text": "hola"} for chat in chats]})
    with workers(office.world):
        query = "select sends_paused_until > now() from whatsapp_integrations where id = %s"
        office.wait_for(lambda: office.row(query, office.integration_id) == (True,))
        office.wait_for(lambda: {each["status"] for each in office.messages()} == {"queued"})
        direct = office.send(chat_id=chats[0], text="¿Sigues ahí?")
        notice = office.row("select event from notices where integration_id = %s", office.integration_id)
        # What must be mended is.
        office.world.simulator.client.delete("/faults")
        office.go_on()
        office.database.execute(
            "update send_queue set run_at = now() where integration_id = %s", (office.integration_id,)
        )
        office.wait_until_sent()

    assert (batch.status_code, direct.status_code) == (202, 202)
    assert notice == ("NUMBER_PAUSED",)
    assert len(office.received()) == 6


def test_a_cancelled_batch_sends_nothing_more(office: Office) -> None:
    numbers = office.open_chats(5)
    office.pause()
    batch = office.post("/batch", {"messages": [{"to": number, "text": "a"} for number in numbers]}).json()[
        "batch"
    ]

    cancelled = office.post(f"/batch/{batch['id']}/cancel", {})
    office.go_on()
    with workers(office.world):
        office.wait_until_sent()

    assert cancelled.json()["batch"]["counts"] == {"cancelled": 5}
    assert office.bodies() == []


def test_a_batch_is_nothing_to_strangers(office: Office, new_user: Callable[[], User]) -> None:
    (number,) = office.open_chats(1)
    office.pause()
    batch = office.post("/batch", {"messages": [{"to": number, "text": "a"}]}).json()["batch"]
    stranger = new_user().functions

    answers = [
        stranger.get(f"{SEND}/batch/{batch['id']}"),
        stranger.post(f"{SEND}/batch/{batch['id']}/cancel", json={}),
        stranger.get(f"{SEND}/batch/nothing"),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert office.messages()[0]["status"] == "queued"


def approve_template(office: Office, name: str = "recordatorio") -> str:
    """Let an approved template be there, at Meta and in our list."""
    office.world.simulator.patch("/settings", template_review_after=0)
    created = office.world.functions.post(
        f"{office.world.graph_url}/v26.0/{office.business['waba_id']}/message_templates",
        headers={"authorization": f"Bearer {office.business['access_token']}"},
        json={
            "name": name,
            "language": "es",
            "category": "UTILITY",
            "components": [{"type": "BODY", "text": "Te esperamos mañana."}],
        },
    )
    assert created.is_success, created.text
    template_id = created.json()["id"]
    office.world.simulator.settle()
    office.database.execute(
        """
        insert into message_templates (organization_id, integration_id, template_id, name, language, status)
        values (%s, %s, %s, %s, 'es', 'APPROVED')
        on conflict (organization_id, template_id)
            do update set name = excluded.name, language = 'es', status = 'APPROVED'
        """,
        (office.organization.id, office.integration_id, template_id, name),
    )
    return name


def put_file(office: Office, name: str, mime_type: str) -> str:
    """Put a file into the organization's folder; return its storage path."""
    path = f"whatsapp-media/{office.organization.id}/{name}"
    stored = httpx.post(
        f"{office.world.supabase_url}/storage/v1/object/{path}",
        headers={
            "apikey": office.world.secret_key,
            "authorization": f"Bearer {office.world.secret_key}",
            "content-type": mime_type,
        },
        content=PNG,
        trust_env=False,
    )
    assert stored.is_success, stored.text
    return path


def code_of(answer: Any) -> str:
    return str(answer.json()["error"]["code"])
