"""Files of `NAME=value` lines, such as `.local/env`, for dotenv libraries and a shell's `source`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_HARMLESS = re.compile(r"[\w@%+=:,./?~-]*")


def write(path: Path, variables: Mapping[str, str]) -> None:
    """Write the file at once and whole, for its owner's eyes only."""
    lines = [f"{name}={_quote(text)}\n" for name, text in variables.items()]
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(
        os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.writelines(lines)
    draft.replace(path)


def read(path: Path) -> dict[str, str]:
    """Read what `write` wrote."""
    pairs = (line.split("=", 1) for line in path.read_text("utf-8").splitlines() if "=" in line)
    return {name: _unquote(text) for name, text in pairs}


def _quote(text: str) -> str:
    # Bare wherever a shell takes it so: simple readers keep quotes.
    return text if _HARMLESS.fullmatch(text) else "'" + text.replace("'", "'\\''") + "'"


def _unquote(text: str) -> str:
    return text[1:-1].replace("'\\''", "'") if text.startswith("'") else text
