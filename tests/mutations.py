"""Damaged deliveries: good payloads whose structure or bytes are broken, the same way for the same seed.

Each mutation drops, doubles, swaps or retypes a node, moves it elsewhere, or hides poison in it.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from shared.webhooks import KNOWN_FIELDS
from tests import expectations, wire

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

Node = Any
Spot = tuple[Any, Any]

POISON: list[Node] = [
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**63,
    10**40,
    1e308,
    0.5,
    "",
    " ",
    "\x00",
    "\ud800",
    "\udc00 lone",
    "x" * 5000,
    "1790000000123",
    "99999999999999",
    "ayer",
    "٣٤٥",
    "²",
    "15550100001",
    "MX.1",
    "<PLACEHOLDER>",
    "whatsapp_business_account",
    [],
    {},
    [[]],
    [None],
    {"": {}},
    {"id": {"id": []}},
    {"body": ["Hola"]},
    {"type": "user_changed_number", "wa_id": "15550100009"},
    ["text", 7, {"a": None}],
]


def payloads() -> list[Node]:
    """Return the good payloads that are to be broken: our samples, published ones, and a batch."""
    folders = (expectations.SAMPLES, expectations.CORPUS)
    files = [path for folder in folders for path in sorted(folder.glob("*.json"))]
    return [json.loads(path.read_text()) for path in files] + [wire.batch(20)]


def spots(node: Node) -> Iterator[Spot]:
    """List every place in a payload as its parent and its key or index."""
    waiting = [node]
    while waiting:
        parent = waiting.pop()
        keys = list(parent) if isinstance(parent, dict) else range(len(parent))
        for key in keys:
            yield parent, key
            if isinstance(parent[key], (dict, list)):
                waiting.append(parent[key])


def drop(_: random.Random, parent: Node, key: Node, __: Node) -> None:
    del parent[key]


def poison(rng: random.Random, parent: Node, key: Node, _: Node) -> None:
    parent[key] = copy.deepcopy(rng.choice(POISON))


def wrap(rng: random.Random, parent: Node, key: Node, _: Node) -> None:
    parent[key] = rng.choice([[parent[key]], {"value": parent[key]}, [parent[key], parent[key]]])


def unwrap(_: random.Random, parent: Node, key: Node, __: Node) -> None:
    inner = parent[key]
    if isinstance(inner, list) and inner:
        parent[key] = inner[0]
    elif isinstance(inner, dict) and inner:
        parent[key] = next(iter(inner.values()))


def retype(_: random.Random, parent: Node, key: Node, __: Node) -> None:
    inner = parent[key]
    if isinstance(inner, str):
        parent[key] = int(inner) if inner.isascii() and inner.isdigit() else [inner]
    else:
        parent[key] = json.dumps(inner)


def rename(rng: random.Random, parent: Node, key: Node, _: Node) -> None:
    if isinstance(parent, dict):
        new = rng.choice(
            [str(key).upper(), f"{key}\x00", f"{key}#1", "", "x" * 300, "messages", "errors", "type"]
        )
        parent[new] = parent.pop(key)


def move(rng: random.Random, parent: Node, key: Node, payload: Node) -> None:
    other, place = rng.choice(list(spots(payload)))
    other[place] = copy.deepcopy(parent[key])


def double(rng: random.Random, parent: Node, key: Node, _: Node) -> None:
    if isinstance(parent, list):
        parent.insert(rng.randint(0, len(parent)), copy.deepcopy(parent[key]))
    else:
        parent[f"{key}_too"] = copy.deepcopy(parent[key])


def bury(rng: random.Random, parent: Node, key: Node, _: Node) -> None:
    for _level in range(rng.choice([5, 60, 70, 200])):
        parent[key] = rng.choice([[parent[key]], {"deep": parent[key]}])


def change_field(rng: random.Random, _: Node, __: Node, payload: Node) -> None:
    for parent, key in list(spots(payload)):
        if key == "field":
            parent[key] = rng.choice([*sorted(KNOWN_FIELDS), "quantum_update"])


MUTATIONS: list[Callable[[random.Random, Node, Node, Node], None]] = [
    drop,
    poison,
    poison,
    wrap,
    unwrap,
    retype,
    rename,
    move,
    double,
    bury,
    change_field,
]


def mutated(rng: random.Random, payload: Node) -> Node:
    """Break a copy of a payload in one to four places."""
    broken = copy.deepcopy(payload)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 4])):
        places = list(spots(broken))
        if not places:
            break
        parent, key = rng.choice(places)
        rng.choice(MUTATIONS)(rng, parent, key, broken)
    return broken


def damaged(rng: random.Random, body: bytes) -> bytes:
    """Break the bytes of a body in one of the ways that a transport or a program could."""
    at = rng.randrange(len(body) + 1)
    return rng.choice(
        [
            body[:at],
            body[at:],
            body[:at] + bytes([rng.randrange(256)]) + body[at:],
            body[:at] + b'"\\u0000\\ud83d"' + body[at:],
            body[:at] + b"\xff\xfe" + body[at:],
            body[:at] + b"[" * 3000 + body[at:],
            body.replace(b'"1', b"1", 1),
            body.replace(b":", b":NaN,", 1),
            b"\xef\xbb\xbf" + body,
            body + body,
        ]
    )
