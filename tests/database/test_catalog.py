"""Rules that every table, policy and function keeps, present and future: read from the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.schema import FUNCTIONS, TABLES

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

# Each query returns what breaks the rule. The name is the rule.
RULES = {
    "row-level security is on for every table": """
        select c.relname from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relrowsecurity
    """,
    "every table has a policy": """
        select c.relname from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and not exists (select from pg_policy p where p.polrelid = c.oid)
    """,
    "every table is commented": """
        select c.relname from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and obj_description(c.oid, 'pg_class') is null
    """,
    "anon reaches no table": """
        select c.relname from pg_class c
        where c.relnamespace in ('public'::regnamespace, 'private'::regnamespace)
            and c.relkind in ('r', 'p', 'v', 'm', 'S')
            and (
                has_table_privilege(
                    'anon', c.oid, 'select, insert, update, delete, truncate, references, trigger'
                )
                or (
                    c.relkind in ('r', 'p', 'v', 'm')
                    and has_any_column_privilege('anon', c.oid, 'select, insert, update, references')
                )
            )
    """,
    "anon may call no function": """
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
            and has_function_privilege('anon', p.oid, 'execute')
    """,
    "anon may not use the schema of our functions": """
        select 'private' where has_schema_privilege('anon', 'private', 'usage, create')
    """,
    "users may delete or truncate nothing but memberships": """
        select c.relname from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and has_table_privilege('authenticated', c.oid, 'delete, truncate, trigger, references')
            and c.relname <> 'organization_members'
    """,
    "every column of ciphertexts is rotated": """
        select c.relname || '.' || a.attname from pg_constraint k
        join pg_class c on c.oid = k.conrelid
        join pg_attribute a on a.attrelid = c.oid and a.attnum = any (k.conkey)
        where k.contype = 'c' and k.connamespace = 'public'::regnamespace
            and position('v1.%' in pg_get_constraintdef(k.oid)) > 0
            and not exists (
                select from private.secret_places() p where p.place = c.relname and p.column_name = a.attname
            )
    """,
    "every foreign key has an index": """
        select k.conrelid::regclass::text || ': ' || k.conname from pg_constraint k
        where k.contype = 'f' and k.connamespace = 'public'::regnamespace
            and not exists (
                select from pg_index i
                where i.indrelid = k.conrelid
                    and (i.indkey::smallint[])[0:cardinality(k.conkey) - 1] = k.conkey
            )
    """,
    "every foreign key between tenants' tables carries the tenant": """
        select k.conrelid::regclass::text || ': ' || k.conname from pg_constraint k
        join pg_attribute mine on mine.attrelid = k.conrelid and mine.attname = 'organization_id'
        join pg_attribute theirs on theirs.attrelid = k.confrelid and theirs.attname = 'organization_id'
        where k.contype = 'f' and k.connamespace = 'public'::regnamespace
            and not mine.attnum = any (k.conkey)
            -- A delivery may concern several tenants; its problems are the service's alone.
            and k.conname <> 'webhook_problems_event_id_fkey'
    """,
    "every policy names its role and its command": """
        select p.polname from pg_policy p join pg_class c on c.oid = p.polrelid
        where c.relnamespace = 'public'::regnamespace
            and (p.polroles = '{0}' or (p.polcmd = '*' and p.polroles <> array['service_role'::regrole::oid]))
    """,
    "every policy's name is a sentence": """
        select p.polname from pg_policy p join pg_class c on c.oid = p.polrelid
        where c.relnamespace = 'public'::regnamespace and p.polname !~ '^[A-Z].* .*[a-z]$'
    """,
    "every function pins its search path": """
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)
            and p.prokind = 'f'
            and not coalesce(p.proconfig::text[] && array['search_path=""'], false)
    """,
    "no function that acts with its owner's rights is exposed": """
        select p.oid::regprocedure::text from pg_proc p
        where p.pronamespace = 'public'::regnamespace and p.prosecdef
    """,
    "no view hides whose rights it reads with": """
        select c.relname from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'v'
            and not coalesce(
                c.reloptions::text[] && array['security_invoker=true', 'security_invoker=on'], false
            )
    """,
    "users read no credential, no code, no raw event": """
        select c.relname || '.' || a.attname
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
            and a.attname ~ '(token|secret|hash|pin|body)(_|$)'
            -- When, not what.
            and a.attname !~ '_(at|until)$'
            and has_column_privilege('authenticated', c.oid, a.attnum, 'select')
    """,
    "users write no status, no id of Meta's, no credential": """
        select c.relname || '.' || a.attname
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'public'::regnamespace
            and c.relname in ('whatsapp_integrations', 'messages', 'chats', 'contacts')
            and (has_column_privilege('authenticated', c.oid, a.attnum, 'insert')
                or has_column_privilege('authenticated', c.oid, a.attnum, 'update'))
            and a.attname not in ('organization_id', 'phone_number')
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_nothing_breaks_the_rule(database: Connection, rule: str) -> None:
    broken = [name for (name,) in database.execute(RULES[rule].encode())]

    assert broken == []


CREATED = {
    "tables": """
        select c.relname from pg_class c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    """,
    "functions": """
        select distinct p.proname from pg_proc p
        where p.pronamespace = 'public'::regnamespace
            and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
    """,
}


@pytest.mark.parametrize("kind, known", [("tables", TABLES), ("functions", FUNCTIONS)])
def test_the_doctor_looks_for_all_that_the_migrations_create(
    database: Connection, kind: str, known: tuple[str, ...]
) -> None:
    created = sorted(name for (name,) in database.execute(CREATED[kind].encode()))

    assert list(known) == created


def test_the_rules_notice_a_table_that_breaks_them(database: Connection) -> None:
    """A gate that nothing can fail is none."""
    with database.transaction(force_rollback=True):
        database.execute(
            "create table public.careless (organization_id uuid references public.organizations, token text)"
        )
        database.execute("grant all on public.careless to anon, authenticated")
        database.execute(
            "create function public.careless() returns int language sql security definer as 'select 1'"
        )
        noticed = {rule for rule, query in RULES.items() if database.execute(query.encode()).fetchall()}

    assert noticed == {
        "row-level security is on for every table",
        "every table has a policy",
        "every table is commented",
        "anon reaches no table",
        "anon may call no function",
        "every function pins its search path",
        "no function that acts with its owner's rights is exposed",
        "every foreign key has an index",
        "users may delete or truncate nothing but memberships",
        "users read no credential, no code, no raw event",
    }
