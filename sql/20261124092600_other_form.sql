-- Meta says "undeliverable" of a Brazilian, Mexican or Argentinian mobile, perhaps only because WhatsApp knows it in
-- its other form. It says so by a status, after it has accepted the message: a job tries the other form, once a
-- contact for ever, with a new message.

create function private.plan_other_form() returns trigger
language plpgsql volatile
set search_path = ''
as $$
begin
    insert into public.jobs (organization_id, kind, key, payload)
    select new.organization_id, 'retry_other_form', c.id::text,
        jsonb_build_object('message_id', new.id, 'wa_id', c.wa_id)
    from public.contacts as c
    where c.organization_id = new.organization_id and c.id = new.contact_id and c.wa_id ~ '^5[245][0-9]+$'
    on conflict (kind, key) do nothing;
    return null;
end
$$;

create trigger messages_plan_other_form
    after update of error_code on public.messages
    -- What a webhook tells of the business's own app is never sent by us.
    for each row when (
        new.error_code = 131026 and new.failed_at is not null and new.wamid is not null and new.origin = 'live'
    )
    execute function private.plan_other_form();

-- Remembers the form, and queues what the failed message said once more; the service only. Answers the new
-- message's id, null where it was done before.
create function public.retry_in_other_form(message uuid, form text) returns uuid
language plpgsql volatile
set search_path = ''
as $$
declare
    old public.messages;
    fresh uuid;
begin
    select * into strict old from public.messages as m where m.id = message;
    insert into public.idempotency_keys as k (organization_id, key, digest)
    values (old.organization_id, 'other_form:' || old.id, 'other_form')
    on conflict (organization_id, key) do nothing;
    if not found then
        return null;
    end if;
    perform from public.contacts as c where c.id = old.contact_id for update;
    perform private.learn_contacts(array[
        row(old.contact_id, 'wa_id', form, now())::private.contact_fact,
        row(old.contact_id, 'phone_number', '+' || form, now())::private.contact_fact
    ]);
    perform from public.chats as c where c.id = old.chat_id for update;
    insert into public.messages (
        organization_id, chat_id, contact_id, direction, type, text, content, reply_to_wamid, target_wamid,
        queued_at, sent_by
    )
    values (
        old.organization_id, old.chat_id, old.contact_id, 'outbound', old.type, old.text, old.content,
        old.reply_to_wamid, old.target_wamid, now(), old.sent_by
    )
    returning id into fresh;
    perform private.add_to_chats(array[row(
        old.chat_id, 0, null, now(), fresh::text, left(old.text, 300), old.type, 'outbound'
    )::private.chat_news])
    where old.type <> 'reaction';
    update public.idempotency_keys as k set message_id = fresh
    where k.organization_id = old.organization_id and k.key = 'other_form:' || old.id;
    insert into public.send_queue (message_id, organization_id, integration_id, chat_id, written_at)
    select fresh, i.organization_id, i.id, old.chat_id, now()
    from public.whatsapp_integrations as i where i.organization_id = old.organization_id;
    return fresh;
end
$$;

revoke execute on function private.plan_other_form from public, anon, authenticated;
revoke execute on function public.retry_in_other_form from public, anon, authenticated;
grant execute on function public.retry_in_other_form to service_role;
