"""What the documents say of variables, files and commands is so."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from deploy.imports import ROOT, Sources
from deploy.variables import needed_by, variables_of
from shared.settings import VARIABLES
from shared.webhook_notices import TEMPLATE_FIELDS
from shared.webhooks import KNOWN_FIELDS

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = (ROOT / "docs" / "environment.md").read_text("utf-8")
FUNCTIONS = Sources().functions
OURS = [
    "CONTRIBUTING.md", "README.md", "SECURITY.md", "docs/api.md", "docs/deploy-aws.md",
    "docs/deploy-vercel.md", "docs/environment.md", "docs/meta-app.md", "docs/operations.md",
    "docs/supabase.md",
]  # fmt: skip


def test_every_variable_has_its_row_and_no_other_has() -> None:
    assert sorted(_rows()) == sorted(VARIABLES)


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_a_row_tells_who_reads_the_variable(name: str) -> None:
    """Found in the sources: the settings that a function's modules read."""
    told = _rows()[name][-1]

    readers = FUNCTIONS if told == "all" else re.findall(r"`(\w+)`", told)

    assert readers == [each for each in FUNCTIONS if name in variables_of(each)]


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_a_row_tells_what_is_secret_and_what_holds_by_default(name: str) -> None:
    first, what, *_ = _rows()[name]
    default = VARIABLES[name].default

    assert ("🔒" in first) == VARIABLES[name].is_secret
    assert (f"Default `{default}`." in what) == bool(default)
    for other in VARIABLES[name].also:
        assert f"`{other}`" in what


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_a_function_needs_is_said(function: str) -> None:
    (sentence,) = re.findall(rf"^.*`{function}`.* needs? (.*)$", ENVIRONMENT, re.MULTILINE)

    assert needed_by(function) <= set(re.findall(r"`(\w+)`", sentence))


def test_the_example_has_every_variable() -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    named = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))

    assert set(VARIABLES) - named == set()


def test_a_shell_reads_the_example_once_it_is_filled_in(tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_text("utf-8")
    (way,) = re.findall(r"\((set -a; .*); make doctor\)", example)
    (tmp_path / ".env").write_text(re.sub(r"<[^>]*>", "filled", example))

    read = subprocess.run(
        ["/usr/bin/env", "bash", "-euc", f"{way}; printenv ENCRYPTION_KEYS WHATSAPP_WEBHOOK_URL"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert read.split() == ["filled", "https://filled/functions/v1/whatsapp-webhook"]


def test_the_fields_to_subscribe_to_are_fields_that_we_read() -> None:
    text = (ROOT / "docs" / "meta-app.md").read_text("utf-8")
    table = text.partition("| for | fields |")[2].partition("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", table))

    assert named <= KNOWN_FIELDS
    assert {"messages", "history", "smb_app_state_sync", "smb_message_echoes", *TEMPLATE_FIELDS} <= named


@pytest.mark.parametrize("path", OURS)
def test_every_link_and_file_that_a_document_names_is_there(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    files = re.findall(r"`((?:tests|docs|functions|shared|bench|deploy)/[\w/.-]+\.\w+)`", text)

    missing = [link for link in links if not (ROOT / path).parent.joinpath(link).exists()]
    assert missing + [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("path", OURS)
def test_every_target_that_a_document_names_exists(path: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

    named = set(re.findall(r"`?make ([a-z][a-z-]+)(?=[`\s])", "\n".join(_code(path))))

    assert named <= targets


def _rows() -> dict[str, list[str]]:
    rows = [line.strip("| ").split(" | ") for line in ENVIRONMENT.splitlines() if line.startswith("| `")]
    return {row[0].split("`")[1]: row for row in rows}


def _code(path: str) -> list[str]:
    text = (ROOT / path).read_text("utf-8")
    return [*re.findall(r"`make [^`]+`", text), *re.findall(r"^make .*$", text, re.MULTILINE)]
