"""A member calls the database by themselves: for files that are not theirs, and to say what was not sent.

The functions read a message before the database does; nobody has to go through them.
"""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from shared.contacts import canonical_phone
from tests import wire
from tests.database.tenants import store

if TYPE_CHECKING:
    from tests.threats.conftest import Connected
    from tests.world import User, World

Connection = psycopg.Connection[tuple[Any, ...]]

ANOTHERS_NUMBER = "15550100777"


@pytest.fixture
def chat(database: Connection, ours: Connected) -> str:
    """A chat of ours whose window is open."""
    database.execute(
        "update chats set window_expires_at = now() + interval '1 hour' where id = %s", (ours.chat_id,)
    )
    return ours.chat_id


def item(chat: str | None, kind: str = "text", part: Any = None, **more: Any) -> dict[str, Any]:
    """Return a message as the functions hand it to the database, and whatever else is to be smuggled."""
    content = {kind: {"body": "hola"} if part is None else part}
    return {"chat_id": chat, "type": kind, "content": content, **more}


def begin(user: User, *items: Any, by: str) -> httpx.Response:
    """Call what accepts one message, or a batch."""
    body = {"messages": list(items)} if by == "begin_batch" else {"message": items[0]}
    return user.rest.post(f"/rpc/{by}", json={**body, "digest": "d"})


def refused_by(answer: httpx.Response) -> tuple[Any, Any]:
    return answer.status_code, answer.json().get("details")


def queued(database: Connection, ours: Connected) -> int:
    """Count what was written to be sent."""
    row = database.execute(
        "select count(*) from messages"
        " where organization_id = %s and direction = 'outbound' and origin = 'live'",
        (ours.organization.id,),
    ).fetchone()
    assert row is not None
    return int(row[0])


# ---- Files


def put(world: World, path: str) -> str:
    """Put a file into Storage with the service's right."""
    bearer = {"apikey": world.secret_key, "authorization": f"Bearer {world.secret_key}"}
    answer = httpx.post(
        f"{world.supabase_url}/storage/v1/object/{path}",
        headers={**bearer, "content-type": "image/png"},
        content=b"png",
        trust_env=False,
    )
    assert answer.is_success, answer.text
    return path


@pytest.fixture
def hidden(world: World, database: Connection, theirs: Connected) -> dict[str, str]:
    """Files that are there, and not for our agent."""
    bucket = f"private-{secrets.token_hex(4)}"
    database.execute(
        "insert into storage.buckets (id, name, public) values (%s, %s, false)", (bucket, bucket)
    )
    return {
        "of another bucket": put(world, f"{bucket}/salaries.png"),
        "of another tenant": put(world, f"whatsapp-media/{theirs.organization.id}/theirs.png"),
    }


@pytest.mark.parametrize("by", ["begin_send", "begin_batch"])
@pytest.mark.parametrize("whose", ["of another bucket", "of another tenant"])
def test_no_file_that_the_agent_cannot_see(
    database: Connection, ours: Connected, agent: User, chat: str, hidden: dict[str, str], whose: str, by: str
) -> None:
    answer = begin(agent, item(chat, "document", {"storage_path": hidden[whose]}), by=by)

    assert refused_by(answer) == (400, "invalid_body")
    assert queued(database, ours) == 0


@pytest.mark.parametrize(
    "path",
    [
        "../../bucket/whatsapp-media/empty",
        "whatsapp-media/../../bucket/whatsapp-media/empty",
        "whatsapp-media/{own}/../{own}/foto.png",
        "whatsapp-media/./{own}/foto.png",
        "whatsapp-media/%2e%2e/%2e%2e/bucket/whatsapp-media/empty",
        "whatsapp-media/{own}/%2e%2e/foto.png",
        "whatsapp-media\\{own}\\foto.png",
        "whatsapp-media/{own}/foto.png?download",
        "whatsapp-media/{own}/foto.png#a",
        "whatsapp-media//{own}/foto.png",
        "/whatsapp-media/{own}/foto.png",
        "whatsapp-media",
        "",
    ],
)
def test_no_path_that_leads_elsewhere(
    database: Connection, ours: Connected, agent: User, chat: str, path: str
) -> None:
    own = ours.organization.id
    name = path.format(own=own)
    bucket, _, rest = name.partition("/")
    if bucket == "whatsapp-media" and rest:
        # Even where Storage has an object of that very name.
        database.execute(
            "insert into storage.objects (bucket_id, name) values (%s, %s) on conflict do nothing",
            (bucket, rest),
        )

    answer = begin(agent, item(chat, "document", {"storage_path": name}), by="begin_batch")

    assert refused_by(answer) == (400, "invalid_body")
    assert queued(database, ours) == 0


@pytest.mark.parametrize(
    "hiding_place",
    [
        {"template": {"name": "a", "components": [{"parameters": [{"image": {"storage_path": "PATH"}}]}]}},
        {"interactive": {"header": {"type": "image", "image": {"storage_path": "PATH"}}}},
        {
            "interactive": {
                "action": {"parameters": {"flow_action_payload": {"data": {"storage_path": "PATH"}}}}
            }
        },
        {"contacts": [{"storage_path": "PATH"}]},
        {"document": {"storage_path": ["PATH"]}},
        {"document": {"storage_path": {"storage_path": "PATH"}}},
        {"document": {"storage_path": None}},
    ],
)
def test_no_file_hides_deeper(
    database: Connection, ours: Connected, agent: User, chat: str, hidden: dict[str, str], hiding_place: Any
) -> None:
    ((kind, part),) = _fill(hiding_place, hidden["of another tenant"]).items()

    answer = begin(agent, item(chat, kind, part), by="begin_batch")

    assert refused_by(answer) == (400, "invalid_body")
    assert queued(database, ours) == 0


def test_a_file_of_ones_own_is_accepted(
    database: Connection, world: World, ours: Connected, agent: User, chat: str
) -> None:
    path = put(world, f"whatsapp-media/{ours.organization.id}/año 1.png")

    answer = begin(agent, item(chat, "document", {"storage_path": path}), by="begin_batch")

    assert answer.status_code == 200, answer.text
    assert queued(database, ours) == 1


def test_nobody_tries_again_a_message_whose_file_they_cannot_see(
    database: Connection, ours: Connected, agent: User, chat: str, hidden: dict[str, str]
) -> None:
    message_id = _add_failed(database, ours, {"document": {"storage_path": hidden["of another bucket"]}})

    answer = agent.rest.post("/rpc/begin_retry", json={"message": message_id})

    assert refused_by(answer) == (400, "invalid_body")
    assert queued(database, ours) == 1


def test_what_a_webhook_tells_as_sent_is_never_sent_by_us(
    database: Connection, ours: Connected, agent: User, hidden: dict[str, str]
) -> None:
    """An organization with an app of its own signs what it likes: an echo with a path, and its failure."""
    about: Any = {"phone_number_id": ours.phone_number_id}
    mobile = "5511990000001"
    echo = {**wire.echo(number=70), "type": "document", "to": mobile}
    echo["document"] = {"storage_path": hidden["of another tenant"]}
    echo.pop("text", None)
    store(database, wire.delivery(wire.value(**about, message_echoes=[echo]), field="smb_message_echoes"))
    failed = wire.status("failed", number=70, error_code=131026)
    store(database, wire.delivery(wire.value(**about, statuses=[failed])))
    ((message_id, status),) = database.execute(
        "select id::text, status::text from messages where organization_id = %s and origin = 'echo'",
        (ours.organization.id,),
    ).fetchall()

    answer = agent.rest.post("/rpc/begin_retry", json={"message": message_id})

    assert status == "failed"
    assert answer.status_code == 400
    assert queued(database, ours) == 0
    jobs = database.execute(
        "select 1 from jobs where organization_id = %s and kind = 'retry_other_form'", (ours.organization.id,)
    )
    assert jobs.fetchall() == []


@pytest.mark.parametrize(
    "reply",
    [
        {"type": "document", "content": {"document": {"storage_path": "whatsapp-media/a/b.png"}}},
        {"type": "text", "content": {"to": ANOTHERS_NUMBER, "text": {"body": "hola"}}},
    ],
    ids=["a file", "another's number"],
)
def test_no_bot_says_what_nobody_may_say(
    database: Connection, ours: Connected, chat: str, reply: dict[str, Any]
) -> None:
    database.execute("insert into bots (organization_id, is_on) values (%s, true)", (ours.organization.id,))
    row = database.execute(
        """
        insert into jobs (organization_id, kind, key, payload, state, lease_token, lease_until)
        select %s, 'run_bot', m, jsonb_build_object('message_id', m), 'running', 1, now() + interval '1 hour'
        from cast(%s as text) as m
        returning id
        """,
        (ours.organization.id, ours.message_id),
    ).fetchone()
    assert row is not None
    database.execute("update messages set occurred_at = now() where id = %s", (ours.message_id,))
    said = Jsonb({"replies": [reply], "by": "endpoint", "hands_over": False})

    with pytest.raises(psycopg.errors.RaiseException, match=r"media id|one part"):
        database.execute("select finish_bot_turn(%s, 1, %s)", (row[0], said))

    assert queued(database, ours) == 0


# ---- Words


@pytest.mark.parametrize(
    "smuggled",
    [
        {"content": {"to": ANOTHERS_NUMBER, "type": "text", "text": {"body": "hola"}}},
        {"content": {"recipient_type": "group", "text": {"body": "hola"}}},
        {"content": {"image": {"link": "https://files.example.com/a"}}},
        {"content": {}},
        {"content": None},
        {"content": [{"text": {"body": "hola"}}]},
        {"content": {"text": "hola"}},
        {"type": None},
        {"type": "system", "content": {"system": {"body": "Meta"}}},
        {"type": "template"},
        {"target": "wamid.X"},
        {"reply_to": "x" * 513},
        {"contact": {"wa_id": ANOTHERS_NUMBER}},
        {"chat_id": None},
        {"chat_id": None, "contact": {"aliases": [f"phone:{ANOTHERS_NUMBER}"]}},
        {"chat_id": None, "contact": {"wa_id": "15550100001", "bsuid": "PE.1"}},
        {"chat_id": None, "contact": {"wa_id": "x"}},
        {"chat_id": None, "contact": {"bsuid": "PE.1\nx"}},
        {"content": {"text": {"body": "x" * 200_000}}},
    ],
    ids=lambda smuggled: str(smuggled)[:60],
)
def test_no_message_that_the_functions_would_not_write(
    database: Connection, ours: Connected, agent: User, chat: str, smuggled: dict[str, Any]
) -> None:
    answer = begin(agent, {**item(chat), **smuggled}, by="begin_send")

    assert refused_by(answer) == (400, "invalid_body")
    assert queued(database, ours) == 0


@pytest.mark.parametrize("body", ['{"a":' * 40 + "1" + "}" * 40, "1" + "0" * 5000, "[-1e30]"])
def test_no_content_that_a_worker_could_not_read(database: Connection, body: str) -> None:
    """It claims messages of many organizations at once: one that it cannot read would stop all of them."""
    content = f'{{"text": {{"body": {body}}}}}'

    with pytest.raises(psycopg.errors.RaiseException, match="too large"):
        database.execute("select private.check_content('text', %s::jsonb)", (content,))


@pytest.mark.parametrize("count", [0, 1001])
def test_no_other_number_of_messages(agent: User, chat: str, count: int) -> None:
    answer = begin(agent, *[item(chat)] * count, by="begin_batch")

    assert refused_by(answer) == (400, "invalid_body")


def test_what_is_shown_is_what_is_sent(database: Connection, ours: Connected, agent: User, chat: str) -> None:
    forged = {
        "text": "Le pagaremos mañana.",
        "origin": "history",
        "wamid": "wamid.X",
        "sent_by": ours.owner.id,
    }

    answer = begin(agent, item(chat, **forged), by="begin_batch")

    assert answer.status_code == 200, answer.text
    row = database.execute(
        "select text, origin::text, wamid, sent_by::text from messages where batch_id = %s",
        (answer.json()["batch"]["id"],),
    ).fetchone()
    assert row == ("hola", "live", None, agent.id)
    assert database.execute("select last_message_text from chats where id = %s", (chat,)).fetchone() == (
        "hola",
    )


def test_nobody_names_two_people_as_one(
    database: Connection, ours: Connected, agent: User, chat: str
) -> None:
    """The aliases are made of the number alone: whoever gives their own joins no contacts."""
    typed = {
        "wa_id": ANOTHERS_NUMBER,
        "aliases": [f"phone:{ANOTHERS_NUMBER}", f"phone:{wire.CUSTOMER}"],
        "name": "El banco",
    }
    template = item(None, "template", {"name": "a"}, contact=typed)

    answer = begin(agent, template, by="begin_batch")

    assert answer.status_code == 200, answer.text
    people = database.execute(
        """
        select c.wa_id, c.name, (select array_agg(a.alias) from contact_aliases a where a.contact_id = c.id)
        from contacts c join messages m on m.contact_id = c.id where m.batch_id = %s
        """,
        (answer.json()["batch"]["id"],),
    ).fetchall()
    assert people == [(ANOTHERS_NUMBER, None, [f"phone:{ANOTHERS_NUMBER}"])]


@pytest.mark.parametrize("by", ["begin_send", "begin_batch"])
def test_nothing_of_another_tenant_is_reached(
    database: Connection, ours: Connected, theirs: Connected, agent: User, chat: str, by: str
) -> None:
    database.execute(
        "update chats set window_expires_at = now() + interval '1 hour' where id = %s", (theirs.chat_id,)
    )

    answers = [
        begin(agent, item(theirs.chat_id), by=by),
        begin(agent, item(chat, reply_to=theirs.message_id), by=by),
        begin(agent, item(chat, "reaction", {"emoji": "👍"}, target=theirs.message_id), by=by),
    ]

    assert [refused_by(answer) for answer in answers] == [
        (400, "chat_not_found"),
        (400, "message_not_found"),
        (400, "message_not_found"),
    ]
    assert queued(database, ours) == queued(database, theirs) == 0


def test_the_database_spells_a_number_as_the_functions_do(database: Connection) -> None:
    """Else one person would be two contacts, or two people one."""
    mexico, argentina = (
        ["52", "521"],
        ["54", "549", "5411", "5422315", "54223", "549223", "54290115", "541115"],
    )
    brazil, others = ["55", "5511", "55119", "55108"], ["51", "1555"]
    beginnings = [*mexico, *argentina, *brazil, *others, "5491115", "54111515"]
    numbers = [
        beginning + ending * times + last
        for beginning, ending, times, last in itertools.product(
            beginnings, ("6", "15", "9"), range(8), ("", "1", "15", "987")
        )
    ]

    rows = database.execute("select n, private.canonical_phone(n) from unnest(%s::text[]) as n", (numbers,))

    assert {
        number: spelled for number, spelled in rows.fetchall() if spelled != canonical_phone(number)
    } == {}


def _fill(content: Any, path: str) -> Any:
    if isinstance(content, dict):
        return {key: _fill(value, path) for key, value in content.items()}
    if isinstance(content, list):
        return [_fill(value, path) for value in content]
    return path if content == "PATH" else content


def _add_failed(database: Connection, ours: Connected, content: dict[str, Any]) -> str:
    row = database.execute(
        """
        insert into messages (
            organization_id, chat_id, contact_id, direction, type, content, attempted_at, failed_at
        )
        select organization_id, id, contact_id, 'outbound', %s, %s, now(), now() from chats where id = %s
        returning id::text
        """,
        (next(iter(content)), Jsonb(content), ours.chat_id),
    ).fetchone()
    assert row is not None
    return str(row[0])
