"""Where the evidence about Meta lies that is not in the repository: recorded exchanges, its documents.

`../shared` beside the project, or the folder that the variable EVIDENCE names. Without them some tests are
skipped; CONTRIBUTING.md tells which.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BESIDE = Path(__file__).resolve().parents[2] / "shared"


def folder_of(environ: Mapping[str, str]) -> Path:
    """Return the folder that an environment names, or the one beside the project."""
    return Path(environ.get("EVIDENCE") or BESIDE)


FOLDER = folder_of(os.environ)
EXCHANGES = FOLDER / "corpus" / "graph"
PAYLOADS = FOLDER / "corpus" / "webhooks"
OPENAPI = FOLDER / "meta" / "business-messaging-api_v23.0.yaml"
FACTS = FOLDER / "meta" / "cloud-api.md"
