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

-- The newest message is the one shown, whatever the order in which they come, and as it was told last. One row a
-- chat; the caller holds the chats' row locks.
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
                    or (n.message_at, n.message_key collate "C") >= (c.last_message_at, c.last_message_key collate "C")
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
    insert into public.former_phones as f (organization_id, alias, contact_id, held_until)
    select d.organization_id, d.alias, survivor, d.held_until from public.former_phones as d
    where d.organization_id = organization and d.contact_id = duplicate
    on conflict (alias, organization_id, contact_id) do update set
        held_until = greatest(f.held_until, excluded.held_until);
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

-- Whose a number is. Meta gives a person another BSUID with another number: two BSUIDs under one number, which no
-- change of identity links, are two people, and the number is the one's of whom it was told last.
-- The callers of these functions hold private.lock_contacts.

-- Whether this contact goes by another BSUID than these. A parent id is no name of its own, and only ids that look
-- as Meta documents them tell people apart (shared/contacts.py).
create function private.is_another(contact uuid, bsuids text[]) returns boolean
language sql stable
set search_path = ''
as $$
    select coalesce(bool_and(not a.alias = any (bsuids)) and bool_or(not a.is_former), false)
        and exists (select from unnest(bsuids) as b where b ~ '^bsuid:[A-Z]{2}[.][A-Za-z0-9.]{1,140}$')
    from public.contacts as c
    join public.contact_aliases as a on a.contact_id = c.id and a.organization_id = c.organization_id
    where c.id = contact and a.alias ~ '^bsuid:[A-Z]{2}[.][A-Za-z0-9.]{1,140}$'
        and a.alias is distinct from 'bsuid:' || c.parent_bsuid
$$;

-- An identifier that stays theirs: rather a BSUID than a number.
create function private.alias_of(contact uuid) returns text
language sql stable
set search_path = ''
as $$
    select min(a.alias collate "C") from public.contact_aliases as a where a.contact_id = contact
$$;

create function private.leave_phone(organization uuid, contact uuid, phone text, as_of timestamptz) returns void
language sql volatile
set search_path = ''
as $$
    delete from public.contact_aliases as a
    where a.organization_id = organization and a.alias = phone and a.contact_id = contact;
    insert into public.former_phones as f (organization_id, alias, contact_id, held_until)
    values (organization, phone, contact, as_of)
    on conflict (alias, organization_id, contact_id) do update set
        held_until = greatest(f.held_until, excluded.held_until);
$$;

create function private.holds(organization uuid, contact uuid, known_alias text) returns boolean
language sql stable
set search_path = ''
as $$
    select exists (
        select from public.contact_aliases as a
        where a.organization_id = organization and a.alias = known_alias and a.contact_id = contact
    )
$$;

-- When a contact's number was last told.
create function private.phone_told_at(contact uuid) returns timestamptz
language sql stable
set search_path = ''
as $$
    select to_timestamp(coalesce((c.facts_at ->> 'wa_id')::numeric, 0)) from public.contacts as c where c.id = contact
$$;

-- By which alias the person with these BSUIDs is found who is said to have this number as of then: the number
-- itself, another alias where they have left it since, null where it is somebody else's. Takes the number from a
-- person of whom it was told before.
create function private.find_by_phone(organization uuid, phone text, bsuids text[], as_of timestamptz) returns text
language plpgsql volatile
set search_path = ''
as $$
declare
    holder uuid;
    told_at timestamptz;
begin
    select f.contact_id into holder from public.former_phones as f
    where f.organization_id = organization and f.alias = phone and f.held_until >= as_of
    order by f.held_until, f.contact_id
    limit 1;
    if found then
        return case when not private.is_another(holder, bsuids) then private.alias_of(holder) end;
    end if;

    select a.contact_id into holder from public.contact_aliases as a
    where a.organization_id = organization and a.alias = phone;
    if holder is null and cardinality(bsuids) = 0 then
        -- Nobody else has been seen with it yet.
        select f.contact_id into holder from public.former_phones as f
        where f.organization_id = organization and f.alias = phone
        order by f.held_until desc, f.contact_id
        limit 1;
        return coalesce(private.alias_of(holder), phone);
    elsif holder is null or not private.is_another(holder, bsuids) then
        return phone;
    end if;
    told_at := private.phone_told_at(holder);
    if told_at > as_of or (told_at = as_of and private.alias_of(holder) > any (bsuids)) then
        return null;
    end if;
    perform private.leave_phone(organization, holder, phone, told_at);
    -- What is sent to it would reach its new owner. Another number that they have stays.
    update public.contacts as c set
        wa_id = null, phone_number = null, facts_at = c.facts_at - array['wa_id', 'phone_number']
    where c.id = holder
        and not exists (
            select from public.contact_aliases as a
            where a.organization_id = organization and a.contact_id = holder and a.alias = 'phone:' || c.wa_id
        );
    return phone;
end
$$;

-- Finds, makes or joins the person whom a message, a status or an address book names as of then: one alias of
-- theirs, and which facts of how to reach them still hold. `parent` is the alias of their parent id.
create function private.place_person(
    organization uuid, named text[], parent text, as_of timestamptz, out alias text, out tells text[]
)
language plpgsql volatile
set search_path = ''
as $$
declare
    keep text[] := array(select n from unnest(named) as n where n like 'bsuid:%');
    bsuids text[] := array_remove(keep, parent);
    replaced uuid;
    phone text;
    known_as text;
    not_theirs text[] := '{}';
    person uuid;
begin
    tells := '{wa_id,phone_number,bsuid}';
    select a.contact_id into replaced from public.contact_aliases as a
    where a.organization_id = organization and a.alias = any (bsuids) and a.is_former
    limit 1;
    if found then
        tells := '{}';
    end if;
    foreach phone in array array(select n from unnest(named) as n where n like 'phone:%') loop
        if replaced is null then
            known_as := private.find_by_phone(organization, phone, bsuids, as_of);
        else
            -- It went with the old BSUID, and so did who was known by it alone. They may have it again under another.
            select a.alias into known_as from public.contact_aliases as a
            where a.organization_id = organization and a.alias = phone and not private.is_another(a.contact_id, bsuids);
            continue when private.holds(organization, replaced, phone);
        end if;
        keep := array_append(keep, known_as);
        if known_as is distinct from phone then
            tells := array_remove(array_remove(tells, 'wa_id'), 'phone_number');
        end if;
        if known_as is null or replaced is not null then
            not_theirs := array_append(not_theirs, phone);
        end if;
    end loop;
    person := private.join_contact(organization, array_remove(keep, null));
    perform private.leave_phone(organization, person, p, as_of) from unnest(not_theirs) as p;
    alias := private.alias_of(person);
end
$$;

-- Meta says that one person went from some of these aliases to those that arrived. Answers an alias of theirs.
create function private.change_identity(organization uuid, named text[], arrived text[], as_of timestamptz) returns text
language plpgsql volatile
set search_path = ''
as $$
declare
    bsuids text[] := array(select n from unnest(named) as n where n like 'bsuid:%');
    new_bsuids text[] := array(select n from unnest(arrived) as n where n like 'bsuid:%');
    gone text[] := array(select n from unnest(named) as n where not n = any (arrived));
    old_bsuids text[] := array(select n from unnest(gone) as n where n like 'bsuid:%');
    keep text[] := bsuids;
    is_replaced boolean;
    phone text;
    known_as text;
    not_theirs text[] := '{}';
    movers uuid[];
    person uuid;
begin
    is_replaced := exists (
        select from public.contact_aliases as a
        where a.organization_id = organization and a.alias = any (new_bsuids) and a.is_former
    );
    foreach phone in array array(select n from unnest(named) as n where n like 'phone:%') loop
        known_as := case
            when not phone = any (gone) then case
                when not is_replaced then private.find_by_phone(
                    organization, phone, case when cardinality(new_bsuids) > 0 then bsuids else '{}' end, as_of
                )
            end
            -- Without the old BSUID only the time tells the person who left the number from the one who has it.
            when cardinality(old_bsuids) = 0 and exists (
                select from public.contact_aliases as a
                where a.organization_id = organization and a.alias = phone
                    and private.is_another(a.contact_id, bsuids) and private.phone_told_at(a.contact_id) > as_of
            ) then null
            else private.find_by_phone(organization, phone, old_bsuids, as_of)
        end;
        keep := array_append(keep, known_as);
        if phone = any (gone) or known_as is null then
            not_theirs := array_append(not_theirs, phone);
        end if;
    end loop;
    keep := array_remove(keep, null);

    -- Who is known by what is gone and not yet by what came: all that is known of how to reach them is gone too.
    movers := array(
        select a.contact_id from public.contact_aliases as a
        where a.organization_id = organization and a.alias = any (keep) and a.alias = any (gone) and not a.is_former
            and not exists (
                select from public.contact_aliases as b
                where b.organization_id = organization and b.contact_id = a.contact_id and b.alias = any (arrived)
            )
    );
    perform private.leave_phone(organization, a.contact_id, a.alias, private.phone_told_at(a.contact_id))
    from public.contact_aliases as a
    where a.organization_id = organization and a.contact_id = any (movers)
        and a.alias like 'phone:%' and not a.alias = any (named);
    update public.contact_aliases as a set is_former = true
    where a.organization_id = organization and a.contact_id = any (movers) and a.alias like 'bsuid:%';
    update public.contacts as c set
        wa_id = null, phone_number = null, bsuid = null,
        facts_at = c.facts_at - array['wa_id', 'phone_number', 'bsuid']
    where c.id = any (movers);

    person := private.join_contact(organization, keep);
    perform private.leave_phone(organization, person, p, as_of) from unnest(not_theirs) as p;
    update public.contact_aliases as a set is_former = true
    where a.organization_id = organization and a.alias = any (old_bsuids) and cardinality(new_bsuids) > 0
        and not a.is_former;
    return private.alias_of(person);
end
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
