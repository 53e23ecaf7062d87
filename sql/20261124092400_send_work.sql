-- The worker's side of the queue: claim with a lease, start under the number's pace, and heal what was left lying.

-- Claims up to `wanted` waiting messages of each connected number for a minute. What the worker gets is only
-- reserved: before a send it must start it. Also puts in order what killed workers left.
-- Answers {claimed: [send + {lease_token, attempts}], next_seconds, is_held_up}: when the next one is due, null if
-- none waits; and whether some wait only for an earlier one of their chat.
-- Numbers in `except_for` are left alone: the worker has enough of theirs.
create function public.claim_sends(wanted integer default 100, except_for uuid[] default '{}') returns jsonb
language plpgsql volatile
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
as $$
declare
    claimed jsonb;
    left_over jsonb;
begin
    perform private.heal_sends();
    with recursive numbers as (
        -- The numbers that have something waiting, one index probe each.
        (select q.integration_id from public.send_queue as q where q.lease_until is null order by q.integration_id limit 1)
        union all
        select (
            select q.integration_id from public.send_queue as q
            where q.lease_until is null and q.integration_id > n.integration_id
            order by q.integration_id limit 1
        )
        from numbers as n
        where n.integration_id is not null
    ),
    due as (
        select d.message_id
        from numbers as n
        join public.whatsapp_integrations as i on i.id = n.integration_id and i.status = 'connected' and i.id <> all (except_for)
        cross join lateral (
            select q.message_id from public.send_queue as q
            where q.integration_id = n.integration_id and q.lease_until is null and q.run_at <= clock_timestamp()
                -- Whoever has the earlier one: until its outcome is known, it may still have to be sent again.
                and not exists (
                    select from public.send_queue as e
                    where e.chat_id = q.chat_id
                        and (e.priority, e.written_at, e.message_id) < (q.priority, q.written_at, q.message_id)
                )
            order by q.priority, q.run_at, q.message_id
            -- Half a second's worth: what one worker holds, no other can send.
            limit least(wanted, greatest(20, private.per_second(i) / 2))
            for update skip locked
        ) as d
    ),
    leased as (
        update public.send_queue as q set
            lease_token = q.lease_token + 1, lease_until = clock_timestamp() + interval '60 seconds'
        from due as d
        where q.message_id = d.message_id
        returning q.*
    )
    select coalesce(jsonb_agg(
        private.show_send(m, i) || jsonb_build_object(
            'lease_token', l.lease_token, 'attempts', l.attempts, 'per_second', private.per_second(i)
        )
        order by l.priority, l.run_at, l.message_id
    ), '[]')
    into claimed
    from leased as l
    join public.messages as m on m.id = l.message_id
    join public.whatsapp_integrations as i on i.id = l.integration_id;

    select jsonb_build_object(
        'next_seconds',
        -- Null where there is none: greatest() would make a zero of it.
        case when min(w.run_at) filter (where not w.is_held_up) is not null then greatest(0, extract(
            epoch from min(greatest(w.run_at, w.sends_paused_until)) filter (where not w.is_held_up) - clock_timestamp()
        )) end,
        'is_held_up', coalesce(bool_or(w.is_held_up), false)
    )
    into left_over
    from (
        select q.run_at, i.sends_paused_until, exists (
            select from public.send_queue as e
            where e.chat_id = q.chat_id
                and (e.priority, e.written_at, e.message_id) < (q.priority, q.written_at, q.message_id)
        ) as is_held_up
        from public.send_queue as q
        join public.whatsapp_integrations as i on i.id = q.integration_id and i.status = 'connected'
        where q.lease_until is null and i.id <> all (except_for)
    ) as w;
    return left_over || jsonb_build_object('claimed', claimed);
end
$$;

-- Starts as many of these claimed sends (all of one number, in this order) as the pace allows within
-- `wait_seconds`, and renews the lease of the others. Once this is committed they count as on their way, so they
-- must be sent when they may. Answers, all times in seconds since 1970 by the database's clock,
-- {clock, started: [{message_id, lease_token, permit, starts_at}], kept: [{message_id, lease_token}], ask_at}. What is
-- neither is no longer the worker's: cancelled, refused, put off for its recipient's sake, or claimed anew after
-- the lease; maybe by the same worker, so that only the token tells which claim is meant.
create function public.start_sends(integration uuid, sends jsonb, wait_seconds float8 default 0) returns jsonb
language plpgsql volatile
set search_path = ''
set plan_cache_mode = 'force_custom_plan'
as $$
declare
    number public.whatsapp_integrations;
    mine uuid[];
    ready uuid[];
    started jsonb;
    longest_wait interval := make_interval(secs => wait_seconds);
begin
    mine := array(
        select q.message_id
        from public.send_queue as q
        join jsonb_array_elements(sends) as s on q.message_id = (s ->> 'message_id')::uuid
        where q.integration_id = integration and q.lease_token = (s ->> 'lease_token')::bigint
            and q.lease_until is not null and not q.is_started
        order by q.message_id
        for update of q
    );
    select * into strict number from public.whatsapp_integrations as i where i.id = integration;
    if number.status <> 'connected' then
        -- Paused until somebody reconnects: they wait where they were.
        update public.send_queue as q set lease_until = null where q.message_id = any (mine);
        return jsonb_build_object(
            'clock', extract(epoch from clock_timestamp()), 'started', '[]'::jsonb, 'kept', '[]'::jsonb, 'ask_at', null
        );
    end if;
    update public.send_queue as q set lease_until = clock_timestamp() + interval '60 seconds'
    where q.message_id = any (mine) and q.lease_until < clock_timestamp() + interval '40 seconds';

    -- The window may have closed while they waited.
    with closed as (
        delete from public.send_queue as q
        using public.messages as m
        where q.message_id = any (mine) and m.id = any (mine) and m.id = q.message_id and m.type <> 'template'
            -- Looked up for each: a join would rather read all chats.
            and coalesce((select c.window_expires_at from public.chats as c where c.id = m.chat_id), '-infinity') <= now()
        returning q.message_id
    )
    update public.messages as m set failed_at = now(), error_code = 131047, error_message = 'The window has closed.'
    from closed where m.id = closed.message_id;

    -- Accepted for another account, where the name may have been theirs.
    if number.has_platform_token then
        with not_theirs as (
            delete from public.send_queue as q
            using public.messages as m
            where q.message_id = any (mine) and m.id = any (mine) and m.id = q.message_id and m.type = 'template'
                and not private.owns_template(integration, m.content -> 'template' ->> 'name')
            returning q.message_id
        )
        update public.messages as m set failed_at = now(), error_code = null, error_message = 'template_not_found'
        from not_theirs where m.id = not_theirs.message_id;
    end if;

    -- Whose recipient must not be sent more for now; put off to the moment from which they may.
    with waiting as (
        select q.message_id, private.pair_wait(m.organization_id, m.contact_id, (row_number() over (
            partition by m.contact_id order by q.priority, q.run_at, q.message_id
        ))::integer - 1) as wait
        from public.send_queue as q join public.messages as m on m.id = q.message_id
        where q.message_id = any (mine) and m.id = any (mine)
    )
    update public.send_queue as q set lease_until = null, run_at = clock_timestamp() + w.wait
    from waiting as w
    where q.message_id = w.message_id and w.wait > interval '0';

    ready := array(
        select q.message_id
        from public.send_queue as q
        join jsonb_array_elements(sends) with ordinality as s (send, nr)
            on q.message_id = (s.send ->> 'message_id')::uuid and q.lease_token = (s.send ->> 'lease_token')::bigint
        where q.message_id = any (mine) and q.lease_until is not null
        group by q.message_id
        order by min(s.nr)
    );
    with granted as (
        select t.permit, t.starts_at, row_number() over (order by t.permit) as nr
        from private.take_permits(integration, cardinality(ready), longest_wait) as t
    )
    select coalesce(jsonb_agg(jsonb_build_object(
        'message_id', q.message_id, 'lease_token', q.lease_token, 'permit', g.permit,
        'starts_at', extract(epoch from g.starts_at)
    ) order by g.nr), '[]')
    into started
    from granted as g
    join public.send_queue as q on q.message_id = ready[g.nr];
    ready := ready[:jsonb_array_length(started)];
    update public.send_queue as q set is_started = true where q.message_id = any (ready);
    update public.messages as m set attempted_at = clock_timestamp() where m.id = any (ready);
    perform private.take_tokens(number.organization_id, 'pair', array(
        select row(m.contact_id::text, count(*))::private.taken
        from public.messages as m
        where m.id = any (ready) and m.contact_id is not null
        group by m.contact_id
    ), private.pair_interval());

    return jsonb_build_object(
        'clock', extract(epoch from clock_timestamp()),
        'started', started,
        'kept', (
            select coalesce(jsonb_agg(jsonb_build_object('message_id', q.message_id, 'lease_token', q.lease_token)), '[]')
            from public.send_queue as q
            where q.message_id = any (mine) and q.lease_until is not null and not q.is_started
        ),
        'ask_at', extract(epoch from private.next_permit_at(integration, longest_wait))
    );
end
$$;

-- Gives claimed sends back that were not started: the worker is going away.
create function public.release_sends(sends jsonb) returns void
language sql volatile
set search_path = ''
as $$
    update public.send_queue as q set lease_until = null
    from jsonb_array_elements(sends) as s
    where q.message_id = (s ->> 'message_id')::uuid and q.lease_token = (s ->> 'lease_token')::bigint
        and not q.is_started
$$;

-- What somebody was killed over: sends that were never started return, those that were are uncertain.
create function private.heal_sends() returns void
language plpgsql volatile
set search_path = ''
as $$
begin
    with left_behind as (
        select q.message_id, q.is_started from public.send_queue as q
        where q.lease_until < clock_timestamp()
        order by q.message_id limit 1000
        for update skip locked
    ),
    returned as (
        update public.send_queue as q set lease_until = null
        from left_behind as l where q.message_id = l.message_id and not l.is_started
    ),
    ended as (
        delete from public.send_queue as q
        using left_behind as l where q.message_id = l.message_id and l.is_started
        returning q.message_id
    )
    update public.messages as m set uncertain_at = now()
    from ended as e
    where m.id = e.message_id and m.wamid is null and m.failed_at is null and m.uncertain_at is null;

    -- A function that was killed between Meta and us leaves no lease. It had two minutes, three times its timeout.
    update public.messages as m set uncertain_at = now()
    where m.id in (
        select s.id from public.messages as s
        where s.attempted_at < now() - interval '2 minutes'
            and s.wamid is null and s.failed_at is null and s.uncertain_at is null and s.attempted_at is not null
            and not exists (select from public.send_queue as q where q.message_id = s.id)
        order by s.id limit 1000
        for update skip locked
    );

    delete from public.idempotency_keys as k
    where (k.organization_id, k.key) in (
        select o.organization_id, o.key from public.idempotency_keys as o
        where o.created_at < now() - interval '7 days' order by o.created_at limit 100
        for update skip locked
    );
    delete from public.rate_limits as r
    where (r.organization_id, r.kind, r.key) in (
        select o.organization_id, o.kind, o.key from public.rate_limits as o
        where o.paid_at < now() - interval '1 hour' order by o.paid_at limit 100
        for update skip locked
    );
end
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
revoke execute on function public.claim_sends, public.start_sends, public.release_sends from public, anon, authenticated;
grant execute on function public.claim_sends, public.start_sends, public.release_sends to service_role;
