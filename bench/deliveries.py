"""What a delivery costs: 1,000 messages in one POST beside 1,000 POSTs of one message, and sizes between.

    python -m bench.deliveries [--json FILE]

Through the real webhook over HTTP into the local stack's database: one client, one delivery after another.
@supabase/lite is a development server: compare the rows with each other, not with other machines.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg

from local.stack import running_stack
from shared.signatures import sign
from tests import wire
from tests.database.tenants import make_tenant

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MESSAGES = 1_000
BYTES_A_MESSAGE = 2_600
SIZES = (1, 10, 100, 1_000)
WARM_UP = 20


def measure(variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Deliver 1,000 messages in each way of batching them; return a row for each."""
    rows = []
    with (
        psycopg.connect(variables["DATABASE_URL"], autocommit=True) as connection,
        httpx.Client(trust_env=False, timeout=60) as client,
    ):
        for size in SIZES:
            tenant = make_tenant(connection)
            first = 1
            bodies = []
            for _ in range(MESSAGES // size):
                payload = wire.batch(size, size=size * BYTES_A_MESSAGE, first=first, senders=min(size, 100))
                payload["entry"][0]["id"] = tenant.waba_id
                value = payload["entry"][0]["changes"][0]["value"]
                value["metadata"]["phone_number_id"] = tenant.phone_number_id
                bodies.append(wire.to_wire(payload))
                first += size
            warm = [wire.to_wire(wire.batch(1, first=10**9 + nr)) for nr in range(WARM_UP)]
            for body in warm:
                _post(client, variables, body)
            began = time.perf_counter()
            each = [_post(client, variables, body) for body in bodies]
            seconds = time.perf_counter() - began
            stored = connection.execute(
                "select count(*) from messages where organization_id = %s", (tenant.organization_id,)
            ).fetchone()
            assert stored == (MESSAGES,)
            rows.append(
                {
                    "messages_a_delivery": size,
                    "deliveries": len(bodies),
                    "bytes": sum(map(len, bodies)),
                    "seconds": round(seconds, 3),
                    "median_ms": round(statistics.median(each) * 1000, 2),
                    "messages_per_second": round(MESSAGES / seconds),
                }
            )
    return rows


def _post(client: httpx.Client, variables: Mapping[str, str], body: bytes) -> float:
    headers = {"X-Hub-Signature-256": sign(body, variables["WHATSAPP_APP_SECRET"])}
    began = time.perf_counter()
    answer = client.post(variables["FUNCTIONS_URL"] + "/whatsapp-webhook", content=body, headers=headers)
    assert answer.is_success, answer.text
    return time.perf_counter() - began


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.deliveries", description=__doc__.split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument("--json", type=Path, help="also write the rows there")
    wanted = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="whatsapp-bench-") as folder,
        running_stack(Path(folder)) as stack,
    ):
        rows = measure(stack.variables)
    print(f"Python {platform.python_version()}, {platform.machine()}")
    print("  messages a delivery   deliveries   seconds   median ms   messages a second")
    for row in rows:
        print(
            f"  {row['messages_a_delivery']:>19}   {row['deliveries']:>10}   {row['seconds']:>7}"
            f"   {row['median_ms']:>9}   {row['messages_per_second']:>17}"
        )
    if wanted.json:
        wanted.json.write_text(
            json.dumps({"python": platform.python_version(), "rows": rows}, indent=1) + "\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
