"""What `.local/env` says is read alike by us, by a shell and by the simplest of readers."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local import dotenv

if TYPE_CHECKING:
    from pathlib import Path

ONE_LINE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(ONE_LINE, max_size=5))
def test_what_is_written_is_read(tmp_path: Path, values: list[str]) -> None:
    variables = {f"NAME_{number}": value for number, value in enumerate(values)}

    dotenv.write(tmp_path / "env", variables)

    assert dotenv.read(tmp_path / "env") == variables


def test_a_shell_reads_the_same(tmp_path: Path) -> None:
    text = "a 'quoted' $HOME; `ls` \\ \"x\" #?*&"
    dotenv.write(tmp_path / "env", {"NAME": text})

    said = subprocess.run(
        ["/bin/sh", "-c", '. "$0"; printf %s "$NAME"', tmp_path / "env"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout == text


def test_addresses_and_keys_stand_bare(tmp_path: Path) -> None:
    """Simple readers take what stands behind the = as it is."""
    url = "postgresql://postgres:0f@127.0.0.1:5432/postgres?sslmode=disable"
    dotenv.write(tmp_path / "env", {"DATABASE_URL": url, "KEYS": "local:ab+/cd=="})

    assert (tmp_path / "env").read_text() == f"DATABASE_URL={url}\nKEYS=local:ab+/cd==\n"
