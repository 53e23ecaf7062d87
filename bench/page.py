"""The page of figures, docs/benchmarks.md with its plots, from the files in bench/results.

python -m bench.page
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bench.plot import draw
from bench.result import RESULTS, ROOT, Result, to_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bench.result import Cell, Plot, Table

PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images" / "benchmarks"
MODULES = ("cold_start", "deliveries", "growth", "sending", "memory", "simulator")
HEAD = """\
# Benchmarks

What was measured, on which machine, by which command; how each figure comes about stands beside it.
This page is made by `make bench` from the files in [bench/results](../bench/results), never by hand.

Compare the rows of one table with each other: they were taken in one run, in turns, on one machine.
Figures of another machine, or of another day, are another table.
`make bench` takes some minutes and writes this page anew with your own figures.
`make bench-full` takes longer and goes further.
"""


def render(results: Sequence[Result]) -> dict[Path, str]:
    """Return the page and its plots, each with the path where it belongs."""
    files = {
        IMAGES / f"{_image_name(result, plot)}.svg": draw(plot) for result in results for plot in result.plots
    }
    files[PAGE] = "\n".join(_lines(results)).rstrip() + "\n"
    return files


def read_results() -> list[Result]:
    """Read what was measured last, in the order of the page."""
    paths = [RESULTS / f"{name}.json" for name in MODULES]
    return [Result.read(path) for path in paths if path.exists()]


def write() -> None:
    """Write the page and its plots; plots that are no longer there go."""
    files = render(read_results())
    for old in IMAGES.glob("*.svg"):
        if old not in files:
            old.unlink()
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _lines(results: Sequence[Result]) -> Iterator[str]:
    yield HEAD
    yield from _summary(results)
    for result in results:
        yield from _section(result)


def _summary(results: Sequence[Result]) -> Iterator[str]:
    aims = [(result, aim) for result in results for aim in result.aims]
    if aims:
        yield "## Aims\n"
        yield from _table(
            ["What", "Aim", "Measured", "Met"],
            [
                [
                    f"[{result.title}](#{_anchor(result.title)})",
                    aim.text,
                    aim.measured,
                    _yes(is_true=aim.is_met),
                ]
                for result, aim in aims
            ],
        )
        yield ""
    behind = [(result, said) for result in results for said in result.not_first]
    if behind:
        yield "## Where we are not first\n"
        for result, said in behind:
            yield f"- {result.title}: {said}"
        yield ""


def _section(result: Result) -> Iterator[str]:
    yield f"## {result.title}\n"
    yield result.method.strip()
    yield ""
    if found := result.circumstances:
        yield f"- Command: `{found.command}`"
        yield f"- Machine: {found.machine}; load average {found.load_average} before it began"
        yield f"- Versions: {_versions(found.versions)}; commit `{found.commit}`, {found.date}"
        yield ""
    for table in result.tables:
        yield from _titled(table)
    for plot in result.plots:
        yield f"![{plot.title}](images/benchmarks/{_image_name(result, plot)}.svg)\n"
    for aim in result.aims:
        yield f"- {'Met' if aim.is_met else 'Not met'}: {aim.text}; measured: {aim.measured}."
        if aim.bound_by:
            yield f"  {aim.bound_by}"
    if result.aims:
        yield ""


def _titled(table: Table) -> Iterator[str]:
    yield f"### {table.title}\n"
    yield from _table(table.columns, table.rows)
    yield ""
    if table.note:
        yield f"{table.note}\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Iterator[str]:
    are_figures = [any(not isinstance(row[at], str) for row in rows) for at in range(len(columns))]
    yield f"| {' | '.join(columns)} |"
    yield f"|{'|'.join('---:' if is_figure else '---' for is_figure in are_figures)}|"
    for row in rows:
        yield f"| {' | '.join(to_cell(cell).replace('|', '/') for cell in row)} |"


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _image_name(result: Result, plot: Plot) -> str:
    return f"{result.name}-{_anchor(plot.title)}"


def _anchor(title: str) -> str:
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " -_")
    return kept.replace(" ", "-")


def _yes(*, is_true: bool) -> str:
    return "yes" if is_true else "no"


if __name__ == "__main__":
    write()
    sys.exit()
