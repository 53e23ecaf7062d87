"""Who acts in the tests of the running stack: users, organizations, and the people in Meta's world."""

from __future__ import annotations

import json
import secrets
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 30.0


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who signed up."""

    id: str
    email: str
    token: str
    rest: httpx.Client
    """PostgREST as this user."""
    functions: httpx.Client
    """The functions as this user's browser calls them."""


@dataclass(frozen=True, kw_only=True)
class Organization:
    """A tenant and who made it."""

    id: str
    name: str
    owner: User

    def take_in(self, user: User, role: str = "agent") -> User:
        """Let the owner invite somebody, who accepts."""
        asked = {"organization": self.id, "address": user.email, "new_role": role}
        invited = self.owner.rest.post("/rpc/invite_member", json=asked)
        assert invited.is_success, invited.text
        accepted = user.rest.post("/rpc/accept_invitation", json={"invitation": invited.json()["id"]})
        assert accepted.is_success, accepted.text
        return user


class World:
    """The stack's addresses and keys, and what everybody begins with."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.variables = variables
        self.supabase_url = variables["SUPABASE_URL"]
        self.functions_url = variables["FUNCTIONS_URL"]
        self.graph_url = variables["GRAPH_API_URL"]
        self.publishable_key = variables["SUPABASE_PUBLISHABLE_KEY"]
        self.secret_key = variables["SUPABASE_SECRET_KEY"]
        self._clients: list[httpx.Client] = []
        self.anonymous = self.client(f"{self.supabase_url}/rest/v1", {"apikey": self.publishable_key})
        self.service = self.client(f"{self.supabase_url}/rest/v1", {"apikey": self.secret_key})
        self.functions = self.client(self.functions_url, {})
        self.simulator = Simulator(self.client(f"{self.graph_url}/_simulator", {}))

    def client(self, base_url: str, headers: Mapping[str, str]) -> httpx.Client:
        """Make a client that goes straight to an address; it is closed with the world."""
        client = httpx.Client(base_url=base_url, headers=dict(headers), timeout=PATIENCE, trust_env=False)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close all clients."""
        for client in self._clients:
            client.close()

    def new_user(self) -> User:
        """Sign somebody up, as a browser does."""
        email = f"{uuid.uuid4()}@example.com"
        answer = httpx.post(
            f"{self.supabase_url}/auth/v1/signup",
            headers={"apikey": self.publishable_key},
            json={"email": email, "password": secrets.token_urlsafe(16)},
            timeout=PATIENCE,
            trust_env=False,
        )
        answer.raise_for_status()
        token = answer.json()["access_token"]
        bearer = {"authorization": f"Bearer {token}"}
        return User(
            id=answer.json()["user"]["id"],
            email=email,
            token=token,
            rest=self.client(f"{self.supabase_url}/rest/v1", {"apikey": self.publishable_key, **bearer}),
            functions=self.client(self.functions_url, bearer),
        )

    def new_organization(self, owner: User | None = None, *, name: str = "Prueba") -> Organization:
        """Let somebody create an organization of their own."""
        owner = owner or self.new_user()
        organization_id = str(uuid.uuid4())
        answer = owner.rest.post(
            "/organizations", json={"id": organization_id, "owner_id": owner.id, "name": name}
        )
        answer.raise_for_status()
        return Organization(id=organization_id, name=name, owner=owner)


class Simulator:
    """The control API of the Graph simulator; docs/simulator.md describes its paths."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def get(self, path: str, **query: Any) -> Any:
        """Read something."""
        return self._read(self.client.get(path, params=query))

    def post(self, path: str, **fields: Any) -> Any:
        """Make or do something."""
        return self._read(self.client.post(path, json=fields))

    def patch(self, path: str, **fields: Any) -> Any:
        """Change something."""
        return self._read(self.client.patch(path, json=fields))

    def new_business(self, **fields: Any) -> dict[str, Any]:
        """Create a WABA with a number and a token; answers all ids."""
        business: dict[str, Any] = self.post("/businesses", **fields)
        return business

    def write(
        self, phone_number_id: str, text: str, *, sender: str = "15550100001", **fields: Any
    ) -> dict[str, Any]:
        """Let a customer write a text to a number; answers the message and the customer."""
        written: dict[str, Any] = self.post(
            "/customers/messages",
            **{"phone_number_id": phone_number_id, "from": sender, "type": "text", "text": text, **fields},
        )
        return written

    def settle(self) -> None:
        """Wait until nothing is under way."""
        assert self.post("/settle", within=PATIENCE)["settled"], self.get("/deliveries")

    def _read(self, answer: httpx.Response) -> Any:
        assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.text}"
        content = json.loads(answer.content)
        return content["data"] if isinstance(content, dict) and set(content) == {"data"} else content
