-- A conversation of an organization with one person, or with a group.

create table public.chats (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    platform text not null default 'whatsapp' check (platform ~ '^[a-z_]{1,40}$'),
    contact_id uuid,
    group_id text,
    unread_count integer not null default 0 check (unread_count >= 0),
    last_message_at timestamptz,
    last_message_text text,
    last_message_type text,
    last_message_direction text,
    -- Of two messages in the same second the greater key is the later one, in every order of delivery.
    last_message_key text,
    -- When the customer service window closes: 24 hours after the customer's newest message.
    window_expires_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (id, organization_id),
    unique (contact_id, organization_id, platform),
    unique (group_id, organization_id, platform),
    foreign key (contact_id, organization_id)
        references public.contacts (id, organization_id) on delete cascade,
    constraint a_person_or_a_group check ((contact_id is null) <> (group_id is null))
);
comment on table public.chats is 'A conversation with one contact or one group.';
create index chats_list_idx on public.chats (organization_id, last_message_at desc nulls last, id);
-- As for contacts: a page of a large tenant's list must not be planned as all of a small one's.
alter table public.chats alter column organization_id set (n_distinct = 50);

alter table public.chats enable row level security;
revoke all on public.chats from public, anon, authenticated;
grant select on public.chats to authenticated;
grant select, insert, update, delete on public.chats to service_role;

create policy "Members can read their chats" on public.chats
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));

create trigger chats_touch_updated_at
    before update on public.chats
    for each row execute function private.touch_updated_at();
