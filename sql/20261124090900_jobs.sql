-- Work that follows: born in the transaction that causes it, so that it happens once or not at all.

create type public.job_state as enum ('ready', 'running', 'done', 'dead');

create table public.jobs (
    id bigint generated always as identity primary key,
    organization_id uuid references public.organizations (id) on delete cascade,
    kind text not null check (kind ~ '^[a-z_]{1,60}$'),
    payload jsonb not null default '{}',
    -- Two jobs of one kind and key are one job, for ever.
    key text not null,
    state public.job_state not null default 'ready',
    run_at timestamptz not null default now(),
    attempts integer not null default 0,
    max_attempts integer not null default 12,
    -- The fencing token: only the holder of the newest lease may write a result.
    lease_token bigint not null default 0,
    lease_until timestamptz,
    last_error text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    unique (kind, key),
    constraint running_means_leased check ((state = 'running') = (lease_until is not null)),
    constraint ended_means_finished check ((state in ('done', 'dead')) = (finished_at is not null))
);
comment on table public.jobs is 'The queue: claimed with a lease, retried with backoff, dead with a reason.';
create index jobs_ready_idx on public.jobs (run_at, id) where state = 'ready';
create index jobs_lease_idx on public.jobs (lease_until) where state = 'running';
create index jobs_organization_id_idx on public.jobs (organization_id);

alter table public.jobs enable row level security;
revoke all on sequence public.jobs_id_seq from public, anon, authenticated;
revoke all on public.jobs from public, anon, authenticated;
grant select, insert, update, delete on public.jobs to service_role;

create policy "Only the service handles jobs" on public.jobs
    for all to service_role
    using (true) with check (true);
