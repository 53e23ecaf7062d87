"""Lines of the log are metrics where a stage is named, and the same lines without it elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shared import log, metrics

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stage() -> Iterator[str]:
    metrics.configure("test")
    yield "test"
    metrics.configure("")


def test_without_a_stage_a_line_carries_no_metric(capsys: pytest.CaptureFixture[str]) -> None:
    log.info("delivery.stored", lag_ms=120)

    assert "_aws" not in _read(capsys)


def test_what_is_no_metric_stays_a_line(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    log.info("webhook.verified")

    assert "_aws" not in _read(capsys)


def test_figures_are_written_below_the_level_of_the_log(
    stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An alarm on silence must not go off because somebody wanted a shorter log."""
    log.configure(level="warning")
    try:
        log.info("webhook.verified")
        log.info("sending.finished", outcome="accepted")
    finally:
        log.configure()

    assert _read(capsys)["Sends"] == 1


def test_a_line_carries_its_figures_and_their_dimensions(
    stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with log.context(function="whatsapp-webhook"):
        log.info("request.answered", method="POST", status=200, duration_ms=12.5)

    line = _read(capsys)
    assert (line["DeliveriesTaken"], line["Duration"], line["Requests"]) == (1, 12.5, 1)
    assert (line["Stage"], line["Function"]) == ("test", "whatsapp-webhook")
    assert _directives(line)["Duration"] == {
        "Namespace": "WhatsAppFunctions",
        "Dimensions": [["Stage", "Function"]],
        "Metrics": [{"Name": "Duration", "Unit": "Milliseconds"}],
    }
    assert "ServerErrors" not in line


@pytest.mark.parametrize(
    "event,fields,expected",
    [
        ("request.answered", {"status": 401, "refused_with": "bad_signature"}, "SignaturesRefused"),
        ("request.answered", {"status": 503}, "ServerErrors"),
        ("delivery.stored", {"lag_ms": 800}, "DeliveryLag"),
        ("jobs.ended", {"outcome": "dead"}, "JobsDead"),
        ("token.not_refreshed", {}, "TokenRefreshesFailed"),
        ("sending.finished", {"outcome": "accepted"}, "Sends"),
        ("sending.finished", {"outcome": "failed", "meta_code": 131047}, "SendsRefused"),
        ("work.measured", {"waiting_job_count": 3}, "JobsWaiting"),
        ("work.measured", {"oldest_job_seconds": 61.5}, "JobsWaitingAge"),
        ("work.measured", {"days_left": 6.25}, "TokenDaysLeft"),
    ],
)
def test_each_metric_is_counted(
    stage: str,
    capsys: pytest.CaptureFixture[str],
    event: str,
    fields: dict[str, Any],
    expected: str,
) -> None:
    log.info(event, **fields)

    assert expected in _directives(_read(capsys))


def test_a_refused_delivery_is_not_taken(stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with log.context(function="whatsapp-webhook"):
        log.info("request.answered", method="POST", status=401, refused_with="bad_signature")

    assert "DeliveriesTaken" not in _read(capsys)


def test_every_value_and_dimension_that_is_named_is_there(
    stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudWatch drops a directive whose target is missing, and says nothing."""
    for event, row in metrics.TABLE.items():
        figures = {metric.field: 1.5 for metric in row if metric.field}
        words = {"status": 503, "outcome": "dead", "refused_with": "bad_signature", "meta_code": 131047}
        log.info(event, **words, **figures)
        line = _read(capsys)
        for name, directive in _directives(line).items():
            assert isinstance(line[name], (int, float))
            assert all(isinstance(line[each], str) for each in directive["Dimensions"][0])


def _read(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(capsys.readouterr().out)
    return line


def _directives(line: dict[str, Any]) -> dict[str, Any]:
    return {each["Metrics"][0]["Name"]: each for each in line["_aws"]["CloudWatchMetrics"]}
