"""The workflows pin what they use, ask for few rights, and deploy what the change touches."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from deploy.imports import ROOT, Sources
from deploy.touched import find_touched, to_outputs

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DEPLOY: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/deploy.yml").read_text("utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit(path: Path) -> None:
    used = re.findall(r"uses: (.+)", path.read_text("utf-8"))

    assert used
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", each)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_workflow_may_read_and_no_more_unless_it_says_why(path: Path) -> None:
    content = yaml.safe_load(path.read_text("utf-8"))

    assert content["permissions"] == {"contents": "read"}
    for name, job in content["jobs"].items():
        assert job.get("permissions", {"contents": "read"}) in (
            {"contents": "read"},
            {"contents": "read", "id-token": "write"},
        ), name
        assert job["timeout-minutes"] <= 45


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_of_an_event_is_pasted_into_a_shell(path: Path) -> None:
    """It comes as a variable: a branch's or an input's name may be a command."""
    for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")


def test_no_key_of_aws_is_kept() -> None:
    assert not re.search(
        r"AWS_(ACCESS_KEY|SECRET)", (ROOT / ".github/workflows/deploy.yml").read_text("utf-8")
    )


def test_tests_come_before_the_database_and_that_before_the_functions() -> None:
    assert DEPLOY["jobs"]["database"]["needs"] == "test"
    assert DEPLOY["jobs"]["functions"]["needs"] == ["test", "database"]


def test_the_outputs_say_what_is_to_be_deployed() -> None:
    touched = find_touched(["functions/webhook/handler.py", "sql/20991231000000_more.sql"])

    assert to_outputs(touched) == ["functions=webhook", "database=true", "dashboard=false", "stack=false"]
    assert to_outputs(touched, " oauth  worker ")[0] == "functions=oauth worker"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_tests_of_the_dashboard_are_never_skipped(path: Path) -> None:
    jobs = yaml.safe_load(path.read_text("utf-8"))["jobs"].values()

    (tests,) = [step for job in jobs for step in job["steps"] if step.get("run") == "make test"]
    assert tests["env"] == {"REQUIRE_CHROMIUM": 1}


def test_the_stack_gets_every_variable_that_it_reads() -> None:
    """What is not handed on would go back to its default at the next deployment."""
    read = set(re.findall(r"env:(\w+)", (ROOT / "serverless.yml").read_text("utf-8")))
    given = set(DEPLOY["jobs"]["functions"]["env"])

    # configure-aws-credentials sets those of the region.
    assert given - {"FUNCTIONS", "STACK", "ARCH"} == read - {"AWS_REGION", "AWS_DEFAULT_REGION"}


def test_the_guide_names_every_variable_of_the_workflow() -> None:
    text = (ROOT / ".github/workflows/deploy.yml").read_text("utf-8")
    guide = (ROOT / "docs" / "deploy-aws.md").read_text("utf-8")
    rows = {
        kind: set(re.findall(r"`(\w+)`", "".join(re.findall(rf"^\| {kind}.*", guide, re.MULTILINE))))
        for kind in ("variables", "secrets")
    }

    assert rows == {
        "variables": set(re.findall(r"vars\.(\w+)", text)),
        "secrets": set(re.findall(r"secrets\.(\w+)", text)),
    }


def test_whoever_chooses_functions_leaves_the_database_alone() -> None:
    """An older commit lacks the newer migrations, and `supabase db push` refuses where one is missing."""
    assert DEPLOY["jobs"]["database"]["if"] == "needs.test.outputs.database == 'true' && !inputs.functions"


def test_what_builds_a_zip_touches_every_function() -> None:
    code = "import sys, deploy.build; print(*(name for name in sys.modules if name.startswith('deploy.')))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()

    for module in loaded:
        assert find_touched([f"{module.replace('.', '/')}.py"]).functions == Sources().functions, module


@pytest.mark.parametrize(
    "environ,expected",
    [
        ({"FUNCTIONS": "webhook"}, ["-m deploy.function webhook --stage prod --arch arm64"]),
        (
            {"FUNCTIONS": "meta_api send_message", "ARCH": "x86_64"},
            ["-m deploy.function meta_api send_message --stage prod --arch x86_64"],
        ),
        ({"FUNCTIONS": "webhook", "STACK": "true"}, ["deploy --stage prod --param arch=arm64"]),
        ({"FUNCTIONS": "all"}, ["deploy --stage prod --param arch=arm64"]),
        ({"FUNCTIONS": "all", "ALARM_EMAIL": ""}, ["deploy --stage prod --param arch=arm64"]),
        (
            {"FUNCTIONS": "all", "ALARM_EMAIL": "a@b.test"},
            ["a@b.test", "deploy --stage prod --param arch=arm64"],
        ),
    ],
)
def test_the_script_deploys_one_by_one(tmp_path: Path, environ: dict[str, str], expected: list[str]) -> None:
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "deploy.sh"
    script.write_text((ROOT / "deploy" / "deploy.sh").read_text("utf-8"))
    for program in ("deploy/node_modules/.bin/osls", ".venv/bin/python"):
        stand_in = tmp_path / program
        stand_in.parent.mkdir(parents=True)
        # An empty variable is a value to osls, which knows a default only for what is not set.
        stand_in.write_text('#!/bin/sh\n[ -z "${ALARM_EMAIL+x}" ] || echo "$ALARM_EMAIL"\necho "$@"\n')
        stand_in.chmod(0o755)

    said = subprocess.run(
        ["/usr/bin/env", "bash", str(script), "prod"],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert said.splitlines() == expected
