"""The stack's commands: `python -m local up`, `down`, `run`; `make up` and `make down` call them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local import stack
from local.supervisor import supervise

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    wanted = _parser().parse_args(arguments)
    folder: Path = wanted.folder.absolute()
    if wanted.command == "up":
        return _up(folder)
    if wanted.command == "down":
        print("The stack is down." if stack.stop(folder) else "No stack was up.")
        return 0
    return _run(folder, wanted.tell)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, purpose in (
        ("up", "start the stack in the background and return when it is ready"),
        ("down", "stop the stack"),
        ("run", "run the stack in the foreground until Ctrl-C"),
    ):
        command = commands.add_parser(name, help=purpose, description=purpose)
        command.add_argument("--folder", type=Path, default=stack.FOLDER, help="default: %(default)s")
        if name == "run":
            command.add_argument("--tell", type=int, metavar="FD", help="tell the progress there, for `up`")
    return parser


def _up(folder: Path) -> int:
    found = stack.find(folder)
    if found:
        print("The stack is up already.")
    else:
        try:
            found = stack.start(folder, os.environ, print)
        except stack.StackFailed as failure:
            print(str(failure).splitlines()[-1] if str(failure) else "The stack ended.", file=sys.stderr)
            return 1
    print(f"Addresses and keys: {folder / 'env'}   A page about it all: {found.variables['DASHBOARD_URL']}")
    return 0


def _run(folder: Path, fd: int | None) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    if fd is None:
        return supervise(
            folder,
            os.environ,
            tell=lambda line: print(line, flush=True),
            is_ready=lambda: print("ready; Ctrl-C ends it", flush=True),
            echoes=True,
        )
    with os.fdopen(fd, "w", encoding="utf-8") as progress:

        def tell(line: str) -> None:
            # Nobody listens any more once the stack is ready.
            print(line, file=sys.stderr if progress.closed else progress, flush=True)

        def be_ready() -> None:
            tell(stack.READY)
            progress.close()

        return supervise(folder, os.environ, tell, be_ready, echoes=False)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
