"""What Meta is sent, and what its answer means: sent, refused, to be tried again, unknown. No I/O.

A message is never sent again after an outcome that nobody knows: Meta has no idempotency key. It becomes
`uncertain`, and the status webhook, which carries our row's id, tells later what became of it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.contacts import canonical_phone, make_contact
from shared.graph import GraphError, GraphUnreachable
from shared.meta_errors import TABLE, classify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.meta_errors import MetaErrorClass

# How often one call may be repeated at once, and how often a message may be tried in all.
ATTEMPTS_AT_ONCE = 3
MOST_ATTEMPTS = 8
# A message that would have to wait longer than this is refused instead, so that somebody decides.
LONGEST_DELAY = 30 * 60.0
LONGEST_PAUSE = 5 * 60.0
# A number that somebody must put in order is tried again so often; the database pauses it for as long.
STOPPED_SECONDS = 5 * 60.0
# The number's throughput is reached; https://developers.facebook.com/documentation/business-messaging/whatsapp/throughput
TOO_FAST = 130429
PAUSE_SECONDS = 1.0
MOST_TOO_FAST = 200
SERVER_ERROR = 500
MEDIA_TYPES = frozenset({"image", "video", "audio", "document", "sticker"})

TEMPLATE_STATUSES = {132015: "PAUSED", 132016: "DISABLED"}
# Errors that may only mean that WhatsApp knows the number in its other form.
NUMBER_FORM_CODES = frozenset({131026, 131030})


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to become of a message after a call that did not succeed."""

    outcome: str
    """`failed`, `uncertain`, `retry` (queued, after `seconds`) or `again` (at once, after `seconds`)."""
    seconds: float = 0.0
    error: dict[str, Any] | None = None
    pause_seconds: float | None = None
    pair_pause_seconds: float | None = None
    stops_number: bool = False
    """The number cannot send until somebody acts."""
    integration_error: tuple[str, str] | None = None
    """Code and sentence, where the connection as a whole cannot send any more."""
    template_status: str | None = None
    """What has become of the template, where that is why."""


def build_body(send: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of Meta's call for a send as the database describes it, `content`'s files resolved.

    Of the content only the part that is named after the type: nothing in it can change the addressee.
    """
    address = dict(send["address"])
    kind = send["type"]
    part = content[kind]
    if kind == "reaction":
        part = {**part, "message_id": send["target_wamid"]}
    body: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "recipient_type": address.pop("recipient_type", "individual"),
        **address,
        "type": kind,
        kind: part,
        "biz_opaque_callback_data": send["message_id"],
    }
    if send.get("reply_to_wamid"):
        body["context"] = {"message_id": send["reply_to_wamid"]}
    return body


def read_acceptance(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the outcome that Meta's answer means, None if it is no acceptance of a message."""
    messages = answer.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    wamid = first.get("id") if isinstance(first, dict) else None
    if not isinstance(wamid, str) or not wamid:
        return None
    contacts = answer.get("contacts")
    entry = contacts[0] if isinstance(contacts, list) and contacts and isinstance(contacts[0], dict) else {}
    contact = make_contact(wa_id=entry.get("wa_id"), bsuid=entry.get("user_id"))
    return {"outcome": "accepted", "wamid": wamid, "contact": contact}


def decide(  # noqa: PLR0911 - one return a decision, in the order in which they are taken
    error: GraphError | GraphUnreachable,
    *,
    attempts: int,
    tries: int,
    is_queued: bool = False,
    draw: Callable[[], float] = random.random,
) -> Verdict:
    """Say what is to become of a message.

    `attempts` counts the earlier turns that it has had, `tries` the calls of this turn, this one included.
    `is_queued` tells that nobody waits for the answer.
    """
    if isinstance(error, GraphUnreachable):
        if error.request_written:
            return Verdict(outcome="uncertain")
        return _again_or_later(None, attempts, tries, seconds=draw() * 2.0**tries)
    meaning = classify(error)
    shown = {
        "code": error.code,
        "subcode": error.subcode,
        "title": error.message[:500],
        "details": error.details[:1000],
        # Not stored: for the log and for the answer to whoever waits.
        "fbtrace_id": error.fbtrace_id,
    }
    if error.http_status >= SERVER_ERROR and not _is_documented(error):
        return Verdict(outcome="uncertain", error=shown)
    if meaning.effect == "token_dead":
        mark = ("token_dead", meaning.sentence("es"))
        return Verdict(outcome="failed", error=shown, integration_error=mark)
    if meaning.effect == "number_paused":
        # Whoever waits is told at once; what was queued waits for whoever must act, but not for ever.
        may_wait = is_queued and attempts + 1 < MOST_ATTEMPTS
        outcome = "retry" if may_wait else "failed"
        return Verdict(outcome=outcome, seconds=STOPPED_SECONDS, error=shown, stops_number=True)
    if meaning.effect == "template_paused":
        status = TEMPLATE_STATUSES.get(error.code, "PAUSED")
        return Verdict(outcome="failed", error=shown, template_status=status)
    seconds = meaning.delay_seconds(attempts, retry_after=error.retry_after, draw=draw)
    if seconds is None or meaning.actor != "nobody":
        return Verdict(outcome="failed", error=shown)
    if meaning.retry == "now":
        return _again_or_later(shown, attempts, tries, seconds=seconds)
    return _later(error, meaning, shown, attempts, seconds, draw)


def _is_documented(error: GraphError) -> bool:
    return (error.code, error.subcode) in TABLE or (error.code, None) in TABLE


def _again_or_later(error: dict[str, Any] | None, attempts: int, tries: int, *, seconds: float) -> Verdict:
    if tries < ATTEMPTS_AT_ONCE and seconds <= 2.0**tries:
        return Verdict(outcome="again", seconds=seconds, error=error)
    if attempts + 1 >= MOST_ATTEMPTS or seconds > LONGEST_DELAY:
        return Verdict(outcome="failed", error=error)
    # Longer each time: what did not pass in a few seconds may take minutes.
    return Verdict(outcome="retry", seconds=max(seconds, 2.0**attempts), error=error)


def _later(
    error: GraphError,
    meaning: MetaErrorClass,
    shown: dict[str, Any],
    attempts: int,
    seconds: float,
    draw: Callable[[], float],
) -> Verdict:
    if error.code == TOO_FAST and attempts < MOST_TOO_FAST:
        # Our pace is the remedy, not an ever longer pause: others may send from this number too.
        wait = min(max(PAUSE_SECONDS, error.retry_after or 0.0), LONGEST_PAUSE)
        return Verdict(outcome="retry", seconds=wait * (1.0 + draw()), error=shown, pause_seconds=wait)
    is_slow = meaning.effect == "slow_down"
    if is_slow:
        seconds = max(seconds, error.usage.minutes_to_regain * 60)
    if seconds > LONGEST_DELAY or attempts + 1 >= MOST_ATTEMPTS:
        return Verdict(outcome="failed", error=shown)
    return Verdict(
        outcome="retry",
        seconds=seconds,
        error=shown,
        pause_seconds=min(seconds, LONGEST_PAUSE) if is_slow else None,
        pair_pause_seconds=seconds if meaning.effect == "pair_slow_down" else None,
    )


def to_result_base(send: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every result names: the message and whose it is, and the lease where there is one."""
    names = ("message_id", "organization_id", "lease_token")
    return {name: send[name] for name in names if name in send}


def to_result(verdict: Verdict, send: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result that the database's finish_sends takes."""
    result = {**to_result_base(send), "outcome": verdict.outcome}
    if verdict.error is not None:
        result["error"] = verdict.error
    if verdict.outcome == "retry":
        result["retry_seconds"] = verdict.seconds
    if verdict.pause_seconds is not None:
        result["pause_seconds"] = verdict.pause_seconds
    if verdict.pair_pause_seconds is not None:
        result["pair_pause_seconds"] = verdict.pair_pause_seconds
    if verdict.stops_number:
        result["stops_number"] = True
    if verdict.template_status is not None:
        result["template_status"] = verdict.template_status
    if verdict.integration_error is not None:
        code, message = verdict.integration_error
        result["integration_error"] = {"stamp": send["credentials_stamp"], "code": code, "message": message}
    return result


def other_form(digits: str) -> str | None:
    """Return the other spelling of a Brazilian, Mexican or Argentinian mobile, None where there is none."""
    canonical = canonical_phone(digits)
    if canonical != digits:
        return canonical
    candidates = {
        "55": f"{digits[:4]}{digits[5:]}" if len(digits) == 13 and digits[4:5] == "9" else "",  # noqa: PLR2004
        "52": f"521{digits[2:]}" if len(digits) == 12 else "",  # noqa: PLR2004
        "54": f"549{digits[2:]}" if len(digits) == 12 else "",  # noqa: PLR2004
    }
    other = candidates.get(digits[:2], "")
    return other if other and canonical_phone(other) == digits else None


def find_media(content: Any, field: str = "", kind: str = "") -> list[tuple[str, str, dict[str, Any]]]:
    """Return every part that stands for a file in our storage, with its kind of media and where it stands."""
    if isinstance(content, list):
        return [
            found
            for position, value in enumerate(content)
            for found in find_media(value, f"{field}[{position}]", kind)
        ]
    if not isinstance(content, dict):
        return []
    if isinstance(content.get("storage_path"), str):
        return [(kind, f"{field}.storage_path", content)]
    return [
        found
        for key, value in content.items()
        for found in find_media(
            value, f"{field}.{key}" if field else key, key if key in MEDIA_TYPES else kind
        )
    ]


def replace_files(content: Any, links: Mapping[str, str]) -> Any:
    """Return the content with a link in the place of each path of our storage."""
    if isinstance(content, dict):
        return {
            ("link" if key == "storage_path" else key): (
                links[value] if key == "storage_path" else replace_files(value, links)
            )
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [replace_files(value, links) for value in content]
    return content
