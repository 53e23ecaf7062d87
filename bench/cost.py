"""What a million messages costs on AWS and Supabase, by arithmetic from what was measured.

python -m bench.cost          prints it
python -m bench.cost --write  puts it into docs/operations.md, between its two marks
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench import memory, sending
from bench.result import RESULTS, ROOT, Result, to_cell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DOCUMENT = ROOT / "docs" / "operations.md"
BEGINS, ENDS = "<!-- made by python -m bench.cost --write: begins -->", "<!-- ends -->"
MILLION = 1_000_000
GIGABYTE = 1e9
TIMES = "\N{MULTIPLICATION SIGN}"

# List prices in dollars, us-east-1 and arm64, without free tiers and discounts, as of PRICED: check them.
# https://aws.amazon.com/lambda/pricing/ https://aws.amazon.com/api-gateway/pricing/
# https://aws.amazon.com/sqs/pricing/ https://aws.amazon.com/cloudwatch/pricing/ https://supabase.com/pricing
PRICED = "2026-11-24"
PRICES = {
    "Lambda, a million requests": 0.20,
    "Lambda, a GB-second": 0.0000133334,
    "HTTP API, a million requests": 1.00,
    "SQS, a million requests": 0.40,
    "CloudWatch Logs, a GB taken in": 0.50,
    "Supabase, a GB of disk for a month": 0.125,
}
# Lambda gives a whole processor at this much memory, and a share below it.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
WHOLE_PROCESSOR_MB = 1769
MEMORY_MB = 512
# What no measurement here can tell: yours may differ. Milliseconds.
DATABASE_MS, META_MS, QUEUE_MS = 10.0, 200.0, 10.0
# Calls of the database in one send: before Meta's, and after it.
CALLS_A_SEND = 2
STATUSES = 3
BATCH = memory.BATCH


@dataclass(frozen=True, kw_only=True)
class Charge:
    """One line of a bill."""

    of: str
    arithmetic: str
    dollars: float


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What a million of something costs."""

    title: str
    charges: Sequence[Charge]

    @property
    def total(self) -> float:
        """All of it."""
        return sum(charge.dollars for charge in self.charges)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What the measurements tell, by function."""

    processor_ms: dict[str, float]
    logged_bytes: dict[str, float]
    kept_bytes: dict[str, float]
    raw_bytes: dict[str, float]

    @classmethod
    def read(cls) -> Measured:
        """Read the files that the bench has written."""
        warm = _rows(Result.read(RESULTS / "memory.json"), memory.WARM)
        sizes = _rows(Result.read(RESULTS / "sending.json"), sending.SIZES)
        kinds = {"message": sizes[0], "status": sizes[1]}
        return cls(
            processor_ms={str(row[0]): float(row[2]) for row in warm},
            logged_bytes={str(row[0]): float(row[4]) for row in warm},
            kept_bytes={kind: float(row[1]) for kind, row in kinds.items()},
            raw_bytes={kind: float(row[2]) for kind, row in kinds.items()},
        )


def _rows(result: Result, title: str) -> list[list[Any]]:
    return next(table.rows for table in result.tables if table.title == title)


def make_bills(measured: Measured) -> list[Bill]:
    """Make the bill of each way that a message can go."""
    arriving = [
        *_invocations(measured, "webhook", 1.0, wait=DATABASE_MS, why="1 call of the database"),
        _http(1.0),
    ]
    queued = [
        *_invocations(measured, "webhook", 1.0, wait=QUEUE_MS, why="SQS takes it"),
        _http(1.0),
        _queue(),
        *_invocations(
            measured, "worker", 1 / BATCH, wait=BATCH * DATABASE_MS, why=f"{BATCH} calls of the database"
        ),
    ]
    sent = [
        *_invocations(
            measured,
            "send_message",
            1.0,
            wait=CALLS_A_SEND * DATABASE_MS + META_MS,
            why=f"{CALLS_A_SEND} calls of the database, 1 of Meta",
        ),
        _http(1.0),
        *_invocations(measured, "webhook", STATUSES, wait=DATABASE_MS, why=f"{STATUSES} statuses each"),
        _http(STATUSES),
    ]
    return [
        Bill(title="A million messages that arrive, stored at once", charges=arriving),
        Bill(title="A million messages that arrive, through SQS", charges=queued),
        Bill(title=f"A million messages sent one by one, with {STATUSES} statuses each", charges=sent),
        Bill(title="A month of disk for a million that arrived", charges=[_disk(measured, "message", 1)]),
        Bill(
            title="A month of disk for a million that were sent",
            charges=[
                _disk(measured, "message", 1, has_raw=False),
                _disk(measured, "status", STATUSES),
            ],
        ),
    ]


def _invocations(
    measured: Measured, function: str, millions: float, *, wait: float, why: str
) -> Iterator[Charge]:
    processor = measured.processor_ms[function]
    slower = WHOLE_PROCESSOR_MB / MEMORY_MB
    milliseconds = processor * slower + wait
    gigabyte_seconds = millions * MILLION * milliseconds / 1000 * MEMORY_MB / 1024
    yield Charge(
        of=f"Lambda, `{function}`: time ({why})",
        arithmetic=(
            f"{_count(millions)} {TIMES} ({processor:.1f} ms {TIMES} {WHOLE_PROCESSOR_MB} ÷ {MEMORY_MB}"
            f" + {wait:.0f} ms) {TIMES} {MEMORY_MB / 1024} GB = {to_cell(round(gigabyte_seconds))} GB-s"
        ),
        dollars=gigabyte_seconds * PRICES["Lambda, a GB-second"],
    )
    yield Charge(
        of=f"Lambda, `{function}`: requests",
        arithmetic=_count(millions),
        dollars=millions * PRICES["Lambda, a million requests"],
    )
    logged = measured.logged_bytes[function]
    yield Charge(
        of=f"CloudWatch Logs, `{function}`",
        arithmetic=f"{_count(millions)} {TIMES} {to_cell(round(logged))} bytes",
        dollars=millions * MILLION * logged / GIGABYTE * PRICES["CloudWatch Logs, a GB taken in"],
    )


def _http(millions: float) -> Charge:
    price = PRICES["HTTP API, a million requests"]
    return Charge(
        of="HTTP API (nothing by a function URL)", arithmetic=_count(millions), dollars=millions * price
    )


def _queue() -> Charge:
    millions = 1 + 2 / BATCH
    return Charge(
        of="SQS: one in, a tenth received, a tenth deleted",
        arithmetic=_count(millions),
        dollars=millions * PRICES["SQS, a million requests"],
    )


def _disk(measured: Measured, kind: str, millions: float, *, has_raw: bool = True) -> Charge:
    kept, raw = measured.kept_bytes[kind], measured.raw_bytes[kind] if has_raw else 0.0
    size = millions * MILLION * (kept + raw) / GIGABYTE
    return Charge(
        of=f"Supabase's disk: {kind}{', and raw delivery for its 30 days' if has_raw else ''}",
        arithmetic=f"{_count(millions)} {TIMES} ({kept:.0f} + {raw:.0f} bytes) = {size:.2f} GB",
        dollars=size * PRICES["Supabase, a GB of disk for a month"],
    )


def _count(millions: float) -> str:
    return to_cell(round(millions * MILLION))


def to_markdown(measured: Measured) -> str:
    """Write prices, assumptions and bills as the document holds them."""
    lines = [
        f"List prices in dollars of {PRICED}, us-east-1 and arm64, without free tiers: check them.",
        f"Assumed: {DATABASE_MS:.0f} ms a call of the database, {META_MS:.0f} Meta, {QUEUE_MS:.0f} SQS.",
        "Assumed is one message in a delivery, which is the dearest.",
        f"A function of {MEMORY_MB} MB has {MEMORY_MB} ÷ {WHOLE_PROCESSOR_MB} of a processor.",
        "Processor time, bytes logged and bytes stored are measured: [benchmarks.md](benchmarks.md).",
        "",
        "| price of | $ |",
        "|---|---:|",
        *(f"| {of} | {_dollars(price)} |" for of, price in PRICES.items()),
    ]
    for bill in make_bills(measured):
        lines += ["", f"### {bill.title}", "", "| of | arithmetic | $ |", "|---|---|---:|"]
        lines += [f"| {each.of} | {each.arithmetic} | {each.dollars:.2f} |" for each in bill.charges]
        lines += [f"| **all** | | **{bill.total:.2f}** |"]
    return "\n".join(lines)


def _dollars(price: float) -> str:
    return f"{price:.10f}".rstrip("0") if price < 0.01 else f"{price:.3f}".rstrip("0").ljust(4, "0")  # noqa: PLR2004


def render(document: str, measured: Measured) -> str:
    """Return the document with what stands between its two marks made anew."""
    before, _, rest = document.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return f"{before}{BEGINS}\n{to_markdown(measured)}\n{ENDS}{after}"


def write() -> None:
    """Write it into the document, if all that it needs was measured."""
    if all((RESULTS / f"{name}.json").exists() for name in ("memory", "sending")):
        DOCUMENT.write_text(render(DOCUMENT.read_text("utf-8"), Measured.read()), "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the cost, or write it."""
    parser = argparse.ArgumentParser(prog="python -m bench.cost", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"into {DOCUMENT.relative_to(ROOT)}")
    if parser.parse_args(arguments).write:
        write()
    else:
        print(to_markdown(Measured.read()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
