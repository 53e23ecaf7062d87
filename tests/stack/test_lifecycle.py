"""The stack starts whole, lets the environment replace its parts, and leaves nothing behind when it ends."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from local import dotenv
from local.processes import ProcessName
from local.programs import ROOT
from local.settings import choose_port
from local.stack import running_stack, stop
from local.supervisor import read_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from local.stack import Stack

# Every start costs two seconds.
pytestmark = [pytest.mark.stack, pytest.mark.slow]

NAMES = (
    *("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "DATABASE_URL", "FUNCTIONS_URL"),
    *("GRAPH_API_URL", "GRAPH_API_VERSION", "DASHBOARD_URL", "WHATSAPP_APP_ID", "WHATSAPP_APP_SECRET"),
    *("WHATSAPP_WEBHOOK_VERIFY_TOKEN", "WHATSAPP_BUSINESS_ACCOUNT_ID", "WHATSAPP_ACCESS_TOKEN"),
)
IS_LINUX = platform.system() == "Linux"


@pytest.fixture
def environ() -> dict[str, str]:
    """An environment that names no part of a stack."""
    replaced = (*NAMES, "POSTGRES_PORT", "SUPABASE_PORT", "GRAPH_PORT", "FUNCTIONS_PORT")
    return {name: text for name, text in os.environ.items() if name not in replaced}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for one stack, which is ended whatever the test found."""
    yield tmp_path / "stack"
    stop(tmp_path / "stack")


def command(*arguments: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local", *arguments],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def processes(folder: Path) -> dict[str, ProcessName]:
    state = read_state(folder)
    return {
        name: ProcessName.from_json(each)
        for name, each in {"supervisor": state["supervisor"], **state["services"]}.items()
    }


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def assert_nothing_is_left(
    folder: Path, was: Mapping[str, ProcessName], variables: Mapping[str, str]
) -> None:
    assert {name for name, process in was.items() if process.is_running()} == set()
    for name in ("DATABASE_URL", "SUPABASE_URL", "GRAPH_API_URL", "FUNCTIONS_URL"):
        url = httpx.URL(variables[name])
        with socket.socket() as tried:
            assert tried.connect_ex((url.host, url.port or 0)) != 0, name
    assert {path.name for path in folder.iterdir()} == {"lock", "logs", "supervisor.log"}


def test_up_and_down_twice_in_a_row(folder: Path, environ: dict[str, str]) -> None:
    for _ in range(2):
        up = command("up", "--folder", str(folder), environ=environ)
        variables = dotenv.read(folder / "env")
        was = processes(folder)
        health = httpx.get(f"{variables['DASHBOARD_URL']}/health", trust_env=False)
        again = command("up", "--folder", str(folder), environ=environ)
        down = command("down", "--folder", str(folder), environ=environ)

        assert up.returncode == 0, up.stdout + up.stderr
        assert [name for name in NAMES if not variables.get(name)] == []
        assert set(was) >= {"supervisor", "postgres", "supabase", "graph", "functions"}
        assert health.status_code == 200
        assert (again.returncode, "already" in again.stdout) == (0, True)
        assert (down.returncode, down.stdout) == (0, "The stack is down.\n")
        assert_nothing_is_left(folder, was, variables)
    assert command("down", "--folder", str(folder), environ=environ).returncode == 0


def test_only_its_owner_reads_the_secrets(folder: Path, environ: dict[str, str]) -> None:
    with running_stack(folder, environ):
        modes = {name: (folder / name).stat().st_mode & 0o777 for name in ("env", "logs")}

    assert modes == {"env": 0o600, "logs": 0o700}


@pytest.mark.parametrize("name", ["postgres", "functions"])
def test_a_crash_of_any_ends_all(folder: Path, environ: dict[str, str], name: str) -> None:
    with running_stack(folder, environ) as stack:
        was = processes(folder)

        os.kill(was[name].pid, signal.SIGKILL)

        assert stack.supervisor is not None
        assert stack.supervisor.wait(20) == 1
    assert_nothing_is_left(folder, was, stack.variables)
    assert f"{name} ended by itself" in (folder / "supervisor.log").read_text("utf-8")


@pytest.mark.skipif(not IS_LINUX, reason="only Linux tells a child that its parent has died")
def test_a_killed_supervisor_leaves_no_process(folder: Path, environ: dict[str, str]) -> None:
    with running_stack(folder, environ) as stack:
        was = processes(folder)

        os.kill(was["supervisor"].pid, signal.SIGKILL)

        wait_until(lambda: not any(process.is_running() for process in was.values()))
    assert stop(folder) is False
    assert_nothing_is_left(folder, was, stack.variables)


def test_what_a_killed_supervisor_left_is_ended_by_the_next_start(
    folder: Path, environ: dict[str, str]
) -> None:
    """As where the kernel does not end the services; a process with a reused id is spared."""
    folder.mkdir()
    with (
        subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as left,
        subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as stranger,
    ):
        theirs, reused = ProcessName.of(left.pid), ProcessName(stranger.pid, "another time")
        assert theirs
        (folder / "state.json").write_text(
            f'{{"services": {{"graph": {_json(theirs)}, "functions": {_json(reused)}}}}}', "utf-8"
        )

        with running_stack(folder, environ):
            endings = left.wait(10), stranger.poll()
        stranger.kill()

    assert endings == (-signal.SIGTERM, None)


def test_ctrl_c_ends_a_stack_in_the_foreground(folder: Path, environ: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "local", "run", "--folder", folder],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        wait_until(lambda: (folder / "env").exists() or process.poll() is not None)
        was, variables = processes(folder), dotenv.read(folder / "env")

        os.killpg(process.pid, signal.SIGINT)
        output, _ = process.communicate(timeout=20)

    assert process.returncode == 0
    assert b"ready" in output
    assert b"postgres  |" in output
    (folder / "supervisor.log").touch()
    assert_nothing_is_left(folder, was, variables)


@pytest.mark.skipif(not IS_LINUX, reason="only Linux tells a child that its parent has died")
def test_a_stack_of_ones_own_ends_with_its_owner(folder: Path, environ: dict[str, str]) -> None:
    script = f"""
import pathlib, time
from local.stack import running_stack
with running_stack(pathlib.Path({str(folder)!r})):
    print("up", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=environ, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        was, variables = processes(folder), dotenv.read(folder / "env")

        owner.kill()

    wait_until(lambda: not any(process.is_running() for process in was.values()))
    assert_nothing_is_left(folder, was, variables)


def test_a_taken_port_is_told_and_nothing_stays(folder: Path, environ: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        up = command("up", "--folder", str(folder), environ=environ | {"FUNCTIONS_PORT": str(port)})

    assert up.returncode == 1
    assert "functions ended by itself" in up.stdout
    assert "address already in use" in up.stdout
    assert {path.name for path in folder.iterdir()} == {"lock", "logs", "supervisor.log"}


def test_the_environment_names_ports_and_another_graph(folder: Path, environ: dict[str, str]) -> None:
    ports = {name: str(choose_port()) for name in ("SUPABASE_PORT", "FUNCTIONS_PORT", "POSTGRES_PORT")}
    theirs = {"GRAPH_API_URL": "http://127.0.0.1:9", "WHATSAPP_ACCESS_TOKEN": "theirs"}

    with running_stack(folder, environ | ports | theirs) as stack:
        variables = dict(stack.variables)
        started = set(processes(folder))

    assert started >= {"postgres", "supabase", "functions"}
    assert "graph" not in started
    assert variables["SUPABASE_URL"] == f"http://127.0.0.1:{ports['SUPABASE_PORT']}"
    assert variables["FUNCTIONS_URL"] == f"http://127.0.0.1:{ports['FUNCTIONS_PORT']}/functions/v1"
    assert f":{ports['POSTGRES_PORT']}/" in variables["DATABASE_URL"]
    assert variables | theirs == variables


def test_the_environment_names_another_database(
    folder: Path, environ: dict[str, str], stack: Stack, database: psycopg.Connection[tuple[Any, ...]]
) -> None:
    """It gets only the migrations that it lacks, and keeps its rows when the stack ends."""
    name = f"theirs_{uuid.uuid4().hex}"
    database.execute(f"create database {name}".encode())
    url = stack.variables["DATABASE_URL"].rpartition("/")[0] + f"/{name}"
    for _ in range(2):
        with running_stack(folder, environ | {"DATABASE_URL": url}) as second:
            assert "postgres" not in processes(folder)
            assert second.variables["DATABASE_URL"] == url
    with psycopg.connect(url) as theirs:
        applied = theirs.execute("select count(*) from supabase_migrations.schema_migrations").fetchone()

    database.execute(f"drop database {name} with (force)".encode())
    assert applied == (len(list((ROOT / "sql").glob("*.sql"))),)


def test_the_environment_names_another_supabase(folder: Path, environ: dict[str, str], stack: Stack) -> None:
    theirs = {name: stack.variables[name] for name in NAMES if name.startswith("SUPABASE_")}

    without_keys = command(
        "up", "--folder", str(folder), environ=environ | {"SUPABASE_URL": theirs["SUPABASE_URL"]}
    )
    told: list[str] = []
    with running_stack(folder, environ | theirs, told.append) as second:
        started = set(processes(folder))

    assert without_keys.returncode == 1
    assert "SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY must be set too" in without_keys.stdout
    assert started >= {"graph", "functions"}
    assert not started & {"postgres", "supabase"}
    assert "supabase   yours, by SUPABASE_URL" in told
    assert any("supabase db push" in line for line in told)
    assert second.variables["SUPABASE_SECRET_KEY"] == theirs["SUPABASE_SECRET_KEY"]
    assert second.variables["DATABASE_URL"] == ""


def _json(name: ProcessName) -> str:
    return f'{{"pid": {name.pid}, "started": "{name.started}"}}'
