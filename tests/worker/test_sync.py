"""What Meta has of a connection is read once; a phone app's chats end complete, in order, and wake nobody.

`HISTORY_MESSAGES` and `HISTORY_CHUNKS` say how many; the full measure is 20000 in 60.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Any

import httpx

from shared.signatures import sign
from tests import wire
from tests.offices import open_office
from tests.worker.test_bots import WELCOME, make_bot

if TYPE_CHECKING:
    import psycopg

    from tests.offices import Office
    from tests.worker.conftest import WorkOff
    from tests.world import World

    Connection = psycopg.Connection[tuple[Any, ...]]

MESSAGES = int(os.environ.get("HISTORY_MESSAGES", "3000"))
CHUNKS = int(os.environ.get("HISTORY_CHUNKS", "12"))
PEOPLE = max(20, MESSAGES // 80)


def syncs(office: Office) -> dict[str, str]:
    rows = office.database.execute(
        "select kind::text, state::text from connection_syncs where integration_id = %s",
        (office.integration_id,),
    ).fetchall()
    return dict(rows)


def row_of(office: Office, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = office.row(
        "select to_jsonb(s) from connection_syncs s where integration_id = %s and kind::text = %s",
        office.integration_id,
        kind,
    )[0]
    return found


def asked(office: Office) -> list[str]:
    calls = office.world.simulator.get(
        "/requests", edge="smb_app_data", object_id=office.business["phone_number_id"], limit=100
    )
    return sorted(
        kind for call in calls for kind in ("history", "smb_app_state_sync") if kind in call["body"]
    )


def reconnect(office: Office) -> None:
    """Let the connection come about once more, as after a repair."""
    for status in ("error", "connected"):
        office.database.execute(
            "update whatsapp_integrations set status = %s::integration_status where id = %s",
            (status, office.integration_id),
        )


async def test_contacts_and_history_are_asked_for_once(
    world: World, database: Connection, work_off: WorkOff
) -> None:
    world.simulator.post("/customers", phone_number="15550100071", name="Ana")
    office = open_office(world, database, coexistence=True)
    await work_off()
    reconnect(office)
    await work_off()
    world.simulator.settle()

    assert asked(office) == ["history", "smb_app_state_sync"]
    assert syncs(office) == {
        "number": "done",
        "profile": "done",
        "templates": "done",
        "contacts": "done",
        "history": "done",
    }
    assert row_of(office, "history")["progress"] == 100
    seen = office.organization.owner.rest.get("/connection_syncs", params={"kind": "eq.history"}).json()
    assert seen[0]["chunk_count"] >= 1


async def test_what_came_before_a_number_was_connected_is_stored_once_it_is(
    world: World, database: Connection, work_off: WorkOff
) -> None:
    """The first contacts of a phone app, say, or a customer who wrote while somebody was connecting."""
    office, stranger = open_office(world, database), open_office(world, database)
    for each in (office, stranger):
        database.execute(
            "update whatsapp_integrations set status = 'pending' where id = %s", (each.integration_id,)
        )
    with httpx.Client(timeout=60, trust_env=False) as client:
        for each in (office, stranger):
            about = wire.value(
                messages=[wire.text_message("Hola")], phone_number_id=each.business["phone_number_id"]
            )
            deliver(world, client, wire.to_wire(wire.delivery(about, waba_id=each.business["waba_id"])))

    database.execute(
        "update whatsapp_integrations set status = 'connected' where id = %s", (office.integration_id,)
    )
    await work_off()

    written = "select array_agg(text) from messages where organization_id = %s"
    assert office.row(written, office.organization.id) == (["Hola"],)
    assert stranger.row(written, stranger.organization.id) == (None,)


async def test_a_business_that_shares_no_history_is_shown_as_such(
    world: World, database: Connection, work_off: WorkOff
) -> None:
    world.simulator.patch("/settings", shares_history=False)
    try:
        office = open_office(world, database, coexistence=True)
        await work_off()
        world.simulator.settle()
    finally:
        world.simulator.patch("/settings", shares_history=True)

    history = row_of(office, "history")
    assert (history["state"], history["error_code"]) == ("refused", 2593109)


async def test_of_another_number_meta_gives_no_past_chats(office: Office, work_off: WorkOff) -> None:
    reconnect(office)

    await work_off()

    assert asked(office) == []
    assert syncs(office) == {
        "number": "done",
        "profile": "done",
        "templates": "done",
        "contacts": "not_offered",
        "history": "not_offered",
    }
    facts = office.row(
        "select display_name, last_sync_at from whatsapp_integrations where id = %s", office.integration_id
    )
    assert facts[0] is not None
    assert facts[1] is not None


async def test_of_the_platforms_templates_only_the_organizations_own_are_read(
    office: Office, work_off: WorkOff
) -> None:
    office.database.execute(
        "update whatsapp_integrations set has_platform_token = true where id = %s", (office.integration_id,)
    )
    reconnect(office)

    await work_off()

    assert row_of(office, "templates")["content"] == {"count": 0}
    count = "select count(*) from message_templates where organization_id = %s"
    assert office.row(count, office.organization.id) == (0,)


async def test_a_template_that_was_edited_at_meta_is_read_again(
    office: Office, work_off: WorkOff, world: World
) -> None:
    reconnect(office)
    await work_off()
    template_id, before = office.row(
        "select template_id, components from message_templates where integration_id = %s limit 1",
        office.integration_id,
    )
    edited = [{"type": "BODY", "text": "Otra cosa."}]
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{world.graph_url}/v26.0/{template_id}",
            headers={"authorization": f"Bearer {office.business['access_token']}"},
            json={"components": edited},
        )
    assert answer.is_success, answer.text

    told = {"message_template_id": int(template_id), "message_template_element": "Otra cosa."}
    world.simulator.post(
        "/events", waba_id=office.business["waba_id"], field="message_template_components_update", value=told
    )
    world.simulator.settle()
    await work_off()

    (after,) = office.row("select components from message_templates where template_id = %s", template_id)
    assert before != edited
    assert after == edited


async def test_a_question_that_was_cut_off_is_asked_again_when_nobody_can_be_asking_any_more(
    world: World, database: Connection, work_off: WorkOff
) -> None:
    office = open_office(world, database, coexistence=True)
    office.row("select public.begin_sync(%s, 'history')", office.business["phone_number_id"])
    await work_off()
    before = asked(office)

    database.execute(
        "update connection_syncs set asked_at = asked_at - interval '1 minute' where integration_id = %s",
        (office.integration_id,),
    )
    database.execute(
        "update jobs set run_at = now() where kind = 'sync_connection' and state = 'ready' and attempts > 0"
    )
    await work_off()

    assert (before, asked(office)) == (["smb_app_state_sync"], ["history", "smb_app_state_sync"])


async def test_who_asked_too_late_is_told_so(world: World, database: Connection, work_off: WorkOff) -> None:
    office = open_office(world, database, coexistence=True)
    world.simulator.post(
        "/faults", edge="smb_app_data", object_id=office.business["phone_number_id"], code=2593108
    )

    await work_off()

    assert row_of(office, "history")["state"] == "refused"
    assert row_of(office, "history")["error_code"] == 2593108


def make_chunks(office: Office) -> list[bytes]:
    """The past of many people, cut into chunks: each person's messages are spread over several of them."""
    own = office.business["phone_number"].lstrip("+")
    chance = random.Random(11)
    parts: list[dict[str, list[dict[str, Any]]]] = [{} for _ in range(CHUNKS)]
    for number in range(MESSAGES):
        person = f"155502{number % PEOPLE:05d}"
        is_ours = chance.random() < 0.4
        message = {
            "from": own if is_ours else person,
            **({"to": person} if is_ours else {}),
            "id": wire.wamid(number),
            "timestamp": str(wire.TIMESTAMP - 10_000_000 + number * 60),
            "type": "text",
            "text": {"body": f"Recuerdo {number}"},
            "history_context": {"status": "READ"},
        }
        parts[number * CHUNKS // MESSAGES].setdefault(person, []).append(message)
    bodies = []
    for order, part in enumerate(parts, start=1):
        threads = [
            {"id": person, "context": {"wa_id": person}, "messages": messages}
            for person, messages in part.items()
        ]
        chunk = wire.history(*threads, chunk_order=order, progress=round(100 * order / CHUNKS))
        value = wire.value(history=[chunk], phone_number_id=office.business["phone_number_id"], own_phone=own)
        bodies.append(wire.to_wire(wire.delivery(value, field="history", waba_id=office.business["waba_id"])))
    return bodies


def deliver(world: World, client: httpx.Client, body: bytes) -> None:
    signature = f"{sign(body, world.variables['WHATSAPP_APP_SECRET'])}"
    answer = client.post(
        world.variables["WHATSAPP_WEBHOOK_URL"],
        content=body,
        headers={"x-hub-signature-256": signature, "content-type": "application/json"},
    )
    assert answer.status_code == 200, answer.text


async def test_a_shuffled_and_doubled_history_ends_complete_and_in_order(
    world: World, database: Connection, work_off: WorkOff
) -> None:
    office = open_office(world, database, coexistence=True)
    make_bot(office, WELCOME, most_age_seconds=86_400)
    bodies = make_chunks(office)
    chance = random.Random(5)
    sent = [*bodies, *chance.sample(bodies, CHUNKS // 3)]
    chance.shuffle(sent)

    started = time.monotonic()
    with httpx.Client(timeout=60, trust_env=False) as client:
        for body in sent:
            deliver(world, client, body)
    seconds = time.monotonic() - started
    await work_off()

    organization = office.organization.id
    assert office.row(
        "select count(*), count(distinct wamid) from messages where organization_id = %s", organization
    ) == (MESSAGES, MESSAGES)
    # Each message is in the chat of the person whose thread it was in.
    assert office.row(
        "select count(*) from messages m join chats c on c.id = m.chat_id"
        " join contacts p on p.id = c.contact_id where m.organization_id = %s"
        " and p.wa_id <> '155502' || lpad((right(m.wamid, 12)::bigint %% %s)::text, 5, '0')",
        organization,
        PEOPLE,
    ) == (0,)
    assert office.row(
        "select count(*) from (select right(wamid, 12)::bigint as nr, lag(right(wamid, 12)::bigint) over"
        " (partition by chat_id order by occurred_at) as before from messages where organization_id = %s)"
        " as o where before > nr",
        organization,
    ) == (0,)
    assert office.row(
        "select count(*), sum(unread_count), count(*) filter (where window_expires_at is not null)"
        " from chats where organization_id = %s",
        organization,
    ) == (PEOPLE, 0, 0)
    assert office.row(
        "select count(*) from jobs where kind = 'run_bot' and organization_id = %s", organization
    ) == (0,)
    history = row_of(office, "history")
    assert (history["state"], history["progress"]) == ("done", 100)
    print(  # noqa: T201 - the figure
        f"{MESSAGES} messages in {len(sent)} deliveries ({CHUNKS} chunks): {seconds:.1f} s"
    )


async def test_a_placeholder_of_the_history_becomes_its_file(
    world: World, database: Connection, work_off: WorkOff
) -> None:
    """The file comes later, in a change of its own, and is fetched; it wakes no bot either."""
    office = open_office(world, database, coexistence=True)
    make_bot(office, WELCOME, most_age_seconds=86_400)
    now = str(int(time.time()))
    placeholder = wire.message("media_placeholder", None, number=9, timestamp=now)
    ids = {"phone_number_id": office.business["phone_number_id"]}
    thread = {"id": wire.CUSTOMER, "messages": [placeholder]}
    made = world.simulator.post(
        "/customers/messages",
        phone_number_id=office.business["phone_number_id"],
        **{"from": "15550100077"},
        type="image",
    )
    real = {**made["message"], "from": wire.CUSTOMER, "id": wire.wamid(9), "timestamp": now}
    world.simulator.settle()
    await work_off()

    with httpx.Client(timeout=60, trust_env=False) as client:
        for value in (
            wire.value(history=[wire.history(thread)], **ids),
            wire.value(messages=[{**real, "type": "image", "image": image_of(office)}], **ids),
        ):
            payload = wire.delivery(value, field="history", waba_id=office.business["waba_id"])
            deliver(world, client, wire.to_wire(payload))
    await work_off()

    found = office.row(
        "select m.type, m.origin::text, a.state::text"
        " from messages m join message_media a on a.message_id = m.id"
        " where m.organization_id = %s and m.wamid = %s",
        office.organization.id,
        wire.wamid(9),
    )
    assert found == ("image", "history", "stored")


def image_of(office: Office) -> dict[str, Any]:
    """The image that Meta has told this number of."""
    content: dict[str, Any] = office.row(
        "select content -> 'image' from messages where organization_id = %s and type = 'image'",
        office.organization.id,
    )[0]
    return content
