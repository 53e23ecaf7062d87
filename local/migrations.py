"""Brings a database up to the newest migration by the real Supabase CLI, as a deployment does."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from local.programs import ROOT, find_node, find_supabase_cli

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class MigrationFailed(Exception):
    """The CLI refused; its words are the message."""


def push(database_url: str, home: Path) -> None:
    """Apply the migrations that the database does not know yet; raises `MigrationFailed`."""
    done = run_cli("db", "push", "--include-all", "--yes", database_url=database_url, home=home)
    if done.returncode != 0:
        raise MigrationFailed(f"The migrations could not be applied.\n{done.stderr.strip()}")


def run_cli(*arguments: str, database_url: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the Supabase CLI against a database, without telemetry; what it keeps for itself goes to `home`."""
    return subprocess.run(
        [find_node(), find_supabase_cli(), *arguments, "--db-url", without_tls(database_url)],
        cwd=ROOT,
        env=_environ(os.environ, home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def without_tls(url: str) -> str:
    """Tell a client that insists on TLS that a database on this machine needs none."""
    parts = urlsplit(url)
    if parts.hostname not in LOOPBACK or "sslmode=" in parts.query:
        return url
    return url + ("&" if parts.query else "?") + "sslmode=disable"


def _environ(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    # An access token or a linked project of the developer's is no business of ours.
    kept = {name: text for name, text in environ.items() if not name.startswith("SUPABASE_")}
    return kept | {
        "SUPABASE_HOME": str(home),
        "SUPABASE_TELEMETRY_DISABLED": "1",
        "SUPABASE_NO_UPDATE_NOTIFIER": "1",
        "DO_NOT_TRACK": "1",
    }
