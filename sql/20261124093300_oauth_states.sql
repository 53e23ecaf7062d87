-- Meta's dialogs that are open: single use, 10 minutes, bound to the user and the organization that began them.

create type public.signup_flow as enum ('popup', 'redirect');

create table public.oauth_states (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    user_id uuid not null references auth.users (id) on delete cascade,
    flow public.signup_flow not null,
    is_coexistence boolean not null default false,
    -- SHA-256 of what travels: a reader of this table can finish nobody's dialog.
    state_hash text not null unique check (state_hash ~ '^[0-9a-f]{64}$'),
    -- Of Meta's code, once it came: the same call may be repeated, another code may not.
    code_hash text check (code_hash ~ '^[0-9a-f]{64}$'),
    -- Of what the callback gave to the browser that came back from Meta (redirect flow).
    ticket_hash text check (ticket_hash ~ '^[0-9a-f]{64}$'),
    redirect_uri text,
    return_path text check (return_path ~ '^/' and return_path !~ '^/[/\\]' and return_path !~ '[[:cntrl:]]'),
    -- Between the exchange of the code and the connection (ciphertext).
    access_token text check (access_token like 'v1.%'),
    token_expires_at timestamptz,
    expires_at timestamptz not null default now() + interval '10 minutes',
    finished_at timestamptz,
    created_at timestamptz not null default now(),
    constraint finished_keeps_no_secret check (finished_at is null or access_token is null)
);
comment on table public.oauth_states is 'Dialogs with Meta that were begun; only the service reads or writes them.';
create index oauth_states_user_idx on public.oauth_states (user_id, created_at desc);
create index oauth_states_organization_idx on public.oauth_states (organization_id);
create index oauth_states_expires_at_idx on public.oauth_states (expires_at);

alter table public.oauth_states enable row level security;
revoke all on public.oauth_states from public, anon, authenticated;
grant select, insert, update, delete on public.oauth_states to service_role;

create policy "Only the service handles dialogs" on public.oauth_states
    for all to service_role
    using (true) with check (true);

-- Stores a dialog that begins, and forgets those that are over.
create function public.begin_signup(
    new_id uuid, organization uuid, by_user uuid, chosen_flow public.signup_flow, new_state_hash text,
    wants_coexistence boolean, chosen_redirect_uri text, chosen_return_path text
) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    row_ public.oauth_states;
begin
    delete from public.oauth_states as s where s.expires_at < now() - interval '1 day' and s.user_id = by_user;
    -- A token that nobody came back for is no use to anybody.
    update public.oauth_states as s set access_token = null where s.expires_at < now() and s.access_token is not null;
    if (
        select count(*) >= 30 from public.oauth_states as s
        where s.user_id = by_user and s.created_at > now() - interval '1 hour'
    ) then
        raise exception 'Too many dialogs were begun.' using errcode = 'P0001', detail = 'too_many_requests',
            hint = jsonb_build_object('retry_after', 600)::text;
    end if;
    insert into public.oauth_states (
        id, organization_id, user_id, flow, state_hash, is_coexistence, redirect_uri, return_path
    )
    values (
        new_id, organization, by_user, chosen_flow, new_state_hash, wants_coexistence, chosen_redirect_uri,
        chosen_return_path
    )
    returning * into row_;
    return jsonb_build_object('id', row_.id, 'expires_at', row_.expires_at);
end
$$;

-- Binds Meta's code to the dialog that it came back for (redirect flow: nobody is signed in there). Raises
-- invalid_state for one that is unknown, late, finished, of the other flow, or bound to another code.
create function public.receive_signup_code(given_state_hash text, given_code_hash text) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    row_ public.oauth_states;
begin
    update public.oauth_states as s set code_hash = given_code_hash
    where s.state_hash = given_state_hash and s.flow = 'redirect' and s.finished_at is null and s.expires_at > now()
        and coalesce(s.code_hash, given_code_hash) = given_code_hash
    returning * into row_;
    if row_.id is null then
        raise exception 'This connection attempt is no longer valid.'
            using errcode = 'P0001', detail = 'invalid_state';
    end if;
    return jsonb_build_object(
        'id', row_.id, 'redirect_uri', row_.redirect_uri, 'return_path', row_.return_path,
        'access_token', row_.access_token
    );
end
$$;

-- Keeps the token that the code was exchanged for, and what the browser must bring to go on.
create function public.keep_signup_token(
    signup uuid, encrypted_token text, expires timestamptz, new_ticket_hash text default null
) returns void
language sql volatile
set search_path = ''
as $$
    update public.oauth_states as s set
        access_token = coalesce(encrypted_token, s.access_token),
        token_expires_at = case when encrypted_token is null then s.token_expires_at else expires end,
        ticket_hash = coalesce(new_ticket_hash, s.ticket_hash)
    where s.id = signup and s.finished_at is null
$$;

-- Acts with its owner's rights: no user reads oauth_states. It answers only to the very user who began the dialog,
-- still an owner of the organization it was begun for, and with the code or ticket that belongs to it.
create function private.take_signup(
    given_state_hash text, given_code_hash text, given_ticket_hash text, organization uuid
) returns jsonb
language plpgsql volatile security definer
set search_path = ''
as $$
declare
    row_ public.oauth_states;
begin
    update public.oauth_states as s set code_hash = coalesce(s.code_hash, given_code_hash)
    where s.state_hash = given_state_hash and s.user_id = (select auth.uid())
        and s.organization_id = coalesce(organization, s.organization_id)
        and s.finished_at is null and s.expires_at > now()
        and case s.flow
            when 'popup' then given_code_hash is not null and coalesce(s.code_hash, given_code_hash) = given_code_hash
            else s.ticket_hash = given_ticket_hash
        end
    returning * into row_;
    if row_.id is null then
        raise exception 'This connection attempt is no longer valid.'
            using errcode = 'P0001', detail = 'invalid_state';
    end if;
    return private.my_connection(row_.organization_id, true) || jsonb_build_object('signup', jsonb_build_object(
        'id', row_.id, 'flow', row_.flow, 'is_coexistence', row_.is_coexistence
    ));
end
$$;

create function public.take_signup(
    given_state_hash text, given_code_hash text default null, given_ticket_hash text default null,
    organization uuid default null
) returns jsonb
language sql volatile
set search_path = ''
as $$
    select private.take_signup(given_state_hash, given_code_hash, given_ticket_hash, organization)
$$;

create function public.find_signup_token(signup uuid) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object('access_token', s.access_token, 'token_expires_at', s.token_expires_at)
    from public.oauth_states as s
    where s.id = signup
$$;

create function public.finish_signup(signup uuid) returns void
language sql volatile
set search_path = ''
as $$
    update public.oauth_states as s set finished_at = now(), access_token = null where s.id = signup
$$;

revoke execute on function
    private.take_signup, public.take_signup, public.begin_signup, public.receive_signup_code,
    public.keep_signup_token, public.find_signup_token, public.finish_signup
    from public, anon, authenticated;
grant execute on function private.take_signup, public.take_signup to authenticated;
grant execute on function
    private.take_signup, public.take_signup, public.begin_signup, public.receive_signup_code,
    public.keep_signup_token, public.find_signup_token, public.finish_signup
    to service_role;
