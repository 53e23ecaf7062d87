"""Nobody but the service reads a credential, not even its ciphertext, nor by any roundabout way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.threats.conftest import Connected
    from tests.world import User, World

SECRETS = ("access_token", "app_secret", "webhook_verify_token")


@pytest.mark.parametrize("column", [*SECRETS, "*"])
def test_the_owner_cannot_select_it(ours: Connected, column: str) -> None:
    answer = ours.owner.rest.get(f"/whatsapp_integrations?select={column}")

    assert (answer.status_code, answer.json()["code"]) == (403, "42501")


@pytest.mark.parametrize("column", SECRETS)
def test_an_agent_cannot_filter_or_sort_by_it(agent: User, column: str) -> None:
    answers = [
        agent.rest.get(f"/whatsapp_integrations?select=id&{column}=like.v1*"),
        agent.rest.get(f"/whatsapp_integrations?select=id&order={column}"),
        agent.rest.get(f"/organizations?select=id,whatsapp_integrations({column})"),
    ]

    assert [answer.json()["code"] for answer in answers] == ["42501"] * 3


@pytest.mark.parametrize("column", SECRETS)
def test_a_write_does_not_hand_it_back(ours: Connected, column: str) -> None:
    answer = ours.owner.rest.patch(
        f"/whatsapp_integrations?organization_id=eq.{ours.organization.id}&select={column}",
        json={"phone_number": "+15550100000"},
        headers={"Prefer": "return=representation"},
    )

    assert answer.json()["code"] == "42501"


def test_attachments_do_not_tell_metas_ids(ours: Connected) -> None:
    answer = ours.owner.rest.get("/message_media?select=media_id")

    assert answer.json()["code"] == "42501"


@pytest.mark.parametrize("name", ["find_webhook_endpoint", "store_delivery", "list_webhook_events"])
def test_the_services_functions_are_closed_to_everybody_else(
    world: World, ours: Connected, name: str
) -> None:
    own = ours.owner.rest.post(f"/rpc/{name}", json=_arguments(name, ours))
    anonymous = world.anonymous.post(f"/rpc/{name}", json=_arguments(name, ours))

    assert own.json()["code"] == "42501"
    assert anonymous.json()["code"] == "42501"


def _arguments(name: str, ours: Connected) -> dict[str, object]:
    arguments: dict[str, dict[str, object]] = {
        "find_webhook_endpoint": {"integration": ours.integration_id},
        "list_webhook_events": {"after_id": 0},
        "store_delivery": {
            "source": None,
            "body_digest": "0" * 64,
            "body_text": "{}",
            "body_base64": None,
            "parsed_items": [],
            "parse_problems": [],
        },
    }
    return arguments[name]
