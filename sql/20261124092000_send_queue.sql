-- What sending keeps beside the messages themselves: batches, the queue, idempotency keys.

create table public.message_batches (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    message_count integer not null check (message_count between 1 and 1000),
    created_by uuid references auth.users (id) on delete set null,
    created_at timestamptz not null default now(),
    cancelled_at timestamptz,
    unique (organization_id, id)
);
comment on table public.message_batches is 'Up to a thousand messages that were accepted together and leave at the number''s pace.';
create index message_batches_created_by_idx on public.message_batches (created_by) where created_by is not null;

alter table public.messages add column batch_id uuid;
alter table public.messages add column batch_position integer;
alter table public.messages add foreign key (organization_id, batch_id)
    references public.message_batches (organization_id, id) on delete set null (batch_id);
create index messages_batch_idx on public.messages (organization_id, batch_id) where batch_id is not null;
-- Sends whose outcome nobody has written: those of a process that was killed are found here.
create index messages_attempted_idx on public.messages (attempted_at)
    where attempted_at is not null and wamid is null and failed_at is null and uncertain_at is null;

-- A message that waits, or that a worker has in its hands. What is not here, no worker sends.
create table public.send_queue (
    message_id uuid not null,
    organization_id uuid not null,
    integration_id uuid not null,
    -- Messages of one chat leave one after another, in the order in which they were written: the first of a chat and
    -- priority holds up the others until its outcome is known, whoever has it in hand and whatever it waits for.
    chat_id uuid not null,
    written_at timestamptz not null,
    -- A person's own message goes before those of a batch.
    priority smallint not null default 0,
    run_at timestamptz not null default now(),
    attempts integer not null default 0,
    -- The fencing token: only the holder of the newest lease may start the send.
    lease_token bigint not null default 0,
    lease_until timestamptz,
    -- Written before Meta is called. Where the lease ends after that, the outcome is unknown.
    is_started boolean not null default false,
    created_at timestamptz not null default now(),
    primary key (message_id, organization_id),
    foreign key (message_id, organization_id) references public.messages (id, organization_id) on delete cascade,
    foreign key (integration_id, organization_id)
        references public.whatsapp_integrations (id, organization_id) on delete cascade,
    constraint started_means_leased check (not is_started or lease_until is not null)
);
comment on table public.send_queue is 'Messages that a worker is to send: leased, started, and gone when their outcome is written.';
create index send_queue_waiting_idx on public.send_queue (integration_id, priority, run_at, message_id)
    where lease_until is null;
create index send_queue_integration_idx on public.send_queue (integration_id, organization_id);
create index send_queue_chat_idx on public.send_queue (chat_id, priority, written_at, message_id);
create index send_queue_lease_idx on public.send_queue (lease_until) where lease_until is not null;

-- The same key and the same request are the same message, however often and from wherever it is sent.
create table public.idempotency_keys (
    organization_id uuid not null references public.organizations (id) on delete cascade,
    key text not null check (length(key) between 1 and 255),
    -- SHA-256 of the request, hex: the same key with another request is a mistake to be told.
    digest text not null,
    message_id uuid,
    batch_id uuid,
    created_at timestamptz not null default now(),
    primary key (organization_id, key),
    foreign key (message_id, organization_id) references public.messages (id, organization_id) on delete cascade,
    foreign key (batch_id, organization_id) references public.message_batches (id, organization_id) on delete cascade
);
comment on table public.idempotency_keys is 'What each Idempotency-Key of an organization was used for; kept for a week.';
create index idempotency_keys_message_idx on public.idempotency_keys (message_id, organization_id) where message_id is not null;
create index idempotency_keys_batch_idx on public.idempotency_keys (batch_id, organization_id) where batch_id is not null;
create index idempotency_keys_created_at_idx on public.idempotency_keys (created_at);

alter table public.message_batches enable row level security;
alter table public.send_queue enable row level security;
alter table public.idempotency_keys enable row level security;
revoke all on public.message_batches, public.send_queue, public.idempotency_keys from public, anon, authenticated;
grant select on public.message_batches to authenticated;
grant select, insert, update, delete on public.message_batches, public.send_queue, public.idempotency_keys
    to service_role;

create policy "Members can read their batches" on public.message_batches
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));
create policy "Only the service handles the queue" on public.send_queue
    for all to service_role
    using (true) with check (true);
create policy "Only the service handles idempotency keys" on public.idempotency_keys
    for all to service_role
    using (true) with check (true);
