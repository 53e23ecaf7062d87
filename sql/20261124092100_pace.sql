-- Meta's limits, kept by the database's clock, so that any number of workers on any machines share them.
--
-- Per number: at most n messages in any second. A permit is taken before a send and comes back one second after
-- the message has certainly arrived; so no window of one second can ever hold more than n, however long anybody
-- stalls on the way.
-- Per recipient and per account: one each interval, with a burst that is borrowed from the time to come.

create table public.send_permits (
    id bigint generated always as identity primary key,
    organization_id uuid not null,
    integration_id uuid not null,
    starts_at timestamptz not null,
    free_at timestamptz not null,
    foreign key (organization_id, integration_id)
        references public.whatsapp_integrations (organization_id, id) on delete cascade
);
comment on table public.send_permits is 'Permits to send one message each that are in use until free_at, by number.';
create index send_permits_integration_idx on public.send_permits (organization_id, integration_id, free_at);

alter table public.whatsapp_integrations add column sends_paused_until timestamptz;
comment on column public.whatsapp_integrations.sends_paused_until is 'Meta has asked to slow down, or somebody must mend the number: nothing leaves until then.';

create table public.rate_limits (
    organization_id uuid not null references public.organizations (id) on delete cascade,
    -- pair: a recipient, by contact id. management: calls about an account, by WABA.
    kind text not null check (kind in ('pair', 'management')),
    key text not null check (length(key) between 1 and 64),
    -- When what was taken so far is paid for.
    paid_at timestamptz not null,
    primary key (organization_id, kind, key)
);
comment on table public.rate_limits is 'How far each recipient and each account has borrowed from the time to come.';
create index rate_limits_paid_at_idx on public.rate_limits (paid_at);
create index rate_limits_account_idx on public.rate_limits (key, paid_at) where kind = 'management';

alter table public.send_permits enable row level security;
alter table public.rate_limits enable row level security;
revoke all on sequence public.send_permits_id_seq from public, anon, authenticated;
revoke all on public.send_permits, public.rate_limits from public, anon, authenticated;
grant select, insert, update, delete on public.send_permits, public.rate_limits to service_role;

create policy "Only the service handles permits" on public.send_permits
    for all to service_role
    using (true) with check (true);
create policy "Only the service handles rate limits" on public.rate_limits
    for all to service_role
    using (true) with check (true);

-- Takes up to `wanted` permits, each with the moment from which it may be used: now, or within `longest_wait`,
-- when another has come back. So whoever asks a little ahead loses no time on the way.
-- The caller's transaction holds the number's lock from here to its end: call it last.
create function private.take_permits(
    integration uuid, wanted integer, longest_wait interval default interval '0'
) returns table (permit bigint, starts_at timestamptz)
language plpgsql volatile
set search_path = ''
as $$
declare
    number public.whatsapp_integrations;
    per_second integer;
    used integer;
    clock timestamptz;
    latest timestamptz;
begin
    perform pg_advisory_xact_lock(hashtextextended('permits:' || integration::text, 0));
    select * into strict number from public.whatsapp_integrations as i where i.id = integration;
    per_second := private.per_second(number);
    clock := clock_timestamp();
    if number.sends_paused_until > clock then
        return;
    end if;

    delete from public.send_permits as p
    where p.organization_id = number.organization_id and p.integration_id = integration and p.free_at <= clock;
    select count(*), coalesce(max(p.starts_at), '-infinity') into used, latest
    from public.send_permits as p
    where p.organization_id = number.organization_id and p.integration_id = integration;

    return query
    with coming_back as (
        select p.free_at, row_number() over (order by p.free_at, p.id) as nr
        from public.send_permits as p
        where p.organization_id = number.organization_id and p.integration_id = integration
            and p.free_at <= clock + longest_wait
    ),
    granted as (
        -- Who can wait starts one after the other: all at once would come back at once, and be late at once, for ever.
        select w.nr, case
            when used + w.nr > per_second then c.free_at
            when longest_wait = interval '0' then clock
            else greatest(clock, latest + w.nr * interval '0.9 seconds' / per_second)
        end as at
        from generate_series(1, wanted) as w (nr)
        left join coming_back as c on c.nr = used + w.nr - per_second
    )
    -- In use until its holder tells, which takes no longer than a call to Meta may last.
    insert into public.send_permits (organization_id, integration_id, starts_at, free_at)
    select number.organization_id, integration, g.at, g.at + interval '26 seconds'
    from granted as g
    where g.at <= clock + longest_wait
    order by g.nr
    returning send_permits.id, send_permits.starts_at;
end
$$;

-- How many messages a second a number may send.
create function private.per_second(number public.whatsapp_integrations) returns integer
language sql immutable
set search_path = ''
as $$
    select case when number.is_coexistence then least(number.throughput, 20) else number.throughput end
$$;

-- When it is worth to ask again for a permit, for somebody who may wait for so long with one in hand.
create function private.next_permit_at(integration uuid, longest_wait interval) returns timestamptz
language sql volatile
set search_path = ''
as $$
    with number as materialized (
        select i.organization_id, i.id, i.sends_paused_until, private.per_second(i) as per_second
        from public.whatsapp_integrations as i
        where i.id = integration
    )
    select greatest(
        coalesce(min(p.free_at), clock_timestamp()) - longest_wait,
        (select n.sends_paused_until from number as n)
    )
    from (
        select p.free_at,
            row_number() over (order by p.free_at, p.id) > count(*) over () - n.per_second as is_enough
        from number as n
        join public.send_permits as p on p.organization_id = n.organization_id and p.integration_id = n.id
    ) as p
    where p.is_enough
$$;

-- Tells until when permits stay in use: each by our clock (`until`, seconds since 1970), or for so many `seconds`.
create function private.end_permits(permits jsonb) returns void
language sql volatile
set search_path = ''
as $$
    update public.send_permits as p set free_at = least(p.free_at, coalesce(
        to_timestamp((told ->> 'until')::float8),
        clock_timestamp() + make_interval(secs => greatest(0, (told ->> 'seconds')::float8))
    ))
    from jsonb_array_elements(permits) as told
    where p.id = (told ->> 'id')::bigint
$$;

-- Lets nobody send from a number for a while: Meta has asked to slow down.
create function private.pause_number(integration uuid, pause interval) returns void
language sql volatile
set search_path = ''
as $$
    update public.whatsapp_integrations as i set sends_paused_until = greatest(i.sends_paused_until, clock_timestamp() + pause)
    where i.id = integration and pause > interval '0'
$$;

-- Meta: one message to the same person each 6 seconds; up to 45 at once, borrowed. Half a second is left to
-- the way to Meta: what is late at the beginning of a burst must not look too early at its end.
create function private.pair_interval() returns interval
language sql immutable
set search_path = ''
as $$ select interval '6 seconds' $$;

create function private.pair_credit() returns interval
language sql immutable
set search_path = ''
as $$ select 44 * interval '6 seconds' - interval '500 milliseconds' $$;

-- After how long the contact may be sent one more; zero: now.
create function private.pair_wait(organization uuid, contact uuid, ahead integer default 0) returns interval
language sql stable
set search_path = ''
as $$
    select greatest(
        interval '0',
        greatest(max(r.paid_at), clock_timestamp()) + ahead * private.pair_interval()
            - private.pair_credit() - clock_timestamp()
    )
    from public.rate_limits as r
    where r.organization_id = organization and r.kind = 'pair' and r.key = contact::text
$$;

create type private.taken as (key text, count integer);

-- Takes from what each key may: the debt grows by `interval` a piece.
create function private.take_tokens(organization uuid, of_kind text, taken private.taken[], each_costs interval)
returns void
language sql volatile
set search_path = ''
as $$
    insert into public.rate_limits as r (organization_id, kind, key, paid_at)
    select organization, of_kind, t.key, clock_timestamp() + t.count * each_costs
    from unnest(taken) as t
    where t.key is not null
    order by t.key
    on conflict (organization_id, kind, key) do update set
        paid_at = greatest(r.paid_at, clock_timestamp()) + (excluded.paid_at - clock_timestamp())
$$;

-- Takes the right to so many management calls about an organization's account: 5,000 an hour once it is connected,
-- 200 before; a tenth of them at once. `platform_account`: about the platform's account, which the organization's
-- number is yet to be part of. All organizations of one account take from the same. Answers the seconds to wait;
-- 0: taken.
create function public.take_management_calls(
    integration uuid, wanted integer default 1, platform_account text default null
) returns double precision
language plpgsql volatile
set search_path = ''
as $$
declare
    number public.whatsapp_integrations;
    account text;
    per_hour integer;
    paid timestamptz;
begin
    select * into number from public.whatsapp_integrations as i where i.id = integration;
    account := coalesce(platform_account, number.business_account_id);
    if number.id is null or account is null then
        return 0;
    end if;
    -- Meta: 5,000 once a number of the account is registered, as the platform's own is; 200 before.
    per_hour := case
        when platform_account is not null or exists (
            select from public.whatsapp_integrations as i
            where i.business_account_id = account and i.status = 'connected'
        ) then 5000
        else 200
    end;
    perform pg_advisory_xact_lock(hashtextextended('management:' || account, 0));
    select greatest(max(r.paid_at), clock_timestamp()) + wanted * interval '1 hour' / per_hour into paid
    from public.rate_limits as r
    where r.kind = 'management' and r.key = account;
    if paid > clock_timestamp() + interval '6 minutes' then
        return extract(epoch from paid - clock_timestamp() - interval '6 minutes');
    end if;
    insert into public.rate_limits as r (organization_id, kind, key, paid_at)
    values (number.organization_id, 'management', account, paid)
    on conflict (organization_id, kind, key) do update set paid_at = excluded.paid_at;
    return 0;
end
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
revoke execute on function public.take_management_calls from public, anon, authenticated;
grant execute on function public.take_management_calls to service_role;
