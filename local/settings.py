"""The settings of one start of the local stack: what the environment names, and what is made up for the rest.

No I/O but the choice of free ports.
"""

from __future__ import annotations

import base64
import random
import secrets
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HOST = "127.0.0.1"
# Below the ports that systems hand out to outgoing connections (Linux: from 32768), one of which could take a
# port between its choice and its use.
PORTS = range(20_000, 32_000)
GRAPH_API_VERSION = "v26.0"


class SettingsMissing(Exception):
    """The environment replaces a part of the stack but does not say how to reach it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the services are started with."""

    starts_postgres: bool
    starts_supabase: bool
    starts_graph: bool
    postgres_port: int
    supabase_port: int
    graph_port: int
    functions_port: int
    postgres_password: str
    supabase_jwt_secret: str
    variables: Mapping[str, str]
    """What `.local/env` says and the functions read; the simulator adds the platform's WABA and token."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Take what the environment names; raises `SettingsMissing`."""
        given = {name: text.strip() for name, text in environ.items() if text.strip()}
        starts_supabase = "SUPABASE_URL" not in given
        starts_postgres = starts_supabase and "DATABASE_URL" not in given
        starts_graph = "GRAPH_API_URL" not in given
        keys = {
            "SUPABASE_PUBLISHABLE_KEY": given.get("SUPABASE_PUBLISHABLE_KEY")
            or given.get("SUPABASE_ANON_KEY"),
            "SUPABASE_SECRET_KEY": given.get("SUPABASE_SECRET_KEY") or given.get("SUPABASE_SERVICE_ROLE_KEY"),
        }
        missing = [name for name, key in keys.items() if not starts_supabase and key is None]
        if missing:
            raise SettingsMissing(f"SUPABASE_URL is set, so {' and '.join(missing)} must be set too.")
        ports = _choose_ports(given, "POSTGRES_PORT", "SUPABASE_PORT", "GRAPH_PORT", "FUNCTIONS_PORT")
        postgres_password = secrets.token_hex(16)
        functions = f"http://{HOST}:{ports['FUNCTIONS_PORT']}"
        made_up = {
            "SUPABASE_URL": f"http://{HOST}:{ports['SUPABASE_PORT']}",
            "SUPABASE_PUBLISHABLE_KEY": f"sb_publishable_{secrets.token_urlsafe(24)}",
            "SUPABASE_SECRET_KEY": f"sb_secret_{secrets.token_urlsafe(24)}",
            "DATABASE_URL": ""
            if not starts_postgres
            else f"postgresql://postgres:{postgres_password}@{HOST}:{ports['POSTGRES_PORT']}/postgres",
            "FUNCTIONS_URL": f"{functions}/functions/v1",
            "DASHBOARD_URL": functions,
            "ALLOWED_ORIGINS": given.get("DASHBOARD_URL", functions),
            "GRAPH_API_URL": f"http://{HOST}:{ports['GRAPH_PORT']}",
            "GRAPH_API_VERSION": GRAPH_API_VERSION,
            "WHATSAPP_APP_ID": _digits(15),
            "WHATSAPP_APP_SECRET": secrets.token_hex(16),
            "WHATSAPP_CONFIG_ID": _digits(15),
            "WHATSAPP_WEBHOOK_VERIFY_TOKEN": secrets.token_urlsafe(24),
            "WHATSAPP_WEBHOOK_URL": f"{functions}/functions/v1/whatsapp-webhook",
            "WHATSAPP_BUSINESS_ACCOUNT_ID": "",
            "WHATSAPP_PHONE_NUMBER_ID": "",
            "WHATSAPP_ACCESS_TOKEN": "",
            "ENCRYPTION_KEYS": f"local:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "CRON_SECRET": secrets.token_urlsafe(24),
            "METRICS_TOKEN": secrets.token_urlsafe(24),
            "ALLOW_LOOPBACK_ENDPOINTS": "true",
            # Nobody pays for the simulator's codes.
            "VERIFICATIONS_PER_HOUR": "1000000",
            "LOG_LEVEL": "info",
        }
        # The functions of this start answer here, whatever other ones the environment knows.
        named = {name: given[name] for name in made_up if name in given and name != "FUNCTIONS_URL"}
        named |= {name: key for name, key in keys.items() if key}
        return cls(
            starts_postgres=starts_postgres,
            starts_supabase=starts_supabase,
            starts_graph=starts_graph,
            postgres_port=ports["POSTGRES_PORT"],
            supabase_port=ports["SUPABASE_PORT"],
            graph_port=ports["GRAPH_PORT"],
            functions_port=ports["FUNCTIONS_PORT"],
            postgres_password=postgres_password,
            supabase_jwt_secret=secrets.token_urlsafe(48),
            variables=made_up | named,
        )


def _choose_ports(given: Mapping[str, str], *names: str) -> dict[str, int]:
    """Choose a free port for each name that the environment does not give one to."""
    ports = {name: int(given[name]) for name in names if name in given}
    for name in names:
        while name not in ports:
            port = choose_port()
            if port not in ports.values():
                ports[name] = port
    return ports


def choose_port() -> int:
    """Choose a free port."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 # no secret
        if _is_free(port):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        try:
            tried.bind((HOST, port))
        except OSError:
            return False
        return True


def _digits(length: int) -> str:
    return "1" + "".join(secrets.choice("0123456789") for _ in range(length - 1))
