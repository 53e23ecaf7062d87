"""A migration while everybody works: by the real Supabase CLI, as a deployment runs it. An edge."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from local.migrations import run_cli
from local.programs import ROOT

if TYPE_CHECKING:
    from tests.chaos.town import Town

# What upgrades do: a column with a default, an index over a table that grows, a constraint that reads a table
# whole, and a function that is replaced while it is called.
MIGRATION = """
set local lock_timeout = '10s';
alter table public.messages add column chaos_{number} text not null default 'x';
create index chaos_{number}_idx on public.messages (organization_id, created_at);
alter table public.chats add constraint chaos_{number} check (unread_count >= 0);
do $$ begin execute pg_get_functiondef((
    select oid from pg_proc where proname = 'store_delivery' and pronamespace = 'public'::regnamespace
)); end $$;
"""
ATTEMPTS = 20


def migrate(town: Town, number: int) -> None:
    """Apply one more migration; the database may be away for a moment, so try as a deployer would."""
    place = town.folder / "deployment"
    folder = place / "supabase" / "migrations"
    if not folder.is_dir():
        shutil.copytree(ROOT / "sql", folder)
        shutil.copy(ROOT / "supabase" / "config.toml", place / "supabase")
    (folder / f"2999010100{number:04d}_chaos.sql").write_text(MIGRATION.format(number=number), "utf-8")
    said = ""
    for _ in range(ATTEMPTS):
        done = run_cli(
            *("db", "push", "--include-all", "--yes", "--workdir", str(place)),
            database_url=town.database_url,
            home=town.folder / "supabase-cli",
        )
        if done.returncode == 0:
            return
        said = done.stderr
    raise RuntimeError(f"The migration could not be applied.\n{said}")
