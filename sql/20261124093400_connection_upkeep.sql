-- Keeping a connection: registrations counted before Meta counts them, facts refreshed, tokens renewed in time,
-- and the owner told when one cannot be.

create type public.registration_action as enum ('register', 'deregister');

create table public.whatsapp_registrations (
    id bigint generated always as identity primary key,
    organization_id uuid not null references public.organizations (id) on delete cascade,
    phone_number_id text not null,
    action public.registration_action not null,
    created_at timestamptz not null default now(),
    -- When Meta's answer was known. Until then, or until nobody can be waiting for it any more, no other call begins.
    answered_at timestamptz
);
comment on table public.whatsapp_registrations is
    'Calls of register and deregister: Meta allows ten of each in 72 hours and then blocks the number for 72 more.';
create index whatsapp_registrations_number_idx on public.whatsapp_registrations (phone_number_id, action, created_at desc);
create index whatsapp_registrations_organization_id_idx on public.whatsapp_registrations (organization_id);

alter table public.whatsapp_registrations enable row level security;
revoke all on sequence public.whatsapp_registrations_id_seq from public, anon, authenticated;
revoke all on public.whatsapp_registrations from public, anon, authenticated;
grant select, insert, update, delete on public.whatsapp_registrations to service_role;

create policy "Only the service counts registrations" on public.whatsapp_registrations
    for all to service_role
    using (true) with check (true);

-- Counts one more, before Meta is called, and answers its id; null while another such call is on its way.
-- Raises registration_limit with the seconds to wait: the tenth in 72 hours is the last.
-- While the number is being connected, only for the holder of the newest attempt.
create function public.begin_registration(
    integration uuid, number_id text, wanted public.registration_action, holder uuid default null
) returns bigint
language plpgsql volatile
set search_path = ''
as $$
declare
    tenth timestamptz;
    begun bigint;
begin
    if holder is not null and not exists (
        select from public.whatsapp_integrations as i where i.id = integration and i.attempt = holder
    ) then
        raise exception 'Another attempt to connect this number took over.'
            using errcode = 'P0001', detail = 'connection_superseded';
    end if;
    perform pg_advisory_xact_lock(hashtextextended('registration_of:' || number_id, 0));
    if exists (
        select from public.whatsapp_registrations as r
        where r.phone_number_id = number_id and r.action = wanted and r.answered_at is null
            -- Longer than our calls to Meta wait for an answer.
            and r.created_at > now() - interval '25 seconds'
    ) then
        return null;
    end if;
    select r.created_at into tenth
    from public.whatsapp_registrations as r
    where r.phone_number_id = number_id and r.action = wanted and r.created_at > now() - interval '72 hours'
    order by r.created_at desc
    offset 9 limit 1;
    if tenth is not null then
        raise exception 'The number was registered too often.' using errcode = 'P0001', detail = 'registration_limit',
            hint = jsonb_build_object('retry_after', ceil(extract(epoch from tenth + interval '72 hours' - now())))::text;
    end if;
    insert into public.whatsapp_registrations (organization_id, phone_number_id, action)
    select i.organization_id, number_id, wanted from public.whatsapp_integrations as i where i.id = integration
    returning id into begun;
    return begun;
end
$$;

-- Lets the next call begin; without it, that one waits until nobody can be waiting for Meta any more.
-- What was not called does not count.
create function public.end_registration(registration bigint, was_called boolean) returns void
language sql volatile
set search_path = ''
as $$
    update public.whatsapp_registrations as r set answered_at = now() where r.id = registration and was_called;
    delete from public.whatsapp_registrations as r where r.id = registration and not was_called;
$$;

alter table public.whatsapp_integrations
    -- When the token is to be renewed; null where it never expires.
    add column token_refresh_at timestamptz;

-- A week before its end, or when half of a shorter life is over.
create function private.token_refresh_time(expires timestamptz) returns timestamptz
language sql stable
set search_path = ''
as $$
    select case when expires is not null then greatest(expires - interval '7 days', now() + (expires - now()) / 2) end
$$;

create function private.plan_token_refresh() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    if new.access_token is null or new.token_expires_at is null then
        new.token_refresh_at := null;
    elsif tg_op = 'INSERT' or new.token_expires_at is distinct from old.token_expires_at then
        new.token_refresh_at := private.token_refresh_time(new.token_expires_at);
    end if;
    return new;
end
$$;
create trigger whatsapp_integrations_plan_token_refresh
    before insert or update of access_token, token_expires_at on public.whatsapp_integrations
    for each row execute function private.plan_token_refresh();

-- The renewal is a job, born with the token that it renews; one for each end.
create function private.enqueue_token_refresh() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    insert into public.jobs (organization_id, kind, payload, key, run_at, max_attempts)
    values (
        new.organization_id, 'refresh_token', jsonb_build_object('integration_id', new.id),
        new.id || ':' || floor(extract(epoch from new.token_expires_at))::bigint, new.token_refresh_at, 40
    )
    on conflict (kind, key) do nothing;
    return null;
end
$$;
create trigger whatsapp_integrations_enqueue_token_refresh
    after insert or update of access_token, token_expires_at on public.whatsapp_integrations
    for each row when (new.token_refresh_at is not null) execute function private.enqueue_token_refresh();

-- The net below: a renewal whose job was lost, or given up although the token lives, is tried again.
create function public.revive_token_refreshes() returns integer
language sql volatile
set search_path = ''
as $$
    with revived as (
        insert into public.jobs as j (organization_id, kind, payload, key, run_at, max_attempts)
        select
            i.organization_id, 'refresh_token', jsonb_build_object('integration_id', i.id),
            i.id || ':' || floor(extract(epoch from i.token_expires_at))::bigint, now(), 40
        from public.whatsapp_integrations as i
        where i.status = 'connected' and i.token_refresh_at < now() - interval '6 hours' and i.token_expires_at > now()
        on conflict (kind, key) do update set
            state = 'ready', run_at = now(), attempts = 0, finished_at = null, last_error = null
        where j.state = 'dead'
        returning j.id
    )
    select count(*)::integer from revived
$$;

-- Stores a renewed token, unless another one was stored meanwhile.
create function public.keep_refreshed_token(
    integration uuid, replaced_token text, encrypted_token text, expires timestamptz, platform_hash text default null
) returns boolean
language sql volatile
set search_path = ''
as $$
    with kept as (
        update public.whatsapp_integrations as i set
            access_token = encrypted_token, token_expires_at = expires, token_checked_at = now(),
            platform_token_hash = coalesce(platform_hash, i.platform_token_hash),
            status = case when i.status = 'error' and i.error_code = 'token_dead' then 'connected' else i.status end,
            error_code = case when i.error_code = 'token_dead' then null else i.error_code end,
            error_message = case when i.error_code = 'token_dead' then null else i.error_message end
        where i.id = integration and i.access_token = replaced_token
        returning i.id
    )
    select exists (select from kept)
$$;

-- Connections in the platform's account whose copy of the platform's token is another than the one that is set.
create function public.find_stale_platform_tokens(current_hash text, most integer default 100) returns setof uuid
language sql stable
set search_path = ''
as $$
    select i.id
    from public.whatsapp_integrations as i
    where i.has_platform_token and i.access_token is not null and i.platform_token_hash is distinct from current_hash
    order by i.id
    limit most
$$;

-- Tells the owner of something about their connection, once a day at most for each kind of news.
create function public.tell_owner(
    integration uuid, news text, how_severe public.notice_severity, content jsonb default '{}'
) returns void
language sql volatile
set search_path = ''
as $$
    insert into public.notices (organization_id, integration_id, field, event, severity, content, digest, occurred_at)
    select
        i.organization_id, i.id, 'connection', news, how_severe, content,
        encode(sha256(convert_to(concat_ws('|', 'connection', news, i.id, current_date), 'UTF8')), 'hex'), now()
    from public.whatsapp_integrations as i
    where i.id = integration
    on conflict (organization_id, digest) do nothing
$$;

-- As before, and the owner is told.
create or replace function public.mark_integration_error(
    integration uuid, reason_code text, reason_message text
) returns void
language plpgsql volatile
set search_path = ''
as $$
begin
    update public.whatsapp_integrations as i set
        status = 'error', error_code = reason_code, error_message = reason_message, token_checked_at = now()
    where i.id = integration and i.status in ('connected', 'error')
        and (i.status, i.error_code, i.error_message) is distinct from ('error', reason_code, reason_message);
    if found then
        perform public.tell_owner(
            integration, upper(reason_code), 'critical', jsonb_build_object('message', reason_message)
        );
    end if;
end
$$;

-- What Meta told of a number just now. Answers the connection.
create function public.learn_number(integration uuid, facts jsonb) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    row_ public.whatsapp_integrations;
begin
    update public.whatsapp_integrations as i set
        phone_number = coalesce(facts ->> 'phone_number', i.phone_number),
        display_name = coalesce(facts ->> 'display_name', i.display_name),
        quality_rating = coalesce(facts ->> 'quality_rating', i.quality_rating),
        messaging_limit = coalesce(facts ->> 'messaging_limit', i.messaging_limit),
        throughput = coalesce((facts ->> 'throughput')::integer, i.throughput),
        is_coexistence = coalesce((facts ->> 'is_coexistence')::boolean, i.is_coexistence),
        webhook_verify_token = coalesce(facts ->> 'webhook_verify_token', i.webhook_verify_token),
        pin = coalesce(facts ->> 'pin', i.pin),
        subscribed_at = case when (facts ->> 'is_subscribed')::boolean then coalesce(i.subscribed_at, now()) else i.subscribed_at end,
        callback_override = case when facts ? 'callback_override' then facts ->> 'callback_override' else i.callback_override end,
        registered_at = case (facts ->> 'is_registered')::boolean
            when true then coalesce(i.registered_at, now())
            when false then null
            else i.registered_at
        end,
        status = case
            when (facts ->> 'is_registered')::boolean and i.status = 'error' and i.error_code = 'number_deregistered'
                then 'connected'
            when not (facts ->> 'is_registered')::boolean and i.status = 'connected' then 'error'
            else i.status
        end,
        error_code = case
            when (facts ->> 'is_registered')::boolean and i.error_code = 'number_deregistered' then null
            when not (facts ->> 'is_registered')::boolean and i.status = 'connected' then 'number_deregistered'
            else i.error_code
        end,
        error_message = case
            when (facts ->> 'is_registered')::boolean and i.error_code = 'number_deregistered' then null
            when not (facts ->> 'is_registered')::boolean and i.status = 'connected'
                then 'El número ya no está registrado en WhatsApp. Regístralo de nuevo.'
            else i.error_message
        end,
        last_sync_at = now()
    where i.id = integration and i.status in ('connected', 'error')
    returning * into row_;
    return private.describe_integration(row_);
end
$$;

-- Of two sets of times, each kind's later one.
create function private.latest_facts(known jsonb, told jsonb) returns jsonb
language sql immutable
set search_path = ''
as $$
    select known || coalesce(jsonb_object_agg(f.key, f.value), '{}')
    from jsonb_each(told) as f
    where coalesce((known ->> f.key)::numeric < f.value::numeric, true)
$$;

-- Templates as Meta lists them for an account; a complete list also forgets those that are gone. Facts that a webhook
-- told later than this list was read stay. Answers the ids of those that are the organization's: none where it is
-- not connected to that account any more.
create function public.keep_templates(
    integration uuid, account text, templates jsonb, is_complete boolean, read_at timestamptz
) returns text[]
language plpgsql volatile
set search_path = ''
as $$
declare
    organization uuid := (
        select i.organization_id from public.whatsapp_integrations as i
        where i.id = integration and i.business_account_id = account and i.status in ('connected', 'error')
    );
    -- Meta dates its news in whole seconds, by its own clock: what it tells of about this moment is the newer.
    read_second numeric := floor(extract(epoch from read_at)) - 2;
    kept text[] := '{}';
begin
    if organization is null then
        return kept;
    end if;
    select
        coalesce(jsonb_agg(m.template), '[]'), coalesce(array_agg(m.template ->> 'id'), '{}')
    into templates, kept
    from jsonb_array_elements(templates) as m (template)
    where m.template ->> 'id' is not null and private.owns_template(integration, m.template ->> 'name');
    insert into public.message_templates as t (
        organization_id, integration_id, template_id, name, language, category, status, quality, components,
        rejection_reason, facts_at
    )
    select
        organization, integration, m ->> 'id', m ->> 'name', m ->> 'language', m ->> 'category', m ->> 'status',
        m -> 'quality_score' ->> 'score', nullif(m -> 'components', 'null'),
        nullif(m ->> 'rejected_reason', 'NONE'),
        jsonb_strip_nulls(jsonb_build_object(
            'status', case when m ->> 'status' is not null then read_second end,
            'category', case when m ->> 'category' is not null then read_second end,
            'quality', case when m -> 'quality_score' ->> 'score' is not null then read_second end
        ))
    from jsonb_array_elements(templates) as m
    on conflict (organization_id, template_id) do update set
        integration_id = excluded.integration_id,
        name = coalesce(excluded.name, t.name),
        language = coalesce(excluded.language, t.language),
        category = case
            when coalesce((t.facts_at ->> 'category')::numeric >= read_second, false) then t.category
            else coalesce(excluded.category, t.category)
        end,
        status = case
            when coalesce((t.facts_at ->> 'status')::numeric >= read_second, false) then t.status
            else coalesce(excluded.status, t.status)
        end,
        quality = case
            when coalesce((t.facts_at ->> 'quality')::numeric >= read_second, false) then t.quality
            else coalesce(excluded.quality, t.quality)
        end,
        components = coalesce(excluded.components, t.components),
        -- A reason is of one status; of the same one, a list may tell none where a webhook did.
        rejection_reason = case
            when coalesce((t.facts_at ->> 'status')::numeric >= read_second, false) then t.rejection_reason
            when coalesce(excluded.status = t.status, true) then coalesce(excluded.rejection_reason, t.rejection_reason)
            else excluded.rejection_reason
        end,
        facts_at = private.latest_facts(t.facts_at, excluded.facts_at);
    if is_complete then
        delete from public.message_templates as t
        where t.organization_id = organization and t.created_at < read_at and t.template_id <> all (kept);
    end if;
    return kept;
end
$$;

create function public.forget_templates(integration uuid, template_name text, template text default null) returns integer
language sql volatile
set search_path = ''
as $$
    with gone as (
        delete from public.message_templates as t
        using public.whatsapp_integrations as i
        where i.id = integration and t.organization_id = i.organization_id and t.name = template_name
            and t.template_id = coalesce(template, t.template_id)
        returning t.id
    )
    select count(*)::integer from gone
$$;

revoke execute on function
    private.token_refresh_time, private.plan_token_refresh, private.enqueue_token_refresh, private.latest_facts,
    public.revive_token_refreshes, public.find_stale_platform_tokens, public.begin_registration,
    public.end_registration,
    public.keep_refreshed_token, public.tell_owner, public.mark_integration_error, public.learn_number,
    public.keep_templates, public.forget_templates
    from public, anon, authenticated;
grant execute on function
    private.token_refresh_time, private.latest_facts, public.revive_token_refreshes, public.find_stale_platform_tokens,
    public.begin_registration, public.end_registration,
    public.keep_refreshed_token, public.tell_owner, public.mark_integration_error, public.learn_number,
    public.keep_templates, public.forget_templates
    to service_role;
