-- An organization's connection to WhatsApp: at most one, its secrets readable by the service alone.

create type public.integration_status as enum ('pending', 'connected', 'disconnected', 'error');

create table public.whatsapp_integrations (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null unique references public.organizations (id) on delete cascade,
    phone_number text check (phone_number ~ '^\+[1-9][0-9]{5,14}$'),
    phone_number_id text check (length(phone_number_id) between 1 and 64),
    access_token text,
    business_account_id text check (length(business_account_id) between 1 and 64),
    app_id text check (length(app_id) between 1 and 64),
    app_secret text,
    webhook_verify_token text,
    status public.integration_status not null default 'pending',
    verified_at timestamptz,
    last_sync_at timestamptz,
    error_message text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),

    -- Beyond the roadmap's columns.
    error_code text,
    display_name text,
    quality_rating text,
    messaging_limit text,
    -- Messages a second that Meta grants this number: 80, 1000, or 20 in coexistence.
    throughput integer not null default 80 check (throughput between 1 and 100000),
    is_coexistence boolean not null default false,
    has_own_app boolean not null default false,
    token_expires_at timestamptz,
    connected_at timestamptz,
    disconnected_at timestamptz,
    -- A connection counts as proven once Meta has delivered something signed; null = still waiting for it.
    first_event_at timestamptz,
    last_event_at timestamptz,
    -- Newest time per kind of fact that webhooks told, so that a late delivery cannot undo a newer one.
    facts_at jsonb not null default '{}',

    unique (id, organization_id),
    -- What arrives is found by the number's id; a token is needed only to send.
    constraint connected_means_a_number check (status <> 'connected' or phone_number_id is not null),
    constraint disconnected_keeps_no_secret check (
        status <> 'disconnected' or (access_token is null and app_secret is null)
    ),
    constraint secrets_are_encrypted check (
        (access_token is null or access_token like 'v1.%')
        and (app_secret is null or app_secret like 'v1.%')
        and (webhook_verify_token is null or webhook_verify_token like 'v1.%')
    )
);
comment on table public.whatsapp_integrations is
    'An organization''s WhatsApp connection. access_token, app_secret and webhook_verify_token are ciphertexts '
    'that only the service may read.';

-- Nobody can claim a number that another organization has connected; a dead token does not free it.
create unique index whatsapp_integrations_one_owner_a_number
    on public.whatsapp_integrations (phone_number_id)
    where phone_number_id is not null and status in ('connected', 'error');
create index whatsapp_integrations_business_account_id_idx
    on public.whatsapp_integrations (business_account_id)
    where business_account_id is not null;

alter table public.whatsapp_integrations enable row level security;
revoke all on public.whatsapp_integrations from public, anon, authenticated;
grant select, insert, update, delete on public.whatsapp_integrations to service_role;
-- Column grants, not only policies: what is not named here no user can read or write.
grant select (
    id, organization_id, phone_number, phone_number_id, business_account_id, app_id, status, verified_at,
    last_sync_at, error_message, created_at, updated_at, error_code, display_name, quality_rating,
    messaging_limit, throughput, is_coexistence, has_own_app, token_expires_at, connected_at,
    disconnected_at, first_event_at, last_event_at
) on public.whatsapp_integrations to authenticated;
grant insert (organization_id, phone_number), update (phone_number)
    on public.whatsapp_integrations to authenticated;

create policy "Members can see their connection" on public.whatsapp_integrations
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));
create policy "Owners can begin a connection" on public.whatsapp_integrations
    for insert to authenticated
    with check (organization_id in (select private.my_owned_organization_ids()));
create policy "Owners can correct the number before it is connected" on public.whatsapp_integrations
    for update to authenticated
    using (
        organization_id in (select private.my_owned_organization_ids())
        and status in ('pending', 'disconnected')
    )
    with check (organization_id in (select private.my_owned_organization_ids()));

create trigger whatsapp_integrations_touch_updated_at
    before update on public.whatsapp_integrations
    for each row execute function private.touch_updated_at();

-- One spelling of the numbers that WhatsApp writes in two ways, as digits: what canonical_phone in shared/contacts.py
-- makes of them.
create function private.canonical_phone(phone text) returns text
language sql immutable strict
set search_path = ''
as $$
    select case
        when d.digits ~ '^55(1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9])[6-9][0-9]{7}$'
            then left(d.digits, 4) || '9' || substr(d.digits, 5)
        when d.digits ~ '^521[0-9]{10}$' then '52' || substr(d.digits, 4)
        when d.mobile ~ '^54(11|[23][0-9]{2}|[23][0-9]{3})15[0-9]{6,8}$' and length(d.mobile) = 14
            then regexp_replace(d.mobile, '^54(11|[23][0-9]{2}|[23][0-9]{3})15([0-9]{6,8})$', '54\1\2')
        when d.mobile ~ '^54[0-9]{10}$' then d.mobile
        else d.digits
    end
    from (
        select p.digits, regexp_replace(p.digits, '^549([0-9]{10,12})$', '54\1') as mobile
        from (select regexp_replace(phone, '[^0-9]', '', 'g') as digits) as p
    ) as d
$$;
revoke execute on function private.canonical_phone from public;
grant execute on function private.canonical_phone to service_role;
