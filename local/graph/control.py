"""The control API under `/_simulator`: what a test, a script or a person does to the simulated world.

Every path is described in docs/simulator.md; other programs rely on them.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, Router

from local.graph import page, phones
from local.graph.edges import coexistence, dialog, templates
from local.graph.faults import Fault
from local.graph.simulator import Refused, Simulator
from local.graph.state import MOST_MESSAGES, Template

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from starlette.requests import Request

    from local.graph.state import Customer, Message, Number, Waba

_MOST_ROWS = MOST_MESSAGES
_DEFAULT_ROWS = 100
_HEARTBEAT_SECONDS = 15.0


class Control:
    """The control API of one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def router(self) -> Router:
        """Return the routes, relative to `/_simulator`."""
        table: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/", page.index),
            ("GET", "/page/{name}", page.asset),
            ("GET", "/health", self.health),
            ("POST", "/businesses", self.create_business),
            ("POST", "/apps", self.create_app),
            ("GET", "/apps", self.list_apps),
            ("PATCH", "/apps/{id}", self.change_app),
            ("POST", "/wabas", self.create_waba),
            ("GET", "/wabas", self.list_wabas),
            ("PATCH", "/wabas/{id}", self.change_waba),
            ("POST", "/numbers", self.create_number),
            ("GET", "/numbers", self.list_numbers),
            ("PATCH", "/numbers/{id}", self.change_number),
            ("DELETE", "/numbers/{id}", self.delete_number),
            ("POST", "/tokens", self.create_token),
            ("GET", "/tokens", self.list_tokens),
            ("PATCH", "/tokens/{value}", self.change_token),
            ("POST", "/customers", self.create_customer),
            ("GET", "/customers", self.list_customers),
            ("POST", "/customers/{key}/phone_number", self.change_phone),
            ("POST", "/numbers/{id}/offboard", self.offboard),
            ("POST", "/customers/messages", self.write_as_customer),
            ("POST", "/signups", self.sign_up),
            ("POST", "/oauth/codes", self.create_code),
            ("GET", "/templates", self.list_templates),
            ("POST", "/templates", self.create_template),
            ("POST", "/templates/{id}/review", self.review_template),
            ("POST", "/numbers/{id}/echoes", self.write_as_business),
            ("POST", "/numbers/{id}/contacts", self.change_contacts),
            ("POST", "/numbers/{id}/history", self.send_history),
            ("POST", "/numbers/{id}/upgrade", self.upgrade_number),
            ("POST", "/numbers/{id}/name", self.decide_name),
            ("GET", "/media/{id}", self.show_media),
            ("POST", "/messages/{id}/status", self.set_status),
            ("GET", "/messages", self.list_messages),
            ("POST", "/events", self.publish),
            ("POST", "/webhooks", self.deliver_raw),
            ("GET", "/deliveries", self.list_deliveries),
            ("POST", "/deliveries/{id}/retry", self.retry_delivery),
            ("GET", "/requests", self.list_requests),
            ("GET", "/codes", self.list_codes),
            ("POST", "/faults", self.create_fault),
            ("GET", "/faults", self.list_faults),
            ("DELETE", "/faults", self.clear_faults),
            ("DELETE", "/faults/{id}", self.delete_fault),
            ("GET", "/settings", self.show_settings),
            ("PATCH", "/settings", self.change_settings),
            ("GET", "/clock", self.show_clock),
            ("POST", "/clock", self.move_clock),
            ("POST", "/settle", self.settle),
            ("POST", "/reset", self.reset),
            ("DELETE", "/logs", self.clear_logs),
            ("GET", "/stream", self.stream),
        ]
        return Router([Route(path, endpoint, methods=[method]) for method, path, endpoint in table])

    # The server

    async def health(self, _request: Request) -> Response:
        """Tell that it runs, and what is waiting."""
        simulator = self.simulator
        return _json(
            {
                "status": "ok",
                "app_id": simulator.platform_app.id,
                "time": simulator.clock.isoformat(),
                "requests": simulator.request_count,
                "deliveries": simulator.deliveries.counts,
                "being_delivered": simulator.deliveries.open_count,
                "planned": simulator.planned_count,
            }
        )

    async def settle(self, request: Request) -> Response:
        """Wait until nothing is being delivered and nothing is due soon."""
        wanted = await _body(request)
        is_quiet = await self.simulator.settle(
            within=float(wanted.get("within", 10.0)), horizon=float(wanted.get("horizon", 0.6))
        )
        return _json({"settled": is_quiet, "planned": self.simulator.planned_count})

    async def reset(self, _request: Request) -> Response:
        """Forget everything but the platform's app."""
        self.simulator.reset()
        return _json({"success": True})

    async def clear_logs(self, _request: Request) -> Response:
        """Forget the requests and deliveries that were kept."""
        self.simulator.requests.clear()
        self.simulator.deliveries.clear_log()
        return _json({"success": True})

    async def show_clock(self, _request: Request) -> Response:
        """Tell the simulated time."""
        clock = self.simulator.clock
        return _json({"now": clock.now(), "time": clock.isoformat(), "speed": clock.speed})

    async def move_clock(self, request: Request) -> Response:
        """Move the simulated time: `to` (seconds since the epoch), `by` (seconds), `speed`."""
        wanted = await _body(request)
        _only(wanted, ("to", "by", "speed"))
        self.simulator.move_clock(
            to=wanted.get("to"), by=float(wanted.get("by", 0.0)), speed=wanted.get("speed")
        )
        return await self.show_clock(request)

    async def show_settings(self, _request: Request) -> Response:
        """Show all settings."""
        return _json(self.simulator.settings.to_json())

    async def change_settings(self, request: Request) -> Response:
        """Change some settings."""
        self.simulator.settings.change(await _body(request))
        return _json(self.simulator.settings.to_json())

    # The world

    async def create_business(self, request: Request) -> Response:
        """Create a WABA with a number and a token."""
        return _json(self.simulator.create_business(**await _body(request)), 201)

    async def create_app(self, request: Request) -> Response:
        """Create an app."""
        return _json(asdict(self.simulator.create_app(**await _body(request))), 201)

    async def list_apps(self, _request: Request) -> Response:
        """List the apps with their secrets."""
        return _rows(asdict(app) for app in self.simulator.state.apps.values())

    async def change_app(self, request: Request) -> Response:
        """Change an app."""
        return await self._change(request, self.simulator.state.apps)

    async def create_waba(self, request: Request) -> Response:
        """Create a WABA."""
        return _json(asdict(self.simulator.create_waba(**await _body(request))), 201)

    async def list_wabas(self, _request: Request) -> Response:
        """List the WABAs."""
        return _rows(asdict(waba) for waba in self.simulator.state.wabas.values())

    async def change_waba(self, request: Request) -> Response:
        """Change a WABA."""
        return await self._change(request, self.simulator.state.wabas)

    async def create_number(self, request: Request) -> Response:
        """Create a number."""
        return _json(asdict(self.simulator.create_number(**await _body(request))), 201)

    async def list_numbers(self, _request: Request) -> Response:
        """List the numbers, with everything that Graph would not show."""
        return _rows(asdict(number) for number in self.simulator.state.numbers.values())

    async def change_number(self, request: Request) -> Response:
        """Change a number."""
        return await self._change(request, self.simulator.state.numbers)

    async def delete_number(self, request: Request) -> Response:
        """Delete a number, as its owner does in Meta's user interface."""
        number = self._number(request.path_params["id"])
        del self.simulator.state.numbers[number.id]
        self.simulator.changed()
        return _json({"success": True})

    async def create_token(self, request: Request) -> Response:
        """Create a token."""
        return _json(asdict(self.simulator.create_token(**await _body(request))), 201)

    async def list_tokens(self, _request: Request) -> Response:
        """List the tokens."""
        return _rows(asdict(token) for token in self.simulator.state.tokens.values())

    async def change_token(self, request: Request) -> Response:
        """Change a token: let it expire (`expires_in`: 0), revoke it, take away a scope or a WABA."""
        token = self.simulator.state.tokens.get(request.path_params["value"])
        if token is None:
            raise HTTPException(404, "There is no such token.")
        wanted = await _body(request)
        if "expires_in" in wanted:
            token.expires_at = self.simulator.clock.now() + float(wanted.pop("expires_in"))
        _assign(token, wanted)
        self.simulator.changed()
        return _json(asdict(token))

    async def create_customer(self, request: Request) -> Response:
        """Create a person, or change one."""
        return _json(_show_customer(self.simulator.create_customer(**await _body(request))), 201)

    async def list_customers(self, _request: Request) -> Response:
        """List the people."""
        return _rows(_show_customer(customer) for customer in self.simulator.state.customers.values())

    async def change_phone(self, request: Request) -> Response:
        """Let a person move to another phone number."""
        customer = self.simulator.state.find_customer(request.path_params["key"])
        if customer is None:
            raise HTTPException(404, "There is no such person.")
        wanted = await _body(request)
        _only(wanted, ("phone_number",))
        told = self.simulator.change_phone(customer, str(wanted["phone_number"]))
        return _json({"customer": _show_customer(customer), "told": [message.id for message in told]})

    async def offboard(self, request: Request) -> Response:
        """Let the business app's side of a number disconnect: `reason`, `initiated_by`."""
        number = self._number(request.path_params["id"])
        wanted = await _body(request)
        _only(wanted, ("reason", "initiated_by"))
        reason = str(wanted.get("reason", "ACCOUNT_DISCONNECTED"))
        self.simulator.offboard(number, reason, str(wanted.get("initiated_by", "USER")))
        return _json(asdict(number))

    async def list_codes(self, request: Request) -> Response:
        """List the verification codes that were "sent" to numbers, the newest of each."""
        wanted = phones.digits_of(request.query_params.get("phone_number", ""))
        return _rows(
            {
                "phone_number_id": number.id,
                "phone_number": number.phone_number,
                "code": number.code,
                "method": number.code_method,
                "expires_at": number.code_expires_at,
            }
            for number in self.simulator.state.numbers.values()
            if number.code is not None and wanted in ("", number.phone_number)
        )

    # What people do

    async def write_as_customer(self, request: Request) -> Response:
        """Let a person write to a number."""
        wanted = await _body(request)
        number = self._number_for(wanted)
        sender = wanted.pop("from", None) or {}
        if isinstance(sender, str):
            sender = {"phone_number": sender}
        waba = self.simulator.state.wabas[number.waba_id]
        customer = self._customer_for(dict(sender), waba)
        message = self.simulator.write_as_customer(number, customer, wanted)
        return _json(
            {"message": self.simulator.show_message(message), "customer": _show_customer(customer)}, 201
        )

    async def sign_up(self, request: Request) -> Response:
        """Do what a business does in the embedded signup; answers the code and the window's message."""
        return _json(dialog.sign_up(self.simulator, **await _body(request)), 201)

    async def create_code(self, request: Request) -> Response:
        """Make an authorization code for WABAs that exist."""
        wanted = await _body(request)
        _only(wanted, ("app_id", "waba_ids", "redirect_uri", "scopes", "expires_in"))
        app_id = str(wanted.pop("app_id", None) or self.simulator.platform_app.id)
        code = dialog.issue_code(self.simulator, app_id, wanted.pop("waba_ids", None), **wanted)
        return _json(asdict(code), 201)

    async def list_templates(self, request: Request) -> Response:
        """List the templates of all WABAs, or of one."""
        wanted = request.query_params.get("waba_id")
        return _rows(
            asdict(template)
            for template in self.simulator.state.templates.values()
            if wanted in (None, template.waba_id)
        )

    async def create_template(self, request: Request) -> Response:
        """Create a template as it is, by default an approved one."""
        wanted = await _body(request)
        self._waba(str(wanted.get("waba_id")))
        _only(wanted, [member.name for member in fields(Template)])
        values = {"status": "APPROVED", "language": "en_US", "category": "UTILITY", **wanted}
        values.setdefault("id", self.simulator.ids.object_id())
        values["created_at"] = self.simulator.clock.now()
        template = Template(**values)
        self.simulator.state.templates[template.id] = template
        self.simulator.changed()
        return _json(asdict(template), 201)

    async def review_template(self, request: Request) -> Response:
        """Decide about a template: `event`, `reason`; or `category`; or `quality`."""
        template = self.simulator.state.templates.get(request.path_params["id"])
        if template is None:
            raise HTTPException(404, "There is no such template.")
        wanted = await _body(request)
        _only(wanted, ("event", "reason", "category", "quality"))
        if "event" in wanted:
            templates.review(self.simulator, template, str(wanted["event"]).upper(), wanted.get("reason"))
        if "category" in wanted:
            templates.recategorize(self.simulator, template, str(wanted["category"]).upper())
        if "quality" in wanted:
            templates.rate(self.simulator, template, str(wanted["quality"]).upper())
        return _json(asdict(template))

    async def write_as_business(self, request: Request) -> Response:
        """Let the business write from its phone: `to`, `type` and the content."""
        number = self._number(request.path_params["id"])
        wanted = await _body(request)
        customer = self.simulator.create_customer(phone_number=wanted.pop("to", None))
        message = coexistence.echo(self.simulator, number, customer, wanted)
        return _json(self.simulator.show_message(message), 201)

    async def change_contacts(self, request: Request) -> Response:
        """Let the business change its contact book: `phone_number`, `name`, `action` (add or remove)."""
        number = self._number(request.path_params["id"])
        wanted = await _body(request)
        action = wanted.pop("action", "add")
        customer = self.simulator.create_customer(**wanted)
        row = coexistence.contact_change(self.simulator, customer, action)
        coexistence.publish_contacts(self.simulator, number, [row])
        return _json(row, 201)

    async def send_history(self, request: Request) -> Response:
        """Keep `threads` as the history of a number, and deliver it now if `send` is true."""
        number = self._number(request.path_params["id"])
        wanted = await _body(request)
        _only(wanted, ("threads", "send"))
        if "threads" in wanted:
            number.history = wanted["threads"]
        if wanted.get("send"):
            coexistence.send_history(self.simulator, number)
        return _json({"success": True})

    async def upgrade_number(self, request: Request) -> Response:
        """Raise a number's throughput, and tell the business."""
        number = self._number(request.path_params["id"])
        number.throughput_level = "HIGH"
        value = {
            "display_phone_number": number.phone_number,
            "event": "THROUGHPUT_UPGRADE",
            "current_limit": "TIER_UNLIMITED",
        }
        waba = self._waba(number.waba_id)
        self.simulator.publish(waba, "phone_number_quality_update", value, number)
        return _json(asdict(number))

    async def decide_name(self, request: Request) -> Response:
        """Decide about the display name that a number asked for: `decision`, `reason`."""
        number = self._number(request.path_params["id"])
        wanted = await _body(request)
        decision = str(wanted.get("decision", "APPROVED")).upper()
        value = {
            "display_phone_number": number.phone_number,
            "decision": decision,
            "requested_verified_name": number.new_display_name or number.verified_name,
            "rejection_reason": wanted.get("reason"),
        }
        if decision == "APPROVED":
            number.verified_name = number.new_display_name or number.verified_name
        number.new_name_status = decision
        self.simulator.publish(self._waba(number.waba_id), "phone_number_name_update", value, number)
        return _json(asdict(number))

    async def show_media(self, request: Request) -> Response:
        """Give the bytes of a file that a business or a customer sent."""
        media = self.simulator.state.media.get(request.path_params["id"])
        if media is None:
            raise HTTPException(404, "There is no such file.")
        return Response(
            media.content,
            media_type=media.mime_type,
            headers={"content-security-policy": "sandbox", "x-content-type-options": "nosniff"},
        )

    async def set_status(self, request: Request) -> Response:
        """Let a message of a business reach a status, as its recipient or WhatsApp would."""
        message = self._message(request.path_params["id"])
        wanted = await _body(request)
        name = str(wanted.get("status", "read"))
        if message.direction != "outgoing":
            raise Refused("Only messages that a business sent have statuses.")
        if name == "failed":
            self.simulator.fail(message, int(wanted.get("code", 131026)), wanted.get("details"))
        else:
            self.simulator.set_status(message, name)
        return _json(self.simulator.show_message(message))

    async def publish(self, request: Request) -> Response:
        """Deliver a change of any field to the apps that want it."""
        wanted = await _body(request)
        _only(wanted, ("waba_id", "phone_number_id", "field", "value", "entry_id", "time"))
        number = self.simulator.state.numbers.get(str(wanted.get("phone_number_id")))
        waba = self._waba(str(wanted.get("waba_id") or (number.waba_id if number else "")))
        value = wanted.get("value")
        if not isinstance(value, dict) or not isinstance(wanted.get("field"), str):
            raise Refused("`field` is a name and `value` an object.")
        if "entry_id" in wanted or "time" in wanted:
            self.simulator.deliveries.publish(
                waba.id, wanted["field"], value, number, wanted.get("time"), wanted.get("entry_id")
            )
        else:
            self.simulator.publish(waba, wanted["field"], value, number)
        return _json({"success": True}, 201)

    async def deliver_raw(self, request: Request) -> Response:
        """Sign and deliver what is given, byte by byte."""
        wanted = await _body(request)
        _only(wanted, ("app_id", "url", "payload", "body", "headers", "signature", "secret", "retries"))
        delivery = await raw_delivery(self.simulator, wanted)
        return _json(delivery, 201)

    async def retry_delivery(self, request: Request) -> Response:
        """Try a delivery again at once."""
        if not self.simulator.deliveries.retry_now(int(request.path_params["id"])):
            raise HTTPException(404, "There is no such delivery, or nobody to send it to.")
        return _json({"success": True})

    # What happened

    async def list_messages(self, request: Request) -> Response:
        """List the messages in both directions, the newest last."""
        wanted = request.query_params
        shown = [
            self.simulator.show_message(message)
            for message in self.simulator.state.messages.values()
            if wanted.get("phone_number_id", message.number_id) == message.number_id
            and wanted.get("direction", message.direction) == message.direction
            and wanted.get("customer", message.customer) == message.customer
        ]
        return _rows(shown[-_limit(request) :])

    async def list_requests(self, request: Request) -> Response:
        """List the calls that Graph received, the newest last."""
        wanted = request.query_params
        since = int(wanted.get("since", 0))
        shown = [
            call.to_json()
            for call in self.simulator.requests
            if call.id > since
            and wanted.get("edge", call.edge) == call.edge
            and wanted.get("object_id", call.object_id) == call.object_id
            and wanted.get("method", call.method) == call.method
        ]
        return _rows(shown[-_limit(request) :])

    async def list_deliveries(self, request: Request) -> Response:
        """List the deliveries with their attempts, the newest last."""
        wanted = request.query_params
        since = int(wanted.get("since", 0))
        shown = [
            delivery.to_json()
            for delivery in self.simulator.deliveries.log
            if delivery.id > since
            and wanted.get("state", delivery.state) == delivery.state
            and wanted.get("app_id", delivery.app_id) == delivery.app_id
            and wanted.get("field", delivery.fields[0]) in delivery.fields
        ]
        return _rows(shown[-_limit(request) :])

    async def stream(self, _request: Request) -> Response:
        """Stream everything that happens, as server-sent events."""
        queue = self.simulator.watch()

        async def events() -> AsyncIterator[str]:
            yield ": connected\n\n"
            try:
                while True:
                    try:
                        kind, content = await asyncio.wait_for(queue.get(), _HEARTBEAT_SECONDS)
                    except TimeoutError:
                        yield ": still here\n\n"
                        continue
                    yield f"event: {kind}\ndata: {json.dumps(content)}\n\n"
            finally:
                self.simulator.unwatch(queue)

        return StreamingResponse(
            events(), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    # Faults

    async def create_fault(self, request: Request) -> Response:
        """Add a rule."""
        wanted = await _body(request)
        _only(wanted, [member.name for member in fields(Fault) if member.name not in ("id", "used")])
        fault = self.simulator.faults.add(Fault(id=f"fault-{self.simulator.ids.digits(8)}", **wanted))
        return _json(fault.to_json(), 201)

    async def list_faults(self, _request: Request) -> Response:
        """List the rules that are left."""
        return _rows(fault.to_json() for fault in self.simulator.faults.rules)

    async def clear_faults(self, _request: Request) -> Response:
        """Take all rules away."""
        self.simulator.faults.clear()
        return _json({"success": True})

    async def delete_fault(self, request: Request) -> Response:
        """Take one rule away."""
        if not self.simulator.faults.remove(request.path_params["id"]):
            raise HTTPException(404, "There is no such fault.")
        return _json({"success": True})

    # Finding

    async def _change(self, request: Request, shelf: dict[str, Any]) -> Response:
        thing = shelf.get(request.path_params["id"])
        if thing is None:
            raise HTTPException(404, "There is nothing with this id.")
        _assign(thing, await _body(request))
        self.simulator.changed()
        return _json(asdict(thing))

    def _number(self, number_id: str) -> Number:
        number = self.simulator.state.numbers.get(number_id)
        if number is None:
            raise HTTPException(404, f"There is no number with the id {number_id}.")
        return number

    def _number_for(self, wanted: dict[str, Any]) -> Number:
        number_id = wanted.pop("phone_number_id", None)
        if number_id is not None:
            return self._number(str(number_id))
        digits = phones.digits_of(str(wanted.pop("to", "")))
        numbers = list(self.simulator.state.numbers.values())
        fitting = [number for number in numbers if number.phone_number == digits] if digits else numbers
        if len(fitting) != 1:
            raise Refused("Say by `phone_number_id` or `to` which number is written to.")
        return fitting[0]

    def _customer_for(self, sender: dict[str, Any], waba: Waba) -> Customer:
        if not sender.get("phone_number") and not sender.get("phone") and not sender.get("bsuid"):
            sender["phone_number"] = "15550100001"
            sender.setdefault("name", "Test Customer")
        return self.simulator.create_customer(business_id=waba.business_id, **sender)

    def _waba(self, waba_id: str) -> Waba:
        waba = self.simulator.state.wabas.get(waba_id)
        if waba is None:
            raise HTTPException(404, f"There is no WABA with the id {waba_id}.")
        return waba

    def _message(self, message_id: str) -> Message:
        message = self.simulator.state.messages.get(message_id)
        if message is None:
            raise HTTPException(404, "There is no such message.")
        return message


async def raw_delivery(simulator: Simulator, wanted: dict[str, Any]) -> dict[str, Any]:
    """Deliver a payload or a body as it is, wait for the first attempt, and return the delivery.

    `signature`: `valid` (default), `missing`, `wrong`, `uppercase`, `truncated`, `other_body`,
    `no_prefix`, or any text that is sent as it is.
    """
    from local.graph import wire

    app_id = str(wanted.get("app_id") or simulator.platform_app.id)
    app = simulator.state.apps.get(app_id)
    secret = wanted.get("secret") or (app.secret if app else "")
    url = wanted.get("url") or (app.callback_url if app else None)
    if not url:
        raise Refused("Say by `url` where to deliver, or give the app a `callback_url`.")
    body = (
        str(wanted["body"]).encode("utf-8", "surrogatepass")
        if "body" in wanted
        else wire.to_webhook(wanted.get("payload", {}))
    )
    headers = simulator.deliveries.headers_for(str(secret), body)
    _spoil(headers, str(wanted.get("signature", "valid")), str(secret), body)
    for name, value in (wanted.get("headers") or {}).items():
        headers = {kept: old for kept, old in headers.items() if kept.lower() != name.lower()}
        if value is not None:
            headers[name] = str(value)
    delivery = simulator.deliveries.send_raw(
        app_id, str(url), body, headers, retries=bool(wanted.get("retries", False))
    )
    async with asyncio.timeout(simulator.settings.delivery_timeout + 1.0):
        while not delivery.attempts:  # noqa: ASYNC110 - an event per delivery would cost every delivery
            await asyncio.sleep(0.002)
    return delivery.to_json()


def _spoil(headers: dict[str, str], way: str, secret: str, body: bytes) -> None:
    from local.graph import wire

    right = wire.signature(secret, body)
    ways = {
        "valid": right,
        "wrong": wire.signature(secret + "-not", body),
        "uppercase": "sha256=" + right.removeprefix("sha256=").upper(),
        "truncated": right[:-1],
        "other_body": wire.signature(secret, body + b" "),
        "no_prefix": right.removeprefix("sha256="),
    }
    if way == "missing":
        headers.pop("X-Hub-Signature-256")
        headers.pop("X-Hub-Signature")
    else:
        headers["X-Hub-Signature-256"] = ways.get(way, way)


def _show_customer(customer: Customer) -> dict[str, Any]:
    return asdict(customer)


def _assign(thing: Any, wanted: dict[str, Any]) -> None:
    _only(wanted, [member.name for member in fields(thing) if member.name not in ("id", "value")])
    for name, value in wanted.items():
        setattr(thing, name, value)


def _only(wanted: dict[str, Any], names: Iterable[str]) -> None:
    known = list(names)
    for name in wanted:
        if name not in known:
            raise Refused(f"There is no {name!r} here; there is {', '.join(known)}.")


def _limit(request: Request) -> int:
    return max(1, min(int(request.query_params.get("limit", _DEFAULT_ROWS)), _MOST_ROWS))


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refused(f"The body is not JSON: {error}.") from None
    if not isinstance(body, dict):
        raise Refused("The body must be a JSON object.")
    return body


def _json(value: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(value, status_code=status)


def _rows(rows: Iterable[dict[str, Any]]) -> JSONResponse:
    return JSONResponse({"data": list(rows)})
