"""The cases, and what runs them. Edge: it speaks to a receiver over HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from local.conformance.payloads import Maker
from local.graph import wire

OK, BAD, SERVER = 200, 400, 500


class Failed(AssertionError):
    """The receiver did something that it must not; the sentence says what."""


class Skipped(Exception):
    """The case needs something that was not given; the sentence says what."""


Ask = Callable[[list[str]], Awaitable[dict[str, int]]]
Act = Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that a receiver must do."""

    area: str
    name: str
    why: str
    run: Callable[[Suite], Awaitable[str | None]]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a case: passed, failed or skipped, with a detail."""

    area: str
    name: str
    outcome: str
    detail: str
    seconds: float


CASES: list[Case] = []


def case(area: str, name: str) -> Callable[[Callable[[Suite], Awaitable[str | None]]], Any]:
    """Register a function as a case; its docstring says why it matters."""

    def register(run: Callable[[Suite], Awaitable[str | None]]) -> Any:
        why = (run.__doc__ or "").strip()
        CASES.append(Case(area=area, name=name, why=why, run=run))
        return run

    return register


@dataclass(kw_only=True)
class Suite:
    """A receiver under examination."""

    url: str
    secret: str
    client: httpx.AsyncClient
    verify_token: str | None = None
    maker: Maker = field(default_factory=Maker)
    ask: Ask | None = None
    """Counts what was stored: wamid or `wamid#status` → how many rows."""
    crash: Act | None = None
    """Kills the receiver and starts it again."""
    break_store: Act | None = None
    mend_store: Act | None = None
    settle_seconds: float = 5.0

    async def post(
        self, body: bytes, signature: str | bytes | None = "", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Deliver; "" signs as Meta does, None sends no signature."""
        sent = {"Content-Type": "application/json", "User-Agent": "facebookexternalua", "Accept": "*/*"}
        encoded = [(name.encode(), value.encode()) for name, value in {**sent, **(headers or {})}.items()]
        if signature is not None:
            given = signature or wire.signature(self.secret, body)
            given = given if isinstance(given, bytes) else given.encode()
            encoded.append((b"X-Hub-Signature-256", given))
        return await self.client.post(self.url, content=body, headers=encoded)

    async def accepted(self, body: bytes) -> httpx.Response:
        """Deliver something that has to be acknowledged."""
        answer = await self.post(body)
        if answer.status_code != OK:
            raise Failed(f"A delivery as Meta sends it got {answer.status_code}, not 200.")
        return answer

    async def refused(self, body: bytes, signature: str | bytes | None) -> httpx.Response:
        """Deliver something that has to be refused, without a word about what was expected."""
        answer = await self.post(body, signature)
        if not BAD <= answer.status_code < SERVER:
            raise Failed(f"It got {answer.status_code}, not a refusal (4xx).")
        self.tells_nothing(answer)
        return answer

    async def survived(self, body: bytes) -> httpx.Response:
        """Deliver something odd that is signed: kept or refused, but no server error."""
        answer = await self.post(body)
        if answer.status_code >= SERVER:
            raise Failed(f"It got {answer.status_code}: Meta would send it again for seven days.")
        return answer

    def tells_nothing(self, answer: httpx.Response) -> None:
        """Check that an answer gives no secret away."""
        for name, secret in (("the app secret", self.secret), ("the verify token", self.verify_token)):
            if secret and secret in answer.text:
                raise Failed(f"The answer gives {name} away.")
        sent = answer.request.content
        if wire.signature(self.secret, sent).removeprefix("sha256=") in answer.text:
            raise Failed("The answer gives the expected signature away.")

    async def stored_once(self, *keys: str) -> None:
        """Check that each is stored exactly once; does nothing if there is no way to ask."""
        if self.ask is None:
            return
        end = time.monotonic() + self.settle_seconds
        while True:
            counts = await self.ask(list(keys))
            wrong = {key: counts.get(key, 0) for key in keys if counts.get(key, 0) != 1}
            if not wrong:
                return
            if time.monotonic() > end or any(count > 1 for count in wrong.values()):
                missing = sum(1 for count in wrong.values() if count == 0)
                raise Failed(
                    f"Of {len(keys)}, {missing} are not stored and {len(wrong) - missing} more than once."
                )
            await asyncio.sleep(0.1)

    async def stored_never(self, *keys: str) -> None:
        """Check that none is stored."""
        if self.ask is None:
            return
        counts = await self.ask(list(keys))
        if any(counts.get(key, 0) for key in keys):
            raise Failed("Something that was refused is stored.")

    async def run(self, wanted: str | None = None) -> list[Result]:
        """Run the cases whose area or name holds a word; all without one."""
        import local.conformance.cases  # noqa: F401 - registers the cases

        results = []
        for one in CASES:
            if wanted and wanted not in f"{one.area} {one.name}":
                continue
            results.append(await self._run_one(one))
        return results

    async def _run_one(self, one: Case) -> Result:
        started = time.monotonic()
        try:
            outcome, detail = "passed", await one.run(self) or ""
        except Failed as error:
            outcome, detail = "failed", str(error)
        except Skipped as error:
            outcome, detail = "skipped", str(error)
        except httpx.HTTPError as error:
            outcome, detail = "failed", f"No answer: {type(error).__name__} {error}"
        return Result(
            area=one.area,
            name=one.name,
            outcome=outcome,
            detail=detail,
            seconds=round(time.monotonic() - started, 3),
        )


def to_table(results: list[Result]) -> str:
    """Return the results as lines for a terminal."""
    marks = {"passed": "✓", "failed": "✗", "skipped": "·"}
    width = max((len(result.name) for result in results), default=0)
    lines, area = [], ""
    for result in results:
        if result.area != area:
            area = result.area
            lines.append(f"\n{area}")
        lines.append(f"  {marks[result.outcome]} {result.name:<{width}}  {result.detail}".rstrip())
    counts = {outcome: sum(1 for result in results if result.outcome == outcome) for outcome in marks}
    lines.append("\n" + ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return "\n".join(lines)


def to_json(results: list[Result]) -> str:
    """Return the results as JSON."""
    return json.dumps({"results": [vars(result) for result in results]}, indent=2, ensure_ascii=False)
