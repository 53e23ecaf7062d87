"""Cold starts: each function's zip beside the conventional stack, under AWS's runtime client, in one run.

python bench/cold_start.py [--rounds 10] [--json FILE]

The time from the start of the process to its first answer, the median of the rounds. The conventional stack
is FastAPI + Mangum + supabase's umbrella client + httpx + cryptography, in the usual form, with the same
bytecode. Rounds are interleaved, so that whatever else the machine does meets all alike: compare rows.

Our first answers load all that a whole request needs and ask the database once; a stand-in stores the
webhook's delivery, and refuses the worker's and the users' tokens of the others. The conventional stack asks
the same stand-in, and is refused too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from deploy import events
from deploy.build import LOCK, build, compile_bytecode, find_python, install, write_zip
from deploy.imports import Sources
from deploy.requirements import read_lock, resolve, to_text
from deploy.runtime import Lambda, make_runtime
from shared.delivery_queue import pack
from shared.signatures import sign

CONVENTIONAL = """
import os
import httpx
from cryptography.fernet import Fernet
from fastapi import FastAPI
from mangum import Mangum
from pydantic import BaseModel
from supabase import create_client

app = FastAPI()
fernet = Fernet(os.environ["FERNET_KEY"])
supabase = create_client(os.environ["SUPABASE_URL"], os.environ["SUPABASE_SECRET_KEY"])
graph = httpx.AsyncClient(base_url="https://graph.facebook.com")


class Body(BaseModel):
    to: str
    text: str


@app.get("/{path:path}")
def look(path: str):
    try:
        return supabase.rpc("my_connection", {}).execute().data
    except Exception:
        return {"refused": path}


@app.post("/{path:path}")
async def send(path: str, body: Body):
    return {"to": body.to}


handler = Mangum(app, lifespan="off")
"""
ENVIRON = {
    "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_bench",
    "SUPABASE_SECRET_KEY": "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.bench",
    "ENCRYPTION_KEYS": "a:" + "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    "FERNET_KEY": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=",
    "WHATSAPP_APP_SECRET": "0123456789abcdef0123456789abcdef",
    "WHATSAPP_WEBHOOK_VERIFY_TOKEN": "bench-verify-token",
    "WHATSAPP_APP_ID": "100000000000001",
    "CRON_SECRET": "bench-cron-secret-0123",
}
DELIVERY = json.dumps(
    {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": "1",
                "changes": [
                    {
                        "field": "messages",
                        "value": {
                            "messaging_product": "whatsapp",
                            "metadata": {"display_phone_number": "15550100000", "phone_number_id": "1"},
                            "contacts": [{"wa_id": "15550100001", "profile": {"name": "Ana"}}],
                            "messages": [
                                {
                                    "id": "wamid.bench",
                                    "from": "15550100001",
                                    "timestamp": "1795478400",
                                    "type": "text",
                                    "text": {"body": "hola"},
                                }
                            ],
                        },
                    }
                ],
            }
        ],
    }
).encode()
STORED = {"event_id": 1, "state": "stored", "is_duplicate": False, "items": 1, "problems": 0}
OF_A_USER = {"Authorization": "Bearer a.b.c"}
MESSAGE = json.dumps({"to": "+15550100001", "type": "text", "text": {"body": "hola"}}).encode()
FIRST: dict[str, dict[str, Any]] = {
    "webhook": events.http_api(
        "POST",
        "/functions/v1/whatsapp-webhook",
        headers={"X-Hub-Signature-256": sign(DELIVERY, ENVIRON["WHATSAPP_APP_SECRET"])},
        body=DELIVERY,
    ),
    "oauth": events.http_api("GET", "/functions/v1/whatsapp-oauth/status", headers=OF_A_USER),
    "meta_api": events.http_api("GET", "/functions/v1/whatsapp-meta-api/number", headers=OF_A_USER),
    "send_message": events.http_api(
        "POST", "/functions/v1/whatsapp-send-message", headers=OF_A_USER, body=MESSAGE
    ),
    # One that is not stored keeps the run from going on to other work.
    "worker": events.queue([pack(DELIVERY.replace(b"wamid.bench", b"wamid.refused"), source=None)]),
    "conventional": events.http_api("GET", "/hello"),
}
EXPECTED = {"webhook": 200, "oauth": 401, "meta_api": 401, "send_message": 401, "conventional": 200}


class StandIn(BaseHTTPRequestHandler):
    """A database's edge that stores every delivery and knows no user."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer any RPC."""
        asked = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        is_delivery = self.path.endswith("/store_delivery") and b"wamid.refused" not in asked
        body = json.dumps(STORED if is_delivery else {"code": "PGRST301", "message": "JWT"}).encode()
        self.send_response(200 if is_delivery else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def build_conventional(folder: Path, python: str) -> Path:
    """Make the zip that most would make, with the bytecode that ours have."""
    stage = folder / "conventional"
    lock = read_lock(LOCK.read_text("utf-8"))
    names = ("mangum", "supabase", "httpx", "cryptography", "pydantic")
    libraries = dict.fromkeys(names, "the conventional stack")
    install(to_text(resolve(libraries, lock), lock), stage, None)
    install_fastapi(stage)
    (stage / "handler.py").write_text(CONVENTIONAL, "utf-8")
    compile_bytecode(stage, python)
    path = folder / "conventional.zip"
    write_zip({file.relative_to(stage).as_posix(): file for file in stage.rglob("*") if file.is_file()}, path)
    return path


def install_fastapi(stage: Path) -> None:
    """FastAPI is no dependency of ours: its newest version, with what it requires beyond the rest."""
    subprocess.run(
        [
            *(str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--only-binary", ":all:"),
            *("--target", str(stage), "--python", sys.executable, "--python-version", "3.13"),
            *("--link-mode", "copy", "fastapi>=0.120", "starlette==1.10.0", "pydantic==2.14.3"),
        ],
        check=True,
    )


def measure(
    function: str, path: Path, handler: str, environ: dict[str, str], runtime: Path, python: str
) -> tuple[float, float, float]:
    """Start a function once; return init, first answer, and both in processor time, in milliseconds."""
    with Lambda(path, handler, environ, runtime=runtime, python=python) as started:
        began = time.perf_counter()
        answer = started.invoke(FIRST[function])
        first = (time.perf_counter() - began) * 1000
        assert answer.get("statusCode") == EXPECTED.get(function), (function, answer)
        return started.init_ms, first, started.cpu_ms()


def main() -> None:
    """Build, measure in turns, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    python = find_python()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        environ = {**ENVIRON, "SUPABASE_URL": f"http://127.0.0.1:{server.server_address[1]}"}
        runtime = make_runtime(folder / "runtime", with_boto3=True)
        built = {
            function: build(function, "x86_64", into=folder, python=python, cache=folder)
            for function in Sources().functions
        }
        zips = {
            function: (each.path, f"functions/{function}/handler.handler") for function, each in built.items()
        }
        zips["conventional"] = (build_conventional(folder, python), "handler.handler")
        times: dict[str, list[tuple[float, float, float]]] = {function: [] for function in zips}
        for turn in range(chosen.rounds + 1):
            for function, (path, handler) in zips.items():
                taken = measure(function, path, handler, environ, runtime, python)
                # The first round warms the disk's cache.
                if turn:
                    times[function].append(taken)
        rows = []
        for function, taken in times.items():
            rows.append(
                {
                    "function": function,
                    "init_ms": round(statistics.median(each[0] for each in taken), 1),
                    "first_ms": round(statistics.median(each[1] for each in taken), 1),
                    "total_ms": round(statistics.median(each[0] + each[1] for each in taken), 1),
                    "cpu_ms": round(statistics.median(each[2] for each in taken), 1),
                    "zip_mb": round(zips[function][0].stat().st_size / 1e6, 1),
                }
            )
    conventional = next(row for row in rows if row["function"] == "conventional")
    print(f"Medians of {chosen.rounds} in ms; ratios to the conventional stack: clock, processor")
    print(
        f"{'function':<14}{'init':>8}{'first':>8}{'total':>8}{'ratio':>7}{'cpu':>8}{'ratio':>7}{'zip MB':>8}"
    )
    for row in rows:
        row["ratio"] = round(row["total_ms"] / conventional["total_ms"], 2)
        row["cpu_ratio"] = round(row["cpu_ms"] / conventional["cpu_ms"], 2)
        print(
            f"{row['function']:<14}{row['init_ms']:>8}{row['first_ms']:>8}{row['total_ms']:>8}"
            f"{row['ratio']:>7}{row['cpu_ms']:>8}{row['cpu_ratio']:>7}{row['zip_mb']:>8}"
        )
    if chosen.json:
        chosen.json.write_text(json.dumps({"rounds": chosen.rounds, "rows": rows}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
