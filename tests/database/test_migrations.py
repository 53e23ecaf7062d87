"""The real Supabase CLI brings an empty Postgres up to date, and its advisors find nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from local import migrations
from local.postgres import Postgres
from local.processes import die_with_parent
from local.programs import ROOT
from local.settings import choose_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres of its own: not even Supabase's roles are there."""
    postgres = Postgres(tmp_path_factory.mktemp("postgres"), port=choose_port(), password="throwaway")
    postgres.make()
    url = f"postgresql://postgres:throwaway@127.0.0.1:{postgres.port}/postgres"
    with subprocess.Popen(
        postgres.command,
        cwd="/",
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509 # imports nothing
        **postgres.subprocess_arguments,
    ) as server:
        deadline = time.monotonic() + 30
        while not _is_answering(url):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield url
        server.send_signal(signal.SIGINT)
    postgres.remove()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("supabase-cli")


def test_the_cli_applies_all_migrations_once_and_its_advisors_find_nothing(
    empty_database: str, home: Path
) -> None:
    """One test, because each part stands on the one before."""
    files = sorted(path.name for path in (ROOT / "sql").glob("*.sql"))

    first = migrations.run_cli("db", "push", "--yes", database_url=empty_database, home=home)
    after_first = _snapshot(empty_database)
    second = migrations.run_cli("db", "push", "--yes", database_url=empty_database, home=home)
    advice = _advice(empty_database, home)

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert [name for name in files if f"Applying migration {name}" not in first.stderr] == []
    assert after_first["versions"] == [name.partition("_")[0] for name in files]
    assert "Applying migration" not in second.stderr
    assert _snapshot(empty_database) == after_first
    # No index has been used in a database that nobody has used.
    assert [lint for lint in advice if lint["name"] != "unused_index"] == []


def test_the_migrations_link_is_where_the_cli_looks() -> None:
    link = ROOT / "supabase" / "migrations"

    assert link.resolve() == ROOT / "sql"
    assert not link.readlink().is_absolute()


def _advice(url: str, home: Path) -> list[dict[str, Any]]:
    done = migrations.run_cli(
        *("db", "advisors", "--type", "all", "--level", "info"), database_url=url, home=home
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found


def _snapshot(url: str) -> dict[str, Any]:
    """What is in the database: the applied versions, and every object of the project's schemas."""
    with psycopg.connect(url) as connection:
        versions = connection.execute(
            "select version from supabase_migrations.schema_migrations order by version"
        ).fetchall()
        objects = connection.execute("""
            select 'relation', oid::regclass::text, xmin::text from pg_class
            where relnamespace in ('public'::regnamespace, 'private'::regnamespace)
            union all
            select 'function', oid::regprocedure::text, xmin::text from pg_proc
            where pronamespace in ('public'::regnamespace, 'private'::regnamespace)
            order by 1, 2
        """).fetchall()
    return {"versions": [version for (version,) in versions], "objects": objects}


def _is_answering(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
