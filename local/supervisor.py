"""Starts the services of the stack in order, keeps their logs, and ends all of them together.

One folder holds one stack:

    env          what other programs need to reach it; there as long as it is up
    state.json   which processes it consists of, so that they can be ended whatever became of the supervisor
    lock         held by the living supervisor
    logs/        a file for each service, and `stack.log` with all lines
    run/         Postgres's data and the stored objects; thrown away at the end
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from local import dotenv, migrations, services
from local.postgres import Postgres, PostgresFailed
from local.processes import ProcessName, die_with_parent, end
from local.programs import ROOT
from local.settings import Settings, SettingsMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from local.services import Service

START_SECONDS = 60.0
STOP_SECONDS = 8.0
LINES_OF_A_CRASH = 25


class StartFailed(Exception):
    """A service did not come up, or ended by itself; the message says which and shows its last lines."""


@dataclass(frozen=True)
class _Running:
    service: Service
    process: asyncio.subprocess.Process
    pump: asyncio.Task[None]


class Supervisor:
    """One stack in one folder."""

    def __init__(
        self, folder: Path, environ: Mapping[str, str], tell: Callable[[str], None], *, echoes: bool
    ) -> None:
        """Prepare; `tell` is called with each step, `echoes` shows the services' own lines too."""
        self.folder = folder
        self.environ = environ
        self.tell = tell
        self.echoes = echoes
        self.running: list[_Running] = []
        self.temporary: list[Path] = []
        self.stop = asyncio.Event()

    async def run(self, is_ready: Callable[[], None]) -> int:
        """Start everything, call `is_ready`, and return when it has ended: 0 if it was asked to."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop.set)
        stop = asyncio.create_task(self.stop.wait())
        try:
            start = asyncio.create_task(self._start())
            await asyncio.wait([start, stop], return_when=asyncio.FIRST_COMPLETED)
            if not start.done():
                start.cancel()
                await asyncio.wait([start])
                return 0
            start.result()
            is_ready()
            ends = [asyncio.create_task(each.process.wait()) for each in self.running]
            await asyncio.wait([stop, *ends], return_when=asyncio.FIRST_COMPLETED)
            if self.stop.is_set():
                return 0
            self._fail_if_ended()
        except (StartFailed, SettingsMissing, PostgresFailed, migrations.MigrationFailed, OSError) as failure:
            self.tell(f"failed: {failure}")
            return 1
        finally:
            await self._end()
        return 1

    async def _start(self) -> None:
        settings = Settings.from_environ(self.environ)
        variables = dict(settings.variables)
        run = self.folder / "run"
        run.mkdir(mode=0o711)
        run.chmod(0o711)
        if settings.starts_postgres:
            began = time.monotonic()
            postgres = Postgres(run, port=settings.postgres_port, password=settings.postgres_password)
            self.temporary.append(postgres.folder)
            self._write_state()
            await asyncio.to_thread(postgres.make)
            await self._run(services.postgres_service(postgres, variables["DATABASE_URL"]), began)
        elif variables["DATABASE_URL"]:
            self.tell("postgres   yours, by DATABASE_URL")
        supabase = (
            services.supabase_service(settings, run / "storage", run / "mail")
            if settings.starts_supabase
            else None
        )
        if supabase:
            await self._prepare(supabase)
        if variables["DATABASE_URL"]:
            began = time.monotonic()
            await asyncio.to_thread(migrations.push, variables["DATABASE_URL"], run / "supabase-cli")
            self._tell_step("migrations", "applied", began)
        else:
            self.tell("migrations not applied, for want of a DATABASE_URL: use `supabase db push`")
        if supabase:
            await self._run(supabase)
        else:
            self.tell("supabase   yours, by SUPABASE_URL")
        if settings.starts_graph:
            await self._run(services.graph_service(settings))
            variables |= await services.found_platform(settings)
        else:
            self.tell("graph      yours, by GRAPH_API_URL")
        await self._run(services.functions_service(settings, variables))
        # Tests that kill workers start their own.
        if self.environ.get("LOCAL_WORKER", "on") != "off":
            await self._run(services.worker_service(variables))
        dotenv.write(self.folder / "env", variables)

    async def _prepare(self, supabase: Service) -> None:
        process = await asyncio.create_subprocess_exec(
            *supabase.command,
            "--prepare",
            cwd=ROOT,
            env=supabase.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
        output, _ = await process.communicate()
        if process.returncode != 0:
            raise StartFailed(f"Supabase's schemas could not be made.\n{output.decode(errors='replace')}")

    async def _run(self, service: Service, began: float | None = None) -> None:
        """Start a service and wait until it is healthy."""
        began = began or time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *service.command,
            cwd=ROOT if not service.subprocess_arguments else "/",
            env=service.environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # A Ctrl-C is for the supervisor, which ends the others in order.
            start_new_session=True,
            preexec_fn=die_with_parent(
                service.stop_signal if service.stop_signal == signal.SIGINT else signal.SIGKILL
            ),
            **service.subprocess_arguments,
        )
        self.running.append(
            _Running(service, process, asyncio.create_task(self._keep_log(service.name, process)))
        )
        self._write_state()
        while not await service.is_healthy():
            self._fail_if_ended()
            if time.monotonic() - began > START_SECONDS:
                raise StartFailed(
                    f"{service.name} is not healthy after {START_SECONDS:.0f} s.{self._last_lines(service)}"
                )
            await asyncio.sleep(0.03)
        # A stranger on the same port would look healthy too.
        self._fail_if_ended()
        self._tell_step(service.name, service.address, began)

    def _fail_if_ended(self) -> None:
        for each in self.running:
            if each.process.returncode is not None:
                raise StartFailed(
                    f"{each.service.name} ended by itself with {each.process.returncode}."
                    f"{self._last_lines(each.service)}"
                )

    def _last_lines(self, service: Service) -> str:
        log = self.folder / "logs" / f"{service.name}.log"
        lines = log.read_text("utf-8", "replace").splitlines()[-LINES_OF_A_CRASH:] if log.exists() else []
        return "".join(f"\n    {line}" for line in [*lines, f"(all of it: {log})"])

    async def _keep_log(self, name: str, process: asyncio.subprocess.Process) -> None:
        logs = self.folder / "logs"
        if process.stdout is None:
            raise AssertionError
        with (logs / f"{name}.log").open("ab", 0) as own, (logs / "stack.log").open("ab", 0) as common:
            rest = b""
            while chunk := await process.stdout.read(65_536):
                own.write(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                self._write_lines(name, lines, common)
            if rest:
                self._write_lines(name, [rest], common)

    def _write_lines(self, name: str, lines: list[bytes], common: BinaryIO) -> None:
        text = b"".join(b"%-9s | %s\n" % (name.encode(), line) for line in lines)
        common.write(text)
        if self.echoes:
            sys.stdout.buffer.write(text)
            sys.stdout.flush()

    async def _end(self) -> None:
        """End the services, the last one first."""
        (self.folder / "env").unlink(missing_ok=True)
        for each in reversed(self.running):
            if each.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(each.process.pid, each.service.stop_signal)
                try:
                    await asyncio.wait_for(each.process.wait(), STOP_SECONDS)
                except TimeoutError:
                    self.tell(f"{each.service.name} does not end: killing it")
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(each.process.pid, signal.SIGKILL)
            await each.process.wait()
            await asyncio.wait([each.pump], timeout=1)
        forget(self.folder)

    def _write_state(self) -> None:
        names = {each.service.name: ProcessName.of(each.process.pid) for each in self.running}
        state = {
            "supervisor": _own_name(),
            "services": {name: process.to_json() for name, process in names.items() if process},
            "temporary": [str(path) for path in self.temporary],
        }
        draft = self.folder / "state.json.new"
        draft.write_text(json.dumps(state), "utf-8")
        draft.replace(self.folder / "state.json")

    def _tell_step(self, name: str, what: str, began: float) -> None:
        self.tell(f"{name:<10} {what} ({time.monotonic() - began:.1f} s)")


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Try to hold the folder's lock, and tell whether it is ours: only one supervisor at a time has it."""
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def clear(folder: Path) -> None:
    """End what an earlier supervisor could not, and throw its data away. Hold the lock."""
    state = read_state(folder)
    end(ProcessName.from_json(each) for each in state.get("services", {}).values())
    forget(folder)


def forget(folder: Path) -> None:
    """Throw away the data of a stack that has ended."""
    for path in read_state(folder).get("temporary", []):
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder / "run", ignore_errors=True)
    for name in ("env", "state.json"):
        (folder / name).unlink(missing_ok=True)


def read_state(folder: Path) -> dict[str, Any]:
    """Read what the supervisor wrote down; empty when there is nothing."""
    try:
        state: dict[str, Any] = json.loads((folder / "state.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return state


def supervise(
    folder: Path,
    environ: Mapping[str, str],
    tell: Callable[[str], None],
    is_ready: Callable[[], None],
    *,
    echoes: bool,
) -> int:
    """Run a stack in this process until it is asked to stop; returns the exit code."""
    with held(folder) as is_ours:
        if not is_ours:
            tell("a stack is up in this folder already")
            return 1
        clear(folder)
        logs = folder / "logs"
        shutil.rmtree(logs, ignore_errors=True)
        logs.mkdir(mode=0o700)

        async def run() -> int:
            return await Supervisor(folder, environ, tell, echoes=echoes).run(is_ready)

        return asyncio.run(run())


def _own_name() -> dict[str, Any]:
    name = ProcessName.of(os.getpid())
    if name is None:
        raise AssertionError
    return name.to_json()
