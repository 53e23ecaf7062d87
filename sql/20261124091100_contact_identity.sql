-- Who is who: finding, making and joining contacts by their aliases.
-- Everything here runs inside the caller's transaction. Locks are always taken in the same order (the
-- organization's lock on making contacts, contacts by id, chats by id), so that no two callers wait for each other.

-- One organization's contacts are made and joined by one transaction at a time.
create function private.lock_contacts(organization_ids uuid[]) returns void
language plpgsql volatile
set search_path = ''
as $$
declare
    one uuid;
begin
    for one in select distinct id from unnest(organization_ids) as id order by id loop
        perform pg_advisory_xact_lock(hashtextextended('contacts:' || one::text, 0));
    end loop;
end
$$;

-- One thing told of a contact: a column of public.contacts, its value ('' = no longer), and as of when.
create type private.contact_fact as (contact_id uuid, field text, value text, told_at timestamptz);

-- Takes in what was told, newest first; of two values told of the same second the greater wins, so that the
-- result does not depend on the order of the telling. The caller holds the contacts' row locks.
create function private.learn_contacts(facts private.contact_fact[]) returns void
language sql volatile
set search_path = ''
as $$
    with newest as (
        select distinct on (f.contact_id, f.field)
            f.contact_id, f.field, f.value, extract(epoch from f.told_at) as told_at
        from unnest(facts) as f
        where f.contact_id is not null and f.value is not null and f.told_at is not null
        order by f.contact_id, f.field, f.told_at desc, f.value collate "C" desc
    ),
    news as (
        select
            n.contact_id,
            jsonb_object_agg(n.field, n.value) as said,
            jsonb_object_agg(n.field, n.told_at) as said_at
        from newest as n
        join public.contacts as c on c.id = n.contact_id
        where (c.facts_at ->> n.field) is null
            or n.told_at > (c.facts_at ->> n.field)::numeric
            or (
                n.told_at = (c.facts_at ->> n.field)::numeric
                and n.value collate "C" > coalesce(to_jsonb(c) ->> n.field, '') collate "C"
            )
        group by n.contact_id
    )
    update public.contacts as c set
        wa_id = case when said ? 'wa_id' then nullif(said ->> 'wa_id', '') else c.wa_id end,
        phone_number = case when said ? 'phone_number' then nullif(said ->> 'phone_number', '') else c.phone_number end,
        bsuid = case when said ? 'bsuid' then nullif(said ->> 'bsuid', '') else c.bsuid end,
        parent_bsuid = case when said ? 'parent_bsuid' then nullif(said ->> 'parent_bsuid', '') else c.parent_bsuid end,
        username = case when said ? 'username' then nullif(said ->> 'username', '') else c.username end,
        name = case when said ? 'name' then nullif(said ->> 'name', '') else c.name end,
        saved_name = case when said ? 'saved_name' then nullif(said ->> 'saved_name', '') else c.saved_name end,
        facts_at = c.facts_at || said_at
    from news
    where c.id = news.contact_id
$$;

-- What newly stored messages mean for their chat.
create type private.chat_news as (
    chat_id uuid, unread integer, window_expires_at timestamptz, message_at timestamptz, message_key text,
    message_text text, message_type text, message_direction text
);

-- The newest message is the one shown, whatever the order in which they come. One row a chat; the caller holds
-- the chats' row locks.
create function private.add_to_chats(news private.chat_news[]) returns void
language sql volatile
set search_path = ''
as $$
    update public.chats as c set
        unread_count = c.unread_count + n.unread,
        window_expires_at = greatest(c.window_expires_at, n.window_expires_at),
        (last_message_at, last_message_key, last_message_text, last_message_type, last_message_direction) = (
            select
                case when is_newer then n.message_at else c.last_message_at end,
                case when is_newer then n.message_key else c.last_message_key end,
                case when is_newer then n.message_text else c.last_message_text end,
                case when is_newer then n.message_type else c.last_message_type end,
                case when is_newer then n.message_direction else c.last_message_direction end
            from (
                select n.message_at is not null and (
                    c.last_message_at is null
                    or (n.message_at, n.message_key collate "C") > (c.last_message_at, c.last_message_key collate "C")
                ) as is_newer
            ) as compared
        )
    from unnest(news) as n
    where c.id = n.chat_id
$$;

-- Moves everything of one contact to another and forgets the first: they have turned out to be one person.
create function private.merge_contacts(organization uuid, survivor uuid, duplicate uuid) returns void
language plpgsql volatile
set search_path = ''
as $$
declare
    other public.contacts;
    old_chat public.chats;
    kept_chat_id uuid;
begin
    perform from public.contacts as c
    where c.organization_id = organization and c.id in (survivor, duplicate)
    order by c.id for update;
    select * into strict other from public.contacts as c where c.organization_id = organization and c.id = duplicate;

    perform from public.chats as c
    where c.organization_id = organization and c.contact_id in (survivor, duplicate)
    order by c.id for update;
    for old_chat in
        select * from public.chats as c where c.organization_id = organization and c.contact_id = duplicate
    loop
        select c.id into kept_chat_id from public.chats as c
        where c.organization_id = organization and c.contact_id = survivor and c.platform = old_chat.platform;
        if kept_chat_id is null then
            update public.chats as c set contact_id = survivor where c.id = old_chat.id;
            continue;
        end if;
        update public.messages as m set chat_id = kept_chat_id
        where m.organization_id = organization and m.chat_id = old_chat.id;
        perform private.add_to_chats(array[row(
            kept_chat_id, old_chat.unread_count, old_chat.window_expires_at, old_chat.last_message_at,
            old_chat.last_message_key, old_chat.last_message_text, old_chat.last_message_type,
            old_chat.last_message_direction
        )::private.chat_news]);
        delete from public.chats as c where c.id = old_chat.id;
    end loop;

    update public.messages as m set contact_id = survivor
    where m.organization_id = organization and m.contact_id = duplicate;
    update public.contact_aliases as a set contact_id = survivor
    where a.organization_id = organization and a.contact_id = duplicate;
    delete from public.contacts as c where c.organization_id = organization and c.id = duplicate;

    perform private.learn_contacts(array(
        select row(survivor, f.key, coalesce(to_jsonb(other) ->> f.key, ''), to_timestamp(f.value::numeric))::private.contact_fact
        from jsonb_each_text(other.facts_at) as f
    ));
end
$$;

-- The contact that all of these aliases mean: found, made, or joined from several that are one person.
-- The caller holds private.lock_contacts.
create function private.join_contact(organization uuid, known_aliases text[]) returns uuid
language plpgsql volatile
set search_path = ''
as $$
declare
    found_ids uuid[];
    survivor uuid;
    duplicate uuid;
begin
    select array_agg(c.id order by c.created_at, c.id) into found_ids
    from public.contacts as c
    where c.organization_id = organization
        and c.id in (
            select a.contact_id from public.contact_aliases as a
            where a.organization_id = organization and a.alias = any (known_aliases)
        );
    survivor := found_ids[1];
    if survivor is null then
        insert into public.contacts (organization_id) values (organization) returning id into survivor;
    end if;
    foreach duplicate in array coalesce(found_ids[2:], '{}') loop
        perform private.merge_contacts(organization, survivor, duplicate);
    end loop;
    insert into public.contact_aliases (organization_id, alias, contact_id)
    select organization, known.alias, survivor from unnest(known_aliases) as known (alias)
    on conflict (alias, organization_id) do nothing;
    return survivor;
end
$$;

create type private.person as (organization_id uuid, aliases text[]);

-- Makes sure that each of these people is exactly one contact that knows all of their aliases.
create function private.settle_people(people private.person[]) returns void
language plpgsql volatile
set search_path = ''
as $$
declare
    unsettled private.person[];
    one private.person;
begin
    unsettled := private.unsettled_people(people);
    if cardinality(unsettled) = 0 then
        return;
    end if;
    perform private.lock_contacts(array(select u.organization_id from unnest(unsettled) as u));
    unsettled := private.unsettled_people(unsettled);

    -- Strangers whom nobody else in this list shares an alias with: all at once.
    with exploded as (
        select u.nr, u.organization_id, named.alias,
            count(*) over (partition by u.organization_id, named.alias) > 1 as is_shared,
            exists (
                select from public.contact_aliases as a
                where a.organization_id = u.organization_id and a.alias = named.alias
            ) as is_known
        from unnest(unsettled) with ordinality as u (organization_id, aliases, nr)
        cross join lateral unnest(u.aliases) as named (alias)
    ),
    strangers as materialized (
        select e.nr, e.organization_id, gen_random_uuid() as id
        from exploded as e
        group by e.nr, e.organization_id
        having not bool_or(e.is_shared) and not bool_or(e.is_known)
    ),
    made as (
        insert into public.contacts (id, organization_id) select s.id, s.organization_id from strangers as s
    )
    insert into public.contact_aliases (organization_id, alias, contact_id)
    select s.organization_id, e.alias, s.id
    from strangers as s join exploded as e on e.nr = s.nr;

    -- The rest, few, one by one: each may join several contacts into one.
    foreach one in array private.unsettled_people(unsettled) loop
        perform private.join_contact(one.organization_id, one.aliases);
    end loop;
end
$$;

create function private.unsettled_people(people private.person[]) returns private.person[]
language sql stable
set search_path = ''
as $$
    select coalesce(
        array_agg(row(p.organization_id, p.aliases)::private.person order by p.organization_id, p.aliases), '{}'
    )
    from unnest(people) with ordinality as p (organization_id, aliases, nr)
    join (
        select u.nr
        from unnest(people) with ordinality as u (organization_id, aliases, nr)
        cross join lateral unnest(u.aliases) as named (alias)
        -- One by one through the key: a join might read every alias of everybody.
        left join lateral (
            select k.contact_id from public.contact_aliases as k
            where k.organization_id = u.organization_id and k.alias = named.alias
            limit 1
        ) as a on true
        group by u.nr
        having count(a.contact_id) < count(*) or count(distinct a.contact_id) > 1
    ) as unsettled on unsettled.nr = p.nr
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
