"""What a token is: debug_token, and who its owner is. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph.errors import GraphError, nonexisting_field
from local.graph.graph import authenticate, edge, expired, root
from local.graph.state import MANAGEMENT, MESSAGING

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import Token


@root("debug_token", "GET")
def debug_token(simulator: Simulator, call: Call, _node: None) -> dict[str, Any]:
    """Describe a token; one that is no good is described with HTTP 200 too."""
    asker = call.token = authenticate(simulator, call)
    value = call.need("input_token")
    token = simulator.state.tokens.get(value)
    if token is None:
        return {
            "data": {
                "error": {"code": 190, "message": "Invalid OAuth access token - Cannot parse access token"},
                "is_valid": False,
                "scopes": [],
            }
        }
    if token.app_id != asker.app_id:
        raise GraphError(
            100,
            "(#100) You must provide an app access token, or a user access token that is an owner or "
            "developer of the app",
        )
    return {"data": _describe(simulator, token)}


def _describe(simulator: Simulator, token: Token) -> dict[str, Any]:
    now = simulator.clock.now()
    problem = _problem(token, now)
    described: dict[str, Any] = {
        "app_id": token.app_id,
        "type": token.type,
        "application": simulator.state.apps[token.app_id].name,
    }
    if problem is not None:
        described["error"] = problem
    else:
        described["data_access_expires_at"] = 0
    described["expires_at"] = int(token.expires_at)
    described["is_valid"] = problem is None
    if problem is None:
        described["issued_at"] = int(token.issued_at)
    described["scopes"] = [] if problem else [*token.scopes]
    if problem is None:
        described["granular_scopes"] = [
            {"scope": scope, **({"target_ids": list(token.waba_ids)} if token.waba_ids is not None else {})}
            for scope in token.scopes
            if scope in (MANAGEMENT, MESSAGING)
        ]
    described["user_id"] = token.user_id
    return described


def _problem(token: Token, now: float) -> dict[str, Any] | None:
    if token.is_revoked:
        return {
            "code": 190,
            "message": (
                f"Error validating access token: The user has not authorized application {token.app_id}."
            ),
            "subcode": 458,
        }
    if token.expires_at and token.expires_at <= now:
        error = expired(token.expires_at, now)
        return {"code": 190, "message": error.message, "subcode": 463}
    return None


@edge("user", "node", "GET", scope=None, usage="", is_counted=False)
def get_user(simulator: Simulator, call: Call, user_id: str) -> dict[str, Any]:
    """Show a user: name and id."""
    known = {"id": user_id, "name": simulator.state.users.get(user_id, "System User")}
    shown = {}
    for name in call.fields() or ("name", "id"):
        if name not in known:
            raise nonexisting_field(name, "User")
        shown[name] = known[name]
    shown.setdefault("id", user_id)
    return shown
