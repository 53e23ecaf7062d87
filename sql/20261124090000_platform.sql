-- What Supabase brings, made only where it is absent (a plain Postgres: tests, `supabase db push --db-url`),
-- and the schema for our own functions. On a Supabase project every guarded block does nothing.

do $$
declare
    api_role text;
begin
    foreach api_role in array array['anon', 'authenticated', 'service_role'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = api_role) then
            execute format('create role %I nologin noinherit', api_role);
        end if;
    end loop;
    -- The service reads and writes across tenants; Supabase's own service_role has the same right.
    if not (select rolbypassrls from pg_catalog.pg_roles where rolname = 'service_role') then
        alter role service_role bypassrls;
    end if;
end
$$;

create schema if not exists auth;

create table if not exists auth.users (
    id uuid primary key,
    email text
);

do $$
begin
    if to_regprocedure('auth.uid()') is null then
        create function auth.uid() returns uuid
        language sql stable
        set search_path = ''
        as $f$
            select coalesce(
                nullif(current_setting('request.jwt.claim.sub', true), ''),
                nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
            )::uuid
        $f$;
    end if;
    -- Hosted Supabase grants this; @supabase/lite does not, and every policy needs it.
    if not has_schema_privilege('authenticated', 'auth', 'usage') then
        grant usage on schema auth to anon, authenticated, service_role;
    end if;
    if not has_schema_privilege('authenticated', 'public', 'usage') then
        grant usage on schema public to anon, authenticated, service_role;
    end if;
end
$$;

-- Functions that act with their owner's rights live here, out of the API's reach: only `public` is exposed.
create schema if not exists private;
comment on schema private is 'Functions behind the API; not exposed by PostgREST.';
revoke all on schema private from public;
grant usage on schema private to authenticated, service_role;

create function private.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;
revoke execute on function private.touch_updated_at() from public;
