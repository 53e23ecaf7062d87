"""The simulator's answers against Meta's own OpenAPI document, where it is at hand.

Where an answer is not valid against it, the difference is listed with the evidence for ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.evidence import OPENAPI as DOCUMENT

if TYPE_CHECKING:
    import httpx

    from local.graph import Simulator

PHONE, WABA, BUSINESS = "{Phone-Number-ID}", "{WABA-ID}", "{Business-ID}"
MESSAGE = {"messaging_product": "whatsapp", "to": "15550100001", "type": "text", "text": {"body": "x"}}
PROFILE = {"messaging_product": "whatsapp", "about": "Pan", "websites": ["https://shop.test"]}
TEMPLATE = {
    "name": "pedido",
    "language": "es",
    "category": "UTILITY",
    "components": [{"type": "BODY", "text": "Hola"}],
}
BLOCKED = {"messaging_product": "whatsapp", "block_users": [{"user": "15550100001"}]}

CALLS: list[tuple[str, str, str, Any]] = [
    ("POST", f"/{PHONE}/messages", "", MESSAGE),
    ("GET", f"/{PHONE}", "", None),
    ("GET", f"/{PHONE}", "?fields=id,display_phone_number,verified_name,status,quality_rating", None),
    ("POST", f"/{PHONE}", "", {"search_visibility": "VISIBLE"}),
    ("GET", f"/{WABA}/phone_numbers", "", None),
    (
        "POST",
        f"/{WABA}/phone_numbers",
        "",
        {"cc": "51", "phone_number": "900000001", "verified_name": "Bodega"},
    ),
    ("GET", f"/{WABA}", "", None),
    ("GET", f"/{WABA}", "?fields=id,name,account_review_status,business_verification_status,country", None),
    ("POST", f"/{WABA}", "", {"name": "Bodega"}),
    ("GET", f"/{WABA}/subscribed_apps", "", None),
    ("POST", f"/{WABA}/subscribed_apps", "", None),
    ("DELETE", f"/{WABA}/subscribed_apps", "", None),
    ("GET", f"/{WABA}/message_templates", "", None),
    ("POST", f"/{WABA}/message_templates", "", TEMPLATE),
    ("DELETE", f"/{WABA}/message_templates", "?name=hello_world", None),
    ("GET", "/{TEMPLATE_ID}", "", None),
    ("POST", "/{TEMPLATE_ID}", "", {"components": TEMPLATE["components"]}),
    ("GET", "/{Media-ID}", "", None),
    ("DELETE", "/{Media-ID}", "", None),
    ("POST", f"/{PHONE}/register", "", {"messaging_product": "whatsapp", "pin": "123456"}),
    ("POST", f"/{PHONE}/deregister", "", None),
    ("GET", f"/{PHONE}/whatsapp_business_profile", "?fields=about,vertical", None),
    ("POST", f"/{PHONE}/whatsapp_business_profile", "", PROFILE),
    ("GET", f"/{PHONE}/block_users", "", None),
    ("POST", f"/{PHONE}/block_users", "", BLOCKED),
    ("DELETE", f"/{PHONE}/block_users", "", BLOCKED),
    ("GET", f"/{PHONE}/message_qrdls", "", None),
    ("POST", f"/{PHONE}/message_qrdls", "", {"prefilled_message": "hola", "generate_qr_image": "PNG"}),
    ("GET", f"/{PHONE}/settings", "", None),
    ("POST", f"/{PHONE}/settings", "", {"calling": {"status": "DISABLED"}}),
    ("GET", f"/{PHONE}/whatsapp_commerce_settings", "", None),
    ("POST", f"/{PHONE}/whatsapp_commerce_settings", "", {"is_cart_enabled": True}),
    ("POST", f"/{PHONE}/conversational_automation", "", {"prompts": ["¿Precio?"]}),
    ("GET", f"/{PHONE}/whatsapp_business_encryption", "", None),
    ("POST", f"/{PHONE}/whatsapp_business_encryption", "", {"business_public_key": "key"}),
    ("GET", f"/{BUSINESS}", "", None),
    ("GET", f"/{BUSINESS}/owned_whatsapp_business_accounts", "", None),
    ("GET", f"/{BUSINESS}/client_whatsapp_business_accounts", "", None),
    # Refusals
    ("POST", f"/{PHONE}/verify_code", "", {"code": "000000"}),
    ("POST", f"/{PHONE}/request_code", "", {"code_method": "SMS", "language": "en_US"}),
    ("POST", f"/{PHONE}/register", "", {"messaging_product": "whatsapp", "pin": "12"}),
    ("GET", f"/{PHONE}", "?fields=nothing", None),
]

EXPLAINED = {
    "GET /{WABA-ID}/phone_numbers": "`status` is no default field in the documentation and in recordings",
    "GET /{WABA-ID}?fields=id,name,account_review_status,business_verification_status,country": (
        "recordings write `not_verified`, in lower case"
    ),
    "GET /{Phone-Number-ID}/settings": "the documentation and clients that work write ENABLED and DISABLED",
    "GET /{Media-ID}": "recordings write `file_size` as a number",
}
"""Method and path → why an answer of ours is not valid against the document."""

pytestmark = pytest.mark.skipif(not DOCUMENT.exists(), reason="Meta's OpenAPI document is not here")


@pytest.fixture(scope="module")
def document() -> Any:
    return yaml.load(DOCUMENT.read_text(), Loader=yaml.CSafeLoader)


@pytest.fixture
def ids(simulator: Simulator, business: dict[str, Any]) -> dict[str, str]:
    """The ids that stand for the parameters of a path."""
    number = simulator.state.numbers[business["phone_number_id"]]
    media = simulator.add_media(number, b"x", "image/png", None, 1000.0)
    (template,) = simulator.state.templates.values()
    return {
        PHONE: number.id,
        WABA: business["waba_id"],
        BUSINESS: business["business_id"],
        "{TEMPLATE_ID}": template.id,
        "{Media-ID}": media.id,
    }


def schema_of(document: Any, path: str, method: str, status: int) -> str | None:
    """Return the reference to the schema of an answer, or None if the document has none."""
    responses = document["paths"][f"/{{Version}}{path}"][method.lower()]["responses"]
    pointer = f"#/paths/{_escape(f'/{{Version}}{path}')}/{method.lower()}/responses/{status}"
    response = responses.get(str(status))
    if response is None:
        return None
    if "$ref" in response:
        pointer = response["$ref"]
        response = document["components"]["responses"][pointer.rsplit("/", 1)[1]]
    if "application/json" not in response.get("content", {}):
        return None
    return f"urn:meta{pointer}/content/application~1json/schema"


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


@pytest.mark.parametrize("method, path, query, body", CALLS, ids=lambda value: str(value)[:60])
async def test_answer_is_valid_against_metas_document(
    graph: httpx.AsyncClient,
    document: Any,
    ids: dict[str, str],
    write: Any,
    method: str,
    path: str,
    query: str,
    body: Any,
) -> None:
    write()
    real = path
    for name, value in ids.items():
        real = real.replace(name, value)

    answer = await graph.request(method, real + query, json=body)

    reference = schema_of(document, path, method, answer.status_code)
    assert reference is not None, answer.text
    registry = Registry().with_resource("urn:meta", DRAFT202012.create_resource(document))
    validator = Draft202012Validator({"$ref": reference}, registry=registry)
    found = [
        f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(answer.json())
    ]
    assert bool(found) == (f"{method} {path}{query}" in EXPLAINED), "\n".join([answer.text, *found])
