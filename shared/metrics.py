"""What is counted and measured: log lines that are metrics too, in CloudWatch's embedded format. No I/O.

A metric is a log event of TABLE. Where METRICS_STAGE is set, `shared/log.py` adds `_aws` to such a line, and
CloudWatch reads the figures out of the log: no call, no agent, no library in the way of a request. Elsewhere
the lines are the same without it, for whatever counts them.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAMESPACE = "WhatsAppFunctions"
BAD_REQUEST, SERVER_ERROR = 400, 500

_stage = ""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure that a line of the log carries; counted once a line where `field` is not given."""

    name: str
    unit: Literal["Count", "Milliseconds", "Seconds", "None"] = "Count"
    field: str | None = None
    by: str | None = None
    """A field whose value is a dimension of its own: of few values."""
    where: Callable[[Mapping[str, Any]], bool] = lambda _line: True


def _is_delivery(line: Mapping[str, Any]) -> bool:
    return line.get("function") == "whatsapp-webhook" and line.get("method") == "POST"


TABLE: Mapping[str, tuple[Metric, ...]] = {
    "request.answered": (
        Metric(name="Requests", by="function"),
        Metric(name="Duration", unit="Milliseconds", field="duration_ms", by="function"),
        Metric(name="ServerErrors", by="function", where=lambda line: line.get("status", 0) >= SERVER_ERROR),
        Metric(
            name="DeliveriesTaken",
            where=lambda line: _is_delivery(line) and line.get("status", SERVER_ERROR) < BAD_REQUEST,
        ),
        Metric(name="SignaturesRefused", where=lambda line: line.get("refused_with") == "bad_signature"),
    ),
    "delivery.stored": (
        Metric(name="DeliveriesStored"),
        Metric(name="DeliveryLag", unit="Milliseconds", field="lag_ms"),
    ),
    "delivery.not_queued": (Metric(name="DeliveriesNotQueued"),),
    "sending.finished": (
        Metric(name="Sends", by="outcome"),
        Metric(name="SendsRefused", by="meta_code", where=lambda line: line.get("meta_code") is not None),
    ),
    "jobs.ended": (
        Metric(name="JobsEnded"),
        Metric(name="JobsDead", where=lambda line: line.get("outcome") == "dead"),
    ),
    "token.not_refreshed": (Metric(name="TokenRefreshesFailed"),),
    "work.measured": (
        Metric(name="JobsWaiting", field="waiting_job_count"),
        Metric(name="JobsWaitingAge", unit="Seconds", field="oldest_job_seconds"),
        Metric(name="JobsLyingDead", field="dead_job_count"),
        Metric(name="SendsWaiting", field="waiting_send_count"),
        Metric(name="SendsWaitingAge", unit="Seconds", field="oldest_send_seconds"),
        Metric(name="TokenDaysLeft", unit="None", field="days_left"),
    ),
}


def configure(stage: str) -> None:
    """Say whose figures these are; without a stage there are none."""
    global _stage  # noqa: PLW0603 - as the log's level: a process has one stdout
    _stage = stage


def counts(event: str) -> bool:
    """Tell whether lines of this event may hold figures."""
    return bool(_stage) and event in TABLE


def embed(line: Mapping[str, Any], milliseconds: int) -> dict[str, Any]:
    """Return what makes this line of the log a metric too: nothing where it is none."""
    if not _stage:
        return {}
    fields: dict[str, Any] = {}
    directives = []
    for metric in TABLE.get(str(line.get("event")), ()):
        value = 1 if metric.field is None else line.get(metric.field)
        if value is None or not metric.where(line):
            continue
        dimensions = ["Stage"]
        fields |= {"Stage": _stage, metric.name: value}
        if metric.by is not None:
            own = metric.by.title().replace("_", "")
            dimensions.append(own)
            fields[own] = str(line.get(metric.by, "unknown"))
        directives.append(
            {
                "Namespace": NAMESPACE,
                "Dimensions": [dimensions],
                "Metrics": [{"Name": metric.name, "Unit": metric.unit}],
            }
        )
    if not directives:
        return {}
    return {**fields, "_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": directives}}
