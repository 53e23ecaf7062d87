"""Chats are found by whom they are with and by what was said, within the caller's own organization."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import wire
from tests.database.tenants import Tenant, make_tenant, store

if TYPE_CHECKING:
    from uuid import UUID

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

PEOPLE = {
    "15550100001": ("José Núñez", "¿Cuánto cuesta el envío a Arequipa?"),
    "15550100002": ("Bruna 100%", "El número de pedido es AB-1234"),
    "15550100003": ("Carla_B", "Gracias, ya pagué por el envío"),
}


@pytest.fixture
def tenant(database: Connection) -> Tenant:
    """An organization with whom three people have spoken, the last of them most recently."""
    tenant = make_tenant(database)
    messages = [
        wire.text_message(text, number=number, sender=phone, timestamp=str(wire.TIMESTAMP + number))
        for number, (phone, (_, text)) in enumerate(PEOPLE.items(), 1)
    ]
    contacts = [wire.contact(phone, name=name) for phone, (name, _) in PEOPLE.items()]
    value = wire.value(phone_number_id=tenant.phone_number_id, contacts=contacts, messages=messages)
    store(database, wire.delivery(value, waba_id=tenant.waba_id))
    return tenant


def find(
    database: Connection, tenant: Tenant, words: str, *, by: UUID | None = None
) -> list[tuple[Any, ...]]:
    """Search as a member; return whom the chats are with and the texts that were met."""
    with database.transaction():
        user = str(by or tenant.owner_id)
        database.execute(
            """
            select set_config('role', 'authenticated', true), set_config('request.jwt.claim.sub', %s, true),
                set_config('request.jwt.claims', %s, true)
            """,
            (user, json.dumps({"sub": user, "role": "authenticated"})),
        )
        return database.execute(
            """
            select p.name, f.message_text
            from (select *, row_number() over () as nr from public.find_chats(%s, %s)) as f
            join chats as c on c.id = f.chat_id join contacts as p on p.id = c.contact_id
            order by f.nr
            """,
            (tenant.organization_id, words),
        ).fetchall()


@pytest.mark.parametrize(
    "words, names",
    [
        ("bru", ["Bruna 100%"]),
        ("ÚÑEZ", ["José Núñez"]),
        ("jose nun", ["José Núñez"]),
        ("nunez", ["José Núñez"]),
        ("00%", ["Bruna 100%"]),
        ("a_b", ["Carla_B"]),
        ("a", ["Carla_B", "Bruna 100%"]),
        ("+1 555-010-0003", ["Carla_B"]),
        ("0100002", ["Bruna 100%"]),
    ],
)
def test_a_chat_is_found_by_any_part_of_a_name_or_number(
    database: Connection, tenant: Tenant, words: str, names: list[str]
) -> None:
    assert find(database, tenant, words) == [(name, None) for name in names]


@pytest.mark.parametrize(
    "words, phones",
    [
        ("envío", ["15550100003", "15550100001"]),
        ("envio", ["15550100003", "15550100001"]),
        ("arequ", ["15550100001"]),
        ("cuesta ENVIO", ["15550100001"]),
        ("ab-1234", ["15550100002"]),
        ("número", ["15550100002"]),
        ("' & !", []),
        ("equipa", []),
        ("en", []),
    ],
)
def test_a_message_is_found_by_the_beginnings_of_its_words(
    database: Connection, tenant: Tenant, words: str, phones: list[str]
) -> None:
    """Newest first, with or without accents, in any order; from three letters on."""
    assert find(database, tenant, words) == [PEOPLE[phone] for phone in phones]


def test_a_text_of_any_length_can_be_stored_and_is_found_by_its_beginning(
    database: Connection, tenant: Tenant
) -> None:
    """More different words than an index can hold of one row."""
    text = "principio " + " ".join(f"palabra{number}" for number in range(200_000))

    database.execute(
        "update messages set text = %s where organization_id = %s and text like 'Gracias%%'",
        (text, tenant.organization_id),
    )

    assert find(database, tenant, "principio") == [("Carla_B", text)]


def test_a_member_of_another_organization_finds_nothing(database: Connection, tenant: Tenant) -> None:
    stranger = make_tenant(database)

    assert find(database, tenant, "envío", by=stranger.owner_id) == []
    assert find(database, stranger, "envío") == []
