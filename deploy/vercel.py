"""Rehearses a deployment to Vercel without an account: its own command line builds, its own runtime answers.

python -m deploy.vercel

vercel.json goes through the validator that the command line carries (the published schema, compiled), `vercel
build` makes the functions of a copy of the sources, and each starts from what was made, under Vercel's Python
runtime, and answers a request that the routes lead to it. Only Vercel shows a deployment, crons, and regions.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from deploy.build import LARGEST, find_python
from deploy.imports import ROOT
from deploy.serverless import REHEARSAL
from local.programs import find_node, find_npm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER = ROOT / "deploy" / "vercel_cli"
PROJECT = {"projectId": "prj_rehearsal", "orgId": "team_rehearsal", "settings": {"framework": None}}
VALIDATE = """
import { readFileSync } from "node:fs";
const { getConfigValidator } = await import(process.argv[1]);
const validate = getConfigValidator();
validate(JSON.parse(readFileSync(process.argv[2], "utf8")));
console.log(JSON.stringify(validate.errors ?? []));
"""
# Requests that the routes must lead to a function, which refuses them: nobody has signed in, or signed.
REQUESTS = {
    "/functions/v1/whatsapp-oauth/status": ("GET", "missing_token"),
    "/functions/v1/whatsapp-meta-api/number": ("GET", "missing_token"),
    "/functions/v1/whatsapp-webhook": ("POST", "bad_signature"),
    "/api/webhooks/whatsapp": ("POST", "bad_signature"),
    "/functions/v1/whatsapp-send-message/": ("POST", "missing_token"),
    "/api/whatsapp-worker": ("GET", "missing_token"),
    "/metrics": ("GET", "missing_token"),
}
SECRETS = {
    "SUPABASE_SECRET_KEY": "sb_secret_rehearsal",
    "ENCRYPTION_KEYS": "rehearsal:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    "WHATSAPP_APP_SECRET": "0123456789abcdef0123456789abcdef",
    "WHATSAPP_WEBHOOK_VERIFY_TOKEN": "a-verify-token-of-the-rehearsal",
    "CRON_SECRET": "a-cron-secret-of-the-rehearsal",
    "METRICS_TOKEN": "a-metrics-token-of-the-rehearsal",
}
STARTS_WITHIN = 60.0


def validate(config: Path) -> list[dict[str, Any]]:
    """Return what Vercel's own validator has against a vercel.json."""
    validator = _install() / "vercel" / "dist" / "chunks" / "config-validator.mjs"
    said = _run([str(find_node()), "--input-type=module", "-e", VALIDATE, "--", str(validator), str(config)])
    errors: list[dict[str, Any]] = json.loads(said)
    return errors


def build(folder: Path) -> Path:
    """Build a copy of the sources in this empty folder; return what was made."""
    kept = _run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
    for name in filter(None, kept.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    (folder / ".vercel").mkdir()
    (folder / ".vercel" / "project.json").write_text(json.dumps(PROJECT), "utf-8")
    pythons = [str(Path(find_python()).parent), str(Path(sys.executable).parent), str(find_node().parent)]
    environ = {
        **os.environ,
        "PATH": os.pathsep.join([*pythons, os.environ.get("PATH", "")]),
        "VERCEL_PYTHON_COMPILEALL": "1",
        "VERCEL_TELEMETRY_DISABLED": "1",
    }
    command = [str(find_node()), str(_install() / "vercel" / "dist" / "vc.js"), "build", "--yes"]
    _run(command, cwd=folder, environ=environ)
    return folder / ".vercel" / "output"


def look_through(output: Path, folder: Path) -> list[str]:
    """Return what is wrong with what was built."""
    wrong = []
    wanted = {path.stem for path in (ROOT / "api").glob("*.py")}
    made = {path.stem for path in (output / "functions" / "api").glob("*.func")}
    if made != wanted:
        wrong.append(f"functions: {sorted(made ^ wanted)}")
    published = {path.name for path in (output / "static").rglob("*") if path.is_file()}
    if published != {path.name for path in (ROOT / "public").iterdir()}:
        wrong.append(f"published: {sorted(published)}")
    for name in sorted(made & wanted):
        settings = json.loads((_made(output, name) / ".vc-config.json").read_text("utf-8"))
        size = sum((folder / path).stat().st_size for path in settings["filePathMap"].values())
        print(f"{name}: {settings['runtime']}, {size / 1e6:.1f} MB")
        if size > LARGEST or not any(path.endswith(".pyc") for path in settings["filePathMap"]):
            wrong.append(f"{name}: {size} bytes, or without bytecode")
    return wrong


def answer_all(output: Path, folder: Path) -> list[str]:
    """Start each function as Vercel does, and ask for each path; return what was answered wrongly."""
    wrong = []
    for path, (method, code) in REQUESTS.items():
        name = _target_of(output, path)
        with _running(output, folder, name) as (url, started):
            answer = httpx.request(method, f"{url}{path}", content=b"{}", headers=_HEADERS, trust_env=False)
            found = answer.json()["error"]["code"]
            print(f"{method} {path} -> {name}: {answer.status_code} {found}, started in {started} ms")
            if found != code:
                wrong.append(f"{path}: {answer.status_code} {answer.text}")
    return wrong


# What Vercel's proxy adds to a request.
_HEADERS = {"x-vercel-internal-invocation-id": "1", "x-vercel-internal-request-id": "1"}


def _target_of(output: Path, path: str) -> str:
    """Follow the routes that were built, as Vercel's edge does: files first, then the first that fits."""
    if (output / "functions" / f"{path.lstrip('/')}.func").is_dir():
        return path.rpartition("/")[2]
    routes = json.loads((output / "config.json").read_text("utf-8"))["routes"]
    destination = next(each["dest"] for each in routes if "dest" in each and re.search(each["src"], path))
    if "?" in destination:
        raise ValueError(f"{path}: {destination} would change the query.")
    return str(destination.rpartition("/")[2])


@contextmanager
def _running(output: Path, folder: Path, name: str) -> Iterator[tuple[str, int]]:
    """Run a function in a folder that holds what was built for it and nothing else."""
    made = _made(output, name)
    settings = json.loads((made / ".vc-config.json").read_text("utf-8"))
    with tempfile.TemporaryDirectory() as place, socket.socket(socket.AF_UNIX) as listener:
        for inner, source in settings["filePathMap"].items():
            (Path(place) / inner).parent.mkdir(parents=True, exist_ok=True)
            os.link(folder / source, Path(place) / inner)
        for file in made.glob("*.py"):
            shutil.copyfile(file, Path(place) / file.name)
        listener.bind(f"{place}/ipc.sock")
        listener.listen()
        listener.settimeout(STARTS_WITHIN)
        environ = {**REHEARSAL, **SECRETS, **settings["environment"], "VERCEL_IPC_PATH": f"{place}/ipc.sock"}
        process = subprocess.Popen(
            [find_python(), f"{settings['handler'].rpartition('.')[0]}.py"], cwd=place, env=environ
        )
        try:
            connection, _ = listener.accept()
            with connection:
                told = _read_start(connection)
                yield f"http://127.0.0.1:{told['httpPort']}", told["initDuration"]
        finally:
            process.kill()
            process.wait()


def _read_start(connection: socket.socket) -> Mapping[str, Any]:
    connection.settimeout(STARTS_WITHIN)
    read = b""
    while b"\0" not in read:
        if not (more := connection.recv(65536)):
            raise RuntimeError("The function ended before it had started.")
        read += more
    message = json.loads(read.partition(b"\0")[0])
    if message["type"] != "server-started":
        raise RuntimeError(message["payload"]["message"])
    payload: Mapping[str, Any] = message["payload"]
    return payload


def _made(output: Path, name: str) -> Path:
    return output / "functions" / "api" / f"{name}.func"


def _install() -> Path:
    modules = FOLDER / "node_modules"
    if not (modules / "vercel").is_dir():
        path = os.pathsep.join([str(find_node().parent), os.environ.get("PATH", "")])
        # Not `ci`: of the native parts for other systems, which it would miss, some registries have none.
        command = [str(find_node()), str(find_npm()), "install", "--no-save", "--silent", "--ignore-scripts"]
        _run(command, cwd=FOLDER, environ={**os.environ, "PATH": path})
    return modules


def _run(command: list[str], *, cwd: Path = ROOT, environ: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} …:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def main() -> int:
    """Rehearse, and tell; 1 where something is wrong."""
    wrong = [f"vercel.json: {error}" for error in validate(ROOT / "vercel.json")]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        output = build(folder)
        wrong += look_through(output, folder) + answer_all(output, folder)
    print("\n".join(wrong) or "Nothing is wrong.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
