-- Meta's limits, kept by the database's clock, so that any number of workers on any machines share them.
--
-- Per number: at most n messages in any second. A permit is taken before a send and comes back one second after
-- the send was certainly over; so no window of one second can ever hold more than n, however long anybody stalls.
-- Per recipient and per account: one each interval, with a burst that is borrowed from the time to come.

create table public.send_permits (
    id bigint generated always as identity primary key,
    organization_id uuid not null,
    integration_id uuid not null,
    count integer not null check (count > 0),
    free_at timestamptz not null,
    foreign key (organization_id, integration_id)
        references public.whatsapp_integrations (organization_id, id) on delete cascade
);
comment on table public.send_permits is 'Permits to send that are in use, by the number, until free_at.';
create index send_permits_integration_idx on public.send_permits (organization_id, integration_id, free_at);

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

-- Takes up to `wanted` permits at once. With none free now, reserves a single one that is free within
-- `longest_wait`; `wait` says after how long it may be used, or when it is worth to ask again.
-- The caller's transaction holds the number's lock from here to its end: call it last.
create function private.take_permits(
    integration uuid, wanted integer, longest_wait interval default interval '0',
    out granted integer, out permit bigint, out wait interval
)
language plpgsql volatile
set search_path = ''
as $$
declare
    number public.whatsapp_integrations;
    per_second integer;
    used integer;
    clock timestamptz;
    next_at timestamptz;
begin
    perform pg_advisory_xact_lock(hashtextextended('permits:' || integration::text, 0));
    select * into strict number from public.whatsapp_integrations as i where i.id = integration;
    per_second := case when number.is_coexistence then least(number.throughput, 20) else number.throughput end;
    clock := clock_timestamp();

    delete from public.send_permits as p
    where p.organization_id = number.organization_id and p.integration_id = integration and p.free_at <= clock;
    select coalesce(sum(p.count), 0) into used
    from public.send_permits as p
    where p.organization_id = number.organization_id and p.integration_id = integration;

    granted := least(wanted, per_second - used);
    wait := interval '0';
    if granted <= 0 then
        -- The moment at which enough has come back: for one that is reserved now, or for a few at once.
        select min(f.free_at) into next_at
        from (
            select p.free_at, sum(p.count) over (order by p.free_at, p.id) as freed
            from public.send_permits as p
            where p.organization_id = number.organization_id and p.integration_id = integration
        ) as f
        where f.freed >= used - per_second
            + case when longest_wait > interval '0' then 1 else greatest(1, least(wanted, per_second / 20)) end;
        wait := next_at - clock;
        granted := case when wait <= longest_wait then 1 else 0 end;
    end if;

    if granted > 0 then
        -- Until its holder tells, as long as a call to Meta may last.
        insert into public.send_permits (organization_id, integration_id, count, free_at)
        values (number.organization_id, integration, granted, clock + wait + interval '26 seconds')
        returning id into permit;
    end if;
end
$$;

-- Tells until when permits stay in use: `seconds` from now.
create function private.end_permits(permits jsonb) returns void
language sql volatile
set search_path = ''
as $$
    update public.send_permits as p set
        free_at = least(p.free_at, clock_timestamp() + make_interval(secs => greatest(0, (told ->> 'seconds')::float8)))
    from jsonb_array_elements(permits) as told
    where p.id = (told ->> 'id')::bigint
$$;

-- Lets nobody send from a number for a while: Meta has asked to slow down.
create function private.pause_number(integration uuid, pause interval) returns void
language sql volatile
set search_path = ''
as $$
    insert into public.send_permits (organization_id, integration_id, count, free_at)
    select i.organization_id, i.id, i.throughput, clock_timestamp() + pause
    from public.whatsapp_integrations as i
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

-- Takes the right to so many management calls about an organization's account: 5,000 an hour, a tenth of them
-- at once. Answers the seconds to wait; 0: taken.
create function public.take_management_calls(integration uuid, wanted integer default 1) returns double precision
language plpgsql volatile
set search_path = ''
as $$
declare
    number public.whatsapp_integrations;
    each_costs interval;
    per_hour integer;
    wait interval;
begin
    select * into number from public.whatsapp_integrations as i where i.id = integration;
    if number.business_account_id is null then
        return 0;
    end if;
    -- 5,000 once a number of the account is registered, 200 before.
    per_hour := case when number.status = 'connected' then 5000 else 200 end;
    each_costs := interval '1 hour' / per_hour;
    perform pg_advisory_xact_lock(hashtextextended('management:' || number.business_account_id, 0));
    select greatest(max(r.paid_at), clock_timestamp()) + wanted * each_costs - clock_timestamp() - interval '6 minutes'
    into wait
    from public.rate_limits as r
    where r.organization_id = number.organization_id and r.kind = 'management' and r.key = number.business_account_id;
    if wait > interval '0' then
        return extract(epoch from wait);
    end if;
    perform private.take_tokens(
        number.organization_id, 'management', array[row(number.business_account_id, wanted)::private.taken], each_costs
    );
    return 0;
end
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
revoke execute on function public.take_management_calls from public, anon, authenticated;
grant execute on function public.take_management_calls to service_role;
