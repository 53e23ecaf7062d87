-- How a connection comes about: three ways in, one row of steps, each stored before and after the call to Meta.
-- Whoever connects holds an attempt; a second person is told to wait, the same call repeated takes over.

create type public.connection_way as enum ('credentials', 'embedded_signup', 'number');
create type public.connection_step as enum ('begun', 'proven', 'registered', 'subscribed', 'connected');

alter table public.whatsapp_integrations
    add column way public.connection_way,
    add column step public.connection_step,
    -- The number's two-step PIN, chosen by us when we register it (ciphertext).
    add column pin text,
    -- The platform's own token stands in access_token: the number lives in the platform's WABA.
    add column has_platform_token boolean not null default false,
    -- A keyed hash of that token as it was copied, so that a newer one is noticed.
    add column platform_token_hash text,
    add column token_checked_at timestamptz,
    add column registered_at timestamptz,
    add column subscribed_at timestamptz,
    -- Where Meta was told to deliver instead of the app's own callback.
    add column callback_override text check (length(callback_override) <= 200),
    -- Who is connecting right now; only the holder of the newest attempt may write its steps.
    add column attempt uuid,
    add column attempt_by uuid,
    add column attempt_way public.connection_way,
    -- Equal for the same call repeated, so that it continues where it was cut off.
    add column attempt_digest text,
    add column attempt_until timestamptz,
    add constraint pin_is_encrypted check (pin like 'v1.%');

grant select (way, step, token_checked_at, registered_at, subscribed_at, callback_override)
    on public.whatsapp_integrations to authenticated;

-- Which organization is meant, and may the caller do it? Answers like this for an organization that is not there
-- and for one that is none of the caller's business.
create function private.resolve_organization(organization uuid, needs_owner boolean)
returns public.organization_members
language plpgsql stable
set search_path = ''
as $$
declare
    membership public.organization_members;
    memberships integer;
begin
    if organization is null then
        select count(*) into memberships
        from public.organization_members as m where m.user_id = (select auth.uid());
        if memberships <> 1 then
            raise exception 'Say which organization is meant.'
                using errcode = 'P0001', detail = 'organization_required';
        end if;
    end if;
    select * into membership
    from public.organization_members as m
    where m.user_id = (select auth.uid()) and m.organization_id = coalesce(organization, m.organization_id);
    if membership.organization_id is null then
        raise exception 'You are not a member of this organization.'
            using errcode = 'P0001', detail = 'not_a_member';
    end if;
    if needs_owner and membership.role <> 'owner' then
        raise exception 'Only an owner of the organization can do this.'
            using errcode = 'P0001', detail = 'owner_required';
    end if;
    return membership;
end
$$;

-- What a member may know of their connection, as JSON; no credential is among it.
create function private.describe_integration(i public.whatsapp_integrations) returns jsonb
language sql stable
set search_path = ''
as $$
    select case when (i).id is null then null else jsonb_build_object(
        'id', (i).id, 'organization_id', (i).organization_id, 'status', (i).status, 'way', (i).way, 'step', (i).step,
        'phone_number', (i).phone_number, 'phone_number_id', (i).phone_number_id,
        'business_account_id', (i).business_account_id, 'app_id', (i).app_id,
        'display_name', (i).display_name, 'quality_rating', (i).quality_rating,
        'messaging_limit', (i).messaging_limit, 'throughput', (i).throughput,
        'is_coexistence', (i).is_coexistence, 'has_own_app', (i).has_own_app,
        'error_code', (i).error_code, 'error_message', (i).error_message,
        'token_expires_at', (i).token_expires_at, 'token_checked_at', (i).token_checked_at,
        'verified_at', (i).verified_at, 'registered_at', (i).registered_at, 'subscribed_at', (i).subscribed_at,
        'connected_at', (i).connected_at, 'disconnected_at', (i).disconnected_at,
        'first_event_at', (i).first_event_at, 'last_event_at', (i).last_event_at,
        'last_sync_at', (i).last_sync_at, 'callback_override', (i).callback_override
    ) end
$$;

-- Acts with its owner's rights to see the membership and the connection at once; it raises unless the caller is a
-- member (or an owner, where that is needed), and describe_integration leaves every credential out.
create function private.my_connection(organization uuid, needs_owner boolean) returns jsonb
language plpgsql stable security definer
set search_path = ''
as $$
declare
    membership public.organization_members := private.resolve_organization(organization, needs_owner);
    integration public.whatsapp_integrations;
begin
    select * into integration
    from public.whatsapp_integrations as i where i.organization_id = membership.organization_id;
    return jsonb_build_object(
        'user_id', membership.user_id, 'organization_id', membership.organization_id, 'role', membership.role,
        'integration', private.describe_integration(integration)
    );
end
$$;

create function public.my_connection(organization uuid default null, needs_owner boolean default false) returns jsonb
language sql stable
set search_path = ''
as $$
    select private.my_connection(organization, needs_owner)
$$;

-- Takes the connection in hand and answers how far it is. Raises connection_in_progress while another person, or
-- another call, holds it (with the seconds to wait), and already_connected when another number is connected.
create function public.begin_connection(
    organization uuid, by_user uuid, chosen_way public.connection_way, input_digest text, number_id text default null
) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    row_ public.whatsapp_integrations;
begin
    insert into public.whatsapp_integrations (organization_id) values (organization)
    on conflict (organization_id) do nothing;
    select * into row_ from public.whatsapp_integrations as i where i.organization_id = organization for update;

    if row_.attempt_until > now() and (row_.attempt_by, row_.attempt_digest) is distinct from (by_user, input_digest) then
        raise exception 'Somebody else is connecting a number right now.'
            using errcode = 'P0001', detail = 'connection_in_progress', hint = jsonb_build_object(
                'retry_after', ceil(extract(epoch from row_.attempt_until - now()))
            )::text;
    end if;
    if row_.status in ('connected', 'error') and number_id is not null and row_.phone_number_id <> number_id then
        raise exception 'Another number is connected.' using errcode = 'P0001', detail = 'already_connected';
    end if;

    update public.whatsapp_integrations as i set
        attempt = gen_random_uuid(), attempt_by = by_user, attempt_digest = input_digest,
        attempt_until = now() + interval '60 seconds', attempt_way = chosen_way,
        -- What is connected stays what it is until something else is proven.
        way = case when i.status in ('connected', 'error') then i.way else chosen_way end,
        -- A repeated call finds its steps again; another way in, or a new start, begins anew.
        step = case
            when i.status in ('connected', 'error') then i.step
            when i.step is not null and i.attempt_digest = input_digest and i.way = chosen_way then i.step
            else 'begun'
        end
    where i.id = row_.id
    returning * into row_;
    return jsonb_build_object(
        'attempt', row_.attempt, 'integration_id', row_.id, 'status', row_.status,
        'step', row_.step, 'phone_number_id', row_.phone_number_id, 'business_account_id', row_.business_account_id,
        'access_token', row_.access_token, 'pin', row_.pin, 'webhook_verify_token', row_.webhook_verify_token
    );
end
$$;

-- Stores one step that was reached, with the facts that it brought; only for the holder of the newest attempt.
-- Raises number_taken when another organization has this number, superseded when somebody else took over.
create function public.advance_connection(
    integration uuid, holder uuid, reached public.connection_step, facts jsonb default '{}'
) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    row_ public.whatsapp_integrations;
    number_id text := coalesce(
        facts ->> 'phone_number_id', (select i.phone_number_id from public.whatsapp_integrations as i where i.id = integration)
    );
begin
    if exists (
        select from public.whatsapp_integrations as i
        where i.id = integration and i.status in ('connected', 'error') and i.phone_number_id <> number_id
    ) then
        raise exception 'Another number is connected.' using errcode = 'P0001', detail = 'already_connected';
    end if;
    if number_id is not null then
        -- Two organizations with one number: one after the other, so that the second sees the first.
        perform pg_advisory_xact_lock(hashtextextended('whatsapp_number:' || number_id, 0));
        if exists (
            select from public.whatsapp_integrations as i
            where i.phone_number_id = number_id and i.id <> integration and i.status in ('connected', 'error')
        ) then
            raise exception 'This number is already connected to another organization.'
                using errcode = 'P0001', detail = 'number_taken';
        end if;
    end if;

    update public.whatsapp_integrations as i set
        step = case when i.status in ('connected', 'error') and reached < 'connected' then i.step else reached end,
        way = i.attempt_way,
        phone_number = coalesce(facts ->> 'phone_number', i.phone_number),
        phone_number_id = coalesce(facts ->> 'phone_number_id', i.phone_number_id),
        business_account_id = coalesce(facts ->> 'business_account_id', i.business_account_id),
        access_token = coalesce(facts ->> 'access_token', i.access_token),
        app_id = coalesce(facts ->> 'app_id', i.app_id),
        app_secret = case when facts ? 'app_secret' then facts ->> 'app_secret' else i.app_secret end,
        webhook_verify_token = coalesce(facts ->> 'webhook_verify_token', i.webhook_verify_token),
        pin = case when facts ? 'pin' then facts ->> 'pin' else i.pin end,
        has_own_app = coalesce((facts ->> 'has_own_app')::boolean, i.has_own_app),
        has_platform_token = coalesce((facts ->> 'has_platform_token')::boolean, i.has_platform_token),
        platform_token_hash = coalesce(facts ->> 'platform_token_hash', i.platform_token_hash),
        is_coexistence = coalesce((facts ->> 'is_coexistence')::boolean, i.is_coexistence),
        display_name = coalesce(facts ->> 'display_name', i.display_name),
        quality_rating = coalesce(facts ->> 'quality_rating', i.quality_rating),
        messaging_limit = coalesce(facts ->> 'messaging_limit', i.messaging_limit),
        throughput = coalesce((facts ->> 'throughput')::integer, i.throughput),
        token_expires_at = case
            when facts ? 'token_expires_at' then (facts ->> 'token_expires_at')::timestamptz
            else i.token_expires_at
        end,
        token_checked_at = case when facts ? 'access_token' then now() else i.token_checked_at end,
        verified_at = case
            when reached < 'proven' then i.verified_at
            when number_id is distinct from i.phone_number_id then now()
            else coalesce(i.verified_at, now())
        end,
        registered_at = case
            when number_id is distinct from i.phone_number_id and not coalesce((facts ->> 'is_registered')::boolean, false) then null
            when (facts ->> 'is_registered')::boolean then coalesce(i.registered_at, now()) else i.registered_at
        end,
        subscribed_at = case when reached >= 'subscribed' then coalesce(i.subscribed_at, now()) else i.subscribed_at end,
        callback_override = case
            when facts ? 'callback_override' then facts ->> 'callback_override' else i.callback_override
        end,
        status = case
            when reached = 'connected' then 'connected'
            when i.status = 'disconnected' then 'pending'
            else i.status
        end::public.integration_status,
        connected_at = case when reached = 'connected' then now() else i.connected_at end,
        disconnected_at = case when reached = 'connected' then null else i.disconnected_at end,
        last_sync_at = case when reached = 'connected' then now() else i.last_sync_at end,
        -- Another number, or another app: what was received before proves nothing for it.
        first_event_at = case
            when (facts ->> 'phone_number_id') is distinct from i.phone_number_id and facts ? 'phone_number_id' then null
            when (facts ->> 'app_id') is distinct from i.app_id and facts ? 'app_id' then null
            when i.status = 'disconnected' then null
            else i.first_event_at
        end,
        error_code = case when reached = 'connected' then null else i.error_code end,
        error_message = case when reached = 'connected' then null else i.error_message end,
        attempt_until = case when reached = 'connected' then null else now() + interval '60 seconds' end
    where i.id = integration and i.attempt = holder
    returning * into row_;
    if row_.id is null then
        raise exception 'Another attempt to connect this number took over.'
            using errcode = 'P0001', detail = 'connection_superseded';
    end if;
    if reached = 'connected' then
        insert into public.audit_entries (organization_id, user_id, action, details)
        values (row_.organization_id, row_.attempt_by, 'number_connected', jsonb_build_object(
            'way', row_.way, 'phone_number_id', row_.phone_number_id, 'phone_number', row_.phone_number
        ));
    end if;
    return private.describe_integration(row_);
exception
    when unique_violation then
        raise exception 'This number is already connected to another organization.'
            using errcode = 'P0001', detail = 'number_taken';
end
$$;

-- Lets go of the connection, and keeps the refusal (if there was one) for the owner while nothing is connected.
create function public.end_attempt(integration uuid, holder uuid, refusal_code text, refusal_message text) returns void
language sql volatile
set search_path = ''
as $$
    update public.whatsapp_integrations as i set
        attempt_until = null,
        error_code = case when i.status in ('pending', 'disconnected') then refusal_code else i.error_code end,
        error_message = case when i.status in ('pending', 'disconnected') then refusal_message else i.error_message end
    where i.id = integration and i.attempt = holder
$$;

-- Takes the credentials away and keeps the chats. The PIN and the verify token stay (encrypted): without them the
-- same number could not be connected again. Answers the connection.
create function public.disconnect_integration(integration uuid, by_user uuid) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    row_ public.whatsapp_integrations;
    was public.integration_status;
begin
    select i.status into was from public.whatsapp_integrations as i where i.id = integration for update;
    update public.whatsapp_integrations as i set
        status = 'disconnected', access_token = null, app_secret = null, has_platform_token = false,
        token_expires_at = null, token_checked_at = null, subscribed_at = null, callback_override = null, step = null,
        attempt = null, attempt_until = null, error_code = null, error_message = null,
        disconnected_at = case when was = 'disconnected' then i.disconnected_at else now() end
    where i.id = integration
    returning * into row_;
    if row_.id is not null and was <> 'disconnected' then
        insert into public.audit_entries (organization_id, user_id, action, details)
        values (row_.organization_id, by_user, 'number_disconnected', jsonb_build_object(
            'phone_number_id', row_.phone_number_id, 'phone_number', row_.phone_number
        ));
    end if;
    return private.describe_integration(row_);
end
$$;

-- Is this WABA in use by others too? Then removing our app from it would cut them off.
create function public.count_others_on_waba(integration uuid) returns integer
language sql stable
set search_path = ''
as $$
    select count(*)::integer
    from public.whatsapp_integrations as mine
    join public.whatsapp_integrations as other
        on other.business_account_id = mine.business_account_id
        and other.id <> mine.id
        and other.status in ('connected', 'error')
        and other.app_id is not distinct from mine.app_id
    where mine.id = integration
$$;

-- Gives the service a secret to show to an owner. The PIN opens the number itself: that it was shown is written
-- down. The verify token stands in the owner's own dashboard at Meta.
create function public.reveal_secret(integration uuid, by_user uuid, secret_column text) returns text
language plpgsql volatile
set search_path = ''
as $$
declare
    row_ public.whatsapp_integrations;
begin
    select * into row_ from public.whatsapp_integrations as i where i.id = integration;
    if row_.id is null or secret_column not in ('pin', 'webhook_verify_token') then
        return null;
    end if;
    if secret_column = 'pin' then
        insert into public.audit_entries (organization_id, user_id, action)
        values (row_.organization_id, by_user, 'pin_shown');
    end if;
    return case secret_column when 'pin' then row_.pin else row_.webhook_verify_token end;
end
$$;

-- A token that died, whoever noticed it: sends stop, what arrives goes on, the owner is told why and what to do.
create function public.mark_integration_error(integration uuid, reason_code text, reason_message text) returns void
language sql volatile
set search_path = ''
as $$
    update public.whatsapp_integrations as i set
        status = 'error', error_code = reason_code, error_message = reason_message, token_checked_at = now()
    where i.id = integration and i.status in ('connected', 'error')
$$;

revoke execute on function
    private.resolve_organization, private.describe_integration, private.my_connection,
    public.my_connection, public.begin_connection, public.advance_connection, public.end_attempt,
    public.disconnect_integration, public.count_others_on_waba, public.reveal_secret, public.mark_integration_error
    from public, anon, authenticated;
grant execute on function private.my_connection, public.my_connection to authenticated;
grant execute on function
    private.resolve_organization, private.describe_integration, private.my_connection,
    public.my_connection, public.begin_connection, public.advance_connection, public.end_attempt,
    public.disconnect_integration, public.count_others_on_waba, public.reveal_secret, public.mark_integration_error
    to service_role;
