-- Attachments on their way from Meta to Supabase Storage: a job each, its result and its end written together.

create index message_media_pending_idx on public.message_media (created_at) where state = 'pending';

-- What the worker must know to fetch an attachment; `twin` is where the organization has the same bytes already.
create function public.begin_media(job bigint, token bigint) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object(
        'message_id', m.id, 'organization_id', m.organization_id, 'integration_id', i.id,
        'phone_number_id', i.phone_number_id, 'media_id', a.media_id, 'mime_type', a.mime_type, 'sha256', a.sha256,
        'filename', a.filename, 'state', a.state, 'is_old', m.occurred_at < now() - interval '7 days',
        'twin', (
            select jsonb_build_object('storage_path', t.storage_path, 'byte_count', t.byte_count, 'sha256', t.sha256)
            from public.message_media as t
            where t.organization_id = a.organization_id and t.sha256 = a.sha256 and t.state = 'stored'
                and split_part(t.mime_type, ';', 1) = split_part(a.mime_type, ';', 1)
            limit 1
        )
    )
    from public.jobs as j
    join public.messages as m on m.id = (j.payload ->> 'message_id')::uuid and m.organization_id = j.organization_id
    join public.message_media as a on a.message_id = m.id and a.organization_id = m.organization_id
    left join public.whatsapp_integrations as i on i.organization_id = m.organization_id
    where j.id = job and j.lease_token = token and j.state = 'running'
$$;

-- Writes where the bytes are, or why there are none, and ends the job; false when the lease was lost.
create function public.finish_media(job bigint, token bigint, result jsonb) returns boolean
language plpgsql volatile
set search_path = ''
as $$
declare
    message uuid;
    organization uuid;
begin
    if not private.hold_job(job, token) then
        return false;
    end if;
    select (j.payload ->> 'message_id')::uuid, j.organization_id into message, organization
    from public.jobs as j where j.id = job;
    update public.message_media as a set
        state = (result ->> 'state')::public.media_state,
        failure_reason = result ->> 'failure_reason',
        storage_path = result ->> 'storage_path',
        byte_count = coalesce((result ->> 'byte_count')::bigint, a.byte_count),
        mime_type = coalesce(result ->> 'mime_type', a.mime_type),
        sha256 = coalesce(result ->> 'sha256', a.sha256)
    where a.message_id = message and a.organization_id = organization and a.state <> 'stored';
    perform private.end_job(job, result ->> 'failure_reason');
    return true;
end
$$;

-- Attachments that failed only because nobody could speak to Meta are fetched when somebody can again.
create function private.revive_media(organization uuid) returns void
language sql volatile
set search_path = ''
as $$
    with revived as (
        update public.message_media as a set state = 'pending', failure_reason = null
        from public.messages as m
        where a.organization_id = organization and a.state = 'failed' and a.failure_reason in ('no_access', 'unavailable')
            and m.id = a.message_id and m.organization_id = a.organization_id
            and m.occurred_at > now() - interval '7 days'
        returning a.message_id
    )
    update public.jobs as j set state = 'ready', run_at = clock_timestamp(), finished_at = null, attempts = 0
    from revived as r
    where j.kind = 'fetch_media' and j.key = r.message_id::text and j.state in ('done', 'dead')
$$;

-- Where an attachment lies, for the service to hand out; members were let in by the table's own policy before.
create function public.find_media(message uuid) returns jsonb
language sql stable
set search_path = ''
as $$
    select jsonb_build_object('storage_path', a.storage_path, 'organization_id', a.organization_id)
    from public.message_media as a
    where a.message_id = message and a.state = 'stored'
$$;

-- Storage, where there is one: a closed bucket whose first folder is the organization.
do $$
begin
    if to_regclass('storage.buckets') is null or to_regclass('storage.objects') is null then
        return;
    end if;
    insert into storage.buckets (id, name, public, file_size_limit)
    values ('whatsapp-media', 'whatsapp-media', false, 104857600)
    on conflict (id) do nothing;
    if not exists (
        select from pg_catalog.pg_policies as p
        where p.schemaname = 'storage' and p.tablename = 'objects'
            and p.policyname = 'Members can read their WhatsApp attachments'
    ) then
        create policy "Members can read their WhatsApp attachments" on storage.objects
            for select to authenticated
            using (
                bucket_id = 'whatsapp-media'
                and split_part(name, '/', 1) in (select o.id::text from private.my_organization_ids() as o (id))
            );
    end if;
end
$$;

revoke execute on all functions in schema private from public;
grant execute on all functions in schema private to service_role;
revoke execute on function public.begin_media, public.finish_media, public.find_media from public, anon, authenticated;
grant execute on function public.begin_media, public.finish_media, public.find_media to service_role;
