"""How a business comes in: the dialog, its code, tokens, and a number's way to its registration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    import httpx

    from local.graph import Simulator


def exchange(business: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"client_id": business["app_id"], "client_secret": business["app_secret"], **more}


async def test_person_consents_and_the_app_gets_a_code(
    anonymous: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator
) -> None:
    """The redirect carries code and state; the code becomes a token that opens this WABA alone."""
    asked = {"client_id": business["app_id"], "redirect_uri": "https://app.test/back?x=1", "state": "s/1"}
    shown = await anonymous.get("/v26.0/dialog/oauth", params=asked)
    answer = await anonymous.post(
        "/v26.0/dialog/oauth", data={**asked, "choice": "allow", "waba_id": business["waba_id"]}
    )

    assert 'name="state" value="s/1"' in shown.text
    assert answer.status_code == 302
    target = urlsplit(answer.headers["location"])
    query = parse_qs(target.query)
    assert (target.netloc, target.fragment, query["x"], query["state"]) == ("app.test", "_=_", ["1"], ["s/1"])
    made = await anonymous.get(
        "/v26.0/oauth/access_token",
        params=exchange(business, code=query["code"][0], redirect_uri=asked["redirect_uri"]),
    )
    assert made.json()["token_type"] == "bearer"
    assert simulator.state.tokens[made.json()["access_token"]].waba_ids == [business["waba_id"]]


async def test_refusal_comes_back_as_an_error(anonymous: httpx.AsyncClient, business: dict[str, Any]) -> None:
    answer = await anonymous.post(
        "/dialog/oauth",
        data={"client_id": business["app_id"], "redirect_uri": "https://app.test/", "choice": "deny"},
    )

    assert "error=access_denied" in answer.headers["location"]
    assert "error_reason=user_denied" in answer.headers["location"]


async def test_signup_in_a_popup_posts_its_messages(
    anonymous: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    answer = await anonymous.post(
        "/dialog/oauth",
        data={
            "client_id": business["app_id"],
            "display": "popup",
            "choice": "allow",
            "name": "</script>Bodega",
            "extras": '{"featureType":"whatsapp_business_app_onboarding"}',
        },
    )

    assert "FINISH_WHATSAPP_BUSINESS_APP_ONBOARDING" in answer.text
    assert answer.text.count("</script>") == 1
    assert "simulatorLogin" in answer.text


@pytest.mark.parametrize(
    "spoil, code, subcode",
    [
        ("used", 100, 36009),
        ("expired", 100, 36007),
        ("redirect", 100, 36008),
        ("secret", 1, None),
        ("app", 101, None),
    ],
)
async def test_code_is_good_once_for_thirty_seconds_and_for_its_app(
    anonymous: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    spoil: str,
    code: int,
    subcode: int | None,
) -> None:
    made = (await anonymous.post("/_simulator/oauth/codes", json={"waba_ids": [business["waba_id"]]})).json()
    asked = exchange(business, code=made["value"])
    if spoil == "used":
        await anonymous.get("/oauth/access_token", params=asked)
    elif spoil == "expired":
        simulator.move_clock(by=31)
    elif spoil == "redirect":
        asked["redirect_uri"] = "https://other.test/"
    elif spoil == "secret":
        asked["client_secret"] = "wrong"
    else:
        asked["client_id"] = "1"

    answer = await anonymous.get("/oauth/access_token", params=asked)

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error.get("error_subcode")) == (code, subcode)


async def test_refresh_gives_a_new_token_and_leaves_the_old_one(
    anonymous: httpx.AsyncClient, graph: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    answer = await anonymous.get(
        "/oauth/access_token",
        params=exchange(
            business,
            grant_type="fb_exchange_token",
            fb_exchange_token=business["access_token"],
            set_token_expires_in_60_days="true",
        ),
    )

    made = answer.json()
    assert made["access_token"] != business["access_token"]
    assert 5_183_000 < made["expires_in"] <= 5_184_000
    assert (await graph.get(f"/{business['phone_number_id']}")).status_code == 200


async def test_revoked_token_opens_nothing(
    anonymous: httpx.AsyncClient, graph: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    answer = await anonymous.get(
        "/oauth/revoke", params=exchange(business, revoke_token=business["access_token"])
    )
    refused = await graph.get(f"/{business['phone_number_id']}")

    assert answer.json() == {"success": "true"}
    assert (refused.status_code, refused.json()["error"]["error_subcode"]) == (401, 458)


async def test_number_goes_from_its_code_to_its_registration(
    anonymous: httpx.AsyncClient, graph: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    """Added, a code asked for and read from the control API, verified, registered: then it can send."""
    added = await graph.post(
        f"/{business['waba_id']}/phone_numbers",
        json={"cc": "51", "phone_number": "900 000 001", "verified_name": "Bodega"},
    )
    path = f"/{added.json()['id']}"
    early = await graph.post(f"{path}/register", json={"messaging_product": "whatsapp", "pin": "123456"})
    await graph.post(f"{path}/request_code", data={"code_method": "SMS", "language": "es"})
    (sent,) = (await anonymous.get("/_simulator/codes?phone_number=51900000001")).json()["data"]
    wrong = await graph.post(f"{path}/verify_code", json={"code": "000000"})
    right = await graph.post(f"{path}/verify_code", json={"code": sent["code"]})
    again = await graph.post(f"{path}/request_code", params={"code_method": "SMS", "language": "es"})
    registered = await graph.post(f"{path}/register", json={"messaging_product": "whatsapp", "pin": "123456"})
    other_pin = await graph.post(f"{path}/register", json={"messaging_product": "whatsapp", "pin": "654321"})
    node = await graph.get(path, params={"fields": "status,code_verification_status,is_pin_enabled"})

    assert early.json()["error"]["code"] == 133006
    assert wrong.json()["error"]["code"] == 136025
    assert wrong.json()["error"]["error_subcode"] == 2388093
    assert right.json() == {"success": True}
    assert again.json()["error"]["code"] == 136024
    assert registered.json() == {"success": True}
    assert other_pin.json()["error"]["code"] == 133005
    assert node.json() == {
        "status": "CONNECTED",
        "code_verification_status": "VERIFIED",
        "is_pin_enabled": True,
        "id": added.json()["id"],
    }


async def test_number_that_is_taken_cannot_be_added(
    graph: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    answer = await graph.post(
        f"/{business['waba_id']}/phone_numbers",
        json={"cc": "1", "phone_number": "15550100100", "verified_name": "Bodega"},
    )

    assert answer.json()["error"]["error_subcode"] == 2388012


async def test_code_expires_after_ten_minutes(
    anonymous: httpx.AsyncClient, graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator
) -> None:
    path = f"/{business['phone_number_id']}"
    await anonymous.patch(
        f"/_simulator/numbers/{business['phone_number_id']}", json={"code_verification_status": "EXPIRED"}
    )
    await graph.post(f"{path}/request_code", json={"code_method": "VOICE", "language": "es_LA"})
    (sent,) = (await anonymous.get("/_simulator/codes")).json()["data"]
    simulator.move_clock(by=601)

    answer = await graph.post(f"{path}/verify_code", json={"code": sent["code"]})

    assert "expired" in answer.json()["error"]["error_user_msg"]


async def test_registration_is_limited_to_ten_in_three_days(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator
) -> None:
    path = f"/{business['phone_number_id']}/register"
    body = {"messaging_product": "whatsapp", "pin": "123456"}
    answers = [(await graph.post(path, json=body)).status_code for _ in range(11)]
    refused = (await graph.post(path, json=body)).json()["error"]["code"]
    simulator.move_clock(by=73 * 3600)
    later = await graph.post(path, json=body)

    assert answers == [200] * 10 + [400]
    assert refused == 133016
    assert later.status_code == 200


async def test_deregistered_number_cannot_send_and_not_be_deregistered_again(
    graph: httpx.AsyncClient, business: dict[str, Any], text: Any
) -> None:
    path = f"/{business['phone_number_id']}"

    first = await graph.post(f"{path}/deregister")
    second = await graph.post(f"{path}/deregister")
    sent = await graph.post(f"{path}/messages", json=text("15550100001"))

    assert first.json() == {"success": True}
    assert second.json()["error"]["error_subcode"] == 2207051
    assert sent.json()["error"]["code"] == 133010


async def test_coexistence_number_shares_contacts_and_history_once(
    anonymous: httpx.AsyncClient, simulator: Simulator, receiver: Any
) -> None:
    made = simulator.create_business(name="Bodega", coexistence=True, subscribed=True)
    simulator.create_customer(phone_number="15550100001", name="Ana Paz")
    headers = {"Authorization": f"Bearer {made['access_token']}"}
    path = f"/{made['phone_number_id']}/smb_app_data"

    answers = [
        await anonymous.post(path, json={"messaging_product": "whatsapp", "sync_type": kind}, headers=headers)
        for kind in ("smb_app_state_sync", "history", "history")
    ]
    assert await simulator.settle()
    deregistered = await anonymous.post(f"/{made['phone_number_id']}/deregister", headers=headers)

    assert answers[0].json()["messaging_product"] == "whatsapp"
    assert answers[2].json()["error"]["code"] == 2593107
    (contacts,) = receiver.values("smb_app_state_sync")
    assert contacts["state_sync"][0]["contact"] == {
        "full_name": "Ana Paz",
        "first_name": "Ana",
        "phone_number": "15550100001",
    }
    (history,) = receiver.values("history")
    assert history["history"][0]["metadata"] == {"phase": 2, "chunk_order": 1, "progress": 100}
    assert deregistered.json()["error"]["message"].startswith("Deregister endpoint is not available")


async def test_history_that_is_not_shared_says_so(
    anonymous: httpx.AsyncClient, simulator: Simulator, receiver: Any
) -> None:
    made = simulator.create_business(coexistence=True, subscribed=True)
    simulator.settings.shares_history = False

    await anonymous.post(
        f"/{made['phone_number_id']}/smb_app_data",
        json={"messaging_product": "whatsapp", "sync_type": "history"},
        headers={"Authorization": f"Bearer {made['access_token']}"},
    )
    assert await simulator.settle()

    assert receiver.values("history")[0]["history"][0]["errors"][0]["code"] == 2593109


async def test_what_the_business_writes_on_its_phone_is_echoed(
    anonymous: httpx.AsyncClient, simulator: Simulator, receiver: Any
) -> None:
    made = simulator.create_business(coexistence=True, subscribed=True)

    await anonymous.post(
        f"/_simulator/numbers/{made['phone_number_id']}/echoes",
        json={"to": "15550100001", "text": {"body": "desde el teléfono"}},
    )
    assert await simulator.settle()

    (value,) = receiver.values("smb_message_echoes")
    assert value["message_echoes"][0]["to"] == "15550100001"
    assert value["message_echoes"][0]["text"] == {"body": "desde el teléfono"}


async def test_signup_gives_what_the_window_and_the_callback_would(
    anonymous: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    signed = (await anonymous.post("/_simulator/signups", json={"name": "Café"})).json()

    token = await anonymous.get("/oauth/access_token", params=exchange(business, code=signed["code"]))
    numbers = await anonymous.get(
        f"/{signed['message']['data']['waba_id']}/phone_numbers",
        params={"fields": "id,status", "access_token": token.json()["access_token"]},
    )

    assert signed["message"]["event"] == "FINISH"
    assert numbers.json()["data"] == [
        {"id": signed["message"]["data"]["phone_number_id"], "status": "DISCONNECTED"}
    ]


async def test_app_subscription_is_set_with_the_apps_own_token(
    anonymous: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator
) -> None:
    token = f"{business['app_id']}|{business['app_secret']}"
    path = f"/{business['app_id']}/subscriptions"
    wanted = {
        "object": "whatsapp_business_account",
        "callback_url": "http://receiver.test/new",
        "verify_token": "verify-me",
        "fields": "messages,account_update",
        "access_token": token,
    }

    refused = await anonymous.post(path, data={**wanted, "access_token": business["access_token"]})
    wrong = await anonymous.post(path, data={**wanted, "verify_token": "other"})
    right = await anonymous.post(path, data=wanted)
    listed = await anonymous.get(path, params={"access_token": token})

    assert refused.json()["error"]["code"] == 15
    assert wrong.json()["error"]["code"] == 2200
    assert right.json() == {"success": True}
    assert [field["name"] for field in listed.json()["data"][0]["fields"]] == ["messages", "account_update"]
