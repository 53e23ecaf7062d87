"""Puts a built zip into its deployed function, and leaves everything else of it as it is.

python -m deploy.function webhook --stage prod [--arch arm64]

`osls deploy function` would write the environment of serverless.yml too, and Lambda reads no references to
secrets: only CloudFormation does. A change of serverless.yml goes out with the whole stack.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import re
import sys
from typing import TYPE_CHECKING

import boto3

from deploy.build import DIST, PLATFORMS
from deploy.imports import Sources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SERVICE = "whatsapp-functions"


def name_of(function: str, stage: str) -> str:
    """Return the deployed name: serverless.yml calls meta_api metaApi."""
    own = re.sub(r"_(\w)", lambda match: match[1].upper(), function)
    return f"{SERVICE}-{stage}-{own}"


def region_of(environ: Mapping[str, str]) -> str:
    """Return where the stack is, as serverless.yml decides it; boto3 by itself does not read AWS_REGION."""
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def put(name: str, archive: Path, arch: str) -> None:
    """Upload a zip and wait until it answers; raise when what is then there is something else."""
    client = boto3.client("lambda", region_name=region_of(os.environ))
    content = archive.read_bytes()
    client.update_function_code(FunctionName=name, ZipFile=content, Architectures=[arch])
    client.get_waiter("function_updated_v2").wait(FunctionName=name)
    found = client.get_function_configuration(FunctionName=name)["CodeSha256"]
    if found != base64.b64encode(hashlib.sha256(content).digest()).decode():
        raise RuntimeError(f"{name} holds something else than {archive.name}.")


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("functions", nargs="+", choices=Sources().functions, metavar="function")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--arch", default="arm64", choices=sorted(PLATFORMS))
    chosen = parser.parse_args()
    for function in chosen.functions:
        archive = DIST / f"{function}-{chosen.arch}.zip"
        if not archive.is_file():
            parser.error(f"{archive.name} is not built: make package")
        name = name_of(function, chosen.stage)
        put(name, archive, chosen.arch)
        print(f"{name}: {archive.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
