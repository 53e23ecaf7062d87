-- Working off the jobs: claimed in turn by organization, under a lease, finished by whoever holds the newest one.

alter table public.jobs
    -- Jobs of one line run one after the other, in the order of their birth: a chat's replies.
    add column line text check (length(line) between 1 and 200),
    -- Whose turn it is goes by this: the organization, or the zero id for the system's own work.
    add column tenant uuid not null generated always as (
        coalesce(organization_id, '00000000-0000-0000-0000-000000000000')
    ) stored,
    add column started_at timestamptz;

drop index public.jobs_ready_idx;
create index jobs_turn_idx on public.jobs (tenant, run_at, id) where state = 'ready';
create index jobs_due_idx on public.jobs (run_at) where state = 'ready';
create index jobs_running_idx on public.jobs (tenant) where state = 'running';
create index jobs_line_idx on public.jobs (line, id) where line is not null and state in ('ready', 'running');
create index jobs_ended_idx on public.jobs (finished_at) where state in ('done', 'dead');

-- What a job's death means beyond itself; each area replaces this with what it knows.
create function private.mourn_job(job public.jobs) returns void
language plpgsql volatile
set search_path = ''
as $$
begin
    return;
end
$$;

create function private.mourn_dead_job() returns trigger
language plpgsql volatile
set search_path = ''
as $$
begin
    perform private.mourn_job(new);
    return null;
end
$$;

create trigger jobs_mourn_dead
    after update of state on public.jobs
    for each row when (new.state = 'dead' and old.state <> 'dead')
    execute function private.mourn_dead_job();

-- Gives back what killed workers held, or buries what has killed enough of them.
create function private.heal_jobs() returns void
language sql volatile
set search_path = ''
as $$
    update public.jobs as j set
        state = case when j.attempts >= j.max_attempts then 'dead' else 'ready' end::public.job_state,
        finished_at = case when j.attempts >= j.max_attempts then clock_timestamp() end,
        lease_until = null,
        last_error = 'The worker that had it was lost.'
    where j.id in (
        select l.id from public.jobs as l
        where l.state = 'running' and l.lease_until < clock_timestamp()
        order by l.id limit 500
        for update skip locked
    )
$$;

-- Makes the jobs that the clock causes; replaced where the schedules are.
create function private.plan_jobs() returns void
language plpgsql volatile
set search_path = ''
as $$
begin
    return;
end
$$;

-- When the next job that waits can be done; an index probe, and one for each that is due behind another of its line:
-- whoever works without patience must not wait for those.
create function private.next_job_at(known_kinds text[]) returns timestamptz
language sql stable
set search_path = ''
as $$
    select j.run_at from public.jobs as j
    where j.state = 'ready' and j.kind = any (known_kinds)
        and (
            j.line is null
            or not exists (
                select from public.jobs as before
                where before.line = j.line and before.id < j.id and before.state in ('ready', 'running')
            )
        )
    order by j.run_at
    limit 1
$$;

-- The organizations that have a job due. Where not much is due, it is looked through; else the organizations are gone
-- through, an index probe for each that has anything waiting: those with a job of next month, mostly.
create function private.due_tenants(most integer default 500) returns uuid[]
language plpgsql stable
set search_path = ''
as $$
declare
    found uuid[];
begin
    found := array(
        select j.tenant from public.jobs as j
        where j.state = 'ready' and j.run_at <= clock_timestamp()
        order by j.run_at
        limit most
    );
    if cardinality(found) < most then
        return array(select distinct f.tenant from unnest(found) as f (tenant));
    end if;
    return array(
        with recursive tenants as (
            (select j.tenant from public.jobs as j where j.state = 'ready' order by j.tenant limit 1)
            union all
            select (
                select j.tenant from public.jobs as j
                where j.state = 'ready' and j.tenant > t.tenant
                order by j.tenant limit 1
            )
            from tenants as t
            where t.tenant is not null
        )
        select t.tenant from tenants as t
        where exists (
            select from public.jobs as j
            where j.state = 'ready' and j.tenant = t.tenant and j.run_at <= clock_timestamp()
        )
    );
end
$$;

-- Claims up to `wanted` due jobs of kinds that the worker knows, in turn by organization: first one of each, then
-- a second of each, and never so many of one organization that the others find no worker free.
-- Answers {jobs: [job], next_seconds}: when the next one is due, null if none waits.
create function public.claim_jobs(
    wanted integer, known_kinds text[], lease_seconds integer default 60, most_per_organization integer default 8
) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    claimed jsonb;
begin
    perform private.plan_jobs();
    perform private.heal_jobs();
    with room as (
        select t.tenant, least(wanted, most_per_organization - (
            select count(*) from public.jobs as r where r.state = 'running' and r.tenant = t.tenant
        )) as jobs
        from unnest(private.due_tenants()) as t (tenant)
    ),
    due as (
        select mine.id, row_number() over (partition by r.tenant order by mine.run_at, mine.id) as turn
        from room as r
        cross join lateral (
            select j.id, j.run_at from public.jobs as j
            where j.state = 'ready' and j.tenant = r.tenant and j.run_at <= clock_timestamp()
                and j.kind = any (known_kinds)
                and (
                    j.line is null
                    or not exists (
                        select from public.jobs as before
                        where before.line = j.line and before.id < j.id and before.state in ('ready', 'running')
                    )
                )
            order by j.run_at, j.id
            limit greatest(0, r.jobs)
            for update skip locked
        ) as mine
    ),
    chosen as (
        -- Among equals by chance, so that nobody is always the last.
        select d.id from due as d order by d.turn, random() limit wanted
    ),
    leased as (
        update public.jobs as j set
            state = 'running',
            attempts = j.attempts + 1,
            lease_token = j.lease_token + 1,
            started_at = clock_timestamp(),
            lease_until = clock_timestamp() + make_interval(secs => lease_seconds)
        from chosen as c
        where j.id = c.id
        returning j.*
    )
    select coalesce(jsonb_agg(jsonb_build_object(
        'id', l.id, 'organization_id', l.organization_id, 'kind', l.kind, 'key', l.key, 'payload', l.payload,
        'attempts', l.attempts, 'max_attempts', l.max_attempts, 'lease_token', l.lease_token,
        'created_at', l.created_at
    ) order by l.id), '[]')
    into claimed
    from leased as l;

    return jsonb_build_object('jobs', claimed, 'next_seconds', (
        -- Null where there is none: greatest() would make a zero of it.
        select case when n.run_at is not null then greatest(0, extract(epoch from n.run_at - clock_timestamp())) end
        from private.next_job_at(known_kinds) as n (run_at)
    ));
end
$$;

-- Renews the leases that are still held; answers the ids of those, so that a worker lets go of the others.
create function public.renew_jobs(held jsonb, lease_seconds integer default 60) returns jsonb
language sql volatile
set search_path = ''
as $$
    with renewed as (
        update public.jobs as j set lease_until = clock_timestamp() + make_interval(secs => lease_seconds)
        from jsonb_array_elements(held) as h
        where j.id = (h ->> 'id')::bigint and j.lease_token = (h ->> 'lease_token')::bigint and j.state = 'running'
        returning j.id
    )
    select coalesce(jsonb_agg(r.id), '[]') from renewed as r
$$;

-- Writes what came of jobs. Each of `results`: {id, lease_token, outcome, seconds?, reason?} with
--   done      it is over
--   retry     not now: again after `seconds`, or dead when it has been tried often enough
--   later     not now, through no fault of its own: again after `seconds`, and no attempt is counted
--   dead      never again
--   released  not even begun: the worker is going away
-- Answers the ids that were written; a result of somebody whose lease is over is none.
create function public.finish_jobs(results jsonb) returns jsonb
language sql volatile
set search_path = ''
as $$
    with told as (
        select
            (r ->> 'id')::bigint as id, (r ->> 'lease_token')::bigint as lease_token, r ->> 'outcome' as outcome,
            coalesce((r ->> 'seconds')::float8, 0) as seconds, left(r ->> 'reason', 1000) as reason
        from jsonb_array_elements(results) as r
    ),
    finished as (
        update public.jobs as j set
            state = case
                when t.outcome = 'done' then 'done'
                when t.outcome = 'dead' or (t.outcome = 'retry' and j.attempts >= j.max_attempts) then 'dead'
                else 'ready'
            end::public.job_state,
            finished_at = case
                when t.outcome in ('done', 'dead') or (t.outcome = 'retry' and j.attempts >= j.max_attempts)
                    then clock_timestamp()
            end,
            attempts = case when t.outcome in ('later', 'released') then j.attempts - 1 else j.attempts end,
            run_at = case
                when t.outcome in ('retry', 'later') then clock_timestamp() + make_interval(secs => t.seconds) else j.run_at
            end,
            lease_until = null,
            last_error = case when t.outcome = 'released' then j.last_error else t.reason end
        from told as t
        where j.id = t.id and j.lease_token = t.lease_token and j.state = 'running'
        returning j.id
    )
    select coalesce(jsonb_agg(f.id), '[]') from finished as f
$$;

-- For a result that is more than the job's own: true while the lease is held, with the job locked until the end
-- of the transaction; what is written with it is written once.
create function private.hold_job(job bigint, token bigint) returns boolean
language plpgsql volatile
set search_path = ''
as $$
begin
    perform from public.jobs as j where j.id = job and j.lease_token = token and j.state = 'running' for update;
    return found;
end
$$;

create function private.end_job(job bigint, reason text default null) returns void
language sql volatile
set search_path = ''
as $$
    update public.jobs as j set
        state = 'done', finished_at = clock_timestamp(), lease_until = null, last_error = left(reason, 1000)
    where j.id = job
$$;

-- For whoever operates the system: jobs in any state, the newest first.
create function public.list_jobs(
    states public.job_state[] default null, kinds text[] default null, organization uuid default null,
    most integer default 50
) returns jsonb
language sql stable
set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'id', l.id, 'organization_id', l.organization_id, 'kind', l.kind, 'key', l.key, 'state', l.state,
        'attempts', l.attempts, 'max_attempts', l.max_attempts, 'run_at', l.run_at, 'created_at', l.created_at,
        'started_at', l.started_at, 'finished_at', l.finished_at, 'last_error', l.last_error
    ) order by l.id desc), '[]')
    from (
        select * from public.jobs as j
        where (states is null or j.state = any (states)) and (kinds is null or j.kind = any (kinds))
            and (organization is null or j.organization_id = organization)
        order by j.id desc limit most
    ) as l
$$;

create function public.count_jobs() returns jsonb
language sql stable
set search_path = ''
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'kind', c.kind, 'state', c.state, 'jobs', c.jobs, 'oldest', c.oldest
    ) order by c.kind, c.state), '[]')
    from (
        select j.kind, j.state, count(*) as jobs, min(j.run_at) as oldest from public.jobs as j group by j.kind, j.state
    ) as c
$$;

-- Dead ones live again with all their attempts; ready ones need not wait any longer.
create function public.retry_jobs(ids bigint[] default null, kinds text[] default null) returns integer
language sql volatile
set search_path = ''
as $$
    with again as (
        update public.jobs as j set
            state = 'ready', run_at = clock_timestamp(), finished_at = null,
            attempts = case when j.state = 'dead' then 0 else j.attempts end
        where j.state in ('dead', 'ready')
            and (j.id = any (ids) or (ids is null and j.state = 'dead' and j.kind = any (kinds)))
        returning j.id
    )
    select count(*)::integer from again
$$;

-- Nobody will do these. The rows stay for a while, so that the same cause does not make them once more.
create function public.drop_jobs(ids bigint[] default null, kinds text[] default null) returns integer
language sql volatile
set search_path = ''
as $$
    with dropped as (
        update public.jobs as j set
            state = 'dead', finished_at = clock_timestamp(), lease_until = null, lease_token = j.lease_token + 1,
            last_error = 'Dropped by hand.'
        where (j.id = any (ids) and j.state <> 'done')
            or (ids is null and j.kind = any (kinds) and j.state in ('ready', 'dead'))
        returning j.id
    )
    select count(*)::integer from dropped
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
revoke execute on function
    public.claim_jobs, public.renew_jobs, public.finish_jobs, public.list_jobs, public.count_jobs,
    public.retry_jobs, public.drop_jobs
    from public, anon, authenticated;
grant execute on function
    public.claim_jobs, public.renew_jobs, public.finish_jobs, public.list_jobs, public.count_jobs,
    public.retry_jobs, public.drop_jobs
    to service_role;
