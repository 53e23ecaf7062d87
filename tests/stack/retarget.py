"""Payloads of somebody else's numbers, turned towards organizations of our own."""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any

from shared.webhook_notices import phone_number_of
from tests.database.tenants import Tenant, make_tenant

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]
    Json = dict[str, Any]


class Retarget:
    """One organization for each number that the payloads name, one WABA for each of their WABAs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._accounts: dict[str, str] = {}
        self._tenants: dict[tuple[str, str], Tenant] = {}

    @property
    def tenants(self) -> list[Tenant]:
        """The organizations, in the order in which the payloads named them."""
        return list(self._tenants.values())

    def turn(self, payload: Json) -> Json:
        """Return the payload as if it had been sent to our organizations."""
        turned = copy.deepcopy(payload)
        for entry in each_dict(turned.get("entry")):
            theirs = str(entry.get("id"))
            for change in each_dict(entry.get("changes")):
                value = change.get("value")
                if not isinstance(value, dict):
                    continue
                account = value.get("waba_info", {}).get("waba_id")
                metadata = value.get("metadata")
                number = metadata.get("phone_number_id") if isinstance(metadata, dict) else None
                tenant = self._tenant(
                    str(account or theirs), str(number) if number else "", phone_number_of(value)
                )
                if number and isinstance(metadata, dict):
                    metadata["phone_number_id"] = tenant.phone_number_id
                if account:
                    value["waba_info"]["waba_id"] = tenant.waba_id
            if theirs in self._accounts:
                entry["id"] = self._accounts[theirs]
        return turned

    def _tenant(self, account: str, number: str, phone: str | None) -> Tenant:
        known = [
            tenant
            for (waba, phone), tenant in self._tenants.items()
            if waba == account and (not number or phone == number)
        ]
        if known:
            return known[0]
        columns: dict[str, Any] = {
            "phone_number": phone if phone and re.fullmatch(r"\+[1-9]\d{5,14}", phone) else None
        }
        if account in self._accounts:
            columns["business_account_id"] = self._accounts[account]
        tenant = make_tenant(self._connection, **columns)
        self._accounts[account] = tenant.waba_id
        self._tenants[account, number] = tenant
        return tenant


def each_dict(value: object) -> list[Json]:
    """Return the objects of a list, or the one that stands where a list is due."""
    each_of = value if isinstance(value, list) else [value]
    return [each for each in each_of if isinstance(each, dict)]


def rename_messages(payload: Any, suffix: str) -> Any:
    """Return the payload with message ids of its own: no two payloads then speak of the same message."""
    if isinstance(payload, dict):
        return {key: rename_messages(each, suffix) for key, each in payload.items()}
    if isinstance(payload, list):
        return [rename_messages(each, suffix) for each in payload]
    # Those of older documentation do not begin with `wamid.`.
    is_wamid = isinstance(payload, str) and payload.startswith(("wamid.", "ABGG", "gBGG"))
    return f"{payload}{suffix}" if is_wamid else payload
