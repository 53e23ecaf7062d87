"""What a bot says: an organization's own rules first, then its endpoint. No I/O.

The first rule that fits answers, in the order hand over, keyword, out of hours, welcome; where none does, the
endpoint is asked. An endpoint's answer is messages like any others, and is read as strictly.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.errors import InvalidBody

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_REPLIES = 5
MOST_RULES = 100
MOST_KEYWORDS = 50
LONGEST_KEYWORD = 100
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
# An endpoint can keep quiet, and can call a person.
KNOWN_ANSWER_FIELDS = frozenset({"messages", "hand_over"})
# Whoever answers for a bot names no addressee: it is the chat's.
ADDRESSING_FIELDS = frozenset({"chat_id", "to", "recipient", "organization_id"})
NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a bot does in its turn."""

    by: str
    """The kind of rule that answered, or `endpoint`."""
    replies: tuple[Mapping[str, Any], ...] = ()
    hands_over: bool = False
    asks_endpoint: bool = False

    def to_result(self, note: str | None = None) -> dict[str, Any]:
        """Return what the database's finish_bot_turn takes."""
        return {
            "replies": list(self.replies),
            "by": self.by,
            "hands_over": self.hands_over,
            "note": note or self.by,
        }


def decide(turn: Mapping[str, Any]) -> Decision:
    """Choose by the rules what to say to a message; `turn` is what the database's begin_bot_turn answers."""
    text = turn["message"].get("text") or ""
    for rule in turn["rules"]:
        if _fits(rule, turn, text):
            replies = (read_message(rule["reply"]),) if rule["reply"] is not None else ()
            return Decision(by=rule["kind"], replies=replies, hands_over=rule["kind"] == "hand_over")
    if turn["endpoint_url"] and turn["endpoint_secret"]:
        return Decision(by="endpoint", asks_endpoint=True)
    return Decision(by="nothing")


def _fits(rule: Mapping[str, Any], turn: Mapping[str, Any], text: str) -> bool:
    match rule["kind"]:
        case "hand_over" | "keyword":
            return any(has_keyword(text, keyword) for keyword in rule["keywords"])
        case "out_of_hours":
            is_open = is_open_at(turn["opening_hours"], turn["weekday"], turn["yesterday"], turn["time"])
            return not is_open and not turn["said_closed"]
        case "welcome":
            return bool(turn["is_first"])
    return False


def has_keyword(text: str, keyword: str) -> bool:
    """Tell whether the keyword stands in the text as words of their own, whatever its case and accents."""
    wanted = _plain(keyword)
    return bool(wanted) and f" {wanted} " in f" {_plain(text)} "


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    letters = (letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(re.findall(r"\w+", "".join(letters)))


def is_open_at(hours: Mapping[str, Any], weekday: str, yesterday: str, time: str) -> bool:
    """Tell whether it is within the opening hours; a span that ends before it begins ends the next day."""
    if not hours:
        return True
    today = any(
        begin <= time < end if begin < end else time >= begin for begin, end in hours.get(weekday, [])
    )
    return today or any(begin >= end and time < end for begin, end in hours.get(yesterday, []))


def read_hours(hours: Mapping[str, Any]) -> dict[str, list[list[str]]]:
    """Read opening hours as somebody typed them; raise ValueError."""
    read: dict[str, list[list[str]]] = {}
    for day, spans in hours.items():
        if day not in DAYS or not isinstance(spans, list) or len(spans) > 5:  # noqa: PLR2004 - spans of a day
            raise ValueError("Hours are given by day (mon … sun), each with up to five spans.")
        for span in spans:
            if not (isinstance(span, list) and len(span) == 2 and all(_is_time(each) for each in span)):  # noqa: PLR2004
                raise ValueError('A span is a beginning and an end, as in ["09:00", "18:00"].')
        read[day] = spans
    return read


def _is_time(text: object) -> bool:
    return isinstance(text, str) and bool(TIME.fullmatch(text))


def read_message(reply: object) -> dict[str, Any]:
    """Read a reply as the API reads a message; raise `InvalidBody`.

    Files of ours are refused: a link would be signed for whoever names a path.
    """
    from shared.messages import TYPES
    from shared.web import validate

    if not isinstance(reply, dict) or ADDRESSING_FIELDS & set(reply):
        raise InvalidBody(details=[{"field": "reply", "rule": "message", "message": "This is no reply."}])
    kind = reply.get("type", "text")
    model = TYPES.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise InvalidBody(details=[{"field": "type", "rule": "enum", "message": "There is no such type."}])
    item = validate(model, {**reply, "chat_id": NOBODY}).to_item()
    if _names_storage(item["content"]):
        raise InvalidBody(
            details=[{"field": "storage_path", "rule": "forbidden", "message": "Give a link or a media id."}]
        )
    return {name: item[name] for name in ("type", "content", "reply_to", "target")}


def _names_storage(content: object) -> bool:
    if isinstance(content, dict):
        return "storage_path" in content or any(_names_storage(each) for each in content.values())
    return isinstance(content, list) and any(_names_storage(each) for each in content)


@dataclass(frozen=True, kw_only=True)
class EndpointAnswer:
    """What an endpoint wants to be said."""

    replies: tuple[Mapping[str, Any], ...] = field(default=())
    hands_over: bool = False


def read_endpoint_answer(content: object) -> EndpointAnswer:
    """Read `{"messages": [message], "hand_over": bool}`; nothing at all means to say nothing.

    Raise `InvalidBody` with what is wrong.
    """
    if content is None:
        return EndpointAnswer()
    if not isinstance(content, dict) or not set(content) <= KNOWN_ANSWER_FIELDS:
        raise InvalidBody(
            details=[{"field": "", "rule": "answer", "message": "An answer holds messages and hand_over."}]
        )
    messages, hands_over = content.get("messages", []), content.get("hand_over", False)
    if not isinstance(messages, list) or len(messages) > MOST_REPLIES or not isinstance(hands_over, bool):
        raise InvalidBody(
            details=[{"field": "messages", "rule": "count", "message": f"Up to {MOST_REPLIES} messages."}]
        )
    return EndpointAnswer(replies=tuple(read_message(each) for each in messages), hands_over=hands_over)


def to_question(turn: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the endpoint is asked with."""
    shown: Sequence[str] = ("organization_id", "chat_id", "message", "contact")
    return {name: turn[name] for name in shown}
