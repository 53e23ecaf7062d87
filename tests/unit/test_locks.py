"""The locks pin everything that is installed, and serve whatever registry a machine uses."""

from __future__ import annotations

import json
import re
from typing import Any

from local.programs import ROOT


def test_python_packages_are_pinned_with_hashes_and_without_hosts() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    _preface, *requirements = re.split(r"\n(?=[a-z0-9])", lock)

    unpinned = [each for each in requirements if not re.match(r"[\w.\[\]-]+==\S+ ", each)]
    unhashed = [each for each in requirements if "--hash=sha256:" not in each]

    assert (unpinned, unhashed) == ([], [])
    assert "://" not in lock
    assert "--index" not in lock


def test_node_packages_are_pinned_with_hashes_and_without_hosts() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text("utf-8"))
    packages: dict[str, dict[str, Any]] = {name: each for name, each in lock["packages"].items() if name}

    assert [name for name, each in packages.items() if "integrity" not in each] == []
    assert [name for name, each in packages.items() if "resolved" in each] == []
    # One that runs a script at its installation may fetch more than the lock knows.
    assert [name for name, each in packages.items() if each.get("hasInstallScript")] == []
