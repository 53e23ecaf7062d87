-- Takes in one delivery of Meta's: everything of it in one call and one transaction, or nothing.
-- What the parser gives (shared/webhooks.py) is a flat list of items; each is stored under its tenant.

create type private.delivery_item as (
    nr bigint,
    kind text,
    path text,
    organization_id uuid,
    integration_id uuid,
    occurred_at timestamptz,
    -- Sorted; null where the item names no person to be known.
    aliases text[],
    contact_id uuid,
    chat_id uuid,
    wamid text,
    item jsonb
);

-- Earliest time of each status, set on messages whose wamid (or our own id, sent along as callback data) it names.
create function private.apply_receipts(organization uuid, wamids text[]) returns void
language sql volatile
set search_path = ''
as $$
    -- The few receipts first, each then looked up by a key: what else waits for a wamid may be a long queue.
    with told as materialized (
        select r.wamid, r.callback_message_id from public.message_receipts as r
        where r.organization_id = organization and r.wamid = any (wamids) and r.callback_message_id is not null
    )
    update public.messages as m set wamid = t.wamid
    from told as t
    where m.id = t.callback_message_id and m.organization_id = organization
        and coalesce(m.wamid, '') = '' and m.direction = 'outbound'
        and not exists (
            select from public.messages as taken
            where taken.organization_id = organization and taken.wamid = t.wamid
        );

    with told as materialized (
        select r.* from public.message_receipts as r
        where r.organization_id = organization and r.wamid = any (wamids)
    )
    update public.messages as m set
        sent_at = r.sent_at,
        delivered_at = r.delivered_at,
        read_at = r.read_at,
        played_at = r.played_at,
        failed_at = case when r.failed_at is not null then r.failed_at else m.failed_at end,
        error_code = case when r.failed_at is not null then (r.error ->> 'code')::integer else m.error_code end,
        error_message = case when r.failed_at is not null then r.error ->> 'title' else m.error_message end,
        error_details = case when r.failed_at is not null then r.error ->> 'details' else m.error_details end,
        pricing = r.pricing
    from told as r
    where m.organization_id = organization and m.wamid = r.wamid and m.direction = 'outbound'
        and (
            (m.sent_at, m.delivered_at, m.read_at, m.played_at, m.pricing)
                is distinct from (r.sent_at, r.delivered_at, r.read_at, r.played_at, r.pricing)
            or (r.failed_at is not null and m.failed_at is distinct from r.failed_at)
            or (r.failed_at is not null and m.error_code is distinct from (r.error ->> 'code')::integer)
        )
$$;

-- Whether what is known leaves it open whom these aliases mean: a number or a BSUID has been left, or they are not
-- one and the same person's.
create function private.is_doubtful(organization uuid, named text[]) returns boolean
language sql stable
set search_path = ''
as $$
    select
        exists (
            select from public.contact_aliases as a
            where a.organization_id = organization and a.alias = bsuid and a.is_former
        )
        or exists (
            select from public.former_phones as f where f.organization_id = organization and f.alias = phone
        )
        or (
            phone is not null and bsuid is not null
            and (
                select a.contact_id from public.contact_aliases as a
                where a.organization_id = organization and a.alias = phone
            ) is distinct from (
                select a.contact_id from public.contact_aliases as a
                where a.organization_id = organization and a.alias = bsuid
            )
        )
    from (
        select
            min(n) filter (where n like 'phone:%') as phone, min(n) filter (where n like 'bsuid:%') as bsuid
        from unnest(named) as n
    ) as one
$$;

-- The same items, told apart where several people may be meant by one number. Whom such an item means, and how to
-- reach them, is settled here, one by one: each says something of the next. It then names them by one alias.
create function private.tell_apart(items private.delivery_item[], received_at timestamptz)
returns private.delivery_item[]
language plpgsql volatile
set search_path = ''
as $$
declare
    doubtful integer[];
    place integer;
    one private.delivery_item;
    contact jsonb;
    tells text[];
    as_of timestamptz;
begin
    -- Most deliveries are of one person, whom nobody can be taken for.
    if cardinality(items) = 1 and items[1].kind <> 'identity'
        and not private.is_doubtful(items[1].organization_id, items[1].aliases)
    then
        return items;
    end if;

    with named as (
        select i.organization_id, i.aliases, bool_or(i.kind = 'identity') as is_change,
            (select min(n) from unnest(i.aliases) as n where n like 'phone:%') as phone,
            (select min(n) from unnest(i.aliases) as n where n like 'bsuid:%') as bsuid
        from unnest(items) as i
        where i.aliases is not null
        group by i.organization_id, i.aliases
    ),
    compared as (
        select n.organization_id, n.aliases, n.phone,
            bool_or(n.is_change) over (partition by n.organization_id)
            or private.is_doubtful(n.organization_id, n.aliases)
            or coalesce(
                min(n.bsuid) over (partition by n.organization_id, n.phone)
                <> max(n.bsuid) over (partition by n.organization_id, n.phone)
                and n.phone is not null,
                false
            ) as is_doubtful
        from named as n
    ),
    judged as (
        select c.organization_id, c.aliases,
            c.is_doubtful or (
                c.phone is not null and bool_or(c.is_doubtful) over (partition by c.organization_id, c.phone)
            ) as is_doubtful
        from compared as c
    )
    -- Changes first: they say what the rest means. What names no BSUID last: it follows the others.
    select array_agg(i.place order by
        i.kind <> 'identity', not i.aliases::text like '%bsuid:%', coalesce(i.occurred_at, tell_apart.received_at), i.place
    )
    into doubtful
    from unnest(items) with ordinality as i (
        nr, kind, path, organization_id, integration_id, occurred_at, aliases, contact_id, chat_id, wamid, item, place
    )
    join judged as j on j.organization_id = i.organization_id and j.aliases = i.aliases
    where j.is_doubtful;
    if doubtful is null then
        return items;
    end if;

    perform private.lock_contacts(array(select items[d].organization_id from unnest(doubtful) as d));
    foreach place in array doubtful loop
        one := items[place];
        contact := coalesce(nullif(one.item -> 'contact', 'null'), one.item -> 'recipient');
        as_of := coalesce(one.occurred_at, tell_apart.received_at);
        if one.kind = 'identity' then
            one.aliases := array[private.change_identity(
                one.organization_id, one.aliases, array(select jsonb_array_elements_text(contact -> 'aliases')), as_of
            )];
            tells := '{wa_id,phone_number,bsuid}';
            as_of := as_of + interval '1 millisecond';
        else
            select array[p.alias], p.tells into one.aliases, tells
            from private.place_person(
                one.organization_id, one.aliases, 'bsuid:' || (contact ->> 'parent_bsuid'), as_of
            ) as p;
        end if;
        perform private.learn_contacts(array(
            -- A change tells all of how to reach them: what it leaves out is no longer so.
            select row(
                a.contact_id, told.field, case when one.kind = 'identity' then coalesce(told.value, '') else told.value end,
                as_of
            )::private.contact_fact
            from public.contact_aliases as a
            cross join lateral jsonb_each_text(contact) as told (field, value)
            where a.organization_id = one.organization_id and a.alias = one.aliases[1] and told.field = any (tells)
        ));
        contact := contact - array['wa_id', 'phone_number', 'bsuid'];
        one.item := one.item || case
            when jsonb_typeof(one.item -> 'contact') = 'object' then jsonb_build_object('contact', contact)
            else jsonb_build_object('recipient', contact)
        end;
        items[place] := one;
    end loop;
    return items;
end
$$;

-- The rows that a list of items of known tenants means. Called with all items at once; where one of them breaks
-- a rule of the database, called again with each on its own.
create function private.store_items(items private.delivery_item[], received_at timestamptz) returns void
language plpgsql volatile
set search_path = ''
as $$
declare
    people private.person[];
    contact_ids uuid[];
    organization uuid;
begin
    items := private.tell_apart(items, store_items.received_at);
    -- People first: every later row points at them.
    people := array(
        select distinct row(i.organization_id, i.aliases)::private.person
        from unnest(items) as i
        where i.aliases is not null
    );
    for attempt in 1..5 loop
        perform private.settle_people(people);
        items := array(
            select row(
                i.nr, i.kind, i.path, i.organization_id, i.integration_id, i.occurred_at, i.aliases, a.contact_id,
                null, i.wamid, i.item
            )::private.delivery_item
            from unnest(items) as i
            -- One by one through the key: a join might read every alias of everybody.
            left join lateral (
                select k.contact_id from public.contact_aliases as k
                where k.organization_id = i.organization_id and k.alias = i.aliases[1]
                limit 1
            ) as a on true
            order by i.nr
        );
        contact_ids := array(select distinct i.contact_id from unnest(items) as i where i.contact_id is not null);
        perform from public.contacts as c where c.id = any (contact_ids) order by c.id for no key update;
        -- Fewer: another transaction has just joined two of them. Look again.
        exit when (select count(*) from public.contacts as c where c.id = any (contact_ids)) = cardinality(contact_ids);
    end loop;

    perform private.learn_contacts(array(
        select row(
            i.contact_id,
            case when i.kind = 'contact' and told.field = 'name' then 'saved_name' else told.field end,
            told.value,
            -- A change of number is told by the old number and of the new one in the same second.
            coalesce(i.occurred_at, store_items.received_at)
                + case when i.kind = 'identity' then interval '1 millisecond' else interval '0' end
        )::private.contact_fact
        from unnest(items) as i
        cross join lateral jsonb_each_text(case
            when jsonb_typeof(i.item -> 'contact') = 'object' then
                (i.item -> 'contact')
                || case when i.item ->> 'action' = 'remove' then '{"name": ""}'::jsonb else '{}'::jsonb end
            when jsonb_typeof(i.item -> 'recipient') = 'object' then i.item -> 'recipient'
            else '{}'::jsonb
        end) as told (field, value)
        where i.contact_id is not null
            and told.field in ('wa_id', 'phone_number', 'bsuid', 'parent_bsuid', 'username', 'name')
            and told.value is not null
    ));

    perform private.store_messages(
        array(select i from unnest(items) as i where i.kind = 'message'), store_items.received_at
    );

    if exists (select from unnest(items) as i where i.kind = 'status') then
        perform private.store_receipts(
            array(select i from unnest(items) as i where i.kind = 'status'), store_items.received_at
        );
    end if;

    -- What Meta said of these wamids before, or says here, belongs to their messages now.
    for organization in select distinct i.organization_id from unnest(items) as i order by 1 loop
        perform private.apply_receipts(organization, array(
            select distinct i.wamid
            from unnest(items) as i
            where i.organization_id = organization
                and (i.kind = 'status' or (i.kind = 'message' and i.item ->> 'direction' = 'outbound'))
        ));
    end loop;

    if exists (select from unnest(items) as i where i.kind in ('template', 'notice')) then
        perform private.store_news(
            array(select i from unnest(items) as i where i.kind in ('template', 'notice')), store_items.received_at
        );
    end if;
end
$$;

create function private.store_messages(items private.delivery_item[], received_at timestamptz) returns void
language plpgsql volatile
set search_path = ''
as $$
declare
    news private.chat_news[];
begin
    if cardinality(items) = 0 then
        return;
    end if;

    insert into public.chats (organization_id, contact_id, group_id)
    select distinct i.organization_id, case when i.item ->> 'group_id' is null then i.contact_id end, i.item ->> 'group_id'
    from unnest(items) as i
    -- Most have theirs: to find it costs less than to try.
    where i.item ->> 'group_id' is not null
        or not exists (
            select from public.chats as c
            where c.contact_id = i.contact_id and c.organization_id = i.organization_id and c.platform = 'whatsapp'
        )
    order by 1, 2, 3
    on conflict do nothing;

    items := array(
        select row(
            i.nr, i.kind, i.path, i.organization_id, i.integration_id, i.occurred_at, i.aliases, i.contact_id,
            coalesce(shared.id, own.id), i.wamid, i.item
        )::private.delivery_item
        from unnest(items) as i
        -- One by one through the key: a join might read every chat of everybody.
        left join lateral (
            select c.id from public.chats as c
            where c.group_id = i.item ->> 'group_id' and c.organization_id = i.organization_id
                and c.platform = 'whatsapp'
            limit 1
        ) as shared on true
        left join lateral (
            select c.id from public.chats as c
            where c.contact_id = i.contact_id and c.organization_id = i.organization_id and c.platform = 'whatsapp'
            limit 1
        ) as own on true
    );
    perform from public.chats as c
    where c.id = any (array(select distinct i.chat_id from unnest(items) as i))
    order by c.id
    for no key update;

    with named as materialized (
        -- The same wamid twice in one delivery is one message; a placeholder gives way to the real thing.
        select distinct on (i.organization_id, i.wamid)
            i.organization_id, i.contact_id, i.chat_id, i.wamid, i.occurred_at, i.item
        from unnest(items) as i
        order by i.organization_id, i.wamid, (i.item ->> 'type' = 'media_placeholder'), i.nr
    ),
    stored as (
        insert into public.messages as m (
            organization_id, chat_id, contact_id, wamid, direction, origin, type, text, content,
            reply_to_wamid, target_wamid, is_forwarded, occurred_at, imported_status
        )
        select
            n.organization_id, n.chat_id, n.contact_id, n.wamid,
            (n.item ->> 'direction')::public.message_direction,
            case
                when (n.item ->> 'is_standby')::boolean then 'standby'
                else (n.item ->> 'origin')::public.message_origin
            end,
            n.item ->> 'type', n.item ->> 'text', coalesce(n.item -> 'content', '{}'),
            n.item ->> 'reply_to_wamid', n.item ->> 'target_wamid',
            coalesce((n.item ->> 'is_forwarded')::boolean, false),
            coalesce(n.occurred_at, store_messages.received_at),
            case
                when n.item ->> 'direction' = 'inbound' then null
                when n.item ->> 'status' in ('sent', 'delivered', 'read', 'played', 'failed')
                    then (n.item ->> 'status')::public.message_status
                when n.item ->> 'status' = 'pending' then 'accepted'
                -- Written in the business's own app or imported: it has left, whatever became of it.
                else 'sent'
            end
        from named as n
        order by n.organization_id, n.wamid
        on conflict (wamid, organization_id) do update set
            type = excluded.type, text = excluded.text, content = excluded.content
        where m.type = 'media_placeholder' and excluded.type <> 'media_placeholder'
        returning m.id, m.organization_id, m.chat_id, m.wamid, m.direction, m.origin, m.type, m.text, m.occurred_at,
            (m.xmax = 0) as is_new
    ),
    media as (
        insert into public.message_media (
            message_id, organization_id, media_id, mime_type, sha256, filename, is_voice, is_animated
        )
        select
            s.id, s.organization_id, n.item -> 'media' ->> 'media_id', n.item -> 'media' ->> 'mime_type',
            -- Base64 in webhooks, hex in the media endpoint's answer: hex here.
            case
                when n.item -> 'media' ->> 'sha256' ~ '^[A-Za-z0-9+/]{43}=$'
                    then encode(decode(n.item -> 'media' ->> 'sha256', 'base64'), 'hex')
                when n.item -> 'media' ->> 'sha256' ~ '^[0-9a-fA-F]{64}$' then lower(n.item -> 'media' ->> 'sha256')
            end,
            n.item -> 'media' ->> 'filename',
            coalesce((n.item -> 'media' ->> 'is_voice')::boolean, false),
            coalesce((n.item -> 'media' ->> 'is_animated')::boolean, false)
        from stored as s
        join named as n on n.organization_id = s.organization_id and n.wamid = s.wamid
        where jsonb_typeof(n.item -> 'media') = 'object'
        on conflict (message_id, organization_id) do nothing
        returning message_id, organization_id
    ),
    media_jobs as (
        insert into public.jobs (organization_id, kind, key, payload)
        select m.organization_id, 'fetch_media', m.message_id::text, jsonb_build_object('message_id', m.message_id)
        from media as m
        on conflict (kind, key) do nothing
    ),
    -- Reactions, edits, revocations and notices of the system change a chat without being its last word. What came
    -- for a placeholder is the last word where that was.
    said as (
        select s.* from stored as s
        where s.type not in ('reaction', 'edit', 'revoke', 'system')
    ),
    last_words as (
        select distinct on (s.chat_id) s.chat_id, s.occurred_at, s.wamid, s.text, s.type, s.direction
        from said as s
        order by s.chat_id, s.occurred_at desc, s.wamid collate "C" desc
    ),
    unread as (
        select s.chat_id, count(*) as messages
        from said as s
        where s.is_new and s.direction = 'inbound' and s.origin = 'live'
        group by s.chat_id
    ),
    windows as (
        select s.chat_id, max(s.occurred_at) + interval '24 hours' as expires_at
        from stored as s
        where s.is_new and s.direction = 'inbound' and s.origin in ('live', 'standby') and s.type <> 'system'
        group by s.chat_id
    ),
    changed as (
        select w.chat_id from last_words as w
        union
        select w.chat_id from windows as w
    )
    select array_agg(row(
        ch.chat_id, coalesce(u.messages, 0)::integer, w.expires_at, l.occurred_at, l.wamid, left(l.text, 300), l.type,
        l.direction::text
    )::private.chat_news)
    into news
    from changed as ch
    left join last_words as l on l.chat_id = ch.chat_id
    left join unread as u on u.chat_id = ch.chat_id
    left join windows as w on w.chat_id = ch.chat_id;

    perform private.add_to_chats(news);
end
$$;

-- The earlier time of each key of two objects whose values are times.
create function private.earliest(one jsonb, other jsonb) returns jsonb
language sql stable
set search_path = ''
as $$
    select coalesce(jsonb_object_agg(e.key, e.told_at), '{}')
    from (
        select both_.key, min(both_.value::timestamptz) as told_at
        from (
            select key, value from jsonb_each_text(one)
            union all
            select key, value from jsonb_each_text(other)
        ) as both_
        group by both_.key
    ) as e
$$;

create function private.store_receipts(items private.delivery_item[], received_at timestamptz) returns void
language sql volatile
set search_path = ''
as $$
    with told as (
        select
            i.organization_id, i.wamid, i.item ->> 'status' as status,
            coalesce(i.occurred_at, store_receipts.received_at) as told_at,
            i.item -> 'error' as error,
            nullif(i.item -> 'pricing', 'null') as pricing,
            nullif(i.item -> 'conversation', 'null') as conversation,
            case
                when i.item ->> 'callback_data' ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
                    then (i.item ->> 'callback_data')::uuid
            end as callback_message_id
        from unnest(items) as i
    ),
    summed as (
        select
            t.organization_id, t.wamid,
            min(t.told_at) filter (where t.status = 'sent') as sent_at,
            min(t.told_at) filter (where t.status = 'delivered') as delivered_at,
            min(t.told_at) filter (where t.status = 'read') as read_at,
            min(t.told_at) filter (where t.status = 'played') as played_at,
            min(t.told_at) filter (where t.status = 'failed') as failed_at,
            (array_agg(t.error order by t.told_at, t.error) filter (where t.status = 'failed'))[1] as error,
            max(t.pricing::text)::jsonb as pricing,
            max(t.conversation::text)::jsonb as conversation,
            max(t.callback_message_id::text)::uuid as callback_message_id
        from told as t
        group by t.organization_id, t.wamid
    ),
    others as (
        select o.organization_id, o.wamid, jsonb_object_agg(o.status, o.told_at) as other_statuses
        from (
            select t.organization_id, t.wamid, t.status, min(t.told_at) as told_at
            from told as t
            where t.status not in ('sent', 'delivered', 'read', 'played', 'failed')
            group by t.organization_id, t.wamid, t.status
        ) as o
        group by o.organization_id, o.wamid
    )
    insert into public.message_receipts as r (
        organization_id, wamid, sent_at, delivered_at, read_at, played_at, failed_at, error, pricing, conversation,
        other_statuses, callback_message_id
    )
    select
        s.organization_id, s.wamid, s.sent_at, s.delivered_at, s.read_at, s.played_at, s.failed_at, s.error, s.pricing,
        s.conversation, coalesce(o.other_statuses, '{}'), s.callback_message_id
    from summed as s
    left join others as o on o.organization_id = s.organization_id and o.wamid = s.wamid
    order by s.organization_id, s.wamid
    on conflict (wamid, organization_id) do update set
        sent_at = least(r.sent_at, excluded.sent_at),
        delivered_at = least(r.delivered_at, excluded.delivered_at),
        read_at = least(r.read_at, excluded.read_at),
        played_at = least(r.played_at, excluded.played_at),
        failed_at = least(r.failed_at, excluded.failed_at),
        error = case
            when r.failed_at is null or excluded.failed_at < r.failed_at then excluded.error
            when excluded.failed_at = r.failed_at then least(r.error, excluded.error)
            else r.error
        end,
        pricing = greatest(r.pricing::text, excluded.pricing::text)::jsonb,
        conversation = greatest(r.conversation::text, excluded.conversation::text)::jsonb,
        other_statuses = private.earliest(r.other_statuses, excluded.other_statuses),
        callback_message_id = coalesce(r.callback_message_id, excluded.callback_message_id)
$$;

-- Meta's id of a template, or its name and language where the news carries no id.
create function private.template_key(item jsonb) returns text
language sql immutable
set search_path = ''
as $$
    select left(coalesce(item ->> 'template_id', concat_ws(':', 'name', item ->> 'name', item ->> 'language')), 600)
$$;

create function private.store_news(items private.delivery_item[], received_at timestamptz) returns void
language plpgsql volatile
set search_path = ''
as $$
begin
    -- A template of the platform's account concerns whoever made it, and no one else with a number there.
    items := array(select i from unnest(items) as i where private.may_know(i.integration_id, i.item));

    insert into public.message_templates as t (
        organization_id, integration_id, template_id, name, language, category, status, quality, components,
        rejection_reason, facts_at
    )
    select distinct on (i.organization_id, private.template_key(i.item))
        i.organization_id, i.integration_id, private.template_key(i.item), null, null, null, null, null, null, null, '{}'
    from unnest(items) as i
    where i.kind = 'template'
    order by i.organization_id, private.template_key(i.item)
    on conflict (template_id, organization_id) do nothing;

    perform private.learn_template(
        i.organization_id, i.item, extract(epoch from coalesce(i.occurred_at, store_news.received_at))
    )
    from (
        select * from unnest(items) as u where u.kind = 'template' order by u.organization_id, private.template_key(u.item), u.nr
    ) as i;

    -- News of other words tells them in a form of its own, and not all of them: Graph's list is read again.
    insert into public.jobs (organization_id, kind, key, payload)
    select distinct
        i.organization_id, 'sync_connection',
        concat_ws(
            ':', i.integration_id, 'components', extract(epoch from coalesce(i.occurred_at, store_news.received_at))
        ),
        jsonb_build_object('integration_id', i.integration_id)
    from unnest(items) as i
    where i.kind = 'template' and i.item ->> 'event' = 'COMPONENTS'
    order by 1, 3
    on conflict (kind, key) do nothing;

    insert into public.notices (
        organization_id, integration_id, field, event, severity, content, digest, occurred_at
    )
    select
        i.organization_id, i.integration_id, i.item ->> 'field', i.item ->> 'event',
        coalesce(i.item ->> 'severity', 'info')::public.notice_severity, coalesce(i.item -> 'content', '{}'),
        encode(sha256(convert_to(
            concat_ws('|', i.item ->> 'field', i.item ->> 'event', i.item ->> 'phone_number_id',
                -- Told without a time, the same words in another delivery are other news.
                coalesce(i.occurred_at, store_news.received_at)::text, i.item -> 'content'),
            'UTF8'
        )), 'hex'),
        coalesce(i.occurred_at, store_news.received_at)
    from unnest(items) as i
    where i.kind = 'notice'
    order by i.organization_id, i.nr
    on conflict (digest, organization_id) do nothing;
end
$$;

-- Whether news of a template tells a fact (status, quality, category) that is newer than the one we know. Of two
-- pieces of news of the same second the greater word wins, in whatever order they come.
create function private.is_newer(known public.message_templates, item jsonb, fact text, told_at numeric) returns boolean
language sql stable
set search_path = ''
as $$
    select item ->> fact is not null and (
        known.facts_at ->> fact is null
        or (known.facts_at ->> fact)::numeric < told_at
        or (
            (known.facts_at ->> fact)::numeric = told_at
            and (item ->> fact) collate "C" > coalesce(to_jsonb(known) ->> fact, '') collate "C"
        )
    )
$$;

-- Each fact of a template as of the newest news of it. Its words come from Graph's list alone.
create function private.learn_template(organization uuid, item jsonb, told_at numeric) returns void
language sql volatile
set search_path = ''
as $$
    update public.message_templates as t set
        name = coalesce(t.name, item ->> 'name'),
        language = coalesce(t.language, item ->> 'language'),
        status = case when private.is_newer(t, item, 'status', told_at) then item ->> 'status' else t.status end,
        rejection_reason = case
            when private.is_newer(t, item, 'status', told_at) then item ->> 'reason' else t.rejection_reason
        end,
        quality = case when private.is_newer(t, item, 'quality', told_at) then item ->> 'quality' else t.quality end,
        category = case when private.is_newer(t, item, 'category', told_at) then item ->> 'category' else t.category end,
        facts_at = t.facts_at || (
            select coalesce(jsonb_object_agg(f.fact, told_at), '{}')
            from unnest(array['status', 'quality', 'category']) as f (fact)
            where private.is_newer(t, item, f.fact, told_at)
        )
    where t.organization_id = organization and t.template_id = private.template_key(item)
$$;

-- What news about an account or number says of the connection itself: {kind of fact: value}.
create function private.facts_of_news(field text, event text, content jsonb) returns jsonb
language sql immutable
set search_path = ''
as $$
    select jsonb_strip_nulls(jsonb_build_object(
        'display_name', case
            when field = 'phone_number_name_update' and content ->> 'decision' = 'APPROVED'
                then content ->> 'requested_verified_name'
        end,
        'throughput', case
            when field = 'phone_number_quality_update' and event = 'THROUGHPUT_UPGRADE' then 1000
        end,
        'messaging_limit', case field
            when 'phone_number_quality_update' then coalesce(
                content ->> 'max_daily_conversations_per_business', content ->> 'current_limit'
            )
            when 'business_capability_update' then coalesce(
                content ->> 'max_daily_conversations_per_business', content ->> 'max_daily_conversation_per_phone'
            )
        end,
        'connection', case
            when field = 'account_update' and event in (
                'ACCOUNT_DELETED', 'PARTNER_REMOVED', 'ACCOUNT_OFFBOARDED', 'PARTNER_APP_UNINSTALLED',
                'ACCOUNT_RECONNECTED'
            ) then event
        end
    ))
$$;

-- Each kind of fact of a connection as of the newest news of that kind. What happened before the number was
-- (re)connected was seen then; what was told before has had its effect.
create function private.learn_integration() returns trigger
language plpgsql volatile
set search_path = ''
as $$
declare
    told_at numeric := extract(epoch from new.occurred_at);
    row_ public.whatsapp_integrations;
    facts jsonb;
    ended text;
begin
    select * into row_ from public.whatsapp_integrations as i where i.id = new.integration_id for no key update;
    select jsonb_object_agg(f.key, f.value) into facts
    from jsonb_each(private.facts_of_news(new.field, new.event, new.content)) as f
    where coalesce((row_.facts_at ->> f.key)::numeric <= told_at, true);
    -- Meta dates in whole seconds.
    if facts is null or new.occurred_at < date_trunc('second', row_.connected_at) then
        return null;
    end if;
    ended := nullif(facts ->> 'connection', 'ACCOUNT_RECONNECTED');
    update public.whatsapp_integrations as i set
        display_name = coalesce(facts ->> 'display_name', i.display_name),
        throughput = coalesce((facts ->> 'throughput')::integer, i.throughput),
        messaging_limit = coalesce(facts ->> 'messaging_limit', i.messaging_limit),
        facts_at = i.facts_at || (select jsonb_object_agg(k, told_at) from jsonb_object_keys(facts) as k)
    where i.id = row_.id;
    if ended is not null then
        update public.whatsapp_integrations as i set
            status = 'error', error_code = 'account_' || lower(ended),
            error_message = 'WhatsApp avisa que esta cuenta se desconectó (' || ended || '). Conéctala de nuevo.'
        where i.id = row_.id and i.status in ('connected', 'error');
    elsif facts ? 'connection' then
        update public.whatsapp_integrations as i set status = 'connected', error_code = null, error_message = null
        where i.id = row_.id and i.status = 'error' and i.error_code like 'account\_%';
    end if;
    return null;
end
$$;

create trigger notices_learn_integration
    after insert on public.notices
    for each row when (new.field in (
        'phone_number_name_update', 'phone_number_quality_update', 'business_capability_update', 'account_update'
    ))
    execute function private.learn_integration();

-- The one call that a delivery costs. Answers
-- {event_id, is_duplicate, state, items, problems, refused: [{path, reason}], organization_ids}.
create function public.store_delivery(
    source uuid,
    body_digest text,
    body_text text,
    body_base64 text,
    parsed_items jsonb,
    parse_problems jsonb,
    is_readable boolean default true,
    is_replay boolean default false
) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    event public.webhook_events;
    items private.delivery_item[];
    known private.delivery_item[];
    one private.delivery_item;
    stored integer := 0;
    tenants uuid[];
    -- Whose the delivery is as a whole; of several organizations' it is nobody's.
    sole_tenant uuid;
    refused jsonb;
    problems integer;
    became public.webhook_event_state;
    is_again boolean;
begin
    -- What is answered 200 must outlive a crash, also where the database is set to promise less.
    if current_setting('synchronous_commit') = 'off' then
        perform set_config('synchronous_commit', 'on', true);
    end if;

    -- Whose is each item? By the business's own number where it names one, else by its account. An
    -- organization's own secret speaks for that organization's connection alone.
    with parsed as (
        select p.nr, p.item, p.item ->> 'phone_number_id' as number_id, p.item ->> 'waba_id' as account_id,
            -- News of an account may be of one of its numbers, which only its digits tell.
            private.canonical_phone(p.item ->> 'phone_number') as digits,
            -- All else (a message, a status, a call) is for one number's ears alone.
            coalesce(p.item ->> 'kind' = 'template' or p.item ->> 'field' ~
                '^(account|business|flows|message_template|partner|payment_configuration|template|whatsapp_account)',
                false) as is_for_all
        from jsonb_array_elements(parsed_items) with ordinality as p (item, nr)
    ),
    named as (
        select distinct p.number_id, p.account_id, p.digits, p.is_for_all from parsed as p
    ),
    tenant as (
        select n.number_id, n.account_id, n.digits, n.is_for_all, i.organization_id, i.id
        from named as n
        join public.whatsapp_integrations as i on i.phone_number_id = n.number_id
        -- By its index, however many organizations there are: a plan would expect a hundred numbers here.
        where i.phone_number_id = any (array(select k.number_id from named as k))
            and i.status in ('connected', 'error')
            and (source is null or (i.id = source and i.business_account_id = n.account_id))
        union all
        select a.number_id, a.account_id, a.digits, a.is_for_all, a.organization_id, a.id
        from (
            select n.number_id, n.account_id, n.digits, n.is_for_all, i.organization_id, i.id,
                private.canonical_phone(i.phone_number) = n.digits as is_named,
                count(*) over (partition by n.account_id, n.digits, n.is_for_all) = 1 as is_only_one
            from named as n
            join public.whatsapp_integrations as i on i.business_account_id = n.account_id
            where i.business_account_id = any (array(select k.account_id from named as k where k.number_id is null))
                and n.number_id is null
                and i.status in ('connected', 'error')
                and (source is null or i.id = source)
        ) as a
        where case
            when a.digits is null then a.is_for_all or a.is_only_one
            -- One whose digits we do not know may be the one that is meant.
            else coalesce(a.is_named, a.is_only_one)
        end
    )
    select coalesce(array_agg(row(
        p.nr, p.item ->> 'kind', p.item ->> 'path', t.organization_id, t.id, (p.item ->> 'occurred_at')::timestamptz,
        case
            when p.item ->> 'kind' in ('message', 'contact', 'identity')
                or jsonb_array_length(coalesce(nullif(p.item -> 'recipient', 'null') -> 'aliases', '[]')) > 1
                then (
                    select array_agg(distinct a.alias order by a.alias)
                    from jsonb_array_elements_text(coalesce(
                        p.item -> 'aliases', p.item -> 'contact' -> 'aliases', p.item -> 'recipient' -> 'aliases'
                    )) as a (alias)
                )
        end,
        null, null, p.item ->> 'wamid', p.item
    )::private.delivery_item order by p.nr, t.id), '{}')
    into items
    from parsed as p
    left join tenant as t
        on t.number_id is not distinct from p.number_id
        and t.account_id is not distinct from p.account_id
        and t.digits is not distinct from p.digits
        and t.is_for_all = p.is_for_all;

    known := array(select i from unnest(items) as i where i.organization_id is not null);
    tenants := array(select distinct i.organization_id from unnest(known) as i);
    sole_tenant := case when cardinality(tenants) = 1 then tenants[1] end;
    select coalesce(jsonb_agg(jsonb_build_object(
        'path', i.path, 'reason', case when source is null then 'unknown_number' else 'not_covered_by_secret' end
    ) order by i.nr), '[]')
    into refused
    from unnest(items) as i
    where i.organization_id is null;

    -- Written as it will be where nothing stands in the way: most deliveries cost the ledger this one row.
    insert into public.webhook_events as e (
        source_integration_id, organization_id, digest, body, body_bytes, state, item_count
    )
    values (
        source, sole_tenant, body_digest, body_text, decode(body_base64, 'base64'), 'stored', cardinality(known)
    )
    on conflict (source_integration_id, digest) do update set
        seen_count = e.seen_count + case when is_replay then 0 else 1 end,
        -- Meta repeats for seven days. After that the same bytes are told anew: not all that it tells has a time.
        received_at = case when is_replay or e.received_at > now() - interval '8 days' then e.received_at else now() end
    returning * into event;
    is_again := event.seen_count > 1 and event.received_at <> now();

    if is_again and not is_replay and event.state in ('stored', 'unreadable') then
        return jsonb_build_object(
            'event_id', event.id, 'is_duplicate', true, 'state', event.state, 'items', 0, 'problems', 0,
            'refused', '[]'::jsonb, 'organization_ids', '[]'::jsonb
        );
    end if;

    insert into public.webhook_problems (event_id, path, reason)
    select event.id, r ->> 'path', r ->> 'reason' from jsonb_array_elements(refused) as r
    on conflict (event_id, path) do nothing;
    insert into public.webhook_problems (event_id, organization_id, path, reason, item)
    select event.id, sole_tenant, p ->> 'path', p ->> 'reason', p -> 'item'
    from jsonb_array_elements(parse_problems) as p
    on conflict (event_id, path) do nothing;

    if cardinality(known) > 0 then
        begin
            perform private.store_items(known, event.received_at);
            stored := cardinality(known);
        exception when others then
            -- Only what the content can cause; anything else (no memory, a lock, a shutdown) is for Meta to repeat.
            if left(sqlstate, 2) not in ('21', '22', '23', '54') then
                raise;
            end if;
            foreach one in array known loop
                begin
                    perform private.store_items(array[one], event.received_at);
                    stored := stored + 1;
                exception when others then
                    if left(sqlstate, 2) not in ('21', '22', '23', '54') then
                        raise;
                    end if;
                    insert into public.webhook_problems (event_id, organization_id, path, reason, item)
                    values (event.id, one.organization_id, one.path, 'not_storable: ' || sqlerrm, one.item)
                    on conflict (event_id, path) do nothing;
                end;
            end loop;
        end;

        -- At most every few seconds: a busy number would otherwise queue up for this one row.
        update public.whatsapp_integrations as i set
            first_event_at = coalesce(i.first_event_at, now()), last_event_at = now()
        where i.id in (select k.integration_id from unnest(known) as k)
            and (i.last_event_at is null or i.last_event_at < now() - interval '5 seconds');
    end if;

    if is_replay then
        -- What is stored by now is no problem any more.
        delete from public.webhook_problems as p
        where p.event_id = event.id and stored = cardinality(items) and jsonb_array_length(parse_problems) = 0;
    end if;

    select count(*) into problems from public.webhook_problems as p where p.event_id = event.id;
    became := case
        when not is_readable then 'unreadable'
        when stored = 0 and jsonb_array_length(refused) > 0 then 'unassigned'
        when problems > 0 then 'partial'
        else 'stored'
    end;
    if (event.organization_id, event.state, event.item_count, event.problem_count) is distinct from
        (sole_tenant, became, stored, problems)
    then
        update public.webhook_events as e set
            organization_id = sole_tenant, state = became, item_count = stored, problem_count = problems
        where e.id = event.id;
    end if;

    return jsonb_build_object(
        'event_id', event.id, 'is_duplicate', is_again, 'state', became,
        'items', stored, 'problems', problems, 'refused', refused, 'organization_ids', to_jsonb(tenants)
    );
end
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
revoke execute on function public.store_delivery from public, anon, authenticated;
grant execute on function public.store_delivery to service_role;
