"""The import graph decides what is packed and what is deployed; it must miss nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import pytest

from deploy.build import LOCK
from deploy.imports import ROOT, Sources
from deploy.touched import find_touched

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = Sources()
FUNCTIONS = SOURCES.functions


@pytest.mark.parametrize("function", FUNCTIONS)
def test_what_is_loaded_is_within_what_was_read(function: str) -> None:
    """Importing the handler loads no module of ours that the sources did not show."""
    script = (
        f"import sys; import functions.{function}.handler; "
        "print(*(name for name in sys.modules if name.split('.')[0] in ('functions', 'shared')))"
    )

    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()

    assert set(loaded) <= set(SOURCES.follow(f"functions.{function}.handler").modules)


def test_what_only_a_type_checker_reads_is_no_import(tmp_path: Path) -> None:
    sources = _write(
        tmp_path,
        handler="from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import shared.heavy\nelse:\n    import shared.light\n",
        heavy="",
        light="import json\n",
    )

    closure = sources.follow("functions.one.handler")

    assert set(closure.modules) == {
        "functions.one.handler", "functions", "functions.one", "shared", "shared.light"
    }  # fmt: skip
    assert set(closure.libraries) == {"typing", "json"}


def test_an_import_within_a_function_counts(tmp_path: Path) -> None:
    sources = _write(tmp_path, handler="def f():\n    from shared import late\n", late="")

    assert sources.follow("functions.one.handler").modules["shared.late"] == "functions.one.handler"


def test_a_module_that_does_not_exist_is_told(tmp_path: Path) -> None:
    sources = _write(tmp_path, handler="import shared.nowhere\n")

    with pytest.raises(ValueError, match=r"shared\.nowhere"):
        sources.follow("functions.one.handler")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_change_in_one_handler_touches_one_function(function: str) -> None:
    touched = find_touched([f"functions/{function}/handler.py"])

    assert touched.functions == [function]
    assert (touched.database, touched.dashboard, touched.stack) == (False, False, False)


@pytest.mark.parametrize("module", sorted(name for name in SOURCES.modules if name.startswith("shared.")))
def test_a_change_in_a_shared_module_touches_those_that_import_it(module: str) -> None:
    """Told here by another way than the script's: a search for the import's words, followed by hand."""
    path = SOURCES.modules[module].relative_to(ROOT).as_posix()

    touched = find_touched([path])

    assert touched.functions == [each for each in FUNCTIONS if module in _closure_by_search(each)]


def test_what_no_function_holds_touches_none() -> None:
    paths = [
        "README.md",
        "tests/unit/test_crypto.py",
        "local/stack.py",
        "shared/openapi.py",
        "functions/x.md",
    ]

    assert find_touched(paths).functions == []


@pytest.mark.parametrize(
    "path,field",
    [
        ("sql/20991231000000_more.sql", "database"),
        ("web/src/pages/index.astro", "dashboard"),
        ("serverless.yml", "stack"),
    ],
)
def test_other_parts_are_told_by_name(path: str, field: str) -> None:
    touched = find_touched([path])

    assert getattr(touched, field)
    assert touched.functions == []


def test_a_changed_lock_touches_those_that_pack_what_changed() -> None:
    lock = LOCK.read_text("utf-8")
    without_the_webhook = ["meta_api", "oauth", "send_message", "worker"]

    def touched_by(before: str, after: str) -> list[str]:
        assert before in lock
        return find_touched([LOCK.name], old_lock=lock.replace(before, after), new_lock=lock).functions

    assert touched_by("\nruff==", "\nruff==0.") == []
    assert touched_by("\nmangum==", "\nmangum==0.") == FUNCTIONS
    assert touched_by("\npydantic-core==", "\npydantic-core==0.") == without_the_webhook
    assert find_touched([LOCK.name]).functions == FUNCTIONS


def test_the_builder_touches_everything() -> None:
    assert find_touched(["deploy/build.py"]).functions == FUNCTIONS


def test_the_command_answers_in_json() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "deploy.touched"],
        cwd=ROOT,
        input="functions/webhook/endpoints.py\n\nREADME.md\n",
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert json.loads(answer) == {
        "functions": ["webhook"], "database": False, "dashboard": False, "stack": False
    }  # fmt: skip


def _write(root: Path, **contents: str) -> Sources:
    for folder in ("functions/one", "shared"):
        (root / folder).mkdir(parents=True)
    for path in ("functions/__init__.py", "functions/one/__init__.py", "shared/__init__.py"):
        (root / path).write_text("")
    for name, text in contents.items():
        place = f"functions/one/{name}.py" if name == "handler" else f"shared/{name}.py"
        (root / place).write_text(text)
    return Sources(root)


@cache
def _closure_by_search(function: str) -> set[str]:
    found: set[str] = set()
    waiting = [f"functions.{function}.handler"]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        # What only a type checker reads is indented under its own line.
        before, _, after = SOURCES.modules[module].read_text("utf-8").partition("if TYPE_CHECKING:\n")
        plain = before + "\n".join(_after_indented(after))
        for name in SOURCES.modules:
            package, _, last = name.rpartition(".")
            words = (f"from {name} import", f"import {name}\n")
            if any(word in plain for word in words) or _imports_from(plain, package, last):
                waiting.append(name)
    return found


def _after_indented(text: str) -> list[str]:
    lines = text.splitlines()
    position = next(
        (number for number, line in enumerate(lines) if line and not line.startswith((" ", ")"))), len(lines)
    )
    return lines[position:]


def _imports_from(text: str, package: str, name: str) -> bool:
    return any(
        name in line.partition(" import ")[2].replace(",", " ").split()
        for line in text.splitlines()
        if package and line.strip().startswith(f"from {package} import ")
    )
