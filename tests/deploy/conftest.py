"""The built zips, and AWS's runtime client; skipped with a reason where no Python of Lambda's version is."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import pytest

from deploy.build import Built, NoSuitablePython, build, find_python
from deploy.imports import Sources
from deploy.runtime import make_runtime

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FUNCTIONS = Sources().functions
HOST = {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), "")


@pytest.fixture(scope="session")
def python() -> str:
    try:
        return find_python()
    except NoSuitablePython as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def built(python: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Built]:
    """Build a function for this machine's own architecture, once."""
    folder = tmp_path_factory.mktemp("dist")
    cache = tmp_path_factory.mktemp("libraries")
    done: dict[str, Built] = {}

    def build_once(function: str) -> Built:
        if function not in done:
            done[function] = build(function, HOST or "x86_64", into=folder, python=python, cache=cache)
        return done[function]

    return build_once


@pytest.fixture(scope="session")
def runtime(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda's runtime brings: AWS's client, and boto3."""
    if not HOST or platform.system() != "Linux":
        pytest.skip("The zips hold libraries for Linux on x86-64 or ARM, and this is neither.")
    return make_runtime(tmp_path_factory.mktemp("runtime") / "runtime", with_boto3=True)
