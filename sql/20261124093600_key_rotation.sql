-- Re-encrypting everything with a new key while the system runs: found by the key id in the ciphertext, written
-- back only where nobody wrote meanwhile.

-- Every place that holds ciphertexts; a table that comes to hold some is added here.
create function private.secret_places() returns table (place text, columns text[])
language sql immutable
set search_path = ''
as $$
    values
        ('whatsapp_integrations', array['access_token', 'app_secret', 'webhook_verify_token', 'pin']),
        ('oauth_states', array['access_token'])
$$;

create function private.outdated_secrets(place text, columns text[], writing_id text, after uuid, most integer)
returns setof jsonb
language plpgsql stable
set search_path = ''
as $$
declare
    is_outdated text := (
        select string_agg(format('(t.%1$I is not null and t.%1$I not like %2$L)', c, 'v1.' || replace(writing_id, '_', '\_') || '.%'), ' or ')
        from unnest(columns) as c
    );
begin
    return query execute format(
        'select jsonb_build_object(''place'', %L, ''id'', t.id, ''secrets'', jsonb_strip_nulls(jsonb_build_object(%s)))
        from public.%I as t where (%s) and t.id > %L order by t.id limit %s',
        place, (select string_agg(format('%1$L, t.%1$I', c), ', ') from unnest(columns) as c),
        place, is_outdated, coalesce(after, '00000000-0000-0000-0000-000000000000'), most
    );
end
$$;

-- One page of rows that another key than `writing_id` wrote, beginning after a row of one place.
create function public.find_outdated_secrets(
    wanted_place text, writing_id text, after uuid default null, most integer default 100
) returns jsonb
language sql stable
set search_path = ''
as $$
    select coalesce(jsonb_agg(o), '[]')
    from private.secret_places() as p
    cross join lateral private.outdated_secrets(p.place, p.columns, writing_id, after, most) as o
    where p.place = wanted_place
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
            select p.place, c.name, swap -> 'old' ->> c.name as old_text, swap -> 'new' ->> c.name as new_text
            from private.secret_places() as p
            cross join lateral unnest(p.columns) as c (name)
            where p.place = swap ->> 'place' and swap -> 'new' ? c.name
        loop
            execute format('update public.%1$I as t set %2$I = $1 where t.id = $2 and t.%2$I = $3', one.place, one.name)
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
        select count(*) from private.outdated_secrets(p.place, p.columns, writing_id, null, 1000000000)
    ))
    from private.secret_places() as p
$$;

revoke execute on function
    private.secret_places, private.outdated_secrets, public.find_outdated_secrets, public.swap_secrets,
    public.count_outdated_secrets
    from public, anon, authenticated;
grant execute on function
    private.secret_places, private.outdated_secrets, public.find_outdated_secrets, public.swap_secrets,
    public.count_outdated_secrets
    to service_role;
