"""The programs of a stack that nobody watches over, so that each may be killed and come back. An edge.

Postgres, Supabase, the functions and the workers are processes of ours; the migrations and Meta's simulator
come from `local.stack.running_stack`. The simulator is what the end is compared with: it alone is left alone.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import psycopg

from local.postgres import Postgres
from local.processes import die_with_parent, is_root
from local.programs import ROOT
from local.services import supabase_service
from local.settings import HOST, Settings, choose_port
from local.stack import running_stack
from tests.chaos.proxies import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Connection = psycopg.Connection[tuple[Any, ...]]

PATIENCE = 60.0
FUNCTIONS = 2
WORKERS = 2
LEASE_SECONDS = 3
DURABLE = (
    "-c",
    "fsync=on",
    "-c",
    "synchronous_commit=on",
    "-c",
    "full_page_writes=on",
    "-c",
    "max_wal_size=1GB",
)
DISK_BYTES = 160 * 1024 * 1024
# Meta comes again after hours; here after seconds.
RETRY_DELAYS = [0.2, 0.5, 1.0, 2.0]


class Program:
    """A process that is killed, stopped, frozen and started again."""

    def __init__(self, name: str, folder: Path, is_up: Callable[[], bool], **arguments: Any) -> None:
        self.name = name
        self.kills = 0
        self.arguments = arguments
        self.skew_seconds = 0.0
        self._folder = folder
        self._is_up = is_up
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()

    def start(self) -> None:
        """Start it, unless it runs, and wait until it answers."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            deadline = time.monotonic() + PATIENCE
            self._spawn()
            while not self._is_up():
                if self._process is None or self._process.poll() is not None:
                    # Postgres does not start while a child of its last life is still there.
                    time.sleep(0.2)
                    self._spawn()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.name} does not come up: see {self.log}")
                time.sleep(0.05)

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self._folder / f"{self.name}.log"

    def _spawn(self) -> None:
        arguments = dict(self.arguments)
        command = arguments.pop("command")
        if self.skew_seconds:
            python, _, module, *rest = command
            command = [python, "-m", "tests.chaos.skewed", str(self.skew_seconds), module, *rest]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 # imports nothing
                **arguments,
            )

    def end(self, number: signal.Signals, patience: float = PATIENCE) -> None:
        """Send it a signal and wait for its end."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(number)
            self.kills += 1
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def restart(self, number: signal.Signals, seconds: float = 0.0) -> None:
        """End it, let it be away for so long, and start it."""
        with self._lock:
            self.end(number)
            time.sleep(seconds)
            self.start()

    def freeze(self, seconds: float) -> None:
        """Let it stand still, as a machine does that is out of breath."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                return
            self._process.send_signal(signal.SIGSTOP)
            time.sleep(seconds)
            self._process.send_signal(signal.SIGCONT)


class Disk:
    """A small file system under the tables that grow: full when we say so. Root alone can have one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_there = False
        self.why_not = "only root can mount a file system"

    def make(self, connection: Connection, owner: Mapping[str, Any]) -> None:
        """Mount it, and move the tables that grow onto it."""
        if not is_root() or sys.platform != "linux":
            return
        self.folder.mkdir(mode=0o755)
        options = f"size={DISK_BYTES},mode=0700,uid={owner['user']},gid={owner['group']}"
        mounted = subprocess.run(
            ["/bin/mount", "-t", "tmpfs", "-o", options, "chaos", self.folder],
            check=False,
            capture_output=True,
            text=True,
        )
        if mounted.returncode != 0:
            self.why_not = mounted.stderr.strip()
            return
        self.is_there = True
        connection.execute(f"create tablespace small location '{self.folder}'".encode())
        for table in ("webhook_events", "messages", "message_receipts", "jobs", "send_queue"):
            connection.execute(f"alter table public.{table} set tablespace small".encode())

    def fill(self) -> None:
        """Take every byte that is left."""
        if self.is_there:
            left = os.statvfs(self.folder)
            with (self.folder / "filler").open("wb") as filler, contextlib.suppress(OSError):
                os.posix_fallocate(filler.fileno(), 0, max(1, left.f_bavail * left.f_frsize))

    def free(self) -> None:
        """Give the room back."""
        if self.is_there:
            (self.folder / "filler").unlink(missing_ok=True)

    def remove(self) -> None:
        """Unmount it; its database has ended."""
        if self.is_there:
            subprocess.run(["/bin/umount", self.folder], check=True)


@dataclass(kw_only=True)
class Town:
    """All programs, and how they are reached."""

    folder: Path
    variables: dict[str, str]
    """As the functions have them; ENCRYPTION_KEYS changes with a rotation."""
    database_url: str
    postgres: Program
    supabase: Program
    functions: list[Program] = field(default_factory=list)
    workers: list[Program] = field(default_factory=list)
    front: Proxy
    """Between those who call (Meta, browsers) and the functions."""
    back: Proxy
    """Between functions or workers and Supabase."""
    disk: Disk
    function_ports: list[int]

    @property
    def programs(self) -> list[Program]:
        """All of them, in the order of their start."""
        return [self.postgres, self.supabase, *self.functions, *self.workers]

    def environ(self) -> dict[str, str]:
        """Return what a function or a worker is started with now."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("SUPABASE_")}
        return {**kept, **self.variables, "WORKER_LEASE_SECONDS": str(LEASE_SECONDS), "NO_PROXY": HOST}

    def renew(self, keys: str) -> None:
        """Deploy other ENCRYPTION_KEYS: each function and each worker is replaced, one after another."""
        self.variables["ENCRYPTION_KEYS"] = keys
        for program in [*self.functions, *self.workers]:
            program.arguments["env"] = self.environ()
            program.restart(signal.SIGTERM)

    def connect(self) -> Connection:
        """Connect to the database as a superuser."""
        return psycopg.connect(self.database_url, autocommit=True)

    def start(self) -> None:
        """Start whatever does not run."""
        for program in self.programs:
            program.start()


@contextlib.contextmanager
def running_town(folder: Path, tell: Callable[[str], None]) -> Iterator[Town]:
    """Run everything in a folder until the block ends; the two proxies are yours to start."""
    logs = folder / "logs"
    logs.mkdir()
    front_port, back_port, supabase_port, postgres_port, *function_ports = _choose_ports(4 + FUNCTIONS)
    password = secrets.token_urlsafe(16)
    (folder / "postgres").mkdir(mode=0o711)
    database = Postgres(folder / "postgres", port=postgres_port, password=password)
    database.make()
    database_url = f"postgresql://postgres:{password}@{HOST}:{postgres_port}/postgres"
    postgres = Program(
        "postgres",
        logs,
        lambda: _answers(database_url),
        # The local stack's own server may lose the last moment in a crash; what is proven here may not.
        command=[*database.command, *DURABLE],
        cwd="/",
        **database.subprocess_arguments,
    )
    disk = Disk(database.folder / "small")
    settings = Settings.from_environ(
        {
            "DATABASE_URL": database_url,
            "SUPABASE_PORT": str(supabase_port),
            "WHATSAPP_WEBHOOK_URL": f"http://{HOST}:{front_port}/functions/v1/whatsapp-webhook",
        }
    )
    service = supabase_service(settings, folder / "storage", folder / "mail")
    supabase = Program(
        "supabase",
        logs,
        lambda: _is_ok(supabase_port),
        command=service.command,
        env=service.environ,
        cwd=ROOT,
    )
    programs: list[Program] = [postgres, supabase]
    try:
        postgres.start()
        subprocess.run(
            [*service.command, "--prepare"],
            check=True,
            env=dict(service.environ),
            cwd=ROOT,
            capture_output=True,
        )
        # To the stack it is a Supabase of somebody's, to be left alone; the simulator is the stack's own.
        given = {**dict(settings.variables), "LOCAL_WORKER": "off"}
        del given["GRAPH_API_URL"]
        with running_stack(folder / "stack", {**_surroundings(), **given}, tell) as stack:
            supabase.start()
            variables = {name: text for name, text in stack.variables.items() if name != "DATABASE_URL"}
            variables |= {
                "FUNCTIONS_URL": f"http://{HOST}:{front_port}/functions/v1",
                "SUPABASE_URL": f"http://{HOST}:{back_port}",
                "LOG_LEVEL": "warning",
            }
            town = Town(
                folder=folder,
                variables=variables,
                database_url=database_url,
                postgres=postgres,
                supabase=supabase,
                front=Proxy(front_port, function_ports),
                back=Proxy(back_port, [supabase_port]),
                disk=disk,
                function_ports=function_ports,
            )
            for number, port in enumerate(function_ports):
                command = [sys.executable, "-m", "local.functions", str(port)]
                town.functions.append(
                    Program(
                        f"function-{number}",
                        logs,
                        lambda port=port: _is_healthy(port),  # type: ignore[misc]
                        command=command,
                        env=town.environ(),
                        cwd=ROOT,
                    )
                )
            for number in range(WORKERS):
                command = [sys.executable, "-m", "functions.worker"]
                town.workers.append(
                    Program(
                        f"worker-{number}", logs, lambda: True, command=command, env=town.environ(), cwd=ROOT
                    )
                )
            programs += [*town.functions, *town.workers]
            yield town
    finally:
        for program in reversed(programs):
            program.end(signal.SIGINT if program is postgres else signal.SIGTERM, 10)
        disk.remove()
        database.remove()


def new_key(name: str) -> str:
    """Make an entry of ENCRYPTION_KEYS."""
    return f"{name}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def _surroundings() -> dict[str, str]:
    foreign = ("SUPABASE_", "WHATSAPP_", "GRAPH_", "FUNCTIONS_", "POSTGRES_")
    return {name: text for name, text in os.environ.items() if not name.startswith(foreign)}


def _choose_ports(count: int) -> list[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(choose_port())
    return list(ports)


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            connection.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def _is_ok(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        url = f"http://{HOST}:{port}/auth/v1/health"
        # Refused for want of a key, but answered.
        return httpx.get(url, trust_env=False, timeout=2).status_code < 500
    return False


def _is_healthy(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://{HOST}:{port}/health", trust_env=False, timeout=2).status_code == 200
    return False
