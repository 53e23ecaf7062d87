"""What `whatsapp-oauth` takes and answers. No I/O."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

# What dashboards, chats and documents put around a value that is copied from them.
WRAPPING = re.compile(r"[\s\u200b-\u200d\u2060\ufeff]+")
QUOTES = "\"'`\u201c\u201d"


def _unwrap(value: Any) -> Any:
    """Take a pasted value out of what came with it: spaces, line breaks, quotes, `Bearer`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return value
    text = value.strip().strip(QUOTES)
    return WRAPPING.sub("", re.sub(r"(?i)^bearer\s+", "", text)).strip(QUOTES)


def _is_six_digits(pin: str) -> str:
    if not re.fullmatch(r"[0-9]{6}", pin):
        raise ValueError("A PIN has six digits.")
    return pin


def _is_a_code(code: str) -> str:
    if not re.fullmatch(r"[0-9]{6}", code):
        raise ValueError("A code has six digits.")
    return code


def _is_own_path(path: str) -> str:
    """Refuse what a browser would follow to another host: `//host`, a backslash, a scheme."""
    if not re.fullmatch(r"/(?![/\\])[^\\\s\x00-\x1f\x7f#]*", path):
        raise ValueError("A path of the dashboard begins with one slash.")
    return path


def _digits(value: Any) -> Any:
    """Read a code as Meta's SMS shows it: 123-830."""
    return re.sub(r"[\s-]", "", str(value)) if isinstance(value, (str, int)) else value


Code = Annotated[str, BeforeValidator(_digits), AfterValidator(_is_a_code)]
MetaId = Annotated[str, BeforeValidator(_unwrap), StringConstraints(pattern=r"^[0-9]{5,32}$")]
Pasted = Annotated[str, BeforeValidator(_unwrap), StringConstraints(min_length=8, max_length=4096)]
Pin = Annotated[str, BeforeValidator(_unwrap), AfterValidator(_is_six_digits)]


class View(BaseModel):
    """An answer. Built when it is first used: building costs every cold start otherwise."""

    model_config = ConfigDict(extra="ignore", defer_build=True)


class Body(BaseModel):
    """What every call may bring; a user with one organization may leave it out."""

    model_config = ConfigDict(extra="ignore", defer_build=True)

    organization_id: UUID | None = None

    @property
    def organization(self) -> str | None:
        """The organization's id as text."""
        return None if self.organization_id is None else str(self.organization_id)


class ConnectingBody(Body):
    """What every call that connects may bring."""

    pin: Pin | None = Field(default=None, description="The number's two-step PIN, where it has one already.")
    override_callback: bool = Field(
        default=False, description="Meta delivers this number's events to an address of its own."
    )


class CredentialsBody(ConnectingBody):
    """A number of the organization's own Meta app, its values pasted as Meta's dashboard shows them."""

    phone_number_id: MetaId
    business_account_id: MetaId
    access_token: Pasted
    app_id: MetaId | None = Field(default=None, description="Left out: the token is of the platform's app.")
    app_secret: Pasted | None = None


class RequestCodeBody(Body):
    """A number as it was typed."""

    phone_number: Annotated[str, StringConstraints(min_length=1, max_length=60)]
    country: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$")] | None = Field(
        default=None, description="Where a number without a country code is at home: PE, MX, …"
    )
    method: Literal["sms", "voice", "whatsapp"] = "sms"
    display_name: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="What customers will see; left out: the organization's name."
    )


class VerifyCodeBody(ConnectingBody):
    """The code that was sent."""

    code: Code
    verification_id: UUID | None = Field(
        default=None, description="Which code is meant, to notice a newer one."
    )


class StartBody(Body):
    """How Meta's dialog is to be opened."""

    flow: Literal["popup", "redirect"] = Field(
        default="popup", description="popup: with Meta's JavaScript SDK."
    )
    coexistence: bool = Field(default=False, description="A number that stays in the WhatsApp Business app.")
    return_path: Annotated[str, StringConstraints(max_length=500), AfterValidator(_is_own_path)] = Field(
        default="/", description="Where in the dashboard the redirect flow ends."
    )


class ExchangeBody(ConnectingBody):
    """What the dialog gave: the popup a code and ids, the redirect flow a ticket."""

    state: Annotated[str, StringConstraints(min_length=20, max_length=200)]
    code: Annotated[str, StringConstraints(min_length=1, max_length=4096)] | None = None
    ticket: Annotated[str, StringConstraints(min_length=20, max_length=200)] | None = None
    waba_id: MetaId | None = None
    phone_number_id: MetaId | None = None


class DisconnectBody(Body):
    """Nothing but the organization is needed."""

    deregister: bool = Field(default=False, description="Also take the number off the Cloud API.")


class ReconnectBody(Body):
    """The same number again."""

    pin: Pin | None = None


class WebhookView(View):
    """Whether Meta delivers, and where it is to."""

    state: Literal["waiting", "receiving", "off"]
    first_event_at: datetime | None
    last_event_at: datetime | None
    url: str | None = Field(default=None, description="Only an own app's: to be entered at Meta, for owners.")
    verify_token: str | None = Field(default=None, description="As url.")


class TokenView(View):
    """What is known of the access token; never the token."""

    is_valid: bool
    expires_at: datetime | None
    checked_at: datetime | None


class VerificationView(View):
    """A code that is waited for."""

    id: UUID
    state: Literal["requested", "sent", "verified", "failed", "replaced", "expired"]
    phone_number: str
    method: Literal["sms", "voice", "whatsapp"]
    sender: Literal["meta", "platform"] | None
    attempts_left: int
    expires_at: datetime | None
    resend_in: int = Field(description="Seconds until another code may be asked for.")


class StartAnswer(View):
    """What a page needs to open Meta's dialog."""

    organization_id: UUID
    state: str
    expires_at: datetime
    app_id: str
    config_id: str
    graph_api_version: str
    login_options: dict[str, Any] = Field(description="For FB.login(callback, login_options).")
    authorize_url: str | None = Field(description="Where to send the browser in the redirect flow.")


class VerificationAnswer(View):
    """The code that now is under way."""

    organization_id: UUID
    verification: VerificationView
    formatted_phone_number: str


class IntegrationView(View):
    """An organization's connection, as its members may see it."""

    id: UUID
    status: Literal["pending", "connected", "disconnected", "error"]
    way: Literal["credentials", "embedded_signup", "number"] | None
    step: Literal["begun", "proven", "registered", "subscribed", "connected"] | None
    phone_number: str | None
    formatted_phone_number: str | None = None
    phone_number_id: str | None
    business_account_id: str | None
    app_id: str | None
    display_name: str | None
    quality_rating: str | None
    messaging_limit: str | None
    throughput: int
    is_coexistence: bool
    has_own_app: bool
    error_code: str | None
    error_message: str | None
    verified_at: datetime | None
    connected_at: datetime | None
    disconnected_at: datetime | None
    last_sync_at: datetime | None
    webhook: WebhookView
    token: TokenView | None
    verification: VerificationView | None = None
    pin: str | None = Field(default=None, description="Only when an owner asks: GET /status?reveal=pin.")


class ConnectionAnswer(View):
    """The connection, null where there never was one."""

    organization_id: UUID
    role: Literal["owner", "agent"]
    integration: IntegrationView | None
