-- Whose a template is in the platform's WABA, which the organizations with a number there share at Meta. Names are
-- claimed before Meta is asked, and stay with whoever claimed them first. What nobody claimed is the platform's own.

create table public.template_names (
    waba_id text not null check (length(waba_id) between 1 and 64),
    -- In every language: Meta deletes by the name.
    name text not null check (length(name) between 1 and 512),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    created_at timestamptz not null default now(),
    primary key (waba_id, name)
);
comment on table public.template_names is 'Whose a template''s name is, in the WABA that several organizations share.';
create index template_names_organization_id_idx on public.template_names (organization_id);

alter table public.template_names enable row level security;
revoke all on public.template_names from public, anon, authenticated;
grant select, insert, update, delete on public.template_names to service_role;

create policy "Only the service knows whose a name is" on public.template_names
    for all to service_role
    using (true) with check (true);

-- In an account of its own every template is an organization's; in the platform's those of the names it claimed.
create function private.owns_template(integration uuid, template_name text) returns boolean
language sql stable
set search_path = ''
as $$
    select not i.has_platform_token or exists (
        select from public.template_names as n
        where n.waba_id = i.business_account_id and n.name = template_name and n.organization_id = i.organization_id
    )
    from public.whatsapp_integrations as i
    where i.id = integration
$$;

-- The same of one template, where it is told by its id too.
create function public.owns_template(integration uuid, template_name text, template text default null) returns boolean
language sql stable
set search_path = ''
as $$
    select coalesce(private.owns_template(integration, template_name), false) and (
        template is null or exists (
            select from public.message_templates as t
            where t.integration_id = integration and t.template_id = template and t.name = template_name
        )
    )
$$;

-- Raises template_name_taken where another organization was first.
create function public.claim_template_name(integration uuid, template_name text) returns void
language plpgsql volatile
set search_path = ''
as $$
begin
    insert into public.template_names (waba_id, name, organization_id)
    select i.business_account_id, template_name, i.organization_id
    from public.whatsapp_integrations as i
    where i.id = integration and i.has_platform_token
    on conflict (waba_id, name) do nothing;
    if not coalesce(private.owns_template(integration, template_name), false) then
        raise exception 'This name is taken.' using errcode = 'P0001', detail = 'template_name_taken',
            hint = jsonb_build_object('name', template_name)::text;
    end if;
end
$$;

-- News of a template, as an item or a notice: whether it is this connection's to know. All other news is.
create function private.may_know(integration uuid, item jsonb) returns boolean
language sql stable
set search_path = ''
as $$
    select case
        when named.name is not null then private.owns_template(integration, named.name)
        when item ->> 'template_id' is null then true
        else not i.has_platform_token or exists (
            select from public.message_templates as t
            where t.integration_id = i.id and t.template_id = item ->> 'template_id'
        )
    end
    from public.whatsapp_integrations as i
    cross join (select item -> 'content' ->> 'message_template_name' as name) as named
    where i.id = integration
$$;

revoke execute on function
    private.owns_template, private.may_know, public.owns_template, public.claim_template_name
    from public, anon, authenticated;
grant execute on function
    private.owns_template, private.may_know, public.owns_template, public.claim_template_name
    to service_role;
