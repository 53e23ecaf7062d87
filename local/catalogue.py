"""Writes what the dashboard must know of `shared`: `python -m local.catalogue`; a test keeps it current.

`web/src/generated/meta-errors.json` holds the sentence for each of Meta's error codes, so that a message that
failed later, by a webhook, shows the same words as one that was refused at once.
"""

from __future__ import annotations

import json

from local.programs import ROOT
from shared.meta_errors import TABLE, UNKNOWN_REFUSED

META_ERRORS = ROOT / "web" / "src" / "generated" / "meta-errors.json"


def meta_errors() -> str:
    """Return the sentences by code, or by code and subcode, as JSON."""
    sentences = {
        str(code) if subcode is None else f"{code}/{subcode}": {"en": row.en, "es": row.es}
        for (code, subcode), row in sorted(TABLE.items(), key=lambda item: (item[0][0], item[0][1] or 0))
    }
    sentences["unknown"] = {"en": UNKNOWN_REFUSED.en, "es": UNKNOWN_REFUSED.es}
    return json.dumps(sentences, ensure_ascii=False, indent=2) + "\n"


def main() -> None:
    """Write the file."""
    META_ERRORS.parent.mkdir(exist_ok=True)
    META_ERRORS.write_text(meta_errors(), "utf-8")


if __name__ == "__main__":
    main()
