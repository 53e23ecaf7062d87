-- The second of a send's two calls: what became of it.

-- Meta says that the window is closed: then it is, unless the customer has written since. A chat that another
-- transaction holds is left alone (the next attempt will tell again): waiting for it could be a deadlock.
create function private.believe_closed_window() returns trigger
language plpgsql volatile
set search_path = ''
as $$
begin
    update public.chats as c set window_expires_at = least(c.window_expires_at, now())
    where c.id in (
        select k.id from public.chats as k
        where k.organization_id = new.organization_id and k.id = new.chat_id
            and k.window_expires_at > now()
            -- By our own clock on both sides: Meta's may be a little ahead.
            and not exists (
                select from public.messages as m
                where m.organization_id = k.organization_id and m.chat_id = k.id and m.direction = 'inbound'
                    and m.occurred_at > new.created_at - interval '1 hour'
                    and m.created_at > coalesce(new.attempted_at, new.created_at)
            )
        for update skip locked
    );
    return null;
end
$$;

create trigger messages_believe_closed_window
    after update of error_code on public.messages
    for each row when (new.error_code = 131047 and new.failed_at is not null)
    execute function private.believe_closed_window();

-- A number that cannot send until somebody acts (a payment, a registration): nothing more leaves for five minutes, and
-- the owner is told. What has waited for half an hour fails for the same reason, so that somebody decides.
-- Waits for no lock: whoever holds the number's row tells the same, and the next refusal will tell again.
create function private.stop_number(organization uuid, error jsonb) returns void
language plpgsql volatile
set search_path = ''
as $$
declare
    stopped uuid;
begin
    update public.whatsapp_integrations as i set
        sends_paused_until = greatest(i.sends_paused_until, clock_timestamp() + interval '5 minutes')
    where i.id = (
        select k.id from public.whatsapp_integrations as k
        where k.organization_id = organization and k.status = 'connected'
        for no key update skip locked
    )
    returning i.id into stopped;
    if stopped is null then
        return;
    end if;
    perform public.tell_owner(stopped, 'NUMBER_PAUSED', 'critical', jsonb_build_object('code', error -> 'code'));
    with late as (
        select q.message_id from public.send_queue as q
        where q.integration_id = stopped and not q.is_started and q.written_at < now() - interval '30 minutes'
        order by q.message_id limit 1000
        for update skip locked
    ),
    taken_out as (
        delete from public.send_queue as q using late as l where q.message_id = l.message_id
        returning q.message_id
    )
    update public.messages as m set
        failed_at = now(), error_code = (error ->> 'code')::integer, error_subcode = (error ->> 'subcode')::integer,
        error_message = error ->> 'title', error_details = error ->> 'details'
    from taken_out as t where m.id = t.message_id;
end
$$;

-- Those of these refusals that Meta tells by a status, after it has accepted the message.
create function private.believe_stopped_number() returns trigger
language plpgsql volatile
set search_path = ''
as $$
begin
    perform private.stop_number(new.organization_id, jsonb_build_object(
        'code', new.error_code, 'subcode', new.error_subcode, 'title', new.error_message, 'details', new.error_details
    ));
    return null;
end
$$;

create trigger messages_believe_stopped_number
    after update of error_code on public.messages
    for each row when (
        new.error_code in (131037, 131042) and old.error_code is distinct from new.error_code
        and new.failed_at is not null and new.wamid is not null and new.origin = 'live'
    )
    execute function private.believe_stopped_number();

-- Writes outcomes, one or many at once; the service only, after the sender's right was proven by begin_send.
-- Each of `results`: {message_id, lease_token?, outcome, …} with
--   accepted   wamid, contact? {aliases, wa_id, bsuid}
--   failed     error {code, subcode, title, details}
--   uncertain  Meta's answer was lost: never sent again by itself
--   retry      certainly not sent: queued, to run again after retry_seconds
-- and, beside any outcome, what it means for others: pause_seconds (the number), stops_number (it cannot send until
-- somebody acts), pair_pause_seconds (the recipient), integration_error {stamp, code, message}, template_status.
-- `permits`: [{id, seconds}], in use for that much longer.
-- Planned at each call: a plan that was made while the tables were small would read them whole for ever after.
-- Locks are taken in the order queue, contacts, chats, receipts, messages, as everywhere.
create function public.finish_sends(results jsonb, permits jsonb default '[]', show boolean default false)
returns jsonb
language plpgsql volatile
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
as $$
declare
    told jsonb;
    organization uuid;
    strangers private.person[];
begin
    perform from public.send_queue as q
    where q.message_id in (select (r ->> 'message_id')::uuid from jsonb_array_elements(results) as r)
    order by q.message_id for update;

    -- Meta's own name for the recipient is the truth from now on.
    strangers := array(
        select row(m.organization_id, array(
            select distinct a.alias
            from (
                select jsonb_array_elements_text(r -> 'contact' -> 'aliases') as alias
                union all
                select k.alias from public.contact_aliases as k
                where k.organization_id = m.organization_id and k.contact_id = m.contact_id
            ) as a
            order by a.alias
        ))::private.person
        from jsonb_array_elements(results) as r
        join public.messages as m on m.id = (r ->> 'message_id')::uuid and m.contact_id is not null
        where r ->> 'outcome' = 'accepted'
            and exists (
                select from jsonb_array_elements_text(r -> 'contact' -> 'aliases') as named (alias)
                where not exists (
                    select from public.contact_aliases as a
                    where a.organization_id = m.organization_id and a.alias = named.alias and a.contact_id = m.contact_id
                )
            )
            and not private.is_answer_of_another(r, m.contact_id)
    );
    if cardinality(strangers) > 0 then
        perform private.settle_people(strangers);
    end if;
    perform from public.contacts as c
    where c.id in (
        select m.contact_id
        from jsonb_array_elements(results) as r
        join public.messages as m on m.id = (r ->> 'message_id')::uuid
        where private.names_anew(r, m.contact_id)
    )
    order by c.id for update;
    perform private.learn_contacts(array(
        select row(m.contact_id, told_.field, told_.value, now())::private.contact_fact
        from jsonb_array_elements(results) as r
        join public.messages as m on m.id = (r ->> 'message_id')::uuid
        cross join lateral jsonb_each_text(r -> 'contact') as told_ (field, value)
        where private.names_anew(r, m.contact_id)
            and told_.field in ('wa_id', 'phone_number', 'bsuid') and told_.value is not null
    ));

    -- The receipt first: a status that comes at this very moment waits here, and then finds its message.
    insert into public.message_receipts as k (organization_id, wamid, callback_message_id)
    select m.organization_id, r ->> 'wamid', m.id
    from jsonb_array_elements(results) as r
    join public.messages as m on m.id = (r ->> 'message_id')::uuid
    where r ->> 'outcome' = 'accepted'
    order by 1, 2
    on conflict (organization_id, wamid) do update set
        callback_message_id = coalesce(k.callback_message_id, excluded.callback_message_id);

    perform from public.messages as m
    where m.id in (select (r ->> 'message_id')::uuid from jsonb_array_elements(results) as r)
    order by m.id for update;
    update public.messages as m set
        accepted_at = case when r ->> 'outcome' = 'accepted' then coalesce(m.accepted_at, now()) else m.accepted_at end,
        wamid = case
            when r ->> 'outcome' = 'accepted' and not exists (
                select from public.messages as taken
                where taken.organization_id = m.organization_id and taken.wamid = r ->> 'wamid'
            ) then coalesce(m.wamid, r ->> 'wamid')
            else m.wamid
        end,
        uncertain_at = case
            when r ->> 'outcome' = 'uncertain' and m.wamid is null then coalesce(m.uncertain_at, now())
            else m.uncertain_at
        end,
        failed_at = case when r ->> 'outcome' = 'failed' and m.wamid is null then now() else m.failed_at end,
        queued_at = case when r ->> 'outcome' = 'retry' then coalesce(m.queued_at, now()) else m.queued_at end,
        attempted_at = case when r ->> 'outcome' = 'retry' then null else m.attempted_at end,
        -- The last refusal stays readable while the message waits to be tried again.
        error_code = case when r ->> 'outcome' in ('failed', 'retry') then (r -> 'error' ->> 'code')::integer else m.error_code end,
        error_subcode = case when r ->> 'outcome' in ('failed', 'retry') then (r -> 'error' ->> 'subcode')::integer else m.error_subcode end,
        error_message = case when r ->> 'outcome' in ('failed', 'retry') then r -> 'error' ->> 'title' else m.error_message end,
        error_details = case when r ->> 'outcome' in ('failed', 'retry') then r -> 'error' ->> 'details' else m.error_details end
    from jsonb_array_elements(results) as r
    where m.id = (r ->> 'message_id')::uuid and m.direction = 'outbound'
        -- Who has lost the lease may still tell what Meta said, but not put the message back into the queue.
        and (
            r ->> 'outcome' <> 'retry'
            or (
                m.uncertain_at is null and m.wamid is null
                and (
                    r ->> 'lease_token' is null
                    or exists (
                        select from public.send_queue as q
                        where q.message_id = m.id and q.lease_token = (r ->> 'lease_token')::bigint and q.is_started
                    )
                )
            )
        );

    for organization in
        select distinct m.organization_id
        from jsonb_array_elements(results) as r
        join public.messages as m on m.id = (r ->> 'message_id')::uuid
        where r ->> 'outcome' = 'accepted'
        order by 1
    loop
        perform private.apply_receipts(organization, array(
            select r ->> 'wamid'
            from jsonb_array_elements(results) as r
            join public.messages as m on m.id = (r ->> 'message_id')::uuid and m.organization_id = organization
            where r ->> 'outcome' = 'accepted'
        ));
    end loop;

    delete from public.send_queue as q
    using jsonb_array_elements(results) as r
    where q.message_id = (r ->> 'message_id')::uuid and r ->> 'outcome' <> 'retry';
    update public.send_queue as q set
        lease_until = null, is_started = false, attempts = q.attempts + 1,
        run_at = clock_timestamp() + make_interval(secs => (r ->> 'retry_seconds')::float8)
    from jsonb_array_elements(results) as r
    where q.message_id = (r ->> 'message_id')::uuid and r ->> 'outcome' = 'retry'
        and q.lease_token = (r ->> 'lease_token')::bigint and q.is_started;
    insert into public.send_queue (
        message_id, organization_id, integration_id, chat_id, written_at, run_at, attempts
    )
    select
        m.id, m.organization_id, i.id, m.chat_id, m.created_at,
        clock_timestamp() + make_interval(secs => (r ->> 'retry_seconds')::float8), 1
    from jsonb_array_elements(results) as r
    join public.messages as m on m.id = (r ->> 'message_id')::uuid
    join public.whatsapp_integrations as i on i.organization_id = m.organization_id
    where r ->> 'outcome' = 'retry' and r ->> 'lease_token' is null and m.status = 'queued'
    on conflict (message_id, organization_id) do nothing;

    for told in
        select distinct on (m.organization_id, r ? 'integration_error', r ? 'stops_number') r || jsonb_build_object('organization_id', m.organization_id)
        from jsonb_array_elements(results) as r
        join public.messages as m on m.id = (r ->> 'message_id')::uuid
        where r ?| array['pause_seconds', 'integration_error', 'stops_number']
        order by m.organization_id, r ? 'integration_error', r ? 'stops_number', (r ->> 'pause_seconds')::float8 desc nulls last
    loop
        perform private.take_effect(told);
    end loop;
    insert into public.rate_limits as l (organization_id, kind, key, paid_at)
    select
        m.organization_id, 'pair', m.contact_id::text,
        clock_timestamp() + private.pair_credit() + make_interval(secs => max((r ->> 'pair_pause_seconds')::float8))
    from jsonb_array_elements(results) as r
    join public.messages as m on m.id = (r ->> 'message_id')::uuid
    where r ->> 'pair_pause_seconds' is not null and m.contact_id is not null
    group by m.organization_id, m.contact_id
    order by 1, 3
    on conflict (organization_id, kind, key) do update set paid_at = greatest(l.paid_at, excluded.paid_at);

    update public.message_templates as t set status = r ->> 'template_status'
    from jsonb_array_elements(results) as r
    join public.messages as m on m.id = (r ->> 'message_id')::uuid and m.type = 'template'
    where r ->> 'template_status' is not null and t.organization_id = m.organization_id
        and t.name = m.content -> 'template' ->> 'name'
        and t.language = m.content -> 'template' -> 'language' ->> 'code';

    perform private.end_permits(permits);
    if not show then
        return '[]'::jsonb;
    end if;
    return (
        select coalesce(jsonb_agg(private.show_message(m)), '[]')
        from public.messages as m
        where m.id in (select (r ->> 'message_id')::uuid from jsonb_array_elements(results) as r)
    );
end
$$;

-- Whether the number that was written to is not the contact's any more, as the answer or a change since says.
create function private.is_answer_of_another(result jsonb, contact uuid) returns boolean
language sql stable
set search_path = ''
as $$
    with named as (
        select a.alias
        from jsonb_array_elements_text(coalesce(nullif(result -> 'contact', 'null') -> 'aliases', '[]')) as a (alias)
    )
    select private.is_another(contact, array(select n.alias from named as n where n.alias like 'bsuid:%'))
        or exists (
            select from public.former_phones as f join named as n on n.alias = f.alias
            where f.contact_id = contact
                and not exists (
                    select from public.contact_aliases as a
                    where a.alias = f.alias and a.organization_id = f.organization_id and a.contact_id = contact
                )
        )
$$;

-- Whether an accepted send's answer names the contact otherwise than we do.
create function private.names_anew(result jsonb, contact uuid) returns boolean
language sql stable
set search_path = ''
as $$
    select result ->> 'outcome' = 'accepted' and exists (
        select from public.contacts as c
        where c.id = contact
            and (
                c.wa_id is distinct from coalesce(result -> 'contact' ->> 'wa_id', c.wa_id)
                or c.bsuid is distinct from coalesce(result -> 'contact' ->> 'bsuid', c.bsuid)
            )
    ) and not private.is_answer_of_another(result, contact)
$$;

-- What a refusal means for the whole number: a pause, short or until somebody acts, or a dead connection. An error of
-- credentials that have been replaced since says nothing about the new ones.
create function private.take_effect(told jsonb) returns void
language plpgsql volatile
set search_path = ''
as $$
declare
    number public.whatsapp_integrations;
begin
    select * into number from public.whatsapp_integrations as i
    where i.organization_id = (told ->> 'organization_id')::uuid;
    if told ->> 'pause_seconds' is not null then
        perform private.pause_number(number.id, make_interval(secs => (told ->> 'pause_seconds')::float8));
    end if;
    if (told ->> 'stops_number')::boolean then
        perform private.stop_number(number.organization_id, told -> 'error');
    end if;
    if jsonb_typeof(told -> 'integration_error') = 'object' then
        update public.whatsapp_integrations as i set
            status = 'error',
            error_code = told -> 'integration_error' ->> 'code',
            error_message = told -> 'integration_error' ->> 'message'
        where i.id = number.id and i.status = 'connected'
            and private.credentials_stamp(i) = told -> 'integration_error' ->> 'stamp';
        if found then
            perform public.tell_owner(
                number.id, upper(told -> 'integration_error' ->> 'code'), 'critical',
                jsonb_build_object('message', told -> 'integration_error' ->> 'message')
            );
        end if;
    end if;
end
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
revoke execute on function public.finish_sends from public, anon, authenticated;
grant execute on function public.finish_sends to service_role;
