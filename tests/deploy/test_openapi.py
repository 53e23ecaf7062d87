"""The OpenAPI document says what the functions do, all of it and nothing else."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

import pytest
from openapi_spec_validator import validate
from starlette.routing import Route

from local import openapi
from local.programs import ROOT

TABLES = openapi.find_tables()


def test_the_written_document_is_the_codes() -> None:
    written = openapi.PATH.read_text("utf-8")

    assert written == openapi.to_text(openapi.document()), "run `make openapi`"


def test_the_document_is_openapi_3_1() -> None:
    validate(json.loads(openapi.PATH.read_text("utf-8")))


@pytest.mark.parametrize(
    "folder", sorted(each.parent.name for each in (ROOT / "functions").glob("*/handler.py"))
)
def test_every_route_is_described_and_nothing_else_is(folder: str) -> None:
    app = importlib.import_module(f"functions.{folder}.handler").create({})

    routes = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in set(route.methods or ()) - {"HEAD"}
    }

    name, operations = TABLES[folder]
    assert set(operations) == routes
    assert name == app.name


def test_every_operation_has_an_id_of_its_own() -> None:
    ids = [operation["operationId"] for _, operation in _operations(openapi.document())]

    assert sorted(set(ids)) == sorted(ids)


def test_every_reference_leads_somewhere() -> None:
    content = openapi.document()

    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(content)))

    assert names <= set(content["components"]["schemas"])


def test_every_error_code_can_be_answered_somewhere() -> None:
    """A code that no operation names is either not described, or not in use."""
    content = openapi.document()
    told = " ".join(
        response["description"]
        for _, operation in _operations(content)
        for response in operation["responses"].values()
    )

    codes = set(
        content["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"]
    )

    # Families, what is answered where there is no operation, and what the database itself answers.
    unsaid = {"bad_request", "unknown_path", "method_not_allowed", "invitation_not_found", "last_owner"}
    assert codes - set(re.findall(r"`(\w+)`", told)) <= unsaid


def test_no_operation_of_a_user_is_open_to_strangers() -> None:
    is_open = {path for path, operation in _operations(openapi.document()) if not operation["security"]}

    assert is_open == {"/whatsapp-oauth/callback", "/whatsapp-webhook", "/whatsapp-webhook/{integration_id}"}


def test_the_page_needs_nothing_from_elsewhere() -> None:
    page = openapi.page(openapi.document())

    assert "<script" not in page
    assert re.findall(r"(?:src|href)=.?https?:", page) == []
    assert page.count("<section") == len(_operations(openapi.document()))


def _operations(content: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, operation) for path, methods in content["paths"].items() for operation in methods.values()]
