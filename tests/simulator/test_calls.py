"""How Graph reads a call and words its answers: tokens, envelopes, headers, faults."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from local.graph import Simulator, wire


async def test_call_without_a_token_is_refused(
    anonymous: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    answer = await anonymous.get(f"/v26.0/{business['phone_number_id']}")

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == 104


async def test_invalid_token_is_refused(anonymous: httpx.AsyncClient, business: dict[str, Any]) -> None:
    answer = await anonymous.get(
        f"/{business['phone_number_id']}", headers={"Authorization": "Bearer nonsense"}
    )

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == 190
    assert answer.headers["www-authenticate"] == (
        'OAuth "Facebook Platform" "invalid_token" "Invalid OAuth access token - Cannot parse access token"'
    )


async def test_expired_token_is_refused_with_its_subcode(
    anonymous: httpx.AsyncClient, graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator
) -> None:
    await anonymous.patch(f"/_simulator/tokens/{business['access_token']}", json={"expires_in": 3600})
    simulator.move_clock(by=3601)

    error = (await graph.get(f"/{business['phone_number_id']}")).json()["error"]

    assert (error["code"], error["error_subcode"]) == (190, 463)
    assert error["message"].startswith("Error validating access token: Session has expired on ")


async def test_another_tenants_number_looks_as_if_it_did_not_exist(
    graph: httpx.AsyncClient, simulator: Simulator
) -> None:
    other = simulator.create_business(name="Other")

    answer = await graph.get(f"/{other['phone_number_id']}")

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["error_subcode"], error["type"]) == (100, 33, "GraphMethodException")


@pytest.mark.parametrize("is_right, status", [(True, 200), (False, 400)])
async def test_appsecret_proof_is_checked_when_sent(
    graph: httpx.AsyncClient, business: dict[str, Any], is_right: bool, status: int
) -> None:
    proof = wire.appsecret_proof(business["app_secret"] if is_right else "other", business["access_token"])

    answer = await graph.get(f"/{business['phone_number_id']}", params={"appsecret_proof": proof})

    assert answer.status_code == status


async def test_headers_are_those_that_meta_sends(graph: httpx.AsyncClient, business: dict[str, Any]) -> None:
    good = await graph.get(f"/{business['phone_number_id']}?fields=verified_name")
    bad = await graph.get("/123123")

    assert good.json() == {"verified_name": "Panadería", "id": business["phone_number_id"]}
    assert good.headers["facebook-api-version"] == "v26.0"
    assert good.headers["etag"].startswith('"')
    assert f'"{business["waba_id"]}"' in good.headers["x-business-use-case-usage"]
    assert bad.headers["x-fb-request-id"] == bad.json()["error"]["fbtrace_id"]
    assert "x-app-usage" in bad.headers
    assert b"https:\\/\\/developers.facebook.com\\/docs\\/graph-api" in bad.content
    assert b'"Panader\\u00eda"' in good.content


async def test_version_that_has_ended_is_upgraded_with_a_warning(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator
) -> None:
    simulator.settings.oldest_version = "v24.0"

    answer = await graph.get(f"http://graph.test/v19.0/{business['phone_number_id']}")

    assert answer.headers["facebook-api-version"] == "v24.0"
    assert answer.headers["x-ad-api-version-warning"] == (
        "The call has been auto-upgraded to v24.0 as v19.0 has been deprecated."
    )


async def test_debug_token_tells_the_wabas_of_a_token(
    anonymous: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    answer = await anonymous.get(
        "/debug_token",
        params={
            "input_token": business["access_token"],
            "access_token": f"{business['app_id']}|{business['app_secret']}",
        },
    )

    described = answer.json()["data"]
    assert described["is_valid"] is True
    assert described["expires_at"] == 0
    assert described["granular_scopes"][0] == {
        "scope": "whatsapp_business_management",
        "target_ids": [business["waba_id"]],
    }


async def test_invalid_token_is_described_with_200(
    anonymous: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    answer = await anonymous.get(
        "/debug_token", params={"input_token": "EAAnothing", "access_token": business["access_token"]}
    )

    assert answer.status_code == 200
    assert answer.json()["data"]["is_valid"] is False


async def test_fault_happens_as_often_as_it_was_ordered(
    anonymous: httpx.AsyncClient, graph: httpx.AsyncClient, business: dict[str, Any], write: Any, text: Any
) -> None:
    write()
    await anonymous.post(
        "/_simulator/faults", json={"edge": "messages", "code": 131056, "times": 2, "skip": 1}
    )

    answers = [
        await graph.post(f"/{business['phone_number_id']}/messages", json=text("15550100001"))
        for _ in range(4)
    ]

    assert [answer.status_code for answer in answers] == [200, 400, 400, 200]
    assert answers[1].json()["error"]["message"] == (
        "(#131056) (Business Account, Consumer Account) pair rate limit hit"
    )


async def test_answer_can_be_lost_after_the_message_was_accepted(
    anonymous: httpx.AsyncClient,
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    receiver: Any,
    write: Any,
    text: Any,
) -> None:
    """The caller sees a dead connection; the statuses come all the same, with the caller's own id."""
    write()
    await anonymous.post("/_simulator/faults", json={"edge": "messages", "cut": "after", "times": 1})

    with pytest.raises(httpx.RemoteProtocolError):
        await graph.post(
            f"/{business['phone_number_id']}/messages",
            json=text("15550100001", biz_opaque_callback_data="row-9"),
        )
    assert await simulator.settle()

    assert {status["biz_opaque_callback_data"] for status in receiver.statuses()} == {"row-9"}


async def test_error_can_come_by_status(
    anonymous: httpx.AsyncClient,
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    receiver: Any,
    write: Any,
    text: Any,
) -> None:
    write()
    await anonymous.post("/_simulator/faults", json={"edge": "messages", "code": 131049, "by_status": True})

    answer = await graph.post(f"/{business['phone_number_id']}/messages", json=text("15550100001"))
    assert await simulator.settle()

    assert answer.status_code == 200
    assert receiver.statuses()[0]["errors"][0]["code"] == 131049


async def test_form_and_query_are_read_like_json(graph: httpx.AsyncClient, business: dict[str, Any]) -> None:
    path = f"/{business['phone_number_id']}"

    form = await graph.post(path, data={"pin": "12345"})
    query = await graph.post(path, params={"pin": "12345"})
    json = await graph.post(path, json={"pin": "12345"})

    messages = {answer.json()["error"]["message"] for answer in (form, query, json)}
    assert messages == {"Invalid PIN format. PIN must be exactly 6 digits"}


async def test_outage_slowness_and_a_proxys_page(
    anonymous: httpx.AsyncClient, graph: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    """An outage answers as Meta does, or as whatever stands before it; a cut connection answers nothing."""
    path = f"/{business['phone_number_id']}"
    faults = [
        {"edge": "*", "code": 2, "http_status": 503, "retry_after": 7, "times": 1},
        {"edge": "*", "http_status": 500, "times": 1},
        {"edge": "*", "http_status": 502, "body": "<html>Bad Gateway</html>", "times": 1},
        {"edge": "*", "latency_ms": 20, "times": 1},
        {"edge": "*", "cut": "before", "times": 1},
    ]
    for fault in faults:
        await anonymous.post("/_simulator/faults", json=fault)

    outage, error, proxy, slow = [await graph.get(path) for _ in range(4)]
    with pytest.raises(httpx.RemoteProtocolError):
        await graph.get(path)

    assert (outage.status_code, outage.headers["retry-after"]) == (503, "7")
    assert outage.json()["error"]["is_transient"] is True
    assert error.status_code == 500
    assert (proxy.status_code, proxy.text) == (502, "<html>Bad Gateway</html>")
    assert slow.status_code == 200
    assert (await anonymous.get("/_simulator/faults")).json()["data"] == []
    assert (await anonymous.get("/_simulator/requests")).json()["data"][-1]["fault"] == "cut before"


async def test_fault_can_be_taken_back(
    anonymous: httpx.AsyncClient, graph: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    made = await anonymous.post("/_simulator/faults", json={"edge": "node", "method": "GET", "code": 4})

    before = await graph.get(f"/{business['waba_id']}")
    await anonymous.delete(f"/_simulator/faults/{made.json()['id']}")
    after = await graph.get(f"/{business['waba_id']}")
    again = await anonymous.delete(f"/_simulator/faults/{made.json()['id']}")

    assert before.json()["error"]["code"] == 4
    assert after.status_code == 200
    assert again.status_code == 404


async def test_app_that_requires_proof_gets_it(
    anonymous: httpx.AsyncClient, graph: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    await anonymous.patch(f"/_simulator/apps/{business['app_id']}", json={"requires_proof": True})

    answer = await graph.get(f"/{business['phone_number_id']}")

    assert (
        answer.json()["error"]["message"] == "API calls from the server require an appsecret_proof argument"
    )


@pytest.mark.parametrize("path", ["messages", "phone_numbers"], ids=["messaging", "management"])
async def test_token_needs_the_permission_of_the_edge(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator, text: Any, path: str
) -> None:
    simulator.state.tokens[business["access_token"]].scopes = []

    if path == "messages":
        answer = await graph.post(f"/{business['phone_number_id']}/messages", json=text("15550100001"))
    else:
        answer = await graph.get(f"/{business['waba_id']}/phone_numbers")

    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == (10 if path == "messages" else 200)


async def test_what_does_not_exist_is_said_as_meta_says_it(
    graph: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    number, waba = business["phone_number_id"], business["waba_id"]

    edge = await graph.get(f"/{waba}/nothing")
    post = await graph.post(f"/{number}/nothing")
    field = await graph.get(f"/{number}?fields=id,nothing")
    waba_field = await graph.get(f"/{waba}?fields=nothing")
    cursor = await graph.get(f"/{waba}/phone_numbers?after=nothing")
    limit = await graph.get(f"/{waba}/phone_numbers?limit=x")

    assert edge.json()["error"]["message"].startswith("(#100) Tried accessing nonexisting field (nothing)")
    assert post.json()["error"]["error_subcode"] == 33
    assert "(nothing)" in field.json()["error"]["message"]
    assert "(nothing)" in waba_field.json()["error"]["message"]
    assert cursor.json()["error"]["message"] == "(#100) Invalid cursors values"
    assert limit.status_code == 400


async def test_numbers_are_filtered_and_sorted(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator
) -> None:
    other = simulator.create_number(waba_id=business["waba_id"], test=True, last_onboarded_time=1.0)
    path = f"/{business['waba_id']}/phone_numbers"
    rule = '[{"field":"account_mode","operator":"EQUAL","value":"SANDBOX"}]'

    filtered = await graph.get(path, params={"fields": "id", "filtering": rule})
    listed = await graph.get(path, params={"fields": "id", "sort": "last_onboarded_time_ascending"})
    nested = await graph.get(f"/{business['waba_id']}?fields=name,phone_numbers{{id,status}}")

    assert filtered.json()["data"] == [{"id": other.id}]
    assert listed.json()["data"][0] == {"id": other.id}
    assert len(nested.json()["phone_numbers"]["data"]) == 2


async def test_owner_of_a_token_can_make_another_and_end_all(
    graph: httpx.AsyncClient, business: dict[str, Any], anonymous: httpx.AsyncClient
) -> None:
    me = (await graph.get("/me?fields=id")).json()
    made = await graph.post(
        f"/{me['id']}/access_tokens",
        data={
            "business_app": business["app_id"],
            "scope": "whatsapp_business_messaging",
            "set_token_expires_in_60_days": "true",
        },
    )
    asked = {"client_id": business["app_id"], "client_secret": business["app_secret"]}
    app = await anonymous.get("/oauth/access_token", params={**asked, "grant_type": "client_credentials"})
    described = await anonymous.get(
        "/debug_token",
        params={"input_token": made.json()["access_token"], "access_token": app.json()["access_token"]},
    )
    await graph.delete("/me/permissions")
    after = await graph.get("/me")

    assert described.json()["data"]["scopes"] == ["whatsapp_business_messaging"]
    assert described.json()["data"]["expires_at"] > 0
    assert after.json()["error"]["error_subcode"] == 458
