"""The stack from outside: start it in the background, find it, stop it.

with running_stack(folder) as stack:
    httpx.get(stack.variables["FUNCTIONS_URL"] + "/whatsapp-webhook")
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local import dotenv
from local.processes import ProcessName, die_with_parent
from local.programs import ROOT
from local.supervisor import clear, held, read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

FOLDER = ROOT / ".local"
READY = "ready"
STOP_SECONDS = 30.0


class StackFailed(Exception):
    """The stack did not start; the message holds what it told."""


@dataclass(frozen=True)
class Stack:
    """A stack that is up."""

    folder: Path
    variables: Mapping[str, str]
    """What `env` in its folder says: addresses, keys, secrets."""
    supervisor: subprocess.Popen[bytes] | None = None
    """Its first process, for whoever started it and lives as long."""

    @property
    def logs(self) -> Path:
        """The folder with a log of each service."""
        return self.folder / "logs"


def find(folder: Path = FOLDER) -> Stack | None:
    """Find the stack that is up in a folder; one that is starting is waited for, one that ends is none."""
    while folder.is_dir():
        with held(folder) as is_ours:
            if is_ours:
                return None
        with contextlib.suppress(FileNotFoundError):
            return Stack(folder, dotenv.read(folder / "env"))
        time.sleep(0.1)
    return None


def start(
    folder: Path,
    environ: Mapping[str, str],
    tell: Callable[[str], None],
    *,
    dies_with_us: bool = False,
) -> Stack:
    """Start a stack in the background and return when it is ready; raises `StackFailed`."""
    folder.mkdir(parents=True, exist_ok=True)
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as told, (folder / "supervisor.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "run", "--folder", folder, "--tell", str(writing)],
            cwd=ROOT,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writing],
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM) if dies_with_us else None,  # noqa: PLW1509 # imports nothing
        )
        os.close(writing)
        lines = []
        try:
            for line in told:
                if line.rstrip("\n") == READY:
                    return Stack(folder, dotenv.read(folder / "env"), process)
                lines.append(line)
                tell(line.rstrip("\n"))
        except BaseException:
            # A Ctrl-C above all: it does not reach the supervisor's own session.
            process.terminate()
            process.wait()
            raise
    process.wait()
    raise StackFailed("".join(lines) + (folder / "supervisor.log").read_text("utf-8", "replace"))


def stop(folder: Path = FOLDER) -> bool:
    """Stop the stack of a folder, and clear what an earlier one left; returns whether one was up."""
    if not folder.is_dir():
        return False
    ended: ProcessName | None = None
    deadline = time.monotonic() + STOP_SECONDS
    while True:
        # The lock is let go a moment before its holder's process is gone.
        with held(folder) as is_ours:
            if is_ours and not (ended and ended.is_running()):
                clear(folder)
                return ended is not None
        supervisor = ended or _find_supervisor(folder)
        if supervisor and ended is None:
            os.kill(supervisor.pid, signal.SIGTERM)
            ended = supervisor
        elif supervisor and supervisor.is_running() and time.monotonic() > deadline:
            os.kill(supervisor.pid, signal.SIGKILL)
        time.sleep(0.05)


@contextlib.contextmanager
def running_stack(
    folder: Path, environ: Mapping[str, str] | None = None, tell: Callable[[str], None] = lambda _line: None
) -> Iterator[Stack]:
    """Run a stack of one's own in a folder; it ends with the block, or with this process."""
    stack = start(folder, os.environ if environ is None else environ, tell, dies_with_us=True)
    try:
        yield stack
    finally:
        stop(folder)
        if stack.supervisor:
            stack.supervisor.wait()


def _find_supervisor(folder: Path) -> ProcessName | None:
    state = read_state(folder)
    if "supervisor" not in state:
        return None
    name = ProcessName.from_json(state["supervisor"])
    return name if name.is_running() else None
