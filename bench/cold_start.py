"""Cold starts: init and first answer of each function, beside what else one would write it with."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cold_programs import PROGRAMS, STARTS, running_stand_in
from bench.result import Aim, Result, Table, main
from deploy.build import LOCK, build, compile_bytecode, find_python, install, write_zip
from deploy.imports import Sources
from deploy.requirements import read_lock, resolve, to_text
from deploy.runtime import Lambda, make_runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bench.cold_programs import Start
    from bench.result import Cell

ROUNDS, FULL_ROUNDS = 5, 10
METHOD = """\
Each program is a zip with bytecode of the same kind (unchecked, compiled by the runtime's own minor version),
unpacked into an empty folder and started anew for every figure.
*Under Lambda's runtime client* means AWS's own `awslambdaric`, fed by a small Runtime API on this machine:
init is from the start of the process until it asks for work, first is its first answer, over HTTP.
*Plain* is the same zip in a bare interpreter: the import of the handler, then the same first answer.
The programs take turns within each round; the first round warms the disk's cache and is not counted; medians.
A stand-in on this machine answers for the database and for Meta at once, over plain HTTP.
The conventional stack is FastAPI + Mangum + supabase's umbrella client + httpx + cryptography, in the form of their own documentation; its first answer validates a JSON body and does one select through supabase's client.
What only AWS can show, the download of the zip and the processor's share by memory size, is not in these figures.
"""  # noqa: E501 - a sentence a line
PLAIN = """
import importlib, json, sys, time
event = json.load(sys.stdin)
class Context:
    aws_request_id = "bench"
    def get_remaining_time_in_millis(self): return 30_000
began = time.perf_counter()
handler = importlib.import_module(sys.argv[1]).handler
imported = time.perf_counter()
handler(event, Context())
answered = time.perf_counter()
print(f"\\n{(imported - began) * 1000} {(answered - imported) * 1000}")
"""


def measure(*, is_full: bool, tell: Callable[[str], None]) -> Result:
    """Build everything, start everything in turns."""
    python = find_python()
    with tempfile.TemporaryDirectory(prefix="whatsapp-bench-") as name, running_stand_in() as environ:
        folder = Path(name)
        tell("building the zips")
        zips = build_zips(folder, python)
        runtime = make_runtime(folder / "runtime", with_boto3=True)
        tasks = {program: _unpack(path, folder / "tasks" / program) for program, path in zips.items()}
        rounds = FULL_ROUNDS if is_full else ROUNDS
        hot: dict[str, list[tuple[float, float, float]]] = {start.label: [] for start in STARTS}
        plain: dict[str, list[tuple[float, float]]] = {start.label: [] for start in STARTS}
        for turn in range(rounds + 1):
            tell(f"round {turn} of {rounds}")
            for start in STARTS:
                under_client = _start(start, zips[start.program], environ, runtime, python)
                alone = _start_plain(start, tasks[start.program], environ, runtime, python)
                if turn:
                    hot[start.label].append(under_client)
                    plain[start.label].append(alone)
        sizes = {program: path.stat().st_size / 1e6 for program, path in zips.items()}
    return _to_result(rounds, hot, plain, sizes)


def build_zips(folder: Path, python: str) -> dict[str, Path]:
    """Build ours as they are deployed, and the others with the same bytecode."""
    zips = {
        function: build(function, "x86_64", into=folder, python=python, cache=folder).path
        for function in Sources().functions
    }
    lock = read_lock(LOCK.read_text("utf-8"))
    for name, (source, libraries) in PROGRAMS.items():
        stage = folder / "programs" / name
        stage.mkdir(parents=True)
        wanted = dict.fromkeys((each for each in libraries if each != "fastapi"), name)
        install(to_text(resolve(wanted, lock), lock), stage, None)
        if "fastapi" in libraries:
            _install_fastapi(stage)
        (stage / "handler.py").write_text(source, "utf-8")
        compile_bytecode(stage, python)
        zips[name] = folder / f"{name}.zip"
        files = {file.relative_to(stage).as_posix(): file for file in stage.rglob("*") if file.is_file()}
        write_zip(files, zips[name])
    return zips


def _install_fastapi(stage: Path) -> None:
    """FastAPI is no dependency of ours: its newest version, with what it requires beyond the rest."""
    subprocess.run(
        [
            *(str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--only-binary", ":all:"),
            *("--target", str(stage), "--python", sys.executable, "--python-version", "3.13"),
            *("--link-mode", "copy", "fastapi>=0.120", "starlette==1.10.0", "pydantic==2.14.3"),
        ],
        check=True,
    )


def _unpack(path: Path, into: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(into)
    return into


def _module_of(program: str) -> str:
    return "handler" if program in PROGRAMS else f"functions.{program}.handler"


def _start(
    start: Start, path: Path, environ: Mapping[str, str], runtime: Path, python: str
) -> tuple[float, float, float]:
    """Start under the runtime client; return init, first answer, and both in processor time, in ms."""
    handler = f"{_module_of(start.program).replace('.', '/')}.handler"
    with Lambda(path, handler, environ, runtime=runtime, python=python) as started:
        began = time.perf_counter()
        answer = started.invoke(start.event)
        first = (time.perf_counter() - began) * 1000
        if answer.get("statusCode") != start.status or answer.get("batchItemFailures"):
            raise RuntimeError(f"{start.label} answered {answer}: {started.read_output()[-2000:]}")
        return started.init_ms, first, started.cpu_ms()


def _start_plain(
    start: Start, task: Path, environ: Mapping[str, str], runtime: Path, python: str
) -> tuple[float, float]:
    """Import and answer in a bare interpreter; in milliseconds."""
    done = subprocess.run(
        [python, "-s", "-S", "-P", "-c", PLAIN, _module_of(start.program)],
        input=json.dumps(start.event),
        env={**environ, "PYTHONPATH": f"{task}:{runtime}", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=task,
        capture_output=True,
        text=True,
        check=True,
    )
    imported, answered = done.stdout.split()[-2:]
    return float(imported), float(answered)


def _to_result(
    rounds: int,
    hot: Mapping[str, list[tuple[float, float, float]]],
    plain: Mapping[str, list[tuple[float, float]]],
    sizes: Mapping[str, float],
) -> Result:
    def median(label: str, take: Callable[[tuple[float, float, float]], float]) -> float:
        return statistics.median(map(take, hot[label]))

    def ratio_of(label: str, take: Callable[[tuple[float, float, float]], float]) -> float:
        # Round by round: what else the machine does in one round meets both.
        pairs = zip(hot[label], hot["conventional stack"], strict=True)
        return statistics.median(take(each) / take(base) for each, base in pairs)

    totals = {label: median(label, lambda each: each[0] + each[1]) for label in hot}
    rows: list[list[Cell]] = []
    plain_rows: list[list[Cell]] = []
    aims = []
    for start in STARTS:
        label = start.label
        imported = statistics.median(each[0] for each in plain[label])
        answered = statistics.median(each[1] for each in plain[label])
        ratio = ratio_of(label, lambda each: each[0] + each[1])
        work_ratio = ratio_of(label, lambda each: each[2])
        rows.append(
            [
                label, start.work, median(label, lambda each: each[0]), median(label, lambda each: each[1]),
                totals[label], ratio, work_ratio, sizes[start.program],
            ]
        )  # fmt: skip
        plain_rows.append([label, imported, answered, imported + answered])
        if start.most is not None:
            aims.append(
                Aim(
                    text=f"{label}: init + first answer ≤ {start.most} of the conventional stack",
                    measured=f"{ratio:.2f} by the clock, {work_ratio:.2f} by processor time",
                    is_met=ratio <= start.most,
                    bound_by="" if ratio <= start.most else BOUND_BY,
                )
            )
    slower = [label for label in ("stdlib alone", "httpx alone") if totals[label] < totals["webhook"]]
    return Result(
        name="cold_start",
        title="Cold start",
        method=METHOD,
        tables=[
            Table(
                title="Under Lambda's runtime client",
                columns=[
                    "program", "first answer", "init ms", "first ms", "both ms", "ratio", "cpu ratio", "MB"
                ],
                rows=rows,
                note=f"Medians of {rounds}. Ratios to the conventional stack, in each round.",
            ),
            Table(
                title="Plain interpreter",
                columns=["program", "import ms", "first ms", "both ms"],
                rows=plain_rows,
                note=f"Medians of {rounds}; the interpreter's own start is not in them.",
            ),
        ],
        aims=aims,
        not_first=[f"{label} starts faster than our webhook, and does less." for label in slower],
    )  # fmt: skip


BOUND_BY = (
    "By `-X importtime`, what is left is asyncio with ssl (30 ms), Starlette (20), httpx with httpcore (30), "
    "pydantic (45, where a body is validated or a view built), the interpreter and the runtime client (40)."
)

if __name__ == "__main__":
    sys.exit(main(measure))
