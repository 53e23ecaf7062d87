"""Sending: what our send adds to the call to Meta, and how many a second pass the limiter."""

from __future__ import annotations

import base64
import bisect
import contextlib
import hashlib
import hmac
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
from psycopg.types.json import Jsonb

from bench.database import running_database
from bench.result import ROOT, Aim, Result, Table, main
from local.settings import HOST, choose_port
from shared.crypto import KeyRing
from shared.sender import PERMIT_SECONDS
from tests import wire
from tests.database.tenants import make_tenant, store
from tests.offices import Office, workers
from tests.world import Organization, User, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.database import Database
    from bench.result import Cell
    from tests.database.tenants import Tenant

WORKERS = (1, 2, 4)
STARTS_WITHIN = 30.0
WARM_UP = 10
GROUP = 100
LEAST_SHARE = 0.95
SIZES = "What one takes in the database"
ENCRYPTION_KEYS = "a:" + base64.b64encode(b"bench" * 6 + b"ab").decode()
STEPS = {1000: "high throughput", 80: "standard"}
METHOD = """\
A durable Postgres with every migration, a stand-in for PostgREST (`bench/postgrest_stand_in.py`), the function `whatsapp-send-message` under uvicorn, `python -m functions.worker` as it is deployed, and the Graph simulator, all on this machine.
*One message*: the bare call is httpx, kept alive, straight to the simulator; ours is the same message through the function, with the caller's right, the window, the pace, the row before the call and the outcome after it. They take turns, each to another customer.
*Many messages*: one organization queues a batch; then so many workers send it at the number's own limit. Every arrival is timed by the simulator; the busiest second is the most in any window of one second, wherever it begins.
*Exactness* compares the simulator's ledger with the rows: each row accepted has its message at Meta, none is there twice, none is there without a row.
*The limiter alone* is the same three calls of the database that a worker makes (claim, start, finish), without a worker around them and without Meta.
On a machine whose two cores do all of this at once the rate is what is left for the limiter.
"""  # noqa: E501 - a sentence a line


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a batch arrived at Meta."""

    count: int
    seconds: float
    per_second: float
    """As permits come round, after the first second."""
    busiest_second: int
    twice: int
    unmatched: int


def measure(*, is_full: bool, tell: Callable[[str], None]) -> Result:
    """Run everything once; a batch for each number of workers."""
    singles, queued = (600, 4_000) if is_full else (150, 2_000)
    with contextlib.ExitStack() as exits:
        database = exits.enter_context(running_database())
        stand_in = exits.enter_context(
            _running([sys.executable, "-m", "bench.postgrest_stand_in"], dict(database.environ))
        )
        simulator = exits.enter_context(
            _running(
                [sys.executable, "-m", "local.graph", "--port"],
                {"WHATSAPP_APP_ID": "1", "WHATSAPP_APP_SECRET": "s"},
                "/_simulator/health",
            )
        )
        variables = {
            "SUPABASE_URL": stand_in,
            "SUPABASE_PUBLISHABLE_KEY": database.publishable_key,
            "SUPABASE_SECRET_KEY": database.secret_key,
            "ENCRYPTION_KEYS": ENCRYPTION_KEYS,
            "GRAPH_API_URL": simulator,
            "GRAPH_API_VERSION": "v26.0",
            "LOG_LEVEL": "error",
        }
        functions = exits.enter_context(
            _running(
                [
                    *(sys.executable, "-m", "uvicorn", "functions.send_message.handler:app"),
                    *("--no-access-log", "--log-level", "error", "--port"),
                ],
                variables,
            )
        )
        world = World({**variables, "FUNCTIONS_URL": functions})
        exits.callback(world.close)
        world.simulator.patch("/settings", enforce_window=False, statuses=[])
        connection = exits.enter_context(psycopg.connect(database.url, autocommit=True))
        tell("one message at a time")
        times = _time_singles(open_office(world, database, connection), singles)
        paces = {}
        for limit, messages in ((1000, queued), (80, min(queued, 400))):
            for count in WORKERS if limit == max(STEPS) else (max(WORKERS),):
                tell(f"{messages} messages at {limit} a second by {count} workers")
                office = open_office(world, database, connection, limit=limit)
                paces[limit, count] = _time_batch(office, messages, limit=limit, count=count)
        limiter = {}
        for count in WORKERS:
            tell(f"{queued} messages through the limiter alone by {count} connections")
            limiter[count] = _time_limiter(
                open_office(world, database, connection), database, queued + 2_000, count=count
            )
        tell("what a message takes in the database")
        sizes = _measure_sizes(connection, queued // 2)
    return _to_result(times, paces, limiter, sizes)


def open_office(
    world: World, database: Database, connection: psycopg.Connection[Any], limit: int = 1000
) -> Office:
    """Make an organization with a number of this limit at Meta, and its owner signed in."""
    made = world.simulator.new_business(subscribed=True, **({"throughput": "high"} if limit == 1000 else {}))  # noqa: PLR2004
    world.simulator.patch(f"/wabas/{made['waba_id']}", messaging_limit="TIER_UNLIMITED")
    tenant = make_tenant(
        connection,
        phone_number_id=made["phone_number_id"],
        business_account_id=made["waba_id"],
        throughput=limit,
    )
    integration_id = str(tenant.integration_id)
    sealed = KeyRing.from_setting(ENCRYPTION_KEYS).encrypt(
        made["access_token"], row_id=integration_id, column="access_token"
    )
    connection.execute(
        "update whatsapp_integrations set access_token = %s where id = %s", (sealed, integration_id)
    )
    return Office(
        organization=Organization(
            id=str(tenant.organization_id), name="Prueba", owner=_sign_in(world, database, tenant)
        ),
        business=made,
        integration_id=integration_id,
        world=world,
        database=connection,
    )


def _sign_in(world: World, database: Database, tenant: Tenant) -> User:
    claims = {"role": "authenticated", "sub": str(tenant.owner_id), "exp": int(time.time()) + 3600}
    signed = ".".join(_to_base64(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
    seal = hmac.digest(database.jwt_secret.encode(), signed.encode(), hashlib.sha256)
    token = f"{signed}.{_to_base64(seal)}"
    headers = {"apikey": database.publishable_key, "Authorization": f"Bearer {token}"}
    return User(
        id=str(tenant.owner_id),
        email="",
        token=token,
        rest=world.client(f"{world.supabase_url}/rest/v1", headers),
        functions=world.client(world.functions_url, headers),
    )


def _to_base64(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _time_singles(office: Office, count: int) -> dict[str, list[float]]:
    """Send one message after another, by the bare call and by ours in turns; return the milliseconds."""
    customers = office.open_chats(2 * (count + WARM_UP))
    times: dict[str, list[float]] = {"bare": [], "ours": [], "database": []}
    path = f"{office.world.graph_url}/v26.0/{office.business['phone_number_id']}/messages"
    token = office.business["access_token"]
    service = {"Authorization": f"Bearer {office.world.secret_key}"}
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, trust_env=False) as bare:
        for position in range(-WARM_UP, count):
            text = {"type": "text", "text": {"body": f"hola {position}"}}
            to_meta = {"messaging_product": "whatsapp", "to": customers.pop(), **text}
            to_ours = {"to": customers.pop(), **text}
            took = {
                "bare": _time(partial(bare.post, path, json=to_meta)),
                "ours": _time(partial(office.post, "/", to_ours)),
                "database": _time(
                    partial(office.world.service.post, "/rpc/count_jobs", json={}, headers=service)
                ),
            }
            if position >= 0:
                for name, milliseconds in took.items():
                    times[name].append(milliseconds)
    return times


def _time(call: Callable[[], httpx.Response]) -> float:
    began = time.perf_counter()
    answer = call()
    took = (time.perf_counter() - began) * 1000
    if answer.status_code not in {200, 204}:
        raise RuntimeError(f"{answer.request.url} answered {answer.status_code}: {answer.text}")
    return took


def _queue(office: Office, messages: int) -> None:
    office.pause()
    customers = office.open_chats(messages)
    for first in range(0, messages, 1000):
        batch = [{"to": customer, "text": "hola"} for customer in customers[first : first + 1000]]
        answer = office.post("/batch", {"messages": batch})
        if answer.status_code != 202:  # noqa: PLR2004
            raise RuntimeError(answer.text)


def _time_batch(office: Office, messages: int, *, limit: int, count: int) -> Pace:
    """Queue, let so many workers send, and compare Meta's ledger with the rows."""
    _queue(office, messages)
    with workers(office.world, count):
        # Starting a process costs more than sending: only what follows is measured.
        time.sleep(2)
        office.go_on()
        office.wait_until_sent(patience=300)
    received = office.received()
    times = [each["created_at"] for each in received]
    rows = {
        (row[0], row[1])
        for row in office.database.execute(
            "select wamid, id::text from messages where organization_id = %s and accepted_at is not null",
            (office.organization.id,),
        )
    }
    # Our row's id travels with the message.
    ledger = [(each["id"], each["biz_opaque_callback_data"]) for each in received]
    unmatched = len(rows ^ set(ledger)) + messages - len(rows)
    return _to_pace(times, [row_id for _, row_id in ledger], limit, unmatched)


def _to_pace(arrivals: list[float], row_ids: list[str], limit: int, unmatched: int) -> Pace:
    times = sorted(arrivals)
    cycles = [times[nr + limit] - times[nr] for nr in range(limit, len(times) - limit)]
    seconds = times[-1] - times[0]
    return Pace(
        count=len(times),
        seconds=seconds,
        per_second=limit * len(cycles) / sum(cycles) if cycles else len(times) / seconds,
        busiest_second=max(bisect.bisect_left(times, at + 1.0) - nr for nr, at in enumerate(times)),
        twice=len(row_ids) - len(set(row_ids)),
        unmatched=unmatched,
    )


def _time_limiter(office: Office, database: Database, messages: int, *, count: int) -> Pace:
    """Let so many threads claim, start and finish a batch in the database, as workers do, without Meta."""
    _queue(office, messages)
    office.go_on()
    with ThreadPoolExecutor(count) as pool:
        parts = list(pool.map(lambda _: _work_off(database.url, office), range(count)))
    arrived = [each for part in parts for each in part]
    (accepted,) = office.row(
        "select count(*) from messages where organization_id = %s and accepted_at is not null",
        office.organization.id,
    )
    unmatched = abs(accepted - len(arrived)) + messages - accepted
    return _to_pace([at for at, _ in arrived], [row_id for _, row_id in arrived], 1000, unmatched)


def _work_off(url: str, office: Office) -> list[tuple[float, str]]:
    """Send off what is queued, to nobody; return when each message would have arrived, and its row."""
    arrived: list[tuple[float, str]] = []
    with psycopg.connect(url, autocommit=True) as connection:

        def call(query: str, *values: object) -> Any:
            row = connection.execute(query, values).fetchone()
            return row[0] if row else None

        while pending := call("select public.claim_sends(400)")["claimed"]:
            while pending:
                leases = [
                    {name: each[name] for name in ("message_id", "lease_token")} for each in pending[:GROUP]
                ]
                answer = call("select public.start_sends(%s, %s, 0.25)", office.integration_id, Jsonb(leases))
                started = [(max(each["starts_at"], time.time()), each) for each in answer["started"]]
                if started:
                    time.sleep(max(0.0, max(at for at, _ in started) - time.time()))
                    results = [_accept(each, office) for _, each in started]
                    permits = [{"id": each["permit"], "until": at + PERMIT_SECONDS} for at, each in started]
                    call("select public.finish_sends(%s, %s)", Jsonb(results), Jsonb(permits))
                    arrived += [(at, each["message_id"]) for at, each in started]
                    done = {each["message_id"] for _, each in started}
                    pending = [each for each in pending if each["message_id"] not in done]
                elif answer["ask_at"]:
                    time.sleep(max(0.02, answer["ask_at"] - time.time()))
    return arrived


def _measure_sizes(connection: psycopg.Connection[Any], count: int) -> dict[str, float]:
    """Store messages, then a status of each, one in a delivery; return the bytes that one takes."""
    tenant = make_tenant(connection)
    kept, raw = [_sum_sizes(connection)], [_sum_sizes(connection, "webhook_events")]
    for kind in ("message", "status"):
        for position in range(1, count + 1):
            text = wire.text_message(f"Hola, quiero saber de mi pedido {position}", number=position)
            parts: dict[str, dict[str, Any]] = {
                "message": {"contacts": [wire.contact()], "messages": [text]},
                "status": {"statuses": [wire.status("read", number=position)]},
            }
            value = wire.value(phone_number_id=tenant.phone_number_id, **parts[kind])
            store(connection, wire.delivery(value, waba_id=tenant.waba_id))
        kept.append(_sum_sizes(connection))
        raw.append(_sum_sizes(connection, "webhook_events"))
    sizes = {}
    for nr, kind in enumerate(("message", "status")):
        sizes[f"raw {kind}"] = (raw[nr + 1] - raw[nr]) / count
        sizes[kind] = (kept[nr + 1] - kept[nr]) / count - sizes[f"raw {kind}"]
    return sizes


def _sum_sizes(connection: psycopg.Connection[Any], table: str | None = None) -> int:
    connection.execute("vacuum full")
    row = connection.execute(
        "select sum(pg_total_relation_size(oid)) from pg_class where relkind = 'r'"
        " and relnamespace = 'public'::regnamespace and (%(table)s::text is null or relname = %(table)s)",
        {"table": table},
    ).fetchone()
    return int(row[0]) if row else 0


def _accept(started: Mapping[str, Any], office: Office) -> dict[str, Any]:
    return {
        "message_id": started["message_id"],
        "lease_token": started["lease_token"],
        "organization_id": office.organization.id,
        "outcome": "accepted",
        "wamid": f"wamid.{started['message_id']}",
    }


@contextlib.contextmanager
def _running(command: Sequence[str], environ: Mapping[str, str], path: str = "/") -> Iterator[str]:
    """Run a program that takes a port as its last argument; give its address once it answers."""
    port = choose_port()
    url = f"http://{HOST}:{port}"
    surroundings = {
        name: text for name, text in os.environ.items() if not name.startswith(("SUPABASE_", "WHATSAPP_"))
    }
    with subprocess.Popen(
        [*command, str(port)], cwd=ROOT, env={**surroundings, **environ}, stdout=subprocess.DEVNULL
    ) as program:
        try:
            deadline = time.monotonic() + STARTS_WITHIN
            while not _answers(f"{url}{path}"):
                if program.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command} does not answer.")
                time.sleep(0.05)
            yield url
        finally:
            program.terminate()


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - our own address
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _to_result(
    times: Mapping[str, list[float]],
    paces: Mapping[tuple[int, int], Pace],
    limiter: Mapping[int, Pace],
    sizes: Mapping[str, float],
) -> Result:
    labels = {
        "bare": "bare httpx call to the simulator",
        "ours": "ours, with that call in it",
        "database": "one call of the database, for comparison",
    }
    p50 = {name: statistics.median(each) for name, each in times.items()}
    p99 = {name: statistics.quantiles(each, n=100)[98] for name, each in times.items()}
    rows: list[list[Cell]] = [
        [label, p50[name], p99[name], p50[name] / p50["bare"], p99[name] / p99["bare"]]
        for name, label in labels.items()
    ]
    all_paces = [
        *((f"to Meta, {STEPS[limit]}", limit, count, pace) for (limit, count), pace in paces.items()),
        *(("limiter alone", max(STEPS), count, pace) for count, pace in limiter.items()),
    ]
    batches: list[list[Cell]] = [
        [
            label, limit, count, pace.count, pace.seconds, pace.per_second,
            pace.per_second / limit, pace.busiest_second, pace.twice, pace.unmatched,
        ]
        for label, limit, count, pace in all_paces
    ]  # fmt: skip
    best = max(pace.per_second for pace in limiter.values())
    whole = max(pace.per_second for (limit, _), pace in paces.items() if limit == max(STEPS))
    broken = [
        label
        for label, limit, _, pace in all_paces
        if pace.busiest_second > limit or pace.twice or pace.unmatched
    ]
    return Result(
        name="sending",
        title="Sending",
        method=METHOD,
        tables=[
            Table(
                title="One message",
                columns=["what", "p50 ms", "p99 ms", "p50 ratio", "p99 ratio"],
                rows=rows,
                note=f"Of {len(times['ours'])} each, in turns. Ratios are to the bare call; ours adds"
                f" {p50['ours'] - p50['bare']:.1f} ms at p50.",
            ),
            Table(
                title="Many messages, by number of workers",
                columns=[
                    "what", "limit", "workers", "messages", "seconds", "a second", "of the limit",
                    "busiest second", "twice", "unmatched",
                ],
                rows=batches,
            ),
            Table(
                title=SIZES,
                columns=["what", "bytes kept", "bytes of the raw delivery"],
                rows=[
                    ["a message that arrives", sizes["message"], sizes["raw message"]],
                    ["a status of a message", sizes["status"], sizes["raw status"]],
                ],
                note="With its share of every index, one in a delivery. Raw deliveries go after 30 days.",
            ),
        ],
        aims=[
            Aim(
                text="1,000 messages a second through the limiter",
                measured=f"{best:.0f} a second by the limiter alone,"
                f" {whole:.0f} with the calls to Meta",
                is_met=best >= max(STEPS) * LEAST_SHARE,
                bound_by=""
                if best >= max(STEPS) * LEAST_SHARE
                else "The two cores: simulator, workers, stand-in and Postgres share them.",
            ),
            Aim(
                text="no second over the limit, none sent twice, none lost",
                measured="exact" if not broken else f"broken: {broken}",
                is_met=not broken,
            ),
        ],
        not_first=["The bare call is faster than ours, and keeps nothing."],
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(measure))
