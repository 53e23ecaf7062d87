"""What came of it: Meta's ledger beside the database. An edge: it reads both.

Lost, doubled, reordered, or seen by a stranger: each is a sentence; no sentence is the proof.
"""

from __future__ import annotations

import hashlib
import itertools
import signal
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from shared.crypto import CannotDecrypt, KeyRing
from tests.chaos.life import BOT_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from tests.chaos.life import Firm, Life

    Connection = psycopg.Connection[tuple[Any, ...]]
    Row = dict[str, Any]

MOST_MESSAGES = 5_000
MOST_SENTENCES = 40
# Whatever has words, the name of a place too: each holds the bot's keyword.
ANSWERED_BY_BOT = ("text", "image", "location")
AT_META = ("accepted", "sent", "delivered", "read", "played")
# What the troubles themselves bring about: an outcome that nobody knows, or a refusal that was asked for.
KNOWN_FAILURES = (190, 131016, 131056, 130429, None)
UNFINISHED = {
    "jobs": "select kind, state::text, attempts, last_error from jobs where organization_id is not null"
    " and state in ('ready', 'running') and kind <> 'refresh_token'",
    "queued messages": "select message_id::text, attempts, run_at::text, lease_until::text from send_queue",
    "unfinished messages": "select id::text, status::text from messages"
    " where status in ('queued', 'sending')",
}
# What an hour would do: all that waits for a lease, a pause or another attempt is due.
LATER = (
    "update jobs set run_at = now() where state = 'ready' and run_at > now() and organization_id is not null",
    "update send_queue set run_at = now() where lease_until is null and run_at > now()",
    "update whatsapp_integrations set sends_paused_until = null where sends_paused_until is not null",
)
# Only while no worker runs: nothing is on its way then, and who held a lease is dead.
MUCH_LATER = (
    "update send_queue set lease_until = now() where lease_until is not null",
    "update jobs set lease_until = now() where lease_until is not null",
    "update messages set attempted_at = attempted_at - interval '3 minutes' where status = 'sending'",
)


@dataclass(kw_only=True)
class Verdict:
    """What was found."""

    faults: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def expect(self, is_so: object, sentence: str) -> None:
        """Note a fault unless it is so."""
        if not is_so:
            self.faults.append(sentence)


def come_to_rest(life: Life, database: Connection, patience: float) -> None:
    """Wait until nothing is on its way; raise with what still is."""
    town, simulator = life.town, life.world.simulator
    for worker in town.workers:
        worker.end(signal.SIGTERM)
    for statement in MUCH_LATER:
        database.execute(statement.encode())
    town.start()
    deadline = time.monotonic() + patience
    quiet = 0
    while quiet < 2:
        for statement in LATER:
            database.execute(statement.encode())
        simulator.client.post("/settle", json={"within": 5, "horizon": 2.5})
        left = {name: database.execute(query.encode()).fetchmany(5) for name, query in UNFINISHED.items()}
        left["deliveries"] = [
            (each["id"], each["state"], each["attempts"][-1:])
            for state in ("pending", "retrying")
            for each in simulator.get("/deliveries", state=state, limit=5)
        ]
        quiet = 0 if any(left.values()) else quiet + 1
        if time.monotonic() > deadline:
            raise TimeoutError(f"It does not come to rest: {left}")
        time.sleep(0.5)


def judge(life: Life, database: Connection) -> Verdict:
    """Compare everything."""
    verdict = Verdict()
    verdict.faults += life.ledger.strangers
    for firm in life.firms:
        rows = _rows(database, firm)
        at_meta = life.world.simulator.get(
            "/messages", phone_number_id=firm.business.phone_number_id, limit=MOST_MESSAGES
        )
        inbound = [each for each in at_meta if each["direction"] == "incoming"]
        outbound = [each for each in at_meta if each["direction"] == "outgoing"]
        judge_inbound(life, firm, rows, inbound, verdict)
        judge_outbound(firm, rows, outbound, verdict)
        judge_chats(life, firm, rows, database, verdict)
        judge_order(life, firm, rows, outbound, verdict)
        if life.plan.is_bots(firm.number):
            judge_bot(firm, rows, verdict)
        judge_sight(life, firm, rows, verdict)
    judge_clicks(life, database, verdict)
    judge_files(life, database, verdict)
    judge_endpoint(life, database, verdict)
    judge_rest(life, database, verdict)
    _count(life, database, verdict)
    return verdict


def judge_inbound(
    life: Life, firm: Firm, rows: list[Row], at_meta: list[dict[str, Any]], verdict: Verdict
) -> None:
    """Each message of a customer is there once, in the customer's chat, with its words and its time."""
    stored = {row["wamid"]: row for row in rows if row["direction"] == "inbound"}
    known = {each["id"]: each for each in at_meta}
    count = sum(row["direction"] == "inbound" for row in rows)
    verdict.expect(count == len(stored), f"{firm.number}: {count - len(stored)} inbound messages are doubled")
    for wamid in known.keys() - stored.keys():
        verdict.faults.append(f"{firm.number}: lost: inbound {known[wamid]['type']} {wamid}")
    for wamid in stored.keys() - known.keys():
        verdict.faults.append(f"{firm.number}: inbound {wamid} was never written")
    for wamid in known.keys() & stored.keys():
        row, step = stored[wamid], life.ledger.written[wamid]
        second = datetime.fromtimestamp(int(known[wamid]["created_at"]), UTC)
        verdict.expect(row["occurred_at"] == second, f"{firm.number}: {wamid} has another time")
        verdict.expect(row["chat_id"] == firm.chats[step.customer], f"{firm.number}: {wamid} in a wrong chat")
        if step.type in ("text", "image"):
            verdict.expect(row["text"] == step.text, f"{firm.number}: {wamid} says {row['text']!r}")


def judge_outbound(firm: Firm, rows: list[Row], at_meta: list[dict[str, Any]], verdict: Verdict) -> None:
    """What Meta has is one row, and what we call accepted is at Meta, with Meta's own statuses."""
    sent = {row["id"]: row for row in rows if row["direction"] == "outbound"}
    times = Counter(each["biz_opaque_callback_data"] for each in at_meta)
    for message_id, count in times.items():
        verdict.expect(count == 1, f"{firm.number}: doubled: {message_id} is {count} times at Meta")
    known = {each["biz_opaque_callback_data"]: each for each in at_meta}
    for message_id, each in known.items():
        row = sent.get(message_id)
        if row is None:
            verdict.faults.append(f"{firm.number}: lost: {message_id} is at Meta, and nothing here")
            continue
        verdict.expect(row["wamid"] == each["id"], f"{firm.number}: {message_id} has wamid {row['wamid']}")
        body = each["content"].get("body")
        verdict.expect(
            row["text"] == body, f"{firm.number}: {message_id} says {row['text']!r}, Meta {body!r}"
        )
        verdict.expect(
            row["status"] == each["status"],
            f"{firm.number}: {message_id} is {row['status']}, at Meta {each['status']}",
        )
        for status, at in each["times"].items():
            kept = row.get(f"{status}_at")
            is_same = status == "accepted" or (kept is not None and int(kept.timestamp()) == int(at))
            verdict.expect(is_same, f"{firm.number}: {message_id}: {status} at {kept}, at Meta {at}")
    for message_id, row in sent.items():
        if message_id in known:
            continue
        verdict.expect(
            row["status"] in ("uncertain", "failed"),
            f"{firm.number}: lost: {message_id} is {row['status']} here, and not at Meta",
        )
        if row["status"] == "failed":
            code = row["error_code"]
            verdict.expect(code in KNOWN_FAILURES, f"{firm.number}: {message_id} failed with {code}")


def judge_chats(life: Life, firm: Firm, rows: list[Row], database: Connection, verdict: Verdict) -> None:
    """What the list of chats shows is what is in them."""
    listed = _dicts(
        database,
        "select id::text, unread_count, last_message_at from chats where organization_id = %s",
        firm.organization.id,
    )
    verdict.expect(
        {chat["id"] for chat in listed} == set(firm.chats), f"{firm.number}: {len(listed)} chats are there"
    )
    for chat in listed:
        inside = [row for row in rows if row["chat_id"] == chat["id"] and row["type"] != "reaction"]
        newest = max(row["occurred_at"] for row in inside)
        shown = chat["last_message_at"]
        verdict.expect(shown == newest, f"{firm.number}: a chat's last message is of {newest}, not {shown}")
        if chat["id"] not in firm.chats:
            continue
        customer = firm.chats.index(chat["id"])
        if (firm.number, customer) not in life.ledger.read:
            heard = sum(row["direction"] == "inbound" for row in inside)
            verdict.expect(
                chat["unread_count"] == heard,
                f"{firm.number}: {heard} unread of customer {customer}, shown {chat['unread_count']}",
            )


def judge_order(
    life: Life, firm: Firm, rows: list[Row], at_meta: list[dict[str, Any]], verdict: Verdict
) -> None:
    """What an agent wrote after another message's outcome was told reached the customer after it."""
    place = {each["biz_opaque_callback_data"]: nr for nr, each in enumerate(at_meta)}
    shown = {row["id"]: row["occurred_at"] for row in rows}
    by_chat: dict[int, list[str]] = defaultdict(list)
    for step, status, answer in life.ledger.clicks:
        message = answer.get("message") or {}
        if step.organization == firm.number and status in (200, 202) and message.get("status") != "sending":
            by_chat[step.customer].append(message["id"])
    for customer, ids in by_chat.items():
        for earlier, later in itertools.pairwise([each for each in ids if each in place]):
            verdict.expect(
                place[earlier] < place[later],
                f"{firm.number}: reordered: {later} reached customer {customer} before {earlier}",
            )
            verdict.expect(
                shown[earlier] < shown[later], f"{firm.number}: reordered: {later} is shown before {earlier}"
            )


def judge_bot(firm: Firm, rows: list[Row], verdict: Verdict) -> None:
    """The bot said one thing to each thing that was written."""
    heard = Counter(
        row["chat_id"] for row in rows if row["direction"] == "inbound" and row["type"] in ANSWERED_BY_BOT
    )
    said = Counter(row["chat_id"] for row in rows if row["sent_by_bot"] and row["text"] == BOT_WORDS)
    verdict.expect(said == heard, f"{firm.number}: the bot heard {heard} and said {said}")


def judge_sight(life: Life, firm: Firm, rows: list[Row], verdict: Verdict) -> None:
    """Members see all that is theirs, in every table that users may read, and nothing else."""
    for member in firm.members:
        seen = {row["id"] for row in _pages(life, member.token, "messages", "id,organization_id")}
        verdict.expect(
            seen == {row["id"] for row in rows}, f"{firm.number}: a member sees {len(seen)} messages"
        )
        chats = {row["id"] for row in _pages(life, member.token, "chats", "id")}
        verdict.expect(chats == set(firm.chats), f"{firm.number}: a member sees {len(chats)} chats")
        for table in life.readable_tables:
            for row in _pages(life, member.token, table, "organization_id"):
                if row["organization_id"] != firm.organization.id:
                    verdict.faults.append(f"{firm.number}: a member sees {table} of {row['organization_id']}")


def judge_clicks(life: Life, database: Connection, verdict: Verdict) -> None:
    """Each click is one message at most, and one exactly where that was answered."""
    for step, status, answer in life.ledger.clicks:
        firm = life.firms[step.organization]
        rows = _dicts(
            database,
            "select m.id::text, m.text from messages as m where m.organization_id = %s and m.text = %s",
            firm.organization.id,
            step.text,
        )
        verdict.expect(len(rows) <= 1, f"{firm.number}: doubled: {step.text} is there {len(rows)} times")
        if status in (200, 202):
            ids = [row["id"] for row in rows]
            verdict.expect(ids == [answer["message"]["id"]], f"{firm.number}: lost: {step.text} was answered")
        verdict.expect(status != 0, f"{firm.number}: {step.text} was never answered")
    for batch, status, answer in life.ledger.batches:
        firm = life.firms[batch.organization]
        rows = _dicts(
            database,
            "select m.id::text from messages as m where m.organization_id = %s and m.text like %s",
            firm.organization.id,
            f"{batch.text}.%",
        )
        wanted = len(answer["message_ids"]) if status == 202 else 0
        is_right = len(rows) == wanted and wanted in (0, len(batch.customers))
        verdict.expect(is_right, f"{firm.number}: of {batch.text} there are {len(rows)} of {wanted} messages")


def judge_files(life: Life, database: Connection, verdict: Verdict) -> None:
    """Each picture lies in Storage, with the bytes that the customer sent."""
    rows = _dicts(
        database,
        "select m.wamid, a.state::text, a.failure_reason, a.storage_path"
        " from message_media as a join messages as m on m.id = a.message_id",
    )
    found = {row["wamid"]: row for row in rows}
    for wamid, digest in life.ledger.files.items():
        row = found.get(wamid)
        if row is None or row["state"] != "stored":
            verdict.faults.append(f"lost: the picture of {wamid}: {row}")
            continue
        answer = life.world.client(
            f"{life.world.supabase_url}/storage/v1", {"apikey": life.world.secret_key}
        ).get(
            f"/object/whatsapp-media/{row['storage_path']}",
            headers={"authorization": f"Bearer {life.world.secret_key}"},
        )
        is_same = answer.is_success and hashlib.sha256(answer.content).hexdigest() == digest
        verdict.expect(is_same, f"lost: the picture of {wamid} has other bytes ({answer.status_code})")


def judge_endpoint(life: Life, database: Connection, verdict: Verdict) -> None:
    """The organization's own endpoint was told of everything that it received."""
    wanted = database.execute(
        "select count(*) from messages where organization_id = %s and direction = 'inbound'"
        " and created_at > (select created_at from event_endpoints where organization_id = %s)",
        (life.firms[0].organization.id,) * 2,
    ).fetchone()
    told = {call.event["data"]["wamid"] for call in life.endpoint.calls}
    verdict.expect(wanted == (len(told),), f"0: of {wanted} received messages {len(told)} were told")


def judge_rest(life: Life, database: Connection, verdict: Verdict) -> None:
    """Nothing was put aside, nothing was given up, and the newest key alone opens everything."""
    for row in _dicts(database, "select kind, last_error from jobs where state = 'dead'"):
        verdict.faults.append(f"a job was given up: {row}")
    for row in _dicts(database, "select path, reason from webhook_problems limit 5"):
        verdict.faults.append(f"an item was put aside: {row}")
    for row in _dicts(
        database, "select state::text, count(*) from webhook_events where state <> 'stored' group by 1"
    ):
        verdict.faults.append(f"deliveries were not stored: {row}")
    keys = KeyRing.from_setting(life.town.variables["ENCRYPTION_KEYS"])
    rows = _dicts(database, "select id::text, status::text, access_token from whatsapp_integrations")
    for row in rows:
        verdict.expect(row["status"] == "connected", f"a number is {row['status']}")
        try:
            keys.decrypt(row["access_token"], row_id=row["id"], column="access_token")
        except CannotDecrypt:
            verdict.faults.append(f"the token of {row['id']} does not open")
    counts = life.world.simulator.client.get("/health").json()["deliveries"]
    verdict.expect(counts["given_up"] == 0, f"Meta gave up {counts['given_up']} deliveries")


def _count(life: Life, database: Connection, verdict: Verdict) -> None:
    states = database.execute(
        "select direction::text || ' ' || status::text, count(*) from messages group by 1 order by 1"
    ).fetchall()
    deliveries = life.world.simulator.client.get("/health").json()["deliveries"]
    seen = database.execute("select count(*), sum(seen_count) from webhook_events").fetchone()
    verdict.figures |= {
        "messages": {str(name): count for name, count in states},
        "deliveries": {"stored": seen and seen[0], "times they came": seen and int(seen[1]), **deliveries},
        "answers to agents": dict(sorted(life.ledger.answers.items())),
        "troubles": dict(sorted(life.ledger.troubles.items())),
        "connections cut": life.town.front.cut_count + life.town.back.cut_count,
        "left out": life.ledger.skipped,
    }


def _rows(database: Connection, firm: Firm) -> list[Row]:
    return _dicts(
        database,
        "select id::text, chat_id::text, wamid, direction::text, type, text, status::text, error_code,"
        " sent_by_bot, occurred_at, created_at, accepted_at, sent_at, delivered_at, read_at, failed_at"
        " from messages where organization_id = %s",
        firm.organization.id,
    )


def _dicts(database: Connection, query: str, *values: object) -> list[Row]:
    with database.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode(), values).fetchall()


def _pages(life: Life, token: str, table: str, columns: str) -> Iterator[Row]:
    """Read a table as a user does, through row-level security."""
    size, first = 1_000, 0
    while True:
        answer = life.browser.get(
            f"/{table}",
            params={"select": columns, "limit": size, "offset": first, "order": columns.partition(",")[0]},
            headers={"authorization": f"Bearer {token}"},
        )
        answer.raise_for_status()
        rows = answer.json()
        yield from rows
        if len(rows) < size:
            return
        first += size


def tell(verdict: Verdict, write: Callable[[str], None]) -> None:
    """Write it for whoever ran it."""
    for name, figures in verdict.figures.items():
        write(f"{name:<20} {figures}")
    for sentence in verdict.faults[:MOST_SENTENCES]:
        write(f"FAULT {sentence}")
    if len(verdict.faults) > MOST_SENTENCES:
        write(f"… and {len(verdict.faults) - MOST_SENTENCES} more")
