"""Faults that the simulator was told to have. No I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

CUTS = ("before", "after")


@dataclass(kw_only=True)
class Fault:
    """One rule; the first that fits a call and has times left is used."""

    id: str
    edge: str = "*"
    """An edge by name (`messages`, `phone_numbers`, `node` …), or `*`."""
    method: str | None = None
    object_id: str | None = None
    code: int | None = None
    subcode: int | None = None
    message: str | None = None
    details: str | None = None
    http_status: int | None = None
    is_transient: bool | None = None
    retry_after: int | None = None
    body: str | None = None
    """Answered as it is, for instance an HTML page of a proxy."""
    by_status: bool = False
    """The call is accepted, and the error comes as a failed status."""
    cut: str | None = None
    """`before`: the connection dies before the call is read; `after`: it was obeyed, its answer is lost."""
    latency_ms: int = 0
    skip: int = 0
    """How many fitting calls pass before it begins."""
    times: int | None = None
    """How often it happens; None: always."""
    used: int = 0

    def fits(self, method: str, edge: str, object_id: str) -> bool:
        """Tell whether this rule speaks of a call."""
        return (
            self.edge in ("*", edge)
            and (self.method is None or self.method == method)
            and (self.object_id is None or self.object_id == object_id)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the rule, with how often it was used."""
        return asdict(self)


class Faults:
    """The rules, in the order in which they were given."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []

    def __bool__(self) -> bool:
        return bool(self.rules)

    def add(self, fault: Fault) -> Fault:
        """Append a rule; raises ValueError if it does nothing that can be done."""
        if fault.cut is not None and fault.cut not in CUTS:
            raise ValueError("`cut` is `before` or `after`.")
        self.rules.append(fault)
        return fault

    def take(self, method: str, edge: str, object_id: str) -> Fault | None:
        """Return the rule for a call and count it; a rule that is used up disappears."""
        for fault in self.rules:
            if not fault.fits(method, edge, object_id):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.used += 1
            if fault.times is not None and fault.used >= fault.times:
                self.rules.remove(fault)
            return fault
        return None

    def remove(self, fault_id: str) -> bool:
        """Take a rule away; False if there is none of this id."""
        before = len(self.rules)
        self.rules = [fault for fault in self.rules if fault.id != fault_id]
        return len(self.rules) < before

    def clear(self) -> None:
        """Take all rules away."""
        self.rules.clear()
