"""The command line: `serve` (what happens without a word), `listen` and `trigger`."""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from local.graph.app import create_simulator
from local.graph.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_DEFAULT_PORT = 4004
_DEFAULT_GRAPH = f"http://127.0.0.1:{_DEFAULT_PORT}"
_ENVIRONMENT = (
    "The environment gives the platform's Meta app: WHATSAPP_APP_ID, WHATSAPP_APP_SECRET, "
    "WHATSAPP_WEBHOOK_VERIFY_TOKEN, WHATSAPP_WEBHOOK_URL. Everything else: docs/simulator.md."
)

EVENTS: dict[str, dict[str, Any]] = {
    "text": {"type": "text", "text": {"body": "Hola, ¿tienen pan?"}},
    "image": {"type": "image", "image": {"caption": "Este"}},
    "audio": {"type": "audio", "audio": {"voice": True}},
    "video": {"type": "video"},
    "document": {"type": "document", "document": {"filename": "pedido.pdf"}},
    "sticker": {"type": "sticker", "sticker": {"animated": False}},
    "location": {
        "type": "location",
        "location": {"latitude": -12.0464, "longitude": -77.0428, "name": "Plaza Mayor", "address": "Lima"},
    },
    "contacts": {
        "type": "contacts",
        "contacts": [
            {
                "name": {"formatted_name": "Luis Paz", "first_name": "Luis"},
                "phones": [{"phone": "+1 555 010 0002", "wa_id": "15550100002", "type": "MOBILE"}],
            }
        ],
    },
    "button": {
        "type": "interactive",
        "interactive": {"type": "button_reply", "button_reply": {"id": "si", "title": "Sí"}},
    },
    "list": {
        "type": "interactive",
        "interactive": {
            "type": "list_reply",
            "list_reply": {"id": "pan", "title": "Pan", "description": "de yema"},
        },
    },
    "quick_reply": {"type": "button", "button": {"payload": "SI", "text": "Sí"}},
    "order": {
        "type": "order",
        "order": {
            "catalog_id": "194836987003835",
            "text": "Esto, por favor",
            "product_items": [
                {"product_retailer_id": "pan", "quantity": 2, "item_price": 3, "currency": "PEN"}
            ],
        },
    },
    "ad": {
        "type": "text",
        "text": {"body": "Vi su anuncio"},
        "referral": {
            "source_url": "https://fb.me/example",
            "source_id": "120226305854810726",
            "source_type": "ad",
            "headline": "Pan caliente",
            "body": "A las seis",
            "ctwa_clid": "example",
        },
    },
    "unsupported": {"type": "unsupported"},
    "username": {
        "type": "text",
        "text": {"body": "No ves mi número"},
        "from": {"phone_number": "15550100003", "username": "ana.paz", "hidden": True},
    },
}

CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "account.offboarded": ("account_update", {"event": "ACCOUNT_OFFBOARDED"}),
    "account.restricted": (
        "account_update",
        {
            "event": "ACCOUNT_RESTRICTION",
            "restriction_info": [{"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING"}],
        },
    ),
    "account.reviewed": ("account_review_update", {"decision": "APPROVED"}),
    "number.quality": (
        "phone_number_quality_update",
        {"event": "FLAGGED", "current_limit": "TIER_1K"},
    ),
    "template.rejected": (
        "message_template_status_update",
        {
            "event": "REJECTED",
            "message_template_id": 1000000000000001,
            "message_template_name": "pedido",
            "message_template_language": "es",
            "reason": "INVALID_FORMAT",
        },
    ),
    "security.pin": ("security", {"event": "PIN_RESET_REQUEST", "requester": "61555000000000"}),
}


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Read the command line and do what it says; returns the exit code."""
    wanted = _parser().parse_args(arguments)
    environment = os.environ if environ is None else environ
    try:
        if wanted.command == "listen":
            return _listen(wanted)
        if wanted.command == "trigger":
            return _trigger(wanted)
    except httpx.HTTPError as error:
        print(f"The simulator at {wanted.graph} does not answer: {error}")
        return 1
    return _serve(wanted, environment)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.graph",
        description="A faithful simulator of Meta's WhatsApp Cloud API. Point your client's base URL here.",
        epilog=_ENVIRONMENT,
    )
    _add_server_options(parser)
    commands = parser.add_subparsers(dest="command", metavar="listen | trigger")
    listen = commands.add_parser("listen", help="send webhooks to a URL of yours and show what happens")
    listen.add_argument("url", help="your webhook, for instance http://127.0.0.1:8000/webhook")
    listen.add_argument("--verify-token", default="verify-me", help="(default: %(default)s)")
    listen.add_argument("--app-secret", help="the secret that signs (default: a made-up one, printed)")
    listen.add_argument("--graph", help="a simulator that runs already (default: one is started)")
    listen.add_argument("--port", type=int, default=_DEFAULT_PORT, help="port of the one that is started")
    trigger = commands.add_parser("trigger", help="let something happen in a simulator that runs")
    trigger.add_argument(
        "event", choices=[*EVENTS, *CHANGES], metavar="EVENT", help=", ".join([*EVENTS, *CHANGES])
    )
    trigger.add_argument("--from", dest="sender", default="15550100001", help="the customer's number")
    trigger.add_argument("--name", default="Ana", help="the customer's name (default: %(default)s)")
    trigger.add_argument("--body", help="another text for the event `text`")
    trigger.add_argument("--number", help="the phone number id, if there are several")
    trigger.add_argument("--graph", default=_DEFAULT_GRAPH, help="(default: %(default)s)")
    return parser


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=_DEFAULT_PORT, help="port (default: %(default)s)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep the state in this file")
    parser.add_argument("--seed", type=int, help="make the same ids at every start")
    parser.add_argument("--public-url", help="base of the URLs that the simulator hands out")


def _serve(wanted: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from local.graph.server import serve

    base_url = wanted.public_url or f"http://{wanted.host}:{wanted.port}"
    simulator = Simulator(seed=wanted.seed, state_file=wanted.state, base_url=base_url)
    app_id = environ.get("WHATSAPP_APP_ID")
    if app_id:
        simulator.set_platform_app(
            app_id,
            environ.get("WHATSAPP_APP_SECRET") or simulator.ids.secret(),
            environ.get("WHATSAPP_WEBHOOK_VERIFY_TOKEN"),
            environ.get("WHATSAPP_WEBHOOK_URL") or None,
        )
    app = simulator.platform_app
    print(
        f"Graph simulator: {base_url} (app {app.id}; page and control API: {base_url}/_simulator)", flush=True
    )
    serve(create_simulator(simulator), wanted.host, wanted.port)
    return 0


def _listen(wanted: argparse.Namespace) -> int:
    """Make a business whose webhooks go to the URL, then print every call and delivery."""
    wanted.graph = wanted.graph or _start(wanted.port)
    with httpx.Client(base_url=wanted.graph, timeout=30.0) as client:
        app = _made(client, "/apps", {"name": "Listener", "secret": wanted.app_secret})
        made = _made(client, "/businesses", {"app_id": app["id"], "name": "Listener"})
        subscribed = client.post(
            f"/{app['id']}/subscriptions",
            data={
                "object": "whatsapp_business_account",
                "callback_url": wanted.url,
                "verify_token": wanted.verify_token,
                "access_token": f"{app['id']}|{app['secret']}",
            },
        )
        if subscribed.is_error:
            print(f"{wanted.url} did not pass the handshake: {subscribed.json()['error']['message']}")
            return 1
        client.post(f"/{made['waba_id']}/subscribed_apps", params={"access_token": made["access_token"]})
        for kind, content in _stream(wanted.graph):
            if kind == "connected":
                # Only now: whoever reads the ids may act at once, and wants to see it.
                _print_business(wanted, app, made)
            else:
                print(describe(kind, content), flush=True)
    return 0


def _start(port: int) -> str:
    """Start a simulator in this process and wait until it answers."""
    import uvicorn

    base_url = f"http://127.0.0.1:{port}"
    app = create_simulator(Simulator(base_url=base_url))
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise SystemExit(f"Port {port} is taken: name another with --port, or a simulator with --graph.")
        time.sleep(0.02)
    return base_url


def _made(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    wanted = {name: value for name, value in body.items() if value is not None}
    answer = client.post(f"/_simulator{path}", json=wanted)
    answer.raise_for_status()
    made: dict[str, Any] = answer.json()
    return made


def _print_business(wanted: argparse.Namespace, app: dict[str, Any], made: dict[str, Any]) -> None:
    print(f"Webhooks go to {wanted.url}, signed with the app secret {app['secret']}.")
    print(f"Graph: {wanted.graph}   phone number id: {made['phone_number_id']}   WABA: {made['waba_id']}")
    print(f"Access token: {made['access_token']}")
    print(f"Write as a customer: {wanted.graph}/_simulator, or")
    print(
        f"  python -m local.graph trigger text --number {made['phone_number_id']} --graph {wanted.graph}",
        flush=True,
    )


def _stream(graph: str) -> Iterator[tuple[str, dict[str, Any]]]:
    with httpx.stream("GET", f"{graph}/_simulator/stream", timeout=None) as answer:  # noqa: S113 - it never ends
        kind = ""
        for line in answer.iter_lines():
            if line == ": connected":
                yield "connected", {}
            elif line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield kind, json.loads(line.removeprefix("data: "))


def describe(kind: str, content: dict[str, Any]) -> str:
    """Return one line about an event of the stream."""
    if kind == "request":
        return f"→ {content['status']} {content['method']} {content['path']}"
    if kind == "delivery":
        last = (content["attempts"] or [{}])[-1]
        result = last.get("status") or last.get("error") or content["reason"]
        signature = content["headers"].get("X-Hub-Signature-256", "")[:18]
        what = f"{content['state']} {', '.join(content['fields'])}"
        return f"← {result} {what} {signature}… {content['body'][:200]}"
    return f"  {kind} {json.dumps(content, ensure_ascii=False)[:200]}"


def _trigger(wanted: argparse.Namespace) -> int:
    with httpx.Client(base_url=wanted.graph, timeout=30.0) as client:
        if wanted.event in EVENTS:
            answer = client.post("/_simulator/customers/messages", json=_message(wanted))
        else:
            number_id = wanted.number or client.get("/_simulator/numbers").json()["data"][-1]["id"]
            field, value = CHANGES[wanted.event]
            body = {"phone_number_id": number_id, "field": field, "value": value}
            answer = client.post("/_simulator/events", json=body)
        content = answer.json()
        if answer.is_error:
            print(content["error"]["message"])
            return 1
        print(content["message"]["id"] if "message" in content else "sent")
    return 0


def _message(wanted: argparse.Namespace) -> dict[str, Any]:
    message = {"from": {"phone_number": wanted.sender, "name": wanted.name}, **EVENTS[wanted.event]}
    if wanted.body:
        message["text"] = {"body": wanted.body}
    if wanted.number:
        message["phone_number_id"] = wanted.number
    return message
