"""How a function tells what its routes take and answer, for the OpenAPI document. No I/O.

The tables stand beside the handlers, in `functions/<name>/openapi.py`; no handler imports them, so nothing of
this is deployed. `local/openapi.py` makes the document of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from shared.errors import (
    AppError,
    DatabaseUnavailable,
    Forbidden,
    InvalidBody,
    InvalidQuery,
    InvalidToken,
    MetaRefused,
    MetaUnavailable,
    Misconfigured,
    MissingToken,
    NotAMember,
    NotFound,
    NotJson,
    OrganizationRequired,
    OutcomeUnknown,
    OwnerRequired,
    TooLarge,
    Unauthorized,
    walk,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

Refusals = tuple[type[AppError], ...]

# Whatever is asked: a setting is wrong, the database is away, or something happened that nobody foresaw.
EVERYWHERE: Refusals = (AppError, Misconfigured, DatabaseUnavailable)
OF_A_BODY: Refusals = (NotJson, InvalidBody, TooLarge)
OF_A_USER: Refusals = (
    *(MissingToken, InvalidToken, Unauthorized, Forbidden, NotAMember, NotFound, OrganizationRequired),
)
OF_META: Refusals = (*walk(MetaRefused), MetaUnavailable, OutcomeUnknown)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A body that is no JSON: `type` is its media type, None where there is no body."""

    describes: str
    type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path.

    `takes`, `query` and the values of `answers` are pydantic models (or what a `TypeAdapter` takes);
    `refuses` names what may be refused beyond what follows from the caller and the body.
    """

    summary: str
    caller: Literal["member", "owner", "meta", "scheduler", "monitor", "browser"]
    answers: Mapping[int, Any]
    takes: Any = None
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    refuses: Refusals = ()

    def refusals(self) -> Refusals:
        """List every way in which this operation may refuse, each once."""
        found = [*EVERYWHERE, *self.refuses]
        if self.takes is not None:
            found += OF_A_BODY
        if self.query is not None and self.caller in {"member", "owner"}:
            found.append(InvalidQuery)
        if self.caller in {"member", "owner"}:
            found += OF_A_USER
        if self.caller == "owner":
            found.append(OwnerRequired)
        return tuple(dict.fromkeys(found))


Operations = dict[tuple[str, str], Operation]
