"""Damaged deliveries: whatever happens to a payload on the way, nothing raises and nothing is lost.

Each mutation takes a good payload and breaks its structure: drops, doubles, swaps or retypes a node, moves
it elsewhere, hides poison in it, or damages the bytes. `WEBHOOK_MUTATIONS` says how many are tried (default
5,000), `WEBHOOK_MUTATIONS_SEED` which; the seed of a failure stands in its message.
"""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING

import pytest

from shared.loose_json import UnreadableError, read_json
from shared.webhooks import Delivery, parse_delivery
from tests import expectations, wire
from tests.mutations import Node, damaged, mutated, payloads

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = int(os.environ.get("WEBHOOK_MUTATIONS", "5000"))
SEED = int(os.environ.get("WEBHOOK_MUTATIONS_SEED", "20261124"))
PARTS = ("messages", "statuses", "message_echoes", "state_sync", "errors")
OWN_PLACE = {
    *("id", "type", "status", "timestamp", "group_id", "errors", "pricing", "conversation"),
    *("from", "from_user_id", "from_parent_user_id", "to", "to_user_id", "to_parent_user_id"),
    *("recipient_id", "recipient_user_id", "biz_opaque_callback_data"),
}
VALUE_PLACE = {"messaging_product", "metadata", "contacts", "messaging_account_id", *PARTS, "history"}


def as_list(value: Node) -> list[Node]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def fields_of(value: Node) -> dict[str, Node]:
    return value if isinstance(value, dict) else {}


def elements(payload: Node) -> Iterator[tuple[str, Node]]:
    """List each element that a reader must account for, and its path, by a walk that knows no meanings."""
    for e, entry in enumerate(as_list(fields_of(payload).get("entry"))):
        yield f"entry[{e}]", entry
        for c, change in enumerate(as_list(fields_of(entry).get("changes"))):
            value = fields_of(fields_of(change).get("value"))
            at = f"entry[{e}].changes[{c}].value"
            for part in PARTS:
                yield from listed(f"{at}.{part}", value)
            for chunk_at, chunk in listed(f"{at}.history", value):
                for thread_at, thread in listed(f"{chunk_at}.threads", chunk):
                    yield from listed(f"{thread_at}.messages", thread)


def listed(path: str, parent: Node) -> Iterator[tuple[str, Node]]:
    for index, element in enumerate(as_list(fields_of(parent).get(path.rpartition(".")[2]))):
        yield f"{path}[{index}]", element


def covers(place: str, path: str) -> bool:
    return place in {path, "$"} or path.startswith((f"{place}.", f"{place}["))


def check(payload: Node, delivery: Delivery) -> None:
    """Fail unless every element ends in exactly one item or problem, and all of it can be stored."""
    problems = [str(problem["path"]) for problem in delivery.problems]
    # An identity or a template's notice is a second item of the same element.
    places = [str(item["path"]) for item in delivery.items if item["kind"] != "identity"]
    told = problems + [place for place in places if place.endswith("]")]
    kept = set(strings([delivery.items, delivery.problems]))
    for path, element in elements(payload):
        if path.count("[") == 1:
            assert any(covers(place, path) or covers(path, place) for place in problems + places), path
            continue
        found = [place for place in told if covers(place, path)]
        # A whole value that is no conversation is one item: a notice, or a template and its notice.
        assert len(found) == 1 or (set(found) == {path.partition(".value")[0]}), (path, found)
        lost = {string for string in strings(without_own_place(element)) if string not in kept}
        assert "state_sync" in path or not lost, (path, lost)
    for unknown in unknown_parts(payload):
        assert not set(strings(unknown)) - kept, unknown
    assert_storable(delivery)


def unknown_parts(payload: Node) -> Iterator[Node]:
    """List what stands around the elements under names that nobody knows."""
    yield {key: value for key, value in fields_of(payload).items() if key not in {"object", "entry"}}
    for entry in as_list(fields_of(payload).get("entry")):
        yield {key: value for key, value in fields_of(entry).items() if key not in {"id", "time", "changes"}}
        for change in as_list(fields_of(entry).get("changes")):
            yield {key: value for key, value in fields_of(change).items() if key not in {"field", "value"}}
            value = fields_of(fields_of(change).get("value"))
            yield {key: inner for key, inner in value.items() if key not in VALUE_PLACE}


def without_own_place(element: Node) -> Node:
    """Leave out the keys that an item has under our own names; all the rest must be found as it was."""
    return {key: value for key, value in fields_of(element).items() if key not in OWN_PLACE}


def assert_storable(delivery: Delivery) -> None:
    text = json.dumps([delivery.items, delivery.problems], allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    assert all("\x00" not in string for string in strings([delivery.items, delivery.problems]))
    for item in delivery.items:
        aliases = fields_of(item.get("contact") or item.get("recipient")).get("aliases") or []
        assert all(alias.startswith(("phone:", "bsuid:")) and len(alias) <= 300 for alias in aliases)
        assert item["kind"] != "message" or aliases
        expectations.summary(item)


def strings(node: Node) -> Iterator[str]:
    waiting = [node]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value


def to_bytes(payload: Node) -> bytes:
    """Write a broken payload: as Meta would, or, being broken, as plain JSON."""
    return wire.to_wire(payload)


@pytest.mark.parametrize("share", range(5))
def test_a_broken_structure_loses_nothing(share: int) -> None:
    """Drop, double, swap, retype, move, bury, poison: in one to four places of a payload."""
    good = payloads()
    for number in range(share, COUNT, 5):
        rng = random.Random(SEED + number)
        payload = mutated(rng, rng.choice(good))
        delivery = parse_delivery(to_bytes(payload))
        try:
            check(as_read(payload), delivery)
        except AssertionError as error:
            raise AssertionError(
                f"WEBHOOK_MUTATIONS_SEED={SEED + number}: {error}\n{payload!r:.3000}"
            ) from error


def as_read(payload: Node) -> Node:
    """Return what a reader sees of a payload: names and depth as the reader makes them storable."""
    try:
        return read_json(to_bytes(payload))
    except UnreadableError:
        return None


def test_broken_bytes_lose_nothing() -> None:
    """Cut, spliced, doubled, mis-encoded: read, or kept whole as one problem."""
    good = [wire.to_wire(payload) for payload in payloads()]
    for number in range(COUNT // 5):
        rng = random.Random(SEED + number)
        body = damaged(rng, rng.choice(good))
        delivery = parse_delivery(body)
        assert delivery.is_readable or (delivery.items == [] and len(delivery.problems) == 1), SEED + number
        assert_storable(delivery)


def test_a_good_payload_passes_its_own_check() -> None:
    """The harness itself: unbroken payloads are told to the last element."""
    for payload in payloads():
        check(payload, parse_delivery(wire.to_wire(payload)))


def test_the_check_notices_a_lost_message() -> None:
    """The harness itself: one item taken away is one failure."""
    payload = wire.batch(3)
    delivery = parse_delivery(wire.to_wire(payload))
    del delivery.items[1]
    with pytest.raises(AssertionError):
        check(payload, delivery)
