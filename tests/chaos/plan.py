"""What a seed decides before anything starts: who writes what when, and what breaks when. No I/O.

The same seed, length and number of organizations make the same plan. How its parts meet in time is the
machine's business: a plan is played again, not a run.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CUSTOMERS = 6
WRITES_PER_SECOND = 4.0
SENDS_PER_SECOND = 3.0
READS_PER_SECOND = 0.5
LOOKS_PER_SECOND = 0.5
BATCH_SECONDS = 8.0
BATCH_SIZE = 12
# Of each five organizations one is answered by a bot alone, so that its answers can be counted.
BOT_EACH = 5
# Troubles begin after this share of the time and end before that one.
FIRST, LAST = 0.05, 0.95

# Three lanes side by side; in each, one after another.
LANES = {
    "ground": (
        "stop_postgres",
        "crash_postgres",
        "kill_supabase",
        "freeze_supabase",
        "cut_database",
        "fill_disk",
        "migrate",
    ),
    "world": ("skew_clock", "expire_token", "rotate_keys", "meta_fails"),
    "processes": (
        "kill_function",
        "kill_worker",
        "stop_worker",
        "freeze_function",
        "freeze_worker",
        "cut_callers",
        "cut_functions",
    ),
}
APART_SECONDS = {"ground": (2.0, 9.0), "world": (2.0, 12.0), "processes": (1.5, 5.0)}


@dataclass(frozen=True, kw_only=True)
class Write:
    """A customer writes."""

    at: float
    organization: int
    customer: int
    type: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Send:
    """An agent answers."""

    at: float
    organization: int
    customer: int
    text: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    """An agent writes to many customers at once."""

    at: float
    organization: int
    customers: tuple[int, ...]
    text: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Read:
    """An agent opens a chat."""

    at: float
    organization: int
    customer: int


@dataclass(frozen=True, kw_only=True)
class Look:
    """A member lists what they may see."""

    at: float
    organization: int
    table: str


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something breaks; `seconds` is how long it lasts, `which` chooses the victim."""

    at: float
    kind: str
    seconds: float
    which: int


Step = Write | Send | Batch | Read | Look


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that happens, in the order of its time."""

    seed: int
    seconds: float
    organizations: int
    steps: tuple[Step, ...]
    lanes: tuple[tuple[Trouble, ...], ...]

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """All that breaks."""
        return tuple(sorted(itertools.chain(*self.lanes), key=lambda trouble: trouble.at))

    @property
    def digest(self) -> str:
        """Name the plan: two that are equal have the same."""
        text = repr((self.steps, self.lanes))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def is_bots(self, organization: int) -> bool:
        """Tell whether a bot answers there, and no person does."""
        return organization % BOT_EACH == BOT_EACH - 1

    def has_own_app(self, organization: int) -> bool:
        """Tell whether it connects with a Meta app of its own: its own secret, its own callback."""
        return organization % 2 == 1


def make_plan(seed: int, seconds: float, organizations: int) -> Plan:
    """Decide everything."""
    chance = random.Random(seed)
    answered = [number for number in range(organizations) if number % BOT_EACH != BOT_EACH - 1] or [0]

    def key() -> str:
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))

    def write(at: float, number: int) -> Step:
        return Write(
            at=at,
            organization=chance.randrange(organizations),
            customer=chance.randrange(CUSTOMERS),
            type=chance.choices(("text", "image", "reaction", "location"), (16, 3, 1, 1))[0],
            text=f"Pregunta {number}",
        )

    def send(at: float, number: int) -> Step:
        return Send(
            at=at,
            organization=chance.choice(answered),
            customer=chance.randrange(CUSTOMERS),
            text=f"Respuesta {number}",
            key=key(),
        )

    def batch(at: float, number: int) -> Step:
        customers = tuple(chance.randrange(CUSTOMERS) for _ in range(BATCH_SIZE))
        return Batch(
            at=at,
            organization=chance.choice(answered),
            customers=customers,
            text=f"Aviso {number}",
            key=key(),
        )

    def read(at: float, _number: int) -> Step:
        # The last customer's chats are opened by nobody: all that is in them stays unread.
        return Read(at=at, organization=chance.choice(answered), customer=chance.randrange(CUSTOMERS - 1))

    def look(at: float, _number: int) -> Step:
        table = chance.choice(("messages", "chats", "contacts", "message_media", "notices"))
        return Look(at=at, organization=chance.randrange(organizations), table=table)

    makers: tuple[tuple[float, Callable[[float, int], Step]], ...] = (
        (WRITES_PER_SECOND, write),
        (SENDS_PER_SECOND, send),
        (1 / BATCH_SECONDS, batch),
        (READS_PER_SECOND, read),
        (LOOKS_PER_SECOND, look),
    )
    steps = [
        maker(chance.uniform(0, seconds), number)
        for rate, maker in makers
        for number in range(int(rate * seconds))
    ]
    return Plan(
        seed=seed,
        seconds=seconds,
        organizations=organizations,
        steps=tuple(sorted(steps, key=lambda step: step.at)),
        lanes=tuple(_troubles(chance, seconds, kinds, APART_SECONDS[lane]) for lane, kinds in LANES.items()),
    )


def _troubles(
    chance: random.Random, seconds: float, kinds: tuple[str, ...], apart: tuple[float, float]
) -> tuple[Trouble, ...]:
    """Let each kind happen, then all of them again in another order, as long as there is time."""
    troubles, waiting = [], chance.sample(kinds, len(kinds))
    at, shortest = seconds * FIRST, (LAST - FIRST) * seconds / len(kinds)
    while at < seconds * LAST:
        waiting = waiting or chance.sample(kinds, len(kinds))
        troubles.append(
            Trouble(
                at=round(at, 2),
                kind=waiting.pop(),
                seconds=round(chance.uniform(0.5, 3.0), 2),
                which=chance.randrange(1_000),
            )
        )
        # In a short life they come faster, so that each kind still comes.
        at += min(chance.uniform(*apart), shortest)
    return tuple(troubles)
