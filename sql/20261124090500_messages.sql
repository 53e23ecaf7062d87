-- Messages, and what Meta says became of those we sent.

create type public.message_direction as enum ('inbound', 'outbound');
-- live: as it happened; standby: as it happened, while another app holds the conversation; echo: written in the
-- business's own phone app; history: imported on connecting.
create type public.message_origin as enum ('live', 'standby', 'echo', 'history');
-- In lifecycle order: greatest() never goes back. A success (delivered …) outranks a failure, early or late.
create type public.message_status as enum (
    'received', 'queued', 'cancelled', 'sending', 'uncertain', 'accepted', 'sent', 'failed', 'delivered', 'read',
    'played'
);

create table public.messages (
    id uuid not null default gen_random_uuid(),
    organization_id uuid not null,
    chat_id uuid not null,
    -- Who wrote it (inbound) or to whom it goes; null for what goes to a group.
    contact_id uuid,
    wamid text check (length(wamid) between 1 and 512),
    direction public.message_direction not null,
    origin public.message_origin not null default 'live',
    type text not null check (length(type) between 1 and 64),
    text text,
    content jsonb not null default '{}',
    -- The message it quotes, and the one it reacts to, edits or revokes: by wamid, since either may come first.
    reply_to_wamid text,
    target_wamid text,
    is_forwarded boolean not null default false,
    -- Theirs (Meta's timestamp) and ours.
    occurred_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),

    -- Each state keeps its own time; the one shown is a function of them.
    queued_at timestamptz,
    attempted_at timestamptz,
    cancelled_at timestamptz,
    uncertain_at timestamptz,
    accepted_at timestamptz,
    sent_at timestamptz,
    delivered_at timestamptz,
    read_at timestamptz,
    played_at timestamptz,
    failed_at timestamptz,
    -- What the imported history says of a message whose times Meta does not tell.
    imported_status public.message_status,
    status public.message_status not null generated always as (
        greatest(
            case
                when direction = 'inbound' then 'received'::public.message_status
                when played_at is not null then 'played'::public.message_status
                when read_at is not null then 'read'::public.message_status
                when delivered_at is not null then 'delivered'::public.message_status
                when failed_at is not null then 'failed'::public.message_status
                when sent_at is not null then 'sent'::public.message_status
                when accepted_at is not null then 'accepted'::public.message_status
                when uncertain_at is not null then 'uncertain'::public.message_status
                when cancelled_at is not null then 'cancelled'::public.message_status
                when queued_at is not null and attempted_at is null then 'queued'::public.message_status
                else 'sending'::public.message_status
            end,
            case when direction = 'outbound' then imported_status end
        )
    ) stored,
    error_code integer,
    error_subcode integer,
    -- The sentence for the agent is made from the code; these are Meta's own words, for support.
    error_message text,
    error_details text,
    pricing jsonb,
    sent_by uuid references auth.users (id) on delete set null,

    primary key (id, organization_id),
    -- Once: Meta repeats itself, the database does not.
    unique (wamid, organization_id),
    foreign key (chat_id, organization_id) references public.chats (id, organization_id) on delete cascade,
    foreign key (contact_id, organization_id) references public.contacts (id, organization_id)
        on delete set null (contact_id),
    constraint inbound_has_a_wamid check (direction = 'outbound' or wamid is not null),
    constraint inbound_has_no_sending_state check (
        direction = 'outbound'
        or num_nonnulls(queued_at, attempted_at, accepted_at, sent_at, delivered_at, failed_at, sent_by) = 0
    )
);
comment on table public.messages is 'Every message of every chat, both directions; status is computed from its times.';
-- Ask for a chat's messages by chat_id and organization_id: then this index has them in order.
create index messages_timeline_idx on public.messages (chat_id, organization_id, occurred_at desc, id desc);
create index messages_contact_idx on public.messages (contact_id, organization_id);
create index messages_target_idx on public.messages (target_wamid, organization_id) where target_wamid is not null;
create index messages_sent_by_idx on public.messages (sent_by) where sent_by is not null;

-- What Meta has said of a wamid, kept whether or not we know the message yet: a status that comes before its
-- message waits here and is applied when the message appears.
create table public.message_receipts (
    organization_id uuid not null references public.organizations (id) on delete cascade,
    wamid text not null check (length(wamid) between 1 and 512),
    sent_at timestamptz,
    delivered_at timestamptz,
    read_at timestamptz,
    played_at timestamptz,
    failed_at timestamptz,
    error jsonb,
    pricing jsonb,
    conversation jsonb,
    -- Words that Meta may add (or had: deleted, warning) with their first time.
    other_statuses jsonb not null default '{}',
    -- The id of our message row as it travelled in biz_opaque_callback_data: heals a send whose answer was lost.
    callback_message_id uuid,
    created_at timestamptz not null default now(),
    -- The organization first: the one index serves both ways in.
    primary key (organization_id, wamid)
);
comment on table public.message_receipts is 'The earliest time of each status that Meta has reported for a wamid.';

alter table public.messages enable row level security;
alter table public.message_receipts enable row level security;
revoke all on public.messages, public.message_receipts from public, anon, authenticated;
grant select on public.messages to authenticated;
grant select, insert, update, delete on public.messages, public.message_receipts to service_role;

create policy "Members can read their messages" on public.messages
    for select to authenticated
    using (organization_id in (select private.my_organization_ids()));
create policy "Only the service handles receipts" on public.message_receipts
    for all to service_role
    using (true) with check (true);

create trigger messages_touch_updated_at
    before update on public.messages
    for each row execute function private.touch_updated_at();
