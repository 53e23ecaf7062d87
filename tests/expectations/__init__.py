"""What each payload must become, one line per item, file by file.

`corpus.json` speaks of payloads that are not part of the project, `samples.json` of those in `tests/samples`.
A line says: kind, what it is, whose it is, and every flag that the item carries.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests import evidence

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples"
CORPUS = evidence.PAYLOADS

Item = dict[str, Any]
Expectation = dict[str, list[str]]


def load(table: str) -> dict[str, Expectation]:
    """Return the table `samples` or `corpus`: file name → items and problems, each a line."""
    rows: dict[str, Expectation] = json.loads((HERE / f"{table}.json").read_text())
    return rows


def summary(item: Item) -> str:
    """Say what an item is in one line."""
    words, flags = _SUMMARIES[item["kind"]](item)
    time = [] if item["occurred_at"] or item["kind"] == "notice" else ["undated"]
    return " ".join([item["kind"], *words, *(flag for flag, is_set in flags.items() if is_set), *time])


def _who(contact: Item | None) -> str:
    if contact is None:
        return "nobody"
    return "+".join(alias.partition(":")[0] for alias in contact["aliases"])


def _message(item: Item) -> tuple[list[str], dict[str, object]]:
    media = item["media"] or {}
    return [item["type"], item["direction"], item["origin"], _who(item["contact"])], {
        "named": item["contact"]["name"],
        "text": item["text"],
        "media": media,
        "voice": media.get("is_voice"),
        "animated": media.get("is_animated"),
        "reply": item["reply_to_wamid"],
        "target": item["target_wamid"],
        "forwarded": item["is_forwarded"],
        "group": item["group_id"],
        "standby": item["is_standby"],
        str(item["status"]): item["status"],
    }


def _status(item: Item) -> tuple[list[str], dict[str, object]]:
    code = (item["error"] or {}).get("code")
    return [item["status"], _who(item["recipient"])], {
        "error": item["error"],
        str(code): code,
        "priced": item["pricing"],
        "conversation": item["conversation"],
        "callback": item["callback_data"],
        "group": item["group_id"],
    }


def _contact(item: Item) -> tuple[list[str], dict[str, object]]:
    return [item["action"], _who(item["contact"])], {"named": item["contact"]["name"]}


def _identity(item: Item) -> tuple[list[str], dict[str, object]]:
    return [_who(item), "now", _who(item["contact"])], {}


def _template(item: Item) -> tuple[list[str], dict[str, object]]:
    return [item["event"]], {key: item[key] for key in ("status", "quality", "category", "reason")}


def _notice(item: Item) -> tuple[list[str], dict[str, object]]:
    about = {"number": item["phone_number"], "template": item["template_id"]}
    return [item["field"], item["event"], item["severity"]], about


_SUMMARIES = {
    "message": _message,
    "status": _status,
    "contact": _contact,
    "identity": _identity,
    "template": _template,
    "notice": _notice,
}
