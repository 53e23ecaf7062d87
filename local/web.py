"""Checks and formats the dashboard: `python -m local.web check`, `python -m local.web format`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from local.programs import ROOT, find_node

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WEB = ROOT / "web"
PACKAGES = WEB / "node_modules"
ASTRO = PACKAGES / "astro" / "bin" / "astro.mjs"
ESLINT = PACKAGES / "eslint" / "bin" / "eslint.js"
PRETTIER = PACKAGES / "prettier" / "bin" / "prettier.cjs"
TASKS: dict[str, tuple[tuple[Path, Sequence[str]], ...]] = {
    "check": (
        (PRETTIER, ["--check", "--log-level", "warn", "."]),
        (ESLINT, ["--max-warnings", "0", "."]),
        (ASTRO, ["check", "--silent", "--minimumSeverity", "error"]),
    ),
    "format": ((PRETTIER, ["--write", "--log-level", "warn", "."]), (ESLINT, ["--fix", "."])),
}


def main() -> int:
    """Do the task that the command line names; returns 0 if every program is content."""
    node = find_node()
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    environ = {**os.environ, "PATH": path, "ASTRO_TELEMETRY_DISABLED": "1"}
    results = [
        subprocess.run([node, program, *arguments], cwd=WEB, env=environ, check=False).returncode
        for program, arguments in TASKS[sys.argv[1]]
    ]
    return max(results)


if __name__ == "__main__":
    sys.exit(main())
