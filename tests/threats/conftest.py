"""Two organizations with a chat each, an agent of the first, and a stranger."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests import wire
from tests.database.tenants import store

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from tests.world import Organization, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class Connected:
    """An organization whose number is connected, with a customer's message in a chat."""

    organization: Organization
    phone_number_id: str
    integration_id: str
    chat_id: str
    message_id: str

    @property
    def owner(self) -> User:
        return self.organization.owner


@pytest.fixture
def connect(database: Connection, world: World) -> Callable[[], Connected]:
    """Connect an organization's number straight in the database, and let a customer write to it."""

    def make() -> Connected:
        organization = world.new_organization()
        number, account = (str(secrets.randbelow(10**14) + 10**14) for _ in range(2))
        integration_id = _only(
            database,
            """
            insert into whatsapp_integrations (organization_id, phone_number, phone_number_id,
                business_account_id, status)
            values (%s, '+15550109999', %s, %s, 'connected') returning id::text
            """,
            (organization.id, number, account),
        )
        value = wire.value(
            phone_number_id=number, contacts=[wire.contact()], messages=[wire.text_message("Secreto")]
        )
        store(database, wire.delivery(value, waba_id=account))
        chat_id, message_id = database.execute(
            "select chat_id::text, id::text from messages where organization_id = %s", (organization.id,)
        ).fetchall()[0]
        return Connected(
            organization=organization,
            phone_number_id=number,
            integration_id=integration_id,
            chat_id=chat_id,
            message_id=message_id,
        )

    return make


@pytest.fixture
def ours(connect: Callable[[], Connected]) -> Connected:
    return connect()


@pytest.fixture
def theirs(connect: Callable[[], Connected]) -> Connected:
    return connect()


@pytest.fixture
def agent(world: World, ours: Connected) -> User:
    """A member of our organization who is no owner."""
    return ours.organization.take_in(world.new_user())


def _only(database: Connection, query: str, parameters: tuple[object, ...]) -> Any:
    row = database.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return row[0]
