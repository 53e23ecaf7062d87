-- Templates as Meta last told them: listed on request, kept current by webhooks.

create table public.message_templates (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null,
    integration_id uuid not null,
    -- Meta's id of the template in this language.
    template_id text not null check (length(template_id) between 1 and 600),
    name text,
    language text,
    category text,
    status text,
    quality text,
    components jsonb,
    rejection_reason text,
    -- Newest time per kind of fact (status, quality, category): late news changes nothing.
    facts_at jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (template_id, organization_id),
    foreign key (integration_id, organization_id)
        references public.whatsapp_integrations (id, organization_id) on delete cascade
);
comment on table public.message_templates is 'The message templates of an organization''s WhatsApp business account.';
create index message_templates_integration_idx on public.message_templates (integration_id, organization_id);

alter table public.message_templates enable row level security;
revoke all on public.message_templates from public, anon, authenticated;
grant select on public.message_templates to authenticated;
grant select, insert, update, delete on public.message_templates to service_role;

create policy "Members can read their templates" on public.message_templates
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));

create trigger message_templates_touch_updated_at
    before update on public.message_templates
    for each row execute function private.touch_updated_at();
