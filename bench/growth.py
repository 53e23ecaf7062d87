"""Growth: what a delivery, a list of chats, a chat and a search cost as the tables grow."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import re
import statistics
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.json import Jsonb

from bench.database import running_database
from bench.fill import ASKED_CHATS, BIG_TABLES, ORGANIZATIONS, RARE_WORD, fill
from bench.result import ROOT, Aim, Plot, Result, Table, main
from shared.webhooks import parse_delivery
from tests import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.fill import Asked
    from bench.result import Cell

    Connection = psycopg.Connection[tuple[Any, ...]]

PLANS = ROOT / "bench" / "plans"
MOST_GROWTH = 1.2
PAGE_OF_CHATS, PAGE_OF_MESSAGES = 60, 50
COUNTED_CALLS = 20
# As PostgREST writes them for the queries in web/src/features/chats/api.
CHATS = """
    with pgrst_source as (
        select c.id, c.platform, c.group_id, c.unread_count, c.last_message_at, c.last_message_text,
            c.last_message_type, c.last_message_direction, c.last_message_key, c.window_expires_at,
            c.updated_at, c.is_bot_on, row_to_json(contact.*)::jsonb as contact
        from public.chats as c
        left join lateral (
            select p.name, p.saved_name, p.phone_number, p.username
            from public.contacts as p where p.id = c.contact_id and p.organization_id = c.organization_id
        ) as contact on true
        where c.organization_id = %(organization)s {more}
        order by c.last_message_at desc nulls last, c.id
        limit {limit}
    )
    select count(t), coalesce(json_agg(t), '[]')::text from (select * from pgrst_source) as t
"""
MESSAGES = """
    with pgrst_source as (
        select m.id, m.chat_id, m.wamid, m.direction, m.origin, m.type, m.text, m.content, m.reply_to_wamid,
            m.target_wamid, m.is_forwarded, m.status, m.occurred_at, m.created_at, m.updated_at, m.queued_at,
            m.attempted_at, m.cancelled_at, m.uncertain_at, m.accepted_at, m.sent_at, m.delivered_at,
            m.read_at, m.played_at, m.failed_at, m.error_code, m.error_subcode, m.sent_by,
            row_to_json(media.*)::jsonb as media
        from public.messages as m
        left join lateral (
            select a.mime_type, a.filename, a.is_voice, a.state, a.byte_count
            from public.message_media as a
            where a.message_id = m.id and a.organization_id = m.organization_id
        ) as media on true
        where m.chat_id = %(chat)s and m.organization_id = %(organization)s
        order by m.occurred_at desc, m.id desc
        limit {limit}
    )
    select count(t), coalesce(json_agg(t), '[]')::text from (select * from pgrst_source) as t
"""
NEXT_PAGE = """
    and c.last_message_at <= %(at)s
    and (c.last_message_at < %(at)s or (c.last_message_at = %(at)s and c.id > %(after)s))
"""
SEARCH = "select f.chat_id, f.message_text from public.find_chats(%(organization)s, %(words)s) as f"
READS = {
    "a page of the chat list": CHATS.format(more="", limit=PAGE_OF_CHATS),
    "the next page of the chat list": CHATS.format(more=NEXT_PAGE, limit=PAGE_OF_CHATS),
    "a page of a chat": MESSAGES.format(limit=PAGE_OF_MESSAGES),
    "a search for a rare word": SEARCH,
    "a search for a common word": SEARCH,
    "a search for a name": SEARCH,
}
ONE, HUNDRED = "a delivery of one message", "a delivery of 100 messages"
SEARCHES = [name for name in READS if "search" in name]
FORBIDDEN = re.compile(rf"Seq Scan on (?:public\.)?({'|'.join(BIG_TABLES)})\b")
METHOD = f"""\
A Postgres with every migration holds the same {ORGANIZATIONS:,} organizations several times over, in \
databases of different size, filled by `bench/fill.py` with the rows that the product writes: contacts, \
aliases, chats, messages, receipts, the raw ledger.
The organization that is asked has {ASKED_CHATS} chats of {PAGE_OF_MESSAGES} messages in each of them; \
the others share the rest.
The statements are those that the dashboard sends by PostgREST, as a member under row-level security, \
and the one call of a delivery, committed; each is timed from this process over a kept connection with \
prepared statements, in turns: one call in each database, then the next.
"""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How many messages the databases hold, and how often each call is made."""

    sizes: tuple[int, ...]
    rounds: int


QUICK = Scale(sizes=(10_000, 1_000_000), rounds=150)
FULL = Scale(sizes=(10_000, 1_000_000, 5_000_000), rounds=500)
Times = dict[tuple[str, int], list[float]]
Pages = dict[tuple[str, int], int]


def measure(*, is_full: bool, tell: Callable[[str], None]) -> Result:
    """Fill, measure in turns, and keep the plans of the largest database."""
    result, plans = measure_at(FULL if is_full else QUICK, tell)
    for name, text in plans.items():
        (PLANS / name).parent.mkdir(exist_ok=True)
        (PLANS / name).write_text(text, "utf-8")
    return result


def measure_at(scale: Scale, tell: Callable[[str], None]) -> tuple[Result, dict[str, str]]:
    """Return what was measured, and the plans of the largest database by file name."""
    with running_database() as server, contextlib.ExitStack() as exits:
        stem = server.url.rpartition("/")[0]
        with psycopg.connect(f"{stem}/template1", autocommit=True) as connection:
            for number in range(len(scale.sizes)):
                connection.execute(f"create database size_{number} template postgres".encode())
        sizes = []
        for number, messages in enumerate(scale.sizes):
            url = f"{stem}/size_{number}"
            with psycopg.connect(url, autocommit=True) as connection:
                asked = fill(connection, messages, tell)
            sizes.append(exits.enter_context(_opened(url, asked, messages)))
        times, pages = _measure_reads(scale, sizes, tell)
        # Before anything is delivered, which moves chats to the top of their list.
        rights = _measure_rights(scale, sizes[-1], tell)
        _measure_deliveries(scale, sizes, times, pages, tell)
        plans = {f"{_to_name(name)}.txt": text for name, text in explain_all(sizes[-1]).items()}
        stored = _count_again(sizes)
    return _conclude(scale, times, pages, rights, stored), plans


@dataclass
class Size:
    """One database: a member's connection, a superuser's, and the service's."""

    messages: int
    asked: Asked
    member: Connection
    superuser: Connection
    service: Connection
    number: int = 0
    parameters: dict[str, dict[str, object]] = field(default_factory=dict)

    def read(self, connection: Connection, name: str) -> float:
        """Make a call of the dashboard's; return the seconds."""
        parameters = self.parameters[name]
        began = time.perf_counter()
        rows = connection.execute(READS[name].encode(), parameters, prepare=True).fetchall()
        taken = time.perf_counter() - began
        assert rows, name
        return taken

    def count_pages(self, connection: Connection, call: Callable[[], object]) -> int:
        """Return how many pages of tables and indexes a call touches, as Postgres counts them."""
        before = self._count_touched(connection)
        for _ in range(COUNTED_CALLS):
            call()
        return round((self._count_touched(connection) - before) / COUNTED_CALLS)

    def _count_touched(self, connection: Connection) -> int:
        connection.execute("select pg_stat_force_next_flush()")
        counted = self.superuser.execute(
            "select blks_hit + blks_read from pg_stat_database where datname = current_database()"
        ).fetchone()
        assert counted
        return int(counted[0])

    def deliver(self, count: int) -> float:
        """Store a delivery that was never stored before; return the seconds."""
        body = self._write(count)
        delivery = parse_delivery(body)
        parameters = (
            hashlib.sha256(body).hexdigest(),
            body.decode(),
            Jsonb(delivery.items),
            Jsonb(delivery.problems),
        )
        began = time.perf_counter()
        with self.service.transaction():
            told = self.service.execute(
                "select public.store_delivery(null, %s, %s, null, %s, %s)", parameters, prepare=True
            ).fetchone()
        taken = time.perf_counter() - began
        assert told, count
        assert told[0]["items"] == count, told
        return taken

    def _write(self, count: int) -> bytes:
        phones = [f"1555{10000 + 1 + (self.number + nr) % ASKED_CHATS:08d}" for nr in range(count)]
        messages = []
        for phone in phones:
            self.number += 1
            timestamp = str(wire.TIMESTAMP + self.number)
            text = f"hola quisiera saber cuánto cuesta la entrega número {self.number}"
            messages.append(wire.text_message(text, number=self.number, sender=phone, timestamp=timestamp))
        names = {phone: hashlib.md5(phone.encode()).hexdigest() for phone in phones}  # noqa: S324 # as fill.py
        contacts = [wire.contact(phone, name=f"Persona {name}") for phone, name in names.items()]
        value = wire.value(phone_number_id=self.asked.phone_number_id, contacts=contacts, messages=messages)
        return wire.to_wire(wire.delivery(value, waba_id=self.asked.waba_id))


@contextlib.contextmanager
def _opened(url: str, asked: Asked, messages: int) -> Iterator[Size]:
    with (
        psycopg.connect(url, autocommit=True) as member,
        psycopg.connect(url, autocommit=True) as superuser,
        psycopg.connect(url, autocommit=True) as service,
    ):
        _act_as_member(member, asked)
        service.execute("set role service_role")
        size = Size(messages=messages, asked=asked, member=member, superuser=superuser, service=service)
        last = superuser.execute(
            """
            select c.last_message_at, c.id from public.chats as c where c.organization_id = %s
            order by c.last_message_at desc nulls last, c.id offset %s limit 1
            """,
            (asked.organization_id, ASKED_CHATS // 3),
        ).fetchone()
        assert last
        organization: dict[str, object] = {"organization": asked.organization_id}
        size.parameters = {
            "a page of the chat list": organization,
            "the next page of the chat list": {**organization, "at": last[0], "after": last[1]},
            "a page of a chat": {**organization, "chat": asked.chat_id},
            "a search for a rare word": {**organization, "words": RARE_WORD},
            "a search for a common word": {**organization, "words": "envio"},
            "a search for a name": {**organization, "words": "persona 4"},
        }
        yield size


def _act_as_member(connection: Connection, asked: Asked) -> None:
    user = str(asked.owner_id)
    claims = json.dumps({"sub": user, "role": "authenticated"})
    connection.execute(
        """
        select set_config('role', 'authenticated', false), set_config('request.jwt.claim.sub', %s, false),
            set_config('request.jwt.claims', %s, false)
        """,
        (user, claims),
    )


def _measure_reads(scale: Scale, sizes: Sequence[Size], tell: Callable[[str], None]) -> tuple[Times, Pages]:
    times: Times = {}
    pages: Pages = {}
    for name in READS:
        tell(f"growth: {name}")
        for turn in range(scale.rounds + 10):
            for size in sizes:
                taken = size.read(size.member, name)
                if turn >= 10:  # noqa: PLR2004 # from then on plans are kept and pages are warm
                    times.setdefault((name, size.messages), []).append(taken)
        for size in sizes:
            pages[name, size.messages] = size.count_pages(size.member, partial(size.read, size.member, name))
    return times, pages


def _measure_deliveries(
    scale: Scale, sizes: Sequence[Size], times: Times, pages: Pages, tell: Callable[[str], None]
) -> None:
    for name, count, share in ((ONE, 1, 1.0), (HUNDRED, 100, 0.3)):
        tell(f"growth: {name}")
        for turn in range(max(1, int(scale.rounds * share)) + 10):
            for size in sizes:
                taken = size.deliver(count)
                if turn >= 10:  # noqa: PLR2004 # as above
                    times.setdefault((name, size.messages), []).append(taken)
        for size in sizes:
            pages[name, size.messages] = size.count_pages(size.service, partial(size.deliver, count))


def _measure_rights(scale: Scale, size: Size, tell: Callable[[str], None]) -> dict[str, tuple[float, float]]:
    """Return the medians of the same reads past every policy and under them, in seconds."""
    tell("growth: with and without row-level security")
    found = {}
    for name in (name for name in READS if name not in SEARCHES):
        past, under = [], []
        for _ in range(scale.rounds):
            past.append(size.read(size.superuser, name))
            under.append(size.read(size.member, name))
        found[name] = statistics.median(past), statistics.median(under)
    return found


def explain_all(size: Size) -> dict[str, str]:
    """Return the plans of every statement, nested ones included, as Postgres runs them now."""
    plans = {}
    for name in READS:
        with _explaining(size.member, "authenticated") as told:
            size.read(size.member, name)
        plans[name] = _to_text(told)
    for name, count in ((ONE, 1), (HUNDRED, 100)):
        with _explaining(size.service, "service_role") as told:
            size.deliver(count)
        plans[name] = _to_text(told)
    return plans


@contextlib.contextmanager
def _explaining(connection: Connection, role: str) -> Iterator[list[str]]:
    told: list[str] = []

    def keep(diagnostic: psycopg.errors.Diagnostic) -> None:
        told.append(diagnostic.message_primary or "")

    connection.add_notice_handler(keep)
    connection.execute("reset role")
    connection.execute("load 'auto_explain'")
    for setting, value in (
        ("auto_explain.log_nested_statements", "on"),
        ("auto_explain.log_parameter_max_length", "0"),
        ("log_min_messages", "fatal"),
        ("client_min_messages", "log"),
        ("auto_explain.log_min_duration", "0"),
    ):
        connection.execute("select set_config(%s, %s, false)", (setting, value))
    connection.execute("select set_config('role', %s, false)", (role,))
    told.clear()
    try:
        yield told
    finally:
        connection.remove_notice_handler(keep)
        connection.execute("reset role")
        connection.execute("set auto_explain.log_min_duration = -1")
        connection.execute("set client_min_messages = notice")
        connection.execute("select set_config('role', %s, false)", (role,))


def _to_text(told: Sequence[str]) -> str:
    """Return each plan once, without what differs from run to run."""
    plans: dict[str, None] = {}
    for each in told:
        _, _, plan = each.partition("plan:\n")
        if not plan or "SELECT 1 FROM ONLY" in plan:
            continue
        plan = re.sub(r"  \(cost=[^)]*\)", "", plan)
        plan = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<id>", plan)
        plan = re.sub(r"'\d{4}-\d\d-\d\d[^']*'", "'<time>'", plan)
        plans[re.sub(r"[ \t]+\n", "\n", plan).strip()] = None
    return "\n\n".join(plans) + "\n"


def find_scans(plan: str) -> list[str]:
    """Return the tables that grow and that a plan reads from end to end."""
    return sorted(set(FORBIDDEN.findall(plan)))


def _count_again(sizes: Sequence[Size]) -> list[int]:
    rows = [size.superuser.execute("select count(*) from public.messages").fetchone() for size in sizes]
    return [row[0] for row in rows if row]


def _conclude(
    scale: Scale, times: Times, pages: Pages, rights: dict[str, tuple[float, float]], stored: Sequence[int]
) -> Result:
    names = [*READS, ONE, HUNDRED]
    first, *others = scale.sizes
    medians = {key: statistics.median(taken) * 1000 for key, taken in times.items()}
    growth = {name: max(medians[name, size] / medians[name, first] for size in others) for name in names}
    rows: list[list[Cell]] = [
        [name, *(round(medians[name, size], 3) for size in scale.sizes), round(growth[name], 2)]
        for name in names
    ]
    costs = Table(
        title="Milliseconds a call, by messages in the database",
        columns=["call", *(f"{size:,}" for size in scale.sizes), "growth"],
        rows=rows,
        note=f"Medians of {scale.rounds} calls each, in turns. At the end the databases held "
        f"{', '.join(f'{count:,}' for count in stored)} messages.",
    )
    touched = Table(
        title="Pages touched a call, by messages in the database",
        columns=["call", *(f"{size:,}" for size in scale.sizes), "growth"],
        rows=[
            [
                name,
                *(pages[name, size] for size in scale.sizes),
                round(max(pages[name, size] for size in others) / pages[name, first], 2),
            ]
            for name in names
        ],
        note="Every access to a page of a table or an index, in memory or not, as Postgres counts them "
        f"(`pg_stat_database`); means of {COUNTED_CALLS} calls each.",
    )
    policies = Table(
        title=f"Row-level security's own cost, at {scale.sizes[-1]:,} messages",
        columns=["call", "past every policy, ms", "as a member, ms", "more, ms"],
        rows=[
            [name, round(past * 1000, 3), round(under * 1000, 3), round((under - past) * 1000, 3)]
            for name, (past, under) in rights.items()
        ],
        note="A search asks an index in a function that proves the membership once, and pays nothing a row.",
    )
    return Result(
        name="growth",
        title="Growth",
        method=METHOD,
        tables=[costs, touched, policies],
        plots=[
            Plot(
                title="What a call costs as the tables grow",
                x_label="messages in the database",
                y_label="milliseconds",
                series={name: [(size, medians[name, size]) for size in scale.sizes] for name in names},
                is_log_x=True,
                is_log_y=True,
            )
        ],
        aims=_judge(growth, scale),
    )


def _judge(growth: dict[str, float], scale: Scale) -> list[Aim]:
    logarithmic = math.log(scale.sizes[-1]) / math.log(scale.sizes[0])
    limits = {name: logarithmic if name in SEARCHES else MOST_GROWTH for name in growth}
    return [
        Aim(
            text=f"{name} costs at most {limits[name]:.2f} of the first at {scale.sizes[-1]:,} messages",
            measured=f"{grown:.3f}",
            is_met=grown <= limits[name],
            bound_by="" if grown <= limits[name] else BOUND,
        )
        for name, grown in growth.items()
    ]


BOUND = (
    "The plans in `bench/plans` go by indexes alone, and the table of pages shows what more is to be read: "
    "where other tenants write in between, each row of a tenant lies in a page of its own, and an index has "
    "one level more. What a call costs beyond that is where the pages are: the processor's caches hold most "
    "of a small database, and little of a large one."
)


def _to_name(call: str) -> str:
    return call.removeprefix("a ").removeprefix("the ").replace(" ", "_")


if __name__ == "__main__":
    sys.exit(main(measure))
