"""The modules of the bench measure something, at a size that takes seconds; no figure is judged here."""

from __future__ import annotations

import pytest

from bench import deliveries, growth
from bench.result import to_lines


@pytest.mark.slow
def test_growth_measures_every_call_and_keeps_its_plan() -> None:
    scale = growth.Scale(sizes=(6_000, 12_000), rounds=3)

    result, plans = growth.measure_at(scale, lambda _line: None)

    calls = [*growth.READS, growth.ONE, growth.HUNDRED]
    costs, touched, rights = result.tables
    assert [row[0] for row in costs.rows] == calls
    assert all(float(cell) > 0 for row in costs.rows for cell in row[1:])
    assert [row[0] for row in touched.rows] == calls
    assert all(float(cell) > 0 for row in touched.rows for cell in row[1:])
    assert len(rights.rows) == len(calls) - len(growth.SEARCHES) - 2
    assert len(result.aims) == len(calls)
    assert set(plans) == {path.name for path in growth.PLANS.glob("*.txt")}
    assert all("Scan" in text for text in plans.values())


@pytest.mark.slow
def test_deliveries_are_counted_where_they_are_stored() -> None:
    scale = deliveries.Scale(
        seconds=0.4, rounds=1, rounds_of_others=1, pace_seconds=0.2, sizes=(1, 10), with_npm=False
    )

    result = deliveries.measure_at(scale, lambda _line: None)

    speed, kept, *_ = result.tables
    assert {deliveries.OURS, deliveries.OURS_BY_LITE, deliveries.FLOOR, "pywa"} < {
        row[0] for row in speed.rows
    }
    assert all(float(cell) > 0 for row in speed.rows for cell in row[1:])
    assert next(row[1:] for row in kept.rows if row[0] == deliveries.OURS) == [100, 100]
    assert any("times" in line for line in to_lines(result))


@pytest.mark.parametrize("name", sorted(path.name for path in growth.PLANS.glob("*.txt")))
def test_no_plan_reads_a_table_that_grows_from_end_to_end(name: str) -> None:
    """The plans of a million messages, kept by the last `make bench`."""
    plan = (growth.PLANS / name).read_text("utf-8")

    assert growth.find_scans(plan) == []
    assert "Index" in plan


def test_a_plan_that_reads_a_whole_table_is_noticed() -> None:
    plan = (
        "Sort\n  ->  Parallel Seq Scan on public.messages m\n  ->  Seq Scan on bots\n  ->  Seq Scan on chats"
    )

    assert growth.find_scans(plan) == ["chats", "messages"]
