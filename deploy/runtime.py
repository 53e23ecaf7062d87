"""Runs a built zip as Lambda does: AWS's own runtime client, fed by a small Runtime API on this machine.

The zip is unpacked into an empty folder; beside it on the path are only the client and what Lambda's runtime
brings (boto3, where asked for).
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from deploy.build import LOCK, PYTHON, find_python, install
from deploy.requirements import IN_THE_RUNTIME, read_lock, to_text

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "/2018-06-01/runtime/"
CLIENT = ("awslambdaric", "simplejson", "snapshot-restore-py")
STARTS_WITHIN = 60.0


class FunctionFailed(Exception):
    """The function answered with an error, at its start or at an invocation."""


class Lambda:
    """One execution environment of one function."""

    def __init__(
        self,
        archive: Path,
        handler: str,
        environ: Mapping[str, str],
        *,
        runtime: Path,
        python: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        self._archive = archive
        self._handler = handler
        self._environ = environ
        self._runtime = runtime
        self._python = python or find_python()
        self.timeout = timeout
        self.init_ms = 0.0
        self.log = ""

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="lambda-"))
        self._task = self._folder / "task"
        with zipfile.ZipFile(self._archive) as archive:
            archive.extractall(self._task)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        self._api = _RuntimeApi()
        self._output = (self._folder / "log").open("wb")
        began = time.perf_counter()
        self._process = subprocess.Popen(
            # Without the machine's own packages: what the zip lacks must be missed.
            [self._python, "-s", "-S", "-P", "-m", "awslambdaric", self._handler],
            cwd=self._task,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={
                "PATH": os.environ.get("PATH", ""),
                "PYTHONPATH": f"{self._task}{os.pathsep}{self._runtime}",
                # As in the real place, nothing can be written beside the code.
                "PYTHONDONTWRITEBYTECODE": "1",
                "AWS_LAMBDA_RUNTIME_API": self._api.address,
                "AWS_LAMBDA_FUNCTION_NAME": self._archive.stem,
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
                "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
                "LAMBDA_TASK_ROOT": str(self._task),
                "_HANDLER": self._handler,
                **self._environ,
            },
        )
        self._api.wait_until_ready(self._process, STARTS_WITHIN)
        self.init_ms = (self._api.ready_at - began) * 1000
        if self._api.failure is not None:
            raise FunctionFailed(self._api.failure)

    def invoke(self, event: Any) -> Any:
        """Give it an event and return its answer; raise `FunctionFailed` where it raised."""
        return self._api.invoke(event, self._process, self.timeout)

    def cpu_ms(self) -> float:
        """Return the processor time that it has taken so far: what a busy machine changes least."""
        # Linux's own clock of that process, with the threads that have ended: clock_getcpuclockid(3).
        return time.clock_gettime((~self._process.pid << 3) | 2) * 1000

    def memory_mb(self) -> tuple[float, float]:
        """Return what it holds in memory now, and the most that it ever held."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text("ascii").splitlines()
        told = {line.partition(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
        return int(told["VmRSS"]) / 1024, int(told["VmHWM"]) / 1024

    def read_log(self) -> list[dict[str, Any]]:
        """Read what it has logged so far, as far as it is JSON."""
        lines = (self._folder / "log").read_text("utf-8", "replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def read_output(self) -> str:
        """Read all that it wrote."""
        return (self._folder / "log").read_text("utf-8", "replace")

    def __exit__(self, *_: object) -> None:
        process = getattr(self, "_process", None)
        if process is not None:
            process.kill()
            process.wait()
            self._output.close()
            self._api.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that is ended in the middle of a poll is no error."""


class _RuntimeApi:
    """Hands out one invocation at a time."""

    def __init__(self) -> None:
        self._events: queue.Queue[bytes | None] = queue.Queue()
        self._answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._ready = threading.Event()
        self.ready_at = 0.0
        self.failure: str | None = None
        self._seconds = 30.0
        self._server = _QuietServer(("127.0.0.1", 0), self._make_handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def wait_until_ready(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._ready.wait(0.05):
            if process.poll() is not None or time.monotonic() > until:
                raise FunctionFailed("The runtime client ended before the function was ready.")

    def invoke(self, event: Any, process: subprocess.Popen[bytes], seconds: float) -> Any:
        self._seconds = seconds
        self._events.put(json.dumps(event).encode())
        until = time.monotonic() + seconds
        while (answer := self._next_answer()) is None:
            if process.poll() is not None or time.monotonic() > until:
                raise FunctionFailed("The function ended, or did not answer in time.")
        kind, content = answer
        if kind == "error":
            raise FunctionFailed(json.dumps(content))
        return content

    def _next_answer(self) -> tuple[str, Any] | None:
        try:
            return self._answers.get(timeout=0.2)
        except queue.Empty:
            return None

    def close(self) -> None:
        self._events.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Without it each answer waits for the client's acknowledgement.
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                api.ready_at = api.ready_at or time.perf_counter()
                api._ready.set()
                event = api._events.get()
                if event is None:
                    return
                self._answer(
                    200,
                    event,
                    {
                        "Lambda-Runtime-Aws-Request-Id": "11111111-2222-3333-4444-555555555555",
                        "Lambda-Runtime-Deadline-Ms": str(int((time.time() + api._seconds) * 1000)),
                        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:0:function:local",
                        "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000",
                    },
                )

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                content = json.loads(body or b"null")
                self._answer(202, b'{"status":"OK"}', {})
                if self.path == f"{PREFIX}init/error":
                    api.failure = json.dumps(content)
                    api.ready_at = time.perf_counter()
                    api._ready.set()
                else:
                    api._answers.put(("error" if self.path.endswith("/error") else "answer", content))

            def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Type": "application/json"}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def make_runtime(folder: Path, *, with_boto3: bool = False) -> Path:
    """Install what stands beside a function in Lambda, as requirements.lock pins it."""
    names = [*CLIENT, *(sorted(IN_THE_RUNTIME) if with_boto3 else ())]
    install(to_text(names, read_lock(LOCK.read_text("utf-8"))), folder, None, python=PYTHON)
    return folder
