"""Templates: created, reviewed, listed, changed, deleted, and sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import httpx

    from local.graph import Simulator

BODY = {
    "type": "BODY",
    "text": "Hola {{1}}, tu pedido {{2}} llegó.",
    "example": {"body_text": [["Ana", "12"]]},
}


def template(**more: Any) -> dict[str, Any]:
    return {"name": "pedido", "language": "es", "category": "UTILITY", "components": [BODY], **more}


async def test_template_is_reviewed_after_a_while(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator, receiver: Any
) -> None:
    """Created it is PENDING; the review's decision comes by webhook and shows in the list."""
    path = f"/{business['waba_id']}/message_templates"
    made = await graph.post(path, json=template())
    assert await simulator.settle()
    listed = await graph.get(path, params={"name": "pedido"})

    assert list(made.json()) == ["id", "status", "category"]
    assert made.json()["status"] == "PENDING"
    assert listed.json()["data"][0]["status"] == "APPROVED"
    (value,) = receiver.values("message_template_status_update")
    assert value["event"] == "APPROVED"
    assert value["message_template_id"] == int(made.json()["id"])
    assert receiver.payloads[0]["entry"][0]["time"] > 0


async def test_review_can_be_decided_by_hand(
    anonymous: httpx.AsyncClient,
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    receiver: Any,
) -> None:
    simulator.settings.template_review = "PENDING"
    made = await graph.post(f"/{business['waba_id']}/message_templates", json=template())
    review = f"/_simulator/templates/{made.json()['id']}/review"
    await anonymous.post(review, json={"event": "rejected", "reason": "SCAM"})
    await anonymous.post(review, json={"category": "marketing", "quality": "red"})
    assert await simulator.settle()

    shown = await graph.get(f"/{made.json()['id']}", params={"fields": "status,rejected_reason,category"})
    assert shown.json()["rejected_reason"] == "SCAM"
    assert shown.json()["category"] == "MARKETING"
    assert receiver.values("message_template_status_update")[0]["event"] == "REJECTED"
    assert receiver.values("template_category_update")[0]["new_category"] == "MARKETING"
    assert receiver.values("message_template_quality_update")[0]["new_quality_score"] == "RED"


@pytest.mark.parametrize(
    "change, subcode",
    [
        ({"name": "Pedido Nuevo"}, None),
        ({"category": "OTHER"}, None),
        ({"language": "Español"}, None),
        ({"components": [{"type": "BODY", "text": "Hola {{1}}!"}]}, 2388043),
        ({"components": [{"type": "HEADER", "format": "TEXT", "text": "x"}]}, 2388043),
        ({"components": [{"type": "BODY", "text": "{{1}} hola", "example": {}}]}, 2388299),
        ({"components": [{"type": "BODY", "text": "x" * 1025}]}, 2388040),
    ],
    ids=str,
)
async def test_template_that_meta_would_not_take_is_refused(
    graph: httpx.AsyncClient, business: dict[str, Any], change: dict[str, Any], subcode: int | None
) -> None:
    answer = await graph.post(f"/{business['waba_id']}/message_templates", json=template(**change))

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("error_subcode")) == (400, 100, subcode)


async def test_template_exists_once_per_language(graph: httpx.AsyncClient, business: dict[str, Any]) -> None:
    path = f"/{business['waba_id']}/message_templates"
    await graph.post(path, json=template())

    same = await graph.post(path, json=template())
    other = await graph.post(path, json=template(language="en_US"))
    gone = await graph.delete(path, params={"name": "pedido"})
    again = await graph.delete(path, params={"name": "pedido"})

    assert same.json()["error"]["error_subcode"] == 2388024
    assert other.status_code == 200
    assert gone.json() == {"success": True}
    assert again.json()["error"]["error_subcode"] == 2593002


async def test_list_comes_in_pages(graph: httpx.AsyncClient, business: dict[str, Any]) -> None:
    """Cursors lead through all templates, forwards and back."""
    path = f"/{business['waba_id']}/message_templates"
    for language in ("es", "en_US", "pt_BR", "nl"):
        await graph.post(path, json=template(language=language))

    first = (await graph.get(path, params={"limit": 2, "fields": "language"})).json()
    second = (await graph.get(first["paging"]["next"])).json()
    third = (await graph.get(second["paging"]["next"])).json()
    back = (await graph.get(third["paging"]["previous"])).json()

    assert [len(page["data"]) for page in (first, second, third)] == [2, 2, 1]
    assert "next" not in third["paging"]
    assert back["data"] == second["data"]


def sent(parameters: list[Any] | None, name: str = "pedido", code: str = "es") -> dict[str, Any]:
    components = [] if parameters is None else [{"type": "body", "parameters": parameters}]
    return {
        "messaging_product": "whatsapp",
        "to": "15550100001",
        "type": "template",
        "template": {"name": name, "language": {"code": code}, "components": components},
    }


async def test_template_may_be_sent_outside_the_window(
    graph: httpx.AsyncClient, business: dict[str, Any], simulator: Simulator, receiver: Any
) -> None:
    await graph.post(f"/{business['waba_id']}/message_templates", json=template())
    assert await simulator.settle()

    words = [{"type": "text", "text": "Ana"}, {"type": "text", "text": "12"}]
    answer = await graph.post(f"/{business['phone_number_id']}/messages", json=sent(words))
    assert await simulator.settle()

    assert answer.json()["messages"][0]["message_status"] == "accepted"
    assert [status["status"] for status in receiver.statuses()] == ["sent", "delivered"]
    assert receiver.statuses()[0]["pricing"]["category"] == "utility"


@pytest.mark.parametrize(
    "message, code, details",
    [
        (sent([], name="nada"), 132001, "template name (nada) does not exist in es"),
        (sent([], code="en_US"), 132001, "template name (pedido) does not exist in en_US"),
        (
            sent([{"type": "text", "text": "Ana"}]),
            132000,
            "body: number of localizable_params (1) does not match the expected number of params (2)",
        ),
    ],
)
async def test_template_must_exist_and_get_its_parameters(
    graph: httpx.AsyncClient,
    business: dict[str, Any],
    simulator: Simulator,
    message: dict[str, Any],
    code: int,
    details: str,
) -> None:
    await graph.post(f"/{business['waba_id']}/message_templates", json=template())
    assert await simulator.settle()

    answer = await graph.post(f"/{business['phone_number_id']}/messages", json=message)

    error = answer.json()["error"]
    assert (error["code"], error["error_data"]["details"]) == (code, details)


async def test_dynamic_button_needs_its_parameter(
    anonymous: httpx.AsyncClient, graph: httpx.AsyncClient, business: dict[str, Any]
) -> None:
    button = {"type": "URL", "text": "Ver", "url": "https://shop.test/{{1}}"}
    await anonymous.post(
        "/_simulator/templates",
        json={
            "waba_id": business["waba_id"],
            "name": "boton",
            "language": "es",
            "components": [{"type": "BODY", "text": "Mira"}, {"type": "BUTTONS", "buttons": [button]}],
        },
    )

    answer = await graph.post(f"/{business['phone_number_id']}/messages", json=sent([], name="boton"))

    assert answer.json()["error"]["error_data"]["details"] == (
        "buttons: Button at index 0 of type Url requires a parameter"
    )
