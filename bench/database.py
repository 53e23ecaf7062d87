"""A Postgres with the project's migrations, as durable as in production, for one run of a module."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from local import migrations
from local.postgres import Postgres
from local.programs import ROOT, find_node
from local.settings import HOST, choose_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

START_SECONDS = 30.0
# The stack's own Postgres is thrown away and promises nothing; this one writes as a deployment's does.
SETTINGS = (
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "max_wal_size=8GB",
    "checkpoint_timeout=30min",
    "shared_buffers=2GB",
    "effective_cache_size=8GB",
    "maintenance_work_mem=512MB",
    "random_page_cost=1.1",
    "jit=off",
)


@dataclass(frozen=True, kw_only=True)
class Database:
    """A server that is up."""

    url: str
    programs: Path
    """The folder of `pgbench` and `psql`."""
    jwt_secret: str
    publishable_key: str
    secret_key: str
    pid: int
    """The server's first process, the parent of all that work for connections."""

    @property
    def environ(self) -> Mapping[str, str]:
        """What local/supabase.mjs and the stand-in for PostgREST are started with."""
        return {
            "DATABASE_URL": self.url,
            "SUPABASE_JWT_SECRET": self.jwt_secret,
            "SUPABASE_PUBLISHABLE_KEY": self.publishable_key,
            "SUPABASE_SECRET_KEY": self.secret_key,
        }


class _Durable(Postgres):
    @property
    def command(self) -> Sequence[str]:
        return [*super().command, *(part for setting in SETTINGS for part in ("-c", setting))]


@contextlib.contextmanager
def running_database() -> Iterator[Database]:
    """Run a server with Supabase's schemas and every migration; its data goes with it."""
    with tempfile.TemporaryDirectory(prefix="whatsapp-bench-") as name, contextlib.ExitStack() as exits:
        folder = Path(name)
        postgres = _Durable(folder, port=choose_port(), password=secrets.token_hex(16))
        postgres.make()
        exits.callback(postgres.remove)
        log = exits.enter_context((folder / "postgres.log").open("wb"))
        server = subprocess.Popen(
            postgres.command, cwd="/", stdout=log, stderr=log, **postgres.subprocess_arguments
        )
        exits.callback(_end, server)
        database = Database(
            url=f"postgresql://postgres:{postgres.password}@{HOST}:{postgres.port}/postgres",
            programs=postgres.bin,
            jwt_secret=secrets.token_urlsafe(48),
            publishable_key=f"sb_publishable_{secrets.token_urlsafe(24)}",
            secret_key=f"sb_secret_{secrets.token_urlsafe(24)}",
            pid=server.pid,
        )
        _wait_for(database.url, server)
        subprocess.run(
            [find_node(), ROOT / "local" / "supabase.mjs", "--prepare"],
            env={**os.environ, **database.environ, "SUPABASE_STORAGE_DIR": name},
            check=True,
        )
        migrations.push(database.url, folder / "supabase-cli")
        yield database


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _end(server: subprocess.Popen[bytes]) -> None:
    # "Fast": it closes the connections that are open and does not wait for their end.
    server.send_signal(2)
    server.wait()
