"""Builds each function's zip for AWS Lambda: `make package`.

A zip holds the function's modules, the shared ones and the libraries that they import, and nothing else;
bytecode that the runtime takes as it is (unchecked, since a zip's dates mean nothing); and it is the same to
the byte whenever it is built of the same sources. dist/report.txt tells what is inside, and why.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.imports import ROOT, Sources
from deploy.requirements import read_lock, resolve, to_text
from deploy.roots import lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DIST = ROOT / "dist"
LOCK = ROOT / "requirements.lock"
PYTHON = "3.13"
# Amazon Linux 2023, under Lambda's Python 3.13, has glibc 2.34.
PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
LARGEST = 250 * 1024 * 1024
PLACE = "/var/task"
# The oldest date that a zip can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)

# What imports lead to and requests never reach. Each must stand a rehearsal: tests/deploy.
REACHED_BY_NONE: Mapping[str, str] = {
    "h2": "our clients speak HTTP/1.1; httpcore loads it where it is there, at 10 ms a cold start",
    "hpack": "as h2",
    "hyperframe": "as h2",
}
NEVER_REACHED: Mapping[str, Mapping[str, str]] = {
    "webhook": {
        "postgrest": "its one RPC is a plain httpx call",
        "pydantic": "it reads no body into a model",
        "pydantic-core": "as pydantic",
        "tenacity": "it never calls Meta",
    }
}
# Folders of libraries that nothing here imports.
LEFT_OUT = (
    "phonenumbers/carrierdata",
    "phonenumbers/geodata",
    "phonenumbers/tzdata",
    "pydantic/v1",
)
LEFT_OUT_ENDINGS = (".pyi", ".pyx", ".pxd", ".c", ".h", "py.typed", "/RECORD", "/INSTALLER", "/REQUESTED")
LEFT_OUT_FOLDERS = frozenset({"__pycache__", "bin", "tests", "test", "testing"})


def list_never_reached(function: str) -> dict[str, str]:
    """Return the libraries that stay out of a function's zip, and why."""
    return {**REACHED_BY_NONE, **NEVER_REACHED.get(function, {})}


class NoSuitablePython(Exception):
    """There is no Python of the runtime's own minor version here: only that can compile its bytecode."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """One zip, and what is in it."""

    function: str
    arch: str
    path: Path
    report: dict[str, Any]


def find_python(version: str = PYTHON) -> str:
    """Find a Python whose bytecode the runtime takes; BUILD_PYTHON names one."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    homes = sorted((pyenv / "versions").glob(f"{version}.*/bin/python{version}"))
    candidates = [os.environ.get("BUILD_PYTHON"), sys.executable, shutil.which(f"python{version}"), *homes]
    for candidate in candidates:
        if candidate and _version_of(str(candidate)) == version:
            return str(candidate)
    raise NoSuitablePython(
        f"Python {version} is needed to compile the bytecode for Lambda. Install it, or name it: "
        f"BUILD_PYTHON=/path/to/python{version} make package"
    )


def _version_of(python: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run(
            [python, "-I", "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def build(
    function: str, arch: str, *, into: Path = DIST, python: str | None = None, cache: Path | None = None
) -> Built:
    """Build one function's zip; `cache` keeps libraries between builds: most functions need the same."""
    compiler = python or find_python()
    sources = Sources()
    closure = sources.follow(f"functions.{function}.handler")
    lock = read_lock(LOCK.read_text("utf-8"))
    never_reached = list_never_reached(function)
    needed = resolve(closure.libraries, lock, leave_out=never_reached)
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        libraries = _load_libraries(to_text(needed, lock), arch, compiler, cache or Path(folder))
        own = Path(folder) / "own"
        for module in closure.modules:
            target = own / sources.modules[module].relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(sources.modules[module], target)
        compile_bytecode(own, compiler)
        files = {
            path.relative_to(stage).as_posix(): path
            for stage in (libraries / "files", own)
            for path in stage.rglob("*")
            if path.is_file()
        }
        unzipped = sum(path.stat().st_size for path in files.values())
        if unzipped > LARGEST:
            raise OverflowError(f"{function} holds {unzipped} bytes; Lambda takes {LARGEST}.")
        path = into / f"{function}-{arch}.zip"
        write_zip(files, path)
        installed = json.loads((libraries / "installed.json").read_text("utf-8"))
    report = {
        "function": function,
        "arch": arch,
        "python": PYTHON,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "zipped_bytes": path.stat().st_size,
        "unzipped_bytes": unzipped,
        "files": len(files),
        "modules": dict(sorted(closure.modules.items())),
        "libraries": {name: {**installed[name], "why": needed[name]} for name in needed if name in installed},
        "left_out": dict(never_reached),
    }
    return Built(function=function, arch=arch, path=path, report=report)


def _load_libraries(requirements: str, arch: str, compiler: str, cache: Path) -> Path:
    """Return a folder with `files`, ready to be packed, and installed.json: name → version and bytes."""
    digest = hashlib.sha256(requirements.encode()).hexdigest()[:16]
    place = cache / f"libraries-{arch}-{digest}"
    if not place.exists():
        stage = place.with_suffix(".new") / "files"
        install(requirements, stage, arch)
        contents = {path: _files_of(path) for path in sorted(stage.glob("*.dist-info"))}
        _prune(stage)
        if (stage / "certifi").exists():
            lay_out(stage / "certifi")
        compile_bytecode(stage, compiler)
        installed = {
            name.lower().replace("_", "-"): {"version": version, "bytes": sum(map(_size_of, files))}
            for path, files in contents.items()
            for name, _, version in [path.name.removesuffix(".dist-info").partition("-")]
        }
        (stage.parent / "installed.json").write_text(json.dumps(installed), "utf-8")
        # At once, so that a build that was broken off leaves nothing half done.
        stage.parent.rename(place)
    return place


def install(requirements: str, target: Path, arch: str | None, *, python: str = PYTHON) -> None:
    """Install exactly these into a folder, for another platform where one is named; nothing is compiled."""
    target.mkdir(parents=True, exist_ok=True)
    listed = target.parent / f"{target.name}.txt"
    listed.write_text(requirements, "utf-8")
    platform = ("--python-platform", PLATFORMS[arch]) if arch else ()
    subprocess.run(
        [
            *(str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--no-deps"),
            *("--require-hashes", "--only-binary", ":all:", "--target", str(target)),
            *("--python", sys.executable, "--python-version", python, *platform),
            *("--link-mode", "copy", "--requirements", str(listed)),
        ],
        check=True,
        cwd=ROOT,
    )


def compile_bytecode(stage: Path, python: str) -> None:
    """Compile everything as the runtime will take it without a look at the source's date."""
    subprocess.run(
        [
            *(python, "-I", "-m", "compileall", "-q", "-f", "-s", str(stage), "-p", PLACE),
            *("--invalidation-mode", "unchecked-hash", str(stage)),
        ],
        check=True,
        # Sets among the constants are written in the order of their hashes.
        env={"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", "")},
    )


def _prune(stage: Path) -> None:
    for folder in LEFT_OUT:
        shutil.rmtree(stage / folder, ignore_errors=True)
    for path in sorted(stage.rglob("*"), reverse=True):
        inner = path.relative_to(stage).as_posix()
        is_folder_left_out = path.is_dir() and path.name in LEFT_OUT_FOLDERS
        if is_folder_left_out:
            shutil.rmtree(path)
        elif path.is_file() and f"/{inner}".endswith(LEFT_OUT_ENDINGS):
            path.unlink()
    (stage / ".lock").unlink(missing_ok=True)


def write_zip(files: Mapping[str, Path], path: Path) -> None:
    """Write files under their names, the same to the byte for the same files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, file in sorted(files.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if file.suffix == ".so" else 0o644) << 16
            archive.writestr(entry, file.read_bytes())


def _files_of(metadata: Path) -> list[Path]:
    lines = (metadata / "RECORD").read_text("utf-8").splitlines()
    return [metadata.parent / line.rsplit(",", 2)[0].strip('"') for line in lines]


def _size_of(file: Path) -> int:
    """Return what a file and its bytecode take, nothing if it was left out."""
    compiled = file.parent / "__pycache__" / f"{file.stem}.cpython-{PYTHON.replace('.', '')}.pyc"
    paths = [file, compiled] if file.suffix == ".py" else [file]
    return sum(path.stat().st_size for path in paths if path.is_file())


def to_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Write a report for a person."""
    megabytes = f"{report['zipped_bytes'] / 1e6:.1f} MB, unzipped {report['unzipped_bytes'] / 1e6:.1f} MB"
    yield f"{report['function']} ({report['arch']}): {megabytes}, sha256 {report['sha256'][:16]}…"
    for name, library in report["libraries"].items():
        size = f"{library['bytes'] / 1e6:.2f} MB"
        yield f"    {name:<22}{library['version']:<12}{size:>9}  {library['why']}"
    for name, why in report["left_out"].items():
        yield f"    {name:<22}{'left out':<12}{'':>9}  {why}"
    yield f"    modules of ours: {', '.join(report['modules'])}"


def main(say: Callable[[str], None] = print) -> int:
    """Build what the command line names: everything, for both architectures, if it names nothing."""
    functions = Sources().functions
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "functions", nargs="*", metavar="function", help=f"{', '.join(functions)}; all if none"
    )
    parser.add_argument("--arch", action="append", choices=sorted(PLATFORMS))
    parser.add_argument("--into", type=Path, default=DIST)
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.functions) - set(functions)):
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(functions)}")
    try:
        python = find_python()
    except NoSuitablePython as problem:
        say(str(problem))
        return 1
    reports = []
    with tempfile.TemporaryDirectory() as cache:
        for arch in chosen.arch or sorted(PLATFORMS):
            for function in chosen.functions or functions:
                built = build(function, arch, into=chosen.into, python=python, cache=Path(cache))
                reports.append(built.report)
                say(f"{built.path.name}  {built.report['zipped_bytes'] / 1e6:.1f} MB")
    lines = [line for report in reports for line in [*to_lines(report), ""]]
    (chosen.into / "report.txt").write_text("\n".join(lines), "utf-8")
    (chosen.into / "report.json").write_text(json.dumps(reports, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
