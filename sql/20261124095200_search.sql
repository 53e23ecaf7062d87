-- Finding a conversation by who it is with, or by what was said in it.

-- Everything by which a contact may be looked for, one a line, without the accents that people leave out.
create function private.naming(name text, saved_name text, username text, phone_number text) returns text
language sql immutable parallel safe
set search_path = ''
as $$
    select lower(translate(
        coalesce(name, '') || E'\n' || coalesce(saved_name, '') || E'\n' || coalesce(username, '')
            || E'\n' || coalesce(phone_number, ''),
        'áàâãäéèêëíìîïóòôõöúùûüñçÁÀÂÃÄÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜÑÇ', 'aaaaaeeeeiiiiooooouuuuncAAAAAEEEEIIIIOOOOOUUUUNC'
    ))
$$;

-- Each three characters that stand together, with the tenant (the beginning of its id) before them: what holds all
-- of those of a text may hold the text, and a search reads what its own tenant has, however many others there are.
create function private.pieces(organization uuid, words text) returns text[]
language sql immutable parallel safe cost 1000
set search_path = ''
as $$
    select coalesce(array_agg(distinct left(organization::text, 8) || substr(words, p.first, 3)), '{}')
    from generate_series(1, length(words) - 2) as p (first)
$$;

revoke execute on function private.naming, private.pieces from public, anon;
grant execute on function private.naming, private.pieces to service_role;
create index contacts_search_idx on public.contacts using gin (
    private.pieces(organization_id, private.naming(name, saved_name, username, phone_number))
);

-- Words, not pieces: of every message that is stored, ten words cost a fraction of sixty pieces. Each has its tenant
-- before it here too.
-- Without the accents that people leave out when they search. Of the longest text its beginning: a vector has a limit.
create index messages_search_idx on public.messages using gin (
    to_tsvector('simple', 'o' || left(organization_id::text, 8) || regexp_replace(
        translate(left(text, 10000), 'áàâãäéèêëíìîïóòôõöúùûüñçÁÀÂÃÄÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜÑÇ', 'aaaaaeeeeiiiiooooouuuuncAAAAAEEEEIIIIOOOOOUUUUNC'),
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
    digits text := regexp_replace(left(words, 100), '[^0-9]', '', 'g');
    plain text := split_part(private.naming(left(words, 100), '', '', ''), E'\n', 1);
    part text;
    pattern text;
    beginnings tsquery;
begin
    if not exists (select from private.my_organization_ids() as mine (id) where mine.id = organization) then
        return;
    end if;
    -- A number may be typed with signs between its digits.
    part := case when words ~ '^[-+() 0-9]+$' and length(digits) >= 3 then digits else plain end;
    -- What has a meaning to `like` stands for itself.
    pattern := '%' || regexp_replace(part, '([\\%_])', '\\\1', 'g') || '%';

    return query
    select c.id, null::text
    from public.contacts as p
    join public.chats as c on c.contact_id = p.id and c.organization_id = p.organization_id
    where private.naming(p.name, p.saved_name, p.username, p.phone_number) like pattern
        and case
            -- Too short for the index: the tenant's contacts are read.
            when length(part) < 3 then p.organization_id = organization
            -- `is true` keeps other indexes out of it, which would be read for the tenant's whole part.
            else (p.organization_id = organization) is true
                and private.pieces(p.organization_id, private.naming(p.name, p.saved_name, p.username, p.phone_number))
                    @> private.pieces(organization, part)
        end
    order by c.last_message_at desc nulls last, c.id
    limit 50;

    if length(part) < 3 then
        return;
    end if;

    select to_tsquery('simple', string_agg('o' || left(organization::text, 8) || w.word || ':*', ' & '))
    into beginnings
    from regexp_split_to_table(plain, '[^[:alnum:]]+') as w (word)
    where w.word <> '';

    return query
    select m.chat_id, m.text
    from public.messages as m
    where (m.organization_id = organization) is true and m.text is not null
        and to_tsvector('simple', 'o' || left(m.organization_id::text, 8) || regexp_replace(
            translate(
                left(m.text, 10000),
                'áàâãäéèêëíìîïóòôõöúùûüñçÁÀÂÃÄÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜÑÇ', 'aaaaaeeeeiiiiooooouuuuncAAAAAEEEEIIIIOOOOOUUUUNC'
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
