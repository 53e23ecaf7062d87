"""What each function imports, read from the sources: it decides what is packed, and what is deployed."""

from __future__ import annotations

import ast
import gc
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
OUR_PACKAGES = ("functions", "shared")


@dataclass(frozen=True, kw_only=True)
class Closure:
    """Everything that one entry module leads to; each value names the module that imports it."""

    modules: dict[str, str]
    libraries: dict[str, str]


@dataclass(frozen=True)
class Sources:
    """The project's own modules."""

    root: Path = ROOT
    _imports: dict[str, list[str]] = field(default_factory=dict)

    @cached_property
    def modules(self) -> dict[str, Path]:
        """Every module of ours, by its dotted name."""
        found = {}
        for package in OUR_PACKAGES:
            for path in sorted((self.root / package).rglob("*.py")):
                parts = path.relative_to(self.root).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
        return found

    @cached_property
    def functions(self) -> list[str]:
        """The folders that have a handler."""
        return sorted(path.parent.name for path in (self.root / "functions").glob("*/handler.py"))

    def follow(self, entry: str) -> Closure:
        """Return what an entry module imports, directly or through others, at whatever level."""
        modules = {entry: "it is the entry"}
        libraries: dict[str, str] = {}
        waiting = [entry]
        while waiting:
            importer = waiting.pop(0)
            for name in self.imports_of(importer):
                if name not in self.modules:
                    libraries.setdefault(name.partition(".")[0], importer)
                elif name not in modules:
                    modules[name] = importer
                    waiting.append(name)
        return Closure(modules=modules, libraries=libraries)

    def imports_of(self, module: str) -> list[str]:
        """Return the dotted names that a module imports: ours as far as they are modules, and others."""
        if module not in self._imports:
            self._imports[module] = list(dict.fromkeys(self._read(module)))
        return self._imports[module]

    def _read(self, module: str) -> Iterator[str]:
        # Importing a.b runs a first.
        parts = module.split(".")
        for length in range(1, len(parts)):
            yield ".".join(parts[:length])
        tree = _parse(self.modules[module].read_text("utf-8"))
        for node in _walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield from self._modules_of(alias.name)
            elif isinstance(node, ast.ImportFrom):
                if node.level:
                    raise ValueError(f"{module} imports relatively; the project does not.")
                base = str(node.module)
                yield from self._modules_of(base)
                for alias in node.names:
                    if f"{base}.{alias.name}" in self.modules:
                        yield f"{base}.{alias.name}"

    def _modules_of(self, name: str) -> Iterator[str]:
        if name.partition(".")[0] in OUR_PACKAGES and name not in self.modules:
            raise ValueError(f"{name} is imported and does not exist.")
        yield name


def _parse(source: str) -> ast.Module:
    """Parse, and let no other thread parse meanwhile.

    CPython 3.11 counts its depth for all threads together and raises SystemError where a collection lets
    another one in: https://github.com/python/cpython/issues/106905
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if was_enabled:
            gc.enable()


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree, past what only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            for other in child.orelse:
                yield other
                yield from _walk(other)
            continue
        yield child
        yield from _walk(child)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"
