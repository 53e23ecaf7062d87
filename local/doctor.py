"""The doctor for whoever deploys: `make doctor` examines what the environment names, or the local stack."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.stack import find
from shared.probes import diagnose_platform
from shared.web import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.diagnostics import Report

MARKS = {"ok": "ok     ", "warning": "WARNING", "failed": "FAILED ", "skipped": "skipped"}


async def examine(environ: Mapping[str, str]) -> Report:
    """Examine the platform that an environment describes."""
    tools = Resources(environ, (), None)
    try:
        return await diagnose_platform(tools, now=datetime.now(UTC))
    finally:
        await tools.close()


def tell(report: Report, language: str) -> str:
    """Write the findings for a terminal."""
    told = report.to_json(language)
    lines = []
    for check in told["checks"]:
        lines.append(f"{MARKS[check['status']]}  {check['id']:<13} {check.get('message', '')}".rstrip())
        if "fix" in check and check["status"] != "ok":
            lines.append(f"{'':24}→ {check['fix']}")
    lines.append("")
    lines.append(f"The one thing to look at: {told['cause']}" if told["cause"] else "Everything holds.")
    return "\n".join(lines)


def main() -> int:
    """Examine and tell; 1 when something is broken."""
    stack = find()
    environ = dict(os.environ)
    if stack is not None and "SUPABASE_URL" not in environ:
        environ |= stack.variables
    # What is logged is for the operator of a running function; here the report says it all.
    environ["LOG_LEVEL"] = "error"
    language = "es" if os.environ.get("LANG", "").startswith("es") else "en"
    report = asyncio.run(examine(environ))
    print(tell(report, language))
    return 1 if report.status == "failed" else 0


if __name__ == "__main__":
    sys.exit(main())
