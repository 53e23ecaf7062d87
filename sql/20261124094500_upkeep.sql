-- What the clock causes, and what is forgotten when.

create table public.job_schedules (
    kind text primary key check (kind ~ '^[a-z_]{1,60}$'),
    every interval not null check (every >= interval '1 minute'),
    next_at timestamptz not null default now(),
    what text not null
);
comment on table public.job_schedules is 'Jobs that come again by themselves; change `every` to have them more or less often.';
insert into public.job_schedules (kind, every, what) values
    ('sweep', '1 hour', 'Forgets what is older than its retention period.'),
    ('refresh_connections', '1 day', 'Reads number facts and templates of every connection anew.'),
    ('settle_sends', '1 minute', 'Returns sends whose worker has died, and calls uncertain those that it had begun.'),
    ('refresh_tokens', '10 minutes', 'Copies a new token of the platform''s to its connections, and revives lost renewals.');

create table public.retention_periods (
    subject text primary key,
    keep_for interval not null check (keep_for >= interval '1 hour'),
    what text not null
);
comment on table public.retention_periods is 'For how long what is kept; change `keep_for` to keep it longer or shorter.';
insert into public.retention_periods (subject, keep_for, what) values
    ('webhook_events', '30 days', 'Deliveries as they came, with their problems; until then they can be replayed.'),
    ('whatsapp_verifications', '30 days', 'Codes that were asked for and proved nothing.'),
    ('oauth_states', '1 day', 'Dialogs that were begun.'),
    ('whatsapp_registrations', '4 days', 'Registrations, of which Meta counts 72 hours.'),
    ('idempotency_keys', '7 days', 'Idempotency keys.'),
    ('rate_limits', '1 hour', 'Limits that are paid off.'),
    ('outbound_events', '30 days', 'Events for own endpoints; until then they can be replayed.'),
    ('jobs_done', '7 days', 'Jobs that were done.'),
    ('jobs_dead', '30 days', 'Jobs that were given up.');

alter table public.job_schedules enable row level security;
alter table public.retention_periods enable row level security;
revoke all on public.job_schedules, public.retention_periods from public, anon, authenticated;
grant select, insert, update, delete on public.job_schedules, public.retention_periods to service_role;
create policy "Only the service handles schedules" on public.job_schedules
    for all to service_role
    using (true) with check (true);
create policy "Only the service handles retention periods" on public.retention_periods
    for all to service_role
    using (true) with check (true);

create or replace function private.plan_jobs() returns void
language sql volatile
set search_path = ''
as $$
    with due as (
        select s.kind from public.job_schedules as s
        where s.next_at <= clock_timestamp()
        order by s.kind
        for update skip locked
    ),
    planned as (
        -- From now on, not from when it was due: after a pause nothing is made up for.
        update public.job_schedules as s set next_at = clock_timestamp() + s.every
        from due as d
        where s.kind = d.kind
        returning s.kind, s.next_at
    )
    insert into public.jobs (kind, key, max_attempts)
    select p.kind, 'until ' || to_char(p.next_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.US'), 5
    from planned as p
    -- One that is still waiting will do.
    where not exists (
        select from public.jobs as j where j.kind = p.kind and j.state in ('ready', 'running') and j.organization_id is null
    )
    on conflict (kind, key) do nothing
$$;

-- What is too old, up to `most` of each kind; answers how many of what were forgotten.
create function public.sweep(most integer default 1000) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    swept jsonb := '{}';
    kept record;
    gone integer;
    query text;
begin
    for kept in select * from public.retention_periods as r order by r.subject loop
        query := case kept.subject
            when 'webhook_events' then 'public.webhook_events as t where t.received_at < $1 order by t.received_at'
            -- Who has proven a number last is never forgotten.
            when 'whatsapp_verifications'
                then 'public.whatsapp_verifications as t where t.requested_at < $1 and t.verified_at is null'
            when 'oauth_states' then 'public.oauth_states as t where t.created_at < $1'
            when 'whatsapp_registrations' then 'public.whatsapp_registrations as t where t.created_at < $1'
            when 'idempotency_keys' then 'public.idempotency_keys as t where t.created_at < $1 order by t.created_at'
            when 'rate_limits' then 'public.rate_limits as t where t.paid_at < $1 order by t.paid_at'
            when 'outbound_events' then 'public.outbound_events as t where t.created_at < $1 order by t.created_at'
            when 'jobs_done' then $q$public.jobs as t where t.state = 'done' and t.finished_at < $1 order by t.finished_at$q$
            when 'jobs_dead' then $q$public.jobs as t where t.state = 'dead' and t.finished_at < $1 order by t.finished_at$q$
        end;
        continue when query is null;
        execute format(
            'delete from %s where ctid = any (array(select t.ctid from %s limit $2 for update skip locked))',
            split_part(query, ' as t', 1), query
        ) using now() - kept.keep_for, most;
        get diagnostics gone = row_count;
        if gone > 0 then
            swept := swept || jsonb_build_object(kept.subject, gone);
        end if;
    end loop;
    return swept;
end
$$;

-- A job for each living connection, to be read anew within the next hour, not all at once.
create function public.plan_refreshes() returns integer
language sql volatile
set search_path = ''
as $$
    with planned as (
        insert into public.jobs (organization_id, kind, key, payload, run_at)
        select
            i.organization_id, 'sync_connection', i.id || ':' || current_date,
            jsonb_build_object('integration_id', i.id), now() + random() * interval '1 hour'
        from public.whatsapp_integrations as i
        where i.status = 'connected'
        on conflict (kind, key) do nothing
        returning id
    )
    select count(*)::integer from planned
$$;

create or replace function private.mourn_job(job public.jobs) returns void
language plpgsql volatile
set search_path = ''
as $$
begin
    if job.kind = 'fetch_media' then
        update public.message_media as a set state = 'failed', failure_reason = 'unavailable'
        where a.message_id = (job.payload ->> 'message_id')::uuid and a.organization_id = job.organization_id
            and a.state = 'pending';
    end if;
end
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
-- What each claim does too; here also for a queue that nobody claims from.
create function public.settle_sends() returns void
language sql volatile
set search_path = ''
as $$
    select private.heal_sends()
$$;

revoke execute on function public.sweep, public.plan_refreshes, public.settle_sends from public, anon, authenticated;
grant execute on function public.sweep, public.plan_refreshes, public.settle_sends to service_role;
