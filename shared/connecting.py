"""What connecting a number must decide: is this token good, is this the number, what is still to do. No I/O.

https://developers.facebook.com/documentation/business-messaging/whatsapp/embedded-signup/overview
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from shared.contacts import canonical_phone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from shared.errors import Language
    from shared.graph import GraphError

NEEDED_SCOPES = ("whatsapp_business_management", "whatsapp_business_messaging")

NUMBER_FIELDS = (
    "id,display_phone_number,verified_name,code_verification_status,quality_rating,platform_type,throughput,status,"
    "name_status,is_on_biz_app,is_pin_enabled,whatsapp_business_manager_messaging_limit"
)
WABA_FIELDS = "id,name,timezone_id,message_template_namespace,account_review_status,ownership_type"

STANDARD_THROUGHPUT = 80
# https://developers.facebook.com/documentation/business-messaging/whatsapp/throughput
THROUGHPUT = MappingProxyType({"STANDARD": STANDARD_THROUGHPUT, "HIGH": 1000})
COEXISTENCE_THROUGHPUT = 20

# A number in one of these states was never registered with the Cloud API, or is not any more; in all others
# (FLAGGED, RESTRICTED, BANNED …) registering it again would change nothing but use up one of ten.
UNREGISTERED = frozenset({"PENDING", "DISCONNECTED", "UNVERIFIED", "DELETED", "MIGRATED"})

# What Graph answers to `app id|app secret` when the two do not belong together.
WRONG_APP_CODES = frozenset({1, 101, 190})
NO_ACCESS_CODES = frozenset({3, 10, 33, 100, 803, *range(200, 300)})
TOKEN_DEAD_CODES = frozenset({0, 190})
SESSION_EXPIRED = 463


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with one pasted value, and what to do, in both languages."""

    field: str
    rule: str
    en: str
    es: str

    def to_detail(self, language: Language) -> dict[str, object]:
        """Build the entry of the error envelope's `details`."""
        return {"field": self.field, "rule": self.rule, "message": self.es if language == "es" else self.en}


APP_PAIR_WRONG = Problem(
    field="app_secret",
    rule="does_not_match",
    en="The app id and the app secret do not belong together. "
    "Copy both from App settings → Basic of the same app.",
    es="El identificador y la clave secreta no son de la misma app. "
    "Cópialos de Configuración de la app → Básica, en la misma app.",
)
TOKEN_OF_OTHER_APP = Problem(
    field="access_token",
    rule="of_another_app",
    en="This access token was made by another app. Make one for the app whose id you entered.",
    es="Este token de acceso es de otra app. Genera uno para la app cuyo identificador escribiste.",
)
TOKEN_INVALID = Problem(
    field="access_token",
    rule="not_valid",
    en="Meta does not know this access token: it was revoked, or not copied whole. "
    "Make a new one and paste it.",
    es="Meta no reconoce este token de acceso: fue revocado o no se copió completo. Genera otro y pégalo.",
)
TOKEN_EXPIRED = Problem(
    field="access_token",
    rule="expired",
    en="This access token has expired. Make one for a system user: it does not expire.",
    es="Este token de acceso caducó. Genera uno de usuario del sistema: no caduca.",
)
WABA_NOT_COVERED = Problem(
    field="business_account_id",
    rule="not_accessible",
    en="This token has no access to a WhatsApp Business account with this id. Check the id, "
    "and that the system user has the account among its assets.",
    es="Este token no tiene acceso a una cuenta de WhatsApp Business con este identificador. Revísalo, "
    "y que el usuario del sistema tenga la cuenta entre sus activos.",
)
NUMBER_NOT_IN_WABA = Problem(
    field="phone_number_id",
    rule="not_in_account",
    en="The WhatsApp Business account has no number with this id. "
    "Copy the phone number ID, not the number itself.",
    es="La cuenta de WhatsApp Business no tiene un número con este identificador. "
    "Copia el identificador del número de teléfono, no el número.",
)


def missing_scopes_problem(missing: Iterable[str]) -> Problem:
    """Say which permissions the token lacks."""
    names = ", ".join(missing)
    return Problem(
        field="access_token",
        rule="scopes_missing",
        en=f"This access token lacks permissions: {names}. Make a new one and tick them.",
        es=f"A este token de acceso le faltan permisos: {names}. Genera otro y márcalos.",
    )


@dataclass(frozen=True, kw_only=True)
class TokenFacts:
    """What `debug_token` tells of a token.

    https://developers.facebook.com/docs/graph-api/reference/debug_token
    """

    is_valid: bool
    app_id: str
    expires_at: datetime | None
    scopes: frozenset[str]
    # WABA ids, newest first; None where Meta lists none, which means: all, or not told.
    waba_ids: tuple[str, ...] | None
    error_subcode: int | None = None

    @classmethod
    def from_debug(cls, data: Mapping[str, Any]) -> TokenFacts:
        """Read the `data` of the answer."""
        granular = [each for each in _list(data.get("granular_scopes")) if isinstance(each, dict)]
        listed = [each for each in granular if each.get("scope") == NEEDED_SCOPES[0] and "target_ids" in each]
        scopes = {str(scope) for scope in _list(data.get("scopes"))}
        error = data.get("error")
        subcode = (error.get("subcode") or error.get("error_subcode")) if isinstance(error, dict) else None
        return cls(
            is_valid=data.get("is_valid") is True,
            app_id=str(data.get("app_id") or ""),
            expires_at=_moment(data.get("expires_at")),
            scopes=frozenset(scopes | {str(each.get("scope")) for each in granular}),
            waba_ids=tuple(str(i) for each in listed for i in _list(each["target_ids"])) if listed else None,
            error_subcode=subcode if isinstance(subcode, int) else None,
        )

    @property
    def missing_scopes(self) -> tuple[str, ...]:
        """The permissions that we need and the token was not given; none when Meta lists no scopes at all."""
        return tuple(s for s in NEEDED_SCOPES if s not in self.scopes) if self.scopes else ()

    def is_late(self, now: datetime) -> bool:
        """Tell whether its time is over."""
        return self.error_subcode == SESSION_EXPIRED or (
            self.expires_at is not None and self.expires_at <= now
        )

    def find_problem(self, *, app_id: str, now: datetime) -> Problem | None:
        """Return why this token cannot be used with this app, if it cannot."""
        if not self.is_valid:
            return TOKEN_EXPIRED if self.is_late(now) else TOKEN_INVALID
        if self.app_id and self.app_id != app_id:
            return TOKEN_OF_OTHER_APP
        return missing_scopes_problem(self.missing_scopes) if self.missing_scopes else None

    def covers(self, waba_id: str) -> bool:
        """Tell whether the token was granted for this WABA; with no ids listed, only reading it tells."""
        return self.waba_ids is None or waba_id in self.waba_ids


@dataclass(frozen=True, kw_only=True)
class NumberFacts:
    """What a phone number's node tells."""

    id: str
    phone_number: str | None
    display_name: str | None
    quality_rating: str | None
    messaging_limit: str | None
    throughput: int
    is_coexistence: bool
    is_registered: bool
    # Neither platform nor state was told.
    registration_is_untold: bool
    is_verified: bool
    has_pin: bool
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> NumberFacts:
        """Read the node; fields without a value are not sent, so each may be missing."""
        digits = "".join(
            c for c in str(node.get("display_phone_number") or "") if c.isascii() and c.isdigit()
        )
        level = node.get("throughput")
        is_coexistence = node.get("is_on_biz_app") is True
        platform, status = str(node.get("platform_type") or ""), str(node.get("status") or "")
        limit = node.get("whatsapp_business_manager_messaging_limit") or node.get("messaging_limit_tier")
        return cls(
            id=str(node.get("id") or ""),
            phone_number=f"+{digits}" if digits else None,
            display_name=_text(node.get("verified_name")),
            quality_rating=_text(node.get("quality_rating")),
            messaging_limit=_text(limit),
            throughput=COEXISTENCE_THROUGHPUT
            if is_coexistence
            else THROUGHPUT.get(
                str(level.get("level")) if isinstance(level, dict) else "", STANDARD_THROUGHPUT
            ),
            is_coexistence=is_coexistence,
            # A coexistence number is registered by its phone app, never by us.
            is_registered=is_coexistence or (platform == "CLOUD_API" and status not in UNREGISTERED),
            registration_is_untold=not platform and not status,
            is_verified=node.get("code_verification_status") == "VERIFIED",
            has_pin=node.get("is_pin_enabled") is True,
            raw=node,
        )

    def to_facts(self) -> dict[str, Any]:
        """Build what the database keeps of it."""
        return {
            "phone_number_id": self.id,
            "phone_number": self.phone_number,
            "display_name": self.display_name,
            "quality_rating": self.quality_rating,
            "messaging_limit": self.messaging_limit,
            "throughput": self.throughput,
            "is_coexistence": self.is_coexistence,
        }


def find_number(nodes: Iterable[Mapping[str, Any]], phone_number_id: str) -> NumberFacts | None:
    """Return the number with this id among those of a WABA."""
    return next(
        (NumberFacts.from_node(node) for node in nodes if str(node.get("id")) == phone_number_id), None
    )


def find_number_by_phone(nodes: Iterable[Mapping[str, Any]], phone_number: str) -> NumberFacts | None:
    """Return the number that is written like this (E.164) among those of a WABA, however Meta spells it."""
    numbers = (NumberFacts.from_node(node) for node in nodes)
    return next((number for number in numbers if is_same_phone(number.phone_number, phone_number)), None)


def is_same_phone(one: str | None, other: str) -> bool:
    """Tell whether two numbers (E.164) are one, in whichever of its forms each is written."""
    return one is not None and canonical_phone(one.removeprefix("+")) == canonical_phone(
        other.removeprefix("+")
    )


def problem_of_app_check(error: GraphError) -> Problem | None:
    """Return what is wrong when Meta refused to answer `app id|app secret` about a token."""
    if error.code in WRONG_APP_CODES:
        return APP_PAIR_WRONG
    # "You must provide an app access token, or a user access token that is an owner or developer of the app."
    return TOKEN_OF_OTHER_APP if error.code in NO_ACCESS_CODES else None


def problem_of_waba_read(error: GraphError) -> Problem | None:
    """Return what is wrong when the token could not read the WABA."""
    if error.code in TOKEN_DEAD_CODES:
        return TOKEN_EXPIRED if error.subcode == SESSION_EXPIRED else TOKEN_INVALID
    return WABA_NOT_COVERED if error.code in NO_ACCESS_CODES else None


def is_subscribed(apps: Iterable[Mapping[str, Any]], app_id: str) -> bool:
    """Tell whether this app is among a WABA's subscribed ones."""
    return find_subscription(apps, app_id) is not None


def find_subscription(apps: Iterable[Mapping[str, Any]], app_id: str) -> Mapping[str, Any] | None:
    """Return this app's entry among a WABA's subscribed apps."""
    for entry in apps:
        app = entry.get("whatsapp_business_api_data")
        if isinstance(app, dict) and str(app.get("id")) == app_id:
            return entry
    return None


def webhook_url(base: str, integration_id: str | None) -> str:
    """Return where Meta delivers: the platform app's address, or that of an organization's own app."""
    return f"{base.rstrip('/')}/{integration_id}" if integration_id else base.rstrip("/")


# The year 9999, the last that a date can name: whatever ends later does not end.
_NEVER = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


def _moment(value: object) -> datetime | None:
    """Return Meta's time; 0 means never."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < _NEVER:
        return None
    return datetime.fromtimestamp(value, UTC)


def _list(value: object) -> Collection[Any]:
    return value if isinstance(value, list) else ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
