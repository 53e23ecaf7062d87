"""What `whatsapp-meta-api` takes and answers. No I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# https://developers.facebook.com/documentation/business-messaging/whatsapp/business-profiles
ABOUT, ADDRESS, DESCRIPTION, EMAIL, WEBSITE = 139, 256, 512, 128, 256


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


class RegisterBody(Body):
    """A registration."""

    pin: Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")] | None = Field(
        default=None, description="The number's two-step PIN; left out: the one that is stored, or a new one."
    )


class ProfileBody(Body):
    """What customers see of the business; what is left out stays as it is."""

    about: Annotated[str, StringConstraints(min_length=1, max_length=ABOUT)] | None = None
    address: Annotated[str, StringConstraints(max_length=ADDRESS)] | None = None
    description: Annotated[str, StringConstraints(max_length=DESCRIPTION)] | None = None
    email: Annotated[str, StringConstraints(max_length=EMAIL)] | None = None
    websites: (
        Annotated[
            list[Annotated[str, StringConstraints(pattern=r"^https?://", max_length=WEBSITE)]],
            Field(max_length=2),
        ]
        | None
    ) = None
    vertical: Annotated[str, StringConstraints(pattern=r"^[A-Z_]{1,40}$")] | None = None
    profile_picture_handle: Annotated[str, StringConstraints(max_length=4096)] | None = None


class TemplateBody(Body):
    """A template to be reviewed by Meta."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(_[A-Z]{2})?$")]
    category: Literal["AUTHENTICATION", "MARKETING", "UTILITY"]
    components: list[dict[str, Any]] = Field(min_length=1, max_length=20)
    parameter_format: Literal["positional", "named"] | None = None
    allow_category_change: bool | None = None
    message_send_ttl_seconds: int | None = None


class SubscriptionBody(Body):
    """Where Meta is to deliver."""

    callback: Literal["app", "override"] = Field(
        default="app", description="app: the address in Meta's dashboard; override: ours, for this number."
    )


class NumberAnswer(View):
    """The number as Meta shows it now."""

    phone_number_id: str
    phone_number: str | None
    formatted_phone_number: str | None
    display_name: str | None
    name_status: str | None
    status: str | None
    quality_rating: str | None
    throughput: int
    messaging_limit: str | None
    is_registered: bool
    is_verified: bool
    is_coexistence: bool
    has_pin: bool
    health_status: dict[str, Any] | None


class ProfileAnswer(View):
    """The business profile; fields that were never set are null."""

    about: str | None = None
    address: str | None = None
    description: str | None = None
    email: str | None = None
    websites: list[str] = []
    vertical: str | None = None
    profile_picture_url: str | None = None


class TemplateView(View):
    """One template in one language."""

    id: str
    name: str | None = None
    language: str | None = None
    category: str | None = None
    status: str | None = None
    components: list[dict[str, Any]] = []
    rejected_reason: str | None = None
    quality_score: dict[str, Any] | None = None


class TemplatesAnswer(View):
    """One page of templates; `after` asks for the next."""

    templates: list[TemplateView]
    after: str | None


class SubscriptionAnswer(View):
    """Whether and where Meta delivers for this account."""

    is_subscribed: bool
    callback: Literal["app", "override"]
    override_url: str | None
    other_apps: int = Field(description="How many other apps get the same deliveries.")


class SyncAnswer(View):
    """What a synchronisation found."""

    templates: int
    last_sync_at: datetime | None
    coexistence_requested: bool


class TokenAnswer(View):
    """The token's state after it was renewed; never the token."""

    expires_at: datetime | None
    is_refreshed: bool
