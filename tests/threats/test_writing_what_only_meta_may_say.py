"""A user tries to write statuses, messages, ids and credentials past the functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.threats.conftest import Connected
    from tests.world import User, World


@pytest.mark.parametrize(
    "change",
    [
        {"status": "connected"},
        {"phone_number_id": "1"},
        {"business_account_id": "1"},
        {"access_token": "v1.k.CCCC"},
        {"app_secret": "v1.k.CCCC"},
        {"webhook_verify_token": "v1.k.CCCC"},
        {"verified_at": "2026-01-01T00:00:00Z"},
        {"organization_id": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_owner_cannot_change_a_connection_past_the_functions(
    ours: Connected, change: dict[str, str]
) -> None:
    answer = ours.owner.rest.patch(
        f"/whatsapp_integrations?organization_id=eq.{ours.organization.id}", json=change
    )

    assert (answer.status_code, answer.json()["code"]) == (403, "42501")


def test_the_number_of_a_connected_integration_stays(ours: Connected) -> None:
    ours.owner.rest.patch(
        f"/whatsapp_integrations?organization_id=eq.{ours.organization.id}",
        json={"phone_number": "+15550100000"},
    )

    row = ours.owner.rest.get("/whatsapp_integrations?select=phone_number").json()
    assert row == [{"phone_number": "+15550109999"}]


@pytest.mark.parametrize(
    "change",
    [{"read_at": "2026-01-01T00:00:00Z"}, {"text": "Otra cosa"}, {"wamid": "wamid.X"}, {"chat_id": None}],
    ids=lambda change: next(iter(change)),
)
def test_an_agent_cannot_change_a_message(ours: Connected, agent: User, change: dict[str, str]) -> None:
    answer = agent.rest.patch(f"/messages?id=eq.{ours.message_id}", json=change)

    assert (answer.status_code, answer.json()["code"]) == (403, "42501")


def test_nobody_writes_a_message_into_a_chat(ours: Connected, theirs: Connected) -> None:
    for us in (ours, theirs):
        answer = us.owner.rest.post(
            "/messages",
            json={
                "organization_id": us.organization.id,
                "chat_id": ours.chat_id,
                "direction": "outbound",
                "type": "text",
            },
        )

        assert answer.json()["code"] == "42501"


@pytest.mark.parametrize("table", ["chats", "messages", "contacts", "whatsapp_integrations", "organizations"])
def test_nobody_deletes(ours: Connected, table: str) -> None:
    answer = ours.owner.rest.delete(f"/{table}?id=neq.00000000-0000-0000-0000-000000000000")

    assert answer.json()["code"] == "42501"


def test_the_statuses_of_both_stay_as_they_were(world: World, ours: Connected, theirs: Connected) -> None:
    rows = world.service.get(f"/messages?select=status&id=in.({ours.message_id},{theirs.message_id})").json()

    assert rows == [{"status": "received"}] * 2
