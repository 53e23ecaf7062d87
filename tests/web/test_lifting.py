"""The components move into another Astro + React product: a host is built as docs/web.md says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from local.programs import ROOT, find_node

if TYPE_CHECKING:
    from pathlib import Path

WEB = ROOT / "web"
PARTS = (
    "features",
    "services",
    "components",
    "i18n",
    "generated",
    "styles",
    "config.ts",
    "supabase.ts",
)
CACHES = shutil.ignore_patterns(".vite", ".astro", ".cache")
PAGE = """---
import "../whatsapp/styles/tokens.css";
import "../whatsapp/styles/global.css";
import WhatsAppSettings from "../components/WhatsAppSettings";
---
<html lang="es"><head><title>Host</title></head><body><WhatsAppSettings client:only="react" /></body></html>
"""


def make_host(folder: Path) -> None:
    for part in PARTS:
        source, target = WEB / "src" / part, folder / "src" / "whatsapp" / part
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    (folder / "src" / "components").mkdir()
    (folder / "src" / "pages").mkdir()
    (example,) = re.findall(r"```tsx\n(.*?)```", (ROOT / "docs" / "web.md").read_text("utf-8"), re.DOTALL)
    (folder / "src" / "components" / "WhatsAppSettings.tsx").write_text(example, "utf-8")
    (folder / "src" / "pages" / "index.astro").write_text(PAGE, "utf-8")
    shutil.copy(WEB / "tsconfig.json", folder)
    needed = json.loads((WEB / "package.json").read_text("utf-8"))["dependencies"]
    needs = {"type": "module", "dependencies": {**needed, "@supabase/supabase-js": "2"}}
    (folder / "package.json").write_text(json.dumps(needs), "utf-8")
    (folder / "astro.config.mjs").write_text(
        'import react from "@astrojs/react";\nexport default { integrations: [react()] };\n', "utf-8"
    )
    modules = folder / "node_modules"
    shutil.copytree(WEB / "node_modules", modules, symlinks=True, copy_function=link_or_copy, ignore=CACHES)
    # supabase-js itself is installed at the root, for the tests of the local stack.
    shared = ROOT / "node_modules"
    for package in [*(shared / "@supabase").iterdir(), shared / "iceberg-js", shared / "tslib"]:
        target = modules / package.relative_to(shared)
        if not target.exists():
            shutil.copytree(package, target, copy_function=link_or_copy)


def link_or_copy(source: str, target: str) -> None:
    """Share the bytes where both are on one disk."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def run(folder: Path, program: str, *arguments: str) -> None:
    environ = {**os.environ, "ASTRO_TELEMETRY_DISABLED": "1"}
    done = subprocess.run(
        [find_node(), folder / "node_modules" / program, *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_host_with_its_own_client_type_checks_and_builds(tmp_path: Path) -> None:
    make_host(tmp_path)

    run(tmp_path, "astro/bin/astro.mjs", "build")
    run(tmp_path, "astro/bin/astro.mjs", "check", "--minimumSeverity", "error")

    built = (tmp_path / "dist" / "index.html").read_text("utf-8")
    assert "WhatsAppSettings" in built
