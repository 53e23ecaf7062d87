-- What the doctor asks of the database about itself.

-- Catalog facts and queue lengths, of one organization where one asks: another's are none of its business.
create function public.examine_database(
    expected_tables text[], expected_functions text[], organization uuid default null
) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'now', clock_timestamp(),
        'missing_tables', (
            select coalesce(jsonb_agg(t order by t), '[]')
            from unnest(expected_tables) as t where to_regclass('public.' || quote_ident(t)) is null
        ),
        'missing_functions', (
            select coalesce(jsonb_agg(f order by f), '[]')
            from unnest(expected_functions) as f
            where not exists (
                select from pg_catalog.pg_proc as p
                join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
                where n.nspname = 'public' and p.proname = f
            )
        ),
        'tables_without_rls', (
            select coalesce(jsonb_agg(c.relname order by c.relname), '[]')
            from pg_catalog.pg_class as c
            join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relrowsecurity
                and c.relname = any (expected_tables)
        ),
        'tables_open_to_strangers', (
            select coalesce(jsonb_agg(c.relname order by c.relname), '[]')
            from pg_catalog.pg_class as c
            join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname = any (expected_tables)
                and has_any_column_privilege('anon', c.oid, 'select, insert, update')
        ),
        'readable_secrets', (
            select coalesce(jsonb_agg(c.relname || '.' || a.attname order by c.relname, a.attname), '[]')
            from pg_catalog.pg_class as c
            join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname = any (expected_tables)
                -- Credentials, codes and raw events; their times may be seen.
                and a.attname ~ '(token|secret|hash|pin|body)(_|$)' and a.attname !~ '_(at|until)$'
                and has_column_privilege('authenticated', c.oid, a.attnum, 'select')
        ),
        'jobs_dead', (
            select count(*) from public.jobs as j
            where j.state = 'dead' and j.finished_at > now() - interval '7 days'
                and (organization is null or j.organization_id = organization)
        ),
        'jobs_late', (
            select count(*) from public.jobs as j
            where j.state = 'ready' and j.run_at < now() - interval '5 minutes'
                and (organization is null or j.organization_id = organization)
        )
    )
$$;
revoke execute on function public.examine_database from public, anon, authenticated;
grant execute on function public.examine_database to service_role;
