"""Plays a plan: customers write, agents answer and look, and things break meanwhile. An edge."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import itertools
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
from psycopg.types.json import Jsonb

from local.programs import ROOT
from shared.crypto import KeyRing
from tests.chaos.migrating import migrate
from tests.chaos.plan import CUSTOMERS, Batch, Look, Read, Send, Write
from tests.chaos.town import RETRY_DELAYS, new_key
from tests.connecting import add_agent, new_business, paste
from tests.endpoint import Endpoint, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import psycopg

    from tests.chaos.plan import Plan, Step, Trouble
    from tests.chaos.town import Town
    from tests.connecting import Business
    from tests.world import Organization, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]

SEND = "/whatsapp-send-message"
BOT_WORDS = "Recibido."
PAUSE = 0.3
# So long an agent asks again, and so often one looks whether a message has left.
MOST_SECONDS = 90.0
MOST_LOOKS = 20
SERVER_ERROR = 500


@dataclass(kw_only=True)
class Firm:
    """One organization of the plan, and its business at Meta."""

    number: int
    organization: Organization
    agent: User
    business: Business
    token: str
    app_id: str
    app_secret: str | None
    customers: list[str] = field(default_factory=list)
    chats: list[str] = field(default_factory=list)

    @property
    def members(self) -> list[User]:
        """Everybody who may see it."""
        return [self.organization.owner, self.agent]


@dataclass(kw_only=True)
class Ledger:
    """What was asked for and answered, as those who asked remember it."""

    written: dict[str, Write] = field(default_factory=dict)
    """By wamid."""
    files: dict[str, str] = field(default_factory=dict)
    """The SHA-256 of each picture, by wamid."""
    clicks: list[tuple[Send, int, dict[str, Any]]] = field(default_factory=list)
    """Each answer that an agent took as the last, in the order of the clicks of a chat."""
    batches: list[tuple[Batch, int, dict[str, Any]]] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    strangers: list[str] = field(default_factory=list)
    read: set[tuple[int, int]] = field(default_factory=set)


class Life:
    """One life of the town."""

    def __init__(self, town: Town, world: World, plan: Plan, tell: Callable[[str], None]) -> None:
        self.town = town
        self.world = world
        self.plan = plan
        self.tell = tell
        self.ledger = Ledger()
        self.firms: list[Firm] = []
        self.endpoint = Endpoint()
        self.readable_tables: list[str] = []
        self.browser = world.client(f"{world.supabase_url}/rest/v1", {"apikey": world.publishable_key})
        self._client = httpx.AsyncClient(trust_env=False, timeout=20, limits=httpx.Limits(max_connections=64))
        self._lines: dict[tuple[str, int, int], asyncio.Queue[Step | None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._migrations = itertools.count(1)
        self._key_names = itertools.count(1)

    # Before

    def settle_in(self, database: Connection) -> None:
        """Let every organization connect, and every customer say hello."""
        simulator = self.world.simulator
        # Hours of Meta's become seconds; its order is lost, and it says everything twice.
        simulator.patch(
            "/settings",
            retry_delays=RETRY_DELAYS,
            retry_every=RETRY_DELAYS[-1],
            duplicates=1,
            shuffle_within=0.4,
            auto_read=True,
            management_calls_per_hour=1_000_000,
            management_calls_per_hour_registered=1_000_000,
        )
        self.readable_tables = [
            str(row[0])
            for row in database.execute(
                "select c.oid::regclass::text from pg_class as c join pg_attribute as a on a.attrelid = c.oid"
                " where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'"
                " and a.attname = 'organization_id'"
                " and has_column_privilege('authenticated', c.oid, a.attnum, 'select') order by 1"
            ).fetchall()
        ]
        for number in range(self.plan.organizations):
            self.firms.append(self._found(number, database))
        self._subscribe(self.firms[0], database)
        for firm in self.firms:
            for customer in range(CUSTOMERS):
                self._greet(firm, customer)
        self.world.simulator.settle()
        for firm in self.firms:
            firm.chats = [self._chat_of(firm, customer, database) for customer in range(CUSTOMERS)]

    def _found(self, number: int, database: Connection) -> Firm:
        is_own = self.plan.has_own_app(number)
        organization = self.world.new_organization(name=f"Empresa {number}")
        agent = add_agent(organization, self.world.new_user())
        business = new_business(
            self.world.simulator, own_app=is_own, throughput="high" if number % 3 == 0 else "standard"
        )
        self.world.simulator.patch(f"/wabas/{business.waba_id}", messaging_limit="TIER_UNLIMITED")
        pasted = business.pasted
        if not is_own:
            pasted.pop("app_secret")
        paste(organization.owner, business, override_callback=is_own).raise_for_status()
        if self.plan.is_bots(number):
            self._make_bot(organization, database)
        return Firm(
            number=number,
            organization=organization,
            agent=agent,
            business=business,
            token=pasted["access_token"],
            app_id=pasted["app_id"],
            app_secret=pasted.get("app_secret"),
        )

    def _make_bot(self, organization: Organization, database: Connection) -> None:
        settings: dict[str, Any] = {
            "is_on": True,
            "endpoint_url": None,
            "time_zone": "America/Lima",
            "opening_hours": {},
            "pause_minutes": 60,
            "most_age_seconds": 3600,
        }
        reply = {"type": "text", "text": BOT_WORDS}
        rule = {"kind": "keyword", "keywords": ["pregunta"], "reply": reply}
        database.execute("select save_bot(%s, %s, %s)", (organization.id, Jsonb(settings), Jsonb([rule])))

    def _subscribe(self, firm: Firm, database: Connection) -> None:
        """Let the first organization's own endpoint be told of what is received; it fails now and then."""
        moods = itertools.count()
        self.endpoint.answer = lambda _call: Reply(status=500 if next(moods) % 7 == 0 else 200)
        row = database.execute("select gen_random_uuid()::text").fetchone()
        if row is None:
            raise AssertionError
        keys = KeyRing.from_setting(self.town.variables["ENCRYPTION_KEYS"])
        sealed = keys.encrypt(self.endpoint.secret, row_id=row[0], column="signing_secret")
        database.execute(
            "insert into event_endpoints (id, organization_id, url, kinds, signing_secret)"
            " values (%s, %s, %s, %s, %s)",
            (row[0], firm.organization.id, self.endpoint.url, ["message.received"], sealed),
        )

    def _greet(self, firm: Firm, customer: int) -> None:
        phone = f"1555{20_000 + firm.number:05d}{customer:02d}"
        # Every third person hides the phone number: known by a business-scoped id alone.
        person = {"phone_number": phone, "name": f"Persona {customer}", "hidden": customer % 3 == 2}
        step = Write(at=0, organization=firm.number, customer=customer, type="text", text="Pregunta: ¿están?")
        written = self.world.simulator.post(
            "/customers/messages",
            **{
                "phone_number_id": firm.business.phone_number_id,
                "from": person,
                "type": "text",
                "text": step.text,
            },
        )
        firm.customers.append(phone)
        self.ledger.written[written["message"]["id"]] = step

    def _chat_of(self, firm: Firm, customer: int, database: Connection) -> str:
        (wamid,) = [
            wamid
            for wamid, step in self.ledger.written.items()
            if (step.organization, step.customer) == (firm.number, customer)
        ]
        row = database.execute("select chat_id::text from messages where wamid = %s", (wamid,)).fetchone()
        if row is None:
            raise AssertionError(f"The first message of {firm.customers[customer]} did not arrive.")
        return str(row[0])

    # Meanwhile

    async def play(self) -> None:
        """Play the plan to its end, and let everybody finish what they began."""
        began = time.monotonic()
        troubles = [asyncio.create_task(self._break(lane, began)) for lane in self.plan.lanes]
        for step in self.plan.steps:
            await asyncio.sleep(max(0.0, began + step.at - time.monotonic()))
            self._line(step).put_nowait(step)
        await asyncio.gather(*troubles)
        await asyncio.to_thread(self._mend)
        for line in self._lines.values():
            line.put_nowait(None)
        await asyncio.gather(*self._tasks)
        await self._client.aclose()

    def _line(self, step: Step) -> asyncio.Queue[Step | None]:
        """Find where it waits: a person writes one message after another, different people at once."""
        customer = step.customer if isinstance(step, Write | Send) else -1
        name = (type(step).__name__, step.organization, customer)
        if name not in self._lines:
            self._lines[name] = asyncio.Queue()
            self._tasks.append(asyncio.create_task(self._act(self._lines[name])))
        return self._lines[name]

    async def _act(self, line: asyncio.Queue[Step | None]) -> None:
        while (step := await line.get()) is not None:
            match step:
                case Write():
                    await self._write(step)
                case Send():
                    await self._send(step)
                case Batch():
                    await self._send_batch(step)
                case Read():
                    await self._read(step)
                case Look():
                    await self._look(step)

    async def _write(self, step: Write) -> None:
        firm = self.firms[step.organization]
        content: dict[str, Any] = {"text": {"body": step.text}}
        picture = b""
        if step.type == "image":
            picture = b"\x89PNG\r\n\x1a\n" + hashlib.sha256(step.text.encode()).digest() * 500
            data = base64.b64encode(picture).decode()
            content = {"image": {"data_base64": data, "mime_type": "image/png", "caption": step.text}}
        elif step.type == "reaction":
            first = next(w for w, s in self.ledger.written.items() if s.organization == step.organization)
            content = {"reaction": {"message_id": first, "emoji": "👍"}}
        elif step.type == "location":
            content = {"location": {"latitude": -12.05, "longitude": -77.04, "name": step.text}}
        answer = await self._client.post(
            f"{self.world.graph_url}/_simulator/customers/messages",
            json={
                "phone_number_id": firm.business.phone_number_id,
                "from": {"phone_number": firm.customers[step.customer]},
                "type": step.type,
                **content,
            },
        )
        answer.raise_for_status()
        wamid = answer.json()["message"]["id"]
        self.ledger.written[wamid] = step
        if picture:
            self.ledger.files[wamid] = hashlib.sha256(picture).hexdigest()

    async def _send(self, step: Send) -> None:
        firm = self.firms[step.organization]
        body = {"chat_id": firm.chats[step.customer], "type": "text", "text": {"body": step.text}}
        member = firm.members[step.customer % 2]
        status, answer = 0, dict[str, Any]()
        for _ in range(MOST_LOOKS):
            status, answer = await self._ask(member, "/", body, step.key)
            if (answer.get("message") or {}).get("status") != "sending":
                break
            await asyncio.sleep(PAUSE)
        self.ledger.clicks.append((step, status, answer))

    async def _send_batch(self, step: Batch) -> None:
        firm = self.firms[step.organization]
        messages = [
            {"chat_id": firm.chats[customer], "type": "text", "text": {"body": f"{step.text}.{nr}"}}
            for nr, customer in enumerate(step.customers)
        ]
        status, answer = await self._ask(firm.agent, "/batch", {"messages": messages}, step.key)
        self.ledger.batches.append((step, status, answer))

    async def _read(self, step: Read) -> None:
        firm = self.firms[step.organization]
        self.ledger.read.add((step.organization, step.customer))
        await self._ask(firm.agent, "/read", {"chat_id": firm.chats[step.customer]}, None)

    async def _ask(self, user: User, path: str, body: Any, key: str | None) -> tuple[int, dict[str, Any]]:
        """Call as a browser does that hears nothing or "later": again, under the same key."""
        headers = {"authorization": f"Bearer {user.token}"} | ({"idempotency-key": key} if key else {})
        deadline = time.monotonic() + MOST_SECONDS
        while True:
            try:
                answer = await self._client.post(
                    f"{self.world.functions_url}{SEND}{path}", json=body, headers=headers
                )
                told: dict[str, Any] = answer.json()
            except (httpx.TransportError, ValueError):
                self.ledger.answers["no answer"] += 1
            else:
                code = (told.get("error") or {}).get("code", "")
                self.ledger.answers[f"{answer.status_code} {code}".strip()] += 1
                if "message" in told or answer.status_code < SERVER_ERROR:
                    return answer.status_code, told
            if time.monotonic() > deadline:
                return 0, {}
            await asyncio.sleep(PAUSE)

    async def _look(self, step: Look) -> None:
        firm = self.firms[step.organization]
        for member in firm.members:
            try:
                answer = await self._client.get(
                    f"{self.town.variables['SUPABASE_URL']}/rest/v1/{step.table}",
                    params={"select": "organization_id", "limit": "500"},
                    headers={
                        "apikey": self.world.publishable_key,
                        "authorization": f"Bearer {member.token}",
                    },
                )
                rows = answer.json() if answer.is_success else []
            except (httpx.TransportError, ValueError):
                continue
            seen = {row["organization_id"] for row in rows} - {firm.organization.id}
            if seen:
                self.ledger.strangers.append(f"{step.table} showed {seen} to {firm.organization.id}")

    # What breaks

    async def _break(self, troubles: tuple[Trouble, ...], began: float) -> None:
        for trouble in troubles:
            late = time.monotonic() - began - trouble.at
            if began + self.plan.seconds < time.monotonic():
                # The machine is slower than the plan: what is left would happen after its end.
                self.ledger.troubles["too late"] += 1
                continue
            await asyncio.sleep(max(0.0, -late))
            self.tell(f"{trouble.at:6.1f} s  {trouble.kind} for {trouble.seconds} s")
            cause: Coroutine[Any, Any, None] = getattr(self, f"_{trouble.kind}")(
                trouble.seconds, trouble.which
            )
            await cause
            self.ledger.troubles[trouble.kind] += 1

    async def _kill_function(self, seconds: float, which: int) -> None:
        program = self.town.functions[which % len(self.town.functions)]
        await asyncio.to_thread(program.restart, signal.SIGKILL, seconds)

    async def _kill_worker(self, seconds: float, which: int) -> None:
        program = self.town.workers[which % len(self.town.workers)]
        await asyncio.to_thread(program.restart, signal.SIGKILL, seconds)

    async def _stop_worker(self, seconds: float, which: int) -> None:
        program = self.town.workers[which % len(self.town.workers)]
        await asyncio.to_thread(program.restart, signal.SIGTERM, seconds)

    async def _freeze_function(self, seconds: float, which: int) -> None:
        await asyncio.to_thread(self.town.functions[which % len(self.town.functions)].freeze, 2 * seconds)

    async def _freeze_worker(self, seconds: float, which: int) -> None:
        # Longer than the lease of a job: who wakes up must not write what another has done since.
        await asyncio.to_thread(self.town.workers[which % len(self.town.workers)].freeze, 2 * seconds)

    async def _cut_callers(self, _seconds: float, _which: int) -> None:
        self.town.front.cut()

    async def _cut_functions(self, _seconds: float, _which: int) -> None:
        self.town.back.cut()

    async def _stop_postgres(self, seconds: float, _which: int) -> None:
        await asyncio.to_thread(self.town.postgres.restart, signal.SIGINT, seconds)
        await self._revive_supabase()

    async def _crash_postgres(self, seconds: float, _which: int) -> None:
        await asyncio.to_thread(self.town.postgres.restart, signal.SIGQUIT, seconds)
        await self._revive_supabase()

    async def _revive_supabase(self) -> None:
        # @supabase/lite, a development server, takes half a minute to notice that the database is back.
        await asyncio.to_thread(self.town.supabase.restart, signal.SIGKILL)

    async def _kill_supabase(self, seconds: float, _which: int) -> None:
        await asyncio.to_thread(self.town.supabase.restart, signal.SIGKILL, seconds)

    async def _freeze_supabase(self, seconds: float, _which: int) -> None:
        await asyncio.to_thread(self.town.supabase.freeze, 3 * seconds)

    async def _cut_database(self, seconds: float, _which: int) -> None:
        def cut() -> None:
            with self.town.connect() as database:
                deadline = time.monotonic() + seconds / 2
                while time.monotonic() < deadline:
                    database.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where application_name = 'supabase'"
                    )
                    time.sleep(0.05)

        await asyncio.to_thread(cut)
        await asyncio.sleep(0.5)
        await self._revive_supabase()

    async def _fill_disk(self, seconds: float, _which: int) -> None:
        if not self.town.disk.is_there:
            self.ledger.skipped["fill_disk"] = self.town.disk.why_not
            return
        self.town.disk.fill()
        await asyncio.sleep(seconds)
        self.town.disk.free()

    async def _skew_clock(self, seconds: float, which: int) -> None:
        programs = [*self.town.functions, *self.town.workers]
        program = programs[which % len(programs)]
        program.skew_seconds = (-1) ** which * (60.0 + which)
        await asyncio.to_thread(program.restart, signal.SIGTERM)
        await asyncio.sleep(2 * seconds)
        program.skew_seconds = 0.0
        await asyncio.to_thread(program.restart, signal.SIGTERM)

    async def _expire_token(self, seconds: float, which: int) -> None:
        firm = self.firms[which % len(self.firms)]
        await asyncio.to_thread(self.world.simulator.patch, f"/tokens/{firm.token}", expires_in=0)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._reconnect, firm)

    def _reconnect(self, firm: Firm) -> None:
        """Let the owner paste a new token until it is taken."""
        token = self.world.simulator.post("/tokens", app_id=firm.app_id, waba_ids=[firm.business.waba_id])
        firm.token = token["value"]
        deadline = time.monotonic() + MOST_SECONDS
        told = ""
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.TransportError):
                answer = paste(firm.organization.owner, firm.business, access_token=firm.token)
                if answer.is_success:
                    return
                told = answer.text
            time.sleep(PAUSE)
        raise TimeoutError(f"{firm.organization.name} could not reconnect: {told}")

    async def _rotate_keys(self, _seconds: float, _which: int) -> None:
        """As docs/operations.md says: the new key in front, deploy, re-encrypt, the old one away, deploy."""
        old = self.town.variables["ENCRYPTION_KEYS"]
        new = new_key(f"chaos{next(self._key_names)}")
        await asyncio.to_thread(self.town.renew, f"{new},{old}")
        await asyncio.to_thread(self._reencrypt)
        await asyncio.to_thread(self.town.renew, new)

    def _reencrypt(self) -> None:
        deadline = time.monotonic() + MOST_SECONDS
        while True:
            done = subprocess.run(
                [sys.executable, "-m", "local.rotate_keys"],
                cwd=ROOT,
                env=self.town.environ(),
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"The keys could not be rotated.\n{done.stdout}{done.stderr}")
            time.sleep(PAUSE)

    async def _migrate(self, _seconds: float, _which: int) -> None:
        await asyncio.to_thread(migrate, self.town, next(self._migrations))

    async def _meta_fails(self, seconds: float, which: int) -> None:
        """Let Meta lose answers, be slow, be down, and be in a hurry."""
        rules: list[dict[str, Any]] = [
            {"cut": "after", "times": 3, "skip": which % 5},
            {"cut": "before", "times": 3, "skip": which % 7},
            {"latency_ms": 1500, "times": 6},
            {"code": 131016, "http_status": 503, "times": 3},
            {"code": 130429, "times": 2},
            {"code": 131056, "times": 2},
            {"http_status": 502, "body": "<html>Bad Gateway</html>", "times": 1},
        ]
        for rule in rules:
            await asyncio.to_thread(self.world.simulator.post, "/faults", edge="messages", **rule)
        await asyncio.sleep(2 * seconds)
        await asyncio.to_thread(self.world.simulator.client.delete, "/faults")

    def _mend(self) -> None:
        """Bring everything back."""
        self.world.simulator.client.delete("/faults")
        self.town.disk.free()
        self.town.start()
