"""What tests of connecting do again and again: type a number, enter a code, paste credentials."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import psycopg

    from tests.world import Organization, Simulator, User

Result = TypeVar("Result")
OAUTH, META_API = "/whatsapp-oauth", "/whatsapp-meta-api"
_numbers = itertools.count(secrets.randbelow(90_000) * 100)


@dataclass(frozen=True, kw_only=True)
class Typed:
    """A number as Meta and as people write it."""

    digits: str

    @property
    def e164(self) -> str:
        return f"+{self.digits}"


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run something in a loop of its own. `asyncio.run` would drop, unclosed, the loop that Mangum makes."""
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        return loop.run_until_complete(coroutine)


def new_number() -> Typed:
    """Return a number that nobody has used before. +1 555: no network gives these out."""
    return Typed(digits=f"1555{next(_numbers):07d}")


@dataclass(frozen=True, kw_only=True)
class Business:
    """A business at Meta, as its dashboard shows it."""

    pasted: dict[str, str]
    waba_id: str
    phone_number_id: str
    phone_number: str


def new_business(simulator: Simulator, **fields: Any) -> Business:
    """Create a business with an app of its own, unless `own_app` says otherwise."""
    made = simulator.new_business(
        **{"name": "Panadería", "own_app": True, "phone_number": new_number().digits, **fields}
    )
    pasted = {
        "phone_number_id": made["phone_number_id"],
        "business_account_id": made["waba_id"],
        "access_token": made["access_token"],
        "app_id": made["app_id"],
        "app_secret": made["app_secret"],
    }
    return Business(
        pasted=pasted,
        waba_id=made["waba_id"],
        phone_number_id=made["phone_number_id"],
        phone_number=made["phone_number"],
    )


def add_agent(organization: Organization, agent: User) -> User:
    """Let the owner make somebody an agent."""
    return organization.take_in(agent)


def paste(user: User, business: Business, **changed: Any) -> httpx.Response:
    """Paste a business's credentials."""
    return user.functions.post(f"{OAUTH}/credentials", json={**business.pasted, **changed})


def request_code(user: User, number: Typed, **fields: Any) -> httpx.Response:
    """Type a number."""
    return user.functions.post(f"{OAUTH}/request-code", json={"phone_number": number.e164, **fields})


def verify(user: User, code: str, **fields: Any) -> httpx.Response:
    """Enter a code."""
    return user.functions.post(f"{OAUTH}/verify-code", json={"code": code, **fields})


def connect_number(user: User, simulator: Simulator, number: Typed | None = None) -> Typed:
    """Go the whole way with a number of the platform's account."""
    number = number or new_number()
    request_code(user, number).raise_for_status()
    verify(user, sent_code(simulator, number)).raise_for_status()
    return number


def sent_code(simulator: Simulator, number: Typed) -> str:
    """Read the code that Meta sent to the number's phone."""
    (found,) = simulator.get("/codes", phone_number=number.digits)
    return str(found["code"])


def let_time_pass(database: psycopg.Connection[Any], number: Typed, seconds: int) -> None:
    """Move everything that is stored about a number into the past."""
    database.execute(
        """
        update whatsapp_verifications set
            requested_at = requested_at - %(past)s, sent_at = sent_at - %(past)s,
            resend_at = resend_at - %(past)s, expires_at = expires_at - %(past)s
        where phone_number = %(number)s
        """,
        {"past": timedelta(seconds=seconds), "number": number.e164},
    )


def at_meta(simulator: Simulator, number: Typed) -> list[dict[str, Any]]:
    """Return what Meta has under a phone number."""
    return [row for row in simulator.get("/numbers") if row["phone_number"] == number.digits]


def waba_at_meta(simulator: Simulator, waba_id: str) -> dict[str, Any]:
    """Return a WABA as Meta has it."""
    (found,) = [row for row in simulator.get("/wabas") if row["id"] == waba_id]
    waba: dict[str, Any] = found
    return waba


def code_of(answer: httpx.Response) -> str:
    """Return the code of a refusal."""
    return str(answer.json()["error"]["code"])


def status(user: User, **query: str) -> dict[str, Any]:
    """Return the connection as the user is shown it."""
    answer = user.functions.get(f"{OAUTH}/status", params=query)
    answer.raise_for_status()
    integration: dict[str, Any] = answer.json()["integration"]
    return integration


def walk_through_the_dialog(begun: dict[str, Any], **choice: str) -> httpx.Response:
    """Follow the redirect flow as a browser does, up to where our callback sends it."""
    address = begun["authorize_url"]
    with httpx.Client(trust_env=False) as browser:
        page = browser.get(address)
        assert page.status_code == 200, page.text
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        sent = browser.post(
            address.partition("?")[0],
            data={**query, "choice": "allow", "phone_number": new_number().digits, **choice},
        )
        assert sent.status_code == 302, sent.text
        return browser.get(sent.headers["location"])


def fragment_of(answer: httpx.Response) -> dict[str, str]:
    """Read what our callback tells the dashboard."""
    assert answer.status_code == 303, answer.text
    parts = parse_qs(urlsplit(answer.headers["location"]).fragment)
    return {name: values[0] for name, values in parts.items()}
