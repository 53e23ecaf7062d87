"""Deliveries: stored messages a second and latency, beside other receivers and the database's own floor."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from bench import load
from bench.database import running_database
from bench.result import ROOT, Aim, Plot, Result, Table, main
from local.programs import find_node, find_npm
from local.settings import HOST, choose_port
from tests import wire
from tests.database.tenants import make_tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.database import Database
    from bench.result import Cell
    from tests.database.tenants import Tenant

SIZES = (1, 10, 100, 1_000)
CONNECTIONS = 32
WARM_UP_SECONDS = 0.3
MOST_IN_FLIGHT = 3_200
"""Messages in unanswered deliveries: who inserts one at a time would need minutes for more."""
MANY = 100
TENANTS = 20
CUSTOMERS = 500
A_SECOND = 150
SECRET = "0123456789abcdef0123456789abcdef"  # noqa: S105 # made up
START_SECONDS = 30.0
RECEIVERS = ROOT / "bench" / "receivers"
OURS, OURS_BY_LITE, FLOOR = "ours", "ours through @supabase/lite", "the floor: pgbench, same rows"
WORDS = (  # noqa: SIM905 # thirty of them
    "hola buenas tardes quisiera saber cuánto cuesta la entrega para mañana gracias pedido número cliente "
    "pago tarjeta envío dirección calle lima sí claro perfecto cuándo llega mi paquete por favor"
).split()
AIM_OF_FLOOR, AIM_OF_OTHERS, AIM_MS = 0.6, 10, 25
# What the receivers write to, in the place of a table of their own.
SINK = """
    create table public.bench_messages (
        wamid text primary key, sender text, type text, text text, content jsonb
    );
    alter table public.bench_messages enable row level security;
    grant select, insert on public.bench_messages to service_role;
"""
# What pgbench draws from: everybody's chats, in an order of their own, and what they write.
FLOOR_TABLES = """
    create table public.bench_chats as
        select dense_rank() over (order by organization_id) as office, id, contact_id, organization_id,
            row_number() over (partition by organization_id order by id) as nr
        from public.chats;
    create unique index on public.bench_chats (office, nr);
    create sequence public.bench_wamids;
"""
# The rows that store_delivery writes for messages of known customers: ledger, messages, what is new of chats
# and contacts. No signature, no parsing, no search for the tenant, the person or an earlier copy.
FLOOR_SQL = """
\\set office random(1, {tenants})
\\set first random(1, {customers})
begin;
insert into public.webhook_events (digest, body, state, item_count, organization_id)
select encode(sha256(nextval('public.bench_wamids')::text::bytea), 'hex'),
    repeat('{{"text": "hola"}} ', {bytes} / 17), 'stored',
    {size}, (select organization_id from public.bench_chats where office = :office and nr = 1);
insert into public.messages (
    organization_id, chat_id, contact_id, wamid, direction, type, text, content, occurred_at
)
select c.organization_id, c.id, c.contact_id, 'wamid.FLOOR' || nextval('public.bench_wamids'), 'inbound',
    'text', 'hola buenas tardes quisiera saber cuánto cuesta la entrega ' || drawn, '{{}}', now()
from generate_series(:first, :first + {size} - 1) as drawn
join public.bench_chats as c on c.office = :office and c.nr = 1 + drawn % {customers};
update public.contacts as c set facts_at = facts_at || jsonb_build_object('name', extract(epoch from now()))
from (select id from public.contacts where id in (
    select contact_id from generate_series(:first, :first + {size} - 1) as drawn
    join public.bench_chats as b on b.office = :office and b.nr = 1 + drawn % {customers}
) order by id for no key update) as known
where c.id = known.id;
update public.chats as c set unread_count = unread_count + 1, last_message_at = now(),
    last_message_text = 'hola', window_expires_at = now() + interval '24 hours'
from (select id from public.chats where id in (
    select b.id from generate_series(:first, :first + {size} - 1) as drawn
    join public.bench_chats as b on b.office = :office and b.nr = 1 + drawn % {customers}
) order by id for no key update) as known
where c.id = known.id;
commit;
"""
METHOD = f"""\
Signed deliveries of 1, 10, 100 and 1,000 text messages of about sixty letters, from {CUSTOMERS} known \
customers of each of {TENANTS} organizations, over {CONNECTIONS} kept connections (3 with 1,000 \
messages), each sending its next one as soon as the last is answered; then {A_SECOND} deliveries a \
second at their own times, whatever the answers do, each timed from the moment that it was due.
Counted is what the database holds afterwards.

Ours is the real webhook under uvicorn, one process, with everything on: signature, tenant, ledger, \
contact, chat, message, what wakes bots and tells endpoints, log.
It speaks to `bench/postgrest_stand_in.py`, a small stand-in for PostgREST (one HTTP call → one SQL call \
on a pool of ten, under the caller's role and claims), and in rows of its own to @supabase/lite, the \
development server of the local stack.
The other receivers (`bench/receivers`) are one process each, set up as their documentation tells; they \
check the signature and make one insert a message into a table of five columns through the same \
stand-in, before they answer.
The floor is `pgbench` in the same Postgres, with ten connections and prepared statements: the rows that \
ours writes, one transaction a delivery, and nothing else.
Receiver, stand-in, Postgres and the sender of the deliveries share the machine.
Postgres is as durable as in production (`fsync` and `synchronous_commit` on).
"""


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """A receiver that is up: where it listens, and how many messages are stored where it stores them."""

    name: str
    url: str
    stored: str
    """A query."""
    pid: int


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How long each measurement takes, and how often it is repeated, in turns."""

    seconds: float
    rounds: int
    rounds_of_others: int
    """Fewer, from a hundred messages a delivery on: single inserts take long."""
    pace_seconds: float
    sizes: tuple[int, ...] = SIZES
    with_npm: bool = True
    """Whether the receivers that npm brings are installed and measured too."""


QUICK = Scale(seconds=1.2, rounds=2, rounds_of_others=1, pace_seconds=5)
FULL = Scale(seconds=5, rounds=5, rounds_of_others=5, pace_seconds=40)


def measure(*, is_full: bool, tell: Callable[[str], None]) -> Result:
    """Measure every receiver, in turns."""
    return measure_at(FULL if is_full else QUICK, tell)


def measure_at(scale: Scale, tell: Callable[[str], None]) -> Result:
    """Measure every receiver in turns, each as long as the scale says."""
    with (
        running_database() as database,
        psycopg.connect(database.url, autocommit=True) as connection,
        contextlib.ExitStack() as exits,
    ):
        connection.execute(SINK)
        stand_in = exits.enter_context(_python("bench.postgrest_stand_in", database.environ))
        tenants = [make_tenant(connection) for _ in range(TENANTS)]
        bodies = Bodies(tenants)
        receivers = _start_all(scale, database, stand_in, exits, tell)
        _meet_everybody(connection, bodies, receivers[0])
        rates = _saturate_all(scale, connection, database, bodies, receivers, tell)
        paces = _keep_pace_all(scale, bodies, receivers, tell)
        shares = _share_processors(scale, database, bodies, receivers[0], stand_in, tell)
    return _conclude(scale, rates, paces, shares)


class Bodies:
    """Deliveries that were never sent before."""

    def __init__(self, tenants: Sequence[Tenant]) -> None:
        self.tenants = tenants
        self._random = random.Random(1)
        self._number = 0

    def make(self, size: int, *, senders: Sequence[int] | None = None, office: int | None = None) -> bytes:
        """Write a delivery of so many messages to one number."""
        tenant = self._random.choice(self.tenants) if office is None else self.tenants[office]
        chosen = senders or [self._random.randrange(CUSTOMERS) for _ in range(size)]
        phones = {sender: f"1555010{sender:04d}" for sender in chosen}
        bsuids = {sender: f"PE.{tenant.waba_id}{sender:04d}" for sender in chosen}
        now = str(int(time.time()))
        messages = []
        for sender in chosen:
            self._number += 1
            messages.append(
                wire.text_message(
                    " ".join(self._random.choices(WORDS, k=10)),
                    number=self._number,
                    sender=phones[sender],
                    bsuid=bsuids[sender],
                    timestamp=now,
                )
            )
        contacts = [
            wire.contact(phone, name=f"Persona {phone[-4:]}", bsuid=bsuids[sender])
            for sender, phone in phones.items()
        ]
        value = wire.value(phone_number_id=tenant.phone_number_id, contacts=contacts, messages=messages)
        return wire.to_wire(wire.delivery(value, waba_id=tenant.waba_id))


def _start_all(
    scale: Scale,
    database: Database,
    stand_in: Program,
    exits: contextlib.ExitStack,
    tell: Callable[[str], None],
) -> list[Receiver]:
    keys = {
        "SUPABASE_PUBLISHABLE_KEY": database.publishable_key,
        "SUPABASE_SECRET_KEY": database.secret_key,
        "WHATSAPP_APP_SECRET": SECRET,
        "WHATSAPP_WEBHOOK_VERIFY_TOKEN": "bench-verify-token",
    }
    ours, theirs = "select count(*) from public.messages", "select count(*) from public.bench_messages"
    sink = {
        "SINK_URL": f"{stand_in.url}/rest/v1/bench_messages",
        "SINK_KEY": database.secret_key,
        "WHATSAPP_APP_SECRET": SECRET,
    }

    def webhook(supabase: Program) -> Program:
        return exits.enter_context(_webhook({**keys, "SUPABASE_URL": supabase.url}))

    folder = exits.enter_context(tempfile.TemporaryDirectory(prefix="whatsapp-bench-"))
    lite = exits.enter_context(
        _started(
            lambda _port: [str(find_node()), str(ROOT / "local" / "supabase.mjs")],
            lambda port: {**database.environ, "SUPABASE_PORT": str(port), "SUPABASE_STORAGE_DIR": folder},
        )
    )
    started = {
        OURS: (webhook(stand_in), ours),
        OURS_BY_LITE: (webhook(lite), ours),
        "bare ASGI, one insert a message": (
            exits.enter_context(_python("bench.receivers.bare", sink)),
            theirs,
        ),
        "pywa": (exits.enter_context(_python("bench.receivers.with_pywa", sink)), theirs),
    }
    if scale.with_npm and _install(tell):
        for name, file in (
            ("whatsapp-api-js", "with_whatsapp_api_js.mjs"),
            ("@kapso/whatsapp-cloud-api", "with_kapso.mjs"),
        ):
            started[name] = (exits.enter_context(_node(RECEIVERS / file, sink)), theirs)
    return [
        Receiver(name=name, url=program.url, stored=stored, pid=program.pid)
        for name, (program, stored) in started.items()
    ]


def _meet_everybody(connection: psycopg.Connection[Any], bodies: Bodies, ours: Receiver) -> None:
    """Let every customer of every organization have written once: what is measured are known people."""
    everybody = range(CUSTOMERS)
    first = [bodies.make(CUSTOMERS, senders=everybody, office=office) for office in range(TENANTS)]
    load.saturate(ours.url, load.write_requests(ours.url, first, SECRET), connections=4, seconds=600)
    connection.execute(FLOOR_TABLES)
    connection.execute("vacuum analyze")


@dataclass(frozen=True)
class Rate:
    """What one receiver stored in one round."""

    stored: int
    sent: int
    seconds: float
    p50: float
    p99: float

    @property
    def a_second(self) -> float:
        """How many of them in a second."""
        return self.stored / self.seconds


Rates = dict[tuple[str, int], list[Rate]]


def _saturate_all(
    scale: Scale,
    connection: psycopg.Connection[Any],
    database: Database,
    bodies: Bodies,
    receivers: Sequence[Receiver],
    tell: Callable[[str], None],
) -> Rates:
    rates: Rates = {}
    guessed: dict[tuple[str, int], float] = {}
    for turn in range(scale.rounds + 1):
        for size in scale.sizes:
            tell(f"{'warming up' if not turn else f'round {turn}'}: {size} messages a delivery")
            # The first turn warms every process up, and tells how many deliveries the next ones will need.
            seconds = scale.seconds if turn else WARM_UP_SECONDS
            for receiver in receivers:
                key = (receiver.name, size)
                if turn > scale.rounds_of_others and size >= MANY and key[0] not in (OURS, OURS_BY_LITE):
                    continue
                wanted = int(guessed.get(key, 2_000 / size**0.5) * seconds * 1.5) + CONNECTIONS * 2
                rate = _saturate(connection, receiver, bodies, size, wanted, seconds)
                guessed[key] = max(guessed.get(key, 0), rate.sent / size / rate.seconds)
                if turn:
                    rates.setdefault(key, []).append(rate)
            floor = _run_floor(database, size, len(bodies.make(size)), seconds)
            if turn:
                rates.setdefault((FLOOR, size), []).append(floor)
    return rates


def _saturate(
    connection: psycopg.Connection[Any],
    receiver: Receiver,
    bodies: Bodies,
    size: int,
    wanted: int,
    seconds: float,
) -> Rate:
    requests = load.write_requests(receiver.url, (bodies.make(size) for _ in range(wanted)), SECRET)
    before = _count(connection, receiver.stored)
    connections = max(1, min(CONNECTIONS, MOST_IN_FLIGHT // size)) if seconds > WARM_UP_SECONDS else 1
    sent = load.saturate(receiver.url, requests, connections=connections, seconds=seconds)
    stored = _count(connection, receiver.stored) - before
    if receiver.name in (OURS, OURS_BY_LITE):
        assert stored == sent.count * size, (receiver.name, stored, sent.count, size)
    return Rate(stored, sent.count * size, sent.seconds, sent.percentile(50), sent.percentile(99))


def _run_floor(database: Database, size: int, byte_count: int, seconds: float) -> Rate:
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(FLOOR_SQL.format(size=size, tenants=TENANTS, customers=CUSTOMERS, bytes=byte_count))
        script.flush()
        told = subprocess.run(
            [
                *(database.programs / "pgbench", "--no-vacuum", "--protocol=prepared", "--client=10"),
                *("--jobs=1", f"--time={max(1, round(seconds))}", f"--file={script.name}", database.url),
            ],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    done = _find(r"transactions actually processed: (\d+)", told)
    latency, a_second = _find(r"latency average = ([\d.]+)", told), _find(r"tps = ([\d.]+)", told)
    return Rate(int(done * size), int(done * size), done / a_second, latency, latency)


def _find(pattern: str, text: str) -> float:
    match = re.search(pattern, text)
    assert match, text
    return float(match[1])


def _keep_pace_all(
    scale: Scale, bodies: Bodies, receivers: Sequence[Receiver], tell: Callable[[str], None]
) -> dict[tuple[str, int], load.Sent]:
    paces = {}
    for size in (1, 10):
        for receiver in receivers:
            if size > 1 and receiver.name not in (OURS, OURS_BY_LITE):
                # Fifteen hundred single inserts a second are more than some of them can do.
                continue
            tell(f"{A_SECOND} deliveries a second of {size}: {receiver.name}")
            count = int(A_SECOND * scale.pace_seconds)
            requests = load.write_requests(receiver.url, (bodies.make(size) for _ in range(count)), SECRET)
            paces[receiver.name, size] = load.keep_pace(receiver.url, requests, a_second=A_SECOND)
    return paces


@dataclass(frozen=True)
class Share:
    """Processor milliseconds a delivery, by who used them."""

    messages: int
    webhook: float
    stand_in: float
    postgres: float
    floor: float
    """Postgres alone, under pgbench."""


def _share_processors(
    scale: Scale,
    database: Database,
    bodies: Bodies,
    ours: Receiver,
    stand_in: Program,
    tell: Callable[[str], None],
) -> list[Share]:
    """Find who uses the processors, which a busy machine does not change as it does the clock."""
    if not Path("/proc/self/stat").exists():
        return []
    shares = []
    for size in scale.sizes:
        tell(f"who uses the processors: {size} messages a delivery")
        count = int(scale.seconds * 300 / size**0.5) + CONNECTIONS
        requests = load.write_requests(ours.url, (bodies.make(size) for _ in range(count)), SECRET)

        def look() -> tuple[float, float, float]:
            return (
                _processor_seconds(ours.pid),
                _processor_seconds(stand_in.pid),
                _postgres_seconds(database.pid),
            )

        before = look()
        load.saturate(ours.url, requests, connections=4, seconds=600)
        used = [(now - then) * 1000 / count for now, then in zip(look(), before, strict=True)]
        postgres = _postgres_seconds(database.pid)
        floor = _run_floor(database, size, len(bodies.make(size)), scale.seconds)
        of_floor = (_postgres_seconds(database.pid) - postgres) * 1000 / (floor.sent / size)
        webhook, its_stand_in, its_postgres = used
        shares.append(Share(size, webhook, its_stand_in, its_postgres, of_floor))
    return shares


def _processor_seconds(pid: int, *, with_ended: bool = False) -> float:
    """Return what a process has used, with its children that have ended if asked."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11 : 15 if with_ended else 13])) / os.sysconf("SC_CLK_TCK")


def _postgres_seconds(pid: int) -> float:
    """Return what a server has used, all connections together."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text("utf-8").split()
    return _processor_seconds(pid, with_ended=True) + sum(
        _processor_seconds(int(child)) for child in children
    )


def _conclude(
    scale: Scale,
    rates: Rates,
    paces: Mapping[tuple[str, int], load.Sent],
    shares: Sequence[Share],
) -> Result:
    names = list(dict.fromkeys(name for name, _ in rates))

    def median(name: str, size: int) -> float:
        return statistics.median(rate.a_second for rate in rates[name, size])

    def stored(name: str, size: int) -> float:
        taken = rates[name, size]
        return sum(rate.stored for rate in taken) / sum(rate.sent for rate in taken)

    speed = Table(
        title="Stored messages a second, by messages a delivery",
        columns=["receiver", *(f"{size:,}" for size in scale.sizes)],
        rows=[[name, *(round(median(name, size)) for size in scale.sizes)] for name in names],
        note=f"Medians of {scale.rounds} rounds of {scale.seconds:g} s, taken in turns; of the others "
        f"{scale.rounds_of_others} from {MANY} messages on.",
    )
    kept = Table(
        title="Messages stored of a hundred delivered, by messages a delivery",
        columns=["receiver", *(f"{size:,}" for size in scale.sizes)],
        rows=[
            [name, *(round(100 * stored(name, size), 1) for size in scale.sizes)]
            for name in names
            if name.startswith(OURS)
        ],
        note="Every delivery was answered 200.",
    )
    at_once = Table(
        title=f"Milliseconds to an answer over {CONNECTIONS} busy connections, p50 / p99",
        columns=["receiver", *(f"{size:,}" for size in scale.sizes)],
        rows=[
            [
                name,
                *(
                    " / ".join(
                        f"{statistics.median(getattr(rate, each) for rate in rates[name, size]):.0f}"
                        for each in ("p50", "p99")
                    )
                    for size in scale.sizes
                ),
            ]
            for name in names
            if name != FLOOR
        ],
    )
    paced: list[list[Cell]] = [
        [
            name,
            *(
                f"{paces[name, size].percentile(percent):.1f}" if (name, size) in paces else "-"
                for size in (1, 10)
                for percent in (50, 99)
            ),
        ]
        for name in names
        if name != FLOOR
    ]
    pace = Table(
        title=f"Milliseconds to an answer at {A_SECOND} deliveries a second",
        columns=["receiver", "1 message: p50", "p99", "10 messages: p50", "p99"],
        rows=paced,
    )
    return Result(
        name="deliveries",
        title="Deliveries",
        method=METHOD,
        tables=[speed, kept, pace, at_once, *_show_shares(shares)],
        plots=[
            Plot(
                title="Stored messages a second",
                x_label="messages a delivery",
                y_label="stored messages a second",
                series={
                    name: [(size, max(1.0, median(name, size))) for size in scale.sizes] for name in names
                },
                is_log_x=True,
                is_log_y=True,
            )
        ],
        aims=_judge(names, median, paces, shares, min(100, max(scale.sizes))),
        not_first=_admit(names, scale, median, paces),
    )


def _judge(
    names: Sequence[str],
    median: Callable[[str, int], float],
    paces: Mapping[tuple[str, int], load.Sent],
    shares: Sequence[Share],
    size: int,
) -> list[Aim]:
    others = [name for name in names if name not in (OURS, OURS_BY_LITE, FLOOR)]
    of_floor = median(OURS, size) / median(FLOOR, size)
    best = max(others, key=lambda name: median(name, size))
    times = median(OURS, size) / median(best, size)
    p99 = paces[OURS, 1].percentile(99)
    return [
        Aim(
            text=f"at {size} messages a delivery at least {AIM_OF_FLOOR} of the floor",
            measured=f"{of_floor:.2f}",
            is_met=of_floor >= AIM_OF_FLOOR,
            bound_by="" if of_floor >= AIM_OF_FLOOR else _find_bound(shares, size),
        ),
        Aim(
            text=f"at {size} messages a delivery at least {AIM_OF_OTHERS} times the best other receiver",
            measured=f"{times:.1f} times {best}",
            is_met=times >= AIM_OF_OTHERS,
            bound_by=""
            if times >= AIM_OF_OTHERS
            else "The floor itself, the database's own work alone, is "
            f"{median(FLOOR, size) / median(best, size):.1f} times {best}.",
        ),
        Aim(
            text=f"p99 at {A_SECOND} deliveries a second at most {AIM_MS} ms",
            measured=f"{p99:.1f} ms",
            is_met=p99 <= AIM_MS,
            bound_by="" if p99 <= AIM_MS else _find_bound(shares, 1),
        ),
    ]


def _find_bound(shares: Sequence[Share], size: int) -> str:
    """Say what a delivery's processor time is spent on."""
    share = next((share for share in shares if share.messages == size), None)
    if share is None:
        return "Who used the processors could not be read here."
    ours = share.webhook + share.stand_in + share.postgres
    return (
        f"All share the processors of one machine: of {ours:.1f} ms a delivery of {size} takes Postgres "
        f"{share.postgres:.1f}, the webhook {share.webhook:.1f} (parsing, JSON, HTTP) and the stand-in "
        f"{share.stand_in:.1f}; the floor is {share.floor:.1f} ms of Postgres. In Postgres alone that is "
        f"{share.floor / share.postgres:.2f} of the floor."
    )


def _show_shares(shares: Sequence[Share]) -> list[Table]:
    rows: list[list[Cell]] = [
        [
            f"{share.messages:,}",
            *(round(used, 2) for used in (share.webhook, share.stand_in, share.postgres, share.floor)),
        ]
        for share in shares
    ]
    columns = [
        "messages a delivery",
        "webhook",
        "stand-in for PostgREST",
        "Postgres",
        "Postgres, at the floor",
    ]
    title = "Processor milliseconds a delivery of ours"
    return [Table(title=title, columns=columns, rows=rows)] if rows else []


def _admit(
    names: Sequence[str],
    scale: Scale,
    median: Callable[[str, int], float],
    paces: Mapping[tuple[str, int], load.Sent],
) -> list[str]:
    """Say where another receiver is faster than ours."""
    others = [name for name in names if name not in (OURS, OURS_BY_LITE, FLOOR)]
    said = []
    for size in scale.sizes:
        faster = [name for name in others if median(name, size) > median(OURS, size)]
        if faster:
            said.append(f"with {size:,} messages a delivery, more messages a second: {', '.join(faster)}.")
    sooner = [name for name in others if paces[name, 1].percentile(50) < paces[OURS, 1].percentile(50)]
    if sooner:
        said.append(f"at {A_SECOND} deliveries a second, a shorter median answer: {', '.join(sooner)}.")
    return said


def _count(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row
    return int(row[0])


def _install(tell: Callable[[str], None]) -> bool:
    """Install the receivers that npm brings, once; without a registry they are left out."""
    if (RECEIVERS / "node_modules" / "whatsapp-api-js").is_dir():
        return True
    tell("installing the receivers that npm brings")
    node = find_node()
    environ = {**os.environ, "PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])}
    done = subprocess.run(
        [node, find_npm(), "ci", "--loglevel=error"], cwd=RECEIVERS, env=environ, check=False
    )
    if done.returncode:
        tell("they could not be installed, and are left out")
        shutil.rmtree(RECEIVERS / "node_modules", ignore_errors=True)
    return done.returncode == 0


def _webhook(environ: Mapping[str, str]) -> contextlib.AbstractContextManager[Program]:
    return _started(
        lambda port: [
            *(sys.executable, "-m", "uvicorn", "functions.webhook.handler:app", "--host", HOST),
            *("--port", str(port), "--log-level", "warning", "--no-access-log", "--lifespan", "off"),
            *("--timeout-keep-alive", "75"),
        ],
        lambda _port: environ,
    )


def _python(module: str, environ: Mapping[str, str]) -> contextlib.AbstractContextManager[Program]:
    return _started(lambda port: [sys.executable, "-m", module, str(port)], lambda _port: environ)


def _node(script: Path, environ: Mapping[str, str]) -> contextlib.AbstractContextManager[Program]:
    return _started(lambda port: [str(find_node()), str(script), str(port)], lambda _port: environ)


@dataclass(frozen=True)
class Program:
    """A program that is up."""

    url: str
    pid: int


@contextlib.contextmanager
def _started(
    command: Callable[[int], Sequence[str]], environ: Callable[[int], Mapping[str, str]]
) -> Iterator[Program]:
    """Run a program that listens on a port of its own, and give it once it answers anything."""
    port = choose_port()
    surroundings = {
        name: text for name, text in os.environ.items() if not name.startswith(("SUPABASE_", "WHATSAPP_"))
    }
    with subprocess.Popen(
        command(port),
        cwd=ROOT,
        env={**surroundings, **environ(port), "NO_PROXY": HOST},
        stdout=subprocess.DEVNULL,
    ) as program:
        try:
            _wait_for(f"http://{HOST}:{port}/", program)
            yield Program(f"http://{HOST}:{port}", program.pid)
        finally:
            program.terminate()


def _wait_for(url: str, program: subprocess.Popen[bytes]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            opener.open(url, timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            if program.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    sys.exit(main(measure))
