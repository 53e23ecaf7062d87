"""The page of figures is what the files of figures say."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from bench import page
from bench.plot import draw
from bench.result import RESULTS, Aim, Circumstances, Plot, Result, Table, to_cell

MEASURED = Result(
    name="example",
    title="An example",
    method="It is made up.",
    tables=[
        Table(title="Rows", columns=["what", "ms"], rows=[["a|b", 12345], ["c", 0.01234]], note="A note.")
    ],
    plots=[
        Plot(
            title="Grows & stays",
            x_label="messages",
            y_label="ms",
            series={"ours": [(10, 1.0), (1000, 1.1)], "<other>": [(10, 2.0), (1000, 90.0)]},
            is_log_x=True,
            is_log_y=True,
        )
    ],
    aims=[Aim(text="at most 1", measured="2", is_met=False, bound_by="The disk.")],
    not_first=["The other is faster at ten."],
    circumstances=Circumstances(
        machine="m", versions={"python": "3"}, date="d", commit="c", command="python -m x", load_average=0.5
    ),
)


def test_the_page_is_what_its_figures_render_to() -> None:
    files = page.render(page.read_results())

    assert {path: path.read_text("utf-8") for path in files} == files
    assert set(page.IMAGES.glob("*.svg")) == {path for path in files if path.suffix == ".svg"}


def test_every_file_of_figures_is_on_the_page() -> None:
    assert {path.stem for path in RESULTS.glob("*.json")} <= set(page.MODULES)


def test_figures_come_back_from_json_as_they_went() -> None:
    read = json.loads(json.dumps(MEASURED.to_json()))

    assert Result.from_json(read) == MEASURED


def test_the_page_tells_everything_of_a_result() -> None:
    files = page.render([MEASURED])

    text = files[page.PAGE]
    for told in (
        "It is made up.",
        "| a/b | 12\N{NARROW NO-BREAK SPACE}345 |",
        "| c | 0.0123 |",
        "A note.",
        "(images/benchmarks/example-grows--stays.svg)",
        "| [An example](#an-example) | at most 1 | 2 | no |",
        "The disk.",
        "The other is faster at ten.",
        "load average 0.5",
        "commit `c`",
    ):
        assert told in text


@pytest.mark.parametrize("is_log", [False, True])
def test_a_plot_keeps_every_point_within_its_frame(is_log: bool) -> None:
    series = {"one": [(1.0, 3.0), (50.0, 0.2), (99.0, 7.0)], "two": [(10.0, 6.9)]}

    svg = draw(Plot(title="t", x_label="x", y_label="y", series=series, is_log_x=is_log, is_log_y=is_log))

    drawn = ET.fromstring(svg)  # noqa: S314 # our own
    width, height = map(float, drawn.attrib["viewBox"].split()[2:])
    circles = drawn.findall("{http://www.w3.org/2000/svg}circle")
    assert len(circles) == 4
    assert all(0 < float(each.attrib["cx"]) < width for each in circles)
    assert all(0 < float(each.attrib["cy"]) < height for each in circles)


@pytest.mark.parametrize(
    "value, written",
    [(7, "7"), (1234567, "1 234 567"), (99.96, "100"), (412.6, "413"), (0.5, "0.5"), ("a", "a")],
)
def test_a_figure_is_written_as_a_person_reads_it(value: str | float, written: str) -> None:
    assert to_cell(value) == written.replace(" ", "\N{NARROW NO-BREAK SPACE}")
