"""The cost of a million messages: the document holds what the arithmetic gives."""

from __future__ import annotations

import dataclasses

import pytest

from bench import cost

MEASURED = cost.Measured(
    processor_ms={"webhook": 2.0, "send_message": 4.0, "worker": 10.0},
    logged_bytes={"webhook": 500, "send_message": 700, "worker": 3_000},
    kept_bytes={"message": 900, "status": 200},
    raw_bytes={"message": 1_100, "status": 700},
)


def test_the_document_holds_what_the_figures_give() -> None:
    document = cost.DOCUMENT.read_text("utf-8")

    assert cost.BEGINS in document
    assert document == cost.render(document, cost.Measured.read())


def test_a_bill_is_the_sum_of_its_lines_by_the_prices() -> None:
    arriving, queued, sent, disk, _ = cost.make_bills(MEASURED)

    # 2 ms of a whole processor, 10 ms of waiting, half a gigabyte; a request twice; half a gigabyte logged.
    seconds = 1_000_000 * (2.0 * 1769 / 512 + 10) / 1000
    assert arriving.total == pytest.approx(seconds * 0.5 * 0.0000133334 + 0.20 + 1.00 + 0.5 * 0.5)
    assert queued.total > arriving.total
    assert sent.total > 4 * 1.20
    assert disk.total == pytest.approx(2.0 * 0.125)


def test_what_takes_longer_costs_more() -> None:
    slower = dataclasses.replace(MEASURED, processor_ms=dict.fromkeys(MEASURED.processor_ms, 50.0))

    bills = zip(cost.make_bills(MEASURED), cost.make_bills(slower), strict=True)

    assert [after.total > before.total for before, after in bills] == [True, True, True, False, False]
