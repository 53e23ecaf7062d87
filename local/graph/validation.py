"""What Meta demands of each type of message. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph.errors import documented, invalid_parameter, required

if TYPE_CHECKING:
    from local.graph.simulator import Simulator
    from local.graph.state import Number, Template

TYPES = frozenset(
    ["text", "image", "video", "audio", "document", "sticker", "location", "contacts", "reaction", "interactive", "template"]
)
_LONGEST_TEXT = 4096


def check_message(simulator: Simulator, number: Number, kind: str, body: dict[str, Any]) -> Template | None:
    """Refuse a message that Meta would refuse; return its template, if it is one of a template."""
    if kind not in TYPES:
        raise invalid_parameter(
            f'Param type must be one of {{{", ".join(sorted(TYPES)).upper()}}} - got "{kind}".'
        )
    content = body.get(kind)
    if not content:
        raise required(kind)
    if kind == "text":
        if not isinstance(content, dict) or not content.get("body"):
            raise required("text['body']")
        if len(str(content["body"])) > _LONGEST_TEXT:
            raise invalid_parameter("Param text['body'] must be at most 4096 characters long.")
    if kind == "template":
        return _find_template(simulator, number, content)
    return None


def _find_template(simulator: Simulator, number: Number, content: dict[str, Any]) -> Template:
    name, language = content.get("name"), (content.get("language") or {}).get("code")
    for template in simulator.state.templates_of(number.waba_id):
        if template.name == name and template.language == language and template.status == "APPROVED":
            return template
    raise documented(132001, details=f"template name ({name}) does not exist in {language}")
