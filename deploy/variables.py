"""Which variables each function reads, found in its sources: it should be given those and no others."""

from __future__ import annotations

import ast
import importlib
from functools import cache

from deploy.imports import Sources
from shared.settings import VARIABLES

# Read through the environment itself, where the platform or the settings' own module does.
SETTINGS = "shared.settings"


@cache
def variables_of(function: str) -> frozenset[str]:
    """Return the variables whose settings the function's modules read, at whatever depth."""
    sources = Sources()
    properties = _properties()
    found: set[str] = set()
    for module in sources.follow(f"functions.{function}.handler").modules:
        if module == SETTINGS:
            continue
        for node in ast.walk(ast.parse(sources.modules[module].read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in properties:
                found.add(properties[node.attr])
            elif isinstance(node, ast.Constant) and node.value in VARIABLES:
                found.add(str(node.value))
    return frozenset(found)


def needed_by(function: str) -> frozenset[str]:
    """Return what the handler says it cannot do without."""
    return frozenset(importlib.import_module(f"functions.{function}.handler").NEED)


@cache
def _properties() -> dict[str, str]:
    """Map each property of `Settings` to the variable that it reads."""
    tree = ast.parse(Sources().modules[SETTINGS].read_text("utf-8"))
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and part.value in VARIABLES:
                    found[node.name] = str(part.value)
    # The newest of several.
    return {**found, "whatsapp_app_secret": "WHATSAPP_APP_SECRET"}
