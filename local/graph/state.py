"""What the simulated Meta knows: apps, accounts, numbers, tokens, people, messages. No I/O."""

from __future__ import annotations

import base64
from collections import OrderedDict
from dataclasses import dataclass, field, fields
from typing import Any

ALL_FIELDS = (
    "account_alerts",
    "account_review_update",
    "account_update",
    "automatic_events",
    "business_capability_update",
    "business_username_updates",
    "calls",
    "flows",
    "group_lifecycle_update",
    "group_participants_update",
    "group_settings_update",
    "group_status_update",
    "history",
    "message_echoes",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "messages",
    "messaging_handovers",
    "partner_solutions",
    "payment_configuration_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "smb_app_state_sync",
    "smb_message_echoes",
    "standby",
    "template_category_update",
    "user_preferences",
)

MESSAGING = "whatsapp_business_messaging"
MANAGEMENT = "whatsapp_business_management"


@dataclass(kw_only=True)
class App:
    """A Meta app: its secret signs what its callback gets."""

    id: str
    secret: str
    name: str = "Simulated App"
    callback_url: str | None = None
    verify_token: str | None = None
    fields: list[str] = field(default_factory=lambda: list(ALL_FIELDS))
    is_live: bool = True
    requires_proof: bool = False
    webhook_version: str = "v26.0"
    redirect_uris: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Waba:
    """A WhatsApp Business Account and the portfolio that it belongs to."""

    id: str
    name: str = "Test Business Account"
    business_id: str = ""
    business_name: str = "Test Business"
    timezone_id: str = "1"
    currency: str = "USD"
    country: str | None = None
    message_template_namespace: str = ""
    account_review_status: str = "APPROVED"
    business_verification_status: str = "not_verified"
    ownership_type: str = "SELF"
    primary_business_location: str | None = None
    status: str = "ACTIVE"
    messaging_limit: str = "TIER_250"
    subscriptions: dict[str, str | None] = field(default_factory=dict)
    """App id → its override of the callback, or None."""


@dataclass(kw_only=True)
class Number:
    """A business phone number."""

    id: str
    waba_id: str
    phone_number: str
    """Digits with the country code, no plus sign."""
    display_phone_number: str = ""
    verified_name: str = "Test Number"
    code_verification_status: str = "VERIFIED"
    quality_rating: str = "GREEN"
    platform_type: str = "CLOUD_API"
    throughput_level: str = "STANDARD"
    status: str = "CONNECTED"
    name_status: str = "APPROVED"
    new_display_name: str | None = None
    new_name_status: str = "NONE"
    account_mode: str = "LIVE"
    is_on_biz_app: bool = False
    is_official_business_account: bool = False
    is_pin_enabled: bool = False
    pin: str | None = None
    certificate: str | None = None
    new_certificate: str | None = None
    last_onboarded_time: float | None = None
    onboarded_at: float = 0.0
    search_visibility: str = "NON_VISIBLE"
    username: str | None = None
    allowed_recipients: list[str] | None = None
    """The recipients of a test number; None for a number that may write to anybody."""
    overrides: dict[str, str] = field(default_factory=dict)
    """App id → callback of this number alone."""
    profile: dict[str, Any] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)
    code: str | None = None
    code_expires_at: float = 0.0
    code_method: str | None = None
    code_requests: list[float] = field(default_factory=list)
    code_guesses: int = 0
    registrations: list[float] = field(default_factory=list)
    deregistrations: list[float] = field(default_factory=list)
    pin_guesses: list[float] = field(default_factory=list)
    qr_codes: dict[str, str] = field(default_factory=dict)
    automation: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    public_key: str | None = None
    synced: list[str] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    """Threads that a coexistence number shares, in the shape of the webhook; a small sample if empty."""

    @property
    def is_registered(self) -> bool:
        """Tell whether the number can send."""
        return self.status == "CONNECTED"


@dataclass(kw_only=True)
class Token:
    """An access token and what it opens."""

    value: str
    app_id: str
    type: str = "SYSTEM_USER"
    user_id: str = ""
    scopes: list[str] = field(default_factory=lambda: [MANAGEMENT, MESSAGING])
    waba_ids: list[str] | None = None
    """The WABAs that it opens, newest first; None opens all."""
    issued_at: float = 0.0
    expires_at: float = 0.0
    """0 for a token that never expires."""
    is_revoked: bool = False

    def opens(self, waba_id: str) -> bool:
        """Tell whether the token may touch a WABA."""
        return self.waba_ids is None or waba_id in self.waba_ids


@dataclass(kw_only=True)
class Customer:
    """A person with WhatsApp."""

    key: str
    phone_number: str | None = None
    bsuids: dict[str, str] = field(default_factory=dict)
    """Portfolio id → this person's id there."""
    parent_bsuids: dict[str, str] = field(default_factory=dict)
    name: str | None = None
    username: str | None = None
    country: str = "US"
    is_phone_hidden: bool = False
    wa_id: str | None = None
    """What WhatsApp calls the person, where it differs from the phone number."""
    is_on_whatsapp: bool = True
    reads: bool | None = None
    """Whether the person reads what arrives; None: as the settings say."""
    last_wrote_at: dict[str, float] = field(default_factory=dict)
    """Number id → when this person last wrote to it."""
    known_until: dict[str, float] = field(default_factory=dict)
    """Number id → until when that business may see a hidden phone number."""


@dataclass(kw_only=True, slots=True)
class Message:
    """One message, in either direction."""

    id: str
    number_id: str
    waba_id: str
    direction: str
    customer: str
    type: str
    content: dict[str, Any]
    created_at: float
    app_id: str | None = None
    status: str = "accepted"
    times: dict[str, float] = field(default_factory=dict)
    callback_data: str | None = None
    category: str = "service"
    is_read: bool = False
    context_id: str | None = None
    error: dict[str, Any] | None = None
    by_phone: bool = True


@dataclass(kw_only=True)
class Template:
    """A message template in one language."""

    id: str
    waba_id: str
    name: str
    language: str
    category: str
    components: list[dict[str, Any]]
    status: str = "PENDING"
    parameter_format: str = "POSITIONAL"
    previous_category: str | None = None
    rejected_reason: str = "NONE"
    quality_score: str = "UNKNOWN"
    message_send_ttl_seconds: int | None = None
    created_at: float = 0.0


@dataclass(kw_only=True)
class Media:
    """Bytes that were uploaded, or that a customer sent."""

    id: str
    waba_id: str
    number_id: str
    mime_type: str
    content: bytes
    sha256: str
    filename: str | None = None
    created_at: float = 0.0
    lives_until: float = 0.0


@dataclass(kw_only=True)
class Code:
    """An authorization code of the login dialog."""

    value: str
    app_id: str
    redirect_uri: str | None
    waba_ids: list[str] | None
    scopes: list[str]
    issued_at: float
    expires_in: int | None = None
    is_used: bool = False


@dataclass(kw_only=True)
class Upload:
    """A resumable upload, whose handle stands for a file in profiles and templates."""

    id: str
    app_id: str
    mime_type: str
    length: int
    name: str | None = None
    content: bytes = b""
    handle: str | None = None


MOST_MESSAGES, MOST_CUSTOMERS, MOST_MEDIA_BYTES = 20_000, 100_000, 256 * 1024 * 1024


class State:
    """Everything that survives a restart, in dictionaries by id."""

    def __init__(self) -> None:
        self.apps: dict[str, App] = {}
        self.wabas: dict[str, Waba] = {}
        self.numbers: dict[str, Number] = {}
        self.tokens: dict[str, Token] = {}
        self.customers: dict[str, Customer] = {}
        self.templates: dict[str, Template] = {}
        self.media: dict[str, Media] = {}
        self.codes: dict[str, Code] = {}
        self.uploads: dict[str, Upload] = {}
        self.users: dict[str, str] = {}
        self.messages: OrderedDict[str, Message] = OrderedDict()
        self._by_phone: dict[str, str] = {}
        self._by_bsuid: dict[str, str] = {}

    def remember(self, message: Message) -> None:
        """Keep a message; the oldest goes when there are too many."""
        self.messages[message.id] = message
        if len(self.messages) > MOST_MESSAGES:
            self.messages.popitem(last=False)

    def add_customer(self, customer: Customer) -> Customer:
        """Keep a person under every name that a business can use."""
        self.customers[customer.key] = customer
        if len(self.customers) > MOST_CUSTOMERS:
            self._forget(next(iter(self.customers.values())))
        if customer.phone_number:
            self._by_phone[customer.phone_number] = customer.key
        if customer.wa_id:
            self._by_phone[customer.wa_id] = customer.key
        for bsuid in (*customer.bsuids.values(), *customer.parent_bsuids.values()):
            self._by_bsuid[bsuid] = customer.key
        return customer

    def _forget(self, customer: Customer) -> None:
        del self.customers[customer.key]
        for name in (customer.phone_number, customer.wa_id):
            self._by_phone.pop(name or "", None)
        for bsuid in (*customer.bsuids.values(), *customer.parent_bsuids.values()):
            self._by_bsuid.pop(bsuid, None)

    def make_room(self, size: int) -> None:
        """Let the oldest files go until new ones fit."""
        kept = sum(len(media.content) for media in self.media.values())
        for media_id in list(self.media):
            if kept + size <= MOST_MEDIA_BYTES:
                return
            kept -= len(self.media.pop(media_id).content)

    def find_customer(self, name: str) -> Customer | None:
        """Find a person by key, phone number or business-scoped id."""
        key = self._by_phone.get(name) or self._by_bsuid.get(name) or name
        return self.customers.get(key)

    def numbers_of(self, waba_id: str) -> list[Number]:
        """List the numbers of a WABA."""
        return [number for number in self.numbers.values() if number.waba_id == waba_id]

    def templates_of(self, waba_id: str) -> list[Template]:
        """List the templates of a WABA."""
        return [template for template in self.templates.values() if template.waba_id == waba_id]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        snapshot: dict[str, Any] = {"version": 1, "users": self.users}
        for name, kind in _KINDS.items():
            snapshot[name] = [
                _row(thing) for thing in getattr(self, name).values() if isinstance(thing, kind)
            ]
        return snapshot

    @classmethod
    def from_json(cls, snapshot: dict[str, Any]) -> State:
        """Rebuild the state from `to_json`; members that this version does not know are ignored."""
        state = cls()
        state.users = dict(snapshot.get("users", {}))
        for name, kind in _KINDS.items():
            known = {member.name for member in fields(kind)}
            for row in snapshot.get(name, []):
                values = {member: value for member, value in row.items() if member in known}
                if isinstance(values.get("content"), str) and kind in (Media, Upload):
                    values["content"] = base64.b64decode(values["content"])
                thing = kind(**values)
                if isinstance(thing, Customer):
                    state.add_customer(thing)
                else:
                    getattr(state, name)[values.get("id") or values["value"]] = thing
        return state


_KINDS: dict[str, Any] = {
    "apps": App,
    "wabas": Waba,
    "numbers": Number,
    "tokens": Token,
    "customers": Customer,
    "templates": Template,
    "media": Media,
    "codes": Code,
    "uploads": Upload,
    "messages": Message,
}


def _row(thing: Any) -> dict[str, Any]:
    # Not `asdict`, which copies everything that is inside: this runs while others wait.
    row = {member.name: getattr(thing, member.name) for member in fields(thing)}
    if isinstance(row.get("content"), bytes):
        row["content"] = base64.b64encode(row["content"]).decode()
    return row
