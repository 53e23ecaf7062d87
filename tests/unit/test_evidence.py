"""The tests look for evidence about Meta in one place, which a variable moves."""

from __future__ import annotations

import re
from pathlib import Path

from tests import evidence

TESTS = Path(__file__).parents[1]


def test_a_variable_moves_the_evidence() -> None:
    assert evidence.folder_of({}) == evidence.folder_of({"EVIDENCE": ""}) == evidence.BESIDE
    assert evidence.folder_of({"EVIDENCE": "/elsewhere"}) == Path("/elsewhere")


def test_one_file_alone_names_the_folder() -> None:
    naming = [
        path.name
        for path in TESTS.rglob("*.py")
        if re.search(r'/ "shared" / "(corpus|meta)|/ "shared"$', path.read_text("utf-8"), re.MULTILINE)
    ]

    assert naming == ["evidence.py"]
