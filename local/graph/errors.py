"""Graph's errors: one table of the documented codes, and the envelope around them. No I/O.

https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, SERVER_ERROR, UNAVAILABLE = 401, 403, 404, 500, 503
GRAPH_DOCS = "https://developers.facebook.com/docs/graph-api"
ERROR_DOCS = "/documentation/business-messaging/whatsapp/support/error-codes"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is documented about one code."""

    title: str
    details: str | None = None
    http_status: int = 400
    subcode: int | None = None
    is_transient: bool | None = None
    is_bare: bool = False
    """The message is the title alone, without the code before it."""
    user_title: str | None = None
    user_message: str | None = None


class GraphError(Exception):
    """An error that Graph answers with."""

    def __init__(  # noqa: PLR0913 - the envelope has this many members
        self,
        code: int,
        message: str,
        *,
        http_status: int = 400,
        kind: str = "OAuthException",
        subcode: int | None = None,
        details: str | None = None,
        is_transient: bool | None = None,
        user_title: str | None = None,
        user_message: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.http_status = http_status
        self.kind = kind
        self.subcode = subcode
        self.details = details
        self.is_transient = is_transient
        self.user_title = user_title
        self.user_message = user_message
        self.headers = headers

    def to_body(self, trace_id: str) -> dict[str, Any]:
        """Return the envelope; members that say nothing are left out."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind, "code": self.code}
        if self.details is not None:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.is_transient is not None:
            error["is_transient"] = self.is_transient
        if self.user_title is not None:
            error["error_user_title"] = self.user_title
        if self.user_message is not None:
            error["error_user_msg"] = self.user_message
        error["fbtrace_id"] = trace_id
        return {"error": error}

    @property
    def challenge(self) -> str:
        """Return the value of WWW-Authenticate."""
        reason = {190: "invalid_token"}.get(self.code, "invalid_request")
        if self.subcode == CODE_USED:
            reason = "invalid_code"
        message = self.message.encode("ascii", "replace").decode()
        return f'OAuth "Facebook Platform" "{reason}" "{message}"'


CODE_USED = 36009

CODES: dict[int, Entry] = {
    0: Entry(title="Authentication failed", http_status=UNAUTHORIZED),
    1: Entry(title="An unknown error occurred", http_status=400, is_bare=True),
    2: Entry(
        title="Service temporarily unavailable", http_status=UNAVAILABLE, is_transient=True, is_bare=True
    ),
    3: Entry(
        title="Application does not have the capability to make this API call.", http_status=SERVER_ERROR
    ),
    4: Entry(title="Application request limit reached", is_transient=True),
    10: Entry(title="Application does not have permission for this action", http_status=FORBIDDEN),
    33: Entry(title="Parameter value is not valid"),
    100: Entry(title="Invalid parameter"),
    101: Entry(
        title="Error validating application. Cannot get application info due to a system error.",
        is_bare=True,
    ),
    104: Entry(
        title="An access token is required to request this resource",
        http_status=UNAUTHORIZED,
        is_bare=True,
    ),
    190: Entry(
        title="Invalid OAuth access token - Cannot parse access token",
        http_status=UNAUTHORIZED,
        is_bare=True,
    ),
    200: Entry(title="You do not have permission to access this field", http_status=FORBIDDEN),
    368: Entry(
        title="Temporarily blocked for policies violations",
        details="The WhatsApp Business Account has been restricted or disabled for violating a policy.",
        http_status=FORBIDDEN,
    ),
    613: Entry(title="Calls to this api have exceeded the rate limit.", http_status=429),
    2200: Entry(title="Callback verification failed"),
    80007: Entry(
        title=(
            "There have been too many calls to this WhatsApp Business account. Wait a bit and try again. "
            "For more info, please refer to "
            "https://developers.facebook.com/docs/graph-api/overview/rate-limiting."
        ),
        is_transient=True,
        is_bare=True,
    ),
    130403: Entry(title="User is blocked", details="The business has blocked this user."),
    130429: Entry(
        title="Rate limit hit", details="Cloud API message throughput has been reached.", subcode=2494055
    ),
    130472: Entry(
        title="User's number is part of an experiment",
        details="Failed to send message because this user's phone number is part of an experiment",
    ),
    130497: Entry(
        title="Business account is restricted from messaging users in this country.",
        details="The WhatsApp Business Account is restricted from messaging users in certain countries.",
        http_status=FORBIDDEN,
    ),
    131000: Entry(
        title="Something went wrong",
        details="Message failed to send due to an unknown error.",
        http_status=SERVER_ERROR,
    ),
    131005: Entry(
        title="Access denied",
        details="Permission is either not granted or has been removed.",
        http_status=FORBIDDEN,
    ),
    131008: Entry(
        title="Required parameter is missing", details="The request is missing a required parameter."
    ),
    131009: Entry(title="Parameter value is not valid", details="One or more parameter values are invalid."),
    131016: Entry(
        title="Service unavailable",
        details="A service is temporarily unavailable.",
        http_status=SERVER_ERROR,
    ),
    131020: Entry(title="Group is not available", details="The group does not exist or is suspended."),
    131021: Entry(
        title="Recipient cannot be sender", details="Sender and recipient phone number is the same."
    ),
    131026: Entry(title="Message undeliverable", details="Message Undeliverable."),
    131030: Entry(
        title="Recipient phone number not in allowed list",
        details=(
            "Recipient phone number not in allowed list: "
            "Add recipient phone number to recipient list and try again."
        ),
    ),
    131031: Entry(
        title="Business Account locked",
        details="The WhatsApp Business Account is restricted or disabled, or a data point does not match.",
        http_status=FORBIDDEN,
    ),
    131036: Entry(
        title="Message failed to be delivered on at least one of the user's device",
        details="Message payload not found",
    ),
    131037: Entry(
        title="Display name approval needed",
        details="The WhatsApp provided number needs display name approval before a message can be sent.",
    ),
    131042: Entry(
        title="Business eligibility payment issue",
        details="Message failed to send because of one or more errors related to your payment method.",
    ),
    131044: Entry(title="Business eligibility payment issue", details="Payment is needed for calls."),
    131045: Entry(
        title="Incorrect certificate",
        details="Message failed to send due to a phone number registration error.",
        http_status=SERVER_ERROR,
    ),
    131047: Entry(
        title="Re-engagement message",
        details=(
            "Message failed to send because more than 24 hours have passed "
            "since the customer last replied to this number."
        ),
    ),
    131048: Entry(
        title="Spam rate limit hit",
        details="Message failed to send because there are restrictions on how many messages can be sent from "
        "this phone number. This may be because too many previous messages were blocked or flagged as spam.",
    ),
    131049: Entry(
        title="This message was not delivered to maintain healthy ecosystem engagement.",
        details="In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
    ),
    131050: Entry(
        title="Unable to deliver the message. This recipient has chosen to stop receiving marketing messages "
        "on WhatsApp from your business.",
    ),
    131051: Entry(title="Unsupported message type", details="Message type is not currently supported."),
    131052: Entry(title="Media download error", details="Unable to download the media sent by the user."),
    131053: Entry(title="Media upload error", details="Unable to upload the media used in the message."),
    131055: Entry(title="Method not allowed", details="Only marketing template messages are supported here."),
    131056: Entry(
        title="(Business Account, Consumer Account) pair rate limit hit",
        details=(
            "Message failed to send because there were too many messages sent from this phone number "
            "to the same phone number in a short period of time."
        ),
    ),
    131057: Entry(
        title="Account in maintenance mode",
        details="Business Account is in maintenance mode.",
        http_status=SERVER_ERROR,
    ),
    131059: Entry(title="Group action failed"),
    131060: Entry(title="This message is unavailable.", details="This message is currently unavailable."),
    131062: Entry(
        title="Business-scoped User ID (BSUID) recipients are not supported for this message.",
        details="Authentication templates need the phone number of the recipient.",
    ),
    131063: Entry(title="Marketing templates are disabled on this API"),
    131064: Entry(title="Temporarily limited after template category violations"),
    132000: Entry(
        title="Number of parameters does not match the expected number of params",
        details="The number of parameters does not match the expected number of params.",
    ),
    132001: Entry(
        title="Template name does not exist in the translation",
        details="The template does not exist in the specified language or is not approved.",
        http_status=NOT_FOUND,
    ),
    132005: Entry(title="Translated text too long", details="Translated text is too long."),
    132007: Entry(
        title="Template Format Character Policy Violated",
        details="Template content violates a WhatsApp policy.",
    ),
    132008: Entry(title="Template parameter is not valid", details="Template parameter problem."),
    132012: Entry(
        title="Parameter format does not match format in the created template",
        details="Variable parameter values formatted incorrectly.",
    ),
    132015: Entry(title="Template is Paused", details="Template is paused due to low quality."),
    132016: Entry(title="Template is Disabled", details="Template was paused too often and is disabled."),
    132018: Entry(title="There was an issue with the parameters in your template."),
    132068: Entry(title="Flow is blocked", details="Flow is in blocked state."),
    132069: Entry(title="Flow is throttled", details="Flow is in throttled state."),
    133000: Entry(title="Incomplete Deregistration", http_status=SERVER_ERROR),
    133004: Entry(title="Server Temporarily Unavailable", http_status=UNAVAILABLE),
    133005: Entry(title="Two step verification PIN Mismatch"),
    133006: Entry(title="Phone number re-verification needed"),
    133008: Entry(title="Too Many Two step verification PIN Guesses"),
    133009: Entry(title="Two step verification PIN Guessed Too Fast"),
    133010: Entry(title="Account not registered"),
    133015: Entry(title="Please wait a few minutes before attempting to register this phone number"),
    133016: Entry(
        title="Account register/deregister attempts exceeded",
        details="More than 10 registration requests in 72 hours; blocked for 72 hours.",
    ),
    134011: Entry(title="WhatsApp Payments terms of service have not been accepted"),
    134100: Entry(title="Only marketing messages supported"),
    134101: Entry(title="Template is still syncing"),
    134102: Entry(title="Template unavailable for use", http_status=SERVER_ERROR),
    135000: Entry(title="Generic user error", details="Message failed to send for an unknown reason."),
    136024: Entry(
        title="Request code error",
        subcode=2388091,
        is_transient=False,
        is_bare=True,
        user_title="Couldn't send the code",
        user_message="Please try again after some time.",
    ),
    136025: Entry(
        title="Verify code error",
        subcode=2388093,
        is_transient=False,
        is_bare=True,
        user_title="Couldn't verify the code",
        user_message="The code you entered is incorrect.",
    ),
    137000: Entry(title="Message undelivered: identity key hash mismatch"),
    139000: Entry(title="Blocked by integrity"),
    139100: Entry(title="Failed to block some users", details="Failed to block some users."),
    139101: Entry(title="Block list limit reached"),
    139102: Entry(title="Block list is being changed"),
    139103: Entry(title="Internal error of the block list", http_status=SERVER_ERROR),
    147001: Entry(title="Username is not available"),
    1752041: Entry(title="Duplicate onboarding request", is_bare=True),
    2388012: Entry(
        title="Phone number already added",
        is_bare=True,
        user_title="Phone number already in use",
        user_message="This phone number is already listed in a WhatsApp Business account.",
    ),
    2494100: Entry(title="Account in maintenance mode", is_transient=True, is_bare=True),
    2593107: Entry(title="Sync request limit exceeded", is_bare=True),
    2593108: Entry(title="Sync request made outside of the allowed time window", is_bare=True),
    2593109: Entry(title="History sync is turned off by the business from the WhatsApp Business App"),
}


def documented(
    code: int,
    *,
    details: str | None = None,
    message: str | None = None,
    http_status: int | None = None,
    subcode: int | None = None,
    is_transient: bool | None = None,
) -> GraphError:
    """Build the error of a documented code; an unlisted code becomes a plain one."""
    entry = CODES.get(code, Entry(title="An error occurred"))
    text = message or (entry.title if entry.is_bare else f"(#{code}) {entry.title}")
    return GraphError(
        code,
        text,
        http_status=http_status or entry.http_status,
        subcode=subcode if subcode is not None else entry.subcode,
        details=details if details is not None else entry.details,
        is_transient=is_transient if is_transient is not None else entry.is_transient,
        user_title=entry.user_title,
        user_message=entry.user_message,
    )


def invalid_parameter(details: str | None = None) -> GraphError:
    """Build the error that most refusals of the messages edge are."""
    return GraphError(100, "(#100) Invalid parameter", details=details)


def missing_parameter(details: str) -> GraphError:
    """Build the error for something that the call should have held."""
    return documented(131008, details=details)


def bad_value(details: str) -> GraphError:
    """Build the error for a value that cannot be."""
    return documented(131009, details=details)


def required(parameter: str) -> GraphError:
    """Build the error of a management edge for a parameter that is missing."""
    return GraphError(100, f"(#100) The parameter {parameter} is required.")


def unknown_object(method: str, object_id: str) -> GraphError:
    """Build the error for an id that does not exist or may not be seen: Meta does not tell which."""
    return GraphError(
        100,
        f"Unsupported {method.lower()} request. Object with ID '{object_id}' does not exist, cannot be "
        "loaded due to missing permissions, or does not support this operation. "
        f"Please read the Graph API documentation at {GRAPH_DOCS}",
        kind="GraphMethodException",
        subcode=33,
    )


def nonexisting_field(field: str, node_type: str) -> GraphError:
    """Build the error for a field or edge that a node does not have."""
    return GraphError(100, f"(#100) Tried accessing nonexisting field ({field}) on node type ({node_type})")


def to_status_error(code: int, details: str | None = None) -> dict[str, Any]:
    """Return what the `errors` list of a failed status holds for a code."""
    entry = CODES.get(code, Entry(title="An error occurred"))
    error: dict[str, Any] = {"code": code, "title": entry.title, "message": entry.title}
    details = details or entry.details
    if details:
        error["error_data"] = {"details": details}
    error["href"] = ERROR_DOCS
    return error
