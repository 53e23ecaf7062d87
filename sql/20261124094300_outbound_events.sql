-- Events for organizations' own endpoints: born with what they tell of, delivered by jobs, kept for a replay.

create type public.event_endpoint_state as enum ('on', 'disabled');

create table public.event_endpoints (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    url text not null check (length(url) between 1 and 2000),
    kinds text[] not null check (
        cardinality(kinds) > 0 and kinds <@ array['message.received', 'message.sent', 'message.status']
    ),
    -- Ciphertexts; the older one signs too until its time is over.
    signing_secret text not null check (signing_secret like 'v1.%'),
    previous_secret text check (previous_secret like 'v1.%'),
    previous_secret_until timestamptz,
    state public.event_endpoint_state not null default 'on',
    disabled_at timestamptz,
    disabled_reason text,
    -- Since when nothing has been taken any more; null while all is well.
    failing_since timestamptz,
    last_taken_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (id, organization_id),
    constraint disabled_means_why check ((state = 'disabled') = (disabled_reason is not null))
);
comment on table public.event_endpoints is 'Where an organization wants to be told of its messages and their statuses.';
create index event_endpoints_organization_id_idx on public.event_endpoints (organization_id);

create table public.outbound_events (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    kind text not null,
    content jsonb not null,
    occurred_at timestamptz not null,
    created_at timestamptz not null default now()
);
comment on table public.outbound_events is 'What was to be told to an organization''s endpoints; kept for a replay.';
create index outbound_events_list_idx on public.outbound_events (organization_id, created_at);
create index outbound_events_created_at_idx on public.outbound_events (created_at);

alter table public.event_endpoints enable row level security;
alter table public.outbound_events enable row level security;
revoke all on public.event_endpoints, public.outbound_events from public, anon, authenticated;
grant select (
    id, organization_id, url, kinds, previous_secret_until, state, disabled_at, disabled_reason, failing_since,
    last_taken_at, created_at, updated_at
) on public.event_endpoints to authenticated;
grant select, insert, update, delete on public.event_endpoints, public.outbound_events to service_role;

create policy "Members can see their event endpoints" on public.event_endpoints
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));
create policy "Only the service handles outbound events" on public.outbound_events
    for all to service_role
    using (true) with check (true);

create trigger event_endpoints_touch_updated_at
    before update on public.event_endpoints
    for each row execute function private.touch_updated_at();

-- A message as an endpoint is told of it.
create function private.tell_message(m public.messages) returns jsonb
language sql stable
set search_path = ''
as $$
    select private.show_message(m) || jsonb_build_object(
        'origin', m.origin, 'sent_by_bot', m.sent_by_bot,
        'contact', (
            select jsonb_build_object(
                'id', c.id, 'name', c.name, 'wa_id', c.wa_id, 'phone_number', c.phone_number, 'bsuid', c.bsuid,
                'username', c.username
            )
            from public.contacts as c
            where c.id = m.contact_id and c.organization_id = m.organization_id
        ),
        'media', (
            select jsonb_build_object('mime_type', a.mime_type, 'filename', a.filename, 'is_voice', a.is_voice)
            from public.message_media as a
            where a.message_id = m.id and a.organization_id = m.organization_id
        )
    )
$$;

-- One job for each endpoint that wants it.
create function private.post_event(event public.outbound_events) returns void
language sql volatile
set search_path = ''
as $$
    insert into public.jobs (organization_id, kind, key, payload, max_attempts)
    select
        event.organization_id, 'deliver_event', e.id || ':' || event.id,
        jsonb_build_object('event_id', event.id, 'endpoint_id', e.id), 10
    from public.event_endpoints as e
    where e.organization_id = event.organization_id and e.state = 'on' and event.kind = any (e.kinds)
    on conflict (kind, key) do nothing
$$;

create function private.tell_new_messages() returns trigger
language plpgsql volatile
set search_path = ''
as $$
begin
    if not exists (
        select from fresh as f
        join public.event_endpoints as e on e.organization_id = f.organization_id
        where e.state = 'on' and e.kinds && array['message.received', 'message.sent'] and f.origin <> 'history'
    ) then
        return null;
    end if;
    perform private.post_event(row(told.*)::public.outbound_events)
    from (
        select told.*
        from fresh as f
        join public.messages as m on m.id = f.id and m.organization_id = f.organization_id
        cross join lateral (
            select case when f.direction = 'inbound' then 'message.received' else 'message.sent' end as kind
        ) as k
        cross join lateral private.keep_event(f.organization_id, k.kind, private.tell_message(m), m.occurred_at) as told
        where f.origin <> 'history'
        order by f.occurred_at, f.id
    ) as told
    where told.id is not null;
    return null;
end
$$;

-- Keeps an event that somebody wants; nothing otherwise.
create function private.keep_event(
    organization uuid, event_kind text, event_content jsonb, happened_at timestamptz
) returns public.outbound_events
language plpgsql volatile
set search_path = ''
as $$
declare
    kept public.outbound_events;
begin
    if exists (
        select from public.event_endpoints as e
        where e.organization_id = organization and e.state = 'on' and event_kind = any (e.kinds)
    ) then
        insert into public.outbound_events (organization_id, kind, content, occurred_at)
        values (organization, event_kind, event_content, happened_at)
        returning * into kept;
    end if;
    return kept;
end
$$;

create trigger messages_tell_new
    after insert on public.messages
    referencing new table as fresh
    for each statement execute function private.tell_new_messages();

create function private.tell_status() returns trigger
language plpgsql volatile
set search_path = ''
as $$
declare
    kept public.outbound_events;
begin
    kept := private.keep_event(
        new.organization_id, 'message.status',
        jsonb_build_object(
            'message_id', new.id, 'wamid', new.wamid, 'chat_id', new.chat_id, 'status', new.status,
            'previous_status', old.status, 'error_code', new.error_code, 'error_title', new.error_message
        ),
        now()
    );
    if kept.id is not null then
        perform private.post_event(kept);
    end if;
    return null;
end
$$;

create trigger messages_tell_status
    after update of status on public.messages
    for each row when (old.status is distinct from new.status)
    execute function private.tell_status();

-- What a delivery needs; {skip} where nobody wants it any more.
create function public.begin_event_delivery(job bigint, token bigint) returns jsonb
language sql stable
set search_path = ''
as $$
    select case
        when e.id is null or v.id is null then jsonb_build_object('skip', 'gone')
        when e.state = 'disabled' then jsonb_build_object('skip', 'endpoint_disabled')
        else jsonb_build_object(
            'endpoint_id', e.id, 'url', e.url, 'signing_secret', e.signing_secret,
            'previous_secret', case when e.previous_secret_until > now() then e.previous_secret end,
            'event_id', v.id, 'kind', v.kind, 'content', v.content, 'occurred_at', v.occurred_at
        )
    end
    from public.jobs as j
    left join public.event_endpoints as e
        on e.id = (j.payload ->> 'endpoint_id')::uuid and e.organization_id = j.organization_id
    left join public.outbound_events as v
        on v.id = (j.payload ->> 'event_id')::uuid and v.organization_id = j.organization_id
    where j.id = job and j.lease_token = token and j.state = 'running'
$$;

-- Lets an endpoint be, and tells the owner once.
create function private.disable_endpoint(endpoint uuid, reason text) returns void
language plpgsql volatile
set search_path = ''
as $$
declare
    changed public.event_endpoints;
begin
    update public.event_endpoints as e set state = 'disabled', disabled_at = now(), disabled_reason = reason
    where e.id = endpoint and e.state = 'on'
    returning * into changed;
    if changed.id is not null then
        insert into public.notices (organization_id, integration_id, field, event, severity, content, digest, occurred_at)
        select
            changed.organization_id, i.id, 'event_endpoint', 'DISABLED', 'warning',
            jsonb_build_object('endpoint_id', changed.id, 'url', changed.url, 'reason', reason),
            encode(sha256(convert_to(concat_ws('|', 'event_endpoint', changed.id, changed.disabled_at), 'UTF8')), 'hex'),
            now()
        from public.whatsapp_integrations as i
        where i.organization_id = changed.organization_id
        on conflict (digest, organization_id) do nothing;
    end if;
end
$$;

-- Writes what came of one attempt. `result`: {outcome: taken | failed | gone, reason, pause}; without a pause the
-- failure was the last. An endpoint that has taken nothing for nearly three days then is disabled.
create function public.finish_event_delivery(job bigint, token bigint, result jsonb) returns boolean
language plpgsql volatile
set search_path = ''
as $$
declare
    endpoint uuid;
    failing timestamptz;
begin
    if not private.hold_job(job, token) then
        return false;
    end if;
    select (j.payload ->> 'endpoint_id')::uuid into endpoint from public.jobs as j where j.id = job;
    if result ->> 'outcome' = 'taken' then
        update public.event_endpoints as e set failing_since = null, last_taken_at = now()
        where e.id = endpoint
            -- A busy endpoint's row is not written for each event.
            and (e.failing_since is not null or e.last_taken_at is null or e.last_taken_at < now() - interval '10 seconds');
        perform private.end_job(job);
        return true;
    end if;

    update public.event_endpoints as e set failing_since = now() where e.id = endpoint and e.failing_since is null;
    select e.failing_since into failing from public.event_endpoints as e where e.id = endpoint;
    if result ->> 'outcome' = 'gone' then
        perform private.disable_endpoint(endpoint, 'gone');
    elsif result ->> 'pause' is null and failing <= now() - interval '70 hours' then
        perform private.disable_endpoint(endpoint, 'failing');
    end if;
    update public.jobs as j set
        state = case when result ->> 'pause' is null then 'dead' else 'ready' end::public.job_state,
        finished_at = case when result ->> 'pause' is null then clock_timestamp() end,
        run_at = clock_timestamp() + make_interval(secs => coalesce((result ->> 'pause')::float8, 0)),
        lease_until = null,
        last_error = left(result ->> 'reason', 1000)
    where j.id = job;
    return true;
end
$$;

-- Tells an endpoint once more what happened since: with the same ids, so that it knows what it has. Enables it.
create function public.replay_events(
    organization uuid, endpoint uuid, since timestamptz, by_user uuid default null
) returns integer
language plpgsql volatile
set search_path = ''
as $$
declare
    replayed integer;
begin
    update public.event_endpoints as e set
        state = 'on', disabled_at = null, disabled_reason = null, failing_since = null
    where e.id = endpoint and e.organization_id = organization;
    if not found then
        raise exception 'There is no such endpoint.' using errcode = 'P0001', detail = 'not_found';
    end if;
    insert into public.jobs as j (organization_id, kind, key, payload, max_attempts)
    select
        organization, 'deliver_event', endpoint || ':' || v.id,
        jsonb_build_object('event_id', v.id, 'endpoint_id', endpoint), 10
    from public.outbound_events as v
    join public.event_endpoints as e on e.id = endpoint and v.kind = any (e.kinds)
    where v.organization_id = organization and v.created_at >= since
    order by v.created_at, v.id
    on conflict (kind, key) do update set
        state = 'ready', run_at = clock_timestamp(), attempts = 0, finished_at = null
    where j.state in ('done', 'dead');
    get diagnostics replayed = row_count;
    insert into public.audit_entries (organization_id, user_id, action, details)
    values (organization, by_user, 'events_replayed', jsonb_build_object('endpoint', endpoint, 'since', since));
    return replayed;
end
$$;

-- What follows is for the service, after an owner's right was proven and the address read.
create function public.add_event_endpoint(
    new_id uuid, organization uuid, by_user uuid, new_url text, new_kinds text[], sealed text
) returns void
language sql volatile
set search_path = ''
as $$
    insert into public.event_endpoints (id, organization_id, url, kinds, signing_secret)
    values (new_id, organization, new_url, new_kinds, sealed);
    insert into public.audit_entries (organization_id, user_id, action, details)
    values (organization, by_user, 'event_endpoint_added', jsonb_build_object(
        'endpoint', new_id, 'url', new_url, 'kinds', new_kinds
    ));
$$;

create function public.remove_event_endpoint(organization uuid, endpoint uuid, by_user uuid) returns void
language sql volatile
set search_path = ''
as $$
    with removed as (
        delete from public.event_endpoints as e where e.id = endpoint and e.organization_id = organization
        returning e.id, e.url
    )
    insert into public.audit_entries (organization_id, user_id, action, details)
    select organization, by_user, 'event_endpoint_removed', jsonb_build_object('endpoint', r.id, 'url', r.url)
    from removed as r
$$;

-- The older secret signs too until a time.
create function public.renew_event_secret(
    organization uuid, endpoint uuid, by_user uuid, sealed text, older_until timestamptz
) returns void
language sql volatile
set search_path = ''
as $$
    with renewed as (
        update public.event_endpoints as e set
            signing_secret = sealed, previous_secret = e.signing_secret, previous_secret_until = older_until
        where e.id = endpoint and e.organization_id = organization
        returning e.id, e.url
    )
    insert into public.audit_entries (organization_id, user_id, action, details)
    select organization, by_user, 'event_secret_renewed', jsonb_build_object('endpoint', r.id, 'url', r.url)
    from renewed as r
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
revoke execute on function
    public.begin_event_delivery, public.finish_event_delivery, public.replay_events, public.add_event_endpoint,
    public.remove_event_endpoint, public.renew_event_secret
    from public, anon, authenticated;
grant execute on function
    public.begin_event_delivery, public.finish_event_delivery, public.replay_events, public.add_event_endpoint,
    public.remove_event_endpoint, public.renew_event_secret
    to service_role;
