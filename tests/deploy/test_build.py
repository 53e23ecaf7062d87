"""Each zip holds what its function imports and nothing else, in a form that Lambda takes as it is."""

from __future__ import annotations

import re
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest

from deploy import build as builder
from deploy.build import LARGEST, LEFT_OUT, build
from tests.deploy.conftest import FUNCTIONS, HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from deploy.build import Built

FOREIGN = re.compile(r"(^|/)(tests?|boto3|botocore|supabase|storage3|realtime|fastapi|pytest|local|deploy)/")
UNCHECKED_HASH = 0b01
MAGIC_OF_3_13 = 3571


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_zip_holds_its_own_function_and_no_other(function: str, built: Callable[[str], Built]) -> None:
    names = _names(built(function).path)

    assert f"functions/{function}/handler.py" in names
    folders = {name.split("/")[1] for name in names if re.match(r"functions/\w+/", name)}
    assert folders == {function, "__pycache__"}
    assert [name for name in names if name.endswith("openapi.py")] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_zip_holds_nothing_that_is_not_imported(function: str, built: Callable[[str], Built]) -> None:
    names = _names(built(function).path)

    assert [name for name in names if FOREIGN.search(name) and not name.startswith("functions/")] == []
    assert [name for name in names if name.endswith((".pyi", "/RECORD"))] == []
    assert [name for name in names if name.startswith(LEFT_OUT)] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_module_has_bytecode_that_needs_no_look_at_dates(
    function: str, built: Callable[[str], Built]
) -> None:
    with zipfile.ZipFile(built(function).path) as archive:
        names = set(archive.namelist())
        sources = [name for name in names if name.endswith(".py")]
        compiled = {name for name in names if name.endswith(".cpython-313.pyc")}
        heads = {struct.unpack("<HHI", archive.read(name)[:8]) for name in compiled}

    assert len(sources) == len(compiled) == len([name for name in names if name.endswith(".pyc")])
    assert {(magic, flags) for magic, _, flags in heads} == {(MAGIC_OF_3_13, UNCHECKED_HASH)}


def test_the_same_sources_give_the_same_bytes(
    built: Callable[[str], Built], python: str, tmp_path: Path
) -> None:
    first = built("webhook")

    second = build("webhook", first.arch, into=tmp_path, python=python)

    assert second.path.read_bytes() == first.path.read_bytes()


def test_the_other_architecture_differs_in_its_libraries_alone(
    built: Callable[[str], Built], python: str, tmp_path: Path
) -> None:
    """So do the lists of what those were compiled of (SBOM)."""
    here = built("webhook")
    other = build("webhook", "x86_64" if here.arch == "arm64" else "arm64", into=tmp_path, python=python)

    different = _differences(here.path, other.path)

    assert other.report["libraries"].keys() == here.report["libraries"].keys()
    assert different
    assert [
        name for name in different if not name.endswith((".so", "/WHEEL")) and "/sboms/" not in name
    ] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_report_tells_what_is_inside_and_why(function: str, built: Callable[[str], Built]) -> None:
    report = built(function).report

    assert report["arch"] == (HOST or "x86_64")
    assert report["unzipped_bytes"] < LARGEST / 4
    assert all(each["why"] and each["version"] and each["bytes"] for each in report["libraries"].values())
    assert {"cryptography", "httpx", "mangum", "starlette"} <= set(report["libraries"])
    assert not {"supabase", "boto3", "fastapi"} & set(report["libraries"])
    assert ("pydantic" in report["libraries"]) == (function != "webhook")
    assert "\n".join(builder.to_lines(report)).startswith(f"{function} (")


def test_what_is_too_large_is_not_built(python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "LARGEST", 1_000_000)

    with pytest.raises(OverflowError, match="webhook holds"):
        build("webhook", "x86_64", into=tmp_path, python=python)


def test_without_the_runtimes_own_python_the_builder_says_so() -> None:
    with pytest.raises(builder.NoSuitablePython, match=r"Python 9\.99 is needed"):
        builder.find_python("9.99")


def _names(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def _differences(one: Path, other: Path) -> list[str]:
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        both = set(first.namelist()) & set(second.namelist())
        alone = set(first.namelist()) ^ set(second.namelist())
        return sorted(alone | {name for name in both if first.read(name) != second.read(name)})
