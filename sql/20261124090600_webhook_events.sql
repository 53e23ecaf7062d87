-- The raw ledger: every signed delivery as it came, so that nothing is lost even where we could not read it,
-- and everything can be replayed after an upgrade.

create type public.webhook_event_state as enum ('stored', 'partial', 'unassigned', 'unreadable');

create table public.webhook_events (
    id bigint generated always as identity primary key,
    -- The integration whose own app signed it; null for the platform's Meta app.
    source_integration_id uuid,
    -- Set when the whole delivery concerns one organization.
    organization_id uuid references public.organizations (id) on delete cascade,
    -- SHA-256 of the body, hex: the same delivery again is the same event.
    digest text not null check (digest ~ '^[0-9a-f]{64}$'),
    -- The body as text, or its bytes where it is no text that Postgres can hold.
    body text,
    body_bytes bytea,
    state public.webhook_event_state not null,
    -- How many items were stored, and how many were put aside in webhook_problems.
    item_count integer not null default 0,
    problem_count integer not null default 0,
    seen_count integer not null default 1,
    received_at timestamptz not null default now(),
    unique nulls not distinct (source_integration_id, digest),
    constraint body_as_text_or_bytes check ((body is null) <> (body_bytes is null))
);
comment on table public.webhook_events is 'Every signed delivery as it came from Meta.';
create index webhook_events_organization_id_idx on public.webhook_events (organization_id, received_at desc);
create index webhook_events_received_at_idx on public.webhook_events (received_at);
create index webhook_events_incomplete_idx on public.webhook_events (id) where state in ('unassigned', 'partial');

create table public.webhook_problems (
    id bigint generated always as identity primary key,
    event_id bigint not null references public.webhook_events (id) on delete cascade,
    organization_id uuid references public.organizations (id) on delete cascade,
    -- Where in the delivery, for example entry[0].changes[0].value.messages[3].
    path text not null,
    reason text not null,
    item jsonb,
    created_at timestamptz not null default now(),
    unique (event_id, path)
);
comment on table public.webhook_problems is 'Items of deliveries that could not be stored, each with its reason.';
create index webhook_problems_organization_id_idx on public.webhook_problems (organization_id);

alter table public.webhook_events enable row level security;
alter table public.webhook_problems enable row level security;
revoke all on sequence public.webhook_events_id_seq, public.webhook_problems_id_seq from public, anon, authenticated;
revoke all on public.webhook_events, public.webhook_problems from public, anon, authenticated;
grant select, insert, update, delete on public.webhook_events, public.webhook_problems to service_role;

create policy "Only the service handles raw events" on public.webhook_events
    for all to service_role
    using (true) with check (true);
create policy "Only the service handles problems" on public.webhook_problems
    for all to service_role
    using (true) with check (true);
