-- Tenants and who belongs to them. An owner manages the connection, an agent chats.

create type public.member_role as enum ('agent', 'owner');

create table public.organizations (
    id uuid primary key default gen_random_uuid(),
    owner_id uuid not null references auth.users (id),
    name text not null check (length(name) between 1 and 200),
    created_at timestamptz not null default now()
);
comment on table public.organizations is 'A tenant: one customer of the product, with one WhatsApp connection.';
create index organizations_owner_id_idx on public.organizations (owner_id);

create table public.organization_members (
    organization_id uuid not null references public.organizations (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    role public.member_role not null default 'agent',
    created_at timestamptz not null default now(),
    primary key (organization_id, user_id)
);
comment on table public.organization_members is 'Who may act for an organization, and as what.';
create index organization_members_user_id_idx on public.organization_members (user_id);

alter table public.organizations enable row level security;
alter table public.organization_members enable row level security;

revoke all on public.organizations, public.organization_members from public, anon, authenticated;
grant select, insert, delete, update on public.organizations, public.organization_members to service_role;
grant select, insert (id, owner_id, name), update (name) on public.organizations to authenticated;
-- No insert: nobody becomes a member unasked (see the invitations).
grant select, delete on public.organization_members to authenticated;

-- Acts with its owner's rights because a policy on organization_members may not read that same table;
-- it tells nobody more than the caller's own memberships.
create function private.my_organization_ids() returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select organization_id from public.organization_members where user_id = (select auth.uid())
$$;

-- As above, narrowed to the organizations that the caller owns.
create function private.my_owned_organization_ids() returns setof uuid
language sql stable security definer
set search_path = ''
as $$
    select organization_id
    from public.organization_members
    where user_id = (select auth.uid()) and role = 'owner'
$$;

revoke execute on function private.my_organization_ids(), private.my_owned_organization_ids() from public;
grant execute on function private.my_organization_ids(), private.my_owned_organization_ids() to authenticated;

create policy "Members can read their organizations" on public.organizations
    for select to authenticated
    using (id in (select private.my_organization_ids()) or owner_id = (select auth.uid()));
create policy "Users can create an organization of their own" on public.organizations
    for insert to authenticated
    with check (owner_id = (select auth.uid()));
create policy "Owners can rename their organizations" on public.organizations
    for update to authenticated
    using (id in (select private.my_owned_organization_ids()))
    with check (id in (select private.my_owned_organization_ids()));

create policy "Members can see who else is a member" on public.organization_members
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));
create policy "Owners can remove other members" on public.organization_members
    for delete to authenticated
    using (
        organization_id in (select private.my_owned_organization_ids())
        and user_id <> (select auth.uid())
    );

-- Acts with its owner's rights: the creator is not yet an owner when their own membership is written.
create function private.make_creator_owner() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    insert into public.organization_members (organization_id, user_id, role)
    values (new.id, new.owner_id, 'owner')
    on conflict (organization_id, user_id) do update set role = 'owner';
    return new;
end
$$;
revoke execute on function private.make_creator_owner() from public;

-- An organization keeps an owner, whoever of its owners leaves or removes whom. One after the other, so that of two
-- at once the second sees what the first did. Whoever operates the database may do as they like.
create function private.keep_an_owner() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    if (select auth.uid()) is not null then
        perform from public.organizations as o where o.id = old.organization_id for no key update;
        if not exists (
            select from public.organization_members as m
            where m.organization_id = old.organization_id and m.role = 'owner' and m.user_id <> old.user_id
        ) then
            raise exception 'The last owner cannot leave.' using errcode = 'P0001', detail = 'last_owner';
        end if;
    end if;
    return old;
end
$$;
revoke execute on function private.keep_an_owner() from public;

create trigger organization_members_keep_an_owner
    before delete on public.organization_members
    for each row when (old.role = 'owner') execute function private.keep_an_owner();
create trigger organizations_make_creator_owner
    after insert on public.organizations
    for each row execute function private.make_creator_owner();
