"""Rehearses a deployment without an account: `osls deploy` into moto's server, then each function by itself.

python -m deploy.rehearse [--arch x86_64]

moto's CloudFormation knows no HTTP API and no alarms and skips them; the rest of the template is made.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import logging
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import moto.cloudformation.models
import moto.cloudformation.utils
from moto.server import ThreadedMotoServer

from deploy.build import DIST
from deploy.function import name_of, put
from deploy.imports import Sources
from deploy.serverless import REHEARSAL, osls

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRETS = (
    "SUPABASE_SECRET_KEY", "ENCRYPTION_KEYS", "WHATSAPP_APP_SECRET", "WHATSAPP_WEBHOOK_VERIFY_TOKEN",
    "WHATSAPP_ACCESS_TOKEN",
)  # fmt: skip
REGION = "us-east-1"


def rehearse(arch: str) -> dict[str, Any]:
    """Deploy, read back, remove; return what was found."""
    _take_warnings_for_what_they_are()
    here = Path.cwd()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    # moto writes the template into the working folder to have it linted.
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    aws = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "rehearsal",
        "AWS_SECRET_ACCESS_KEY": "rehearsal",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    os.environ.update(aws)
    try:
        values = {name: f"rehearsed-{name.lower()}" for name in SECRETS}
        boto3.client("secretsmanager").create_secret(
            Name="whatsapp-functions/dev", SecretString=json.dumps(values)
        )
        environ: Mapping[str, str] = {**REHEARSAL, **aws}
        osls("deploy", "--stage", "dev", "--param", f"arch={arch}", environ=environ)
        before = _read_back()["functions"]
        _put_one_by_one(Path(folder), arch)
        found = _read_back()
        found["is_same_one_by_one"] = found["functions"] == before
        osls("remove", "--stage", "dev", "--param", f"arch={arch}", environ=environ)
        found["left_functions"] = len(boto3.client("lambda").list_functions()["Functions"])
        return found
    finally:
        for name in aws:
            os.environ.pop(name, None)
        server.stop()
        os.chdir(here)
        shutil.rmtree(folder)


def _put_one_by_one(folder: Path, arch: str) -> None:
    """Deploy something else into each function alone, then its own zip again."""
    other = folder / "other.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("nothing.txt", "")
    for function in Sources().functions:
        put(name_of(function, "dev"), other, arch)
        put(name_of(function, "dev"), DIST / f"{function}-{arch}.zip", arch)


def _read_back() -> dict[str, Any]:
    functions = boto3.client("lambda").list_functions()["Functions"]
    mappings = boto3.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    return {
        "functions": {
            each["Handler"]: {
                "sha256": each["CodeSha256"],
                "runtime": each["Runtime"],
                "variables": dict(each["Environment"]["Variables"]),
            }
            for each in functions
        },
        "queues": boto3.client("sqs").list_queues().get("QueueUrls", []),
        "mappings": [each["EventSourceArn"].rpartition(":")[2] for each in mappings],
        "topics": [each["TopicArn"] for each in boto3.client("sns").list_topics()["Topics"]],
    }


def digest_of(function: str, arch: str) -> str:
    """Return a built zip's digest as Lambda shows it."""
    return base64.b64encode(hashlib.sha256((DIST / f"{function}-{arch}.zip").read_bytes()).digest()).decode()


def _take_warnings_for_what_they_are() -> None:
    """Let moto refuse a template for errors alone; it takes a linter's warnings for such."""
    validate = moto.cloudformation.utils.validate_template_cfn_lint

    def errors_of(template: str) -> list[Any]:
        return [each for each in validate(template) if str(each.rule.id).startswith("E")]

    vars(moto.cloudformation.models)["validate_template_cfn_lint"] = errors_of


def main() -> int:
    """Rehearse, and tell; 1 where what was deployed is not what was built."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--arch", default="x86_64")
    arch = parser.parse_args().arch
    found = rehearse(arch)
    found["unresolved"] = sorted(
        {
            name
            for each in found["functions"].values()
            for name, value in each["variables"].items()
            if "{{resolve" in str(value)
        }
    )
    shown = {name: each["sha256"] for name, each in found["functions"].items()}
    print(json.dumps({**found, "functions": shown}, indent=2))
    built = {f"functions/{each}/handler.handler": digest_of(each, arch) for each in Sources().functions}
    is_same = shown == built and found["is_same_one_by_one"]
    said = "What was built is what was deployed; a secret is read by CloudFormation alone (unresolved, here)."
    print(said if is_same else "What was deployed is not what was built: see functions.", file=sys.stderr)
    return int(not is_same)


if __name__ == "__main__":
    sys.exit(main())
