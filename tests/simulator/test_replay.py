"""The simulator answers as Graph did: every exchange of the corpus, asked again."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.evidence import EXCHANGES
from tests.simulator import replay

pytestmark = pytest.mark.skipif(not EXCHANGES.exists(), reason="the corpus is not here")


@pytest.mark.parametrize("exchange", replay.exchanges(), ids=lambda exchange: exchange.name)
async def test_exchange_is_answered_as_recorded(exchange: replay.Exchange) -> None:
    """Status, headers, keys and their order, values and escapes; ids, times and traces are masked.

    A difference that is explained has to be there: an explanation must not outlive it.
    """
    answer = await replay.ask(replay.build(exchange))

    found = replay.differences(exchange, answer)
    assert bool(found) == (exchange.name in replay.EXPLAINED), "\n".join(found)


async def test_every_recorded_exchange_agrees(capsys: pytest.CaptureFixture[str]) -> None:
    """Recordings are the best evidence: none of them may need an explanation."""
    rows = await replay.table()

    total: Counter[str] = Counter()
    agreeing: Counter[str] = Counter()
    for exchange, found in rows:
        total[exchange.kind] += 1
        agreeing[exchange.kind] += not found
    with capsys.disabled():
        print(  # noqa: T201 - the table is what a reader wants to see
            "\n" + "\n".join(f"  {kind:<14}{agreeing[kind]:>4} of {total[kind]:>3} agree" for kind in total)
        )
    assert agreeing["recorded"] == total["recorded"]
