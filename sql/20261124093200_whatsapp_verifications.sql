-- Proving that a number is in the owner's hands: one code at a time, 10 minutes, 3 attempts, all counted here.

create type public.verification_sender as enum ('meta', 'platform');
create type public.verification_method as enum ('sms', 'voice', 'whatsapp');
-- `sending` is stored just before the code is asked for: after a crash it may be under way.
create type public.verification_state as enum ('requested', 'sending', 'sent', 'failed', 'replaced', 'verified');

create table public.whatsapp_verifications (
    id uuid primary key default gen_random_uuid(),
    organization_id uuid not null references public.organizations (id) on delete cascade,
    -- No reference: what somebody asked for outlives their account.
    requested_by uuid not null,
    phone_number text not null check (phone_number ~ '^\+[1-9][0-9]{5,14}$'),
    phone_number_id text check (phone_number_id ~ '^[0-9]{1,32}$'),
    sender public.verification_sender,
    method public.verification_method not null,
    state public.verification_state not null default 'requested',
    -- A keyed hash of our own code; Meta's codes we never know.
    code_hash text check (code_hash ~ '^[0-9a-f]{64}$'),
    -- How many guesses were made, and of the last one whose outcome at Meta is not known, its keyed hash.
    attempts integer not null default 0 check (attempts >= 0),
    open_guess_hash text,
    open_guess_at timestamptz,
    requested_at timestamptz not null default now(),
    sent_at timestamptz,
    resend_at timestamptz not null,
    expires_at timestamptz not null,
    verified_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint verified_means_proven check ((state = 'verified') = (verified_at is not null))
);
comment on table public.whatsapp_verifications is
    'A code that was asked for to prove a number. code_hash and open_guess_hash are readable by the service alone.';
create index whatsapp_verifications_organization_idx
    on public.whatsapp_verifications (organization_id, requested_at desc);
create index whatsapp_verifications_phone_number_idx
    on public.whatsapp_verifications (private.canonical_phone(phone_number), requested_at desc);
create index whatsapp_verifications_requested_by_idx
    on public.whatsapp_verifications (requested_by, requested_at desc);
create index whatsapp_verifications_requested_at_idx on public.whatsapp_verifications (requested_at desc);
create unique index whatsapp_verifications_one_open_each
    on public.whatsapp_verifications (organization_id) where state in ('requested', 'sending', 'sent');

alter table public.whatsapp_verifications enable row level security;
revoke all on public.whatsapp_verifications from public, anon, authenticated;
grant select, insert, update, delete on public.whatsapp_verifications to service_role;
grant select (
    id, organization_id, requested_by, phone_number, phone_number_id, sender, method, state, attempts, requested_at,
    sent_at, resend_at, expires_at, verified_at, created_at, updated_at
) on public.whatsapp_verifications to authenticated;

create policy "Members can see the codes that were asked for" on public.whatsapp_verifications
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));

create trigger whatsapp_verifications_touch_updated_at
    before update on public.whatsapp_verifications
    for each row execute function private.touch_updated_at();

-- The limits, in one place. Meta publishes none of its own for codes.
create function private.verification_limits() returns table (
    attempts integer, lifetime interval, per_hour integer, per_day integer, first_pause interval
)
language sql immutable
set search_path = ''
as $$
    select 3, interval '10 minutes', 5, 10, interval '60 seconds'
$$;

create function private.describe_verification(v public.whatsapp_verifications) returns jsonb
language sql stable
set search_path = ''
as $$
    select case when (v).id is null then null else jsonb_build_object(
        'id', (v).id, 'phone_number', (v).phone_number, 'phone_number_id', (v).phone_number_id,
        'sender', (v).sender, 'method', (v).method,
        'state', case
            when (v).state in ('requested', 'sending', 'sent') and (v).expires_at <= now() then 'expired'
            when (v).state = 'sending' then 'sent'
            else (v).state::text
        end,
        'attempts_left', greatest(0, l.attempts - (v).attempts),
        'expires_at', (v).expires_at, 'verified_at', (v).verified_at,
        'resend_in', greatest(0, ceil(extract(epoch from (v).resend_at - now()))::integer)
    ) end
    from private.verification_limits() as l
$$;

-- Counts a request for a code before anything is sent, or finds the one that was cut off and goes on with it.
-- Raises number_taken, resend_too_early, too_many_requests (the last two with the seconds to wait).
-- All organizations together may ask for `platform_per_hour` codes an hour: each puts a number into the platform's
-- account, and is paid by the platform.
create function public.begin_verification(
    new_id uuid, organization uuid, by_user uuid, phone text, chosen_method public.verification_method,
    platform_per_hour integer
) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    limits record;
    -- However it is written: a number is one number.
    canonical text := private.canonical_phone(phone);
    open_ public.whatsapp_verifications;
    wait_until timestamptz;
    recent integer;
begin
    select * into limits from private.verification_limits();
    -- One request at a time, as all count for the platform; and no number is proven to another meanwhile.
    perform pg_advisory_xact_lock(hashtextextended('verifications', 0));
    perform pg_advisory_xact_lock(hashtextextended('verification_number:' || canonical, 0));

    if exists (
        select from public.whatsapp_integrations as i
        where private.canonical_phone(i.phone_number) = canonical and i.organization_id <> organization
            and i.status in ('connected', 'error')
    ) then
        raise exception 'This number is already connected to another organization.'
            using errcode = 'P0001', detail = 'number_taken';
    end if;

    select * into open_ from public.whatsapp_verifications as v
    where v.organization_id = organization and v.state in ('requested', 'sending')
        and private.canonical_phone(v.phone_number) = canonical
        and v.expires_at > now() and v.resend_at > now();
    if open_.id is not null then
        return private.describe_verification(open_) || jsonb_build_object(
            -- A second click finds the first one under way; after a crash the code is asked for again.
            'is_new', false, 'is_under_way', open_.state = 'sending' and open_.updated_at > now() - interval '3 seconds'
        );
    end if;

    select max(v.resend_at) into wait_until from public.whatsapp_verifications as v
    where private.canonical_phone(v.phone_number) = canonical and v.resend_at > now();
    if wait_until is not null then
        raise exception 'A code was sent a moment ago.' using errcode = 'P0001', detail = 'resend_too_early',
            hint = jsonb_build_object('retry_after', ceil(extract(epoch from wait_until - now())))::text;
    end if;

    -- When does the oldest request that fills a limit leave its window? A user counts in all their organizations.
    select max(w.free_at) into wait_until
    from (
        select 'platform' as subject, interval '1 hour' as span, platform_per_hour as most
        union all
        select each.subject, spans.span, spans.most
        from (values ('organization'), ('user'), ('number')) as each (subject)
        cross join (
            values (interval '1 hour', limits.per_hour), (interval '1 day', limits.per_day)
        ) as spans (span, most)
    ) as bounds
    cross join lateral (
        select v.requested_at + bounds.span as free_at
        from public.whatsapp_verifications as v
        where v.requested_at > now() - bounds.span
            and case bounds.subject
                when 'organization' then v.organization_id = organization
                when 'user' then v.requested_by = by_user
                when 'number' then private.canonical_phone(v.phone_number) = canonical
                else true
            end
        order by v.requested_at desc
        offset bounds.most - 1
        limit 1
    ) as w;
    if wait_until is not null then
        raise exception 'Too many codes were asked for.' using errcode = 'P0001', detail = 'too_many_requests',
            hint = jsonb_build_object('retry_after', ceil(extract(epoch from wait_until - now())))::text;
    end if;

    select count(*) into recent from public.whatsapp_verifications as v
    where v.requested_at > now() - interval '1 hour' and v.state <> 'failed'
        and private.canonical_phone(v.phone_number) = canonical;
    update public.whatsapp_verifications as v set state = 'replaced'
    where v.organization_id = organization and v.state in ('requested', 'sending', 'sent');
    insert into public.whatsapp_verifications (
        id, organization_id, requested_by, phone_number, method, resend_at, expires_at
    )
    values (
        new_id, organization, by_user, phone, chosen_method,
        -- Each code of the hour doubles the pause: 1, 2, 4, 8 minutes.
        now() + limits.first_pause * power(2, recent), now() + limits.lifetime
    )
    returning * into open_;
    return private.describe_verification(open_) || jsonb_build_object('is_new', true, 'is_under_way', false);
end
$$;

-- Stores what is about to be sent (`sending`), that it was (`sent`), or that it was refused (`failed`). Of two calls
-- at once one alone gets to send: `is_advanced` says whether it is this one.
create function public.advance_verification(
    verification uuid, reached public.verification_state, facts jsonb default '{}'
) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    limits record;
    row_ public.whatsapp_verifications;
    is_advanced boolean;
begin
    select * into limits from private.verification_limits();
    update public.whatsapp_verifications as v set
        state = reached,
        phone_number_id = coalesce(facts ->> 'phone_number_id', v.phone_number_id),
        sender = coalesce((facts ->> 'sender')::public.verification_sender, v.sender),
        method = coalesce((facts ->> 'method')::public.verification_method, v.method),
        code_hash = coalesce(facts ->> 'code_hash', v.code_hash),
        sent_at = case when reached = 'sent' then now() else v.sent_at end,
        -- A code's time begins when it is sent.
        expires_at = case when reached in ('sending', 'sent') then now() + limits.lifetime else v.expires_at end,
        -- What was refused sent nothing: nobody need wait for it.
        resend_at = case when reached = 'failed' then now() else v.resend_at end
    where v.id = verification and v.state in ('requested', 'sending')
        and (
            reached <> 'sending' or v.state = 'requested'
            -- After a crash, or because Meta did not want to and now we do.
            or v.updated_at < now() - interval '3 seconds'
            or v.sender is distinct from (facts ->> 'sender')::public.verification_sender
        )
    returning * into row_;
    is_advanced := row_.id is not null;
    if not is_advanced then
        select * into row_ from public.whatsapp_verifications as v where v.id = verification;
    end if;
    return private.describe_verification(row_) || jsonb_build_object('is_advanced', is_advanced);
end
$$;

-- Whether another organization proved or connected the number since: then Meta's "verified" says nothing about us.
create function private.is_proven_elsewhere(row_ public.whatsapp_verifications) returns boolean
language sql stable
set search_path = ''
as $$
    select exists (
        select from public.whatsapp_verifications as v
        where private.canonical_phone(v.phone_number) = private.canonical_phone(row_.phone_number)
            and v.organization_id <> row_.organization_id
            and v.verified_at >= row_.requested_at
    ) or exists (
        select from public.whatsapp_integrations as i
        where private.canonical_phone(i.phone_number) = private.canonical_phone(row_.phone_number)
            and i.organization_id <> row_.organization_id
            and (i.status in ('connected', 'error') or i.verified_at >= row_.requested_at)
    )
$$;

-- Whether another organization asked for a code for the number since: Meta takes the newest code alone.
create function private.is_asked_for_elsewhere(row_ public.whatsapp_verifications) returns boolean
language sql stable
set search_path = ''
as $$
    select exists (
        select from public.whatsapp_verifications as v
        where private.canonical_phone(v.phone_number) = private.canonical_phone(row_.phone_number)
            and v.organization_id <> row_.organization_id
            and v.requested_at >= row_.requested_at and v.state <> 'failed'
    )
$$;

-- Counts one guess, and says whether it may be tried: never more than three are. The count is not undone by
-- what follows, so outcomes are answered, not raised.
-- {outcome: try | again | late | too_many | none | other | verified, …}; `again` is a guess that was made in the
-- last ten minutes and whose outcome was lost, `other` says that the code which the caller means was replaced by a newer one.
create function public.take_guess(organization uuid, guess_hash text, wanted uuid default null) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    limits record;
    row_ public.whatsapp_verifications;
    was_open boolean;
    stays_open boolean;
    others boolean;
begin
    select * into limits from private.verification_limits();
    -- The newest one, whatever became of it; locked, so that parallel guesses come one after the other.
    select * into row_ from public.whatsapp_verifications as v
    where v.organization_id = organization and v.state in ('sending', 'sent', 'verified')
    order by v.requested_at desc
    limit 1
    for update;
    others := private.is_proven_elsewhere(row_);
    -- A proof is good for the connection that it was given for, not for one of another day.
    if row_.id is null or (row_.state = 'verified' and (others or row_.verified_at < now() - interval '1 hour')) then
        return jsonb_build_object('outcome', 'none');
    end if;
    if wanted <> row_.id then
        return jsonb_build_object('outcome', 'other');
    end if;
    if row_.state = 'verified' then
        return private.describe_verification(row_) || jsonb_build_object('outcome', 'verified');
    end if;
    was_open := row_.open_guess_hash = guess_hash and row_.open_guess_at > now() - limits.lifetime
        and not others and not private.is_asked_for_elsewhere(row_);
    stays_open := row_.sender = 'meta' and row_.attempts < limits.attempts and row_.expires_at > now();
    update public.whatsapp_verifications as v set
        attempts = v.attempts + 1,
        open_guess_hash = case when stays_open then guess_hash else v.open_guess_hash end,
        open_guess_at = case when stays_open then now() else v.open_guess_at end
    where v.id = row_.id
    returning * into row_;
    return private.describe_verification(row_) || jsonb_build_object(
        'outcome', case
            when coalesce(was_open, false) then 'again'
            when row_.expires_at <= now() then 'late'
            when row_.attempts > limits.attempts then 'too_many'
            else 'try'
        end,
        'may_try', row_.attempts <= limits.attempts and row_.expires_at > now(),
        'code_hash', row_.code_hash
    );
end
$$;

-- Stores what came of a guess. Never makes a verified one wrong again; nothing is proven that another organization
-- proved or connected meanwhile. `was_read`: Meta did not take the code but shows the number as verified, which says
-- nothing either where another organization has asked for a code of its own.
create function public.settle_guess(
    verification uuid, is_right boolean, was_read boolean default false
) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    row_ public.whatsapp_verifications;
begin
    select * into row_ from public.whatsapp_verifications as v where v.id = verification;
    -- Two organizations with one number: one after the other, so that the second sees the first.
    perform pg_advisory_xact_lock(
        hashtextextended('verification_number:' || private.canonical_phone(row_.phone_number), 0)
    );
    if is_right and (
        private.is_proven_elsewhere(row_) or (was_read and private.is_asked_for_elsewhere(row_))
    ) then
        return private.describe_verification(row_);
    end if;
    update public.whatsapp_verifications as v set
        state = case when is_right then 'verified' else v.state end,
        verified_at = case when is_right then now() else v.verified_at end,
        code_hash = case when is_right then null else v.code_hash end,
        open_guess_hash = null
    where v.id = verification and v.state in ('sending', 'sent')
    returning * into row_;
    if row_.id is not null and is_right then
        insert into public.audit_entries (organization_id, user_id, action, details)
        values (row_.organization_id, row_.requested_by, 'number_verified', jsonb_build_object(
            'phone_number', row_.phone_number, 'sender', row_.sender, 'method', row_.method
        ));
    end if;
    select * into row_ from public.whatsapp_verifications as v where v.id = verification;
    return private.describe_verification(row_);
end
$$;

-- Who last proved a number with a code, and is it this organization? Without that, a number that was let go may
-- have changed hands. Asked by Meta's id: the phone number of a row is what its owner typed.
create function public.is_number_still_proven(organization uuid, number_id text) returns boolean
language sql stable
set search_path = ''
as $$
    select coalesce((
        select v.organization_id = organization
        from public.whatsapp_verifications as v
        where v.phone_number_id = number_id and v.verified_at is not null
        order by v.verified_at desc
        limit 1
    ), false)
$$;

-- Acts with its owner's rights, as before; now with the newest code that was asked for.
create or replace function private.my_connection(organization uuid, needs_owner boolean) returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
declare
    membership public.organization_members := private.resolve_organization(organization, needs_owner);
    integration public.whatsapp_integrations;
    verification public.whatsapp_verifications;
    organization_name text;
begin
    select * into integration
    from public.whatsapp_integrations as i where i.organization_id = membership.organization_id;
    select * into verification
    from public.whatsapp_verifications as v
    where v.organization_id = membership.organization_id and v.state not in ('failed', 'replaced')
    order by v.requested_at desc
    limit 1;
    select o.name into organization_name from public.organizations as o where o.id = membership.organization_id;
    return jsonb_build_object(
        'user_id', membership.user_id, 'organization_id', membership.organization_id, 'role', membership.role,
        'organization_name', organization_name,
        'integration', private.describe_integration(integration),
        'verification', private.describe_verification(verification)
    );
end
$$;

revoke execute on function
    private.verification_limits, private.describe_verification, private.is_proven_elsewhere,
    private.is_asked_for_elsewhere, public.begin_verification,
    public.advance_verification, public.take_guess, public.settle_guess, public.is_number_still_proven
    from public, anon, authenticated;
grant execute on function
    private.verification_limits, private.describe_verification, private.is_proven_elsewhere,
    private.is_asked_for_elsewhere, public.begin_verification,
    public.advance_verification, public.take_guess, public.settle_guess, public.is_number_still_proven
    to service_role;
