-- How the work stands: what an operator's graphs and alarms are made of.

create index jobs_dead_idx on public.jobs (kind) where state = 'dead';
-- Rows lie in the order of their birth: a few pages of index find the newest, however many there are.
create index messages_created_at_idx on public.messages using brin (created_at)
    with (pages_per_range = 32, autosummarize = on);

insert into public.job_schedules (kind, every, what) values
    ('measure_work', '1 minute', 'Tells the log how much waits, and for how long.');

-- Answers, all ages in seconds:
--   jobs         [{kind, waiting, delayed, running, dead, oldest_seconds}]: waiting is due, delayed is not yet
--   sends        {waiting, delayed, in_flight, oldest_seconds}, of numbers that are connected
--   connections  {<status>: count}
--   tokens       {ending, least_days}: of connected numbers, ending within a week; null where no token ends
--   recent       {seconds, deliveries: {<state>: count}, lag: [median, p95, longest] | null,
--                sends: [{status, code, count}]}: what came and was sent in the last `recent_seconds`
create function public.measure_work(recent_seconds integer default 300) returns jsonb
language sql stable
set search_path = ''
as $$
    with living as (
        select
            j.kind, j.state,
            case when j.state = 'ready' then extract(epoch from clock_timestamp() - j.run_at) end as age
        from public.jobs as j
        where j.state in ('ready', 'running')
        union all
        select j.kind, j.state, null from public.jobs as j where j.state = 'dead'
    ),
    jobs as (
        select
            l.kind,
            count(*) filter (where l.age >= 0) as waiting,
            count(*) filter (where l.age < 0) as delayed,
            count(*) filter (where l.state = 'running') as running,
            count(*) filter (where l.state = 'dead') as dead,
            coalesce(max(l.age) filter (where l.age >= 0), 0) as oldest_seconds
        from living as l
        group by l.kind
    ),
    queue as (
        select
            q.lease_until is not null as is_taken,
            extract(epoch from clock_timestamp() - greatest(q.run_at, i.sends_paused_until)) as age
        from public.send_queue as q
        join public.whatsapp_integrations as i on i.id = q.integration_id and i.status = 'connected'
    ),
    since as (
        select clock_timestamp() - make_interval(secs => recent_seconds) as at
    ),
    sends as (
        select m.status::text as status, m.error_code as code, count(*) as count
        from since as s
        join public.messages as m on m.created_at >= s.at
        where m.direction = 'outbound' and m.origin = 'live'
        group by m.status, m.error_code
    ),
    lag as (
        select percentile_cont(array[0.5, 0.95, 1]) within group (
            order by greatest(0, extract(epoch from m.created_at - m.occurred_at))
        ) as seconds
        from since as s
        join public.messages as m on m.created_at >= s.at
        where m.direction = 'inbound' and m.origin = 'live'
    )
    select jsonb_build_object(
        'jobs', (select coalesce(jsonb_agg(to_jsonb(j) order by j.kind), '[]') from jobs as j),
        'sends', (
            select jsonb_build_object(
                'waiting', count(*) filter (where not q.is_taken and q.age >= 0),
                'delayed', count(*) filter (where not q.is_taken and q.age < 0),
                'in_flight', count(*) filter (where q.is_taken),
                'oldest_seconds', coalesce(max(q.age) filter (where not q.is_taken and q.age >= 0), 0)
            )
            from queue as q
        ),
        'connections', (
            select coalesce(jsonb_object_agg(c.status, c.count), '{}')
            from (
                select i.status::text as status, count(*) as count
                from public.whatsapp_integrations as i
                group by i.status
            ) as c
        ),
        'tokens', (
            select jsonb_build_object(
                'ending', count(*) filter (where i.token_expires_at < clock_timestamp() + interval '7 days'),
                'least_days', extract(epoch from min(i.token_expires_at) - clock_timestamp()) / 86400
            )
            from public.whatsapp_integrations as i
            where i.status = 'connected' and i.token_expires_at is not null
        ),
        'recent', jsonb_build_object(
            'seconds', recent_seconds,
            'deliveries', (
                select coalesce(jsonb_object_agg(d.state, d.count), '{}')
                from (
                    select e.state::text as state, count(*) as count
                    from since as s
                    join public.webhook_events as e on e.received_at >= s.at
                    group by e.state
                ) as d
            ),
            'lag', (select to_jsonb(l.seconds) from lag as l),
            'sends', (select coalesce(jsonb_agg(to_jsonb(s) order by s.status, s.code), '[]') from sends as s)
        )
    )
$$;

revoke execute on function public.measure_work from public, anon, authenticated;
grant execute on function public.measure_work to service_role;
