"""Tells which functions a change touches: `git diff --name-only BASE | python -m deploy.touched --base BASE`.

A function is touched by a module that it imports, by a locked library that it packs, and by what builds them
all. The answer is JSON: {"functions": […], "database": bool, "dashboard": bool, "stack": bool}; `stack` says
that the infrastructure itself has changed, so that the whole of it is to be deployed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING

from deploy.build import LOCK, list_never_reached
from deploy.imports import ROOT, Sources
from deploy.requirements import read_lock, resolve, to_text

if TYPE_CHECKING:
    from collections.abc import Iterable

LOCK_NAME = LOCK.name
OF_THE_STACK = ("serverless.yml", "deploy/package.json", "deploy/package-lock.json")
OF_EVERY_ZIP = ("deploy/build.py", "deploy/imports.py", "deploy/requirements.py", "deploy/roots.py")


@dataclass(frozen=True, kw_only=True)
class Touched:
    """What is to be deployed."""

    functions: list[str]
    database: bool
    dashboard: bool
    stack: bool


def find_touched(
    paths: Iterable[str], *, old_lock: str | None = None, new_lock: str | None = None
) -> Touched:
    """Tell what these changed paths touch; without both locks, a changed lock touches every function."""
    changed = set(paths)
    locks = None if old_lock is None or new_lock is None else (old_lock, new_lock)
    sources = _sources()
    touched = []
    for function in sources.functions:
        closure = sources.follow(f"functions.{function}.handler")
        files = {sources.modules[module].relative_to(ROOT).as_posix() for module in closure.modules}
        is_relocked = LOCK_NAME in changed and _is_relocked(function, closure.libraries, locks)
        if is_relocked or changed & {*files, *OF_EVERY_ZIP}:
            touched.append(function)
    return Touched(
        functions=touched,
        database=any(path.startswith("sql/") or path == "supabase/config.toml" for path in changed),
        dashboard=any(path.startswith("web/") for path in changed),
        stack=bool(changed & set(OF_THE_STACK)),
    )


@cache
def _sources() -> Sources:
    return Sources()


def _is_relocked(function: str, libraries: dict[str, str], locks: tuple[str, str] | None) -> bool:
    if locks is None:
        return True
    old, new = (_pinned(libraries, text, list_never_reached(function)) for text in locks)
    return old != new


def _pinned(libraries: dict[str, str], text: str, left_out: Iterable[str]) -> str | None:
    lock = read_lock(text)
    try:
        return to_text(resolve(libraries, lock, leave_out=left_out), lock)
    except LookupError:
        # One of them was not there before.
        return None


def to_outputs(touched: Touched, chosen: str = "") -> list[str]:
    """Write what a workflow's later jobs read; a person's choice goes before the change's."""
    names = " ".join(touched.functions)
    return [
        f"functions={' '.join(chosen.split()) or names}",
        f"database={str(touched.database).lower()}",
        f"dashboard={str(touched.dashboard).lower()}",
        f"stack={str(touched.stack).lower()}",
    ]


def main() -> int:
    """Read paths from standard input, one a line, and answer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", help="the commit that is deployed: its lock is compared with ours")
    parser.add_argument("--github", action="store_true", help="answer as a step's outputs")
    parser.add_argument("--chosen", default="", help="functions that a person wants, whatever has changed")
    chosen = parser.parse_args()
    old_lock = None
    if chosen.base:
        shown = subprocess.run(
            ["git", "show", f"{chosen.base}:{LOCK_NAME}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        old_lock = shown.stdout if shown.returncode == 0 else None
    paths = [line.strip() for line in sys.stdin if line.strip()]
    touched = find_touched(paths, old_lock=old_lock, new_lock=LOCK.read_text("utf-8"))
    if chosen.github:
        print("\n".join(to_outputs(touched, chosen.chosen)))
    else:
        print(json.dumps(asdict(touched)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
