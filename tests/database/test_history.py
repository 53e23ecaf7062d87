"""The imported past: its files come after the messages that hold their places."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from tests import wire
from tests.database.tenants import make_tenant, snapshot, store

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

FILE = {"id": "500000000000001", "mime_type": "image/jpeg", "caption": "La tienda de antes"}


def test_a_chat_s_last_word_is_the_file_that_comes_for_its_placeholder(database: Connection) -> None:
    """In whatever order; it stays one message, and makes nothing unread."""
    placeholder = wire.message("media_placeholder", None, number=2)
    earlier = wire.text_message("Antes", number=1, timestamp=str(wire.TIMESTAMP - 60))
    past = {"threads": [{"id": wire.CUSTOMER, "messages": [earlier, placeholder]}]}
    file = wire.message("image", FILE, number=2)
    parts: list[wire.Json] = [{"history": [past]}, {"messages": [file]}]
    kept = []
    for order in itertools.product(parts, repeat=3):
        if len({*map(id, order)}) == 1:
            continue
        tenant = make_tenant(database)
        for part in order:
            value = wire.value(phone_number_id=tenant.phone_number_id, **part)
            store(database, wire.delivery(value, field="history", waba_id=tenant.waba_id))
        kept.append(snapshot(database, tenant)["chats"])

    assert all(chats == kept[0] for chats in kept)
    ((_, _, unread, _, key, text, type_, *_),) = kept[0]
    assert (unread, key, text, type_) == (0, wire.wamid(2), "La tienda de antes", "image")
