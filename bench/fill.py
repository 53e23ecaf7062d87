"""Fills a database with what the product would have written, for a thousand organizations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

ORGANIZATIONS = 1_000
# The organization that is asked has the same size everywhere; the others share what is left.
ASKED_CHATS, ASKED_MESSAGES = 100, 5_000
MESSAGES_A_CHAT = 50
BIG_TABLES = (
    "contacts",
    "contact_aliases",
    "chats",
    "messages",
    "message_receipts",
    "message_media",
    "webhook_events",
    "organizations",
    "organization_members",
    "whatsapp_integrations",
)
WORDS = (
    "hola,buenas,tardes,quisiera,saber,cuánto,cuesta,la,entrega,para,mañana,gracias,pedido,número,cliente,pago,"
    "tarjeta,envío,dirección,calle,lima,sí,claro,perfecto,cuándo,llega,mi,paquete,por,favor"
)
RARE_WORD = "quetzal"
"""In ten messages of the organization that is asked, and in as many of every thousand elsewhere."""

OFFICES = """
    create table bench.offices as
        select n as office, gen_random_uuid() as organization_id, gen_random_uuid() as owner_id
        from generate_series(1, 1000) as n;
    insert into auth.users (id, email)
        select owner_id, owner_id || '@example.com' from bench.offices;
    insert into public.organizations (id, owner_id, name)
        select organization_id, owner_id, 'Oficina ' || office from bench.offices order by office;
    insert into public.whatsapp_integrations (
        organization_id, phone_number, phone_number_id, business_account_id, status
    )
        select organization_id, '+15550109999', (20000000000 + office)::text, (10000000000 + office)::text,
            'connected'
        from bench.offices order by office;
"""
# Office 1 is asked; chat numbers are unique over all offices.
CHATS = """
    create table bench.chats as
        select row_number() over (order by n, o.office) as chat, o.office, o.organization_id, n as nr,
            gen_random_uuid() as chat_id, gen_random_uuid() as contact_id,
            '1555' || lpad((o.office * 10000 + n)::text, 8, '0') as phone,
            case when o.office = 1 then %(asked)s else %(others)s end as messages
        from bench.offices as o
        cross join lateral generate_series(
            1, case when o.office = 1 then %(asked_chats)s else %(chats)s end
        ) as n;
    insert into public.contacts (id, organization_id, wa_id, phone_number, name, facts_at)
        select contact_id, organization_id, phone, phone, 'Persona ' || md5(phone),
            jsonb_build_object('wa_id', 1790000000, 'phone_number', 1790000000, 'name', 1790000000)
        from bench.chats order by chat;
    insert into public.contact_aliases (organization_id, alias, contact_id)
        select organization_id, 'phone:' || phone, contact_id from bench.chats order by chat;
    insert into public.chats (id, organization_id, contact_id)
        select chat_id, organization_id, contact_id from bench.chats order by chat;
"""
# In the order of time, as they would have come: the offices' messages lie mixed.
MESSAGES = """
    create table bench.messages as
        select c.organization_id, c.chat_id, c.contact_id, c.phone, c.office,
            n %% 10 = 3 as is_picture,
            'wamid.FILL' || lpad(c.chat::text, 9, '0') || lpad(n::text, 6, '0') as wamid,
            case when n %% 2 = 1 then 'inbound' else 'outbound' end::public.message_direction as direction,
            timestamptz '2026-01-01' + interval '200 days' * (n::float8 / (c.messages + 1))
                + interval '1 second' * (c.chat %% 86400) as occurred_at,
            case when (hashint8(c.chat * 1000 + n) & 127) = 0 or (c.office = 1 and c.nr <= 10 and n = 1)
                then %(rare)s || ' ' else '' end
            || (
                select string_agg(w.words[1 + (hashint8(c.chat * 7919 + n * 31 + k) & 2147483647)
                    %% cardinality(w.words)], ' ' order by k)
                from generate_series(1, 10) as k
            ) as text
        from bench.chats as c
        cross join lateral generate_series(1, c.messages) as n
        cross join (select string_to_array(%(words)s, ',') as words) as w;
    insert into public.messages (
        organization_id, chat_id, contact_id, wamid, direction, type, text, content, occurred_at, created_at,
        updated_at, accepted_at, sent_at, delivered_at
    )
        select organization_id, chat_id, contact_id, wamid, direction,
            case when is_picture then 'image' else 'text' end, text, '{}', occurred_at,
            occurred_at, occurred_at,
            case when direction = 'outbound' then occurred_at end,
            case when direction = 'outbound' then occurred_at + interval '1 second' end,
            case when direction = 'outbound' then occurred_at + interval '2 seconds' end
        from bench.messages order by occurred_at, wamid;
    insert into public.message_media (
        message_id, organization_id, media_id, mime_type, sha256, state, storage_path, byte_count
    )
        select m.id, m.organization_id, substr(m.wamid, 11), 'image/jpeg',
            encode(sha256(m.wamid::bytea), 'hex'), 'stored',
            'whatsapp-media/' || m.organization_id || '/' || m.id, 100000
        from public.messages as m where m.type = 'image' order by m.occurred_at, m.wamid;
    insert into public.message_receipts (organization_id, wamid, sent_at, delivered_at, created_at)
        select organization_id, wamid, occurred_at + interval '1 second', occurred_at + interval '2 seconds',
            occurred_at
        from bench.messages where direction = 'outbound' order by occurred_at, wamid;
    insert into public.webhook_events (organization_id, digest, body, state, item_count, received_at)
        select organization_id, encode(sha256(wamid::bytea), 'hex'),
            '{"object":"whatsapp_business_account","entry":[{"id":"' || office || '","changes":[{"field":'
            || '"messages","value":{"messaging_product":"whatsapp","contacts":[{"wa_id":"' || phone
            || '"}],"messages":[{"id":"' || wamid || '","from":"' || phone
            || '","type":"text","text":{"body":"' || text || '"}}]}}]}]}',
            'stored', 1, occurred_at
        from bench.messages where direction = 'inbound' order by occurred_at, wamid;
    update public.chats as c set
        unread_count = 1, last_message_at = l.occurred_at, last_message_text = l.text,
        last_message_type = 'text', last_message_direction = l.direction::text, last_message_key = l.wamid,
        window_expires_at = l.occurred_at + interval '24 hours'
    from (
        select distinct on (chat_id) * from bench.messages order by chat_id, occurred_at desc, wamid desc
    ) as l
    where c.id = l.chat_id;
"""
# What only triggers and foreign keys would have refused.
ORPHANS = """
    select count(*) from public.messages as m
    where not exists (
        select from public.chats as c
        join public.contacts as p on p.id = c.contact_id and p.organization_id = c.organization_id
        where c.id = m.chat_id and c.organization_id = m.organization_id and c.contact_id = m.contact_id
    )
"""
SECONDARY = """
    select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
    from pg_index as i
    where i.indrelid = any (%s::regclass[])
        and not exists (select from pg_constraint as k where k.conindid = i.indexrelid)
"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The organization that is asked, the same in every database but for its ids."""

    organization_id: UUID
    owner_id: UUID
    chat_id: UUID
    phone_number_id: str
    waba_id: str
    messages: int
    """In all organizations together."""


def fill(connection: Connection, messages: int, tell: Callable[[str], None]) -> Asked:
    """Fill an empty, migrated database.

    Rows go in set by set; the foreign keys are not asked row by row but all at the end, the secondary indexes
    are built once. What stands there then is what one insert after another would have left, but for bloat.
    """
    chats = max(1, round((messages - ASKED_MESSAGES) / (ORGANIZATIONS - 1) / MESSAGES_A_CHAT))
    others = max(1, round((messages - ASKED_MESSAGES) / (ORGANIZATIONS - 1) / chats))
    tell(f"filling {messages:,} messages")
    with connection.transaction():
        connection.execute("create schema bench")
        connection.execute(OFFICES.encode())
        tables = [f"public.{table}" for table in BIG_TABLES]
        indexes = connection.execute(SECONDARY, (tables,)).fetchall()
        for name, _ in indexes:
            connection.execute(f"drop index {name}".encode())
        connection.execute("set local session_replication_role = replica")
        figures = {
            "asked": ASKED_MESSAGES // ASKED_CHATS,
            "asked_chats": ASKED_CHATS,
            "others": others,
            "chats": chats,
            "words": WORDS,
            "rare": RARE_WORD,
        }
        for statements in (CHATS, MESSAGES):
            for statement in statements.split(";\n"):
                if statement.strip():
                    connection.execute(statement.encode(), figures if "%" in statement else None)
        connection.execute("set local session_replication_role = origin")
        orphans = _only(connection, ORPHANS)
        assert orphans == (0,), orphans
        tell("building the indexes")
        for _, definition in indexes:
            connection.execute(definition.encode())
    connection.execute("vacuum analyze")
    found = _only(
        connection,
        """
        select o.organization_id, o.owner_id, c.chat_id, i.phone_number_id, i.business_account_id,
            (select count(*) from public.messages)
        from bench.offices as o
        join bench.chats as c on c.office = o.office and c.nr = 50
        join public.whatsapp_integrations as i on i.organization_id = o.organization_id
        where o.office = 1
        """,
    )
    connection.execute("drop schema bench cascade")
    names = ("organization_id", "owner_id", "chat_id", "phone_number_id", "waba_id", "messages")
    return Asked(**dict(zip(names, found, strict=True)))


def _only(connection: Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row
    return row
