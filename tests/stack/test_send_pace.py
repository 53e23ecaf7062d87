"""Meta's limits are never broken, by however many workers, and what they allow is used.

Every arrival is measured by the simulator's clock.
QUEUED in the environment is how many messages the fast number has to send.
How much of a limit is used is told, and demanded where LEAST_SHARE says so (0.95 where nothing else runs).
"""

from __future__ import annotations

import bisect
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.offices import Office, open_office, workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from tests.world import Simulator, World

    Connection = psycopg.Connection[tuple[Any, ...]]

QUEUED = int(os.environ.get("QUEUED", "1200"))
WORKERS = 4
LEAST_SHARE = float(os.environ.get("LEAST_SHARE", "0"))


@pytest.fixture(autouse=True)
def without_window(simulator: Simulator) -> Iterator[None]:
    before = simulator.get("/settings")
    simulator.patch("/settings", enforce_window=False, statuses=[])
    yield
    simulator.patch("/settings", enforce_window=before["enforce_window"], statuses=before["statuses"])


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How a number's messages arrived."""

    count: int
    busiest_second: int
    """The most in any window of one second, wherever it begins."""
    per_second: float
    """As the permits come round, after the first second; over all where they never do."""
    refused: int


def measure(office: Office, limit: int) -> Pace:
    times = sorted(each["created_at"] for each in office.received())
    busiest = max(bisect.bisect_left(times, start + 1.0) - position for position, start in enumerate(times))
    (refused,) = office.row(
        "select count(*) from messages where organization_id = %s and error_code is not null",
        office.organization.id,
    )
    (accepted,) = office.row(
        "select count(*) from messages where organization_id = %s and accepted_at is not null",
        office.organization.id,
    )
    # How long it takes until a permit is used again; without the first second, while processes warm up.
    cycles = [times[nr + limit] - times[nr] for nr in range(limit, len(times) - limit)]
    per_second = limit * len(cycles) / sum(cycles) if cycles else len(times) / (times[-1] - times[0])
    assert len(times) == accepted
    return Pace(count=accepted, busiest_second=busiest, per_second=per_second, refused=refused)


def queue(office: Office, count: int) -> None:
    office.pause()
    numbers = office.open_chats(count)
    for first in range(0, count, 1000):
        messages = [{"to": number, "text": "hola"} for number in numbers[first : first + 1000]]
        answer = office.post("/batch", {"messages": messages})
        assert answer.status_code == 202, answer.text


def send_off(offices: list[Office]) -> None:
    with workers(offices[0].world, WORKERS):
        # Starting a process costs more than sending: only what follows is measured.
        time.sleep(2)
        for office in offices:
            office.go_on()
        for office in offices:
            office.wait_until_sent(patience=120)


def tell(capsys: pytest.CaptureFixture[str], name: str, limit: int, pace: Pace) -> None:
    with capsys.disabled():
        sys.stdout.write(
            f"\n{name}: {pace.count} messages by {WORKERS} workers, {pace.per_second:.1f} a second"
            f" ({pace.per_second / limit:.0%} of {limit}), busiest second {pace.busiest_second},"
            f" refused {pace.refused}\n"
        )


@pytest.mark.parametrize(
    "name,business,limit,count",
    [
        pytest.param("standard", {}, 80, 480, id="standard"),
        pytest.param("coexistence", {"coexistence": True}, 20, 120, id="coexistence"),
    ],
)
def test_a_number_keeps_its_limit_and_uses_it(
    world: World,
    database: Connection,
    capsys: pytest.CaptureFixture[str],
    name: str,
    business: dict[str, Any],
    limit: int,
    count: int,
) -> None:
    office = open_office(world, database, **business)
    queue(office, count)

    send_off([office])

    pace = measure(office, limit)
    tell(capsys, name, limit, pace)
    assert (pace.count, pace.refused) == (count, 0)
    assert pace.busiest_second <= limit
    assert pace.per_second >= LEAST_SHARE * limit


def test_two_numbers_do_not_slow_each_other_down(
    world: World, database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    offices = [open_office(world, database), open_office(world, database, coexistence=True)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(queue, offices, [320, 80]))

    send_off(offices)

    for office, limit in zip(offices, (80, 20), strict=True):
        pace = measure(office, limit)
        tell(capsys, "two at once", limit, pace)
        assert pace.refused == 0
        assert pace.busiest_second <= limit
        assert pace.per_second >= LEAST_SHARE * limit


def test_the_fast_number_never_breaks_its_limit(
    world: World, database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    office = open_office(world, database, throughput="high")
    queue(office, QUEUED)

    send_off([office])

    pace = measure(office, 1000)
    tell(capsys, "high", 1000, pace)
    # A connection that is cut under so many calls leaves its message uncertain: told, and never sent again.
    assert (pace.count + office.uncertain(), pace.refused) == (QUEUED, 0)
    assert office.uncertain() <= QUEUED // 1000
    assert pace.busiest_second <= 1000


def test_one_person_is_not_sent_more_than_meta_allows(
    world: World, database: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    office = open_office(world, database)
    office.pause()
    (number,) = office.open_chats(1)
    office.post("/batch", {"messages": [{"to": number, "text": f"{position}"} for position in range(46)]})

    send_off([office])

    pace = measure(office, 80)
    tell(capsys, "one person", 80, pace)
    # 45 at once are allowed; we keep one back, since what begins a burst may be late on its way.
    assert (pace.count, pace.refused) == (46, 0)
    assert pace.busiest_second <= 45
