-- An attachment has a state of its own: its message is stored first, whatever becomes of the bytes.

create type public.media_state as enum ('pending', 'stored', 'failed', 'expired');

create table public.message_media (
    message_id uuid not null,
    organization_id uuid not null,
    -- Meta's id: valid 7 days for what arrives, 30 days for what we upload.
    media_id text,
    mime_type text,
    -- Hex, however Meta wrote it.
    sha256 text,
    filename text,
    is_voice boolean not null default false,
    is_animated boolean not null default false,
    state public.media_state not null default 'pending',
    failure_reason text,
    byte_count bigint,
    storage_path text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (message_id, organization_id),
    foreign key (message_id, organization_id) references public.messages (id, organization_id) on delete cascade,
    constraint stored_means_somewhere check ((state = 'stored') = (storage_path is not null)),
    constraint failed_means_why check ((state = 'failed') = (failure_reason is not null))
);
comment on table public.message_media is 'The attachment of a message and how far its bytes have come.';
create index message_media_sha256_idx on public.message_media (sha256, organization_id);

alter table public.message_media enable row level security;
revoke all on public.message_media from public, anon, authenticated;
grant select (
    message_id, organization_id, mime_type, sha256, filename, is_voice, is_animated, state, failure_reason,
    byte_count, created_at, updated_at
) on public.message_media to authenticated;
grant select, insert, update, delete on public.message_media to service_role;

create policy "Members can see their attachments" on public.message_media
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));

create trigger message_media_touch_updated_at
    before update on public.message_media
    for each row execute function private.touch_updated_at();
