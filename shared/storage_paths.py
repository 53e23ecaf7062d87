"""What names a file in Supabase Storage: `<bucket>/<path>`. No I/O.

It becomes part of an address that is called with our own key, so nothing in it may lead elsewhere; the
database holds the same rule (`private.require_files`).
"""

from __future__ import annotations

import re

LONGEST = 1024
PATTERN = r"^[^\\/?#%\x00-\x1f]+(/[^\\/?#%\x00-\x1f]+)+$"


def is_storage_path(path: str) -> bool:
    """Tell whether it is a bucket and a path within it, with no part of dots alone and nothing encoded."""
    return (
        len(path) <= LONGEST
        and re.fullmatch(PATTERN, path) is not None
        and all(part.strip(".") for part in path.split("/"))
    )
