"""Webhooks on their way: whom they go to, signing, sending, trying again.

Edge: it plans on the agenda and sends through a `Sender`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from local.graph import webhooks, wire
from local.graph.senders import USER_AGENT, NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.graph.clock import Agenda, Clock
    from local.graph.ids import Ids
    from local.graph.senders import Sender
    from local.graph.settings import Settings
    from local.graph.state import App, Number, State

MOST_DELIVERIES, MOST_BYTES = 5_000, 128 * 1024 * 1024
_OK = 200
_RESPONSE_KEPT = 300


class Telling(Protocol):
    """Something that can be shown in the live log."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        ...


@dataclass(kw_only=True, slots=True)
class Delivery:
    """One POST to one callback, with all its attempts."""

    id: int
    app_id: str
    url: str
    fields: list[str]
    body: bytes
    headers: dict[str, str]
    created_at: float
    state: str = "pending"
    """pending, delivered, retrying, given_up, or not_sent with its reason."""
    reason: str | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)
    next_attempt_at: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the delivery with the text that was signed."""
        return {
            "id": self.id,
            "app_id": self.app_id,
            "url": self.url,
            "fields": self.fields,
            "state": self.state,
            "reason": self.reason,
            "created_at": self.created_at,
            "next_attempt_at": self.next_attempt_at,
            "headers": self.headers,
            "body": self.body.decode("utf-8", "replace"),
            "attempts": self.attempts,
        }


class Deliveries:
    """Everything that was or will be delivered; the newest are kept."""

    def __init__(
        self,
        *,
        state: State,
        settings: Settings,
        clock: Clock,
        agenda: Agenda,
        ids: Ids,
        sender: Sender,
        tell: Callable[[str, Telling], None],
    ) -> None:
        self.log: deque[Delivery] = deque()
        self.sender = sender
        self._state = state
        self._settings = settings
        self._clock = clock
        self._agenda = agenda
        self._ids = ids
        self._tell = tell
        self._waiting: deque[Delivery] = deque()
        self._busy: set[asyncio.Task[None]] = set()
        self._batches: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
        self._count = 0
        self._kept_bytes = 0
        self.counts = {"delivered": 0, "attempts": 0, "not_sent": 0, "given_up": 0}

    @property
    def open_count(self) -> int:
        """Count what is being sent or waits for a free connection; planned retries are not counted."""
        return len(self._busy) + len(self._waiting) + sum(len(batch) for batch in self._batches.values())

    def use(self, state: State, settings: Settings) -> None:
        """Work on another state, after a reset."""
        self._state, self._settings = state, settings

    def publish(
        self,
        waba_id: str,
        field_name: str,
        value: dict[str, Any],
        number: Number | None = None,
        entry_time: int | None = None,
        entry_id: str | None = None,
    ) -> None:
        """Send a change to every app that wants it: by its number, its WABA or its app's callback."""
        waba = self._state.wabas.get(waba_id)
        payload = webhooks.envelope(entry_id or waba_id, field_name, value, entry_time)
        if waba is None or not waba.subscriptions:
            self._note_not_sent("", field_name, payload, "No app is subscribed to this WABA.")
            return
        for app_id, override in waba.subscriptions.items():
            app = self._state.apps.get(app_id)
            if app is None:
                continue
            url = None
            if field_name in self._settings.override_fields:
                url = (number.overrides.get(app_id) if number else None) or override
            reason = self._reason_not_to_send(app, field_name, url)
            if reason:
                self._note_not_sent(app_id, field_name, payload, reason)
            else:
                self._enqueue(app, url or app.callback_url or "", field_name, payload)

    def send_raw(
        self,
        app_id: str,
        url: str,
        body: bytes,
        headers: dict[str, str],
        *,
        fields: list[str] | None = None,
        retries: bool = True,
    ) -> Delivery:
        """Send a body as it is, with the headers given."""
        delivery = self._new(app_id, url, fields or ["raw"], body, headers)
        if not retries:
            delivery.reason = "no_retry"
        self._start(delivery)
        return delivery

    def headers_for(self, secret: str, body: bytes) -> dict[str, str]:
        """Return the headers of a delivery, signed over exactly these bytes."""
        return {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            "X-Hub-Signature": wire.legacy_signature(secret, body),
            "X-Hub-Signature-256": wire.signature(secret, body),
        }

    def retry_now(self, delivery_id: int) -> bool:
        """Try a delivery again at once; False if it is not kept any more."""
        for delivery in self.log:
            if delivery.id == delivery_id and delivery.state != "not_sent":
                self._start(delivery)
                return True
        return False

    async def close(self) -> None:
        """End what is being sent."""
        self._waiting.clear()
        for task in list(self._busy):
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        await self.sender.close()

    def clear(self) -> None:
        """Forget all deliveries and send none of those that wait."""
        self.clear_log()
        self._waiting.clear()
        self._batches.clear()

    def clear_log(self) -> None:
        """Forget what was delivered; what waits is sent all the same."""
        self.log.clear()
        self._kept_bytes = 0

    def _reason_not_to_send(self, app: App, field_name: str, url: str | None) -> str | None:
        if not app.is_live:
            return "The app is in development mode."
        if field_name not in app.fields:
            return f"The app does not subscribe to {field_name}."
        if not (url or app.callback_url):
            return "The app has no callback URL."
        return None

    def _note_not_sent(self, app_id: str, field_name: str, payload: dict[str, Any], reason: str) -> None:
        delivery = self._new(app_id, "", [field_name], wire.to_webhook(payload), {})
        delivery.state, delivery.reason = "not_sent", reason
        self.counts["not_sent"] += 1
        self._tell("delivery", delivery)

    def _enqueue(self, app: App, url: str, field_name: str, payload: dict[str, Any]) -> None:
        if self._settings.batch_max <= 1:
            self._deliver(app, url, [field_name], payload)
            return
        key = (app.id, url)
        batch = self._batches.setdefault(key, [])
        batch.append((field_name, payload))
        if len(batch) >= self._settings.batch_max:
            self._flush(app, url)
        elif len(batch) == 1:
            self._agenda.plan(self._settings.batch_within, lambda: self._flush(app, url))

    def _flush(self, app: App, url: str) -> None:
        batch = self._batches.pop((app.id, url), [])
        if batch:
            merged = webhooks.merge([payload for _, payload in batch], self._settings.batch_shape)
            self._deliver(app, url, sorted({name for name, _ in batch}), merged)

    def _deliver(self, app: App, url: str, names: list[str], payload: dict[str, Any]) -> None:
        body = wire.to_webhook(payload)
        headers = self.headers_for(app.secret, body)
        for _ in range(1 + self._settings.duplicates):
            delivery = self._new(app.id, url, names, body, headers)
            if self._settings.shuffle_within:
                delay = self._ids.uniform(self._settings.shuffle_within)
                self._agenda.plan(delay, lambda delivery=delivery: self._start(delivery))  # type: ignore[misc]
            else:
                self._start(delivery)

    def _new(self, app_id: str, url: str, names: list[str], body: bytes, headers: dict[str, str]) -> Delivery:
        self._count += 1
        delivery = Delivery(
            id=self._count,
            app_id=app_id,
            url=url,
            fields=names,
            body=body,
            headers=headers,
            created_at=self._clock.now(),
        )
        self._keep(delivery)
        return delivery

    def _keep(self, delivery: Delivery) -> None:
        """Keep a delivery for readers of the log; the oldest go when there are too many, or too much."""
        self._kept_bytes += len(delivery.body)
        self.log.append(delivery)
        while self._kept_bytes > MOST_BYTES or len(self.log) > MOST_DELIVERIES:
            self._kept_bytes -= len(self.log.popleft().body)

    def _start(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)
        if len(self._busy) < self._settings.deliveries_at_once:
            task = asyncio.get_running_loop().create_task(self._work())
            self._busy.add(task)

    async def _work(self) -> None:
        """Send what waits, one after another; several of these run at once."""
        try:
            while self._waiting:
                await self._attempt(self._waiting.popleft())
        finally:
            # At once, not by a callback: what is started in between would wait for a worker that is gone.
            self._busy.discard(asyncio.current_task())

    async def _attempt(self, delivery: Delivery) -> None:
        started = time.perf_counter()
        attempt: dict[str, Any] = {"at": self._clock.now()}
        self.counts["attempts"] += 1
        try:
            status, answer = await self.sender.send(
                "POST", delivery.url, delivery.headers, delivery.body, self._settings.delivery_timeout
            )
            attempt["status"] = status
            if answer:
                attempt["response"] = answer[:_RESPONSE_KEPT].decode("utf-8", "replace")
        except NoAnswer as error:
            status = 0
            attempt["error"] = str(error)
        attempt["duration_ms"] = round((time.perf_counter() - started) * 1000, 1)
        delivery.attempts.append(attempt)
        if status == _OK:
            delivery.state, delivery.next_attempt_at = "delivered", None
            self.counts["delivered"] += 1
        else:
            self._plan_retry(delivery)
        self._tell("delivery", delivery)

    def _plan_retry(self, delivery: Delivery) -> None:
        delays = self._settings.retry_delays
        tried = len(delivery.attempts)
        delay = delays[tried - 1] if tried <= len(delays) else self._settings.retry_every
        now = self._clock.now()
        if delivery.reason == "no_retry" or now + delay - delivery.created_at > self._settings.retry_for:
            delivery.state, delivery.next_attempt_at = "given_up", None
            self.counts["given_up"] += 1
            return
        delivery.state, delivery.next_attempt_at = "retrying", now + delay
        self._agenda.plan(delay, lambda: self._start(delivery))
