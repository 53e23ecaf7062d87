"""`osls deploy` takes the built zips into an AWS that moto plays, and removes them again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from deploy.build import DIST
from deploy.imports import ROOT
from deploy.rehearse import SECRETS
from tests.deploy.conftest import FUNCTIONS, HOST

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.build import Built


@pytest.mark.slow
def test_what_was_built_is_what_is_deployed(built: Callable[[str], Built]) -> None:
    arch = HOST or "x86_64"
    DIST.mkdir(exist_ok=True)
    for function in FUNCTIONS:
        shutil.copyfile(built(function).path, DIST / f"{function}-{arch}.zip")

    rehearsal = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "deploy.rehearse", "--arch", arch],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )

    # 1 where a deployed zip's digest is not that of the built one.
    assert rehearsal.returncode == 0, rehearsal.stderr[-3000:]
    found = json.loads(rehearsal.stdout[rehearsal.stdout.index("{") :])
    assert set(found["functions"]) == {f"functions/{each}/handler.handler" for each in FUNCTIONS}
    assert {url.rpartition("/")[2] for url in found["queues"]} == {
        "whatsapp-functions-dev-deliveries", "whatsapp-functions-dev-dead-deliveries"
    }  # fmt: skip
    assert found["mappings"] == ["whatsapp-functions-dev-deliveries"]
    # A function that is deployed alone keeps what CloudFormation has set: its variables above all.
    assert found["is_same_one_by_one"]
    assert found["left_functions"] == 0
    # References, and no value: moto leaves them as they are, where CloudFormation reads the secret.
    assert found["unresolved"] == sorted(SECRETS)
