"""What a member is shown of their connection. An edge: an owner's secrets are read as the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from functions.oauth.models import (
    ConnectionAnswer,
    IntegrationView,
    TokenView,
    VerificationAnswer,
    WebhookView,
)
from shared import log
from shared.callers import find_caller
from shared.connecting import webhook_url
from shared.errors import IntegrationNotFound
from shared.web import resources

if TYPE_CHECKING:
    from starlette.requests import Request

    from shared.callers import Caller
    from shared.web import Resources


async def answer_connection(
    request: Request, organization_id: str | None, *, reveal: str | None = None
) -> Response:
    """Read the connection as the caller and answer with it."""
    caller = await find_caller(request, organization_id, needs_owner=reveal is not None)
    if reveal is not None and caller.integration is None:
        raise IntegrationNotFound
    shown = None if caller.integration is None else await _show(request, caller, reveal)
    answer = ConnectionAnswer.model_validate(
        {"organization_id": caller.organization_id, "role": caller.role, "integration": shown}
    )
    return JSONResponse(answer.model_dump(mode="json"))


def answer_verification(caller: Caller, verification: dict[str, Any]) -> Response:
    """Answer with the code that is under way."""
    answer = VerificationAnswer.model_validate(
        {
            "organization_id": caller.organization_id,
            "verification": verification,
            "formatted_phone_number": _format(verification["phone_number"]),
        }
    )
    return JSONResponse(answer.model_dump(mode="json"))


async def _show(request: Request, caller: Caller, reveal: str | None) -> IntegrationView:
    row = caller.integration or {}
    tools = resources(request)
    shows_endpoint = caller.is_owner and row["has_own_app"]
    return IntegrationView.model_validate(
        {
            **row,
            "formatted_phone_number": _format(row["phone_number"]),
            "webhook": WebhookView(
                state=_webhook_state(row),
                first_event_at=row["first_event_at"],
                last_event_at=row["last_event_at"],
                url=webhook_url(_webhook_base(request, tools), row["id"]) if shows_endpoint else None,
                verify_token=await _reveal(tools, caller, "webhook_verify_token") if shows_endpoint else None,
            ),
            "token": _show_token(row),
            # A proof that did its work is history.
            "verification": None if row["status"] == "connected" else caller.verification,
            "pin": await _reveal(tools, caller, "pin") if reveal == "pin" else None,
        }
    )


def _webhook_state(row: dict[str, Any]) -> str:
    if row["status"] not in {"connected", "error"}:
        return "off"
    return "receiving" if row["first_event_at"] else "waiting"


def _show_token(row: dict[str, Any]) -> TokenView | None:
    if row["token_checked_at"] is None:
        return None
    is_dead = row["status"] == "error" and str(row["error_code"]).startswith("token_")
    return TokenView(
        is_valid=not is_dead, expires_at=row["token_expires_at"], checked_at=row["token_checked_at"]
    )


async def _reveal(tools: Resources, caller: Caller, column: str) -> str | None:
    """Read a secret for its owner; the database writes down that it was shown."""
    from shared.crypto import CannotDecrypt

    row_id = str((caller.integration or {})["id"])
    text = await tools.database.as_service().rpc(
        "reveal_secret", {"integration": row_id, "by_user": caller.user_id, "secret_column": column}
    )
    keys = await tools.load_keys()
    try:
        return None if text is None else keys.decrypt(text, row_id=row_id, column=column)
    except CannotDecrypt as error:
        # The state must be seen all the same; the doctor tells the cause.
        log.error("connection.secret_unreadable", integration_id=row_id, column=column, error=error)
        return None


def _webhook_base(request: Request, tools: Resources) -> str:
    """Return the webhook's public address; by default it stands beside us."""
    if tools.settings.has("WHATSAPP_WEBHOOK_URL"):
        return tools.settings.whatsapp_webhook_url
    return f"{_origin(request)}/functions/v1/whatsapp-webhook"


def own_url(request: Request, path: str) -> str:
    """Return the public address of another of this function's paths."""
    # With whatever stands in front of this function in this deployment.
    prefix = request.scope["asked_path"].rstrip("/").removesuffix(request.url.path.rstrip("/"))
    return f"{_origin(request)}{prefix}{path}"


def _origin(request: Request) -> str:
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme).partition(",")[0].strip()
    return f"{scheme}://{request.url.netloc}"


def _format(phone_number: str | None) -> str | None:
    from shared.numbers import format_number

    return None if phone_number is None else format_number(phone_number)
