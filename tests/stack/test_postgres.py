"""Our own Postgres starts wherever the project lies and whoever starts it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest

import local.postgres
from local.postgres import Postgres, PostgresFailed, is_answering
from local.processes import die_with_parent, is_root
from local.programs import find_postgres
from local.settings import choose_port

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import Stack


@pytest.mark.skipif(not is_root(), reason="only root starts it as somebody else")
def test_it_runs_from_a_copy_where_its_user_reaches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.postgres, "can_nobody_use", lambda _path: False)
    postgres = Postgres(tmp_path, port=choose_port(), password="made-up")
    url = f"postgresql://postgres:made-up@127.0.0.1:{postgres.port}/postgres"

    postgres.make()
    with subprocess.Popen(
        postgres.command,
        cwd="/",
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent(signal.SIGINT),  # noqa: PLW1509 # imports nothing
        **postgres.subprocess_arguments,
    ) as server:
        deadline = time.monotonic() + 30
        while not asyncio.run(is_answering(url)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with psycopg.connect(url) as connection:
            row = connection.execute("select lower('ÑANDÚ'), current_setting('server_encoding')").fetchone()
        server.send_signal(signal.SIGINT)
    postgres.remove()

    assert row == ("ñandú", "UTF8")
    assert not postgres.bin.is_relative_to(find_postgres())
    assert not postgres.folder.exists()


def test_initdb_is_quoted_when_it_fails(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path, port=choose_port(), password="made-up")
    postgres.data.mkdir()
    (postgres.data / "something").touch()

    with pytest.raises(PostgresFailed, match="exists but is not empty"):
        postgres.make()
    postgres.remove()


def test_nobody_gets_in_without_the_password(stack: Stack) -> None:
    url = stack.variables["DATABASE_URL"]
    password = urlsplit(url).password or ""

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(password, "another"))
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(url.replace(f":{password}@", "@"), passfile="/dev/null")
