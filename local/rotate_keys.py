"""Re-encrypts every secret with the first key of ENCRYPTION_KEYS: `make rotate-keys`.

1. Put a new key in front of ENCRYPTION_KEYS everywhere, keep the old ones behind it, and deploy.
2. Run this; it may be interrupted and run again.
3. When it finds nothing more, take the old keys away.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING

from local.stack import find
from shared.errors import AppError
from shared.key_rotation import Rotation, rotate_keys
from shared.web import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

NEED = ("SUPABASE_URL", "SUPABASE_SECRET_KEY", "ENCRYPTION_KEYS")


async def rotate(environ: Mapping[str, str], *, is_dry_run: bool) -> Rotation:
    """Rotate what the environment names."""
    tools = Resources(environ, NEED, None)
    try:
        service = tools.database.as_service()
        return await rotate_keys(service, tools.keys, tell=_tell, is_dry_run=is_dry_run)
    finally:
        await tools.close()


def _tell(rotation: Rotation) -> None:
    print(f"{rotation.rotated + rotation.overtaken} of {rotation.total} rows", flush=True)


def main() -> int:
    """Read the arguments and rotate; 1 when rows are left that no key opens."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dry-run", action="store_true", help="only count what is to be done")
    arguments = parser.parse_args()
    environ = dict(os.environ)
    stack = find()
    if stack is not None and "SUPABASE_URL" not in environ:
        environ |= stack.variables
    environ["LOG_LEVEL"] = "error"
    try:
        rotation = asyncio.run(rotate(environ, is_dry_run=arguments.dry_run))
    except AppError as refusal:
        print(refusal.sentence("en"))
        return 1
    for row in rotation.unreadable:
        print(f"no key opens {row}")
    if arguments.dry_run:
        print("Nothing was changed.")
    return 1 if rotation.unreadable else 0


if __name__ == "__main__":
    sys.exit(main())
