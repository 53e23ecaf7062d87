"""What the supervisor needs of the operating system: children that die with it, and names for processes.

A process id is used again after its process has ended, so a process is named by its id and its start time:
nothing is ever signalled that was not started here.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import pwd
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec nothing may be imported.
_IS_LINUX = platform.system() == "Linux"
_LIBC = ctypes.CDLL(None) if _IS_LINUX else None


@dataclass(frozen=True)
class ProcessName:
    """A process that can be recognised later."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessName | None:
        """Name a running process; None when there is none (a zombie is none)."""
        started = _find_start_time(pid)
        return None if started is None else cls(pid, started)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> ProcessName:
        """Read what `to_json` wrote."""
        return cls(int(fields["pid"]), str(fields["started"]))

    def to_json(self) -> dict[str, Any]:
        """Write the name for a file."""
        return {"pid": self.pid, "started": self.started}

    def is_running(self) -> bool:
        """Tell whether this very process still runs."""
        return _find_start_time(self.pid) == self.started


def die_with_parent(death_signal: signal.Signals) -> Callable[[], None]:
    """Make a `preexec_fn`: the kernel sends the child this signal when its parent ends, however that happens.

    Only Linux can; elsewhere the next start or stop ends what was left.
    """
    parent = os.getpid()

    def ask_kernel() -> None:
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal))
            if os.getppid() != parent:
                os._exit(1)

    return ask_kernel


def end(names: Iterable[ProcessName], *, patience: float = 5.0) -> None:
    """End processes that lead their own groups: ask, wait, then kill what is left of each group."""
    running = [name for name in names if name.is_running()]
    for name in running:
        _signal_group(name.pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while any(name.is_running() for name in running) and time.monotonic() < deadline:
        time.sleep(0.05)
    for name in running:
        if name.is_running():
            _signal_group(name.pid, signal.SIGKILL)


def is_root() -> bool:
    """Tell whether we are root, as whom Postgres refuses to run."""
    return os.geteuid() == 0


def as_nobody() -> dict[str, Any]:
    """Return the arguments of `subprocess` that let a program run as the user `nobody`."""
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def can_nobody_use(path: Path) -> bool:
    """Tell whether `nobody` reaches a program or a folder, through all folders above it."""
    return (
        subprocess.run(
            ["/bin/sh", "-c", 'test -x "$0"', path], check=False, cwd="/", **as_nobody()
        ).returncode
        == 0
    )


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


def _find_start_time(pid: int) -> str | None:
    if _IS_LINUX:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            return None
        return None if fields[0] in "ZX" else fields[19]
    listed = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = listed.stdout.strip().partition(" ")
    return None if listed.returncode != 0 or state.startswith("Z") else started.strip()
