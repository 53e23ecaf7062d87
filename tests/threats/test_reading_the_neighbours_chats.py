"""A member of one organization tries to read another's rows: with supabase-py and with bare requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
import supabase

if TYPE_CHECKING:
    from tests.threats.conftest import Connected
    from tests.world import User, World

TENANT_TABLES = (
    "organization_members",
    "contacts",
    "contact_aliases",
    "chats",
    "messages",
    "message_templates",
    "notices",
)
CLOSED_TABLES = ("former_phones", "message_receipts", "webhook_events", "webhook_problems", "jobs")


@pytest.mark.parametrize("table", TENANT_TABLES)
def test_each_sees_only_its_own_rows(ours: Connected, theirs: Connected, table: str) -> None:
    for us, them in ((ours, theirs), (theirs, ours)):
        all_rows = us.owner.rest.get(f"/{table}?select=organization_id").json()
        asked_for = us.owner.rest.get(
            f"/{table}?select=organization_id&organization_id=eq.{them.organization.id}"
        )

        assert {row["organization_id"] for row in all_rows} <= {us.organization.id}
        assert (asked_for.status_code, asked_for.json()) == (200, [])


def test_supabase_py_shows_a_member_the_chat_and_a_neighbour_nothing(
    world: World, ours: Connected, theirs: Connected
) -> None:
    def read(user: User) -> list[Any]:
        with httpx.Client(trust_env=False) as http:
            options = supabase.ClientOptions(httpx_client=http)
            client = supabase.create_client(world.supabase_url, world.publishable_key, options)
            client.postgrest.auth(user.token)
            messages = client.table("messages").select("text, chats(id, contacts(name))")
            return messages.eq("chat_id", ours.chat_id).execute().data

    assert read(ours.owner) == [
        {"text": "Secreto", "chats": {"id": ours.chat_id, "contacts": {"name": "Ana Ejemplo"}}}
    ]
    assert read(theirs.owner) == []


@pytest.mark.parametrize("table", CLOSED_TABLES)
def test_what_is_the_services_alone_is_refused_even_to_owners(ours: Connected, table: str) -> None:
    answer = ours.owner.rest.get(f"/{table}?select=*")

    assert (answer.status_code, answer.json()["code"]) == (403, "42501")


def test_a_stranger_sees_nothing(world: World, ours: Connected) -> None:
    stranger = world.new_user()

    seen = {table: stranger.rest.get(f"/{table}?select=organization_id").json() for table in TENANT_TABLES}

    assert seen == {table: [] for table in TENANT_TABLES}
    assert stranger.rest.get("/organizations?select=id").json() == []


@pytest.mark.parametrize("table", [*TENANT_TABLES, *CLOSED_TABLES, "organizations", "whatsapp_integrations"])
def test_without_signing_in_every_table_is_closed(world: World, ours: Connected, table: str) -> None:
    answer = world.anonymous.get(f"/{table}?select=*")

    assert answer.status_code in (401, 403)
    assert answer.json()["code"] == "42501"


def test_a_member_who_was_removed_sees_nothing_any_more(ours: Connected, agent: User) -> None:
    before = agent.rest.get("/messages?select=text").json()

    removed = ours.owner.rest.delete(
        f"/organization_members?organization_id=eq.{ours.organization.id}&user_id=eq.{agent.id}"
    )

    assert before == [{"text": "Secreto"}]
    assert removed.is_success
    assert agent.rest.get("/messages?select=text").json() == []
