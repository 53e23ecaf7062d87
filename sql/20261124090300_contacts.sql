-- One row a person and organization. Phone, wa_id and BSUID are aliases of that person: since 2026 a
-- customer may be known by a business-scoped user id alone, and learn to be a number later (or the reverse).

create table public.contacts (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    -- As Meta writes it: digits, no plus; what to put in `to`.
    wa_id text,
    phone_number text,
    bsuid text,
    parent_bsuid text,
    username text,
    -- The name that the person gave to WhatsApp.
    name text,
    -- The name under which the business has them in its own address book (coexistence).
    saved_name text,
    -- When each of the facts above was last told (seconds since 1970, by column): of two deliveries the one that
    -- speaks of the later time wins, in whatever order they come.
    facts_at jsonb not null default '{}',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    -- What points here carries the tenant along. Keys begin with what is rare, here and everywhere: a plan made
    -- while the tables were empty then still finds one row by it.
    unique (id, organization_id)
)
-- Each message touches facts_at: with room beside it no index has to know.
with (fillfactor = 80);
comment on table public.contacts is 'A person who writes to, or is written to by, an organization.';

create table public.contact_aliases (
    organization_id uuid not null,
    -- `phone:<canonical digits>` or `bsuid:<id>`; canonical as told in shared/contacts.py.
    alias text not null check (length(alias) <= 300 and alias ~ '^(phone:[0-9]{1,20}|bsuid:.+)$'),
    contact_id uuid not null,
    -- A BSUID that Meta has replaced by another: what names it speaks of the number that went with it.
    is_former boolean not null default false,
    created_at timestamptz not null default now(),
    primary key (alias, organization_id),
    foreign key (contact_id, organization_id)
        references public.contacts (id, organization_id) on delete cascade
);
comment on table public.contact_aliases is 'Every identifier by which a contact is known; each belongs to one person.';

-- Numbers pass to strangers: what was said under one while it was theirs still finds the person who had it.
create table public.former_phones (
    organization_id uuid not null,
    alias text not null check (alias ~ '^phone:[0-9]{1,20}$'),
    contact_id uuid not null,
    -- The last time at which Meta spoke of it as theirs.
    held_until timestamptz not null,
    primary key (alias, organization_id, contact_id),
    foreign key (contact_id, organization_id)
        references public.contacts (id, organization_id) on delete cascade
);
comment on table public.former_phones is 'Phone numbers that a contact has left, and until when each was theirs.';
create index former_phones_contact_idx on public.former_phones (contact_id, organization_id);
create index contacts_organization_id_idx on public.contacts (organization_id);
-- A plan for any tenant must be good for the largest: were it made for tenants of one contact each, a list of chats
-- would read all contacts of a large one for each of its rows.
alter table public.contacts alter column organization_id set (n_distinct = 50);
create index contact_aliases_contact_idx on public.contact_aliases (contact_id, organization_id);

alter table public.contacts enable row level security;
alter table public.contact_aliases enable row level security;
alter table public.former_phones enable row level security;
revoke all on public.contacts, public.contact_aliases, public.former_phones from public, anon, authenticated;
grant select on public.contacts, public.contact_aliases to authenticated;
grant select, insert, update, delete on public.contacts, public.contact_aliases, public.former_phones to service_role;

create policy "Members can read their contacts" on public.contacts
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));
create policy "Members can read their contacts' aliases" on public.contact_aliases
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));
create policy "Only the service handles former numbers" on public.former_phones
    for all to service_role
    using (true) with check (true);

create trigger contacts_touch_updated_at
    before update on public.contacts
    for each row execute function private.touch_updated_at();
