-- Who did what to a connection: a secret shown, a number connected or disconnected, keys rotated.

create table public.audit_entries (
    id bigint generated always as identity primary key,
    organization_id uuid not null references public.organizations (id) on delete cascade,
    -- Null where the system acted by itself. No reference: what somebody did outlives their account.
    user_id uuid,
    action text not null check (action ~ '^[a-z_]{1,60}$'),
    details jsonb not null default '{}',
    created_at timestamptz not null default now()
);
comment on table public.audit_entries is 'What was done to an organization''s connection, by whom; never changed afterwards.';
create index audit_entries_list_idx on public.audit_entries (organization_id, created_at desc);

alter table public.audit_entries enable row level security;
revoke all on sequence public.audit_entries_id_seq from public, anon, authenticated;
revoke all on public.audit_entries from public, anon, authenticated, service_role;
grant select on public.audit_entries to authenticated;
-- No update and no delete, for the service either.
grant select, insert on public.audit_entries to service_role;

create policy "Owners can read what was done" on public.audit_entries
    for select to authenticated
    using (organization_id in (select private.my_owned_organization_ids()));
