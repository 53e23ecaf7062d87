"""Tokens from codes, new tokens from old ones, and their end. No I/O.

The dialog that a person sees is in `dialog.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.graph.errors import CODE_USED, GraphError, documented
from local.graph.graph import authenticate, edge, root

if TYPE_CHECKING:
    from local.graph.calls import Call
    from local.graph.simulator import Simulator
    from local.graph.state import App, Token

SIXTY_DAYS = 5_184_000
_OTHER_REDIRECT, _CODE_EXPIRED = 36008, 36007


@root("oauth/access_token", "GET", "POST")
def exchange(simulator: Simulator, call: Call, _node: None) -> dict[str, Any]:
    """Give a token for a code, for an older token, or for the app itself."""
    app = _client(simulator, call)
    grant = call.text("grant_type")
    if grant == "client_credentials":
        return {"access_token": f"{app.id}|{app.secret}", "token_type": "bearer"}
    if grant == "fb_exchange_token":
        return _refresh(simulator, call, app)
    return _redeem(simulator, call, app)


def _client(simulator: Simulator, call: Call) -> App:
    client_id = call.text("client_id")
    if client_id is None:
        raise GraphError(101, "Missing client_id parameter.")
    app = simulator.state.apps.get(client_id)
    if app is None:
        raise documented(101)
    secret = call.text("client_secret")
    if secret is None:
        raise GraphError(1, "Missing client_secret parameter.")
    if secret != app.secret:
        raise GraphError(1, "Error validating client secret.")
    return app


def _redeem(simulator: Simulator, call: Call, app: App) -> dict[str, Any]:
    """Redeem an authorization code: once, within thirty seconds, with the redirect of the dialog."""
    code = simulator.state.codes.get(call.need("code"))
    if code is None or code.app_id != app.id:
        raise GraphError(100, "Invalid verification code format.")
    if code.is_used:
        raise GraphError(100, "This authorization code has been used.", subcode=CODE_USED)
    now = simulator.clock.now()
    if now - code.issued_at > simulator.settings.oauth_code_lifetime:
        raise GraphError(100, "This authorization code has expired.", subcode=_CODE_EXPIRED)
    if (call.text("redirect_uri") or None) != code.redirect_uri:
        raise GraphError(
            100,
            "Error validating verification code. Please make sure your redirect_uri is identical to the one "
            "you used in the OAuth dialog request",
            subcode=_OTHER_REDIRECT,
        )
    code.is_used = True
    token = simulator.create_token(
        app_id=app.id, waba_ids=code.waba_ids, scopes=code.scopes, expires_in=code.expires_in
    )
    return _answer(token, code.expires_in)


def _refresh(simulator: Simulator, call: Call, app: App) -> dict[str, Any]:
    """Give a new token for one that still lives; the old one works until its own end."""
    call.query["access_token"] = call.need("fb_exchange_token")
    call.headers = {name: value for name, value in call.headers.items() if name != "authorization"}
    call.query.pop("appsecret_proof", None)
    old = _living(simulator, call, app)
    is_limited = str(call.get("set_token_expires_in_60_days", "")).lower() == "true" or old.type == "USER"
    lifetime = SIXTY_DAYS - int(simulator.ids.uniform(120)) if is_limited else None
    token = simulator.create_token(
        app_id=app.id,
        waba_ids=old.waba_ids,
        scopes=list(old.scopes),
        type=old.type,
        user_id=old.user_id,
        expires_in=lifetime,
    )
    return _answer(token, lifetime)


def _living(simulator: Simulator, call: Call, app: App) -> Token:
    requires_proof, app.requires_proof = app.requires_proof, False
    try:
        token = authenticate(simulator, call)
    finally:
        app.requires_proof = requires_proof
    if token.app_id != app.id:
        raise documented(190, message="The access token does not belong to application " + app.id)
    return token


def _answer(token: Token, lifetime: int | None) -> dict[str, Any]:
    answer: dict[str, Any] = {"access_token": token.value, "token_type": "bearer"}
    if lifetime is not None:
        answer["expires_in"] = lifetime
    return answer


@root("oauth/revoke", "GET", "POST")
def revoke(simulator: Simulator, call: Call, _node: None) -> dict[str, Any]:
    """End a token."""
    app = _client(simulator, call)
    token = simulator.state.tokens.get(call.need("revoke_token"))
    if token is None or token.app_id != app.id:
        raise documented(190)
    token.is_revoked = True
    simulator.changed()
    return {"success": "true"}


@edge("user", "permissions", "DELETE", scope=None, usage="", is_counted=False)
def remove_permissions(simulator: Simulator, call: Call, user_id: str) -> dict[str, Any]:
    """Remove the app from a user: all its tokens of this user end."""
    for token in simulator.state.tokens.values():
        if token.user_id == user_id and token.app_id == call.token.app_id:
            token.is_revoked = True
    simulator.changed()
    return {"success": True}


@edge("user", "access_tokens", "POST", scope=None, usage="", is_counted=False)
def create_system_user_token(simulator: Simulator, call: Call, user_id: str) -> dict[str, Any]:
    """Make a token for a system user."""
    app_id = call.need("business_app")
    if app_id not in simulator.state.apps:
        raise documented(101)
    scopes = [scope for scope in call.need("scope").replace(" ", ",").split(",") if scope]
    is_limited = str(call.get("set_token_expires_in_60_days", "")).lower() == "true"
    token = simulator.create_token(
        app_id=app_id,
        user_id=user_id,
        scopes=scopes,
        waba_ids=call.token.waba_ids,
        expires_in=SIXTY_DAYS if is_limited else None,
    )
    return {"access_token": token.value}
