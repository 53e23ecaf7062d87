-- Which events a replay takes up, a page at a time and the oldest first, so that it can stop and go on anywhere.

create function public.list_webhook_events(
    after_id bigint,
    page_size integer default 50,
    event_ids bigint[] default null,
    states text[] default null,
    integration uuid default null,
    received_from timestamptz default null,
    received_until timestamptz default null
) returns table (
    id bigint, source_integration_id uuid, state text, received_at timestamptz, body text, body_base64 text
)
language sql stable
set search_path = ''
as $$
    select
        e.id, e.source_integration_id, e.state::text, e.received_at, e.body,
        translate(encode(e.body_bytes, 'base64'), E'\n', '')
    from public.webhook_events as e
    where e.id > after_id
        and (event_ids is null or e.id = any (event_ids))
        and (states is null or e.state::text = any (states))
        and (received_from is null or e.received_at >= received_from)
        and (received_until is null or e.received_at < received_until)
        and (
            integration is null
            or e.source_integration_id = integration
            or e.organization_id = (select i.organization_id from public.whatsapp_integrations as i where i.id = integration)
            -- What came while the number was not connected is nobody's yet.
            or e.state = 'unassigned'
        )
    order by e.id
    limit page_size
$$;
revoke execute on function public.list_webhook_events from public, anon, authenticated;
grant execute on function public.list_webhook_events to service_role;

-- What came for a number, or for its account, within a day before it was connected and is nobody's yet.
create function public.list_early_events(integration uuid, after_id bigint default 0, page_size integer default 20)
returns table (id bigint, source_integration_id uuid, received_at timestamptz, body text, body_base64 text)
language sql stable
set search_path = ''
as $$
    select e.id, e.source_integration_id, e.received_at, e.body, null::text
    from public.whatsapp_integrations as i
    join public.webhook_events as e
        on strpos(e.body, i.phone_number_id) > 0 or strpos(e.body, i.business_account_id) > 0
    where i.id = integration and e.id > after_id and e.state in ('unassigned', 'partial')
        and e.received_at > now() - interval '1 day'
        and (e.source_integration_id is null or e.source_integration_id = i.id)
        and exists (
            select from public.webhook_problems as p
            where p.event_id = e.id and p.reason in ('unknown_number', 'not_covered_by_secret')
        )
    order by e.id
    limit page_size
$$;
revoke execute on function public.list_early_events from public, anon, authenticated;
grant execute on function public.list_early_events to service_role;
