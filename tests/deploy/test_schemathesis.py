"""The running functions keep to their document, whatever they are sent."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local import openapi
from tests.offices import Office, open_office

if TYPE_CHECKING:
    import psycopg

    from tests.world import Simulator, World

    Connection = psycopg.Connection[tuple[Any, ...]]

EXAMPLES = 4
CHECKS = "status_code_conformance,content_type_conformance,response_schema_conformance"
# Documented, and answered by no healthy stack. Meta's own refusals are 502: those are no fault of ours.
OURS = ("500", "503")


@pytest.fixture
def office(world: World, database: Connection, simulator: Simulator) -> Office:
    return open_office(world, database)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["whatsapp-oauth", "whatsapp-meta-api", "whatsapp-send-message", "whatsapp-webhook"]
)
def test_a_function_answers_as_its_document_says(
    name: str, world: World, office: Office, tmp_path: Path
) -> None:
    """An owner with a connected number; bodies that fit the schema, and bodies that do not."""
    bearer = f"Authorization: Bearer {office.organization.owner.token}"
    written = tmp_path / "openapi.json"
    written.write_text(json.dumps(_only(name)), "utf-8")

    answer = subprocess.run(
        [
            *(str(Path(sys.executable).parent / "schemathesis"), "run", str(written)),
            *("--url", world.functions_url, "--header", bearer),
            *("--checks", CHECKS, "--max-examples", str(EXAMPLES), "--phases", "fuzzing"),
            *("--mode", "all", "--seed", "20261124", "--generation-database", "none", "--no-color"),
            *("--suppress-health-check", "all"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert answer.returncode == 0, re.sub(r"(?i)bearer \S+", "Bearer …", answer.stdout[-6000:])


def _only(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(openapi.document()))
    paths = {path: each for path, each in content["paths"].items() if f"{path}/".startswith(f"/{name}/")}
    # Disconnecting in the middle would leave nothing to be asked about.
    paths.pop("/whatsapp-oauth/disconnect", None)
    for methods in paths.values():
        for operation in methods.values():
            for status in OURS:
                operation["responses"].pop(status, None)
    return {**content, "paths": paths}
