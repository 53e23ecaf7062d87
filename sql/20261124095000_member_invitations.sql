-- How a team comes together: an owner invites an e-mail address, and whoever proves to have it becomes a member.

create table public.member_invitations (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    email text not null check (email = lower(email) and email ~ '^[^@\s]+@[^@\s]+$' and length(email) <= 320),
    role public.member_role not null default 'agent',
    invited_by uuid references auth.users (id) on delete set null,
    created_at timestamptz not null default now(),
    unique (email, organization_id)
);
comment on table public.member_invitations is 'E-mail addresses that were invited into an organization and have not come yet.';
create index member_invitations_organization_id_idx on public.member_invitations (organization_id);
create index member_invitations_invited_by_idx on public.member_invitations (invited_by) where invited_by is not null;

alter table public.member_invitations enable row level security;
revoke all on public.member_invitations from public, anon, authenticated;
grant select on public.member_invitations to authenticated;
grant select, insert, update, delete on public.member_invitations to service_role;

create policy "Owners can see who is invited" on public.member_invitations
    for select to authenticated
    using (organization_id in (select private.my_owned_organization_ids()));

-- Acts with its owner's rights because no user may write invitations or read accounts; it proves that the caller
-- owns the organization, and tells nobody whether an address has an account.
create function private.invite_member(organization uuid, address text, new_role public.member_role) returns jsonb
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    membership public.organization_members := private.resolve_organization(organization, true);
    invitation public.member_invitations;
begin
    insert into public.member_invitations as i (organization_id, email, role, invited_by)
    values (membership.organization_id, lower(trim(address)), new_role, membership.user_id)
    on conflict (email, organization_id) do update set role = excluded.role, invited_by = excluded.invited_by
    returning * into invitation;
    return jsonb_build_object('id', invitation.id, 'email', invitation.email, 'role', invitation.role);
end
$$;

-- As above.
create function private.withdraw_invitation(invitation uuid) returns void
language sql volatile security definer
set search_path = ''
as $$
    delete from public.member_invitations as i
    where i.id = invitation and i.organization_id in (select private.my_owned_organization_ids())
$$;

-- Acts with its owner's rights because the caller is no member yet. An address counts only once it was confirmed:
-- otherwise anybody could sign up with somebody else's.
create function private.accept_invitations() returns integer
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    caller uuid := (select auth.uid());
    address text;
    accepted integer;
begin
    select lower(u.email) into address
    from auth.users as u
    where u.id = caller and to_jsonb(u) ->> 'email_confirmed_at' is not null;
    if address is null then
        return 0;
    end if;
    with taken as (
        delete from public.member_invitations as i where i.email = address
        returning i.organization_id, i.role
    )
    insert into public.organization_members (organization_id, user_id, role)
    select t.organization_id, caller, t.role from taken as t
    on conflict (organization_id, user_id) do update
        set role = greatest(organization_members.role, excluded.role);
    get diagnostics accepted = row_count;
    return accepted;
end
$$;

-- Acts with its owner's rights because users may not read accounts; it shows the addresses of the caller's own
-- colleagues alone.
create function private.list_members(organization uuid) returns table (
    user_id uuid, email text, role public.member_role, created_at timestamptz
)
language sql stable security definer
set search_path = ''
as $$
    select m.user_id, u.email, m.role, m.created_at
    from public.organization_members as m
    join auth.users as u on u.id = m.user_id
    where m.organization_id = organization and m.organization_id in (select private.my_organization_ids())
    order by m.created_at
$$;

create function public.invite_member(organization uuid, address text, new_role public.member_role default 'agent')
returns jsonb
language sql volatile security invoker
set search_path = ''
as $$
    select private.invite_member(organization, address, new_role)
$$;

create function public.withdraw_invitation(invitation uuid) returns void
language sql volatile security invoker
set search_path = ''
as $$
    select private.withdraw_invitation(invitation)
$$;

create function public.accept_invitations() returns integer
language sql volatile security invoker
set search_path = ''
as $$
    select private.accept_invitations()
$$;

create function public.list_members(organization uuid) returns table (
    user_id uuid, email text, role public.member_role, created_at timestamptz
)
language sql stable security invoker
set search_path = ''
as $$
    select * from private.list_members(organization)
$$;

revoke execute on function
    private.invite_member, private.withdraw_invitation, private.accept_invitations, private.list_members,
    public.invite_member, public.withdraw_invitation, public.accept_invitations, public.list_members
    from public, anon;
grant execute on function
    private.invite_member, private.withdraw_invitation, private.accept_invitations, private.list_members,
    public.invite_member, public.withdraw_invitation, public.accept_invitations, public.list_members
    to authenticated, service_role;
