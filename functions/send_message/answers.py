"""What callers are told about their messages. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from shared.errors import AppError, MetaRefused, MetaUnavailable, WindowClosed, find_by_code

if TYPE_CHECKING:
    from collections.abc import Mapping

# On its way or waiting: whoever asks may look at the message's row for the rest.
PENDING = frozenset({"queued", "sending", "uncertain"})


def answer_message(message: Mapping[str, Any], language: str, *, fbtrace_id: str = "") -> Response:
    """Show the message: 200 once Meta has it, 202 while that is not known, Meta's refusal as an error."""
    if message["status"] == "failed":
        refusal = refusal_of(message, fbtrace_id)
        headers = {"Content-Language": language}
        body = {**refusal.to_body(language), "message": message}
        return JSONResponse(body, status_code=refusal.status, headers=headers)
    status = 202 if message["status"] in PENDING else 200
    return JSONResponse({"message": message}, status_code=status)


def refusal_of(message: Mapping[str, Any], fbtrace_id: str = "") -> AppError:
    """Return the error that a failed message's code means; `fbtrace_id` where Meta was asked just now."""
    code = message["error_code"]
    if code is None:
        # Meta was never called: what stood in the way is ours, and told by its own code.
        return (find_by_code(message["error_message"]) or MetaUnavailable)()
    from shared.graph import GraphError

    error = GraphError(code=code, subcode=message["error_subcode"], http_status=400, fbtrace_id=fbtrace_id)
    refusal = error.to_refusal()
    if isinstance(refusal, MetaRefused):
        refusal.meta = {name: value for name, value in refusal.meta.items() if value}
    return refusal


def refuse_closed_window(begun: Mapping[str, Any], *, is_batch: bool) -> AppError:
    """Make the refusal that offers what may be sent instead: the approved templates."""
    templates = [
        {
            "field": "template",
            "rule": "approved",
            "message": f"{template['name']} ({template['language']})",
            **template,
        }
        for template in begun["templates"]
    ]
    places = [
        {
            "field": f"messages[{position}]",
            "rule": "window_closed",
            "message": "The window of this chat is closed.",
        }
        for position in begun["closed"][:100]
    ]
    return WindowClosed(details=[*(places if is_batch else []), *templates])
