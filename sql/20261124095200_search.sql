-- Finding a conversation by who it is with, or by what was said in it.

create schema if not exists extensions;
grant usage on schema extensions to authenticated, service_role;
-- Trigrams find any part of a name or a number; btree_gin lets their index begin with the tenant.
create extension if not exists pg_trgm with schema extensions;
create extension if not exists btree_gin with schema extensions;

do $$
declare
    trigrams text;
begin
    -- A project may have had the extension before, in a schema of its own choice.
    select format('%I.%I', n.nspname, o.opcname) into strict trigrams
    from pg_catalog.pg_opclass as o
    join pg_catalog.pg_namespace as n on n.oid = o.opcnamespace
    where o.opcname = 'gin_trgm_ops';
    execute format(
        $index$
            create index contacts_search_idx on public.contacts using gin (
                organization_id,
                (
                    coalesce(name, '') || E'\n' || coalesce(saved_name, '') || E'\n' || coalesce(username, '')
                    || E'\n' || coalesce(phone_number, '')
                ) %s
            )
        $index$,
        trigrams
    );
end
$$;

-- Words, not trigrams: of every message that is stored, ten words cost a fraction of sixty trigrams. Each word has
-- its tenant before it (the beginning of its id), so that a search reads what its own tenant wrote and nothing else.
-- Without the accents that people leave out when they search. Of the longest text its beginning: a vector has a limit.
create index messages_search_idx on public.messages using gin (
    to_tsvector('simple', 'o' || left(organization_id::text, 8) || regexp_replace(
        translate(left(text, 10000), 'áàâãäéèêëíìîïóòôõöúùûüÁÀÂÃÄÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜ', 'aaaaaeeeeiiiiooooouuuuAAAAAEEEEIIIIOOOOOUUUU'),
        '[^[:alnum:]]+', ' o' || left(organization_id::text, 8), 'g'
    ))
) where text is not null;

-- The chats of an organization whose contact's name, username or number holds these words, and those in which a
-- message holds words that begin with them: newest first of each kind, fifty at most, with the message's text.
-- Acts with its owner's rights because under row-level security no index may be asked about a text (the operators
-- are not leakproof): every message of the tenant would be read. It proves the caller's membership itself.
create function private.find_chats(organization uuid, words text) returns table (chat_id uuid, message_text text)
language plpgsql stable security definer
set search_path = ''
-- What an index is worth depends on the words.
set plan_cache_mode = force_custom_plan
-- To start other processes takes longer than to look.
set max_parallel_workers_per_gather = 0
as $$
declare
    -- What has a meaning to `like` stands for itself.
    pattern text := '%' || regexp_replace(left(words, 100), '([\\%_])', '\\\1', 'g') || '%';
    digits text := regexp_replace(left(words, 100), '[^0-9]', '', 'g');
    plain text := translate(
        left(words, 100),
        'áàâãäéèêëíìîïóòôõöúùûüÁÀÂÃÄÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜ', 'aaaaaeeeeiiiiooooouuuuAAAAAEEEEIIIIOOOOOUUUU'
    );
    beginnings tsquery;
begin
    if not exists (select from private.my_organization_ids() as mine (id) where mine.id = organization) then
        return;
    end if;
    if words ~ '^[-+() 0-9]+$' and length(digits) >= 3 then
        pattern := '%' || digits || '%';
    end if;

    return query
    select c.id, null::text
    from public.contacts as p
    join public.chats as c on c.contact_id = p.id and c.organization_id = p.organization_id
    where p.organization_id = organization
        and (
            coalesce(p.name, '') || E'\n' || coalesce(p.saved_name, '') || E'\n' || coalesce(p.username, '')
            || E'\n' || coalesce(p.phone_number, '')
        ) ilike pattern
    order by c.last_message_at desc nulls last, c.id
    limit 50;

    if length(words) < 3 then
        return;
    end if;
    select to_tsquery('simple', string_agg('o' || left(organization::text, 8) || w.word || ':*', ' & '))
    into beginnings
    from regexp_split_to_table(plain, '[^[:alnum:]]+') as w (word)
    where w.word <> '';

    return query
    select m.chat_id, m.text
    from public.messages as m
    -- `is true` keeps other indexes out of it, which would be read for the tenant's whole part.
    where (m.organization_id = organization) is true and m.text is not null
        and to_tsvector('simple', 'o' || left(m.organization_id::text, 8) || regexp_replace(
            translate(
                left(m.text, 10000),
                'áàâãäéèêëíìîïóòôõöúùûüÁÀÂÃÄÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜ', 'aaaaaeeeeiiiiooooouuuuAAAAAEEEEIIIIOOOOOUUUU'
            ),
            '[^[:alnum:]]+', ' o' || left(m.organization_id::text, 8), 'g'
        )) @@ beginnings
    order by m.occurred_at desc, m.id
    limit 50;
end
$$;

create function public.find_chats(organization uuid, words text) returns table (chat_id uuid, message_text text)
language sql stable security invoker
set search_path = ''
as $$
    select f.chat_id, f.message_text from private.find_chats(organization, words) as f
$$;

revoke execute on function private.find_chats, public.find_chats from public, anon;
grant execute on function private.find_chats, public.find_chats to authenticated;
