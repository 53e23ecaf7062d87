"""Who is calling, and for which organization: proven by the database with the caller's own token. An edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from shared import log
from shared.errors import InvalidQuery
from shared.web import bearer_token, resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A member of an organization, and the organization's connection as they may see it."""

    user_id: str
    organization_id: str
    organization_name: str
    role: str
    integration: dict[str, Any] | None
    verification: dict[str, Any] | None

    @classmethod
    def from_answer(cls, found: Mapping[str, Any]) -> Caller:
        """Read what `my_connection` answered."""
        return cls(
            user_id=found["user_id"],
            organization_id=found["organization_id"],
            organization_name=found["organization_name"],
            role=found["role"],
            integration=found["integration"],
            verification=found.get("verification"),
        )

    @property
    def is_owner(self) -> bool:
        """Tell whether they may change the connection."""
        return self.role == "owner"


async def find_caller(
    request: Request, organization_id: str | None = None, *, needs_owner: bool = False
) -> Caller:
    """Return the caller; raise `NotAMember`, `OwnerRequired` or `OrganizationRequired` as SQL says.

    The organization may stand in the query too.
    """
    session = resources(request).database.as_user(bearer_token(request))
    wanted = {"organization": organization_id or read_organization(request), "needs_owner": needs_owner}
    caller = Caller.from_answer(await session.rpc("my_connection", wanted))
    log.add(organization_id=caller.organization_id)
    return caller


def read_organization(request: Request) -> str | None:
    """Return the organization that the query names; raise `InvalidQuery` for what is no id."""
    text = request.query_params.get("organization_id")
    if not text:
        return None
    try:
        return str(UUID(text))
    except ValueError:
        detail = {"field": "organization_id", "rule": "uuid", "message": "This is no id."}
        raise InvalidQuery(details=[detail]) from None
