"""Receivers to examine: one that does everything right, and ways to spoil it."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any

import httpx

SECRET, VERIFY_TOKEN = "0123456789abcdef0123456789abcdef", "verify-me"
LARGEST = 4_000_000


@dataclass
class Receiver:
    """Keeps messages in memory, by id. A spoiled one has the name of what it does wrong in `faults`."""

    faults: frozenset[str] = frozenset()
    messages: dict[str, int] = field(default_factory=dict)
    is_store_down: bool = False

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return self._shake_hands(request)
        body = await request.aread()
        if "no signature check" not in self.faults and not self._is_signed(request, body):
            expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            return httpx.Response(401, text=expected if "tells the signature" in self.faults else "")
        if "acknowledges before storing" in self.faults and self.is_store_down:
            return httpx.Response(200)
        if self.is_store_down:
            return httpx.Response(503)
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            return httpx.Response(500 if "falls over bad JSON" in self.faults else 200)
        self._keep(payload)
        return httpx.Response(200)

    def _shake_hands(self, request: httpx.Request) -> httpx.Response:
        asked = request.url.params
        is_known = asked.get("hub.verify_token") == VERIFY_TOKEN or "takes any token" in self.faults
        challenge = asked.get("hub.challenge", "")
        if not is_known or not challenge.isdigit():
            return httpx.Response(403)
        return httpx.Response(200, text=challenge)

    def _is_signed(self, request: httpx.Request, body: bytes) -> bool:
        given = dict(request.headers.raw).get(b"X-Hub-Signature-256", b"")
        if "parses before verifying" in self.faults:
            body = json.dumps(json.loads(body)).encode()
        right = b"sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest().encode()
        return hmac.compare_digest(given, right)

    def _keep(self, payload: Any) -> None:
        messages = list(_messages(payload))
        if "reads the first only" in self.faults:
            messages = messages[:1]
        for message in messages:
            again = self.messages.get(message, 0)
            self.messages[message] = again + 1 if "keeps duplicates" in self.faults else 1

    async def count(self, keys: list[str]) -> dict[str, int]:
        """Answer how often each is stored."""
        return {key: self.messages.get(key, 0) for key in keys}

    async def break_store(self) -> None:
        self.is_store_down = True

    async def mend_store(self) -> None:
        self.is_store_down = False

    async def crash(self) -> None:
        """Come back with what was stored, as a process on a database would."""


def _messages(payload: Any) -> Any:
    """Yield the ids of the messages in whatever came."""
    for entry in _list(payload, "entry"):
        for change in _list(entry, "changes"):
            for message in _list(change.get("value") if isinstance(change, dict) else None, "messages"):
                if isinstance(message, dict) and isinstance(message.get("id"), str):
                    yield message["id"]


def _list(thing: Any, name: str) -> list[Any]:
    rows = thing.get(name) if isinstance(thing, dict) else None
    return rows if isinstance(rows, list) else []
