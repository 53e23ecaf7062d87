-- What Meta has of a connection is read when it comes about: number, profile, templates; and, where the number
-- stays in the WhatsApp Business app, its contacts and its chats of the last months, asked for once.

create type public.sync_kind as enum ('number', 'profile', 'templates', 'contacts', 'history');
create type public.sync_state as enum ('asking', 'requested', 'running', 'done', 'refused', 'failed', 'not_offered');

create table public.connection_syncs (
    integration_id uuid not null,
    organization_id uuid not null,
    kind public.sync_kind not null,
    state public.sync_state not null,
    -- Of the history, in percent as Meta tells it; its chunks come in any order.
    progress integer not null default 0 check (progress between 0 and 100),
    chunk_count integer not null default 0,
    -- What was found: how many templates, the profile.
    content jsonb not null default '{}',
    -- Meta's code, where it refused.
    error_code integer,
    asked_at timestamptz not null default now(),
    finished_at timestamptz,
    updated_at timestamptz not null default now(),
    primary key (integration_id, organization_id, kind),
    foreign key (integration_id, organization_id)
        references public.whatsapp_integrations (id, organization_id) on delete cascade
);
comment on table public.connection_syncs is 'How far reading a new connection has come, for each kind of thing that Meta has.';
create index connection_syncs_organization_id_idx on public.connection_syncs (organization_id);
create index connection_syncs_awaited_idx on public.connection_syncs (organization_id)
    where kind = 'contacts' and state in ('asking', 'requested');

alter table public.connection_syncs enable row level security;
revoke all on public.connection_syncs from public, anon, authenticated;
grant select on public.connection_syncs to authenticated;
grant select, insert, update, delete on public.connection_syncs to service_role;

create policy "Members can see how far reading has come" on public.connection_syncs
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));

create trigger connection_syncs_touch_updated_at
    before update on public.connection_syncs
    for each row execute function private.touch_updated_at();

-- A connection that comes about is read, and what waited for it goes on; one that ends, or
-- whose account left (a phone app may do so by itself), begins anew another time.
create function private.follow_connection() returns trigger
language plpgsql volatile
set search_path = ''
as $$
begin
    if new.status = 'connected' and old.status <> 'connected' then
        insert into public.jobs (organization_id, kind, key, payload)
        values (
            new.organization_id, 'sync_connection', new.id || ':' || extract(epoch from clock_timestamp()),
            jsonb_build_object('integration_id', new.id)
        );
        perform private.revive_media(new.organization_id);
    elsif new.status = 'disconnected' or (new.status = 'error' and new.error_code like 'account\_%') then
        delete from public.connection_syncs as s where s.integration_id = new.id;
    end if;
    return null;
end
$$;

create trigger whatsapp_integrations_follow_change
    after update of status, error_code on public.whatsapp_integrations
    for each row when ((old.status, old.error_code) is distinct from (new.status, new.error_code))
    execute function private.follow_connection();

-- Whether contacts or history are still to be asked for: each once. Whoever is told true must tell what came of it;
-- who was killed in between is followed by another after a minute.
create function public.begin_sync(number_id text, wanted public.sync_kind) returns boolean
language plpgsql volatile
set search_path = ''
as $$
begin
    insert into public.connection_syncs as s (integration_id, organization_id, kind, state)
    select i.id, i.organization_id, wanted, 'asking'
    from public.whatsapp_integrations as i
    where i.phone_number_id = number_id and i.status <> 'disconnected'
    order by (i.status = 'connected') desc, i.updated_at desc
    limit 1
    on conflict (integration_id, organization_id, kind) do update set state = 'asking', asked_at = now()
    where s.state = 'failed' or (s.state = 'asking' and s.asked_at < now() - interval '1 minute');
    return found;
end
$$;

-- Whether somebody is asking right now, or was cut off while asking.
create function public.is_asking_sync(integration uuid) returns boolean
language sql stable
set search_path = ''
as $$
    select exists (
        select from public.connection_syncs as s where s.integration_id = integration and s.state = 'asking'
    )
$$;

create function public.finish_sync(
    number_id text, wanted public.sync_kind, reached public.sync_state, found jsonb default '{}', code integer default null
) returns void
language sql volatile
set search_path = ''
as $$
    insert into public.connection_syncs as s (
        integration_id, organization_id, kind, state, content, error_code, finished_at
    )
    select
        i.id, i.organization_id, wanted, reached, found, code,
        case when reached in ('done', 'refused', 'failed', 'not_offered') then now() end
    from public.whatsapp_integrations as i
    where i.phone_number_id = number_id and i.status <> 'disconnected'
    order by (i.status = 'connected') desc, i.updated_at desc
    limit 1
    on conflict (integration_id, organization_id, kind) do update set
        state = case
            -- The first chunks may come before Meta's answer to the question.
            when excluded.state = 'requested' and s.state in ('running', 'done', 'refused') then s.state
            else excluded.state
        end,
        content = excluded.content,
        error_code = excluded.error_code,
        finished_at = case when excluded.state = 'requested' then s.finished_at else excluded.finished_at end
$$;

-- The history's own news: how far it is, or that the business shares none (2593109).
create function private.learn_sync() returns trigger
language plpgsql volatile
set search_path = ''
as $$
declare
    told integer;
begin
    if new.event = 'SYNC_PROGRESS' then
        told := case
            when new.content ->> 'progress' ~ '^[0-9]{1,3}$' then least(100, (new.content ->> 'progress')::integer)
            else 0
        end;
    elsif new.event <> '2593109' then
        return null;
    end if;
    insert into public.connection_syncs as s (
        integration_id, organization_id, kind, state, progress, chunk_count, error_code, finished_at
    )
    values (
        new.integration_id, new.organization_id, 'history',
        case when told is null then 'refused' when told = 100 then 'done' else 'running' end::public.sync_state,
        coalesce(told, 0), case when told is null then 0 else 1 end, case when told is null then 2593109 end,
        case when told is null or told = 100 then now() end
    )
    on conflict (integration_id, organization_id, kind) do update set
        state = case when s.state = 'done' then s.state else excluded.state end,
        progress = greatest(s.progress, excluded.progress),
        chunk_count = s.chunk_count + excluded.chunk_count,
        error_code = excluded.error_code,
        finished_at = coalesce(s.finished_at, excluded.finished_at);
    return null;
end
$$;

create trigger notices_learn_sync
    after insert on public.notices
    for each row when (new.field = 'history')
    execute function private.learn_sync();

-- The contacts have come when the first of them has.
create function private.learn_contacts_sync() returns trigger
language plpgsql volatile
set search_path = ''
as $$
begin
    update public.connection_syncs as s set state = 'done', finished_at = now(), progress = 100
    where s.kind = 'contacts' and s.state in ('asking', 'requested')
        and s.organization_id in (select f.organization_id from fresh as f where f.saved_name is not null);
    return null;
end
$$;

create trigger contacts_learn_sync
    after update on public.contacts
    referencing new table as fresh
    for each statement execute function private.learn_contacts_sync();

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
revoke execute on function
    public.begin_sync, public.is_asking_sync, public.finish_sync from public, anon, authenticated;
grant execute on function public.begin_sync, public.is_asking_sync, public.finish_sync to service_role;
