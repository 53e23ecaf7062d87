"""The services of the local stack: how each is started, and when it is healthy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local.postgres import is_answering
from local.programs import ROOT, find_node
from local.settings import HOST

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from local.postgres import Postgres
    from local.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Service:
    """A program that runs as long as the stack."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    is_healthy: Callable[[], Awaitable[bool]]
    address: str
    stop_signal: signal.Signals = signal.SIGTERM
    subprocess_arguments: Mapping[str, Any] = field(default_factory=dict)


def postgres_service(postgres: Postgres, url: str) -> Service:
    """Our own database server."""
    return Service(
        name="postgres",
        command=postgres.command,
        environ={"PATH": os.environ.get("PATH", ""), "LC_MESSAGES": "C"},
        is_healthy=lambda: is_answering(url),
        address=f"{HOST}:{postgres.port}",
        # "Fast": it closes the connections that are open and does not wait for their end.
        stop_signal=signal.SIGINT,
        subprocess_arguments=postgres.subprocess_arguments,
    )


def supabase_service(settings: Settings, storage: Path, mail: Path) -> Service:
    """PostgREST, GoTrue and Storage in one process; its mails are files in a folder."""
    variables = settings.variables
    return Service(
        name="supabase",
        command=[str(find_node()), str(ROOT / "local" / "supabase.mjs")],
        environ=_surroundings()
        | {
            "DATABASE_URL": variables["DATABASE_URL"],
            "SUPABASE_PUBLISHABLE_KEY": variables["SUPABASE_PUBLISHABLE_KEY"],
            "SUPABASE_SECRET_KEY": variables["SUPABASE_SECRET_KEY"],
            "SUPABASE_JWT_SECRET": settings.supabase_jwt_secret,
            "SUPABASE_PORT": str(settings.supabase_port),
            "SUPABASE_STORAGE_DIR": str(storage),
            "SUPABASE_MAIL_DIR": str(mail),
            "SUPABASE_URL": variables["SUPABASE_URL"],
            "DASHBOARD_URL": variables["DASHBOARD_URL"],
        },
        is_healthy=lambda: _is_ok(
            f"http://{HOST}:{settings.supabase_port}/auth/v1/health",
            {"apikey": variables["SUPABASE_PUBLISHABLE_KEY"]},
        ),
        address=variables["SUPABASE_URL"],
    )


def graph_service(settings: Settings) -> Service:
    """Our simulator in the place of Meta's Graph API."""
    names = ("APP_ID", "APP_SECRET", "WEBHOOK_VERIFY_TOKEN", "WEBHOOK_URL")
    return Service(
        name="graph",
        command=[sys.executable, "-m", "local.graph", "--host", HOST, "--port", str(settings.graph_port)],
        environ=_surroundings()
        | {f"WHATSAPP_{name}": settings.variables[f"WHATSAPP_{name}"] for name in names},
        is_healthy=lambda: _is_ok(f"http://{HOST}:{settings.graph_port}/_simulator/health"),
        address=settings.variables["GRAPH_API_URL"],
    )


def functions_service(settings: Settings, variables: Mapping[str, str]) -> Service:
    """All functions behind one address."""
    # A function reaches the database through Supabase only: a superuser's way in would hide its mistakes.
    known = {name: text for name, text in variables.items() if name != "DATABASE_URL"}
    return Service(
        name="functions",
        command=[sys.executable, "-m", "local.functions", str(settings.functions_port)],
        environ=_surroundings() | known,
        is_healthy=lambda: _is_ok(f"http://{HOST}:{settings.functions_port}/health"),
        address=variables["FUNCTIONS_URL"],
    )


def worker_service(variables: Mapping[str, str]) -> Service:
    """Do what nobody waits for: queued messages, attachments, bots, events of organizations, upkeep."""
    known = {name: text for name, text in variables.items() if name != "DATABASE_URL"}
    return Service(
        name="worker",
        command=[sys.executable, "-m", "functions.worker"],
        environ=_surroundings() | known,
        is_healthy=_is_taken_for_granted,
        address="no address: it asks the database for work",
    )


async def _is_taken_for_granted() -> bool:
    # It serves nobody. If it ends, the supervisor sees it.
    return True


async def found_platform(settings: Settings) -> dict[str, str]:
    """Give the platform its own WABA, number and token in the simulated world, and return their variables."""
    names = {
        "WHATSAPP_BUSINESS_ACCOUNT_ID": "waba_id",
        "WHATSAPP_PHONE_NUMBER_ID": "phone_number_id",
        "WHATSAPP_ACCESS_TOKEN": "access_token",
    }
    wanted = {theirs: settings.variables[ours] for ours, theirs in names.items() if settings.variables[ours]}
    request = urllib.request.Request(
        f"http://{HOST}:{settings.graph_port}/_simulator/businesses",
        data=json.dumps({"name": "Platform", "subscribed": True, **wanted}).encode(),
        headers={"content-type": "application/json"},
    )

    def ask() -> dict[str, Any]:
        with _OPENER.open(request, timeout=10) as answer:
            business: dict[str, Any] = json.load(answer)
            return business

    business = await asyncio.to_thread(ask)
    return {ours: str(business[theirs]) for ours, theirs in names.items()}


# Straight to this machine, whatever proxy the environment names.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


async def _is_ok(url: str, headers: Mapping[str, str] | None = None) -> bool:
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 # our own address

    def ask() -> bool:
        try:
            with _OPENER.open(request, timeout=2) as answer:
                return bool(answer.status == 200)  # noqa: PLR2004
        except (OSError, urllib.error.URLError):
            return False

    return await asyncio.to_thread(ask)


def _surroundings() -> dict[str, str]:
    """Return the environment that every service gets: the developer's, without what is the stack's own."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("SUPABASE_", "WHATSAPP_", "PG")) and name != "DATABASE_URL"
    }
    direct = ",".join(filter(None, [kept.get("NO_PROXY") or kept.get("no_proxy"), HOST, "localhost"]))
    return kept | {"NO_PROXY": direct, "no_proxy": direct, "PYTHONUNBUFFERED": "1"}
