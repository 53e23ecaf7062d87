"""An owner sets up their bot and their event endpoints; nobody else does, and no secret is shown twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.endpoint import Endpoint, Reply

if TYPE_CHECKING:
    import httpx

    from tests.offices import Office
    from tests.worker.conftest import WorkOff

API = "/whatsapp-meta-api"
RULE = {"kind": "keyword", "keywords": ["precio"], "reply": {"type": "text", "text": "10 soles"}}


def post(office: Office, path: str, **body: Any) -> httpx.Response:
    return office.organization.owner.functions.post(f"{API}{path}", json=body)


def get(office: Office, path: str) -> Any:
    answer = office.organization.owner.functions.get(f"{API}{path}")
    answer.raise_for_status()
    return answer.json()


def make_agent(office: Office) -> Any:
    return office.organization.take_in(office.world.new_user())


async def test_a_bot_is_set_up_and_answers(office: Office, work_off: WorkOff, endpoint: Endpoint) -> None:
    before = get(office, "/bot")

    saved = post(office, "/bot", is_on=True, endpoint_url=endpoint.url, rules=[RULE])
    secret = post(office, "/bot/secret").json()
    endpoint.answer = lambda _call: Reply(body={"messages": [{"text": "Del endpoint"}]})
    office.hear(text="¿Precio?")
    office.hear(text="otra cosa")
    await work_off()

    assert before["is_on"] is False
    assert saved.status_code == 200, saved.text
    assert saved.json()["rules"] == [RULE]
    assert secret["secret"].startswith("whsec_")
    assert [each["text"] for each in office.messages()] == ["10 soles", "Del endpoint"]
    assert endpoint.calls[0].is_signed(secret["secret"])
    after = get(office, "/bot")
    assert after["has_secret"] is True
    assert secret["secret"] not in str(after)


async def test_a_renewed_secret_leaves_the_older_one_a_day(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    made = post(office, "/event-endpoints", url=endpoint.url, kinds=["message.received"]).json()
    path = f"/event-endpoints/{made['endpoint']['id']}"

    renewed = post(office, f"{path}/secret").json()
    office.hear()
    await work_off()

    (call,) = endpoint.calls
    assert call.is_signed(made["secret"])
    assert call.is_signed(renewed["secret"])
    assert get(office, "/event-endpoints")["endpoints"][0]["previous_secret_until"] is not None


async def test_an_endpoint_is_replayed_and_removed(
    office: Office, work_off: WorkOff, endpoint: Endpoint
) -> None:
    made = post(office, "/event-endpoints", url=endpoint.url, kinds=["message.received"]).json()
    path = f"/event-endpoints/{made['endpoint']['id']}"
    office.hear()
    await work_off()

    replayed = post(office, f"{path}/replay", since="2026-01-01T00:00:00Z")
    await work_off()
    removed = office.organization.owner.functions.delete(f"{API}{path}")
    office.hear()
    await work_off()

    assert replayed.json() == {"events": 1}
    assert removed.status_code == 204
    assert len(endpoint.calls) == 2
    assert get(office, "/event-endpoints") == {"endpoints": []}


def test_owners_read_who_changed_where_messages_go(office: Office) -> None:
    owner, url = office.organization.owner, "https://hooks.example.com/"
    post(office, "/bot", is_on=True, endpoint_url=url, rules=[RULE])
    secrets = [post(office, "/bot/secret").json()["secret"] for _ in range(2)]
    made = post(office, "/event-endpoints", url=url, kinds=["message.sent"]).json()
    endpoint_id = made["endpoint"]["id"]
    path = f"/event-endpoints/{endpoint_id}"
    secrets += [made["secret"], post(office, f"{path}/secret").json()["secret"]]
    post(office, f"{path}/replay", since="2026-01-01T00:00:00Z").raise_for_status()
    owner.functions.delete(f"{API}{path}").raise_for_status()
    owner.functions.delete(f"{API}{path}")
    agent = make_agent(office)

    entries = owner.rest.get("/audit_entries?select=action,user_id,details&order=id").json()

    told = [entry for entry in entries if not entry["action"].startswith("member")]
    assert [(entry["action"], entry["details"]) for entry in told] == [
        ("bot_changed", {"is_on": True, "endpoint_url": url, "rules": 1}),
        ("bot_secret_renewed", {}),
        ("bot_secret_renewed", {}),
        ("event_endpoint_added", {"endpoint": endpoint_id, "url": url, "kinds": ["message.sent"]}),
        ("event_secret_renewed", {"endpoint": endpoint_id, "url": url}),
        ("events_replayed", {"endpoint": endpoint_id, "since": "2026-01-01T00:00:00+00:00"}),
        ("event_endpoint_removed", {"endpoint": endpoint_id, "url": url}),
    ]
    assert {entry["user_id"] for entry in told} == {owner.id}
    assert not any(secret in str(entries) for secret in secrets)
    assert agent.rest.get("/audit_entries").json() == []


@pytest.mark.parametrize(
    "body, field",
    [
        ({"is_on": True, "endpoint_url": "http://10.0.0.1/"}, "endpoint_url"),
        ({"is_on": True, "endpoint_url": "https://127.0.0.1.:99999/"}, "endpoint_url"),
        ({"is_on": True, "rules": [{"kind": "keyword", "reply": {"text": "a"}}]}, "rules[0]"),
        ({"is_on": True, "rules": [{"kind": "welcome"}]}, "rules[0]"),
        ({"is_on": True, "rules": [{**RULE, "reply": {"text": "x" * 5000}}]}, "rules[0].reply"),
        ({"is_on": True, "rules": [{**RULE, "reply": {"text": "a", "to": "1"}}]}, "rules[0].reply"),
        ({"is_on": True, "opening_hours": {"lunes": []}}, "opening_hours"),
        ({}, "is_on"),
    ],
)
def test_what_could_not_work_is_refused_at_once(office: Office, body: dict[str, Any], field: str) -> None:
    refused = post(office, "/bot", **body)

    assert refused.status_code == 422
    assert refused.json()["error"]["details"][0]["field"].startswith(field)
    assert get(office, "/bot")["is_on"] is False


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/bot"),
        ("GET", "/event-endpoints"),
        ("DELETE", "/event-endpoints/0b1f5a52-6a86-4a87-8f1a-6f6fd1d7a2c1"),
    ],
)
def test_what_is_no_id_of_an_organization_is_told(office: Office, method: str, path: str) -> None:
    owner = office.organization.owner

    answer = owner.functions.request(method, f"{API}{path}", params={"organization_id": "mine"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_query")


def test_a_time_zone_that_is_none_is_refused(office: Office) -> None:
    assert post(office, "/bot", is_on=True, time_zone="America/Nowhere").status_code == 400


def test_agents_look_and_owners_change(office: Office) -> None:
    agent = make_agent(office)
    made = post(office, "/event-endpoints", url="https://hooks.example.com/").json()
    path = f"{API}/event-endpoints/{made['endpoint']['id']}"

    seen = [agent.functions.get(f"{API}{each}").status_code for each in ("/bot", "/event-endpoints")]
    refused = [
        agent.functions.post(f"{API}/bot", json={"is_on": True}),
        agent.functions.post(f"{API}/bot/secret", json={}),
        agent.functions.post(f"{API}/event-endpoints", json={"url": "https://hooks.example.com/"}),
        agent.functions.post(f"{path}/secret", json={}),
        agent.functions.post(f"{path}/replay", json={"since": "2026-01-01T00:00:00Z"}),
        agent.functions.delete(path),
    ]

    assert seen == [200, 200]
    assert {answer.json()["error"]["code"] for answer in refused} == {"owner_required"}


def test_a_neighbours_endpoint_is_not_there(office: Office) -> None:
    stranger = office.world.new_organization().owner.functions
    made = post(office, "/event-endpoints", url="https://hooks.example.com/").json()
    path = f"{API}/event-endpoints/{made['endpoint']['id']}"

    refused = [
        stranger.post(f"{path}/secret", json={}),
        stranger.post(f"{path}/replay", json={"since": "2026-01-01T00:00:00Z"}),
        stranger.delete(path),
        stranger.delete(f"{API}/event-endpoints/nonsense"),
    ]

    assert {answer.status_code for answer in refused} == {404}
    assert len(get(office, "/event-endpoints")["endpoints"]) == 1
