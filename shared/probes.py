"""The doctor's questions: each link of the chain is asked, from the settings to the last event. An edge."""

from __future__ import annotations

import secrets
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx

from shared.access import StoredAccess, load_access
from shared.attempts import Access
from shared.connecting import (
    NUMBER_FIELDS,
    WABA_FIELDS,
    WRONG_APP_CODES,
    TokenFacts,
    find_number,
    webhook_url,
)
from shared.connections import open_client
from shared.crypto import CannotDecrypt
from shared.diagnostics import (
    OK,
    SKIPPED,
    Finding,
    Report,
    failed,
    judge_clock,
    judge_events,
    judge_health,
    judge_jobs,
    judge_migrations,
    judge_number,
    judge_protection,
    judge_scopes,
    judge_subscription,
    judge_token,
    judge_version,
)
from shared.errors import AppError, DatabaseUnavailable, Misconfigured
from shared.graph import GraphError, GraphUnreachable
from shared.schema import FUNCTIONS, TABLES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from shared.web import Resources

HANDSHAKE_SECONDS = 10.0
NEEDED = ("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "ENCRYPTION_KEYS")
PLATFORM = (
    "WHATSAPP_APP_ID", "WHATSAPP_APP_SECRET", "WHATSAPP_BUSINESS_ACCOUNT_ID", "WHATSAPP_ACCESS_TOKEN",
    "WHATSAPP_WEBHOOK_VERIFY_TOKEN", "WHATSAPP_WEBHOOK_URL",
)  # fmt: skip


async def diagnose(
    tools: Resources, organization_id: str, integration: Mapping[str, Any] | None, *, now: datetime
) -> Report:
    """Examine the chain of one organization's connection."""
    doctor = _Doctor(tools, now, organization_id)
    await doctor.examine_ground(NEEDED)
    await doctor.ask("connection", lambda: _judge_connection(integration))
    if integration is not None:
        await doctor.examine_connection(integration)
    return doctor.report


async def diagnose_platform(tools: Resources, *, now: datetime) -> Report:
    """Examine what the deployer set up: everything but the organizations' own connections."""
    doctor = _Doctor(tools, now)
    await doctor.examine_ground((*NEEDED, *PLATFORM))
    if doctor.report.findings["settings"].state == "ok":
        await doctor.examine_platform()
    return doctor.report


class _Doctor:
    """Asks one link after the other and writes down what was found."""

    def __init__(self, tools: Resources, now: datetime, organization_id: str | None = None) -> None:
        self.tools = tools
        self.now = now
        # Whose jobs are counted; None: everybody's.
        self.organization_id = organization_id
        self.report = Report()

    async def ask(self, link: str, probe: Callable[[], Awaitable[Finding]]) -> Finding:
        """Ask one link, unless one that it needs is broken."""
        finding = SKIPPED
        if self.report.is_sound(link):
            try:
                finding = await probe()
            except GraphUnreachable:
                finding = failed("graph_unreachable")
            except DatabaseUnavailable:
                finding = failed("database_unreachable")
            except GraphError as error:
                finding = failed("meta_refused", code=error.code)
        self.report.findings[link] = finding
        return finding

    async def examine_ground(self, names: tuple[str, ...]) -> None:
        """Examine settings, database and the queue: what no connection is needed for."""

        async def settings() -> Finding:
            try:
                self.tools.settings.demand(*names)
            except Misconfigured as error:
                return failed("settings_missing", settings=", ".join([*error.missing, *error.problems]))
            return OK

        await self.ask("settings", settings)
        facts: dict[str, Any] = {}

        async def database() -> Finding:
            try:
                facts.update(
                    await self.tools.database.as_service().rpc(
                        "examine_database",
                        {
                            "expected_tables": list(TABLES),
                            "expected_functions": list(FUNCTIONS),
                            "organization": self.organization_id,
                        },
                    )
                )
            except Misconfigured as error:
                is_key = "SUPABASE_URL" not in error.problems
                return failed(
                    "settings_missing" if is_key else "not_migrated",
                    settings=", ".join(error.problems),
                    missing="examine_database",
                )
            except DatabaseUnavailable:
                raise
            except AppError:
                return failed("database_unreachable")
            return judge_migrations(facts)

        await self.ask("database", database)
        await self.ask("protection", lambda: _now(judge_protection(facts)))
        await self.ask("jobs", lambda: _now(judge_jobs(facts)))

    async def examine_connection(self, integration: Mapping[str, Any]) -> None:
        """Examine one connection, from its keys to its last event."""
        opened: list[StoredAccess] = []

        async def keys() -> Finding:
            try:
                access = await load_access(self.tools, str(integration["id"]))
            except CannotDecrypt:
                return failed("keys_wrong")
            if access is None:
                return failed("not_connected")
            opened.append(access)
            return OK

        await self.ask("keys", keys)
        if not opened:
            self.skip("graph", "app", "clock", "token", "scopes", "account", "number", "health")
            self.skip("subscription", "callback", "events")
            return
        (access,) = opened
        await self.examine_meta(
            _Meta(self.tools, access, waba_id=access.waba_id, phone_number_id=access.phone_number_id)
        )
        await self.ask("events", lambda: _now(judge_events(integration, self.now)))

    async def examine_platform(self) -> None:
        """Examine the platform's own app, token, account and callback."""
        settings = self.tools.settings
        access = Access(
            token=settings.whatsapp_access_token,
            app_id=settings.whatsapp_app_id,
            app_secret=settings.whatsapp_app_secret,
        )
        number = settings.whatsapp_phone_number_id if settings.has("WHATSAPP_PHONE_NUMBER_ID") else None
        # The platform's own credentials come from the settings, where they need no key.
        self.report.findings["connection"] = self.report.findings["keys"] = OK
        waba_id = settings.whatsapp_business_account_id
        await self.examine_meta(_Meta(self.tools, access, waba_id=waba_id, phone_number_id=number))
        del self.report.findings["connection"], self.report.findings["keys"]

    async def examine_meta(self, meta: _Meta) -> None:
        """Examine one app with its token, account and number, and whether Meta delivers for them."""
        graph = self.tools.graph
        await self.ask("graph", meta.reach)
        await self.ask("app", meta.judge_app)
        await self.ask("clock", lambda: _now(judge_clock(_date(graph.last_date), self.now)))
        await self.ask("token", lambda: meta.judge_token(self.now))
        await self.ask("scopes", meta.judge_scopes)
        await self.ask("account", meta.read_account)
        if meta.phone_number_id is None:
            self.skip("number", "health")
        else:
            await self.ask("number", meta.judge_number)
            await self.ask("health", meta.read_health)
        await self.ask("subscription", meta.read_subscription)
        await self.ask("callback", meta.call_back)

    def skip(self, *links: str) -> None:
        """Write down that these could not be asked."""
        for link in links:
            self.report.findings.setdefault(link, SKIPPED)


class _Meta:
    """What is asked of Meta about one app, and remembered from one question to the next."""

    def __init__(
        self, tools: Resources, access: Access, *, waba_id: str, phone_number_id: str | None
    ) -> None:
        self.graph = tools.graph
        self.settings = tools.settings
        self.access = access
        self.waba_id = waba_id
        self.phone_number_id = phone_number_id
        self.app_token = f"{access.app_id}|{access.app_secret}"
        self.refusal: GraphError | None = None
        self.facts = TokenFacts.from_debug({})
        self.nodes: list[dict[str, Any]] = []

    async def reach(self) -> Finding:
        """Ask, as the app, about the token. Refused is reached: what it means is for the next links."""
        try:
            data = await self.graph.debug_token(self.access.token, token=self.app_token)
        except GraphError as error:
            self.refusal = error
        else:
            self.facts = TokenFacts.from_debug(data)
        return judge_version(self.graph.version, self.graph.served_version)

    async def judge_app(self) -> Finding:
        """Judge whether app id and app secret belong together; Meta signs deliveries with that secret."""
        is_wrong = self.refusal is not None and self.refusal.code in WRONG_APP_CODES
        return failed("app_secret_wrong") if is_wrong else OK

    async def judge_token(self, now: datetime) -> Finding:
        """Judge the token."""
        if self.refusal is not None:
            return failed("token_of_other_app")
        return judge_token(self.facts, app_id=self.access.app_id, now=now)

    async def judge_scopes(self) -> Finding:
        """Judge its permissions."""
        return judge_scopes(self.facts)

    async def read_account(self) -> Finding:
        """Read the account and its numbers."""
        if not self.facts.covers(self.waba_id):
            return failed("account_not_accessible")
        token, secret = self.access.token, self.access.app_secret
        try:
            await self.graph.waba(self.waba_id, token=token, app_secret=secret, fields=WABA_FIELDS)
            self.nodes = await self.graph.waba_phone_numbers(
                self.waba_id, token=token, app_secret=secret, fields=NUMBER_FIELDS
            )
        except GraphError:
            return failed("account_not_accessible")
        return OK

    async def judge_number(self) -> Finding:
        """Judge the number."""
        return judge_number(find_number(self.nodes, str(self.phone_number_id)))

    async def read_health(self) -> Finding:
        """Read what Meta itself finds."""
        return judge_health((await self._number("health_status")).get("health_status"))

    async def read_subscription(self) -> Finding:
        """Read who gets the deliveries, and where."""
        apps = await self.graph.subscribed_apps(
            self.waba_id, token=self.access.token, app_secret=self.access.app_secret
        )
        found = await self.graph.list_all(f"{self.access.app_id}/subscriptions", token=self.app_token)
        override = None
        if any(str(node.get("id")) == self.phone_number_id for node in self.nodes):
            configured = (await self._number("webhook_configuration")).get("webhook_configuration")
            override = (configured or {}).get("phone_number")
        ours = [each for each in found if each.get("object") == "whatsapp_business_account"]
        return judge_subscription(
            apps,
            app_id=self.access.app_id,
            number_override=override,
            our_override=self._own_url,
            app_subscription=ours[0] if ours else {},
            expected=self._expected_url,
        )

    async def call_back(self) -> Finding:
        """Ask our webhook as Meta does."""
        url = self._expected_url
        if url is None:
            return SKIPPED
        if self._has_own_app and isinstance(self.access, StoredAccess):
            return await shake_hands(url, self.access.open("webhook_verify_token") or "")
        return await shake_hands(url, self.settings.whatsapp_webhook_verify_token)

    @property
    def _has_own_app(self) -> bool:
        return isinstance(self.access, StoredAccess) and bool(self.access.row["has_own_app"])

    @property
    def _own_url(self) -> str | None:
        if not isinstance(self.access, StoredAccess) or not self.settings.has("WHATSAPP_WEBHOOK_URL"):
            return None
        return webhook_url(self.settings.whatsapp_webhook_url, self.access.integration_id)

    @property
    def _expected_url(self) -> str | None:
        if self._has_own_app:
            return self._own_url
        has_url = self.settings.has("WHATSAPP_WEBHOOK_URL")
        return self.settings.whatsapp_webhook_url if has_url else None

    async def _number(self, field: str) -> dict[str, Any]:
        return await self.graph.phone_number(
            str(self.phone_number_id),
            token=self.access.token,
            app_secret=self.access.app_secret,
            fields=field,
        )


async def shake_hands(url: str, verify_token: str) -> Finding:
    """Ask the webhook as Meta does, from outside: over the network, at its public address."""
    challenge = str(secrets.randbelow(10**9))
    query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
    async with open_client(None, read_seconds=HANDSHAKE_SECONDS) as client:
        try:
            answer = await client.get(url, params=query)
        except httpx.HTTPError:
            return failed("callback_unreachable")
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or answer.status_code == httpx.codes.NOT_FOUND:
        return failed("callback_unreachable")
    is_right = answer.status_code == httpx.codes.OK and answer.text.strip() == challenge
    return OK if is_right else failed("callback_refused")


async def _judge_connection(integration: Mapping[str, Any] | None) -> Finding:
    is_usable = integration is not None and integration["status"] in {"connected", "error"}
    return OK if is_usable else failed("not_connected")


async def _now(finding: Finding) -> Finding:
    return finding


def _date(text: str | None) -> datetime | None:
    return None if text is None else parsedate_to_datetime(text)
