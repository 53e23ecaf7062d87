-- How a team comes together: an owner invites an e-mail address, and whoever proves to have it accepts or declines.
-- Nobody becomes a member unasked: what they connect or write would be another's.

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
    insert into public.audit_entries (organization_id, user_id, action, details)
    values (
        membership.organization_id, membership.user_id, 'member_invited',
        jsonb_build_object('email', invitation.email, 'role', invitation.role)
    );
    return jsonb_build_object('id', invitation.id, 'email', invitation.email, 'role', invitation.role);
end
$$;

-- As above.
create function private.withdraw_invitation(invitation uuid) returns void
language sql volatile security definer
set search_path = ''
as $$
    with withdrawn as (
        delete from public.member_invitations as i
        where i.id = invitation and i.organization_id in (select private.my_owned_organization_ids())
        returning i.organization_id, i.email
    )
    insert into public.audit_entries (organization_id, user_id, action, details)
    select w.organization_id, (select auth.uid()), 'invitation_withdrawn', jsonb_build_object('email', w.email)
    from withdrawn as w
$$;

-- Acts with its owner's rights because users may not read accounts; it tells the caller's own address. That counts
-- only once it was confirmed: otherwise anybody could sign up with somebody else's.
create function private.my_address() returns text
language sql stable security definer
set search_path = ''
as $$
    select lower(u.email)
    from auth.users as u
    where u.id = (select auth.uid()) and to_jsonb(u) ->> 'email_confirmed_at' is not null
$$;

-- Acts with its owner's rights because the caller is no member yet; it shows what was sent to their own address.
create function private.list_my_invitations() returns table (
    id uuid, organization_name text, invited_by text, role public.member_role, created_at timestamptz
)
language sql stable security definer
set search_path = ''
as $$
    select i.id, o.name, u.email, i.role, i.created_at
    from public.member_invitations as i
    join public.organizations as o on o.id = i.organization_id
    left join auth.users as u on u.id = i.invited_by
    where i.email = private.my_address()
    order by i.created_at
$$;

-- As above: takes one's own invitation away. Raises invitation_not_found for one that is another's, or over.
create function private.take_invitation(invitation uuid) returns public.member_invitations
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    taken public.member_invitations;
begin
    delete from public.member_invitations as i
    where i.id = invitation and i.email = private.my_address()
    returning * into taken;
    if taken.id is null then
        raise exception 'This invitation is not there any more.'
            using errcode = 'P0001', detail = 'invitation_not_found';
    end if;
    return taken;
end
$$;

-- As above. A role that the caller has already is never made less.
create function private.accept_invitation(invitation uuid) returns jsonb
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    taken public.member_invitations := private.take_invitation(invitation);
    membership public.organization_members;
begin
    insert into public.organization_members (organization_id, user_id, role)
    values (taken.organization_id, (select auth.uid()), taken.role)
    on conflict (organization_id, user_id) do update
        set role = greatest(organization_members.role, excluded.role)
    returning * into membership;
    return jsonb_build_object('organization_id', membership.organization_id, 'role', membership.role);
end
$$;

-- As above.
create function private.decline_invitation(invitation uuid) returns void
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    taken public.member_invitations := private.take_invitation(invitation);
begin
    insert into public.audit_entries (organization_id, user_id, action, details)
    values (
        taken.organization_id, (select auth.uid()), 'invitation_declined', jsonb_build_object('email', taken.email)
    );
end
$$;

-- Acts with its owner's rights because no user may take their own membership away otherwise.
-- Raises not_a_member, and last_owner (private.keep_an_owner).
create function private.leave_organization(organization uuid) returns void
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    membership public.organization_members := private.resolve_organization(organization, false);
begin
    delete from public.organization_members as m
    where m.organization_id = membership.organization_id and m.user_id = membership.user_id;
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

create function public.list_my_invitations() returns table (
    id uuid, organization_name text, invited_by text, role public.member_role, created_at timestamptz
)
language sql stable security invoker
set search_path = ''
as $$
    select * from private.list_my_invitations()
$$;

create function public.accept_invitation(invitation uuid) returns jsonb
language sql volatile security invoker
set search_path = ''
as $$
    select private.accept_invitation(invitation)
$$;

create function public.decline_invitation(invitation uuid) returns void
language sql volatile security invoker
set search_path = ''
as $$
    select private.decline_invitation(invitation)
$$;

create function public.leave_organization(organization uuid) returns void
language sql volatile security invoker
set search_path = ''
as $$
    select private.leave_organization(organization)
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
    private.my_address, private.take_invitation,
    private.invite_member, private.withdraw_invitation, private.list_my_invitations, private.accept_invitation,
    private.decline_invitation, private.leave_organization, private.list_members,
    public.invite_member, public.withdraw_invitation, public.list_my_invitations, public.accept_invitation,
    public.decline_invitation, public.leave_organization, public.list_members
    from public, anon, authenticated;
grant execute on function
    private.invite_member, private.withdraw_invitation, private.list_my_invitations, private.accept_invitation,
    private.decline_invitation, private.leave_organization, private.list_members,
    public.invite_member, public.withdraw_invitation, public.list_my_invitations, public.accept_invitation,
    public.decline_invitation, public.leave_organization, public.list_members
    to authenticated, service_role;
