"""Who a person is when numbers change hands: nobody's words or answers reach somebody else."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from tests import wire
from tests.database.tenants import Tenant, make_tenant, snapshot, store

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

OLD, NEW = "15550100021", "15550100022"
MOVE = wire.TIMESTAMP + 100


@pytest.fixture
def tenant(database: Connection) -> Tenant:
    """An organization with a connected number."""
    return make_tenant(database)


def said(text: str, phone: str | None, bsuid: str | None, *, at: int) -> wire.Json:
    """A customer's text; `text` makes its wamid."""
    return wire.text_message(text, sender=phone, bsuid=bsuid, timestamp=str(at), id=f"wamid.{text}")


def moved(
    after: wire.Json, *, phone: str | None = None, bsuid: str | None = None, at: int = MOVE
) -> wire.Json:
    """Meta's notice that a person's number or BSUID changed."""
    return wire.message("system", after, sender=phone, bsuid=bsuid, number=900, timestamp=str(at))


def new_number(**after: Any) -> wire.Json:
    """A change of number that tells the new one."""
    system = {"type": "user_changed_number", "wa_id": NEW, "user_id": "US.2", "previous_user_id": "US.1"}
    return moved({**system, **after}, phone=OLD, bsuid="US.1")


def new_user_id() -> wire.Json:
    """A change of number that may not be told: of the BSUIDs alone."""
    return moved(
        {"type": "user_changed_user_id", "user_id": "US.2", "previous_user_id": "US.1"}, bsuid="US.1"
    )


def deliver(connection: Connection, tenant: Tenant, *messages: wire.Json) -> None:
    """Send these messages as one delivery."""
    value = wire.value(phone_number_id=tenant.phone_number_id, messages=list(messages))
    answer = store(connection, wire.delivery(value, waba_id=tenant.waba_id))
    assert answer["problems"] == 0, answer


def chats(connection: Connection, tenant: Tenant) -> list[tuple[set[str], dict[str, str]]]:
    """Tell each chat's texts, and where an answer in it would go."""
    rows = connection.execute(
        """
        select (select array_agg(m.text) from messages m where m.chat_id = h.id and m.type = 'text'),
            private.address_of(c, null)
        from chats h join contacts c on c.id = h.contact_id
        where h.organization_id = %s
        """,
        (tenant.organization_id,),
    ).fetchall()
    found = [(set(texts or []), address) for texts, address in rows]
    return sorted(found, key=lambda chat: sorted(chat[0]))


def orders(messages: list[wire.Json]) -> Iterable[tuple[wire.Json, ...]]:
    """Every order in which they may come."""
    return itertools.permutations(messages)


def test_a_new_user_id_without_a_number_leaves_the_old_number(database: Connection, tenant: Tenant) -> None:
    """The number may be somebody else's already: what we send goes to the person, by the new BSUID."""
    deliver(database, tenant, said("hola", OLD, "US.1", at=MOVE - 10))
    deliver(database, tenant, new_user_id())
    assert chats(database, tenant) == [({"hola"}, {"recipient": "US.2"})]


@pytest.mark.parametrize(
    "change, address", [(new_number(), {"to": NEW}), (new_user_id(), {"recipient": "US.2"})]
)
def test_who_takes_over_an_old_number_has_a_chat_of_their_own(
    database: Connection, change: wire.Json, address: dict[str, str]
) -> None:
    """In whatever order Meta's deliveries come."""
    customer = said("cliente", OLD, "US.1", at=MOVE - 10)
    stranger = said("extraño", OLD, "US.9", at=MOVE + 10)
    for order in orders([customer, change, stranger]):
        tenant = make_tenant(database)
        for message in order:
            deliver(database, tenant, message)
        assert chats(database, tenant) == [({"cliente"}, address), ({"extraño"}, {"to": OLD})]


def test_two_user_ids_under_one_number_are_two_people(database: Connection) -> None:
    """Even where Meta has told of no change: the number is the one's who was seen with it last."""
    former = said("antes", OLD, "US.1", at=MOVE - 10)
    latter = said("después", OLD, "US.9", at=MOVE + 10)
    for order in orders([former, latter]):
        apart, together = make_tenant(database), make_tenant(database)
        for message in order:
            deliver(database, apart, message)
        deliver(database, together, *order)
        two = [({"antes"}, {"recipient": "US.1"}), ({"después"}, {"to": OLD})]
        assert chats(database, apart) == chats(database, together) == two


@pytest.mark.parametrize("bsuid", ["US.1", None])
@pytest.mark.parametrize("change", [new_number(), new_user_id()])
def test_an_old_message_finds_its_writer_after_the_number_has_passed_on(
    database: Connection, tenant: Tenant, change: wire.Json, bsuid: str | None
) -> None:
    """Late, or stored again by a replay: what was written before the change is the customer's."""
    deliver(database, tenant, said("primero", OLD, "US.1", at=MOVE - 10))
    deliver(database, tenant, change)
    deliver(database, tenant, said("extraño", OLD, "US.9", at=MOVE + 10))
    before = chats(database, tenant)
    deliver(database, tenant, said("tarde", OLD, bsuid, at=MOVE - 20))
    after = chats(database, tenant)
    assert [texts for texts, _ in after] == [{"extraño"}, {"primero", "tarde"}]
    assert [address for _, address in after] == [address for _, address in before]


def test_news_of_the_old_user_id_does_not_bring_back_the_old_number(
    database: Connection, tenant: Tenant
) -> None:
    """A status of what was sent before the change may come after it."""
    deliver(database, tenant, said("hola", OLD, "US.1", at=MOVE - 10))
    deliver(database, tenant, new_number())
    late = wire.status(recipient=OLD, recipient_user_id="US.1", timestamp=str(MOVE + 5))
    value = wire.value(phone_number_id=tenant.phone_number_id, statuses=[late])
    store(database, wire.delivery(value, waba_id=tenant.waba_id))
    assert chats(database, tenant) == [({"hola"}, {"to": NEW})]


@pytest.mark.parametrize("known", [{}, {"user_id": "US.2"}])
def test_a_notice_without_the_old_user_id_still_finds_the_customer(
    database: Connection, tenant: Tenant, known: wire.Json
) -> None:
    """As Meta wrote them until August 2026."""
    deliver(database, tenant, said("antes", OLD, "US.1", at=MOVE - 10))
    deliver(database, tenant, moved({"type": "user_changed_number", "wa_id": NEW, **known}, phone=OLD))
    deliver(database, tenant, said("después", NEW, "US.2", at=MOVE + 10))
    deliver(database, tenant, said("extraño", OLD, "US.9", at=MOVE + 20))
    assert chats(database, tenant) == [({"antes", "después"}, {"to": NEW}), ({"extraño"}, {"to": OLD})]


def test_a_customer_may_take_over_a_number_that_we_know(database: Connection, tenant: Tenant) -> None:
    """Its former owner is somebody else."""
    deliver(database, tenant, said("dueño", NEW, "US.5", at=MOVE - 50))
    deliver(database, tenant, said("hola", OLD, "US.1", at=MOVE - 10))
    deliver(database, tenant, new_number())
    assert chats(database, tenant) == [({"dueño"}, {"recipient": "US.5"}), ({"hola"}, {"to": NEW})]


def test_a_customer_may_come_back_to_an_old_number(database: Connection, tenant: Tenant) -> None:
    """Under a third BSUID."""
    deliver(database, tenant, said("uno", OLD, "US.1", at=MOVE - 10))
    deliver(database, tenant, new_number())
    back = {"type": "user_changed_number", "wa_id": OLD, "user_id": "US.3", "previous_user_id": "US.2"}
    deliver(database, tenant, moved(back, phone=NEW, bsuid="US.2", at=MOVE + 50))
    deliver(database, tenant, said("dos", OLD, "US.3", at=MOVE + 60))
    deliver(database, tenant, new_number())
    assert chats(database, tenant) == [({"uno", "dos"}, {"to": OLD})]


@st.composite
def lives(draw: st.DrawFn) -> list[wire.Json]:
    """Draw a history: a customer who changes number, and a stranger who gets the old one."""
    notice = draw(st.sampled_from([new_number(), new_user_id(), None]))
    before = st.integers(min_value=MOVE - 20, max_value=MOVE)
    after = st.integers(min_value=MOVE + 1, max_value=MOVE + 20)
    old, new = st.sampled_from([OLD, None]), st.sampled_from([NEW, None])
    few = st.integers(min_value=0, max_value=2)
    found = [said(f"a{number}", draw(old), "US.1", at=draw(before)) for number in range(draw(few) + 1)]
    if notice:
        found += [notice]
        found += [said(f"b{number}", draw(new), "US.2", at=draw(after)) for number in range(draw(few))]
    found += [said(f"c{number}", OLD, "US.9", at=draw(after)) for number in range(draw(few))]
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=lives(), seed=st.integers(min_value=0, max_value=2**32))
def test_a_change_of_number_means_the_same_in_any_order(
    database: Connection, history: list[wire.Json], seed: int
) -> None:
    """The customer's words stay with the customer, and the stranger's with the stranger."""
    straight, shuffled = make_tenant(database), make_tenant(database)
    chance = random.Random(seed)
    again = [*history, *chance.sample(history, chance.randint(0, len(history)))]
    chance.shuffle(again)

    for message in sorted(history, key=lambda each: int(each["timestamp"])):
        deliver(database, straight, message)
    while again:
        size = chance.randint(1, 4)
        deliver(database, shuffled, *again[:size])
        again = again[size:]

    assert snapshot(database, shuffled) == snapshot(database, straight)
    for texts, _ in chats(database, shuffled):
        assert len({text[0] == "c" for text in texts}) < 2, texts


def test_an_answer_that_names_somebody_else_does_not_join_them(database: Connection, tenant: Tenant) -> None:
    """Meta's answer to a send tells whose the number is by now: the customer is not that person."""
    deliver(database, tenant, said("hola", OLD, "US.1", at=MOVE - 10))
    row = database.execute(
        """
        insert into messages (organization_id, chat_id, contact_id, direction, type, text, attempted_at)
        select organization_id, id, contact_id, 'outbound', 'text', 'respuesta', now() from chats
        where organization_id = %s
        returning id
        """,
        (tenant.organization_id,),
    ).fetchone()
    assert row is not None
    contact = {"aliases": [f"phone:{OLD}", "bsuid:US.9"], "wa_id": OLD, "bsuid": "US.9"}
    answer = {"outcome": "accepted", "wamid": "wamid.respuesta", "contact": contact}
    database.execute("select finish_sends(%s)", (Jsonb([{**answer, "message_id": str(row[0])}]),))
    deliver(database, tenant, said("extraño", OLD, "US.9", at=MOVE + 10))
    stranger, customer = ({"extraño"}, {"to": OLD}), ({"hola", "respuesta"}, {"recipient": "US.1"})
    assert chats(database, tenant) == [stranger, customer]
