"""Whose secrets a delivery must be signed with: the platform's, or an organization's own. An edge.

Looked up before anything is proven, so that strangers can make us look things up: answers are remembered for
a minute, and what is unknown may be asked for only so often.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import log
from shared.errors import DatabaseUnavailable, TooManyRequests

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.web import Resources

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# A rotated secret works within this many seconds, a removed one stops within them; what was known before
# stays so while the database is away.
REMEMBERED_SECONDS = 60.0
MOST_REMEMBERED = 5_000
# Looking up an endpoint costs a query: this many a second, and this many at once, for one running instance.
LOOKUPS_PER_SECOND = 20.0
LOOKUPS_AT_ONCE = 100.0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """What a caller must know to be heard; the one that nobody has knows no secret."""

    integration_id: str | None = None
    secrets: tuple[str, ...] = ()
    verify_token: str = ""

    def __repr__(self) -> str:
        return f"Endpoint({self.integration_id})"


class Endpoints:
    """Finds endpoints, and remembers them for a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Endpoint]] = OrderedDict()
        self._lookups = LOOKUPS_AT_ONCE
        self._counted_at = clock()

    async def find(self, resources: Resources, integration_id: str | None) -> Endpoint:
        """Return the endpoint, an unknown one with no secrets; raise `TooManyRequests` under a flood.

        While the database is away, what was known before is returned; `DatabaseUnavailable` for the rest.
        """
        if integration_id is None:
            settings = resources.settings
            return Endpoint(
                secrets=settings.whatsapp_app_secrets, verify_token=settings.whatsapp_webhook_verify_token
            )
        if not UUID.fullmatch(integration_id):
            return Endpoint()
        now = self._clock()
        known_until, endpoint = self._known.get(integration_id, (0.0, Endpoint()))
        if now < known_until:
            return endpoint
        self._count_lookup(now)
        try:
            endpoint = await _look_up(resources, integration_id)
        except DatabaseUnavailable:
            # With a queue a delivery needs the database for nothing else: rather the secret of before.
            if endpoint.integration_id is None:
                raise
            log.warning("webhook.older_secret_used", integration_id=integration_id)
        self._known[integration_id] = (now + REMEMBERED_SECONDS, endpoint)
        self._known.move_to_end(integration_id)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
        return endpoint

    def _count_lookup(self, now: float) -> None:
        refilled = self._lookups + (now - self._counted_at) * LOOKUPS_PER_SECOND
        self._lookups, self._counted_at = min(LOOKUPS_AT_ONCE, refilled), now
        if self._lookups < 1:
            log.warning("webhook.too_many_lookups")
            raise TooManyRequests(retry_after=1)
        self._lookups -= 1


async def _look_up(resources: Resources, integration_id: str) -> Endpoint:
    row = await resources.database.call_rpc("find_webhook_endpoint", {"integration": integration_id})
    if not row:
        return Endpoint()
    await resources.load_keys()
    own_secrets = _decrypt(resources, integration_id, "app_secret", row["app_secret"])
    # Without an app of its own, the platform's app was told to deliver here: for this organization alone.
    secrets = tuple(own_secrets.split(",")) if row["has_own_app"] else resources.settings.whatsapp_app_secrets
    verify_token = _decrypt(resources, integration_id, "webhook_verify_token", row["webhook_verify_token"])
    return Endpoint(integration_id=integration_id, secrets=secrets, verify_token=verify_token)


def _decrypt(resources: Resources, row_id: str, column: str, ciphertext: str | None) -> str:
    return resources.keys.decrypt(ciphertext, row_id=row_id, column=column) if ciphertext else ""
