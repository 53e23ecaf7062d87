"""A number that one organization has connected is its own, whatever anybody writes: the database refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.threats.conftest import Connected
    from tests.world import User, World

    Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.mark.parametrize("status", ["connected", "error"])
def test_even_the_service_cannot_connect_a_number_twice(
    database: Connection, ours: Connected, theirs: Connected, status: str
) -> None:
    database.execute(
        "update whatsapp_integrations set status = %s where id = %s", (status, theirs.integration_id)
    )

    with pytest.raises(psycopg.errors.UniqueViolation):
        database.execute(
            "update whatsapp_integrations set phone_number_id = %s where id = %s",
            (theirs.phone_number_id, ours.integration_id),
        )


def test_a_disconnected_number_is_free_again(
    database: Connection, ours: Connected, theirs: Connected
) -> None:
    database.execute(
        "update whatsapp_integrations set status = 'disconnected', access_token = null where id = %s",
        (theirs.integration_id,),
    )

    database.execute(
        "update whatsapp_integrations set phone_number_id = %s where id = %s",
        (theirs.phone_number_id, ours.integration_id),
    )


def test_a_connection_cannot_be_begun_for_another_organization(ours: Connected, theirs: Connected) -> None:
    answer = ours.owner.rest.post(
        "/whatsapp_integrations",
        json={"organization_id": theirs.organization.id, "phone_number": "+15550100000"},
    )

    assert answer.json()["code"] == "42501"


def test_an_agent_cannot_begin_a_connection(world: World, database: Connection, agent: User) -> None:
    organization = world.new_organization()
    database.execute(
        "insert into organization_members (organization_id, user_id, role) values (%s, %s, 'agent')",
        (organization.id, agent.id),
    )

    answer = agent.rest.post(
        "/whatsapp_integrations",
        json={"organization_id": organization.id, "phone_number": "+15550100000"},
    )

    assert answer.json()["code"] == "42501"


def test_rows_cannot_point_into_another_organization(
    database: Connection, ours: Connected, theirs: Connected
) -> None:
    moves = [
        ("update messages set chat_id = %s where id = %s", (theirs.chat_id, ours.message_id)),
        (
            "update messages set contact_id = (select contact_id from chats where id = %s) where id = %s",
            (theirs.chat_id, ours.message_id),
        ),
        (
            "update chats set contact_id = (select contact_id from chats where id = %s) where id = %s",
            (theirs.chat_id, ours.chat_id),
        ),
        (
            "update messages set wamid = 'wamid.moved', organization_id = %s where id = %s",
            (theirs.organization.id, ours.message_id),
        ),
    ]

    for query, parameters in moves:
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            database.execute(query.encode(), parameters)


def test_nobody_writes_a_membership(world: World, ours: Connected, agent: User) -> None:
    stranger = world.new_user()

    answers = [
        user.rest.post(
            "/organization_members",
            json={"organization_id": ours.organization.id, "user_id": stranger.id, "role": role},
        )
        for user in (stranger, agent, ours.owner)
        for role in ("agent", "owner")
    ]

    assert [answer.json()["code"] for answer in answers] == ["42501"] * 6


def test_an_agent_cannot_make_itself_owner(ours: Connected, agent: User) -> None:
    answer = agent.rest.patch(
        f"/organization_members?organization_id=eq.{ours.organization.id}&user_id=eq.{agent.id}",
        json={"role": "owner"},
    )

    assert answer.json()["code"] == "42501"


def test_nobody_creates_an_organization_for_somebody_else(world: World) -> None:
    one, other = world.new_user(), world.new_user()

    answer = one.rest.post("/organizations", json={"owner_id": other.id, "name": "Ajena"})

    assert answer.json()["code"] == "42501"
