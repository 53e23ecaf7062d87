-- Bots: an organization's own rules and its own endpoint, which answer customers until a person does.

create type public.bot_rule_kind as enum ('hand_over', 'keyword', 'out_of_hours', 'welcome');

create table public.bots (
    organization_id uuid primary key references public.organizations (id) on delete cascade,
    is_on boolean not null default false,
    -- Called where no rule answers; what its name leads to is checked at each call (shared/safe_http.py).
    endpoint_url text check (length(endpoint_url) between 1 and 2000),
    -- Ciphertexts; the older one signs too until its time is over.
    endpoint_secret text,
    previous_secret text,
    previous_secret_until timestamptz,
    time_zone text not null default 'America/Lima' check (length(time_zone) between 1 and 60),
    -- {"mon": [["09:00", "18:00"]], …}; a day that is not there is closed; empty: always open.
    opening_hours jsonb not null default '{}',
    -- For how long a person's answer keeps the bot out of that chat.
    pause_minutes integer not null default 60 check (pause_minutes between 1 and 43200),
    -- What is older when it arrives wakes no bot: nobody waits for that answer any more.
    most_age_seconds integer not null default 600 check (most_age_seconds between 10 and 86400),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint secrets_are_encrypted check (
        (endpoint_secret is null or endpoint_secret like 'v1.%')
        and (previous_secret is null or previous_secret like 'v1.%')
    )
);
comment on table public.bots is 'What answers an organization''s customers by itself; at most one.';

create table public.bot_rules (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.bots (organization_id) on delete cascade,
    kind public.bot_rule_kind not null,
    position integer not null default 0,
    keywords text[] not null default '{}',
    -- A message as the API takes one, without its addressee; null: no words, only what the kind does.
    reply jsonb,
    constraint words_where_words_count check (
        (kind in ('hand_over', 'keyword')) = (cardinality(keywords) > 0)
    )
);
comment on table public.bot_rules is 'Rules of a bot, tried in the order of kind and position; the first that fits answers.';
create index bot_rules_organization_id_idx on public.bot_rules (organization_id, kind, position);

alter table public.chats
    add column is_bot_on boolean not null default true,
    add column bot_paused_until timestamptz;
-- Which rule, or `endpoint`, wrote it; null for what people wrote.
alter table public.messages add column sent_by_bot text check (length(sent_by_bot) between 1 and 40);

alter table public.bots enable row level security;
alter table public.bot_rules enable row level security;
revoke all on public.bots, public.bot_rules from public, anon, authenticated;
grant select (
    organization_id, is_on, endpoint_url, previous_secret_until, time_zone, opening_hours, pause_minutes,
    most_age_seconds, created_at, updated_at
) on public.bots to authenticated;
grant select on public.bot_rules to authenticated;
grant select, insert, update, delete on public.bots, public.bot_rules to service_role;

create policy "Members can see their bot" on public.bots
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));
create policy "Members can see their bot's rules" on public.bot_rules
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));

create trigger bots_touch_updated_at
    before update on public.bots
    for each row execute function private.touch_updated_at();

-- Replaces a bot's settings and rules; the service, after an owner's right was proven and the replies read.
create function public.save_bot(organization uuid, settings jsonb, rules jsonb, by_user uuid default null)
returns void
language plpgsql volatile
set search_path = ''
as $$
begin
    if not exists (select from pg_catalog.pg_timezone_names as z where z.name = settings ->> 'time_zone') then
        raise exception 'There is no such time zone.' using errcode = '22023';
    end if;
    insert into public.bots as b (
        organization_id, is_on, endpoint_url, time_zone, opening_hours, pause_minutes, most_age_seconds
    )
    values (
        organization, (settings ->> 'is_on')::boolean, settings ->> 'endpoint_url', settings ->> 'time_zone',
        settings -> 'opening_hours', (settings ->> 'pause_minutes')::integer, (settings ->> 'most_age_seconds')::integer
    )
    on conflict (organization_id) do update set
        is_on = excluded.is_on, endpoint_url = excluded.endpoint_url, time_zone = excluded.time_zone,
        opening_hours = excluded.opening_hours, pause_minutes = excluded.pause_minutes,
        most_age_seconds = excluded.most_age_seconds;
    delete from public.bot_rules as r where r.organization_id = organization;
    insert into public.bot_rules (organization_id, kind, position, keywords, reply)
    select
        organization, (r.rule ->> 'kind')::public.bot_rule_kind, r.nr,
        array(select jsonb_array_elements_text(coalesce(nullif(r.rule -> 'keywords', 'null'), '[]'))),
        nullif(r.rule -> 'reply', 'null')
    from jsonb_array_elements(rules) with ordinality as r (rule, nr);
    insert into public.audit_entries (organization_id, user_id, action, details)
    values (organization, by_user, 'bot_changed', jsonb_build_object(
        'is_on', settings -> 'is_on', 'endpoint_url', settings -> 'endpoint_url', 'rules', jsonb_array_length(rules)
    ));
end
$$;

-- Puts a new signing secret in the older one's place, which signs too until a time; answers that time, null where
-- there was none. For the service, as above.
create function public.renew_bot_secret(organization uuid, by_user uuid, sealed text, older_until timestamptz)
returns timestamptz
language plpgsql volatile
set search_path = ''
as $$
declare
    row_ public.bots;
begin
    insert into public.bots as b (organization_id, endpoint_secret) values (organization, sealed)
    on conflict (organization_id) do update set
        endpoint_secret = excluded.endpoint_secret, previous_secret = b.endpoint_secret,
        previous_secret_until = case when b.endpoint_secret is not null then older_until end
    returning * into row_;
    insert into public.audit_entries (organization_id, user_id, action)
    values (organization, by_user, 'bot_secret_renewed');
    return row_.previous_secret_until;
end
$$;

-- A member lets the bot answer in a chat, or keeps it out for good.
-- Acts with its owner's rights because no user may write chats; it proves the caller's membership itself.
create function private.set_chat_bot(chat uuid, is_on boolean) returns jsonb
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    changed public.chats;
begin
    update public.chats as c set
        is_bot_on = set_chat_bot.is_on,
        bot_paused_until = case when set_chat_bot.is_on then null else c.bot_paused_until end
    where c.id = chat and c.organization_id in (select private.my_organization_ids())
    returning * into changed;
    if changed.id is null then
        raise exception 'This chat does not exist, or you cannot see it.' using errcode = 'P0001', detail = 'chat_not_found';
    end if;
    return jsonb_build_object('chat_id', changed.id, 'is_bot_on', changed.is_bot_on);
end
$$;

create function public.set_chat_bot(chat uuid, is_on boolean) returns jsonb
language sql volatile security invoker
set search_path = ''
as $$
    select private.set_chat_bot(chat, is_on)
$$;

-- What newly stored messages mean for bots, in the transaction that stores them: a customer's message wakes the
-- bot, a person's answer pauses it. Imported, old and echoed messages wake nobody.
create function private.wake_bots() returns trigger
language plpgsql volatile
set search_path = ''
as $$
begin
    if not exists (
        select from fresh as f join public.bots as b on b.organization_id = f.organization_id where b.is_on
    ) then
        return null;
    end if;

    update public.chats as c set bot_paused_until = now() + make_interval(mins => b.pause_minutes)
    from public.bots as b
    where b.organization_id = c.organization_id and b.is_on
        and c.id in (
            select f.chat_id from fresh as f
            where f.organization_id = c.organization_id and f.direction = 'outbound' and f.batch_id is null
                -- In the dashboard, or in the business's own phone app a moment ago.
                and (
                    f.sent_by is not null
                    or (f.origin = 'echo' and f.occurred_at > now() - make_interval(secs => b.most_age_seconds))
                )
        );

    insert into public.jobs (organization_id, kind, key, payload, line, max_attempts)
    select
        f.organization_id, 'run_bot', f.id::text, jsonb_build_object('message_id', f.id), 'bot:' || f.chat_id, 8
    from fresh as f
    join public.bots as b on b.organization_id = f.organization_id and b.is_on
    join public.chats as c on c.id = f.chat_id and c.organization_id = f.organization_id
    where f.direction = 'inbound' and f.origin = 'live' and c.contact_id is not null
        and f.type not in ('reaction', 'edit', 'revoke', 'system', 'unsupported', 'unknown', 'media_placeholder')
        and f.occurred_at > now() - make_interval(secs => b.most_age_seconds)
        and c.is_bot_on and coalesce(c.bot_paused_until, '-infinity') <= now()
    order by f.occurred_at, f.wamid collate "C"
    on conflict (kind, key) do nothing;
    return null;
end
$$;

create trigger messages_wake_bots
    after insert on public.messages
    referencing new table as fresh
    for each statement execute function private.wake_bots();

-- Why the bot is to be silent now, null where it may speak.
create function private.bot_silence(message uuid, organization uuid) returns text
language sql stable
set search_path = ''
as $$
    select case
        when not b.is_on then 'bot_off'
        when not c.is_bot_on then 'bot_off_in_chat'
        when c.bot_paused_until > now() then 'person_answered'
        when m.occurred_at < now() - make_interval(secs => b.most_age_seconds) then 'too_old'
        when coalesce(i.status not in ('connected', 'error'), true) then 'not_connected'
        when coalesce(c.window_expires_at, '-infinity') <= now() then 'window_closed'
        -- Which may be mended while the message is still young.
        when i.status = 'error' then 'connection_error'
    end
    from public.messages as m
    join public.chats as c on c.id = m.chat_id and c.organization_id = m.organization_id
    join public.bots as b on b.organization_id = m.organization_id
    left join public.whatsapp_integrations as i on i.organization_id = m.organization_id
    where m.id = message and m.organization_id = organization
$$;

-- What a bot's turn needs; {silence} where there is nothing to say.
create function public.begin_bot_turn(job bigint, token bigint) returns jsonb
language plpgsql stable
set search_path = ''
as $$
declare
    bot public.bots;
    message public.messages;
    silence text;
begin
    select m.* into message
    from public.jobs as j
    join public.messages as m on m.id = (j.payload ->> 'message_id')::uuid and m.organization_id = j.organization_id
    where j.id = job and j.lease_token = token and j.state = 'running';
    if message.id is null then
        return null;
    end if;
    silence := private.bot_silence(message.id, message.organization_id);
    select * into bot from public.bots as b where b.organization_id = message.organization_id;
    if silence is not null or bot.organization_id is null then
        return jsonb_build_object('silence', coalesce(silence, 'bot_off'));
    end if;
    return jsonb_build_object(
        'organization_id', message.organization_id,
        'chat_id', message.chat_id,
        'message', private.show_message(message) || jsonb_build_object(
            'media', (
                select jsonb_build_object('mime_type', a.mime_type, 'filename', a.filename, 'is_voice', a.is_voice)
                from public.message_media as a
                where a.message_id = message.id and a.organization_id = message.organization_id
            )
        ),
        'contact', (
            select jsonb_build_object(
                'id', c.id, 'name', c.name, 'wa_id', c.wa_id, 'phone_number', c.phone_number, 'bsuid', c.bsuid,
                'username', c.username
            )
            from public.contacts as c
            where c.id = message.contact_id and c.organization_id = message.organization_id
        ),
        'is_first', not exists (
            select from public.messages as before
            where before.chat_id = message.chat_id and before.organization_id = message.organization_id
                and before.id <> message.id
                -- Meta tells whole seconds: within one, as they came.
                and (before.occurred_at, before.created_at, before.wamid)
                    < (message.occurred_at, message.created_at, message.wamid)
        ),
        'said_closed', exists (
            select from public.messages as told
            where told.chat_id = message.chat_id and told.organization_id = message.organization_id
                and told.sent_by_bot = 'out_of_hours' and told.occurred_at > now() - interval '8 hours'
        ),
        -- Counted here: not every platform brings the world's time zones.
        'weekday', trim(to_char(message.occurred_at at time zone bot.time_zone, 'dy')),
        'yesterday', trim(to_char((message.occurred_at at time zone bot.time_zone) - interval '1 day', 'dy')),
        'time', to_char(message.occurred_at at time zone bot.time_zone, 'HH24:MI'),
        'opening_hours', bot.opening_hours,
        'endpoint_url', bot.endpoint_url,
        'endpoint_secret', bot.endpoint_secret,
        'previous_secret', case when bot.previous_secret_until > now() then bot.previous_secret end,
        'rules', (
            select coalesce(jsonb_agg(jsonb_build_object(
                'kind', r.kind, 'keywords', r.keywords, 'reply', r.reply
            ) order by r.kind, r.position), '[]')
            from public.bot_rules as r
            where r.organization_id = message.organization_id
        )
    );
end
$$;

-- Puts a bot's replies into the send queue and ends its job, together; so whoever did the work twice is heard once.
-- `result`: {replies: [{type, content}], by, hands_over, note}. Answers the new messages' ids; null: the lease
-- was lost, and somebody else speaks.
create function public.finish_bot_turn(job bigint, token bigint, result jsonb) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    message public.messages;
    number public.whatsapp_integrations;
    silence text;
    ids uuid[];
begin
    if not private.hold_job(job, token) then
        return null;
    end if;
    select m.* into message
    from public.jobs as j
    join public.messages as m on m.id = (j.payload ->> 'message_id')::uuid and m.organization_id = j.organization_id
    where j.id = job;
    -- Contacts before chats, as everywhere.
    perform from public.contacts as c
    where c.id = message.contact_id and c.organization_id = message.organization_id for key share;
    perform from public.chats as c
    where c.id = message.chat_id and c.organization_id = message.organization_id for update;
    -- A person may have answered while the endpoint thought.
    silence := private.bot_silence(message.id, message.organization_id);
    -- Where the connection has failed meanwhile, the replies wait in the queue as an agent's do.
    if silence <> 'connection_error' or message.id is null then
        perform private.end_job(job, coalesce(silence, 'message_gone'));
        return '[]'::jsonb;
    end if;
    select * into strict number from public.whatsapp_integrations as i where i.organization_id = message.organization_id;
    perform private.check_content(r ->> 'type', r -> 'content') from jsonb_array_elements(result -> 'replies') as r;
    -- Nobody stands behind a bot whose right to a file could be asked for.
    if jsonb_path_exists(result -> 'replies', '$.**.storage_path') then
        perform private.refuse_field('storage_path', 'forbidden', 'Give a link or a media id.');
    end if;

    with replies as (
        select gen_random_uuid() as id, r.reply, private.preview(r.reply ->> 'type', r.reply -> 'content') as text, r.nr
        from jsonb_array_elements(result -> 'replies') with ordinality as r (reply, nr)
    ),
    stored as (
        insert into public.messages (
            id, organization_id, chat_id, contact_id, direction, type, text, content, reply_to_wamid, target_wamid,
            queued_at, sent_by_bot
        )
        select
            r.id, message.organization_id, message.chat_id, message.contact_id, 'outbound', r.reply ->> 'type',
            r.text, r.reply -> 'content', r.reply ->> 'reply_to', r.reply ->> 'target', now(),
            result ->> 'by'
        from replies as r
        order by r.nr
        returning id
    ),
    queued as (
        insert into public.send_queue (
            message_id, organization_id, integration_id, chat_id, written_at, priority, run_at
        )
        select
            r.id, message.organization_id, number.id, message.chat_id, now() + r.nr * interval '1 microsecond', 0,
            clock_timestamp() + r.nr * interval '1 microsecond'
        from replies as r
        order by r.nr
        returning message_id
    ),
    said as (
        select private.add_to_chats(array(
            select row(
                message.chat_id, 0, null, now(), r.id::text, left(r.text, 300), r.reply ->> 'type', 'outbound'
            )::private.chat_news
            from replies as r
            where r.reply ->> 'type' <> 'reaction'
            order by r.nr desc limit 1
        ))
    )
    select coalesce(array_agg(r.id order by r.nr), '{}') into ids from replies as r, said;

    if (result ->> 'hands_over')::boolean then
        update public.chats as c set is_bot_on = false
        where c.id = message.chat_id and c.organization_id = message.organization_id;
    end if;
    perform private.end_job(job, result ->> 'note');
    return to_jsonb(ids);
end
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
grant execute on function private.set_chat_bot(uuid, boolean) to authenticated;
revoke execute on function public.set_chat_bot from public, anon;
grant execute on function public.set_chat_bot to authenticated, service_role;
revoke execute on function
    public.save_bot, public.renew_bot_secret, public.begin_bot_turn, public.finish_bot_turn
    from public, anon, authenticated;
grant execute on function
    public.save_bot, public.renew_bot_secret, public.begin_bot_turn, public.finish_bot_turn
    to service_role;
