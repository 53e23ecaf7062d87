"""One attempt to connect a number: every step is stored before and after the call to Meta. An edge.

A process may die between any two steps. The same call, repeated, takes the attempt over and finds what is
done already: by what is stored, and by asking Meta before changing anything there.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared import log
from shared.connecting import NUMBER_FIELDS, NumberFacts, is_subscribed, webhook_url
from shared.crypto import CannotDecrypt
from shared.errors import AppError, PinRequired, TooManyRequests, Unavailable, VerificationRequired
from shared.graph import GraphError, GraphUnreachable
from shared.verify_tokens import make_verify_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from shared.crypto import KeyRing
    from shared.database import Session
    from shared.graph import GraphClient
    from shared.settings import Settings
    from shared.web import Resources

SECRET_COLUMNS = ("access_token", "app_secret", "webhook_verify_token", "pin")
PIN_DIGITS = 6
# How often one looks whether another's registration is over.
TURN_SECONDS = 0.5
# https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/registration
PIN_MISMATCH, NOT_VERIFIED = 133005, 133006


@dataclass(kw_only=True, repr=False)
class Access:
    """How to speak to Meta for a connection: a token, its app, and the app's secret where we know it."""

    token: str
    app_id: str
    app_secret: str | None

    def __repr__(self) -> str:
        return f"Access({self.app_id})"


@dataclass(kw_only=True)
class Attempt:
    """The holder of a connection while it is made; `row` is what was stored when it began."""

    service: Session
    graph: GraphClient
    keys: KeyRing
    settings: Settings
    row: dict[str, Any]
    is_finished: bool = False

    @property
    def integration_id(self) -> str:
        """The connection's id, to which its secrets are bound."""
        return str(self.row["integration_id"])

    def encrypt(self, **secrets_: str | None) -> dict[str, str | None]:
        """Encrypt each secret for its own column of this row."""
        return {
            column: None
            if text is None
            else self.keys.encrypt(text, row_id=self.integration_id, column=column)
            for column, text in secrets_.items()
        }

    def decrypt(self, column: str) -> str | None:
        """Open a secret that was stored when the attempt began; None also for one whose key is lost."""
        text = self.row.get(column)
        try:
            return (
                None if text is None else self.keys.decrypt(text, row_id=self.integration_id, column=column)
            )
        except CannotDecrypt as error:
            log.warning("connection.secret_unreadable", integration_id=self.integration_id, error=error)
            return None

    async def advance(self, reached: str, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Store that a step is reached; raise when the number is taken, or the attempt no longer ours."""
        answer: dict[str, Any] = await self.service.rpc(
            "advance_connection",
            {
                "integration": self.integration_id,
                "holder": self.row["attempt"],
                "reached": reached,
                "facts": dict(facts or {}),
            },
        )
        self.row |= {name: value for name, value in (facts or {}).items() if name in SECRET_COLUMNS}
        log.info("connection.step_reached", integration_id=self.integration_id, step=reached)
        return answer

    async def ensure_registered(
        self, number: NumberFacts, access: Access, *, given_pin: str | None, is_in_use: bool = False
    ) -> None:
        """Register the number unless it is; the PIN is stored before Meta hears of it, so never lost.

        `is_in_use`: its owner uses it already, so where Meta does not tell, it is taken as registered.
        """
        before = self.row.get("pin")
        if number.is_registered or (is_in_use and number.registration_is_untold):
            await self.advance("registered", {"is_registered": True})
            return
        pin = given_pin or self.decrypt("pin") or make_pin()
        await self.advance("proven", self.encrypt(pin=pin))
        turn = await begin_registration(
            self.service, self.integration_id, number.id, "register", holder=self.row["attempt"]
        )
        try:
            # Read again, now that nobody else is registering it.
            node = await self.graph.phone_number(
                number.id, token=access.token, app_secret=access.app_secret, fields=NUMBER_FIELDS
            )
            if NumberFacts.from_node(node).is_registered:
                await turn.end(was_called=False)
            else:
                async with turn:
                    await self.graph.post(
                        f"{number.id}/register",
                        token=access.token,
                        app_secret=access.app_secret,
                        json={"messaging_product": "whatsapp", "pin": pin},
                    )
        except GraphError as error:
            if error.code == PIN_MISMATCH:
                # A wrong one must not be tried again by itself; the person's typing error costs us nothing.
                await self.advance("proven", {"pin": before if given_pin else None})
                raise PinRequired from error
            if error.code == NOT_VERIFIED:
                raise VerificationRequired from error
            raise
        await self.advance("registered", {"is_registered": True})

    async def ensure_subscribed(self, waba_id: str, access: Access) -> None:
        """Subscribe the app to the WABA unless it is; a callback that was set for it stays as it is."""
        apps = await self.graph.subscribed_apps(waba_id, token=access.token, app_secret=access.app_secret)
        if not is_subscribed(apps, access.app_id):
            await self.graph.subscribe_app(waba_id, token=access.token, app_secret=access.app_secret)
        await self.advance("subscribed")

    async def override_callback(self, number_id: str, access: Access) -> None:
        """Let Meta deliver this number's events to an address of its own; it asks that address at once."""
        base = self.settings.demand("WHATSAPP_WEBHOOK_URL").whatsapp_webhook_url
        url = webhook_url(base, self.integration_id)
        verify_token = self.decrypt("webhook_verify_token")
        if verify_token is None:
            verify_token = make_verify_token()
            await self.advance("subscribed", self.encrypt(webhook_verify_token=verify_token))
        await self.graph.post(
            number_id,
            token=access.token,
            app_secret=access.app_secret,
            json={"webhook_configuration": {"override_callback_uri": url, "verify_token": verify_token}},
        )
        await self.advance("subscribed", {"callback_override": url})

    async def finish(self) -> dict[str, Any]:
        """Store that the number is connected, and return the connection."""
        connection = await self.advance("connected")
        self.is_finished = True
        return connection

    async def release(self, refusal: AppError | None = None) -> None:
        """Let the next one begin; a refusal is kept for the owner to see."""
        await self.service.rpc(
            "end_attempt",
            {
                "integration": self.integration_id,
                "holder": self.row["attempt"],
                "refusal_code": refusal.code if refusal else None,
                "refusal_message": refusal.sentence("es") if refusal else None,
            },
        )


@asynccontextmanager
async def begin_attempt(
    tools: Resources,
    *,
    organization_id: str,
    user_id: str,
    way: str,
    inputs: Mapping[str, object],
    phone_number_id: str | None = None,
) -> AsyncIterator[Attempt]:
    """Take the connection in hand for a block; a refusal inside it is kept for the owner to see.

    `inputs` are what makes two calls the same call.
    """
    service = tools.database.as_service()
    keys = await tools.load_keys()
    digest = keys.keyed_hash(json.dumps(inputs, sort_keys=True), purpose="attempt")
    row = await service.rpc(
        "begin_connection",
        {
            "organization": organization_id,
            "by_user": user_id,
            "chosen_way": way,
            "input_digest": digest,
            "number_id": phone_number_id,
        },
    )
    attempt = Attempt(service=service, graph=tools.graph, keys=keys, settings=tools.settings, row=row)
    try:
        yield attempt
    except (AppError, GraphError, GraphUnreachable) as error:
        refusal = error if isinstance(error, AppError) else error.to_refusal()
        # What passes by itself is for the caller alone.
        await attempt.release(None if isinstance(refusal, (TooManyRequests, Unavailable)) else refusal)
        raise
    if not attempt.is_finished:
        await attempt.release()


@dataclass(frozen=True, kw_only=True)
class RegistrationTurn:
    """The only call that registers a number, or takes it off; others wait until Meta's answer is known."""

    service: Session
    id: int

    async def end(self, *, was_called: bool = True) -> None:
        """Let the next one begin; what Meta was not asked does not count."""
        await self.service.rpc("end_registration", {"registration": self.id, "was_called": was_called})

    async def __aenter__(self) -> None:
        """Begin to ask Meta."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        """End, unless Meta may still be at it: then the next one waits as long as an answer could take."""
        if error is None or isinstance(error, GraphError):
            await self.end()


async def begin_registration(
    service: Session, integration_id: str, phone_number_id: str, action: str, *, holder: str | None = None
) -> RegistrationTurn:
    """Wait for the turn, count it before Meta does; raises `RegistrationLimit` for the eleventh in 72 h."""
    wanted = {
        "integration": integration_id,
        "number_id": phone_number_id,
        "wanted": action,
        "holder": holder,
    }
    while True:
        begun = await service.rpc("begin_registration", wanted)
        if begun is not None:
            return RegistrationTurn(service=service, id=begun)
        await asyncio.sleep(TURN_SECONDS)


def make_pin() -> str:
    """Make a two-step PIN: six digits, each as likely as any other."""
    return f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}"
