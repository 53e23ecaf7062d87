"""Which locked packages a function needs: its imports' distributions, and what those require."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Lambda's own runtime has it, in the version that AWS keeps safe.
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
IN_THE_RUNTIME = frozenset(
    {"boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3"}
)
# Required by their parents' metadata, and imported by nobody who runs.
ONLY_TO_BUILD: Mapping[str, str] = {
    "pycparser": "cffi compiles C with it; what it has compiled needs it no more"
}


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """One entry of the lock."""

    name: str
    text: str
    version: str
    wanted_by: tuple[str, ...]


def read_lock(text: str) -> dict[str, list[Requirement]]:
    """Read requirements.lock; a package may stand there once for each of several Pythons."""
    found: dict[str, list[Requirement]] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", text)[1:]:
        first, *rest = entry.splitlines()
        name, _, version = first.partition(" ")[0].partition("==")
        said = " ".join(
            line.strip().removeprefix("#").strip() for line in rest if line.lstrip().startswith("#")
        )
        wanted_by = tuple(said.removeprefix("via").split())
        requirement = Requirement(
            name=_plain(name),
            version=version,
            wanted_by=tuple(_plain(each) for each in wanted_by),
            text="\n".join(line for line in [first, *rest] if not line.lstrip().startswith("#")),
        )
        found.setdefault(requirement.name, []).append(requirement)
    return found


def resolve(
    libraries: Mapping[str, str], lock: Mapping[str, list[Requirement]], leave_out: Iterable[str] = ()
) -> dict[str, str]:
    """Return each distribution that is needed, and why; `libraries` tells who imports which name."""
    left_out = {*IN_THE_RUNTIME, *ONLY_TO_BUILD, *leave_out}
    needed: dict[str, str] = {}
    waiting: list[tuple[str, str]] = []
    for library, importer in sorted(libraries.items()):
        waiting += [(name, f"{importer} imports {library}") for name in _distributions_of(library)]
    while waiting:
        name, why = waiting.pop(0)
        if name in left_out or name in needed:
            continue
        if name not in lock:
            raise LookupError(f"{name} ({why}) is not in requirements.lock: add it to pyproject.toml.")
        needed[name] = why
        waiting += [
            (child, f"{name} requires it")
            for child, entries in lock.items()
            if any(name in entry.wanted_by for entry in entries)
        ]
    return dict(sorted(needed.items()))


def to_text(names: Iterable[str], lock: Mapping[str, list[Requirement]]) -> str:
    """Write the part of the lock that holds these, hashes and markers as they are."""
    return "".join(
        f"{entry.text.rstrip(chr(92)).rstrip()}\n" for name in sorted(names) for entry in lock[name]
    )


def _distributions_of(library: str) -> list[str]:
    import sys

    if library in sys.stdlib_module_names:
        return []
    found = _packages().get(library)
    if not found:
        raise LookupError(f"{library} is imported and not installed: run `make setup`.")
    return sorted({_plain(name) for name in found})


@cache
def _packages() -> Mapping[str, list[str]]:
    return packages_distributions()


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()
