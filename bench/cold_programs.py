"""What the cold starts are measured with: other programs, first requests, and who answers them.

The stand-in plays the database's edge and Meta on one port, with fixed answers at once: what is measured is
the function that starts, not what it calls.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from deploy import events
from shared.crypto import KeyRing
from shared.delivery_queue import pack
from shared.signatures import sign
from tests import wire

if TYPE_CHECKING:
    from collections.abc import Iterator

STDLIB = """
import hashlib
import hmac
import json


def handler(event, context):
    content = json.loads(event["body"])
    proof = hmac.new(b"bench", event["body"].encode(), hashlib.sha256).hexdigest()
    return {"statusCode": 200, "body": json.dumps({"to": content["to"], "proof": proof})}
"""
HTTPX = """
import asyncio
import json
import os

import httpx

client = httpx.AsyncClient()
url = os.environ["SUPABASE_URL"] + "/rest/v1/whatsapp_integrations"


def handler(event, context):
    answer = asyncio.run(client.get(url))
    return {"statusCode": answer.status_code, "body": json.dumps(len(answer.json()))}
"""
# As the frameworks' and supabase's own documentation put them together.
CONVENTIONAL = """
import os

import httpx
from cryptography.fernet import Fernet
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel
from supabase import create_client

app = FastAPI()
fernet = Fernet(os.environ["FERNET_KEY"])
supabase = create_client(os.environ["SUPABASE_URL"], os.environ["SUPABASE_SECRET_KEY"])
graph = httpx.AsyncClient(base_url="https://graph.facebook.com")


class Body(BaseModel):
    to: str
    text: str


@app.post("/send")
def send(body: Body):
    found = supabase.table("whatsapp_integrations").select("*").eq("phone_number_id", "1").execute()
    return {"to": body.to, "found": len(found.data)}


handler = Mangum(app, lifespan="off")
"""
PYWA = """
from fastapi import FastAPI
from mangum import Mangum
from pywa import WhatsApp, types

app = FastAPI()
whatsapp = WhatsApp(
    phone_id="1",
    token="bench",
    server=app,
    verify_token="bench",
    app_secret="0123456789abcdef0123456789abcdef",
    webhook_endpoint="/webhook",
    filter_updates=False,
)


@whatsapp.on_message
def keep(_client: WhatsApp, message: types.Message) -> None:
    print(message.id)


handler = Mangum(app, lifespan="off")
"""

ROW_ID = "00000000-0000-4000-8000-000000000001"
ENCRYPTION_KEYS = "a:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
ENVIRON = {
    "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_bench",
    "SUPABASE_SECRET_KEY": "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.bench",
    "ENCRYPTION_KEYS": ENCRYPTION_KEYS,
    "FERNET_KEY": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    "WHATSAPP_APP_SECRET": "0123456789abcdef0123456789abcdef",
    "WHATSAPP_WEBHOOK_VERIFY_TOKEN": "bench-verify-token",
    "WHATSAPP_APP_ID": "100000000000001",
    "CRON_SECRET": "bench-cron-secret-0123",
}
DELIVERY = wire.to_wire(wire.batch(1))
OF_A_USER = {"Authorization": "Bearer a.b.c", "Content-Type": "application/json"}

INTEGRATION = {
    "id": ROW_ID, "organization_id": ROW_ID, "status": "connected", "way": "number", "step": "connected",
    "phone_number": "+15550100000", "phone_number_id": "1", "business_account_id": "2", "app_id": "3",
    "display_name": "Example", "quality_rating": "GREEN", "messaging_limit": "TIER_1K", "throughput": 80,
    "is_coexistence": False, "has_own_app": False, "error_code": None, "error_message": None,
    "token_expires_at": None, "token_checked_at": "2026-11-24T09:00:00+00:00",
    "verified_at": "2026-11-24T09:00:00+00:00", "registered_at": "2026-11-24T09:00:00+00:00",
    "subscribed_at": "2026-11-24T09:00:00+00:00", "connected_at": "2026-11-24T09:00:00+00:00",
    "disconnected_at": None, "first_event_at": "2026-11-24T09:00:00+00:00",
    "last_event_at": "2026-11-24T09:00:00+00:00", "last_sync_at": None, "callback_override": None,
}  # fmt: skip
CONNECTION = {
    "user_id": ROW_ID,
    "organization_id": ROW_ID,
    "organization_name": "Example",
    "role": "owner",
    "integration": INTEGRATION,
    "verification": None,
}
STORED_ROW = {
    **INTEGRATION,
    "access_token": KeyRing.from_setting(ENCRYPTION_KEYS).encrypt(
        "EAAbench", row_id=ROW_ID, column="access_token"
    ),
    "app_secret": None,
    "has_platform_token": True,
    "pin": None,
    "webhook_verify_token": None,
}
MESSAGE = {"id": ROW_ID, "organization_id": ROW_ID, "status": "sent", "wamid": "wamid.bench"}
SEND = {
    "message_id": ROW_ID, "organization_id": ROW_ID, "integration_id": ROW_ID, "phone_number_id": "1",
    "credentials_stamp": "1", "address": {"to": "15550100001"}, "type": "text",
    "content": {"text": {"body": "sent"}}, "permit": 1, "wait_seconds": 0,
}  # fmt: skip
NODE = {
    "id": "1",
    "display_phone_number": "+1 555-010-0000",
    "verified_name": "Example",
    "quality_rating": "GREEN",
    "platform_type": "CLOUD_API",
    "status": "CONNECTED",
    "throughput": {"level": "STANDARD"},
    "code_verification_status": "VERIFIED",
}
ANSWERS: dict[str, Any] = {
    "/rest/v1/rpc/store_delivery": {
        "event_id": 1, "state": "stored", "is_duplicate": False, "items": 1, "problems": 0,
    },
    "/rest/v1/rpc/my_connection": CONNECTION,
    "/rest/v1/rpc/finish_sends": [MESSAGE],
    "/rest/v1/rpc/take_management_calls": None,
    "/rest/v1/rpc/learn_number": {},
    "/rest/v1/rpc/claim_sends": {"claimed": [], "next_seconds": None, "is_held_up": False},
    "/rest/v1/rpc/claim_jobs": {"jobs": [], "next_seconds": None},
    "/rest/v1/whatsapp_integrations": [STORED_ROW],
    "/rest/v1/event_endpoints": [],
    "/v26.0/1": NODE,
    "/v26.0/1/messages": {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "15550100001", "wa_id": "15550100001"}],
        "messages": [{"id": "wamid.bench"}],
    },
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Start:
    """A program and its first request."""

    label: str
    program: str
    """A function of ours, or one of the programs above."""
    work: str
    """What the first answer does."""
    event: dict[str, Any]
    status: int | None
    most: float | None = None
    """The aim: at most this share of the conventional stack."""


def _send(text: str) -> dict[str, Any]:
    body = json.dumps({"to": "+15550100001", "type": "text", "text": {"body": text}}).encode()
    return events.http_api("POST", "/functions/v1/whatsapp-send-message", headers=OF_A_USER, body=body)


_CONVENTIONAL_BODY = json.dumps({"to": "+15550100001", "text": "hola"}).encode()
_SIGNED = {"X-Hub-Signature-256": sign(DELIVERY, ENVIRON["WHATSAPP_APP_SECRET"])}
STARTS = (
    Start(
        label="stdlib alone", program="stdlib", work="JSON and one HMAC", status=200,
        event=events.http_api("POST", "/", body=_CONVENTIONAL_BODY),
    ),
    Start(
        label="httpx alone", program="httpx", work="one GET", status=200,
        event=events.http_api("GET", "/"),
    ),
    Start(
        label="conventional stack", program="conventional", work="a body validated, one select", status=200,
        event=events.http_api(
            "POST", "/send", headers={"Content-Type": "application/json"}, body=_CONVENTIONAL_BODY
        ),
    ),
    Start(
        label="pywa + FastAPI", program="pywa", work="a delivery checked, parsed, printed", status=200,
        event=events.http_api("POST", "/webhook", headers=_SIGNED, body=DELIVERY),
    ),
    Start(
        label="webhook", program="webhook", work="a delivery checked, parsed, stored", status=200, most=0.35,
        event=events.http_api("POST", "/functions/v1/whatsapp-webhook", headers=_SIGNED, body=DELIVERY),
    ),
    Start(
        label="oauth", program="oauth", work="the connection read and shown", status=200, most=0.5,
        event=events.http_api("GET", "/functions/v1/whatsapp-oauth/status", headers=OF_A_USER),
    ),
    Start(
        label="meta_api", program="meta_api", work="the caller proven, one select", status=200, most=0.5,
        event=events.http_api("GET", "/functions/v1/whatsapp-meta-api/event-endpoints", headers=OF_A_USER),
    ),
    Start(
        label="send_message", program="send_message", work="a message validated and queued", status=202,
        most=0.5, event=_send("queued"),
    ),
    Start(
        label="worker", program="worker", work="a queued delivery stored, no more due", status=None, most=0.5,
        event=events.queue([pack(DELIVERY, source=None)]),
    ),
    Start(
        label="send_message, to Meta and back", program="send_message", status=200,
        work="validated, credentials opened, sent, written down: 4 calls", event=_send("sent"),
    ),
    Start(
        label="meta_api, the number at Meta", program="meta_api", status=200,
        work="caller, credentials, budget, Meta, written down: 5 calls",
        event=events.http_api("GET", "/functions/v1/whatsapp-meta-api/number", headers=OF_A_USER),
    ),
)  # fmt: skip
PROGRAMS: dict[str, tuple[str, tuple[str, ...]]] = {
    "stdlib": (STDLIB, ()),
    "httpx": (HTTPX, ("httpx",)),
    "conventional": (CONVENTIONAL, ("fastapi", "mangum", "supabase", "httpx", "cryptography", "pydantic")),
    "pywa": (PYWA, ("fastapi", "mangum", "pywa")),
}


class StandIn(BaseHTTPRequestHandler):
    """Answers what it is asked, at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a select, or Meta's node."""
        self.give()

    def do_POST(self) -> None:
        """Answer a function of the database, or Meta."""
        self.take()

    def give(self) -> None:
        """Answer a GET."""
        self._answer(b"")

    def take(self) -> None:
        """Answer a POST."""
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _answer(self, asked: bytes) -> None:
        path = self.path.partition("?")[0]
        if path == "/rest/v1/rpc/begin_send":
            is_queued = b"queued" in asked
            content: Any = {
                "message": {**MESSAGE, "status": "queued" if is_queued else "sending"},
                "send": None if is_queued else SEND,
            }
        else:
            content = ANSWERS.get(path, {"code": "PGRST202", "message": path})
        body = json.dumps(content).encode()
        self.send_response(200 if path in ANSWERS or "begin_send" in path else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running_stand_in() -> Iterator[dict[str, str]]:
    """Serve until it is left; gives the environment that leads there."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield {**ENVIRON, "SUPABASE_URL": url, "GRAPH_API_URL": url, "GRAPH_API_VERSION": "v26.0"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
