"""Organizations made straight in the database, and what is stored of one, by names that outlive its ids."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from shared.webhooks import parse_delivery
from tests.wire import to_wire

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_ids = itertools.count(secrets.randbelow(10**9) * 10**5)


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """An organization with an owner and a connected number."""

    organization_id: UUID
    owner_id: UUID
    integration_id: UUID
    phone_number_id: str
    waba_id: str


def make_user(connection: Connection) -> UUID:
    """Add a user as Supabase's auth would."""
    user_id = uuid4()
    connection.execute(
        "insert into auth.users (id, email) values (%s, %s)", (user_id, f"{user_id}@example.com")
    )
    return user_id


def make_tenant(connection: Connection, *, status: str = "connected", **columns: object) -> Tenant:
    """Add an organization whose number is connected; it has no token, which only sending needs."""
    owner_id = make_user(connection)
    organization_id = _only(
        connection,
        "insert into organizations (owner_id, name) values (%s, 'Prueba') returning id",
        (owner_id,),
    )
    number = next(_ids)
    values: dict[str, object] = {
        "organization_id": organization_id,
        "phone_number": "+15550109999",
        "phone_number_id": f"2{number}",
        "business_account_id": f"1{number}",
        "status": status,
        **columns,
    }
    names = ", ".join(values)
    places = ", ".join(["%s"] * len(values))
    integration_id = _only(
        connection,
        f"insert into whatsapp_integrations ({names}) values ({places}) returning id",
        tuple(values.values()),
    )
    return Tenant(
        organization_id=organization_id,
        owner_id=owner_id,
        integration_id=integration_id,
        phone_number_id=str(values["phone_number_id"]),
        waba_id=str(values["business_account_id"]),
    )


def store(connection: Connection, payload: object, *, source: UUID | None = None) -> dict[str, Any]:
    """Store a payload with the service's right, as the webhook does once it has proven the signature."""
    return store_body(connection, to_wire(payload), source=source)


def store_body(connection: Connection, body: bytes, *, source: UUID | None = None) -> dict[str, Any]:
    """Store a body as it came."""
    delivery = parse_delivery(body)
    with connection.transaction():
        connection.execute("set local role service_role")
        answer: dict[str, Any] = _only(
            connection,
            "select public.store_delivery(%s, %s, %s, %s, %s, %s, %s)",
            (
                source,
                hashlib.sha256(body).hexdigest(),
                *_as_text_or_base64(body),
                Jsonb(delivery.items),
                Jsonb(delivery.problems),
                delivery.is_readable,
            ),
        )
    return answer


def snapshot(connection: Connection, tenant: Tenant) -> dict[str, Any]:
    """Tell everything that is stored of an organization, without its ids and our own times."""
    scope = {"organization": tenant.organization_id}
    contacts = connection.execute(
        """
        select (select array_agg(a.alias order by a.alias) from contact_aliases a where a.contact_id = c.id),
            c.name, c.username, c.wa_id, c.phone_number, c.bsuid, c.saved_name
        from contacts c where c.organization_id = %(organization)s order by 1
        """,
        scope,
    ).fetchall()
    chats = connection.execute(
        """
        select (select min(a.alias) from contact_aliases a where a.contact_id = c.contact_id), c.group_id,
            c.unread_count, c.last_message_at, c.last_message_key, c.last_message_text, c.last_message_type,
            c.last_message_direction, c.window_expires_at,
            (select array_agg(m.wamid order by m.wamid) from messages m where m.chat_id = c.id)
        from chats c where c.organization_id = %(organization)s order by 1, 2
        """,
        scope,
    ).fetchall()
    messages = connection.execute(
        """
        select m.wamid, m.direction::text, m.origin::text, m.type, m.text, m.content, m.reply_to_wamid,
            m.target_wamid, m.is_forwarded, m.occurred_at, m.status::text, m.sent_at, m.delivered_at,
            m.read_at, m.played_at, m.failed_at, m.error_code, m.error_message,
            (select min(a.alias) from contact_aliases a where a.contact_id = m.contact_id),
            (select mm.media_id from message_media mm where mm.message_id = m.id),
            (select count(*) from jobs j where j.key = m.id::text)
        from messages m where m.organization_id = %(organization)s order by 1
        """,
        scope,
    ).fetchall()
    receipts = connection.execute(
        """
        select wamid, sent_at, delivered_at, read_at, played_at, failed_at, error, pricing, other_statuses
        from message_receipts where organization_id = %(organization)s order by 1
        """,
        scope,
    ).fetchall()
    templates = connection.execute(
        """
        select template_id, name, language, status, quality, category, components, rejection_reason
        from message_templates where organization_id = %(organization)s order by 1
        """,
        scope,
    ).fetchall()
    notices = connection.execute(
        """
        select field, event, severity::text, content, occurred_at
        from notices where organization_id = %(organization)s order by digest
        """,
        scope,
    ).fetchall()
    tables = {
        "contacts": contacts,
        "chats": chats,
        "messages": messages,
        "receipts": receipts,
        "templates": templates,
        "notices": notices,
    }
    return {name: json.loads(json.dumps(rows, default=str)) for name, rows in tables.items()}


def _as_text_or_base64(body: bytes) -> tuple[str | None, str | None]:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\x00"
    return (None, base64.b64encode(body).decode()) if "\x00" in text else (text, None)


def _only(connection: Connection, query: str, parameters: tuple[object, ...]) -> Any:
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row[0]
