"""An owner tries to make somebody a member unasked; only the invited person decides, and leaves at will."""

from __future__ import annotations

import tomllib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from local.programs import ROOT

if TYPE_CHECKING:
    import httpx
    import psycopg

    from tests.threats.conftest import Connected
    from tests.world import Organization, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def organization(world: World) -> Organization:
    return world.new_organization(name="Panadería Rosa")


@pytest.fixture
def invited(world: World) -> User:
    return world.new_user()


def invite(organization: Organization, user: User, role: str = "agent") -> str:
    asked = {"organization": organization.id, "address": user.email.upper(), "new_role": role}
    answer = organization.owner.rest.post("/rpc/invite_member", json=asked)
    assert answer.is_success, answer.text
    return str(answer.json()["id"])


def memberships(user: User) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = user.rest.get(
        f"/organization_members?select=organization_id,role&user_id=eq.{user.id}"
    ).json()
    return found


def invitations(user: User) -> list[dict[str, Any]]:
    answer = user.rest.post("/rpc/list_my_invitations")
    assert answer.is_success, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def decide(user: User, what: str, invitation: str) -> httpx.Response:
    return user.rest.post(f"/rpc/{what}_invitation", json={"invitation": invitation})


@pytest.mark.parametrize("role", ["agent", "owner"])
def test_an_owner_adds_nobody_and_learns_no_address(
    organization: Organization, invited: User, role: str
) -> None:
    answer = organization.owner.rest.post(
        "/organization_members",
        json={"organization_id": organization.id, "user_id": invited.id, "role": role},
    )

    assert answer.json()["code"] == "42501"
    listed = organization.owner.rest.post("/rpc/list_members", json={"organization": organization.id})
    assert [member["email"] for member in listed.json()] == [organization.owner.email]
    assert memberships(invited) == []


def test_who_is_invited_sees_by_whom_and_as_what_and_is_no_member_yet(
    organization: Organization, invited: User
) -> None:
    invitation = invite(organization, invited, "owner")

    (seen,) = invitations(invited)

    assert {name: seen[name] for name in ("id", "organization_name", "invited_by", "role")} == {
        "id": invitation,
        "organization_name": "Panadería Rosa",
        "invited_by": organization.owner.email,
        "role": "owner",
    }
    assert memberships(invited) == []
    assert invited.rest.get("/organizations?select=id").json() == []


def test_an_invitation_is_accepted_or_declined_each_by_itself(
    world: World, organization: Organization, invited: User
) -> None:
    wanted, unwanted = invite(organization, invited), invite(world.new_organization(), invited)

    declined, accepted = decide(invited, "decline", unwanted), decide(invited, "accept", wanted)

    assert (declined.is_success, accepted.json()) == (
        True,
        {"organization_id": organization.id, "role": "agent"},
    )
    assert memberships(invited) == [{"organization_id": organization.id, "role": "agent"}]
    assert invitations(invited) == []
    assert decide(invited, "accept", unwanted).json()["details"] == "invitation_not_found"


@pytest.mark.parametrize("what", ["accept", "decline"])
def test_another_persons_invitation_is_not_there(
    world: World, organization: Organization, invited: User, what: str
) -> None:
    invitation, stranger = invite(organization, invited), world.new_user()

    refused = decide(stranger, what, invitation)

    assert (refused.status_code, refused.json()["details"]) == (400, "invitation_not_found")
    assert invitations(stranger) == []
    assert [each["id"] for each in invitations(invited)] == [invitation]


def test_an_address_that_was_not_confirmed_is_nobodys(
    database: Connection, organization: Organization, invited: User
) -> None:
    invitation = invite(organization, invited)
    database.execute("update auth.users set email_confirmed_at = null where id = %s", (invited.id,))

    refused = decide(invited, "accept", invitation)

    assert refused.json()["details"] == "invitation_not_found"
    assert invitations(invited) == memberships(invited) == []


def test_supabase_is_told_to_confirm_addresses() -> None:
    """Where it does not, an address counts as confirmed from the first moment."""
    config = tomllib.loads((ROOT / "supabase" / "config.toml").read_text("utf-8"))

    assert config["auth"]["email"]["enable_confirmations"] is True


def test_a_member_leaves_at_will_and_the_last_owner_cannot(world: World, organization: Organization) -> None:
    agent, second = world.new_user(), world.new_user()
    for user, role in ((agent, "agent"), (second, "owner")):
        organization.take_in(user, role)
    leave = {"organization": organization.id}

    left = [user.rest.post("/rpc/leave_organization", json=leave) for user in (agent, organization.owner)]
    last = second.rest.post("/rpc/leave_organization", json=leave)

    assert [answer.status_code for answer in left] == [204, 204], [answer.text for answer in left]
    assert memberships(agent) == memberships(organization.owner) == []
    assert last.json()["details"] == "last_owner"
    assert memberships(second) == [{"organization_id": organization.id, "role": "owner"}]


def test_of_two_owners_who_leave_at_once_one_stays(world: World, organization: Organization) -> None:
    owners = [organization.owner, organization.take_in(world.new_user(), "owner")]
    leave = {"organization": organization.id}

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda owner: owner.rest.post("/rpc/leave_organization", json=leave), owners))

    assert sorted(answer.status_code for answer in answers) == [204, 400]
    assert [len(memberships(owner)) for owner in owners].count(1) == 1


def test_of_two_owners_who_remove_each_other_one_stays(world: World, organization: Organization) -> None:
    owners = [organization.owner, organization.take_in(world.new_user(), "owner")]
    path = f"/organization_members?organization_id=eq.{organization.id}&user_id=eq."

    def remove(nr: int) -> int:
        return owners[nr].rest.delete(f"{path}{owners[1 - nr].id}").status_code

    with ThreadPoolExecutor() as pool:
        list(pool.map(remove, (0, 1)))

    assert [len(memberships(owner)) for owner in owners].count(1) == 1


def test_nobody_leaves_what_they_do_not_belong_to(ours: Connected, theirs: Connected) -> None:
    refused = ours.owner.rest.post("/rpc/leave_organization", json={"organization": theirs.organization.id})

    assert refused.json()["details"] == "not_a_member"


def test_owners_read_who_came_and_went_and_agents_do_not(world: World, organization: Organization) -> None:
    owner, agent, other = organization.owner, world.new_user(), world.new_user()
    withdrawn = invite(organization, other)
    owner.rest.post("/rpc/withdraw_invitation", json={"invitation": withdrawn}).raise_for_status()
    decide(other, "decline", invite(organization, other)).raise_for_status()
    for role in ("agent", "owner"):
        organization.take_in(agent, role)
    agent.rest.post("/rpc/leave_organization", json={"organization": organization.id}).raise_for_status()
    organization.take_in(other)
    owner.rest.delete(
        f"/organization_members?organization_id=eq.{organization.id}&user_id=eq.{other.id}"
    ).raise_for_status()

    told = owner.rest.get("/audit_entries?select=action,user_id,details&order=id").json()

    assert [(entry["action"], entry["user_id"]) for entry in told] == [
        ("member_joined", owner.id),
        ("member_invited", owner.id),
        ("invitation_withdrawn", owner.id),
        ("member_invited", owner.id),
        ("invitation_declined", other.id),
        ("member_invited", owner.id),
        ("member_joined", agent.id),
        ("member_invited", owner.id),
        ("member_role_changed", agent.id),
        ("member_left", agent.id),
        ("member_invited", owner.id),
        ("member_joined", other.id),
        ("member_removed", owner.id),
    ]
    assert told[8]["details"] == {"member": agent.id, "role": "owner"}
    assert told[1]["details"] == {"email": other.email, "role": "agent"}
    assert agent.rest.get("/audit_entries").json() == []


def test_an_organization_goes_with_its_members_and_its_story(
    database: Connection, world: World, organization: Organization
) -> None:
    organization.take_in(world.new_user())

    database.execute("delete from organizations where id = %s", (organization.id,))

    left = database.execute(
        "select count(*) from audit_entries where organization_id = %s", (organization.id,)
    )
    assert left.fetchone() == (0,)
