"""The settings, read from an environment that is given as an argument. No I/O.

A function names the variables that it needs; all that are missing or wrong are told at once, by name and
never by value. Variables that it does not need are looked at when they are used, so that a mistake in one
function's settings stops no other function.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from shared.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# Meta's newest version on 2026-11-24; an ended version is not refused but served as the oldest living one.
DEFAULT_GRAPH_API_VERSION = "v26.0"
DEFAULT_GRAPH_API_URL = "https://graph.facebook.com"
# https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/override
LONGEST_WEBHOOK_URL = 200
SHORTEST_SHARED_SECRET = 16
SHORTEST_LEASE = 2
LONGEST_LEASE = 900
LOG_LEVELS = ("debug", "info", "warning", "error")


class Secret(str):
    """A string that its own repr, and so every dataclass's and every traceback's, does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(…)"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """What one environment variable may hold; `read` makes a value of its text or says what to do instead."""

    read: Callable[[str], Any]
    also: tuple[str, ...] = ()
    default: str | None = None
    is_secret: bool = False


@dataclass(frozen=True, repr=False)
class Settings:
    """Typed access to the variables; one that is missing or wrong raises `Misconfigured` when it is read."""

    texts: Mapping[str, str]

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], need: Iterable[str] = ()) -> Settings:
        """Read the environment and refuse at once when anything that is needed is missing or wrong."""
        texts = {name: text for name in VARIABLES if (text := _find_text(environ, name)) is not None}
        return cls(texts).demand(*need)

    def demand(self, *names: str) -> Settings:
        """Refuse, naming them all, when any of these is missing or wrong; for what only one path needs."""
        missing: list[str] = []
        problems: dict[str, str] = {}
        for name in names:
            try:
                self.read(name)
            except Misconfigured as error:
                missing += error.missing
                problems |= error.problems
        if missing or problems:
            raise Misconfigured(missing=missing, problems=problems)
        return self

    def has(self, name: str) -> bool:
        """Tell whether the variable is set, or has a default."""
        return name in self.texts or VARIABLES[name].default is not None

    def read(self, name: str) -> Any:
        """Return the variable's checked value; the properties below are the typed way to it."""
        text = self.texts.get(name, VARIABLES[name].default)
        if text is None:
            raise Misconfigured(missing=[name])
        try:
            return VARIABLES[name].read(text)
        except ValueError as error:
            # The sentences of `read` are ours and hold no value.
            raise Misconfigured(problems={name: f"{name} {error}"}) from None

    def secrets(self) -> tuple[Secret, ...]:
        """List every secret text that is set, for the log to hide."""
        found = [self.texts[name] for name in self.texts if VARIABLES[name].is_secret]
        parts = [part.strip() for text in found for part in (text, *text.split(","))]
        # In the key ring the key stands behind its id, which is no secret.
        return tuple(Secret(text) for part in parts for text in {part, part.rpartition(":")[2]})

    def __repr__(self) -> str:
        return f"Settings({', '.join(self.texts)})"

    @property
    def supabase_url(self) -> str:
        """The project's address, without a path."""
        return str(self.read("SUPABASE_URL"))

    @property
    def supabase_publishable_key(self) -> Secret:
        """The key that may be shown to a browser; it opens nothing by itself."""
        return Secret(self.read("SUPABASE_PUBLISHABLE_KEY"))

    @property
    def supabase_secret_key(self) -> Secret:
        """The key that passes by every policy."""
        return Secret(self.read("SUPABASE_SECRET_KEY"))

    @property
    def encryption_keys(self) -> Secret:
        """The key ring's text, for `KeyRing.from_setting`."""
        return Secret(self.read("ENCRYPTION_KEYS"))

    @property
    def whatsapp_app_id(self) -> str:
        """The platform's Meta app."""
        return str(self.read("WHATSAPP_APP_ID"))

    @property
    def whatsapp_app_secrets(self) -> tuple[Secret, ...]:
        """All secrets that may have signed a delivery: the newest first, others while they are rotated."""
        secrets: tuple[Secret, ...] = self.read("WHATSAPP_APP_SECRET")
        return secrets

    @property
    def whatsapp_app_secret(self) -> Secret:
        """The newest app secret, for what we sign ourselves."""
        return self.whatsapp_app_secrets[0]

    @property
    def whatsapp_config_id(self) -> str:
        """The Facebook Login for Business configuration of Embedded Signup."""
        return str(self.read("WHATSAPP_CONFIG_ID"))

    @property
    def whatsapp_business_account_id(self) -> str:
        """The platform's own WABA."""
        return str(self.read("WHATSAPP_BUSINESS_ACCOUNT_ID"))

    @property
    def whatsapp_phone_number_id(self) -> str:
        """The platform's own number, which sends verification codes."""
        return str(self.read("WHATSAPP_PHONE_NUMBER_ID"))

    @property
    def whatsapp_access_token(self) -> Secret:
        """The platform's own system user token."""
        return Secret(self.read("WHATSAPP_ACCESS_TOKEN"))

    @property
    def whatsapp_webhook_verify_token(self) -> Secret:
        """What Meta must bring to the handshake of the platform's webhook."""
        return Secret(self.read("WHATSAPP_WEBHOOK_VERIFY_TOKEN"))

    @property
    def whatsapp_webhook_url(self) -> str:
        """Where Meta reaches our webhook from outside."""
        return str(self.read("WHATSAPP_WEBHOOK_URL"))

    @property
    def verification_template(self) -> str:
        """The approved authentication template that carries our own codes."""
        return str(self.read("VERIFICATION_TEMPLATE"))

    @property
    def verification_sms(self) -> str:
        """Who sends our own codes by SMS."""
        return str(self.read("VERIFICATION_SMS"))

    @property
    def verifications_per_hour(self) -> int:
        """How many codes all organizations together may ask for in an hour."""
        return int(self.read("VERIFICATIONS_PER_HOUR"))

    @property
    def graph_api_url(self) -> str:
        """Meta's Graph API, or what stands in for it."""
        return str(self.read("GRAPH_API_URL"))

    @property
    def graph_api_version(self) -> str:
        """The version in the path of every Graph call."""
        return str(self.read("GRAPH_API_VERSION"))

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """The pages that may call from a browser; none when unset."""
        origins: tuple[str, ...] = self.read("ALLOWED_ORIGINS")
        return origins

    @property
    def dashboard_url(self) -> str:
        """Where people are sent back to."""
        return str(self.read("DASHBOARD_URL"))

    @property
    def webhook_queue_url(self) -> str:
        """The SQS queue that takes in verified deliveries, where there is one."""
        return str(self.read("WEBHOOK_QUEUE_URL"))

    @property
    def cron_secret(self) -> Secret:
        """What the scheduler proves itself with."""
        return Secret(self.read("CRON_SECRET"))

    @property
    def media_folder(self) -> str:
        """Where attachments are kept on a machine without Supabase Storage."""
        return str(self.read("MEDIA_FOLDER"))

    @property
    def allows_loopback_endpoints(self) -> bool:
        """Whether organizations' endpoints may be on this machine itself: the local stack's are."""
        return bool(self.read("ALLOW_LOOPBACK_ENDPOINTS"))

    @property
    def worker_lease_seconds(self) -> int:
        """For how long a job is a worker's without a sign of life: then another one does it."""
        return int(self.read("WORKER_LEASE_SECONDS"))

    @property
    def metrics_stage(self) -> str:
        """Whose figures the log carries, in CloudWatch's embedded format; empty: it carries none."""
        return str(self.read("METRICS_STAGE"))

    @property
    def metrics_token(self) -> Secret:
        """What Prometheus proves itself with."""
        return Secret(self.read("METRICS_TOKEN"))

    @property
    def log_level(self) -> str:
        """The lowest level that is written."""
        return str(self.read("LOG_LEVEL"))


def is_loopback(host: str) -> bool:
    """Tell whether a host name can only mean this machine."""
    return (
        host in {"localhost", "::1"}
        or host.endswith(".localhost")
        or bool(re.fullmatch(r"127(\.\d+){3}", host))
    )


def _find_text(environ: Mapping[str, str], name: str) -> str | None:
    for candidate in (name, *VARIABLES[name].also):
        # Dashboards keep the line break that was pasted with a value.
        text = environ.get(candidate, "").strip()
        if text and candidate in JSON_KEYS:
            text = _default_key(text)
        if text:
            return text
    return None


def _default_key(text: str) -> str:
    try:
        keys = json.loads(text)
        return str(keys.get("default") or next(iter(keys.values())))
    except (ValueError, AttributeError, StopIteration):
        return ""


def _read_text(text: str) -> str:
    if text.startswith("<") and text.endswith(">"):
        raise ValueError("still holds a placeholder: put the real value in its place.")
    return text


def _read_secret(text: str) -> Secret:
    if re.search(r"\s", _read_text(text)):
        raise ValueError("holds a space or a line break: copy it again.")
    return Secret(text)


def _read_secrets(text: str) -> tuple[Secret, ...]:
    secrets = tuple(_read_secret(part.strip()) for part in text.split(",") if part.strip())
    if not secrets:
        raise ValueError("holds only commas: write one secret, or several with commas between them.")
    return secrets


def _read_id(text: str) -> str:
    if not re.fullmatch(r"[0-9]{5,20}", _read_text(text)):
        raise ValueError("must be the digits of an id, as Meta's dashboard shows it.")
    return text


def _split_url(text: str) -> SplitResult:
    _read_text(text)
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        raise ValueError("is not an address: write it as https://host.example.") from None
    if url.scheme not in {"http", "https"} or not host:
        raise ValueError("must be a whole address that begins with https://.")
    if url.scheme == "http" and not is_loopback(host):
        raise ValueError("must begin with https:// (http:// is only for this machine itself).")
    if url.username or url.password:
        raise ValueError("must hold no user name or password: leave out what stands before the @.")
    if url.fragment:
        raise ValueError("must hold no #: leave it out with all that follows.")
    return url


def _read_url(text: str) -> str:
    _split_url(text)
    return text.rstrip("/")


def _read_origin(text: str) -> str:
    url = _split_url(text)
    if url.path.strip("/") or url.query:
        raise ValueError("must be an address without a path: leave out what follows the host.")
    return f"{url.scheme}://{url.netloc.lower()}"


def _read_origins(text: str) -> tuple[str, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if "*" in parts:
        raise ValueError("must name each page's origin: * would let every page call.")
    return tuple(dict.fromkeys(_read_origin(part) for part in parts))


def _read_graph_url(text: str) -> str:
    url = _split_url(text)
    if re.search(r"/v\d+\.\d+/?$", url.path):
        raise ValueError("must not hold the version: it belongs in GRAPH_API_VERSION.")
    if url.query:
        raise ValueError("must hold no ?: leave it out with all that follows.")
    return text.rstrip("/")


def _read_version(text: str) -> str:
    if not re.fullmatch(r"v[1-9][0-9]{0,2}\.0", text):
        raise ValueError(f"must look like {DEFAULT_GRAPH_API_VERSION}.")
    return text


def _read_webhook_url(text: str) -> str:
    url = _read_url(text)
    if len(url) > LONGEST_WEBHOOK_URL:
        raise ValueError(f"is longer than the {LONGEST_WEBHOOK_URL} characters that Meta takes.")
    return url


def _read_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}.")
    return text.lower()


def _read_switch(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("must be true or false.")
    return text.lower() == "true"


def _read_lease(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not SHORTEST_LEASE <= int(text) <= LONGEST_LEASE:
        raise ValueError(f"must be a number of seconds, from {SHORTEST_LEASE} to {LONGEST_LEASE}.")
    return int(text)


def _read_template_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,512}", text):
        raise ValueError("must be a template's name: small letters, digits and _.")
    return text


def _read_count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,6}", text):
        raise ValueError("must be a whole number, from 1 to 9999999.")
    return int(text)


def _read_sms_service(text: str) -> str:
    if text != "sns":
        raise ValueError("must be sns (Amazon SNS), or not be set.")
    return text


def _read_shared_secret(text: str) -> Secret:
    if len(_read_secret(text)) < SHORTEST_SHARED_SECRET:
        raise ValueError(f"must have at least {SHORTEST_SHARED_SECRET} characters: anyone could guess it.")
    return Secret(text)


def _read_publishable_key(text: str) -> Secret:
    if text.startswith("sb_secret_") or _role_of_jwt(text) == "service_role":
        raise ValueError("holds the secret key: it must be the publishable one (or the anon key).")
    return _read_secret(text)


def _read_secret_key(text: str) -> Secret:
    if text.startswith("sb_publishable_") or _role_of_jwt(text) == "anon":
        raise ValueError("holds the publishable key: it must be the secret one (or the service_role key).")
    return _read_secret(text)


def _role_of_jwt(text: str) -> object:
    try:
        _, payload, _ = text.split(".")
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["role"]
    except (ValueError, KeyError, TypeError):
        return None


def _read_key_ring(text: str) -> Secret:
    from shared.crypto import parse_envelopes, parse_keys

    # The other forms name where the keys are: shared/key_sources.py.
    if text.startswith("kms:"):
        parse_envelopes(text.removeprefix("kms:"))
    elif text.startswith("secretsmanager:"):
        if not text.removeprefix("secretsmanager:").strip():
            raise ValueError("must name a secret behind secretsmanager:")
    else:
        parse_keys(text)
    return Secret(text)


# Supabase's own runtime hands out keys as a JSON object of names: {"default": "sb_publishable_…"}.
# https://supabase.com/docs/guides/functions/secrets
JSON_KEYS = frozenset({"SUPABASE_PUBLISHABLE_KEYS", "SUPABASE_SECRET_KEYS"})

VARIABLES: Mapping[str, Variable] = {
    "SUPABASE_URL": Variable(read=_read_origin),
    "SUPABASE_PUBLISHABLE_KEY": Variable(
        read=_read_publishable_key, also=("SUPABASE_ANON_KEY", "SUPABASE_PUBLISHABLE_KEYS")
    ),
    "SUPABASE_SECRET_KEY": Variable(
        read=_read_secret_key, also=("SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_SECRET_KEYS"), is_secret=True
    ),
    "ENCRYPTION_KEYS": Variable(read=_read_key_ring, is_secret=True),
    "WHATSAPP_APP_ID": Variable(read=_read_id),
    "WHATSAPP_APP_SECRET": Variable(read=_read_secrets, is_secret=True),
    "WHATSAPP_CONFIG_ID": Variable(read=_read_id),
    "WHATSAPP_BUSINESS_ACCOUNT_ID": Variable(read=_read_id),
    "WHATSAPP_PHONE_NUMBER_ID": Variable(read=_read_id),
    "WHATSAPP_ACCESS_TOKEN": Variable(read=_read_secret, is_secret=True),
    "WHATSAPP_WEBHOOK_VERIFY_TOKEN": Variable(read=_read_secret, is_secret=True),
    "WHATSAPP_WEBHOOK_URL": Variable(read=_read_webhook_url),
    "VERIFICATION_TEMPLATE": Variable(read=_read_template_name, default="verification_code"),
    "VERIFICATION_SMS": Variable(read=_read_sms_service),
    "VERIFICATIONS_PER_HOUR": Variable(read=_read_count, default="100"),
    "GRAPH_API_URL": Variable(read=_read_graph_url, default=DEFAULT_GRAPH_API_URL),
    "GRAPH_API_VERSION": Variable(read=_read_version, default=DEFAULT_GRAPH_API_VERSION),
    "ALLOWED_ORIGINS": Variable(read=_read_origins, default=""),
    "DASHBOARD_URL": Variable(read=_read_url),
    "WEBHOOK_QUEUE_URL": Variable(read=_read_url),
    "CRON_SECRET": Variable(read=_read_shared_secret, is_secret=True),
    "WORKER_LEASE_SECONDS": Variable(read=_read_lease, default="30"),
    "MEDIA_FOLDER": Variable(read=_read_text),
    "ALLOW_LOOPBACK_ENDPOINTS": Variable(read=_read_switch, default="false"),
    "LOG_LEVEL": Variable(read=_read_level, default="info"),
    "METRICS_STAGE": Variable(read=_read_text, default=""),
    "METRICS_TOKEN": Variable(read=_read_shared_secret, is_secret=True),
}
