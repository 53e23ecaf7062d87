"""The story: two organizations connect, customers write, agents answer, and every status shown is true.

    python -m local.story          on a stack of its own, which ends with it; fails if one step did not hold
    python -m local.story --stay   on the stack in .local, started if need be, which stays up until Ctrl-C

Everything goes through the addresses that a browser and Meta use; the database is only looked at, at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg

from local import stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PATIENCE_SECONDS = 20.0
CUSTOMER = {"phone_number": "15550100001", "name": "Ana Quispe"}
# Since 2026 a customer may be known by a business-scoped user id and nothing else.
SHY_CUSTOMER = {"phone_number": "15550100002", "name": "Beto", "username": "beto.escribe", "hidden": True}


class StepFailed(Exception):
    """A step did not hold; the message says what was found instead."""


@dataclass
class Teller:
    """Prints one line a step: how long it took, what happened, and what was proven by it."""

    is_colourful: bool = field(default_factory=lambda: sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    failed: int = 0
    count: int = 0

    def heading(self, text: str) -> None:
        """Begin a chapter."""
        print(f"\n{self._paint(text, '1')}", flush=True)

    @contextmanager
    def step(self, text: str) -> Iterator[list[str]]:
        """Run a step; what is put into the list is what it has proven."""
        proven: list[str] = []
        began = time.monotonic()
        self.count += 1
        try:
            yield proven
        except (StepFailed, httpx.HTTPError, psycopg.Error, KeyError, IndexError) as failure:
            self.failed += 1
            mark, found = self._paint("✗", "31;1"), [f"{type(failure).__name__}: {failure}"]
        else:
            mark, found = self._paint("✓", "32"), proven
        duration = f"{time.monotonic() - began:5.2f} s"
        print(f"  {mark} {self._paint(duration, '2')}  {text}", flush=True)
        for line in found:
            print(f"             {self._paint(line, '2')}", flush=True)

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.is_colourful else text


@dataclass
class Person:
    """Somebody who signed in to the product."""

    id: str
    email: str
    password: str
    rest: httpx.Client
    functions: httpx.Client


@dataclass
class Office:
    """An organization, its owner, its number at Meta, and how it is connected."""

    name: str
    owner: Person
    organization_id: str
    business: dict[str, Any]
    integration: dict[str, Any] = field(default_factory=dict)


class Stage:
    """Where the story plays: the running stack, seen from outside."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.run = secrets.token_hex(3)
        self._clients: list[httpx.Client] = []
        self.functions = self._client(variables["FUNCTIONS_URL"])
        self.simulator = self._client(variables["GRAPH_API_URL"] + "/_simulator")
        self.offices: dict[str, Office] = {}

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.close()

    def _client(self, base_url: str, **headers: str) -> httpx.Client:
        client = httpx.Client(base_url=base_url, headers=headers, timeout=PATIENCE_SECONDS, trust_env=False)
        self._clients.append(client)
        return client

    def sign_up(self, name: str) -> Person:
        """Sign somebody up, as the product's sign-up page does."""
        key = self.variables["SUPABASE_PUBLISHABLE_KEY"]
        email, password = f"{name}.{self.run}@example.com", f"demo-{secrets.token_hex(6)}"
        auth = self._client(self.variables["SUPABASE_URL"] + "/auth/v1", apikey=key)
        answer = _ok(auth.post("/signup", json={"email": email, "password": password}))
        token = answer["access_token"]
        return Person(
            id=answer["user"]["id"],
            email=email,
            password=password,
            rest=self._client(
                self.variables["SUPABASE_URL"] + "/rest/v1", apikey=key, authorization=f"Bearer {token}"
            ),
            functions=self._client(self.variables["FUNCTIONS_URL"], authorization=f"Bearer {token}"),
        )

    def found(self, name: str, owner: Person, **business: object) -> Office:
        """Let an owner found an organization, and give it a number in Meta's world."""
        row = _ok(
            owner.rest.post(
                "/organizations",
                json={"owner_id": owner.id, "name": name},
                headers={"Prefer": "return=representation"},
            )
        )[0]
        made = _ok(self.simulator.post("/businesses", json={"name": name, **business}))
        self.offices[name] = Office(name, owner, row["id"], made)
        return self.offices[name]

    def write(self, office: Office, sender: Mapping[str, object], text: str) -> str:
        """Let a customer write to an office's number; return the message's wamid."""
        written = _ok(
            self.simulator.post(
                "/customers/messages",
                json={
                    "phone_number_id": office.business["phone_number_id"],
                    "from": sender,
                    "type": "text",
                    "text": {"body": text},
                },
            )
        )
        return str(written["message"]["id"])

    def deliver(self, payload: object, *, secret: str, path: str = "") -> httpx.Response:
        """Post to the webhook as Meta would, signed with the given secret."""
        body = json.dumps(payload, separators=(",", ":")).replace("/", r"\/").encode()
        signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return self.functions.post(
            f"/whatsapp-webhook{path}", content=body, headers={"X-Hub-Signature-256": signature}
        )


def play(stage: Stage, teller: Teller) -> None:
    """Play all of it; every step says for itself whether it held."""
    with teller.step("Two owners sign up and each founds an organization") as proven:
        sol = stage.found("Panadería Sol", stage.sign_up("sol"), expires_in=5_000_000)
        luna = stage.found("Clínica Luna", stage.sign_up("luna"), own_app=True)
        proven.append("each owns its organization: row-level security let them make it")
    connect_both(stage, teller, sol, luna)
    hear_customers(stage, teller, sol, luna)
    agent, chat_id = answer_customers(stage, teller, sol)
    withstand(stage, teller, sol, luna)
    teller.heading("A token is renewed")
    with teller.step("The bakery's token is renewed before it ends") as proven:
        renewed = _ok(sol.owner.functions.post("/whatsapp-meta-api/token/refresh", json={}))
        reply = send(agent, {"chat_id": chat_id, "type": "text", "text": {"body": "¿Le guardo una?"}})
        proven.append(f"valid until {_date_of(renewed)}; the next answer is {reply['status']}")


def connect_both(stage: Stage, teller: Teller, sol: Office, luna: Office) -> None:
    """Connect the one through the platform's Meta app, the other through its own."""
    teller.heading("Two organizations connect their own numbers")
    with teller.step("Panadería Sol connects, its number being in the platform's Meta app") as proven:
        sol.integration = connect(sol)
        proven.append(f"Meta was asked first; {sol.integration['status']}, waiting for the first event")
    with teller.step("Clínica Luna connects with a Meta app of its own") as proven:
        luna.integration = connect(luna, own_app=True)
        enter_callback(stage, luna)
        proven.append("its own webhook address and verify token were shown; Meta's handshake succeeded")
    with teller.step("A third organization tries to claim the bakery's number") as proven:
        claim_anothers_number(sol, stage.found("Taller Estrella", stage.sign_up("estrella")))
        proven.append("refused by the database, without saying whose it is")


def hear_customers(stage: Stage, teller: Teller, sol: Office, luna: Office) -> None:
    """Let customers write, one of whom hides his number."""
    teller.heading("Customers write")
    with teller.step("Ana writes to both of them") as proven:
        for office in (sol, luna):
            wamid = stage.write(office, CUSTOMER, f"¡Hola, {office.name}! ¿Están abiertos?")
            message = wait_for(office, f"/messages?wamid=eq.{wamid}&select=status,organization_id")
            _equal(message["organization_id"], office.organization_id)
        proven.append("each message is in the database under its own organization")
    with teller.step("Beto writes, who hides his phone number") as proven:
        wamid = stage.write(sol, SHY_CUSTOMER, "Quisiera una torta para el sábado")
        message = wait_for(sol, f"/messages?wamid=eq.{wamid}&select=contacts(phone_number,bsuid,username)")
        contact = message["contacts"]
        _equal(contact["phone_number"], None)
        proven.append(f"known as {contact['username']}, by his business-scoped id alone")
    with teller.step("The dashboard shows that events arrive") as proven:
        webhook = _ok(sol.owner.functions.get("/whatsapp-oauth/status"))["integration"]["webhook"]
        _equal(webhook["state"], "receiving")
        proven.append("a signed event was needed for that; a click was not enough")


def answer_customers(stage: Stage, teller: Teller, sol: Office) -> tuple[Person, str]:
    """Let an agent answer, twice at once, and once in vain."""
    teller.heading("An agent answers")
    with teller.step("The bakery's owner invites an agent, who reads the chat") as proven:
        agent = invite(stage, sol)
        chat_id = find_chat(agent, "Ana Quispe")
        proven.append("members see their chats, and nothing else")
    answer = {"chat_id": chat_id, "type": "text", "text": {"body": "¡Sí! Hasta las ocho."}}
    with teller.step("The agent answers Ana") as proven:
        sent = send(agent, answer, key=f"story-{stage.run}")
        proven.append(f"{sent['status']}: the row was there before Meta was called")
    with teller.step("A double click sends it once") as proven:
        again = send(agent, answer, key=f"story-{stage.run}")
        _equal(again["id"], sent["id"])
        asked = [
            call for call in calls(stage, sol) if "Hasta las ocho" in json.dumps(call, ensure_ascii=False)
        ]
        _equal(len(asked), 1)
        proven.append("the same Idempotency-Key is the same message; Meta was called once")
    with teller.step("Meta reports sent, delivered and read") as proven:
        _ok(stage.simulator.post(f"/messages/{sent['wamid']}/status", json={"status": "read"}))
        wait_for(
            sol, f"/messages?id=eq.{sent['id']}&status=eq.read&delivered_at=not.is.null&sent_at=not.is.null"
        )
        proven.append("each status kept its own time; the one shown is read")
    with teller.step("Meta refuses an answer") as proven:
        proven.append(be_refused(stage, sol, agent, chat_id))
    return agent, chat_id


def withstand(stage: Stage, teller: Teller, sol: Office, luna: Office) -> None:
    """Try what must not succeed."""
    teller.heading("What must not happen")
    payload = forgery(sol, "Transfiera el dinero a otra cuenta")
    with teller.step("A forged delivery arrives") as proven:
        guess = secrets.token_hex(16)
        _equal(stage.deliver(payload, secret=guess).status_code, 401)
        _equal(find(sol, "/messages?text=like.Transfiera*&select=id"), [])
        proven.append("401; nothing was written")
    with teller.step("The clinic signs, with its own valid secret, a message to the bakery") as proven:
        path = f"/{luna.integration['id']}"
        answer = stage.deliver(payload, secret=luna.business["app_secret"], path=path)
        _equal(answer.status_code, 200)
        for office in (sol, luna):
            _equal(find(office, "/messages?text=like.Transfiera*&select=id"), [])
        proven.append("kept as evidence, stored nowhere: a secret speaks for its own organization alone")
    with teller.step("Meta delivers the same message again") as proven:
        _ok(stage.simulator.post("/settle", json={"within": PATIENCE_SECONDS}))
        before = find(sol, "/messages?select=id,status,updated_at&order=id")
        redeliver_last(stage)
        _equal(find(sol, "/messages?select=id,status,updated_at&order=id"), before)
        proven.append("not one row more, not one column changed")
    with teller.step("The clinic's owner asks for the bakery's chats, the bakery's for its token") as proven:
        rows = find(luna, f"/messages?organization_id=eq.{sol.organization_id}&select=id")
        refused = sol.owner.rest.get("/whatsapp_integrations?select=access_token")
        _equal((rows, refused.status_code), ([], 403))
        proven.append("the database shows no row to a neighbour, and no credential to anybody")


def connect(office: Office, *, own_app: bool = False) -> dict[str, Any]:
    """Paste what Meta's dashboard shows, as the owner does."""
    business = office.business
    pasted = {
        "phone_number_id": business["phone_number_id"],
        "business_account_id": business["waba_id"],
        "access_token": business["access_token"],
        "pin": business.get("pin"),
    }
    if own_app:
        pasted |= {"app_id": business["app_id"], "app_secret": business["app_secret"]}
    answer = _ok(office.owner.functions.post("/whatsapp-oauth/credentials", json=pasted))
    integration: dict[str, Any] = answer["integration"]
    _equal(integration["status"], "connected")
    _equal(integration["webhook"]["state"], "waiting")
    return integration


def enter_callback(stage: Stage, office: Office) -> None:
    """Enter the organization's own webhook address at Meta, which tries it at once."""
    webhook = _ok(office.owner.functions.get("/whatsapp-oauth/status"))["integration"]["webhook"]
    _ok(
        stage.simulator.patch(
            f"/apps/{office.business['app_id']}",
            json={"callback_url": webhook["url"], "verify_token": webhook["verify_token"]},
        )
    )
    shaken = httpx.get(
        webhook["url"],
        params={
            "hub.mode": "subscribe",
            "hub.challenge": "1158201444",
            "hub.verify_token": webhook["verify_token"],
        },
        timeout=PATIENCE_SECONDS,
        trust_env=False,
    )
    _equal((shaken.status_code, shaken.text), (200, "1158201444"))


def claim_anothers_number(victim: Office, claimant: Office) -> None:
    """Paste another organization's credentials, which somebody might have got hold of."""
    pasted = {
        "phone_number_id": victim.business["phone_number_id"],
        "business_account_id": victim.business["waba_id"],
        "access_token": victim.business["access_token"],
    }
    answer = claimant.owner.functions.post("/whatsapp-oauth/credentials", json=pasted)
    _equal((answer.status_code, answer.json()["error"]["code"]), (409, "number_taken"))
    if victim.name in answer.text:
        raise StepFailed("the answer names the other organization")


def invite(stage: Stage, office: Office) -> Person:
    """Invite somebody, who accepts and is an agent of the office then."""
    agent = stage.sign_up("agente")
    asked = {"organization": office.organization_id, "address": agent.email}
    _ok(office.owner.rest.post("/rpc/invite_member", json=asked))
    (invitation,) = _ok(agent.rest.post("/rpc/list_my_invitations"))
    _equal(invitation["organization_name"], office.name)
    _ok(agent.rest.post("/rpc/accept_invitation", json={"invitation": invitation["id"]}))
    return agent


def find_chat(agent: Person, name: str) -> str:
    """Find a chat by the contact's name, as the chat list does."""
    chats = _ok(agent.rest.get("/chats?select=id,contacts(name)"))
    return str(next(chat["id"] for chat in chats if (chat["contacts"] or {}).get("name") == name))


def send(agent: Person, body: Mapping[str, object], key: str | None = None) -> dict[str, Any]:
    """Send as the chat window does; return the message."""
    headers = {"Idempotency-Key": key} if key else {}
    answer = agent.functions.post("/whatsapp-send-message", json=body, headers=headers)
    message: dict[str, Any] = _ok(answer)["message"]
    return message


def be_refused(stage: Stage, office: Office, agent: Person, chat_id: str) -> str:
    """Let Meta refuse one message, and return the sentence that the agent reads."""
    fault = {"edge": "messages", "code": 131031, "times": 1, "object_id": office.business["phone_number_id"]}
    _ok(stage.simulator.post("/faults", json=fault))
    answer = agent.functions.post(
        "/whatsapp-send-message",
        json={"chat_id": chat_id, "type": "text", "text": {"body": "¿Sigue ahí?"}},
        headers={"Accept-Language": "es"},
    )
    if answer.is_success:
        raise StepFailed("it was accepted")
    rows = find(office, "/messages?status=eq.failed&select=error_code&order=created_at.desc&limit=1")
    _equal([row["error_code"] for row in rows], [131031])
    return f"failed with Meta's 131031, and in the agent's words: {answer.json()['error']['message']}"


def forgery(office: Office, text: str) -> dict[str, Any]:
    """Write a delivery that Meta never sent."""
    message = {
        "from": CUSTOMER["phone_number"],
        "id": f"wamid.FORGED{secrets.token_hex(8)}",
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": text},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": office.business["phone_number"],
            "phone_number_id": office.business["phone_number_id"],
        },
        "messages": [message],
    }
    change = {"field": "messages", "value": value}
    entry = {"id": office.business["waba_id"], "changes": [change]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def redeliver_last(stage: Stage) -> None:
    """Let Meta repeat its newest delivery."""
    _ok(stage.simulator.post("/settle", json={"within": PATIENCE_SECONDS}))
    # The newest is answered by now, whatever it was.
    last = _ok(stage.simulator.get("/deliveries", params={"state": "delivered", "limit": 1}))["data"][-1]
    _ok(stage.simulator.post(f"/deliveries/{last['id']}/retry"))
    _ok(stage.simulator.post("/settle", json={"within": PATIENCE_SECONDS}))


def calls(stage: Stage, office: Office) -> list[dict[str, Any]]:
    """List what Meta was asked to send for this office."""
    query = {"edge": "messages", "object_id": office.business["phone_number_id"]}
    rows: list[dict[str, Any]] = _ok(stage.simulator.get("/requests", params=query))["data"]
    return rows


def find(office: Office, query: str) -> list[dict[str, Any]]:
    """Read rows as the office's owner."""
    rows: list[dict[str, Any]] = _ok(office.owner.rest.get(query))
    return rows


def wait_for(office: Office, query: str) -> dict[str, Any]:
    """Wait until the office's owner sees such a row."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (rows := find(office, query)):
        if time.monotonic() > deadline:
            raise StepFailed(f"no such row within {PATIENCE_SECONDS:.0f} s: {query}")
        time.sleep(0.05)
    return rows[0]


def show_tables(variables: Mapping[str, str]) -> None:
    """Print what is in the database now."""
    if not variables.get("DATABASE_URL"):
        return
    query = """
        select o.name,
            (select count(*) from organization_members m where m.organization_id = o.id),
            i.status::text, count(distinct c.id), count(m.id) filter (where m.direction = 'inbound'),
            count(m.id) filter (where m.direction = 'outbound'),
            coalesce(string_agg(distinct m.status::text, ', ') filter (where m.direction = 'outbound'), '')
        from organizations o
        join whatsapp_integrations i on i.organization_id = o.id
        left join chats c on c.organization_id = o.id
        left join messages m on m.chat_id = c.id
        group by o.id, o.name, o.created_at, i.status order by o.created_at
    """
    with psycopg.connect(variables["DATABASE_URL"]) as connection:
        rows = [tuple(map(str, row)) for row in connection.execute(query)]
        events = connection.execute(
            "select state::text, count(*), sum(seen_count) from webhook_events group by 1 order by 1"
        ).fetchall()
    _print_table(
        ("organization", "members", "connection", "chats", "received", "sent", "their statuses"), rows
    )
    _print_table(("deliveries", "different", "seen"), [tuple(map(str, row)) for row in events])


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    print()
    for row in (head, ["─" * width for width in widths], *rows):
        print("  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _ok(answer: httpx.Response) -> Any:
    if not answer.is_success:
        raise StepFailed(
            f"{answer.request.method} {answer.request.url.path} → {answer.status_code} {answer.text[:300]}"
        )
    return answer.json() if answer.content else None


def _equal(found: object, expected: object) -> None:
    if found != expected:
        raise StepFailed(f"expected {expected!r}, found {found!r}")


def _date_of(renewed: Mapping[str, Any]) -> str:
    return str(renewed.get("expires_at") or renewed["token"]["expires_at"])[:10]


# As a shell says it of a program that Ctrl-C ended.
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the story; returns 0 only if each step held, 130 where it was interrupted before its end."""
    parser = argparse.ArgumentParser(
        prog="python -m local.story", description=__doc__.split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument("--stay", action="store_true", help="stay up afterwards, until Ctrl-C")
    stays = parser.parse_args(arguments).stay
    teller = Teller()
    began = time.monotonic()
    has_ended = False
    try:
        with _stack(stays=stays) as running:
            play(stage := Stage(running.variables), teller)
            show_tables(running.variables)
            held, seconds = teller.count - teller.failed, time.monotonic() - began
            print(f"\n{held} of {teller.count} steps held, in {seconds:.1f} s with the stack's start.")
            has_ended = True
            if stays and not teller.failed:
                _stay(stage)
    except stack.StackFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
        if not has_ended:
            return INTERRUPTED
    return 1 if teller.failed else 0


@contextmanager
def _stack(*, stays: bool) -> Iterator[stack.Stack]:
    """Find the stack that is up, or start one; end only what was started here."""
    _tell: Callable[[str], None] = lambda line: print(f"  {line}", flush=True)  # noqa: E731 - a printer
    found = stack.find() if stays else None
    if found:
        print("Playing on the stack that is up already.")
        yield found
        return
    print("Starting the local stack", flush=True)
    place = nullcontext(str(stack.FOLDER)) if stays else tempfile.TemporaryDirectory(prefix="whatsapp-story-")
    with place as folder, stack.running_stack(Path(folder), tell=_tell) as running:
        yield running


def _stay(stage: Stage) -> None:
    owner = next(iter(stage.offices.values())).owner
    print(
        f"""
  dashboard            {stage.variables["DASHBOARD_URL"]}
  sign in as           {owner.email}   {owner.password}
  a customer's phone   {stage.variables["GRAPH_API_URL"]}/_simulator
  addresses and keys   {stack.FOLDER / "env"}

  Write as a customer in one window and see it arrive in the other. Ctrl-C ends it.""",
        flush=True,
    )
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
