"""Writes `requirements.lock` and `package-lock.json`: exact versions and hashes, and no host's name."""

import os
import subprocess
from pathlib import Path

from local.programs import find_node, find_npm

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Resolve both locks again; versions change only where pyproject.toml or package.json ask for it."""
    subprocess.run(
        [
            *(".venv/bin/uv", "pip", "compile", "--quiet", "--generate-hashes", "--universal"),
            *("--python-version", "3.11", "--no-emit-index-url", "--custom-compile-command", "make lock"),
            *("--group", "dev", "pyproject.toml", "--output-file", "requirements.lock"),
        ],
        cwd=ROOT,
        check=True,
    )
    node = find_node()
    subprocess.run(
        [node, find_npm(), "install", "--package-lock-only", "--omit-lockfile-registry-resolved"],
        cwd=ROOT,
        check=True,
        env={**os.environ, "PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])},
    )


if __name__ == "__main__":
    main()
