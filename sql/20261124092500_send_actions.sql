-- What people do beside sending: look at a batch, cancel it, try a message again, mark a chat as read.

create function public.get_batch(batch uuid) returns jsonb
language plpgsql stable security invoker
set search_path = ''
as $$
begin
    -- Read with the caller's own right: a batch of strangers is not there.
    if not exists (select from public.message_batches as b where b.id = batch) then
        raise exception 'There is no such batch.' using errcode = 'P0001', detail = 'not_found';
    end if;
    return private.show_my_batch(batch);
end
$$;

-- Acts with its owner's rights only to compute; it shows batches of the caller's own organizations alone.
create function private.show_my_batch(batch uuid) returns jsonb
language sql stable security definer
set search_path = ''
as $$
    select private.show_batch(b.id)
    from public.message_batches as b
    where b.id = batch and b.organization_id in (select private.my_organization_ids())
$$;

-- Takes out of the queue what has not left yet. Acts with its owner's rights because no user may write the queue;
-- it proves the caller's membership itself.
create function private.cancel_batch(batch uuid) returns jsonb
language plpgsql volatile security definer
set search_path = ''
as $$
begin
    update public.message_batches as b set cancelled_at = coalesce(b.cancelled_at, now())
    where b.id = batch and b.organization_id in (select private.my_organization_ids());
    if not found then
        perform private.refuse('not_found', 'There is no such batch.');
    end if;
    -- What a worker has started is on its way and is not waited for; the order of locks is the workers' own.
    perform from public.send_queue as q
    join public.messages as m on m.id = q.message_id
    where m.batch_id = batch and not q.is_started
    order by q.message_id
    for update of q;
    with taken_out as (
        delete from public.send_queue as q
        using public.messages as m
        where m.id = q.message_id and m.batch_id = batch and not q.is_started
        returning q.message_id
    )
    update public.messages as m set cancelled_at = now()
    from taken_out as t where m.id = t.message_id;
    return private.show_batch(batch);
end
$$;

create function public.cancel_batch(batch uuid) returns jsonb
language sql volatile security invoker
set search_path = ''
as $$
    select private.cancel_batch(batch)
$$;

-- A person tries a failed message again, or one whose outcome stayed unknown for so long that a status would have
-- come: as a new message, once however often they click. Answers as begin_send does.
-- Acts with its owner's rights as begin_sends does, which proves the caller's membership once more.
create function private.begin_retry(message uuid, organization uuid) returns jsonb
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    old public.messages;
begin
    select * into old from public.messages as m
    where m.id = message and m.organization_id in (select private.my_organization_ids()) and m.direction = 'outbound'
        and (organization is null or m.organization_id = organization);
    if old.id is null then
        perform private.refuse('message_not_found', 'This message does not exist, or you cannot see it.');
    end if;
    if old.status = 'uncertain' and old.uncertain_at > now() - private.uncertain_for() then
        raise exception 'WhatsApp has not told yet what became of this message.'
            using errcode = 'P0001', detail = 'outcome_unknown', hint = jsonb_build_object(
                'retry_after', ceil(extract(epoch from old.uncertain_at + private.uncertain_for() - now()))
            )::text;
    end if;
    -- An echo's content is what a webhook said, not what a member may send.
    if old.origin <> 'live' or old.status not in ('failed', 'uncertain', 'cancelled') then
        perform private.refuse('conflict', 'This message has left, or is about to.');
    end if;
    return private.begin_sends(old.organization_id, jsonb_build_array(jsonb_build_object(
        'chat_id', old.chat_id, 'type', old.type, 'content', old.content,
        'reply_to', old.reply_to_wamid, 'target', old.target_wamid
    )), 'retry:' || old.id, 'retry', false);
end
$$;

create function public.begin_retry(message uuid, organization uuid default null) returns jsonb
language plpgsql volatile security invoker
set search_path = ''
as $$
begin
    -- Its files must be seen by whoever tries again, not only by whoever sent it first.
    perform private.require_files((select m.content from public.messages as m where m.id = message));
    return private.begin_retry(message, organization);
end
$$;

-- Marks a chat as read on our side, and answers what Meta must be told: the newest message of the customer, or
-- the one that is named (which covers all before it); {chat_id, unread_count, send | null}.
-- Acts with its owner's rights because no user may write chats; it proves the caller's membership itself.
create function private.begin_read(chat uuid, message uuid, message_wamid text, wanted uuid) returns jsonb
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    newest public.messages;
    number public.whatsapp_integrations;
    mine uuid[] := array(
        select each from private.my_organization_ids() as each where wanted is null or each = wanted
    );
    organization uuid;
begin
    -- Without any of them the newest chat of all would be marked, and nobody has opened that.
    if num_nonnulls(chat, message, message_wamid) = 0 then
        perform private.refuse('message_not_found', 'This message does not exist, or you cannot see it.');
    end if;
    if chat is not null then
        select c.organization_id into organization from public.chats as c where c.id = chat and c.organization_id = any (mine);
        if organization is null then
            perform private.refuse('chat_not_found', 'This chat does not exist, or you cannot see it.');
        end if;
    end if;
    select * into newest from public.messages as m
    where m.organization_id = any (mine) and m.direction = 'inbound'
        and (chat is null or (m.organization_id = organization and m.chat_id = chat))
        and (message is null or m.id = message)
        and (message_wamid is null or m.wamid = message_wamid)
        and m.origin = 'live'
    order by m.occurred_at desc, m.id desc
    limit 1;
    if newest.id is null and (chat is null or message is not null or message_wamid is not null) then
        perform private.refuse('message_not_found', 'This message does not exist, or you cannot see it.');
    end if;
    chat := coalesce(chat, newest.chat_id);
    organization := coalesce(organization, newest.organization_id);
    -- Without a connection it is read on our side alone.
    select * into number from public.whatsapp_integrations as i
    where i.organization_id = organization and i.status = 'connected';
    update public.chats as c set unread_count = (
        select count(*) from public.messages as m
        where m.organization_id = c.organization_id and m.chat_id = c.id and m.direction = 'inbound' and m.origin = 'live'
            and m.type not in ('reaction', 'edit', 'revoke', 'system')
            and (m.occurred_at, m.id) > (newest.occurred_at, newest.id)
    )
    where c.id = chat and c.organization_id = organization and c.unread_count > 0;
    return jsonb_build_object(
        'chat_id', chat,
        'unread_count', (select c.unread_count from public.chats as c where c.id = chat),
        'send', case when newest.id is not null and number.id is not null then jsonb_build_object(
            'wamid', newest.wamid, 'integration_id', number.id, 'phone_number_id', number.phone_number_id,
            'organization_id', organization, 'credentials_stamp', private.credentials_stamp(number)
        ) end
    );
end
$$;

create function public.begin_read(
    chat uuid default null, message uuid default null, message_wamid text default null,
    organization uuid default null
) returns jsonb
language sql volatile security invoker
set search_path = ''
as $$
    select private.begin_read(chat, message, message_wamid, organization)
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
grant execute on function
    private.show_my_batch(uuid), private.cancel_batch(uuid), private.begin_retry(uuid, uuid),
    private.begin_read(uuid, uuid, text, uuid)
    to authenticated;
revoke execute on function public.get_batch, public.cancel_batch, public.begin_retry, public.begin_read from public, anon;
grant execute on function public.get_batch, public.cancel_batch, public.begin_retry, public.begin_read
    to authenticated, service_role;
