-- The first of a send's two calls: with the agent's own right, everything up to the message's row.

-- Refuses with one of our codes; what the person reads is made from it (shared/errors.py).
create function private.refuse(code text, sentence text) returns void
language plpgsql immutable
set search_path = ''
as $$
begin
    raise exception '%', sentence using errcode = 'P0001', detail = code;
end
$$;

-- Changes whenever the credentials do, so that a warm function knows whether those it holds are still the right
-- ones. A digest of ciphertexts: it tells nothing.
create function private.credentials_stamp(number public.whatsapp_integrations) returns text
language sql immutable
set search_path = ''
as $$
    select left(encode(sha256(convert_to(concat_ws(
        '|', number.phone_number_id, number.access_token, number.app_secret, number.has_own_app
    ), 'UTF8')), 'hex'), 16)
$$;

-- After an unknown outcome a status comes within this time, or the message was never taken.
create function private.uncertain_for() returns interval
language sql immutable
set search_path = ''
as $$ select interval '10 minutes' $$;

-- A message as the API shows it.
create function private.show_message(m public.messages) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'id', m.id, 'organization_id', m.organization_id, 'chat_id', m.chat_id, 'contact_id', m.contact_id,
        'batch_id', m.batch_id, 'wamid', m.wamid, 'direction', m.direction, 'type', m.type, 'text', m.text,
        'content', m.content, 'reply_to_wamid', m.reply_to_wamid, 'target_wamid', m.target_wamid, 'status', m.status,
        'error_code', m.error_code, 'error_subcode', m.error_subcode, 'error_message', m.error_message,
        'error_details', m.error_details, 'sent_by', m.sent_by,
        'occurred_at', m.occurred_at, 'created_at', m.created_at,
        -- A person may try again, knowingly, once a status would have come.
        'retry_at', case
            when m.status = 'failed' then m.failed_at
            when m.status = 'uncertain' then m.uncertain_at + private.uncertain_for()
        end
    )
$$;

-- How far a batch has come, for those who may see it.
create function private.show_batch(batch uuid) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'id', b.id, 'organization_id', b.organization_id, 'message_count', b.message_count,
        'created_at', b.created_at, 'cancelled_at', b.cancelled_at,
        'is_finished', not exists (
            select from public.messages as m
            where m.organization_id = b.organization_id and m.batch_id = b.id and m.status in ('queued', 'sending')
        ),
        'counts', (
            select coalesce(jsonb_object_agg(s.status, s.messages), '{}')
            from (
                select m.status::text as status, count(*) as messages
                from public.messages as m
                where m.organization_id = b.organization_id and m.batch_id = b.id
                group by m.status
            ) as s
        )
    )
    from public.message_batches as b
    where b.id = batch
$$;

-- Where Meta is to send it: digits in `to`, a business-scoped user id in `recipient`, a group's id in `to`.
create function private.address_of(contact public.contacts, group_id text) returns jsonb
language sql stable
set search_path = ''
as $$
    select case
        when group_id is not null then jsonb_build_object('to', group_id, 'recipient_type', 'group')
        when contact.wa_id ~ '^[0-9]{5,20}$' then jsonb_build_object('to', contact.wa_id)
        when contact.bsuid is not null then jsonb_build_object('recipient', contact.bsuid)
        else (
            select case
                when a.alias like 'phone:%' then jsonb_build_object('to', substr(a.alias, 7))
                else jsonb_build_object('recipient', substr(a.alias, 7))
            end
            from public.contact_aliases as a
            where a.organization_id = contact.organization_id and a.contact_id = contact.id
            order by a.is_former, a.alias desc
            limit 1
        )
    end
$$;

-- Refuses a message, naming the field and the rule that it breaks.
create function private.refuse_field(field text, rule text, sentence text) returns void
language plpgsql immutable
set search_path = ''
as $$
begin
    raise exception '%', sentence using errcode = 'P0001', detail = 'invalid_body', hint = jsonb_build_object(
        'details', jsonb_build_array(jsonb_build_object('field', field, 'rule', rule, 'message', sentence))
    )::text;
end
$$;

-- The contact that somebody has typed: one phone number or one BSUID. Its alias is made here: whoever could give two
-- would join two people, and whoever could give another's would have said to one what was sent to the other.
create function private.typed_contact(named jsonb) returns jsonb
language plpgsql immutable
set search_path = ''
as $$
declare
    wa_id text := named ->> 'wa_id';
    bsuid text := named ->> 'bsuid';
begin
    if num_nonnulls(wa_id, bsuid) <> 1
        or wa_id !~ '^[0-9]{5,15}$'
        or bsuid !~ '^[A-Z]{2}[.][A-Za-z0-9.]{1,140}$'
    then
        perform private.refuse_field('contact', 'contact', 'Name one phone number or one BSUID.');
    end if;
    return jsonb_build_object(
        'aliases', jsonb_build_array(coalesce('phone:' || private.canonical_phone(wa_id), 'bsuid:' || bsuid)),
        'wa_id', wa_id, 'phone_number', '+' || wa_id, 'bsuid', bsuid
    );
end
$$;

-- Refuses what is no message of this type: one part, named after it, so that nothing else reaches Meta's body; and
-- what is larger, deeper or longer in digits than every worker can read.
create function private.check_content(type text, content jsonb) returns void
language plpgsql immutable
set search_path = ''
as $$
begin
    if coalesce(type, '') not in (
            'text', 'image', 'video', 'audio', 'document', 'sticker', 'location', 'contacts', 'interactive', 'reaction',
            'template'
        )
        or jsonb_typeof(content) is distinct from 'object'
        or content - type <> '{}'
        or jsonb_typeof(content -> type) is distinct from (case type when 'contacts' then 'array' else 'object' end)
    then
        perform private.refuse_field('content', 'content', 'The content is one part that is named after the type.');
    end if;
    if pg_column_size(content) > 131072
        or jsonb_path_exists(content, 'strict $.**{33}', silent => true)
        or jsonb_path_exists(
            content, 'strict $.** ? (@.type() == "number" && (@ > 1e15 || @ < -1e15))', silent => true
        )
    then
        perform private.refuse_field('content', 'too_large', 'The content is too large.');
    end if;
end
$$;

-- What a list of chats shows of a message: of what is sent, so that it never says anything else.
create function private.preview(type text, content jsonb) returns text
language sql immutable
set search_path = ''
as $$
    select nullif(case type
        when 'text' then part ->> 'body'
        when 'document' then coalesce(part ->> 'caption', part ->> 'filename')
        when 'location' then coalesce(part ->> 'name', part ->> 'address')
        when 'contacts' then (
            select string_agg(card -> 'name' ->> 'formatted_name', ', ' order by nr)
            from jsonb_array_elements(part) with ordinality as c (card, nr)
        )
        when 'interactive' then part -> 'body' ->> 'text'
        when 'reaction' then part ->> 'emoji'
        when 'template' then part ->> 'name'
        else part ->> 'caption'
    end, '')
    from (select content -> type as part) as p
$$;

-- Reads a message to be sent, {chat_id | contact, type, content, reply_to, target}, as the functions write it, and as
-- anybody may who calls by themselves.
create function private.read_item(item jsonb) returns jsonb
language plpgsql immutable
set search_path = ''
as $$
declare
    named jsonb := nullif(item -> 'contact', 'null');
    kind text := item ->> 'type';
    content jsonb := item -> 'content';
begin
    if (item ->> 'chat_id' is null) = (named is null) then
        perform private.refuse_field('chat_id', 'one_addressee', 'Give exactly one of chat_id, to and recipient.');
    end if;
    perform private.check_content(kind, content);
    if (item ->> 'target' is not null) <> (kind = 'reaction')
        or (kind = 'reaction' and item ->> 'reply_to' is not null)
        or greatest(length(item ->> 'reply_to'), length(item ->> 'target')) > 512
    then
        perform private.refuse_field('reply_to', 'reference', 'This type of message cannot be on another one in this way.');
    end if;
    return jsonb_build_object(
        'chat_id', item ->> 'chat_id',
        'contact', case when named is not null then private.typed_contact(named) end,
        'type', kind, 'text', private.preview(kind, content), 'content', content,
        'reply_to', item ->> 'reply_to', 'target', item ->> 'target'
    );
end
$$;

-- Refuses files of Storage that the caller cannot see, by Storage's own policies: so it runs with the caller's rights.
-- What is accepted is sent later with the service's key, which may see all. A path that leads elsewhere is refused
-- whoever asks (`StoragePath` of shared/storage_paths.py).
create function private.require_files(content jsonb) returns void
language plpgsql stable security invoker
set search_path = ''
as $$
declare
    paths text[];
begin
    paths := array(
        select distinct case
            when jsonb_typeof(named) = 'string' and length(path) <= 1024 and path ~ '^[^/]+(/[^/]+)+$'
                and path !~ '[\\?#%[:cntrl:]]' and path !~ '(^|/)[.]+(/|$)'
            then path
        end
        from jsonb_path_query(content, '$.**.storage_path') as named
        cross join lateral (select named #>> '{}') as p (path)
    );
    if cardinality(paths) = 0 then
        return;
    end if;
    if array_position(paths, null) is not null or to_regclass('storage.objects') is null or exists (
        select from unnest(paths) as path
        where not exists (
            select from storage.objects as o
            where o.bucket_id = split_part(path, '/', 1) and o.name = substr(path, strpos(path, '/') + 1)
        )
    ) then
        perform private.refuse_field('storage_path', 'file_not_found', 'There is no such file, or you cannot open it.');
    end if;
end
$$;

create type private.outgoing as (
    nr bigint,
    message_id uuid,
    chat_id uuid,
    contact_id uuid,
    aliases text[],
    item jsonb
);

-- The organization that the caller means, and belongs to.
create function private.sender_organization(organization uuid, chat uuid) returns uuid
language plpgsql stable
set search_path = ''
as $$
declare
    mine uuid[] := array(select private.my_organization_ids());
    found uuid;
begin
    if organization = any (mine) then
        return organization;
    end if;
    if organization is not null then
        perform private.refuse('not_a_member', 'You are not a member of this organization.');
    end if;
    if chat is not null then
        select c.organization_id into found from public.chats as c where c.id = chat and c.organization_id = any (mine);
        if found is null then
            perform private.refuse('chat_not_found', 'This chat does not exist, or you cannot see it.');
        end if;
        return found;
    end if;
    if cardinality(mine) <> 1 then
        perform private.refuse('organization_required', 'Say which organization is meant.');
    end if;
    return mine[1];
end
$$;

-- The organization's connection, if it can send now.
create function private.require_sender(organization uuid) returns public.whatsapp_integrations
language plpgsql stable
set search_path = ''
as $$
declare
    number public.whatsapp_integrations;
begin
    select * into number from public.whatsapp_integrations as i where i.organization_id = organization;
    if number.id is null then
        perform private.refuse('integration_not_found', 'No WhatsApp number is connected yet.');
    elsif number.status = 'error' and number.error_code = 'token_dead' then
        perform private.refuse('token_dead', 'WhatsApp no longer accepts the access token.');
    elsif number.status <> 'connected' then
        perform private.refuse('not_connected', 'The WhatsApp number is not connected.');
    end if;
    return number;
end
$$;

-- The wamid that a person means by one of our ids, or by the wamid itself.
create function private.resolve_wamid(organization uuid, chat uuid, reference text) returns text
language plpgsql stable
set search_path = ''
as $$
declare
    found text;
begin
    if reference is null or reference not similar to '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}' then
        return reference;
    end if;
    select m.wamid into found
    from public.messages as m
    where m.id = reference::uuid and m.organization_id = organization and m.chat_id = chat;
    if found is null then
        perform private.refuse('message_not_found', 'This message does not exist, or you cannot see it.');
    end if;
    return found;
end
$$;

-- Accepts one message, or a batch of up to a thousand: all of it or nothing.
--
-- Acts with its owner's rights because no user may write messages, contacts or limits; it proves the caller's
-- membership itself and touches nothing of any other organization.
create function private.begin_sends(
    organization uuid, items jsonb, idempotency_key text, digest text, is_batch boolean
) returns jsonb
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    caller uuid := (select auth.uid());
    number public.whatsapp_integrations;
    earlier public.idempotency_keys;
    outgoing private.outgoing[];
    one private.outgoing;
    closed jsonb;
    batch uuid;
    message public.messages;
    must_wait interval := '0';
    permit bigint;
    longest_wait constant interval := '1500 milliseconds';
    is_queued boolean := is_batch;
begin
    if caller is null then
        perform private.refuse('unauthorized', 'Sign in to continue.');
    end if;
    if jsonb_typeof(items) is distinct from 'array' or jsonb_array_length(items) not between 1 and 1000 then
        perform private.refuse_field('messages', 'count', 'Give 1 to 1,000 messages.');
    end if;
    items := (
        select jsonb_agg(private.read_item(i.item) order by i.nr)
        from jsonb_array_elements(items) with ordinality as i (item, nr)
    );
    organization := private.sender_organization(organization, (items -> 0 ->> 'chat_id')::uuid);

    if idempotency_key is not null then
        insert into public.idempotency_keys as k (organization_id, key, digest)
        values (organization, idempotency_key, begin_sends.digest)
        on conflict (organization_id, key) do nothing;
        if not found then
            select * into earlier from public.idempotency_keys as k
            where k.organization_id = organization and k.key = idempotency_key;
            if earlier.digest <> begin_sends.digest then
                perform private.refuse('idempotency_mismatch', 'This Idempotency-Key was used for another request.');
            end if;
            return jsonb_build_object(
                'is_repeated', true,
                'message', (select private.show_message(m) from public.messages as m where m.id = earlier.message_id),
                'batch', private.show_batch(earlier.batch_id),
                'message_ids', private.message_ids(earlier.batch_id)
            );
        end if;
    end if;
    number := private.require_sender(organization);
    if number.has_platform_token and exists (
        select from jsonb_array_elements(items) as s (item)
        where s.item ->> 'type' = 'template'
            and not private.owns_template(number.id, s.item -> 'content' -> 'template' ->> 'name')
    ) then
        perform private.refuse('template_not_found', 'This template does not exist, or you cannot see it.');
    end if;

    outgoing := private.find_recipients(organization, items);
    if exists (select from unnest(outgoing) as o where o.item ->> 'chat_id' is not null and o.chat_id is null) then
        perform private.refuse('chat_not_found', 'This chat does not exist, or you cannot see it.');
    end if;

    select jsonb_agg(o.nr - 1 order by o.nr) into closed
    from unnest(outgoing) as o
    left join public.chats as c on c.id = o.chat_id
    where o.item ->> 'type' <> 'template' and coalesce(c.window_expires_at, '-infinity') <= now();
    if closed is not null then
        delete from public.idempotency_keys as k where k.organization_id = organization and k.key = idempotency_key;
        return jsonb_build_object(
            'refusal', 'window_closed', 'closed', closed, 'templates', private.approved_templates(organization)
        );
    end if;

    outgoing := private.settle_recipients(organization, outgoing);
    -- The rows that refer to contacts would lock them after the chats: a deadlock with whoever stores a delivery.
    perform from public.contacts as c where c.id in (select o.contact_id from unnest(outgoing) as o) order by c.id
    for key share;
    perform from public.chats as c where c.id in (select o.chat_id from unnest(outgoing) as o) order by c.id for update;

    if is_batch then
        insert into public.message_batches (organization_id, message_count, created_by)
        values (organization, cardinality(outgoing), caller)
        returning id into batch;
    else
        one := outgoing[1];
        must_wait := private.pair_wait(organization, one.contact_id);
        -- Nor does anything overtake what the same person is still waiting for, be it in a worker's hands.
        is_queued := must_wait > longest_wait or exists (
            select from public.send_queue as q where q.chat_id = one.chat_id and q.priority = 0
        );
    end if;

    insert into public.messages (
        id, organization_id, chat_id, contact_id, direction, type, text, content, reply_to_wamid, target_wamid,
        queued_at, attempted_at, sent_by, batch_id, batch_position
    )
    select
        o.message_id, organization, o.chat_id, o.contact_id, 'outbound', o.item ->> 'type', o.item ->> 'text',
        o.item -> 'content', private.resolve_wamid(organization, o.chat_id, o.item ->> 'reply_to'),
        private.resolve_wamid(organization, o.chat_id, o.item ->> 'target'),
        case when is_queued then now() end, case when not is_queued then now() end, caller, batch,
        case when is_batch then o.nr - 1 end
    from unnest(outgoing) as o
    order by o.nr;

    perform private.add_to_chats(array(
        select row(
            w.chat_id, 0, null, now(), w.message_id::text, left(w.item ->> 'text', 300), w.item ->> 'type', 'outbound'
        )::private.chat_news
        from (
            select distinct on (o.chat_id) o.* from unnest(outgoing) as o
            where o.item ->> 'type' <> 'reaction'
            order by o.chat_id, o.nr desc
        ) as w
    ));
    update public.idempotency_keys as k set message_id = case when not is_batch then one.message_id end, batch_id = batch
    where k.organization_id = organization and k.key = idempotency_key;

    if not is_queued then
        perform private.take_tokens(
            organization, 'pair', array[row(one.contact_id::text, 1)::private.taken], private.pair_interval()
        );
        -- The last thing: from here on the number's lock is held.
        select t.permit, greatest(must_wait, t.starts_at - clock_timestamp()) into permit, must_wait
        from private.take_permits(number.id, 1, longest_wait) as t;
        is_queued := permit is null;
        if is_queued then
            must_wait := interval '0';
            update public.messages as m set queued_at = now(), attempted_at = null where m.id = one.message_id;
        end if;
    end if;
    if is_queued then
        insert into public.send_queue (
            message_id, organization_id, integration_id, chat_id, written_at, priority, run_at
        )
        select
            o.message_id, organization, number.id, o.chat_id, now() + o.nr * interval '1 microsecond',
            case when is_batch then 10 else 0 end,
            -- A batch keeps its order.
            clock_timestamp() + must_wait + o.nr * interval '1 microsecond'
        from unnest(outgoing) as o;
    end if;

    if is_batch then
        return jsonb_build_object(
            'batch', private.show_batch(batch),
            'message_ids', (select jsonb_agg(o.message_id order by o.nr) from unnest(outgoing) as o)
        );
    end if;
    select * into strict message from public.messages as m where m.id = one.message_id;
    return jsonb_build_object(
        'message', private.show_message(message),
        'send', case when not is_queued then
            private.show_send(message, number) || jsonb_build_object(
                'permit', permit, 'wait_seconds', extract(epoch from must_wait)
            )
        end
    );
end
$$;

-- All that a call to Meta needs, without a secret.
create function private.show_send(message public.messages, number public.whatsapp_integrations) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'message_id', message.id, 'organization_id', message.organization_id, 'integration_id', number.id,
        'phone_number_id', number.phone_number_id, 'credentials_stamp', private.credentials_stamp(number),
        'address', private.address_of(c, h.group_id), 'type', message.type, 'content', message.content,
        'reply_to_wamid', message.reply_to_wamid, 'target_wamid', message.target_wamid
    )
    from public.chats as h
    left join public.contacts as c on c.id = message.contact_id
    where h.id = message.chat_id
$$;

create function private.message_ids(batch uuid) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_agg(m.id order by m.batch_position)
    from public.messages as m
    where m.batch_id = batch
        and m.organization_id = (select b.organization_id from public.message_batches as b where b.id = batch)
$$;

create function private.approved_templates(organization uuid) returns jsonb
language sql stable
set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'template_id', t.template_id, 'name', t.name, 'language', t.language, 'category', t.category
    ) order by t.name, t.language), '[]')
    from (
        select * from public.message_templates as m
        where m.organization_id = organization and upper(m.status) = 'APPROVED'
        order by m.name, m.language
        limit 50
    ) as t
$$;

-- Who each item is for, as far as they are known.
create function private.find_recipients(organization uuid, items jsonb) returns private.outgoing[]
language sql volatile
set search_path = ''
as $$
    select array_agg(row(
        named.nr, gen_random_uuid(), c.id, coalesce(c.contact_id, named.contact_id), named.aliases, named.item
    )::private.outgoing order by named.nr)
    from (
        select i.nr, i.item, known.contact_id, given.aliases
        from jsonb_array_elements(items) with ordinality as i (item, nr)
        cross join lateral (
            select array_agg(a.alias order by a.alias) as aliases
            from jsonb_array_elements_text(coalesce(nullif(i.item -> 'contact', 'null') -> 'aliases', '[]')) as a (alias)
        ) as given
        left join lateral (
            select a.contact_id from public.contact_aliases as a
            where a.organization_id = organization and a.alias = any (given.aliases)
            limit 1
        ) as known on true
    ) as named
    left join public.chats as c
        on c.organization_id = organization
        and case
            when named.item ->> 'chat_id' is not null then c.id = (named.item ->> 'chat_id')::uuid
            else c.contact_id = named.contact_id and c.platform = 'whatsapp'
        end
$$;

-- Makes the contacts and chats that are missing.
create function private.settle_recipients(organization uuid, outgoing private.outgoing[]) returns private.outgoing[]
language plpgsql volatile
set search_path = ''
as $$
begin
    if not exists (select from unnest(outgoing) as o where o.chat_id is null) then
        return outgoing;
    end if;
    perform private.settle_people(array(
        select distinct row(organization, o.aliases)::private.person
        from unnest(outgoing) as o
        where o.aliases is not null and o.chat_id is null
    ));
    outgoing := array(
        select row(o.nr, o.message_id, o.chat_id, coalesce(a.contact_id, o.contact_id), o.aliases, o.item)::private.outgoing
        from unnest(outgoing) as o
        left join public.contact_aliases as a on a.organization_id = organization and a.alias = o.aliases[1]
        order by o.nr
    );
    perform from public.contacts as c where c.id in (select o.contact_id from unnest(outgoing) as o) order by c.id for update;
    -- What a person typed is the oldest news there can be: whatever Meta says of the contact is newer.
    perform private.learn_contacts(array(
        select row(o.contact_id, told.field, told.value, to_timestamp(0))::private.contact_fact
        from unnest(outgoing) as o
        cross join lateral jsonb_each_text(o.item -> 'contact') as told (field, value)
        where o.chat_id is null and told.field in ('wa_id', 'phone_number', 'bsuid') and told.value is not null
    ));

    insert into public.chats (organization_id, contact_id)
    select distinct organization, o.contact_id from unnest(outgoing) as o where o.chat_id is null
    order by 2
    on conflict do nothing;
    return array(
        select row(o.nr, o.message_id, c.id, o.contact_id, o.aliases, o.item)::private.outgoing
        from unnest(outgoing) as o
        join public.chats as c
            on c.organization_id = organization
            and case
                when o.chat_id is not null then c.id = o.chat_id
                else c.contact_id = o.contact_id and c.platform = 'whatsapp'
            end
        order by o.nr
    );
end
$$;

-- Accepts one message and answers what the call to Meta needs; {message, send | null}, where null means that it
-- waits in the queue; {is_repeated, message} for a key that was used; {refusal, templates} outside the window.
create function public.begin_send(
    message jsonb, organization uuid default null, idempotency_key text default null, digest text default null
) returns jsonb
language plpgsql volatile security invoker
set search_path = ''
as $$
begin
    perform private.require_files(message);
    return private.begin_sends(organization, jsonb_build_array(message), idempotency_key, digest, false);
end
$$;

-- Accepts a whole batch into the queue, or nothing of it; {batch, message_ids}.
create function public.begin_batch(
    messages jsonb, organization uuid default null, idempotency_key text default null, digest text default null
) returns jsonb
language plpgsql volatile security invoker
set search_path = ''
as $$
begin
    perform private.require_files(messages);
    return private.begin_sends(organization, messages, idempotency_key, digest, true);
end
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
grant execute on function
    private.begin_sends(uuid, jsonb, text, text, boolean), private.require_files(jsonb),
    private.refuse_field(text, text, text)
    to authenticated;
revoke execute on function public.begin_send, public.begin_batch from public, anon;
grant execute on function public.begin_send, public.begin_batch to authenticated, service_role;
