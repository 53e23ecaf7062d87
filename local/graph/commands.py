"""The command line: `serve`, which is what happens without a word."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from local.graph.app import create_simulator
from local.graph.simulator import Simulator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEFAULT_PORT = 4004


def main(arguments: Sequence[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Read the command line and do what it says; returns the exit code."""
    wanted = _parser().parse_args(arguments)
    return _serve(wanted, os.environ if environ is None else environ)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.graph",
        description="A faithful simulator of Meta's WhatsApp Cloud API. Point your client's base URL here.",
        epilog="The environment gives the platform's Meta app: WHATSAPP_APP_ID, WHATSAPP_APP_SECRET, "
        "WHATSAPP_WEBHOOK_VERIFY_TOKEN, WHATSAPP_WEBHOOK_URL. Everything else: docs/simulator.md.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=_DEFAULT_PORT, help="port (default: %(default)s)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep the state in this file")
    parser.add_argument("--seed", type=int, help="make the same ids at every start")
    parser.add_argument("--public-url", help="base of the URLs that the simulator hands out")
    return parser


def _serve(wanted: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from local.graph.server import serve

    base_url = wanted.public_url or f"http://{wanted.host}:{wanted.port}"
    simulator = Simulator(seed=wanted.seed, state_file=wanted.state, base_url=base_url)
    app_id = environ.get("WHATSAPP_APP_ID")
    if app_id:
        simulator.set_platform_app(
            app_id,
            environ.get("WHATSAPP_APP_SECRET") or simulator.ids.secret(),
            environ.get("WHATSAPP_WEBHOOK_VERIFY_TOKEN"),
            environ.get("WHATSAPP_WEBHOOK_URL") or None,
        )
    app = simulator.platform_app
    print(
        f"Graph simulator: {base_url} (app {app.id}; page and control API: {base_url}/_simulator)", flush=True
    )
    serve(create_simulator(simulator), wanted.host, wanted.port)
    return 0
