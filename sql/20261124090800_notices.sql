-- What Meta tells an organization beside messages: account, number, quality, security, templates.

create type public.notice_severity as enum ('info', 'warning', 'critical');

create table public.notices (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null,
    integration_id uuid not null,
    -- Meta's webhook field and its event within, for example account_update / PARTNER_REMOVED.
    field text not null,
    event text,
    severity public.notice_severity not null default 'info',
    content jsonb not null default '{}',
    -- The same news told twice is one notice.
    digest text not null,
    occurred_at timestamptz not null,
    created_at timestamptz not null default now(),
    unique (digest, organization_id),
    foreign key (integration_id, organization_id)
        references public.whatsapp_integrations (id, organization_id) on delete cascade
);
comment on table public.notices is 'News from Meta about an organization''s account, number or templates.';
create index notices_integration_idx on public.notices (integration_id, organization_id);
create index notices_list_idx on public.notices (organization_id, occurred_at desc);

alter table public.notices enable row level security;
revoke all on public.notices from public, anon, authenticated;
grant select on public.notices to authenticated;
grant select, insert, update, delete on public.notices to service_role;

create policy "Members can read their notices" on public.notices
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));
