"""An organization that sends: connected, with customers who have written. For tests of the running stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.programs import ROOT
from shared.crypto import KeyRing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx
    import psycopg

    from tests.world import Organization, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]

SEND = "/whatsapp-send-message"
CUSTOMER = "15550100001"
FIRST_CUSTOMER = 15_550_200_000
PATIENCE = 30.0


@dataclass(frozen=True, kw_only=True)
class Office:
    """A connected organization, its business at Meta, and what its agent does."""

    organization: Organization
    business: dict[str, Any]
    integration_id: str
    world: World
    database: Connection

    def hear(self, sender: str = CUSTOMER, text: str = "hola") -> str:
        """Let a customer write; return the chat that is open with them then."""
        written = self.world.simulator.write(self.business["phone_number_id"], text, sender=sender)
        self.world.simulator.settle()
        wamid = written["message"]["id"]
        (chat_id,) = self.row("select chat_id from messages where wamid = %s", wamid)
        return str(chat_id)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """Call the function as the owner's browser does."""
        return self.organization.owner.functions.post(f"{SEND}{path}", json=body, headers=headers)

    def send(self, **body: Any) -> httpx.Response:
        """Send one message; `key` becomes the Idempotency-Key."""
        key = body.pop("key", None)
        return self.post("/", body, **({"idempotency-key": key} if key else {}))

    def row(self, query: str, *values: object) -> Any:
        """Read one row as a superuser."""
        return self.database.execute(query, values).fetchone()

    def messages(self) -> list[dict[str, Any]]:
        """Return what was sent, as it is in the database, oldest first."""
        rows = self.database.execute(
            "select to_jsonb(m) from messages m where m.organization_id = %s and m.direction = 'outbound'"
            " order by m.created_at, m.batch_position, m.id",
            (self.organization.id,),
        ).fetchall()
        return [row[0] for row in rows]

    def uncertain(self) -> int:
        """Count the messages whose outcome nobody knows."""
        query = "select count(*) from messages where organization_id = %s and status = 'uncertain'"
        count: int = self.row(query, self.organization.id)[0]
        return count

    def received(self) -> list[dict[str, Any]]:
        """Return what Meta has accepted from this number, oldest first."""
        found: list[dict[str, Any]] = self.world.simulator.get(
            "/messages",
            phone_number_id=self.business["phone_number_id"],
            direction="outgoing",
            limit=20_000,
        )
        return found

    def bodies(self) -> list[dict[str, Any]]:
        """Return the bodies of the calls that Meta had for this number, oldest first."""
        calls = self.world.simulator.get(
            "/requests", edge="messages", object_id=self.business["phone_number_id"], limit=5_000
        )
        return [json.loads(call["body"]) for call in calls]

    def fault(self, **rule: Any) -> None:
        """Let Meta misbehave towards this number alone."""
        self.world.simulator.post(
            "/faults", edge="messages", object_id=self.business["phone_number_id"], **rule
        )

    def pause(self, seconds: float = 3600.0) -> None:
        """Let nothing leave from this number for a while: what is queued stays queued."""
        self.row("select private.pause_number(%s, make_interval(secs => %s))", self.integration_id, seconds)

    def go_on(self) -> None:
        """End the pause."""
        self.database.execute(
            "update whatsapp_integrations set sends_paused_until = null where id = %s", (self.integration_id,)
        )

    def open_chats(self, count: int) -> list[str]:
        """Make customers with an open window straight in the database; return their phone numbers."""
        self.database.execute(
            """
            with c as (
                insert into contacts (organization_id, wa_id, phone_number)
                select %(o)s, (%(first)s + n)::text, '+' || (%(first)s + n)
                from generate_series(1, %(count)s) as n
                returning id, wa_id
            ),
            a as (
                insert into contact_aliases (organization_id, alias, contact_id)
                select %(o)s, 'phone:' || wa_id, id from c
            )
            insert into chats (organization_id, contact_id, window_expires_at)
            select %(o)s, id, now() + interval '1 day' from c
            """,
            {"o": self.organization.id, "first": FIRST_CUSTOMER, "count": count},
        )
        return [f"+{FIRST_CUSTOMER + number}" for number in range(1, count + 1)]

    def wait_for(self, is_so: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Wait until it is so; fail with what was sent if it never is."""
        deadline = time.monotonic() + patience
        while not is_so():
            assert time.monotonic() < deadline, [
                (each["status"], each["error_code"]) for each in self.messages()
            ][:50]
            time.sleep(0.05)

    def wait_until_sent(self, patience: float = PATIENCE) -> None:
        """Wait until nothing is queued or on its way."""
        query = "select count(*) from messages where organization_id = %s and status in ('queued', 'sending')"
        self.wait_for(lambda: self.row(query, self.organization.id) == (0,), patience)


def open_office(world: World, database: Connection, owner: User | None = None, **business: Any) -> Office:
    """Make an organization whose number is connected, as connecting would leave it."""
    organization = world.new_organization(owner)
    made = world.simulator.new_business(**{"subscribed": True, **business})
    # How many people a business may begin with a day is no matter of sending.
    world.simulator.patch(f"/wabas/{made['waba_id']}", messaging_limit="TIER_UNLIMITED")
    (integration_id,) = database.execute(  # type: ignore[misc]
        "insert into whatsapp_integrations (organization_id, phone_number) values (%s, %s)"
        " returning id::text",
        (organization.id, f"+{made['phone_number'].lstrip('+')}"),
    ).fetchone()
    keys = KeyRing.from_setting(world.variables["ENCRYPTION_KEYS"])
    sealed = keys.encrypt(made["access_token"], row_id=integration_id, column="access_token")
    database.execute(
        """
        update whatsapp_integrations set
            phone_number_id = %s, business_account_id = %s, access_token = %s, status = 'connected',
            throughput = %s, is_coexistence = %s
        where id = %s
        """,
        (
            made["phone_number_id"],
            made["waba_id"],
            sealed,
            1000 if business.get("throughput") == "high" else 80,
            bool(business.get("coexistence")),
            integration_id,
        ),
    )
    return Office(
        organization=organization,
        business=made,
        integration_id=integration_id,
        world=world,
        database=database,
    )


@contextmanager
def workers(world: World, count: int = 1) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run workers beside the stack; whatever is left of them at the end is told to stop."""
    surroundings = {name: text for name, text in world.variables.items() if name != "DATABASE_URL"}
    command = [sys.executable, "-m", "functions.worker"]
    running = [
        subprocess.Popen(command, cwd=ROOT, env={**os.environ, **surroundings}, stdout=subprocess.DEVNULL)
        for _ in range(count)
    ]
    try:
        yield running
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=PATIENCE)
