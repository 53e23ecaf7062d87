"""Meta's limits: how much a number, a pair and an account may do. No I/O."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from local.graph.errors import documented

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import Customer, Number, Waba

HOUR, DAY = 3600.0, 86_400.0


def throughput_of(simulator: Simulator, number: Number) -> int:
    """Return how many messages a second a number may send."""
    allowed = simulator.settings.throughput
    level = "COEXISTENCE" if number.is_on_biz_app else number.throughput_level
    return allowed.get(level, allowed["STANDARD"])


def check_throughput(simulator: Simulator, number: Number) -> None:
    """Count a message against its number's throughput; raises 130429."""
    now = simulator.clock.now()
    times = simulator.sent.setdefault(number.id, deque())
    while times and times[0] <= now - 1.0:
        times.popleft()
    if len(times) >= throughput_of(simulator, number):
        raise documented(130429)
    times.append(now)


def check_pair(simulator: Simulator, number: Number, recipient: str) -> None:
    """Count a message against its pair; raises 131056.

    One message each six seconds; a burst is borrowed from the time to come. The value kept per pair is the
    moment at which the debt is paid.
    """
    settings, now = simulator.settings, simulator.clock.now()
    key = (number.id, recipient)
    paid_at = max(simulator.pairs.get(key, 0.0), now)
    if paid_at - now > settings.pair_interval * (settings.pair_burst - 1) + 1e-6:
        raise documented(131056)
    simulator.pairs[key] = paid_at + settings.pair_interval
    if len(simulator.pairs) > _MOST_PAIRS:
        simulator.pairs = {pair: moment for pair, moment in simulator.pairs.items() if moment > now}


_MOST_PAIRS = 50_000
_TIERS = {
    "TIER_50": 50,
    "TIER_250": 250,
    "TIER_1K": 1_000,
    "TIER_2K": 2_000,
    "TIER_10K": 10_000,
    "TIER_100K": 100_000,
}


def exceeds_messaging_limit(simulator: Simulator, waba: Waba, customer: Customer) -> bool:
    """Count a person to whom a portfolio writes first; tell whether that is one too many within 24 hours."""
    now = simulator.clock.now()
    opened = simulator.opened.setdefault(waba.business_id, {})
    limit = _TIERS.get(waba.messaging_limit)
    if limit is None or opened.get(customer.key, 0.0) > now - DAY:
        return False
    for person in [person for person, moment in opened.items() if moment <= now - DAY]:
        del opened[person]
    if len(opened) >= limit:
        return True
    opened[customer.key] = now
    return False


def count_management_call(simulator: Simulator, call: Call) -> None:
    """Count a management call of an app on a WABA; raises 80007."""
    if call.waba_id is None or call.usage != "whatsapp_business_management":
        return
    times = _recent_calls(simulator, call)
    if len(times) >= _allowed_calls(simulator, call.waba_id):
        raise documented(80007)
    times.append(simulator.clock.now())


def usage_percent(simulator: Simulator, call: Call) -> int:
    """Return how much of the hour's calls is used."""
    if call.waba_id is None or call.usage != "whatsapp_business_management":
        return 1
    return min(
        100, math.ceil(100 * len(_recent_calls(simulator, call)) / _allowed_calls(simulator, call.waba_id))
    )


def minutes_to_regain(simulator: Simulator, call: Call) -> int:
    """Return after how many minutes the oldest call is forgotten, 0 while there are calls left."""
    if call.waba_id is None or usage_percent(simulator, call) < 100:  # noqa: PLR2004 - percent
        return 0
    times = _recent_calls(simulator, call)
    if not times:
        return 0
    return max(1, math.ceil((times[0] + HOUR - simulator.clock.now()) / 60))


def _recent_calls(simulator: Simulator, call: Call) -> deque[float]:
    app_id = call.token.app_id if call.token is not None else ""
    times = simulator.calls.setdefault(f"{app_id}:{call.waba_id}", deque())
    horizon = simulator.clock.now() - HOUR
    while times and times[0] <= horizon:
        times.popleft()
    return times


def _allowed_calls(simulator: Simulator, waba_id: str) -> int:
    settings = simulator.settings
    is_registered = any(number.is_registered for number in simulator.state.numbers_of(waba_id))
    allowed = settings.management_calls_per_hour
    if is_registered:
        allowed = settings.management_calls_per_hour_registered
    return max(allowed, 1)


def within(times: list[float], now: float, seconds: float) -> list[float]:
    """Return the moments of a list that lie within the last seconds."""
    return [moment for moment in times if moment > now - seconds]
