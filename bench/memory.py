"""Memory and processor time of each function: idle, under load, with 3 MB, with an attachment of 100 MB."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cold_programs import DELIVERY, ENVIRON, OF_A_USER, ROW_ID, STARTS, StandIn
from bench.result import Aim, Result, Table, main
from deploy import events
from deploy.build import build, find_python
from deploy.imports import Sources
from deploy.runtime import Lambda, make_runtime
from shared.delivery_queue import pack
from shared.signatures import sign
from tests import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.result import Cell

# serverless.yml gives the functions this much.
LARGEST_MB = 512
LOAD, FULL_LOAD = 200, 2_000
MEGABYTE = 1024 * 1024
BLOCK = b"%PDF-1.7 " + os.urandom(MEGABYTE - 9)
BLOCKS = 100
PART = 4_000_000
BATCH = 10
WARM = "A warm answer"
DELIVERY_BYTES = 2_900_000
METHOD = """\
Each zip under AWS's own runtime client, in a process of its own, as for the cold start; resident memory from `/proc`.
*Idle* is after init, *first answer* after the first whole request, *load* the peak after {load} more of them, one after another as Lambda gives them.
*Large* is the peak of a fresh process after one large thing: for the webhook and the worker a delivery of {size:.1f} MB with 1,000 messages, for `worker, attachment` a document of 100 MB that is fetched from Meta, checked and put into Storage, for `meta_api, attachment` one answer of 4 MB out of that document (as much as Lambda lets through at once).
The stand-in answers for the database, for Meta and for Storage; a real database's answers are no larger.
"""  # noqa: E501 - a sentence a line


class MediaStandIn(StandIn):
    """Has one attachment of 100 MB, to be fetched once, and takes and gives its bytes."""

    digest = ""
    given = False
    stored = 0

    def give(self) -> None:
        """Answer with the attachment's facts or bytes, or as the others."""
        path = self.path.partition("?")[0]
        if path == "/v26.0/900":
            self._answer_json(
                {
                    "url": f"http://{self.headers['Host']}/bytes",
                    "mime_type": "application/pdf",
                    "sha256": self.digest,
                    "file_size": BLOCKS * MEGABYTE,
                }
            )
        elif path == "/rest/v1/message_media":
            self._answer_json(
                [
                    {
                        "organization_id": ROW_ID,
                        "mime_type": "application/pdf",
                        "sha256": self.digest,
                        "filename": "grande.pdf",
                        "state": "stored",
                        "byte_count": BLOCKS * MEGABYTE,
                    }
                ]
            )
        elif path == "/bytes":
            self._answer_bytes(200, BLOCKS * MEGABYTE)
        elif path.startswith("/storage/"):
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            self._answer_bytes(206, last - first + 1)
        else:
            super().give()

    def take(self) -> None:
        """Hand the job out once, take the bytes, or answer as the others."""
        path = self.path
        if path.startswith("/storage/"):
            left = int(self.headers["Content-Length"])
            while left:
                left -= len(self.rfile.read(min(MEGABYTE, left)))
            type(self).stored += 1
            self._answer_json({"Key": path})
            return
        if path == "/rest/v1/rpc/claim_jobs" and not self.given:
            type(self).given = True
            self.rfile.read(int(self.headers["Content-Length"]))
            job = {"id": 1, "kind": "fetch_media", "key": ROW_ID, "lease_token": 1, "attempts": 1}
            self._answer_json({"jobs": [{**job, "max_attempts": 5}], "next_seconds": None})
            return
        known: dict[str, Any] = {
            "/rest/v1/rpc/begin_media": {
                "message_id": ROW_ID, "organization_id": ROW_ID, "integration_id": ROW_ID, "state": "pending",
                "media_id": "900", "phone_number_id": "1", "mime_type": "application/pdf", "sha256": None,
                "twin": None, "is_old": False,
            },
            "/rest/v1/rpc/finish_media": True,
            "/rest/v1/rpc/find_media": {
                "organization_id": ROW_ID, "storage_path": f"{ROW_ID}/{self.digest}",
            },
        }  # fmt: skip
        if path in known:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer_json(known[path])
        else:
            super().take()

    def _answer_json(self, content: Any) -> None:
        body = json.dumps(content).encode()
        self._begin(200, len(body), "application/json")
        self.wfile.write(body)

    def _answer_bytes(self, status: int, count: int) -> None:
        self._begin(status, count, "application/pdf")
        while count:
            self.wfile.write(BLOCK[:count])
            count -= min(count, MEGABYTE)

    def _begin(self, status: int, length: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()


def measure(*, is_full: bool, tell: Callable[[str], None]) -> Result:
    """Run every function in each of its states."""
    python = find_python()
    load = FULL_LOAD if is_full else LOAD
    body = wire.to_wire(wire.batch(1_000, size=DELIVERY_BYTES))
    large = {
        "webhook": events.http_api(
            "POST",
            "/functions/v1/whatsapp-webhook",
            headers={"X-Hub-Signature-256": sign(body, ENVIRON["WHATSAPP_APP_SECRET"])},
            body=body,
        ),
        "worker": events.queue([pack(body, source=None)]),
    }
    attachment = {
        "worker": events.schedule(),
        "meta_api": events.http_api(
            "GET",
            f"/functions/v1/whatsapp-meta-api/media/{ROW_ID}",
            headers={**OF_A_USER, "Range": f"bytes=0-{PART - 1}"},
        ),
    }
    rows: list[list[Cell]] = []
    warm: list[list[Cell]] = []
    peaks: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="whatsapp-bench-") as name, _running_stand_in() as environ:
        folder = Path(name)
        tell("building the zips")
        runtime = make_runtime(folder / "runtime", with_boto3=True)
        zips = {
            function: build(function, "x86_64", into=folder, python=python, cache=folder).path
            for function in Sources().functions
        }

        def start(function: str) -> Lambda:
            handler = f"functions/{function}/handler.handler"
            return Lambda(zips[function], handler, environ, runtime=runtime, python=python, timeout=120)

        # The last of a function in the list is the one that does the most.
        events_of = {each.program: (each.work, each.event) for each in STARTS if each.program in zips}
        ten = [pack(DELIVERY, source=None) for _ in range(BATCH)]
        events_of["worker"] = (f"{BATCH} queued deliveries stored", events.queue(ten))
        for function, archive in zips.items():
            tell(function)
            MediaStandIn.given = True
            with start(function) as running:
                idle = running.memory_mb()[0]
                work, event = events_of[function]
                _check(running.invoke(event))
                first, used, logged = running.memory_mb()[0], running.cpu_ms(), len(running.read_output())
                began = time.perf_counter()
                for _ in range(load):
                    _check(running.invoke(event))
                took = (time.perf_counter() - began) * 1000 / load
                loaded, used = running.memory_mb()[1], (running.cpu_ms() - used) / load
                logged = round((len(running.read_output()) - logged) / load)
            warm.append([function, work, used, took, logged])
            rows.append(
                [function, idle, first, loaded, _peak(start, function, large), archive.stat().st_size / 1e6]
            )
            peaks[function] = max(loaded, float(rows[-1][4] or 0))
        for function in attachment:
            tell(f"{function} with an attachment")
            MediaStandIn.given = function != "worker"
            peak = _peak(start, function, attachment)
            rows.append([f"{function}, attachment", "", "", "", peak, ""])
            peaks[f"{function}, attachment"] = float(peak)
        if MediaStandIn.stored != 1:
            raise RuntimeError("The attachment did not arrive in Storage.")
    most = max(peaks, key=lambda name: peaks[name])
    return Result(
        name="memory",
        title="Memory and processor time",
        method=METHOD.format(load=load, size=len(body) / 1e6),
        tables=[
            Table(
                title="Resident memory, MB",
                columns=["function", "idle", "first answer", "load", "large", "zip MB"],
                rows=rows,
            ),
            Table(
                title=WARM,
                columns=["function", "what", "processor ms", "clock ms", "bytes logged"],
                rows=warm,
                note="The stand-in answers at once: what the database and Meta take is not in it.",
            ),
        ],
        aims=[
            Aim(
                text=f"everything within the {LARGEST_MB} MB that a function is given",
                measured=f"{peaks[most]:.0f} MB at most ({most})",
                is_met=peaks[most] < LARGEST_MB,
            )
        ],
    )


def _peak(start: Callable[[str], Lambda], function: str, given: Mapping[str, Any]) -> float | str:
    if function not in given:
        return ""
    with start(function) as running:
        _check(running.invoke(given[function]))
        return running.memory_mb()[1]


def _check(answer: Any) -> None:
    if answer.get("batchItemFailures") or answer.get("statusCode", 200) not in {200, 202, 206}:
        raise RuntimeError(str(answer)[:500])


@contextmanager
def _running_stand_in() -> Iterator[dict[str, str]]:
    digest = hashlib.sha256()
    for _ in range(BLOCKS):
        digest.update(BLOCK)
    MediaStandIn.digest = digest.hexdigest()
    MediaStandIn.stored = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), MediaStandIn)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield {**ENVIRON, "SUPABASE_URL": url, "GRAPH_API_URL": url, "GRAPH_API_VERSION": "v26.0"}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    sys.exit(main(measure))
