"""The simulated Meta: state, time, faults, and what people and businesses do in it.

Edge where it delivers and saves; everything else works on the state alone.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections import deque
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from local.graph import ids as identifiers
from local.graph import phones, webhooks
from local.graph.clock import Agenda, Clock
from local.graph.deliveries import Deliveries, Telling
from local.graph.errors import to_status_error
from local.graph.faults import Faults
from local.graph.ids import Ids
from local.graph.senders import HttpxSender, NoAnswer, Sender, StreamSender
from local.graph.settings import Settings
from local.graph.state import (
    App,
    Customer,
    Media,
    Message,
    Number,
    State,
    Template,
    Token,
    Waba,
)

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

Thing = TypeVar("Thing")

MOST_REQUESTS = 5_000
DAY = 86_400.0
WINDOW = DAY
_PHONE_VISIBLE_FOR = 30 * DAY
_MEDIA_TYPES = ("image", "video", "audio", "document", "sticker", "voice")
_SAVE_AFTER_SECONDS = 1.0
_HANDSHAKE_TIMEOUT = 10.0
_OK = 200


@dataclass(kw_only=True, slots=True)
class Request:
    """One call that Graph received, as it was answered."""

    id: int
    at: float
    method: str
    path: str
    query: str
    edge: str
    object_id: str
    headers: dict[str, str]
    body: str
    status: int = 0
    answer: str = ""
    duration_ms: float = 0.0
    fault: str | None = None
    error_code: int | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the request for the control API."""
        return {member.name: getattr(self, member.name) for member in fields(self)}


@dataclass(kw_only=True)
class Event:
    """Something for the live log that is neither a request nor a delivery."""

    content: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return what happened."""
        return self.content


class Refused(ValueError):
    """The control API was asked for something that cannot be; the sentence says why."""


class Simulator:
    """A Meta of your own. Give it to `create_simulator`, or use it directly in a test."""

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        clock: Clock | None = None,
        seed: int | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sender: Sender | None = None,
        state_file: Path | None = None,
        base_url: str = "http://127.0.0.1",
    ) -> None:
        self.settings = settings or Settings()
        self.clock = clock or Clock()
        self.ids = Ids(seed)
        self.state = State()
        self.faults = Faults()
        self.base_url = base_url
        self.requests: deque[Request] = deque(maxlen=MOST_REQUESTS)
        self.request_count = 0
        self.platform_app_id: str | None = None
        self.calls: dict[str, deque[float]] = {}
        self.sent: dict[str, deque[float]] = {}
        self.pairs: dict[tuple[str, str], float] = {}
        self.opened: dict[str, dict[str, float]] = {}
        """Portfolio id → people to whom it wrote first, and when."""
        self._agenda = Agenda(self.clock)
        self._watchers: set[asyncio.Queue[tuple[str, dict[str, Any]]]] = set()
        self._state_file = state_file
        self._fetching: set[asyncio.Task[None]] = set()
        self.calls_under_way = 0
        self._save_timer: asyncio.TimerHandle | None = None
        self._platform: dict[str, str | None] = {}
        self.deliveries = Deliveries(
            state=self.state,
            settings=self.settings,
            clock=self.clock,
            agenda=self._agenda,
            ids=self.ids,
            sender=sender or (HttpxSender(transport) if transport else StreamSender()),
            tell=self.tell,
        )
        if state_file and state_file.exists():
            self._load(state_file)

    # Life

    def set_platform_app(
        self, app_id: str, secret: str, verify_token: str | None = None, callback_url: str | None = None
    ) -> App:
        """Make the app that tokens and new WABAs belong to unless another is named."""
        self._platform = {
            "app_id": app_id,
            "secret": secret,
            "verify_token": verify_token,
            "callback_url": callback_url,
        }
        kept = self.state.apps.get(app_id)
        app = kept or App(id=app_id, secret=secret, name="Platform")
        app.secret, app.verify_token, app.callback_url = secret, verify_token, callback_url
        self.state.apps[app_id] = app
        self.platform_app_id = app_id
        self.changed()
        return app

    @property
    def platform_app(self) -> App:
        """Return the platform's app, made on first use."""
        if self.platform_app_id is None:
            return self.set_platform_app(self.ids.object_id(), self.ids.secret(), "verify-me")
        return self.state.apps[self.platform_app_id]

    def reset(self) -> None:
        """Forget everything but the platform's app; settings return to their defaults."""
        self._agenda.clear()
        self.state = State()
        self.settings = Settings()
        self.deliveries.clear()
        self.deliveries.use(self.state, self.settings)
        self.faults.clear()
        self.requests.clear()
        self.calls.clear()
        self.sent.clear()
        self.pairs.clear()
        self.opened.clear()
        self.platform_app_id = None
        if self._platform:
            self.set_platform_app(**self._platform)  # type: ignore[arg-type]
        self.changed()

    async def settle(self, *, within: float = 10.0, horizon: float = 0.6) -> bool:
        """Wait until no call is under way, nothing is sent, and nothing is due within the horizon (seconds).

        Returns False if that did not happen in time; planned retries further away do not count.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + within
        while loop.time() < end:
            due = self._agenda.next_due()
            is_idle = self.calls_under_way == 0 and self.deliveries.open_count == 0 and not self._fetching
            if is_idle and (due is None or due > horizon):
                return True
            await asyncio.sleep(0.005)
        return False

    async def close(self) -> None:
        """Stop planning and sending, and save."""
        self._agenda.stop()
        for task in list(self._fetching):
            task.cancel()
        await self.deliveries.close()
        if self._save_timer is not None:
            self._save_timer.cancel()
            self._save_timer = None
        self.save()

    def move_clock(self, *, to: float | None = None, by: float = 0.0, speed: float | None = None) -> None:
        """Move the time; what became due happens."""
        self.clock.move(to=to, by=by, speed=speed)
        self._agenda.wind()

    def changed(self) -> None:
        """Plan to save the state, if it lives in a file."""
        if self._state_file is None or self._save_timer is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.save()
            return
        self._save_timer = loop.call_later(_SAVE_AFTER_SECONDS, self._save_now)

    def save(self) -> None:
        """Write the state to its file, whole or not at all."""
        if self._state_file is None:
            return
        snapshot = self.state.to_json()
        snapshot["platform_app_id"] = self.platform_app_id
        draft = self._state_file.with_suffix(".tmp")
        draft.write_text(json.dumps(snapshot))
        draft.replace(self._state_file)

    def _save_now(self) -> None:
        self._save_timer = None
        self.save()

    def _load(self, path: Path) -> None:
        snapshot = json.loads(path.read_text())
        self.state = State.from_json(snapshot)
        self.platform_app_id = snapshot.get("platform_app_id")
        self.deliveries.use(self.state, self.settings)

    # The live log

    def watch(self) -> asyncio.Queue[tuple[str, dict[str, Any]]]:
        """Return a queue that gets everything that happens from now on."""
        queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(maxsize=1000)
        self._watchers.add(queue)
        return queue

    def unwatch(self, queue: asyncio.Queue[tuple[str, dict[str, Any]]]) -> None:
        """Stop filling a queue."""
        self._watchers.discard(queue)

    def tell(self, kind: str, thing: Telling) -> None:
        """Show something to all watchers; a watcher that is too slow misses it."""
        if not self._watchers:
            return
        content = thing.to_json()
        for queue in self._watchers:
            if not queue.full():
                queue.put_nowait((kind, content))

    def plan(self, delay: float, action: Any) -> None:
        """Do something later, in simulated seconds."""
        self._agenda.plan(delay, action)

    @property
    def planned_count(self) -> int:
        """Count what is planned."""
        return len(self._agenda)

    # Creating

    def create_app(self, **wanted: Any) -> App:
        """Create an app."""
        values = _known(App, wanted)
        values.setdefault("id", self.ids.object_id())
        values.setdefault("secret", self.ids.secret())
        return self._keep(self.state.apps, App(**values), values["id"])

    def create_waba(self, **wanted: Any) -> Waba:
        """Create a WABA; `subscribed_apps` lists the apps that get its webhooks."""
        subscribed = wanted.pop("subscribed_apps", None) or []
        values = _known(Waba, wanted)
        values.setdefault("id", self.ids.object_id())
        values.setdefault("business_id", self.ids.object_id())
        values.setdefault("message_template_namespace", self._namespace())
        waba = self._keep(self.state.wabas, Waba(**values), values["id"])
        for app_id in subscribed:
            if app_id not in self.state.apps:
                raise Refused(f"There is no app {app_id}.")
            waba.subscriptions[app_id] = None
        self._add_sample_template(waba)
        return waba

    def create_number(self, **wanted: Any) -> Number:
        """Create a number; `registered`, `coexistence`, `throughput` and `test` set several fields."""
        is_registered = wanted.pop("registered", True)
        is_coexistence = wanted.pop("coexistence", False)
        throughput = wanted.pop("throughput", None)
        is_test = wanted.pop("test", False)
        if wanted.get("waba_id") not in self.state.wabas:
            raise Refused("`waba_id` must name a WABA that exists.")
        values = _known(Number, wanted)
        digits = phones.digits_of(str(values.get("phone_number") or f"1555010{self.ids.digits(4)}"))
        values["phone_number"] = digits
        values.setdefault("id", self.ids.object_id())
        values.setdefault("display_phone_number", phones.shown(digits))
        values.setdefault("onboarded_at", self.clock.now())
        values.setdefault("last_onboarded_time", self.clock.now() if is_registered else None)
        values.setdefault("status", "CONNECTED" if is_registered else "DISCONNECTED")
        if not is_registered:
            values.setdefault("platform_type", "NOT_APPLICABLE")
            values.setdefault("throughput_level", "NOT_APPLICABLE")
        if throughput:
            values["throughput_level"] = throughput.upper()
        if is_coexistence:
            values.setdefault("is_on_biz_app", True)
        if is_test:
            values.setdefault("account_mode", "SANDBOX")
            values.setdefault("allowed_recipients", [])
            values.setdefault("name_status", "AVAILABLE_WITHOUT_REVIEW")
        if values.get("pin"):
            values.setdefault("is_pin_enabled", True)
        return self._keep(self.state.numbers, Number(**values), values["id"])

    def create_token(self, **wanted: Any) -> Token:
        """Create a token; `expires_in` seconds, `waba_ids` (null for all), `scopes`, `type`."""
        expires_in = wanted.pop("expires_in", None)
        values = _known(Token, wanted)
        values.setdefault("app_id", self.platform_app.id)
        if values["app_id"] not in self.state.apps:
            raise Refused(f"There is no app {values['app_id']}.")
        values.setdefault("value", self.ids.token())
        values.setdefault("user_id", self.ids.object_id())
        values.setdefault("issued_at", float(int(self.clock.now())))
        if expires_in is not None:
            values["expires_at"] = float(int(self.clock.now() + expires_in))
        token = Token(**values)
        self.state.tokens[token.value] = token
        self.state.users.setdefault(token.user_id, "System User")
        self.changed()
        return token

    def create_business(self, **wanted: Any) -> dict[str, Any]:
        """Create a WABA with one number and a token that opens it, and answer all ids.

        `own_app` gives the business a Meta app of its own; `subscribed` subscribes the app to the WABA.
        """
        has_own_app = wanted.pop("own_app", False)
        is_subscribed = wanted.pop("subscribed", False)
        name = wanted.pop("name", None) or wanted.get("verified_name") or "Test Business"
        wanted.setdefault("verified_name", name)
        app = self._app_for(wanted, has_own_app=has_own_app)
        waba_values = {key: wanted.pop(key) for key in list(wanted) if key in _WABA_KEYS}
        if "waba_id" in wanted:
            waba_values["id"] = wanted.pop("waba_id")
        token_values = {key: wanted.pop(key) for key in list(wanted) if key in _TOKEN_KEYS}
        if "access_token" in wanted:
            token_values["value"] = wanted.pop("access_token")
        if "phone_number_id" in wanted:
            wanted["id"] = wanted.pop("phone_number_id")
        _known(Number, {key: value for key, value in wanted.items() if key not in _NUMBER_SHORTCUTS})
        waba_values.setdefault("name", name)
        waba_values.setdefault("business_name", name)
        waba = self.create_waba(**waba_values)
        number = self.create_number(waba_id=waba.id, **wanted)
        token = self.create_token(app_id=app.id, waba_ids=[waba.id], **token_values)
        if is_subscribed:
            waba.subscriptions[app.id] = None
        return {
            "app_id": app.id,
            "app_secret": app.secret,
            "webhook_verify_token": app.verify_token,
            "business_id": waba.business_id,
            "waba_id": waba.id,
            "phone_number_id": number.id,
            "phone_number": number.phone_number,
            "display_phone_number": number.display_phone_number,
            "access_token": token.value,
            "pin": number.pin,
        }

    def create_customer(self, **wanted: Any) -> Customer:
        """Create a person, or change one that is known by the same phone number or id."""
        phone = phones.digits_of(str(wanted.pop("phone_number", None) or wanted.pop("phone", None) or ""))
        bsuid = wanted.pop("bsuid", None)
        business_id = wanted.pop("business_id", None)
        hidden = wanted.pop("hidden", None)
        known = (self.state.find_customer(phone) if phone else None) or (
            self.state.find_customer(bsuid) if bsuid else None
        )
        values = _known(Customer, wanted)
        if hidden is not None:
            values["is_phone_hidden"] = bool(hidden)
        if known is None:
            key = phone or bsuid or f"person-{self.ids.object_id()}"
            country = phones.country_of(phone) if phone else (bsuid or "US").split(".")[0]
            values.setdefault("country", country)
            known = Customer(key=key, phone_number=phone or None, **values)
        else:
            for name, value in values.items():
                setattr(known, name, value)
            if phone:
                known.phone_number = phone
        if bsuid and business_id:
            known.bsuids[business_id] = bsuid
        self.state.add_customer(known)
        self.changed()
        return known

    def customer_by(self, name: str, waba: Waba) -> Customer:
        """Return the person whom a business writes to, made on first use: everybody has WhatsApp here."""
        customer = self.state.find_customer(name)
        if customer is None:
            is_phone = name.isdigit()
            customer = Customer(
                key=name,
                phone_number=name if is_phone else None,
                country=phones.country_of(name) if is_phone else name.split(".", maxsplit=1)[0],
            )
            if not is_phone:
                customer.bsuids[waba.business_id] = name
        return self.introduce(customer, waba)

    def introduce(self, customer: Customer, waba: Waba) -> Customer:
        """Give a person an id in a portfolio, if there is none yet."""
        if waba.business_id not in customer.bsuids or customer.key not in self.state.customers:
            customer.bsuids.setdefault(
                waba.business_id, identifiers.bsuid(customer.country, waba.business_id, customer.key)
            )
            self.state.add_customer(customer)
        return customer

    def add_media(
        self, number: Number, content: bytes, mime_type: str, filename: str | None, lifetime: float
    ) -> Media:
        """Keep bytes under a media id."""
        media = Media(
            id=self.ids.object_id(),
            waba_id=number.waba_id,
            number_id=number.id,
            mime_type=mime_type,
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
            filename=filename,
            created_at=self.clock.now(),
            lives_until=self.clock.now() + lifetime,
        )
        self.state.make_room(len(content))
        return self._keep(self.state.media, media, media.id)

    def media_url(self, media: Media) -> str:
        """Return a URL to bytes that works for five minutes."""
        expires = int(self.clock.now() + self.settings.media_url_lifetime)
        return (
            f"{self.base_url}/whatsapp_business/attachments/?mid={media.id}&ext={expires}"
            f"&hash={self.media_hash(media, expires)}"
        )

    def media_hash(self, media: Media, expires: int) -> str:
        """Return what makes a media URL unguessable."""
        digest = hashlib.sha256(f"{media.id}:{expires}:{media.sha256}".encode()).digest()
        return "AT" + base64.urlsafe_b64encode(digest).decode()[:44]

    # What customers do

    def write_as_customer(self, number: Number, customer: Customer, wanted: dict[str, Any]) -> Message:
        """Let a person send a message of any type; `wanted` holds `type` and the content under that name.

        Media may be given as `data_base64` (with `mime_type` and `filename`); else a small file is made.
        """
        waba = self.state.wabas[number.waba_id]
        self.introduce(customer, waba)
        kind = str(wanted.get("type") or ("text" if "text" in wanted else "unknown"))
        content = wanted.get(kind, {})
        if kind == "text" and isinstance(content, str):
            content = {"body": content}
        if kind in _MEDIA_TYPES:
            content = self._incoming_media(number, kind, dict(content))
        shows_phone = self.shows_phone(number, customer)
        user = (customer.phone_number if shows_phone else None) or customer.bsuids[waba.business_id]
        now = self.clock.now()
        told: dict[str, Any] = {
            "id": wanted.get("id") or self.ids.incoming_wamid(user),
            "timestamp": str(wanted.get("timestamp") or int(now)),
        }
        reply_to = wanted.get("context")
        if reply_to:
            told["context"] = self._incoming_context(number, dict(reply_to))
        for extra in ("referral", "errors", "group_id", "identity"):
            if extra in wanted:
                told[extra] = wanted[extra]
        if kind == "unsupported" and "errors" not in told:
            told["errors"] = [_unsupported()]
        told["type"] = kind
        if content != {}:
            told[kind] = content
        message = Message(
            id=told["id"],
            number_id=number.id,
            waba_id=waba.id,
            direction="incoming",
            customer=customer.key,
            type=kind,
            content=content if isinstance(content, dict) else {"items": content},
            created_at=now,
            status="received",
            context_id=(reply_to or {}).get("id"),
        )
        self.state.remember(message)
        if kind not in ("reaction", "edit", "revoke", "system", "unsupported"):
            customer.last_wrote_at[number.id] = now
        if customer.key not in number.blocked:
            value = webhooks.incoming(number, waba, customer, told, shows_phone=shows_phone)
            self.deliveries.publish(waba.id, "messages", value, number)
        self.tell("message", Event(content=self.show_message(message)))
        self.changed()
        return message

    def change_phone(self, customer: Customer, phone_number: str) -> list[Message]:
        """Let a person move to another phone number: every business that knows them hears of it.

        The business-scoped ids change with the number. A system message tells both; of a person whose number
        the business does not see, it tells the ids alone.
        """
        old, new = customer.phone_number or customer.key, phones.digits_of(phone_number)
        written = [number for number in self.state.numbers.values() if number.id in customer.last_wrote_at]
        told, bsuids = [], dict[str, str]()
        for number in written:
            business_id = self.state.wabas[number.waba_id].business_id
            previous = customer.bsuids[business_id]
            bsuid = identifiers.bsuid(customer.country, business_id, new)
            system = {"type": "user_changed_user_id", "previous_user_id": previous, "user_id": bsuid}
            before, after = previous, bsuid
            if self.shows_phone(number, customer):
                system |= {"type": "user_changed_number", "wa_id": new}
                before, after = old, new
            system["body"] = f"User {customer.name or ''} changed from {before} to {after}".replace("  ", " ")
            told.append(self.write_as_customer(number, customer, {"type": "system", "system": system}))
            bsuids[business_id] = bsuid
        customer.phone_number, customer.wa_id, customer.bsuids = new, None, bsuids
        customer.parent_bsuids = {}
        self.state.add_customer(customer)
        self.changed()
        return told

    def offboard(self, number: Number, reason: str, initiated_by: str = "USER") -> None:
        """Let the business app's side of a coexistence number disconnect."""
        number.is_on_biz_app, number.status = False, "DISCONNECTED"
        value = {
            "phone_number": number.phone_number,
            "event": "PARTNER_REMOVED",
            "disconnection_info": {"reason": reason, "initiated_by": initiated_by},
        }
        self.publish(self.state.wabas[number.waba_id], "account_update", value, number)
        self.changed()

    def shows_phone(self, number: Number, customer: Customer) -> bool:
        """Tell whether a business sees a person's phone number."""
        if customer.phone_number is None:
            return False
        if not customer.is_phone_hidden:
            return True
        return customer.known_until.get(number.id, 0.0) > self.clock.now()

    def note_phone_use(self, number: Number, customer: Customer) -> None:
        """Remember that a business wrote to a phone number: it stays visible for thirty days."""
        customer.known_until[number.id] = self.clock.now() + _PHONE_VISIBLE_FOR

    def is_in_window(self, number: Number, customer: Customer) -> bool:
        """Tell whether the person wrote within the last 24 hours."""
        return self.clock.now() - customer.last_wrote_at.get(number.id, float("-inf")) < WINDOW

    def _incoming_context(self, number: Number, wanted: dict[str, Any]) -> dict[str, Any]:
        if "id" in wanted and "from" not in wanted:
            kept = self.state.messages.get(wanted["id"])
            if kept is None or kept.direction == "outgoing":
                return {"from": number.phone_number, **wanted}
            customer = self.state.customers.get(kept.customer)
            if customer and customer.phone_number:
                return {"from": customer.phone_number, **wanted}
        return wanted

    def _incoming_media(self, number: Number, kind: str, wanted: dict[str, Any]) -> dict[str, Any]:
        given = wanted.pop("data_base64", None)
        if "id" in wanted and given is None:
            return wanted
        mime_type, sample = sample_media("audio" if kind == "voice" else kind)
        content = base64.b64decode(given) if given is not None else sample
        mime_type = wanted.get("mime_type") or mime_type
        media = self.add_media(
            number, content, mime_type, wanted.get("filename"), self.settings.inbound_media_lifetime
        )
        digest = base64.b64encode(bytes.fromhex(media.sha256)).decode()
        told: dict[str, Any] = {
            "mime_type": mime_type,
            "sha256": digest,
            "id": media.id,
            "url": self.media_url(media),
        }
        if kind == "audio":
            told["voice"] = False
        caption = {"caption": wanted.pop("caption")} if "caption" in wanted else {}
        return {**caption, **told, **wanted}

    # What happens to messages of businesses

    def plan_statuses(
        self, message: Message, *, fails: int | None = None, details: str | None = None
    ) -> None:
        """Plan the statuses of a message that was accepted."""
        settings = self.settings
        if fails is not None:
            self.plan(settings.sent_after, lambda: self.fail(message, fails, details))
            return
        delays = {"sent": settings.sent_after, "delivered": settings.delivered_after}
        names = ["sent"] if message.type == "reaction" else list(settings.statuses)
        customer = self.state.customers[message.customer]
        reads = settings.auto_read if customer.reads is None else customer.reads
        if reads and message.type != "reaction" and "read" not in names:
            names.append("read")
        delays["read"] = delays["played"] = settings.delivered_after + settings.read_after
        times = [delays.get(name, settings.read_after) for name in names]
        if settings.reverse_statuses:
            names.reverse()
        for name, delay in zip(names, times, strict=True):
            self.plan(delay, lambda name=name: self.set_status(message, name))

    def fetch_link(self, message: Message) -> None:
        """Download the file that a message names by link; its statuses depend on that."""
        task = asyncio.get_running_loop().create_task(self._fetch(message))
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)

    async def _fetch(self, message: Message) -> None:
        headers = {"Accept": "*/*", "User-Agent": "facebookexternalhit/1.1"}
        try:
            status, _ = await self.deliveries.sender.send(
                "GET", message.content["link"], headers, b"", _HANDSHAKE_TIMEOUT
            )
        except NoAnswer:
            status = 0
        if status == _OK:
            self.plan_statuses(message)
            return
        reason = f"http code {status}, status message {_PHRASES.get(status, 'Unknown')}"
        self.plan_statuses(
            message, fails=131053, details=f"Downloading media from weblink failed with {reason}"
        )

    def set_status(self, message: Message, name: str) -> None:
        """Let a message reach a status and tell the business."""
        self._tell_status(message, name, None)

    def fail(self, message: Message, code: int, details: str | None = None) -> None:
        """Let a message fail and tell the business why."""
        message.error = to_status_error(code, details)
        self._tell_status(message, "failed", message.error)

    def _tell_status(self, message: Message, name: str, error: dict[str, Any] | None) -> None:
        number, waba = self.state.numbers.get(message.number_id), self.state.wabas.get(message.waba_id)
        customer = self.state.customers.get(message.customer)
        if number is None or waba is None or customer is None:
            return
        now = self.clock.now()
        # Statuses may come in any order; what a message has reached it does not lose.
        if _RANKS.get(name, 0) >= _RANKS.get(message.status, 0):
            message.status = name
        message.times.setdefault(name, now)
        app = self.state.apps.get(message.app_id or "")
        value = webhooks.status(
            number,
            waba,
            customer,
            message,
            name,
            int(now),
            has_pricing=name in ("sent", "delivered"),
            webhook_version=app.webhook_version if app else "v26.0",
            is_in_window=self.is_in_window(number, customer),
            error=error,
        )
        self.deliveries.publish(waba.id, "messages", value, number)
        self.tell("message", Event(content=self.show_message(message)))

    def publish(
        self, waba: Waba, field_name: str, value: dict[str, Any], number: Number | None = None
    ) -> None:
        """Tell the subscribed apps about any field; account and template fields get a time in their entry."""
        is_about_messages = "metadata" in value
        self.deliveries.publish(
            waba.id, field_name, value, number, None if is_about_messages else int(self.clock.now())
        )

    def show_message(self, message: Message) -> dict[str, Any]:
        """Return a message for the control API."""
        return {
            "id": message.id,
            "direction": message.direction,
            "phone_number_id": message.number_id,
            "waba_id": message.waba_id,
            "customer": message.customer,
            "type": message.type,
            "content": message.content,
            "status": message.status,
            "times": message.times,
            "created_at": message.created_at,
            "context_id": message.context_id,
            "biz_opaque_callback_data": message.callback_data,
            "is_read_by_business": message.is_read,
            "error": message.error,
        }

    # Callbacks

    async def shake_hands(self, url: str, verify_token: str) -> str | None:
        """Verify a callback as Meta does; return what is wrong with it, or None."""
        import httpx

        challenge = self.ids.digits(10).lstrip("0") or "1"
        asked = httpx.URL(url).copy_merge_params(
            {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        )
        headers = {"Accept": "*/*", "User-Agent": "facebookplatform/1.0 (+http://developers.facebook.com)"}
        try:
            status, body = await self.deliveries.sender.send(
                "GET", str(asked), headers, b"", _HANDSHAKE_TIMEOUT
            )
        except NoAnswer as error:
            return f"curl_errno = 7; curl_error = {error}"
        if status != _OK:
            return f"HTTP Status Code = {status}; HTTP Message = {_PHRASES.get(status, 'Error')}"
        if body.strip() != challenge.encode():
            return "The response does not match the challenge"
        return None

    # Small things

    def _app_for(self, wanted: dict[str, Any], *, has_own_app: bool) -> App:
        app_id = wanted.pop("app_id", None)
        secret = wanted.pop("app_secret", None)
        callback, verify_token = wanted.pop("callback_url", None), wanted.pop("verify_token", None)
        if app_id in self.state.apps:
            return self.state.apps[app_id]
        if not (app_id or has_own_app or callback):
            return self.platform_app
        values = {"id": app_id, "secret": secret, "callback_url": callback, "verify_token": verify_token}
        return self.create_app(**{key: value for key, value in values.items() if value is not None})

    def _add_sample_template(self, waba: Waba) -> None:
        template = Template(
            id=self.ids.object_id(),
            waba_id=waba.id,
            name="hello_world",
            language="en_US",
            category="UTILITY",
            status="APPROVED",
            created_at=self.clock.now(),
            components=[
                {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
                {"type": "BODY", "text": "Welcome! This message shows that your number can send templates."},
                {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"},
            ],
        )
        self.state.templates[template.id] = template

    def _namespace(self) -> str:
        digits = self.ids.mid()
        return "_".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def _keep(self, shelf: dict[str, Thing], thing: Thing, object_id: str) -> Thing:
        if object_id in shelf:
            raise Refused(f"The id {object_id} is taken.")
        shelf[object_id] = thing
        self.changed()
        return thing


_NUMBER_SHORTCUTS = ("registered", "coexistence", "throughput", "test")
_TOKEN_KEYS = ("scopes", "expires_in", "type")
_WABA_KEYS = tuple(
    member.name for member in fields(Waba) if member.name not in ("id", "name", "status", "subscriptions")
)
_RANKS = {"accepted": 0, "sent": 1, "delivered": 2, "read": 3, "played": 4, "failed": 5}
_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    500: "Internal Server Error",
}


def _known(kind: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    names = {member.name for member in fields(kind)}
    for name in wanted:
        if name not in names:
            raise Refused(f"A {kind.__name__.lower()} has no {name!r}; it has {', '.join(sorted(names))}.")
    return {name: value for name, value in wanted.items() if value is not None}


def _unsupported() -> dict[str, Any]:
    error = to_status_error(131051)
    del error["href"]
    return error


def sample_media(kind: str) -> tuple[str, bytes]:
    """Return the MIME type and bytes of a small valid file of a kind."""
    return _SAMPLES[kind]


_PIXEL_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
_PIXEL_WEBP = base64.b64decode("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA")
_EMPTY_PDF = (
    b"%PDF-1.1\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Count 0/Kids[]>>endobj\n%%EOF"
)
_SAMPLES = {
    "image": ("image/png", _PIXEL_PNG),
    "sticker": ("image/webp", _PIXEL_WEBP),
    "audio": ("audio/ogg; codecs=opus", b"OggS\x00\x02" + b"\x00" * 20 + b"\x01\x13OpusHead\x01\x01"),
    "video": ("video/mp4", b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"),
    "document": ("application/pdf", _EMPTY_PDF),
}
