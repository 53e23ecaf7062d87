-- Re-encrypting everything with a new key while the system runs: found by the key id in the ciphertext, written
-- back only where nobody wrote meanwhile.

-- Every column that holds ciphertexts, the column that names its row, and the name under which it was encrypted:
-- a secret that has become the previous one keeps its ciphertext. A column that comes to hold some is added here.
create function private.secret_places() returns table (place text, id_column text, column_name text, sealed_as text)
language sql immutable
set search_path = ''
as $$
    values
        ('whatsapp_integrations', 'id', 'access_token', 'access_token'),
        ('whatsapp_integrations', 'id', 'app_secret', 'app_secret'),
        ('whatsapp_integrations', 'id', 'webhook_verify_token', 'webhook_verify_token'),
        ('whatsapp_integrations', 'id', 'pin', 'pin'),
        ('oauth_states', 'id', 'access_token', 'access_token'),
        ('bots', 'organization_id', 'endpoint_secret', 'endpoint_secret'),
        ('bots', 'organization_id', 'previous_secret', 'endpoint_secret'),
        ('event_endpoints', 'id', 'signing_secret', 'signing_secret'),
        ('event_endpoints', 'id', 'previous_secret', 'signing_secret')
$$;

create function private.outdated_secrets(wanted_place text, writing_id text, after uuid, most integer)
returns setof jsonb
language plpgsql stable
set search_path = ''
as $$
declare
    id_column text;
    is_outdated text;
    shown text;
    sealed_as jsonb;
begin
    select
        min(p.id_column),
        string_agg(format(
            '(t.%1$I is not null and t.%1$I not like %2$L)', p.column_name,
            'v1.' || replace(writing_id, '_', '\_') || '.%'
        ), ' or '),
        string_agg(format('%1$L, t.%1$I', p.column_name), ', '),
        jsonb_object_agg(p.column_name, p.sealed_as)
    into id_column, is_outdated, shown, sealed_as
    from private.secret_places() as p
    where p.place = wanted_place;
    return query execute format(
        'select jsonb_build_object(
            ''place'', %1$L, ''id'', t.%2$I, ''secrets'', jsonb_strip_nulls(jsonb_build_object(%3$s)), ''sealed_as'', %4$L::jsonb
        )
        from public.%1$I as t where (%5$s) and t.%2$I > %6$L order by t.%2$I limit %7$s',
        wanted_place, id_column, shown, sealed_as, is_outdated,
        coalesce(after, '00000000-0000-0000-0000-000000000000'), most
    );
end
$$;

-- One page of rows that another key than `writing_id` wrote, beginning after a row of one place:
-- [{place, id, secrets: {column: text}, sealed_as: {column: name}}]
create function public.find_outdated_secrets(
    wanted_place text, writing_id text, after uuid default null, most integer default 100
) returns jsonb
language sql stable
set search_path = ''
as $$
    select coalesce(jsonb_agg(o), '[]')
    from (select distinct p.place from private.secret_places() as p where p.place = wanted_place) as p
    cross join lateral private.outdated_secrets(p.place, writing_id, after, most) as o
$$;

-- Writes new ciphertexts where the old ones still stand; answers how many rows that were.
-- swaps: [{place, id, old: {column: text}, new: {column: text}}]
create function public.swap_secrets(swaps jsonb) returns integer
language plpgsql volatile
set search_path = ''
as $$
declare
    swap jsonb;
    one record;
    done integer := 0;
    changed integer;
    touched boolean;
begin
    for swap in select * from jsonb_array_elements(swaps) loop
        touched := false;
        for one in
            select p.*, swap -> 'old' ->> p.column_name as old_text, swap -> 'new' ->> p.column_name as new_text
            from private.secret_places() as p
            where p.place = swap ->> 'place' and swap -> 'new' ? p.column_name
        loop
            execute format(
                'update public.%1$I as t set %2$I = $1 where t.%3$I = $2 and t.%2$I = $3',
                one.place, one.column_name, one.id_column
            )
            using one.new_text, (swap ->> 'id')::uuid, one.old_text;
            get diagnostics changed = row_count;
            touched := touched or changed > 0;
        end loop;
        done := done + touched::integer;
    end loop;
    return done;
end
$$;

create function public.count_outdated_secrets(writing_id text) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_object_agg(p.place, (
        select count(*) from private.outdated_secrets(p.place, writing_id, null, 1000000000)
    ))
    from (select distinct s.place from private.secret_places() as s) as p
$$;

revoke execute on function
    private.secret_places, private.outdated_secrets, public.find_outdated_secrets, public.swap_secrets,
    public.count_outdated_secrets
    from public, anon, authenticated;
grant execute on function
    private.secret_places, private.outdated_secrets, public.find_outdated_secrets, public.swap_secrets,
    public.count_outdated_secrets
    to service_role;
