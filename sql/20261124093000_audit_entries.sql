-- Who did what: a number connected or disconnected, a secret shown or renewed, where messages go, who came and went.

create table public.audit_entries (
    id bigint generated always as identity primary key,
    organization_id uuid not null references public.organizations (id) on delete cascade,
    -- Null where the system acted by itself. No reference: what somebody did outlives their account.
    user_id uuid,
    action text not null check (action ~ '^[a-z_]{1,60}$'),
    details jsonb not null default '{}',
    created_at timestamptz not null default now()
);
comment on table public.audit_entries is 'What was done to an organization''s connection and team, by whom; never changed afterwards.';
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

-- Who came and went, whoever wrote it and by which way.
-- Acts with its owner's rights because no user may write entries; it writes what just happened and nothing else.
create function private.note_membership() returns trigger
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    member public.organization_members := coalesce(new, old);
    actor uuid := (select auth.uid());
begin
    if tg_op = 'UPDATE' and new.role = old.role then
        return null;
    end if;
    insert into public.audit_entries (organization_id, user_id, action, details)
    select
        o.id, actor,
        case
            when tg_op = 'INSERT' then 'member_joined'
            when tg_op = 'UPDATE' then 'member_role_changed'
            when member.user_id = actor then 'member_left'
            else 'member_removed'
        end,
        jsonb_build_object('member', member.user_id, 'role', member.role)
    -- Not there any more where its members go with it.
    from public.organizations as o
    where o.id = member.organization_id;
    return null;
end
$$;
revoke execute on function private.note_membership() from public;

create trigger organization_members_note
    after insert or delete or update of role on public.organization_members
    for each row execute function private.note_membership();
