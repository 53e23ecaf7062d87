-- What the dashboard needs of Supabase's other parts, where they are there: Realtime and Storage.

do $$
declare
    wanted text;
begin
    -- Realtime tells that something changed; row-level security decides whom. What changed is read by a query.
    if exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime') then
        foreach wanted in array array['chats', 'messages'] loop
            if not exists (
                select from pg_catalog.pg_publication_tables
                where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = wanted
            ) then
                execute format('alter publication supabase_realtime add table public.%I', wanted);
            end if;
        end loop;
    end if;

    -- An agent's own files lie beside what customers sent, in a folder that only their organization reaches.
    if to_regclass('storage.objects') is not null and not exists (
        select from pg_catalog.pg_policies as p
        where p.schemaname = 'storage' and p.tablename = 'objects'
            and p.policyname = 'Members can add files to send by WhatsApp'
    ) then
        create policy "Members can add files to send by WhatsApp" on storage.objects
            for insert to authenticated
            with check (
                bucket_id = 'whatsapp-media'
                and split_part(name, '/', 1) in (select o.id::text from private.my_organization_ids() as o (id))
                and split_part(name, '/', 2) = 'outgoing'
            );
    end if;
end
$$;
