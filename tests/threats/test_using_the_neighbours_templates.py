"""Organizations whose numbers live in the platform's account share it: each has its own templates alone."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.types.json import Jsonb

from tests.connecting import META_API, code_of, connect_number
from tests.offices import SEND

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import psycopg

    from tests.world import Organization, Simulator, User, World

    Connection = psycopg.Connection[tuple[Any, ...]]

TEMPLATES = f"{META_API}/templates"
BODY = [{"type": "BODY", "text": "Tu pedido está listo."}]
SOMEBODY = "+15550100077"


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """Two organizations in the platform's account; the first has made a template, and so has the platform."""

    ours: Organization
    theirs: Organization
    name: str
    template_id: str
    platforms: str


@pytest.fixture
def neighbours(
    new_organization: Callable[..., Organization], simulator: Simulator, world: World
) -> Neighbours:
    organizations = [new_organization(), new_organization()]
    for each in organizations:
        connect_number(each.owner, simulator)
    ours, theirs = organizations
    name, platforms = _new_name(), _new_name()
    simulator.post(
        "/templates",
        waba_id=world.variables["WHATSAPP_BUSINESS_ACCOUNT_ID"],
        name=platforms,
        language="es",
        category="UTILITY",
        components=BODY,
    )
    made = _create(ours.owner, name)
    assert made.status_code == 201, made.text
    _review(simulator, made.json()["id"], "APPROVED")
    return Neighbours(ours=ours, theirs=theirs, name=name, template_id=made.json()["id"], platforms=platforms)


def test_each_is_listed_its_own_alone(neighbours: Neighbours) -> None:
    assert _listed(neighbours.ours.owner) == [neighbours.name]
    assert _listed(neighbours.theirs.owner) == []
    assert _listed(neighbours.theirs.owner, name=neighbours.name) == []
    assert _kept(neighbours.theirs.owner) == []


def test_one_s_own_come_in_pages_that_are_full(neighbours: Neighbours) -> None:
    owner = neighbours.ours.owner
    others = [_new_name() for _ in range(3)]
    for name in others:
        assert _create(owner, name).status_code == 201

    first = owner.functions.get(TEMPLATES, params={"limit": "3"}).json()
    second = owner.functions.get(TEMPLATES, params={"limit": "3", "after": first["after"]}).json()

    assert [len(page["templates"]) for page in (first, second)] == [3, 1]
    names = [each["name"] for page in (first, second) for each in page["templates"]]
    assert sorted(names) == sorted([neighbours.name, *others])
    assert second["after"] is None


def test_synchronising_brings_nobody_elses(neighbours: Neighbours) -> None:
    answers = [
        each.owner.functions.post(f"{META_API}/sync", json={}).json()
        for each in (neighbours.ours, neighbours.theirs)
    ]

    assert [answer["templates"] for answer in answers] == [1, 0]
    assert _kept(neighbours.ours.owner) == [neighbours.name]
    assert _kept(neighbours.theirs.owner) == []


@pytest.mark.parametrize("whose", ["the neighbour's", "the platform's"])
@pytest.mark.parametrize("by_id", [False, True])
def test_nobody_elses_is_deleted(
    neighbours: Neighbours, simulator: Simulator, whose: str, *, by_id: bool
) -> None:
    name = neighbours.name if whose == "the neighbour's" else neighbours.platforms
    query = {"name": name} | ({"template_id": _at_meta(simulator, name)[0]["id"]} if by_id else {})

    answer = neighbours.theirs.owner.functions.delete(TEMPLATES, params=query)

    assert (answer.status_code, code_of(answer)) == (404, "template_not_found")
    assert len(_at_meta(simulator, name)) == 1


def test_nor_by_its_id_beside_a_name_of_ones_own(neighbours: Neighbours, simulator: Simulator) -> None:
    own = _new_name()
    _create(neighbours.theirs.owner, own).raise_for_status()

    answer = neighbours.theirs.owner.functions.delete(
        TEMPLATES, params={"name": own, "template_id": neighbours.template_id}
    )

    assert (answer.status_code, code_of(answer)) == (404, "template_not_found")
    assert len(_at_meta(simulator, neighbours.name)) == 1


def test_one_s_own_is_deleted(neighbours: Neighbours, simulator: Simulator) -> None:
    query = {"name": neighbours.name, "template_id": neighbours.template_id}

    answer = neighbours.ours.owner.functions.delete(TEMPLATES, params=query)

    assert answer.json() == {"deleted": 1}, answer.text
    assert _at_meta(simulator, neighbours.name) == []
    assert _kept(neighbours.ours.owner) == []


@pytest.mark.parametrize("whose", ["the neighbour's", "the platform's", "that of our own codes"])
def test_a_name_that_is_taken_is_refused_in_every_language(
    neighbours: Neighbours, simulator: Simulator, world: World, whose: str
) -> None:
    codes = world.variables.get("VERIFICATION_TEMPLATE", "verification_code")
    name = {"the neighbour's": neighbours.name, "the platform's": neighbours.platforms}.get(whose, codes)
    before = len(_at_meta(simulator, name))

    answer = _create(neighbours.theirs.owner, name, language="en")

    assert (answer.status_code, code_of(answer)) == (409, "template_name_taken")
    assert name in answer.json()["error"]["message"]
    assert len(_at_meta(simulator, name)) == before


def test_a_further_language_of_ones_own_name_is_made(neighbours: Neighbours) -> None:
    assert _create(neighbours.ours.owner, neighbours.name, language="en").status_code == 201


@pytest.mark.parametrize("whose", ["the neighbour's", "the platform's"])
def test_news_of_nobody_elses_is_told(neighbours: Neighbours, simulator: Simulator, whose: str) -> None:
    name = neighbours.name if whose == "the neighbour's" else neighbours.platforms
    (template,) = _at_meta(simulator, name)

    _review(simulator, template["id"], "PAUSED")
    simulator.post(f"/templates/{template['id']}/review", quality="RED")
    simulator.post(f"/templates/{template['id']}/review", category="MARKETING")
    simulator.settle()

    assert _kept(neighbours.theirs.owner) == []
    assert name not in neighbours.theirs.owner.rest.get("/notices").text
    ours = neighbours.ours.owner.rest.get("/message_templates", params={"select": "name,status"}).json()
    told = neighbours.ours.owner.rest.get("/notices").text
    if whose == "the neighbour's":
        assert ours == [{"name": name, "status": "PAUSED"}]
        assert name in told
    else:
        assert ours == [{"name": neighbours.name, "status": "APPROVED"}]
        assert name not in told


@pytest.mark.parametrize("whose", ["the neighbour's", "the platform's"])
@pytest.mark.parametrize("path", ["/", "/batch"])
def test_nobody_elses_is_sent(
    neighbours: Neighbours, simulator: Simulator, database: Connection, whose: str, path: str
) -> None:
    name = neighbours.name if whose == "the neighbour's" else neighbours.platforms
    message = _message(name)

    answer = neighbours.theirs.owner.functions.post(
        f"{SEND}{path}", json=message if path == "/" else {"messages": [message]}
    )

    assert (answer.status_code, code_of(answer)) == (404, "template_not_found")
    written = "select count(*) from messages where organization_id = %s"
    assert database.execute(written, (neighbours.theirs.id,)).fetchone() == (0,)


def test_one_s_own_is_sent(neighbours: Neighbours) -> None:
    answer = neighbours.ours.owner.functions.post(f"{SEND}/", json=_message(neighbours.name))

    assert answer.status_code == 200, answer.text


def test_what_waits_from_an_account_of_ones_own_does_not_leave_from_the_platforms(
    neighbours: Neighbours, database: Connection
) -> None:
    """Accepted under an account where any name was its own, then the number changed."""
    theirs = neighbours.theirs
    (integration_id,) = _row(
        database,
        "update whatsapp_integrations set has_platform_token = false,"
        " sends_paused_until = now() + interval '1 hour' where organization_id = %s returning id",
        theirs.id,
    )
    batch = {"messages": [_message(neighbours.name)]}
    accepted = theirs.owner.functions.post(f"{SEND}/batch", json=batch)
    assert accepted.status_code == 202, accepted.text
    database.execute(
        "update whatsapp_integrations set has_platform_token = true, sends_paused_until = null where id = %s",
        (integration_id,),
    )

    (message_id,) = accepted.json()["message_ids"]
    (token,) = _row(
        database,
        "update send_queue set lease_until = now() + interval '1 minute', lease_token = 1, is_started = false"
        " where message_id = %s returning lease_token",
        message_id,
    )
    sends = Jsonb([{"message_id": message_id, "lease_token": token}])
    (begun,) = _row(database, "select public.start_sends(%s, %s)", integration_id, sends)

    assert begun["started"] == []
    failed = _row(database, "select status::text, error_message from messages where id = %s", message_id)
    assert failed == ("failed", "template_not_found")


def test_a_listing_that_was_asked_for_before_the_number_was_taken_off_is_not_kept(
    neighbours: Neighbours, world: World, database: Connection
) -> None:
    """To disconnect while the platform's templates are on their way does not make them one's own."""
    owner = neighbours.theirs.owner
    (integration_id,) = _row(
        database,
        "select id from whatsapp_integrations where organization_id = %s",
        neighbours.theirs.id,
    )
    owner.functions.post("/whatsapp-oauth/disconnect", json={}).raise_for_status()
    listed = Jsonb([{"id": neighbours.template_id, "name": neighbours.name, "language": "es"}])

    for status in ("disconnected", "connected"):
        database.execute(
            "update whatsapp_integrations set status = %s::integration_status,"
            " business_account_id = case when %s = 'connected' then '1' else business_account_id end"
            " where id = %s",
            (status, status, integration_id),
        )
        (kept,) = _row(
            database,
            "select public.keep_templates(%s, %s, %s, true, now())",
            integration_id,
            world.variables["WHATSAPP_BUSINESS_ACCOUNT_ID"],
            listed,
        )
        assert kept == []

    assert _kept(owner) == []


def test_a_name_stays_with_whoever_claimed_it_first(neighbours: Neighbours, database: Connection) -> None:
    """Of two that create at once the database lets one be first."""
    claim = (
        "select public.claim_template_name(i.id, %s)"
        " from whatsapp_integrations i where i.organization_id = %s"
    )
    name = _new_name()

    database.execute(claim, (name, neighbours.ours.id))
    database.execute(claim, (name, neighbours.ours.id))
    with pytest.raises(Exception, match="taken"):
        database.execute(claim, (name, neighbours.theirs.id))


def _new_name() -> str:
    return f"aviso_{secrets.token_hex(6)}"


def _create(user: User, name: str, *, language: str = "es") -> httpx.Response:
    return user.functions.post(
        TEMPLATES, json={"name": name, "language": language, "category": "UTILITY", "components": BODY}
    )


def _review(simulator: Simulator, template_id: str, event: str) -> None:
    simulator.post(f"/templates/{template_id}/review", event=event)
    simulator.settle()


def _at_meta(simulator: Simulator, name: str) -> list[dict[str, Any]]:
    return [each for each in simulator.get("/templates") if each["name"] == name]


def _listed(user: User, **query: str) -> list[str]:
    answer = user.functions.get(TEMPLATES, params=query)
    assert answer.status_code == 200, answer.text
    return [each["name"] for each in answer.json()["templates"]]


def _kept(user: User) -> list[str]:
    return [row["name"] for row in user.rest.get("/message_templates", params={"select": "name"}).json()]


def _message(name: str) -> dict[str, Any]:
    return {"to": SOMEBODY, "type": "template", "template": {"name": name, "language": "es"}}


def _row(database: Connection, query: str, *values: object) -> Any:
    return database.execute(query.encode(), values).fetchone()
