"""An organization's bot: its rules, its hours, and the endpoint that answers where no rule does. An edge.

GET  /bot         the settings, for members
POST /bot         replaces them
POST /bot/secret  makes a new signing secret and shows it, this once; the older one signs too for a day
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from starlette.responses import JSONResponse, Response

from functions.meta_api.models import Body, View
from shared.bots import LONGEST_KEYWORD, MOST_KEYWORDS, MOST_RULES, read_hours, read_message
from shared.callers import find_caller
from shared.errors import InvalidBody
from shared.outbound_events import new_secret
from shared.safe_http import UnsafeAddress, read_url
from shared.web import read_json, resources

if TYPE_CHECKING:
    from starlette.requests import Request

    from shared.web import Resources

# For how long a secret that was replaced still signs.
ROTATION = timedelta(days=1)
COLUMNS = (
    "is_on", "endpoint_url", "time_zone", "opening_hours", "pause_minutes", "most_age_seconds",
    "previous_secret_until", "updated_at",
)  # fmt: skip


def _read_moment(value: object) -> object:
    # A table's time has a `T` in hosted Supabase and a space in the local one.
    return datetime.fromisoformat(value) if isinstance(value, str) else value


Moment = Annotated[datetime, BeforeValidator(_read_moment)]


class Rule(BaseModel):
    """What the bot says, and when."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    kind: Literal["hand_over", "keyword", "out_of_hours", "welcome"]
    keywords: list[Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_KEYWORD)]] = Field(
        default=[], max_length=MOST_KEYWORDS, description="For hand_over and keyword: one of these words."
    )
    reply: dict[str, Any] | None = Field(
        default=None, description="A message as whatsapp-send-message takes it, without its addressee."
    )

    @model_validator(mode="after")
    def _has_words_where_words_count(self) -> Rule:
        if bool(self.keywords) is not (self.kind in {"hand_over", "keyword"}):
            raise ValueError("Only the kinds hand_over and keyword have keywords, and they need some.")
        if self.kind != "hand_over" and self.reply is None:
            raise ValueError("A rule of this kind needs a reply.")
        return self


class BotBody(Body):
    """A bot's settings and rules, whole."""

    is_on: bool
    endpoint_url: Annotated[str, StringConstraints(max_length=2000)] | None = None
    time_zone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,60}$")] = "America/Lima"
    opening_hours: Annotated[dict[str, Any], AfterValidator(read_hours)] = Field(
        default={}, description='By day: {"mon": [["09:00", "18:00"]]}; empty: always open.'
    )
    pause_minutes: Annotated[int, Field(ge=1, le=43_200)] = 60
    most_age_seconds: Annotated[int, Field(ge=10, le=86_400)] = 600
    rules: list[Rule] = Field(default=[], max_length=MOST_RULES)


class BotAnswer(View):
    """A bot as it is."""

    is_on: bool
    endpoint_url: str | None
    has_secret: bool
    time_zone: str
    opening_hours: dict[str, Any]
    pause_minutes: int
    most_age_seconds: int
    previous_secret_until: Moment | None
    updated_at: Moment | None
    rules: list[Rule]


class SecretAnswer(View):
    """A signing secret; nobody can read it later."""

    secret: str
    previous_secret_until: Moment | None


async def show_bot(request: Request) -> Response:
    """Show the bot; one that nobody made yet is off."""
    caller = await find_caller(request)
    return await _answer(resources(request), caller.organization_id)


async def change_bot(request: Request) -> Response:
    """Replace settings and rules, if every reply is a message and the address one that may be called."""
    body = await read_json(request, BotBody)
    tools = resources(request)
    caller = await find_caller(request, body.organization, needs_owner=True)
    check_address(tools, body.endpoint_url, "endpoint_url")
    for position, rule in enumerate(body.rules):
        if rule.reply is not None:
            _check_reply(rule.reply, f"rules[{position}].reply")
    settings = body.model_dump(mode="json", exclude={"organization_id", "rules"})
    rules = [rule.model_dump(mode="json") for rule in body.rules]
    await tools.database.as_service().rpc(
        "save_bot",
        {
            "organization": caller.organization_id,
            "settings": settings,
            "rules": rules,
            "by_user": caller.user_id,
        },
    )
    return await _answer(tools, caller.organization_id)


async def make_secret(request: Request) -> Response:
    """Make a new signing secret and show it."""
    body = await read_json(request, Body)
    tools = resources(request)
    caller = await find_caller(request, body.organization, needs_owner=True)
    secret, keys = new_secret(), await tools.load_keys()
    until = await tools.database.as_service().rpc(
        "renew_bot_secret",
        {
            "organization": caller.organization_id,
            "by_user": caller.user_id,
            "sealed": keys.encrypt(secret, row_id=caller.organization_id, column="endpoint_secret"),
            "older_until": (datetime.now(UTC) + ROTATION).isoformat(),
        },
    )
    return JSONResponse(SecretAnswer(secret=secret, previous_secret_until=until).model_dump(mode="json"))


def check_address(tools: Resources, url: str | None, field: str) -> None:
    """Refuse an address that could never be called; what its name leads to is checked at each call."""
    if url is None:
        return
    try:
        read_url(url, allows_loopback=tools.settings.allows_loopback_endpoints)
    except UnsafeAddress as refusal:
        raise InvalidBody(details=[{"field": field, "rule": refusal.rule, "message": str(refusal)}]) from None


def _check_reply(reply: dict[str, Any], field: str) -> None:
    try:
        read_message(reply)
    except InvalidBody as refusal:
        details = [{**each, "field": f"{field}.{each.get('field')}".rstrip(".")} for each in refusal.details]
        raise InvalidBody(details=details) from None


async def _answer(tools: Resources, organization_id: str) -> Response:
    service = tools.database.as_service()
    found: Any = (
        await service.select("bots", *COLUMNS, "endpoint_secret")
        .eq("organization_id", organization_id)
        .execute()
    ).data
    rules: Any = (
        await service.select("bot_rules", "kind", "keywords", "reply")
        .eq("organization_id", organization_id)
        .order("position")
        .execute()
    ).data
    bot = found[0] if found else BotBody(is_on=False).model_dump(mode="json")
    shown = {name: bot.get(name) for name in COLUMNS}
    answer = BotAnswer(**shown, has_secret=bool(bot.get("endpoint_secret")), rules=rules)
    return JSONResponse(answer.model_dump(mode="json"))
