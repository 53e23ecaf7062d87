"""Each way in ends in a number that receives and sends, for two organizations at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.connecting import (
    OAUTH,
    at_meta,
    connect_number,
    fragment_of,
    new_business,
    new_number,
    paste,
    request_code,
    sent_code,
    status,
    verify,
    walk_through_the_dialog,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import Organization, Simulator, User

SEND = "/whatsapp-send-message/"
# Nobody else of the tests writes to them, or lets them be out of reach.
CUSTOMERS = ("15550107341", "15550107342")


def type_it(owner: User, simulator: Simulator) -> str:
    number = connect_number(owner, simulator)
    return str(at_meta(simulator, number)[0]["id"])


def use_the_dialog(owner: User, simulator: Simulator) -> str:
    begun = owner.functions.post(f"{OAUTH}/start", json={}).json()
    done = simulator.post("/signups", phone_number=new_number().digits)
    told = {name: done["message"]["data"][name] for name in ("waba_id", "phone_number_id")}
    answer = owner.functions.post(
        f"{OAUTH}/exchange", json={"state": begun["state"], "code": done["code"], **told}
    )
    answer.raise_for_status()
    return str(done["phone_number_id"])


def come_back_by_redirect(owner: User, simulator: Simulator) -> str:
    number = new_number()
    begun = owner.functions.post(f"{OAUTH}/start", json={"flow": "redirect"}).json()
    told = fragment_of(walk_through_the_dialog(begun, phone_number=number.digits))
    body = {"state": told["whatsapp_state"], "ticket": told["whatsapp_ticket"]}
    owner.functions.post(f"{OAUTH}/exchange", json=body).raise_for_status()
    return str(at_meta(simulator, number)[0]["id"])


def keep_the_phone_app(owner: User, simulator: Simulator) -> str:
    begun = owner.functions.post(f"{OAUTH}/start", json={"coexistence": True}).json()
    done = simulator.post("/signups", phone_number=new_number().digits, coexistence=True)
    body = {"state": begun["state"], "code": done["code"], "waba_id": done["waba_id"]}
    owner.functions.post(f"{OAUTH}/exchange", json=body).raise_for_status()
    return str(done["phone_number_id"])


def paste_own_app(owner: User, simulator: Simulator) -> str:
    business = new_business(simulator)
    webhook = paste(owner, business).json()["integration"]["webhook"]
    # What the owner copies into Meta's dashboard; Meta asks the address at once.
    app_id, app_secret = business.pasted["app_id"], business.pasted["app_secret"]
    graph_url = str(simulator.client.base_url).rstrip("/").removesuffix("/_simulator")
    simulator.client.post(
        f"{graph_url}/v26.0/{app_id}/subscriptions",
        headers={"authorization": f"Bearer {app_id}|{app_secret}"},
        json={
            "object": "whatsapp_business_account",
            "callback_url": webhook["url"],
            "verify_token": webhook["verify_token"],
            "fields": "messages",
        },
    ).raise_for_status()
    return business.phone_number_id


def paste_platform_app(owner: User, simulator: Simulator) -> str:
    business = new_business(simulator, own_app=False)
    paste(owner, business).raise_for_status()
    return business.phone_number_id


def type_it_with_an_address_of_its_own(owner: User, simulator: Simulator) -> str:
    number = new_number()
    request_code(owner, number).raise_for_status()
    answer = verify(owner, sent_code(simulator, number), override_callback=True)
    answer.raise_for_status()
    (there,) = at_meta(simulator, number)
    (url,) = there["overrides"].values()
    assert url.endswith(f"/{answer.json()['integration']['id']}")
    return str(there["id"])


WAYS = [
    type_it,
    type_it_with_an_address_of_its_own,
    use_the_dialog,
    come_back_by_redirect,
    keep_the_phone_app,
    paste_own_app,
    paste_platform_app,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_two_organizations_connect_receive_and_send(
    new_organization: Callable[..., Organization],
    simulator: Simulator,
    way: Callable[[User, Simulator], str],
) -> None:
    owners = [new_organization().owner for _ in CUSTOMERS]

    with ThreadPoolExecutor(2) as pool:
        numbers = list(pool.map(lambda owner: way(owner, simulator), owners))
    waiting = [status(owner)["webhook"]["state"] for owner in owners]
    for number_id, customer in zip(numbers, CUSTOMERS, strict=True):
        simulator.write(number_id, f"hola de {customer}", sender=customer)
    simulator.settle()
    answers = [
        owner.functions.post(SEND, json={"to": customer, "type": "text", "text": {"body": "Buenos días"}})
        for owner, customer in zip(owners, CUSTOMERS, strict=True)
    ]
    simulator.settle()

    # The phone app's history may arrive at once.
    assert waiting == ["waiting", "waiting"] or way is keep_the_phone_app
    assert [status(owner)["webhook"]["state"] for owner in owners] == ["receiving", "receiving"]
    assert [answer.is_success for answer in answers] == [True, True]
    for owner, customer in zip(owners, CUSTOMERS, strict=True):
        assert conversation(owner) == [f"hola de {customer}", "Buenos días"]
        assert delivered(owner)


def conversation(owner: User) -> list[Any]:
    query = {"select": "text", "origin": "eq.live", "order": "created_at"}
    rows = owner.rest.get("/messages", params=query).json()
    return [row["text"] for row in rows]


def delivered(owner: User) -> bool:
    query = {"select": "status", "direction": "eq.outbound", "origin": "eq.live"}
    return {row["status"] for row in owner.rest.get("/messages", params=query).json()} <= {
        "delivered",
        "read",
    }
