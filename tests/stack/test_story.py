"""The story that `make story` plays holds, and says so when it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest

from local import story
from local.programs import ROOT
from local.story import Stage, StepFailed, Teller, play, show_tables

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack
    from tests.world import World


def test_each_step_of_the_story_holds(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller(is_colourful=False)

    play(stage := Stage(stack.variables), teller)
    show_tables(stack.variables)
    stage.close()

    told = capsys.readouterr().out
    assert teller.failed == 0, told
    assert teller.count == told.count("✓")
    assert "Panadería Sol" in told.split("organization", 1)[1]


def test_a_step_that_does_not_hold_is_counted_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller(is_colourful=False)

    def fail() -> None:
        raise StepFailed("it did not")

    with teller.step("Something happens"):
        fail()

    assert (teller.count, teller.failed) == (1, 1)
    assert "✗" in capsys.readouterr().out


@pytest.mark.parametrize("arguments, code", [([], 130), (["--stay"], 130)])
def test_what_is_interrupted_before_its_end_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int
) -> None:
    def interrupt(**_: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(story, "_stack", interrupt)

    assert story.main(arguments) == code


def test_the_command_fails_when_the_stack_does_not_start(tmp_path: Path) -> None:
    environ = {**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}

    done = subprocess.run(
        [sys.executable, "-m", "local.story"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 1
    assert done.stderr.strip()


def test_no_secret_and_nobodys_business_is_in_the_logs(stack: Stack, world: World) -> None:
    """Every token, key and secret in use, every code, text and phone number of the whole run so far."""
    play(stage := Stage(stack.variables), Teller(is_colourful=False))
    stage.close()
    simulator = world.simulator
    secrets = {
        *(
            text
            for name, text in stack.variables.items()
            if name.endswith(("_KEY", "_KEYS", "_SECRET", "_TOKEN"))
        ),
        *(part for pair in stack.variables["ENCRYPTION_KEYS"].split(",") for part in pair.split(":")[1:]),
        *(token["value"] for token in simulator.get("/tokens")),
        *(app[name] for app in simulator.get("/apps") for name in ("secret", "verify_token")),
        *(row["code"] for row in simulator.get("/codes")),
        *(customer["phone_number"] for customer in simulator.get("/customers")),
        "Hasta las ocho",
        "Transfiera el dinero",
        "Quisiera una torta",
    }

    # The simulator stands for Meta, which may log what it likes.
    logs = {file.name: file.read_text() for file in stack.logs.glob("*.log")}
    found = {
        (name, line[:40])
        for name, text in logs.items()
        if name not in ("graph.log", "stack.log")
        for line in text.splitlines()
        for secret in secrets
        if secret and len(secret) >= 6 and secret in line
    }

    assert {"functions.log", "supabase.log"} <= set(logs)
    assert logs["functions.log"]
    assert found == set()
