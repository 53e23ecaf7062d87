"""One JSON object a line on stdout, with everything redacted that is a secret or somebody's own business.

`log.info("area.what_happened", field=…)`. Redaction works by the name of a field, by the look of a value
wherever it stands, and by the very secrets in use (`configure`). It errs on the side of hiding: a number that
might be a phone number is one. Meta's own codes go under `meta_code`, since a number under `code` may be a
verification code.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from shared import metrics

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from types import TracebackType

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
HIDDEN = "[redacted]"
PHONE = "[phone]"
DEEPEST = 8
LONGEST_TEXT = 2_000
MOST_ITEMS = 50
MOST_FRAMES = 12
SHORTEST_SECRET = 8
OUR_PACKAGES = ("shared", "functions", "local")

_fields: ContextVar[Mapping[str, object]] = ContextVar("log_fields", default={})  # noqa: B039 - never changed
_lowest = LEVELS["info"]
_secrets: tuple[str, ...] = ()


def debug(event: str, /, **fields: object) -> None:
    """Say what only a developer wants to know."""
    write("debug", event, fields)


def info(event: str, /, **fields: object) -> None:
    """Say what happened."""
    write("info", event, fields)


def warning(event: str, /, **fields: object) -> None:
    """Say what somebody should look at some day."""
    write("warning", event, fields)


def error(event: str, /, **fields: object) -> None:
    """Say what somebody must look at; an exception goes into the field `error`."""
    write("error", event, fields)


def write(level: str, event: str, fields: Mapping[str, object]) -> None:
    """Write one line, if the level is high enough or somebody's figures are in it."""
    is_low = LEVELS[level] < _lowest
    if is_low and not metrics.counts(event):
        return
    shown = {name: redact(value, name) for name, value in {**_fields.get(), **fields}.items()}
    now = datetime.now(UTC)
    time = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"time": time, "level": level, "event": event} | {
        name: value for name, value in shown.items() if name not in {"time", "level", "event"}
    }
    figures = metrics.embed(line, int(now.timestamp() * 1000))
    if is_low and not figures:
        return
    line |= figures
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def add(**fields: object) -> None:
    """Add these fields to every further line of this task, until the `context` around it ends."""
    _fields.set({**_fields.get(), **fields})


@contextmanager
def context(**fields: object) -> Iterator[None]:
    """Add these fields to every line that this task writes inside the block."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


def configure(*, level: str = "info", secrets: Iterable[str] = ()) -> None:
    """Set the lowest level, and add secrets to hide wherever they turn up; they stay hidden for good."""
    global _lowest, _secrets  # noqa: PLW0603 - a process has one stdout and one set of secrets
    _lowest = LEVELS[level]
    known = {str(secret) for secret in secrets if len(secret) >= SHORTEST_SECRET}
    # The longest first: one may be a part of another.
    _secrets = tuple(sorted(known | set(_secrets), key=len, reverse=True))


# What a field may not show, by its name; names are compared in snake_case.
SECRET_NAME = re.compile(
    r"token|secret|passw|credential|authorization|signature|cookie|api_?key|"
    r"(^|_)(passphrase|pwd|proofs?|jwt|jws|oauth_state|verifier|anon_key|service_role(_key)?|hub_challenge|"
    r"(private|access|publishable|encryption|signing)_keys?)(_|$|\d)"
)
CODE_NAME = re.compile(r"(^|_)(codes?|otp|pin|pins)$")
HARMLESS_CODE_NAMES = frozenset({"error_code", "meta_code", "status_code", "country_code", "exit_code"})
HARMLESS_CODE = re.compile(r"[a-z]+(_[a-z0-9]+)*")
SMALLEST_CODE = 1_000
TEXT_NAME = re.compile(
    r"(^|_)(text|texts|body|bodies|caption|content|contents|payload|html|raw|name|names|profile|username|email|"
    r"address|filename|vcard|birthday|latitude|longitude)$"
)
HARMLESS_TEXT_NAMES = frozenset(
    {"event_name", "function_name", "template_name", "rpc_name", "host_name", "raw_event_id"}
)
PHONE_NAME = re.compile(
    r"(^|_)(phones?|phone_numbers?|wa_ids?|msisdn|mobile|to|from|recipient|recipient_id|input)$"
)
# Ids that Meta gives to things; a digit run elsewhere may be a phone number, which has at most 15 digits.
ID_NAME = re.compile(
    r"(^|_)(phone_number_id|waba_id|business_account_id|app_id|business_id|media_id|template_id|flow_id|config_id)$"
)
NUMBER_NAME = re.compile(r"(^|_)(ms|ns|bytes|size|length|count|timestamp|time|at|seconds)$")
LONGEST_PHONE = 13
FEWEST_PHONE_DIGITS = 5
PHONE_FROM = 10_000_000
LARGEST_NUMBER = 10**20

LOOKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)(bearer|basic)(\s+)[^\s\"',;]+"), rf"\1\2{HIDDEN}"),
    (re.compile(r"://[^/\s@]+@"), f"://{HIDDEN}@"),
    (
        re.compile(
            r"(?i)((?:token|secret|password|signature|proof|authorization|api_?key|\bcode|\bpin|\botp|[?&]state)"
            r"[\"']?\s*[:=]\s*[\"']?)[^\s\"'&,;}]+"
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){1,2}"), HIDDEN),
    (re.compile(r"(?:EAA|IGAA)[0-9A-Za-z]{8,}"), HIDDEN),
    (re.compile(r"\d{5,}\|[\w-]{8,}"), HIDDEN),  # an app's own token: id|secret
    (re.compile(r"(?:sb_(?:secret|publishable)_|sbp_|whsec_)[\w+/=-]+"), HIDDEN),
    (re.compile(r"v1\.[\w-]{1,32}\.[\w-]{20,}"), HIDDEN),  # our own ciphertexts
    (re.compile(r"(?:AKIA|ASIA)[0-9A-Z]{16}"), HIDDEN),
    (re.compile(r"(?:sha(?:1|256)=)?[0-9a-fA-F]{32,}"), HIDDEN),
    (re.compile(r"[0-9A-Za-z+/_-]{43}="), HIDDEN),  # 32 bytes in base64: a key
)
WAMID = re.compile(r"wamid\.[0-9A-Za-z+/=_-]+")
UUIDS = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
PHONES = re.compile(
    rf"(?P<kept>{UUIDS}|wamid#[0-9a-f]{{12}})|\+\d[\d\s().-]{{5,20}}\d|(?<!\d)\d{{8,15}}(?!\d)"
)


def redact(value: object, name: str = "") -> Any:
    """Make a value fit to be written under this name: JSON-able, bounded, without what nobody may read."""
    return _redact(value, _snake(name), DEEPEST)


def _redact(value: object, name: str, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if SECRET_NAME.search(name):
        return HIDDEN
    if TEXT_NAME.search(name) and name not in HARMLESS_TEXT_NAMES:
        return f"[text, {len(value)} characters]" if isinstance(value, str) else "[text]"
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return _redact_container(value, name, depth) if depth else "[deeper]"
    return _redact_scalar(value, name)


def _redact_scalar(value: object, name: str) -> Any:
    if isinstance(value, BaseException):
        return describe(value)
    if isinstance(value, (int, float)):
        return _redact_number(value, name)
    if isinstance(value, (str, UUID)):
        return _redact_text(str(value), name)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"[{len(value)} bytes]"
    if isinstance(value, datetime):
        return value.isoformat()
    return f"[{type(value).__name__}]"


def _redact_number(value: float, name: str) -> Any:
    if not -LARGEST_NUMBER < value < LARGEST_NUMBER:  # not a number, infinite, or too long to be written
        return "[number]"
    if _is_code_name(name):
        return HIDDEN if abs(value) >= SMALLEST_CODE else value
    if abs(value) < PHONE_FROM or NUMBER_NAME.search(name) or ID_NAME.search(name):
        return value
    return value if name.endswith("_id") and abs(value) >= 10**LONGEST_PHONE else PHONE


def _redact_text(text: str, name: str) -> str:
    if _is_code_name(name) and not HARMLESS_CODE.fullmatch(text):
        return HIDDEN
    if PHONE_NAME.search(name) and sum(letter.isdigit() for letter in text) >= FEWEST_PHONE_DIGITS:
        return PHONE
    if text.isdecimal() and (ID_NAME.search(name) or (name.endswith("_id") and len(text) > LONGEST_PHONE)):
        return text
    if len(text) < FEWEST_PHONE_DIGITS:
        return text
    for secret in _secrets:
        text = text.replace(secret, HIDDEN)
    for look, instead in LOOKS:
        text = look.sub(instead, text)
    text = WAMID.sub(lambda match: hash_wamid(match[0]), text)
    text = PHONES.sub(lambda match: match["kept"] or PHONE, text)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… [{len(text)} characters]"


def _redact_container(value: Mapping[Any, object] | Collection[object], name: str, depth: int) -> Any:
    if isinstance(value, Mapping):
        return _redact_mapping(value, depth)
    return _redact_items(list(value), name, depth)


def _redact_mapping(mapping: Mapping[Any, object], depth: int) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for key, value in list(mapping.items())[:MOST_ITEMS]:
        name = _redact_text(key, "") if isinstance(key, str) else str(_redact(key, "", 0))
        # Two phone numbers as keys look the same; neither may swallow the other.
        unique = name if name not in shown else f"{name} #{len(shown)}"
        shown[unique] = _redact(value, _snake(str(key)), depth - 1)
    if len(mapping) > MOST_ITEMS:
        shown["…"] = f"[{len(mapping)} fields]"
    return shown


def _redact_items(items: list[object], name: str, depth: int) -> list[Any]:
    if len(items) == 2 and isinstance(items[0], str):  # noqa: PLR2004 - a pair, as headers and queries come
        return [_redact(items[0], name, depth - 1), _redact(items[1], _snake(items[0]) or name, depth - 1)]
    shown = [_redact(item, name, depth - 1) for item in items[:MOST_ITEMS]]
    return shown if len(items) <= MOST_ITEMS else [*shown, f"[{len(items)} items]"]


def hash_wamid(wamid: str) -> str:
    """Name a message in the log by a short hash: a wamid carries the customer's phone number.

    The message's own random id is part of what is hashed, so that the number cannot be found by trying all.
    """
    return f"wamid#{hashlib.sha256(wamid.encode()).hexdigest()[:12]}"


def describe(exception: BaseException, depth: int = 3) -> dict[str, Any]:
    """Tell an exception by its type and our frames; its text may hold anything, and is left out.

    An exception of ours may offer `log_fields`, which are redacted like all others.
    """
    kind = type(exception)
    shown: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    shown |= {name: redact(value, name) for name, value in getattr(exception, "log_fields", {}).items()}
    if frames := _frames(exception.__traceback__):
        shown["frames"] = frames
    cause = exception.__cause__ or (None if exception.__suppress_context__ else exception.__context__)
    if cause is not None and depth:
        shown["cause"] = describe(cause, depth - 1)
    if isinstance(exception, BaseExceptionGroup) and depth:
        shown["exceptions"] = [describe(each, depth - 1) for each in exception.exceptions[:MOST_FRAMES]]
    return shown


def _frames(traceback: TracebackType | None) -> list[str]:
    frames = []
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "?")
        is_ours = module.partition(".")[0] in OUR_PACKAGES
        if is_ours or traceback.tb_next is None:
            frames.append(f"{module}:{traceback.tb_lineno} {traceback.tb_frame.f_code.co_name}")
        traceback = traceback.tb_next
    return frames[-MOST_FRAMES:]


def _is_code_name(name: str) -> bool:
    return bool(CODE_NAME.search(name)) and name not in HARMLESS_CODE_NAMES


def _snake(name: str) -> str:
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
