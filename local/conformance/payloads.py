"""The deliveries that the suite makes. No I/O."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from local.graph import ids, wire

CUSTOMER, BSUID = "15550100001", "US.13491208655302741918"
_INCOMING, _OUTGOING = 0x12, 0x11

MESSAGES: dict[str, dict[str, Any]] = {
    "text": {"text": {"body": "¿Tienen pan? 🥖 50% <b> a/b @casa"}},
    "image": {"image": {"mime_type": "image/jpeg", "sha256": "aGFzaA==", "id": "1", "caption": "mira"}},
    "video": {"video": {"mime_type": "video/mp4", "sha256": "aGFzaA==", "id": "2"}},
    "audio": {
        "audio": {"mime_type": "audio/ogg; codecs=opus", "sha256": "aGFzaA==", "id": "3", "voice": True}
    },
    "document": {
        "document": {"mime_type": "application/pdf", "sha256": "aGFzaA==", "id": "4", "filename": "a.pdf"}
    },
    "sticker": {"sticker": {"mime_type": "image/webp", "sha256": "aGFzaA==", "id": "5", "animated": True}},
    "location": {"location": {"latitude": -12.05, "longitude": -77.04, "name": "Lima"}},
    "contacts": {"contacts": [{"name": {"formatted_name": "Ana"}, "phones": [{"phone": "+15550100002"}]}]},
    "interactive": {
        "interactive": {"type": "button_reply", "button_reply": {"id": "si", "title": "Sí"}},
        "context": {"from": "15550100100", "id": "wamid.none"},
    },
    "button": {"button": {"payload": "SI", "text": "Sí"}},
    "reaction": {"reaction": {"message_id": "wamid.none", "emoji": "👍"}},
    "order": {
        "order": {
            "catalog_id": "1",
            "product_items": [
                {"product_retailer_id": "pan", "quantity": 1, "item_price": 3, "currency": "PEN"}
            ],
        }
    },
    "system": {
        "system": {"body": "Ana changed her number", "wa_id": "15550100009", "type": "user_changed_number"}
    },
    "edit": {
        "edit": {"original_message_id": "wamid.none", "message": {"type": "text", "text": {"body": "x"}}}
    },
    "revoke": {"revoke": {"original_message_id": "wamid.none"}},
    "unsupported": {
        "errors": [
            {
                "code": 131051,
                "title": "Unsupported message type",
                "message": "Unsupported message type",
                "error_data": {"details": "Message type is not currently supported."},
            }
        ]
    },
    "hologram_of_2031": {"hologram_of_2031": {"beam": [1, 2, 3]}},
}
"""Every type of message, and one that does not exist yet."""

FIELDS: dict[str, dict[str, Any]] = {
    "message_template_status_update": {
        "event": "APPROVED",
        "message_template_id": 1,
        "message_template_name": "pedido",
        "message_template_language": "es",
        "reason": "NONE",
    },
    "account_update": {"event": "ACCOUNT_RESTRICTION"},
    "phone_number_quality_update": {
        "display_phone_number": "15550100100",
        "event": "FLAGGED",
        "current_limit": "TIER_1K",
    },
    "security": {"display_phone_number": "15550100100", "event": "PIN_RESET_REQUEST"},
    "user_preferences": {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550100100", "phone_number_id": "1"},
        "user_preferences": [{"wa_id": CUSTOMER, "category": "marketing_messages", "value": "stop"}],
    },
    "field_of_2031": {"anything": {"at": ["all"]}},
}
"""Fields that are not about messages, and one that does not exist yet."""


@dataclass(kw_only=True)
class Maker:
    """Makes deliveries for one number."""

    waba_id: str = "102290129340398"
    phone_number_id: str = "106540352242922"
    display_phone_number: str = "15550100100"
    made: list[str] = field(default_factory=list)

    def message(self, kind: str = "text", **changes: Any) -> dict[str, Any]:
        """Return a message of a type with a fresh id."""
        message: dict[str, Any] = {
            "from": CUSTOMER,
            "from_user_id": BSUID,
            "id": ids.wamid(CUSTOMER, "3A" + secrets.token_hex(9).upper(), _INCOMING),
            "timestamp": str(int(time.time())),
            "type": kind,
            **MESSAGES.get(kind, {}),
            **changes,
        }
        return message

    def status(self, name: str, message_id: str | None = None, **changes: Any) -> dict[str, Any]:
        """Return a status of a message that the business sent."""
        status: dict[str, Any] = {
            "id": message_id or ids.wamid(CUSTOMER, secrets.token_hex(9).upper(), _OUTGOING),
            "status": name,
            "timestamp": str(int(time.time())),
            "recipient_id": CUSTOMER,
            "recipient_user_id": BSUID,
        }
        if name == "failed":
            status["errors"] = [{"code": 131026, "title": "Message undeliverable"}]
        return {**status, **changes}

    def value(self, **lists: Any) -> dict[str, Any]:
        """Return a `messages` value; give `messages`, `statuses`, `contacts`."""
        value: dict[str, Any] = {"messaging_product": "whatsapp", "metadata": self.metadata()}
        if "messages" in lists and "contacts" not in lists:
            value["contacts"] = [{"profile": {"name": "Ana"}, "wa_id": CUSTOMER, "user_id": BSUID}]
        return {**value, **{name: rows for name, rows in lists.items() if rows is not None}}

    def metadata(self) -> dict[str, str]:
        """Return what says which number is meant."""
        return {"display_phone_number": self.display_phone_number, "phone_number_id": self.phone_number_id}

    def delivery(self, *values: dict[str, Any], name: str = "messages") -> bytes:
        """Return the bytes of a delivery with one change for each value."""
        changes = [{"value": value, "field": name} for value in values]
        return wire.to_webhook(
            {"object": "whatsapp_business_account", "entry": [{"id": self.waba_id, "changes": changes}]}
        )

    def text(self, body: str = "hola") -> tuple[str, bytes]:
        """Return the id and the bytes of a delivery of one text."""
        message = self.message(text={"body": body})
        return message["id"], self.delivery(self.value(messages=[message]))


def deep(levels: int) -> bytes:
    """Return a delivery that is nested beyond reason."""
    return b'{"object":"whatsapp_business_account","entry":' + b"[" * levels + b"]" * levels + b"}"


def with_raw_text(maker: Maker, raw: str) -> tuple[str, bytes]:
    """Return the id and bytes of a text whose JSON text is given as it is, between quotes."""
    message_id, body = maker.text("PLACEHOLDER")
    return message_id, body.replace(b'"PLACEHOLDER"', raw.encode())


def spaced(body: bytes) -> bytes:
    """Write a delivery as no serializer does: the signature is over bytes, not over meaning."""
    return json.dumps(json.loads(body), indent=3, ensure_ascii=False).encode() + b"\n"
