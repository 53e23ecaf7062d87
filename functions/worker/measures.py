"""How the work stands: a line of the log each minute, and Prometheus' text for whoever asks. An edge.

Both are counted in the database when they are wanted: no process here lives long enough to count anything
itself, and none knows of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared import log
from shared.jobs import DONE, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.core import GaugeMetricFamily

    from shared.jobs import Work

# https://prometheus.io/docs/instrumenting/exposition_formats/
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
QUANTILES = ("0.5", "0.95", "1")


async def measure_work(work: Work) -> Outcome:
    """Do one job of kind measure_work: tell the log, where it becomes metrics."""
    log.info("work.measured", **summarize(await work.call("measure_work")))
    return DONE


def summarize(measured: Mapping[str, Any]) -> dict[str, float]:
    """Return the few figures by which an alarm is raised."""
    jobs, sends = measured["jobs"], measured["sends"]
    summary = {
        "waiting_job_count": sum(each["waiting"] for each in jobs),
        "dead_job_count": sum(each["dead"] for each in jobs),
        "oldest_job_seconds": round(max((each["oldest_seconds"] for each in jobs), default=0), 1),
        "waiting_send_count": sends["waiting"],
        "oldest_send_seconds": round(sends["oldest_seconds"], 1),
    }
    if (days := measured["tokens"]["least_days"]) is not None:
        summary["days_left"] = round(days, 2)
    return summary


def to_exposition(measured: Mapping[str, Any]) -> bytes:
    """Write it as Prometheus reads it."""
    # Its import takes longer than a shift that finds nothing to do.
    from prometheus_client import CollectorRegistry, generate_latest

    class Measured:
        def collect(self) -> Iterator[GaugeMetricFamily]:
            yield from _families(measured)

    registry = CollectorRegistry()
    registry.register(Measured())
    return generate_latest(registry)


def _families(measured: Mapping[str, Any]) -> Iterator[GaugeMetricFamily]:
    from prometheus_client.core import GaugeMetricFamily

    jobs = GaugeMetricFamily("whatsapp_jobs", "Jobs that are not done.", labels=["kind", "state"])
    oldest = GaugeMetricFamily(
        "whatsapp_jobs_oldest_seconds", "For how long the oldest job has been due.", labels=["kind"]
    )
    for each in measured["jobs"]:
        for state in ("waiting", "delayed", "running", "dead"):
            jobs.add_metric([each["kind"], state], each[state])
        oldest.add_metric([each["kind"]], each["oldest_seconds"])
    yield from (jobs, oldest)

    sends = measured["sends"]
    queue = GaugeMetricFamily(
        "whatsapp_sends", "Messages in the queue of connected numbers.", labels=["state"]
    )
    for state in ("waiting", "delayed", "in_flight"):
        queue.add_metric([state], sends[state])
    yield queue
    yield GaugeMetricFamily(
        "whatsapp_sends_oldest_seconds", "For how long the oldest send has been due.", sends["oldest_seconds"]
    )

    connections = GaugeMetricFamily(
        "whatsapp_connections", "Connected numbers and others.", labels=["status"]
    )
    for status, count in measured["connections"].items():
        connections.add_metric([status], count)
    yield connections
    tokens = measured["tokens"]
    yield GaugeMetricFamily(
        "whatsapp_tokens_ending",
        "Access tokens of connected numbers that end within a week.",
        tokens["ending"],
    )
    if tokens["least_days"] is not None:
        yield GaugeMetricFamily(
            "whatsapp_token_least_days", "Days until the first of these ends.", tokens["least_days"]
        )
    yield from _recent_families(measured["recent"])


def _recent_families(recent: Mapping[str, Any]) -> Iterator[GaugeMetricFamily]:
    from prometheus_client.core import GaugeMetricFamily

    when = f"in the last {recent['seconds']} seconds"
    deliveries = GaugeMetricFamily(
        "whatsapp_recent_deliveries", f"Deliveries that came {when}.", labels=["state"]
    )
    for state, count in recent["deliveries"].items():
        deliveries.add_metric([state], count)
    sends = GaugeMetricFamily(
        "whatsapp_recent_sends",
        f"Messages written {when}, by what became of them.",
        labels=["status", "code"],
    )
    for each in recent["sends"]:
        sends.add_metric([each["status"], str(each["code"] or "")], each["count"])
    yield from (deliveries, sends)
    if recent["lag"] is not None:
        lag = GaugeMetricFamily(
            "whatsapp_recent_lag_seconds", f"From Meta's clock to stored, {when}.", labels=["quantile"]
        )
        for quantile, seconds in zip(QUANTILES, recent["lag"], strict=True):
            lag.add_metric([quantile], seconds)
        yield lag
