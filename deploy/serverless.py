"""Runs osls, the licence-free Serverless, as deploy/package-lock.json pins it; installs it on first use."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from deploy.imports import ROOT
from local.programs import find_node, find_npm

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FOLDER = ROOT / "deploy"
# Values for where nothing is deployed: a rehearsal, and the tests.
REHEARSAL = {
    "SUPABASE_URL": "https://project.supabase.co",
    "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_rehearsal",
    "DASHBOARD_URL": "https://app.example.com",
    "WHATSAPP_WEBHOOK_URL": "https://api.example.com/functions/v1/whatsapp-webhook",
    "WHATSAPP_APP_ID": "100000000000001",
    "WHATSAPP_CONFIG_ID": "100000000000002",
    "WHATSAPP_BUSINESS_ACCOUNT_ID": "100000000000003",
    "WHATSAPP_PHONE_NUMBER_ID": "100000000000004",
}


def osls(*arguments: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run it in the project's folder; raise with its own words when it fails."""
    done = subprocess.run(
        [str(find_node()), str(_install() / "osls" / "bin" / "serverless.js"), *arguments],
        cwd=ROOT,
        env={**_paths(), **environ, "SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"osls {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}")
    return done


def _install() -> Path:
    modules = FOLDER / "node_modules"
    if not (modules / "osls").is_dir():
        subprocess.run(
            [str(find_node()), str(find_npm()), "ci", "--silent", "--ignore-scripts"],
            cwd=FOLDER,
            env={**os.environ, **_paths()},
            check=True,
        )
    return modules


def _paths() -> dict[str, str]:
    path = os.pathsep.join([str(find_node().parent), os.environ.get("PATH", "")])
    return {"PATH": path, "HOME": os.environ.get("HOME", "/")}
