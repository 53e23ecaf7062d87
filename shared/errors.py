"""Every way in which we refuse, as one tree: an error class is a decision that someone can take. No I/O.

AppError                        500 unexpected
├── BadRequest                  400 bad_request
│   ├── NotJson                 400 not_json
│   ├── InvalidBody             422 invalid_body
│   │   ├── InvalidPhoneNumber  422 invalid_phone_number
│   │   └── CredentialsRefused  422 credentials_refused
│   ├── InvalidQuery            422 invalid_query
│   ├── OrganizationRequired    400 organization_required
│   ├── InvalidState            400 invalid_state
│   ├── DialogCodeSpent         400 dialog_code_spent
│   ├── WrongCode               422 wrong_code
│   └── CodeExpired             410 code_expired
├── Unauthorized                401 unauthorized
│   ├── MissingToken            401 missing_token
│   ├── InvalidToken            401 invalid_token
│   └── BadSignature            401 bad_signature
├── Forbidden                   403 forbidden
│   ├── OwnerRequired           403 owner_required
│   ├── NotAMember              403 not_a_member
│   └── WrongVerifyToken        403 wrong_verify_token
├── NotFound                    404 not_found
│   ├── UnknownPath             404 unknown_path
│   ├── IntegrationNotFound     404 integration_not_found
│   ├── ChatNotFound            404 chat_not_found
│   ├── MessageNotFound         404 message_not_found
│   ├── TemplateNotFound        404 template_not_found
│   ├── InvitationNotFound      404 invitation_not_found
│   └── MediaNotStored          404 media_not_stored
├── MethodNotAllowed            405 method_not_allowed
├── Conflict                    409 conflict
│   ├── NumberTaken             409 number_taken
│   ├── TemplateNameTaken       409 template_name_taken
│   ├── AlreadyConnected        409 already_connected
│   ├── ConnectionInProgress    409 connection_in_progress
│   ├── ConnectionSuperseded    409 connection_superseded
│   ├── VerificationRequired    409 verification_required
│   ├── PinRequired             409 pin_required
│   ├── NumberChoiceRequired    409 number_choice_required
│   ├── CredentialsNeeded       409 credentials_needed
│   ├── NotConnected            409 not_connected
│   ├── WindowClosed            409 window_closed
│   ├── IdempotencyMismatch     409 idempotency_mismatch
│   ├── MediaPending            409 media_pending
│   └── LastOwner               409 last_owner
├── TooLarge                    413 too_large
├── TooManyRequests             429 too_many_requests
│   ├── ResendTooEarly          429 resend_too_early
│   ├── TooManyAttempts         429 too_many_attempts
│   └── RegistrationLimit       429 registration_limit
├── Misconfigured               500 misconfigured
├── MetaRefused                 502 meta_refused
│   ├── TokenDead               502 token_dead
│   ├── PermissionMissing       502 permission_missing
│   ├── NumberNotReady          502 number_not_ready
│   ├── NumberOnWhatsApp        409 number_on_whatsapp
│   ├── WebhookUnverified       409 webhook_unverified
│   ├── RecipientUnreachable    422 recipient_unreachable
│   ├── TemplateRefused         422 template_refused
│   ├── MessageRefused          422 message_refused
│   ├── AccountRestricted       502 account_restricted
│   └── MetaThrottled           429 meta_throttled
└── Unavailable                 503 unavailable
    ├── DatabaseUnavailable     503 database_unavailable
    ├── MetaUnavailable         503 meta_unavailable
    └── OutcomeUnknown          503 outcome_unknown

`status` is HTTP's, `code` is stable for programs, `sentences` are for the person at the other end, `level` is
the log's, and `help` is the anchor in docs/troubleshooting.md, which has one heading for each code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Language = Literal["en", "es"]
Level = Literal["info", "warning", "error"]


def _say(en: str, es: str) -> Mapping[str, str]:
    return MappingProxyType({"en": en, "es": es})


def _in_language(detail: Mapping[str, object], language: str) -> dict[str, object]:
    texts = detail.get("message")
    if not isinstance(texts, Mapping):
        return dict(detail)
    return {**detail, "message": texts.get(language) or texts["en"]}


class _Values(dict[str, object]):
    def __missing__(self, key: str) -> str:
        # A refusal must not fail for want of a word: SQL raises some of these without any value.
        return "…"


class AppError(Exception):
    """Refuse a request; also the answer for what nobody foresaw.

    Keyword arguments fill the placeholders of the sentences. `details` is a list of {field, rule, message},
    a message being a text or one text a language; `retry_after` is in whole seconds and becomes a header
    too. Neither may hold a secret, an expected value or anything of another organization: all of it is
    shown.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "unexpected"
    retryable: bool = True
    level: ClassVar[Level] = "error"
    help: str = "unexpected"
    sentences: Mapping[str, str] = _say(
        "Something went wrong on our side. Please try again in a moment.",
        "Algo falló de nuestro lado. Inténtalo de nuevo en un momento.",
    )

    def __init_subclass__(cls, **kwargs: object) -> None:
        """Let each class's help be the heading that carries its own code."""
        super().__init_subclass__(**kwargs)
        if "code" in cls.__dict__ and "help" not in cls.__dict__:
            cls.help = cls.code

    def __init__(
        self,
        *,
        details: Sequence[Mapping[str, object]] = (),
        retry_after: float | None = None,
        **values: object,
    ) -> None:
        self.details = [dict(detail) for detail in details]
        self.retry_after = None if retry_after is None else max(1, int(-(-retry_after // 1)))
        self.values = values
        super().__init__(self.sentence("en"))

    @property
    def log_fields(self) -> Mapping[str, object]:
        """What the log may know beyond the code."""
        return {}

    def sentence(self, language: str) -> str:
        """Say it in the person's language, English where we have no other."""
        template = self.sentences.get(language) or self.sentences["en"]
        values = _Values(self.values)
        if self.retry_after is not None:
            values["retry_after"] = self.retry_after
        return template.format_map(values)

    def to_body(self, language: str = "en") -> dict[str, Any]:
        """Build the JSON envelope that every function answers with."""
        error: dict[str, Any] = {
            "code": self.code,
            "message": self.sentence(language),
            "retryable": self.retryable,
            "help": self.help,
        }
        if self.details:
            error["details"] = [_in_language(detail, language) for detail in self.details]
        if self.retry_after is not None:
            error["retry_after"] = self.retry_after
        return {"error": error}


class BadRequest(AppError):
    """The caller sent what we cannot work with."""

    status = 400
    code = "bad_request"
    retryable = False
    level: ClassVar[Level] = "info"
    sentences = _say(
        "The request cannot be understood.",
        "No se pudo entender la solicitud.",
    )


class NotJson(BadRequest):
    """The body is no JSON object."""

    code = "not_json"
    sentences = _say(
        "The body must be a JSON object.",
        "El cuerpo de la solicitud debe ser un objeto JSON.",
    )


class InvalidBody(BadRequest):
    """The body breaks rules; `details` names each field and its rule."""

    status = 422
    code = "invalid_body"
    sentences = _say(
        "Some fields are missing or not valid; see the details.",
        "Faltan campos o algunos no son válidos; revisa los detalles.",
    )


class InvalidPhoneNumber(InvalidBody):
    """What was typed is no phone number."""

    code = "invalid_phone_number"
    sentences = _say(
        "This is not a valid phone number. Write it with its country code, for example +1 555 010 0100.",
        "Este número de teléfono no es válido. Escríbelo con el código de país, por ejemplo +1 555 010 0100.",
    )


class CredentialsRefused(InvalidBody):
    """Meta does not confirm what was pasted; `details` says which field, and what to paste instead."""

    code = "credentials_refused"
    sentences = _say(
        "Meta does not accept these credentials as they are; see the details.",
        "Meta no acepta estas credenciales tal como están; revisa los detalles.",
    )


class InvalidQuery(BadRequest):
    """The query string breaks rules; `details` names each parameter."""

    status = 422
    code = "invalid_query"
    sentences = _say(
        "Some parameters of the address are missing or not valid; see the details.",
        "Faltan parámetros en la dirección o algunos no son válidos; revisa los detalles.",
    )


class OrganizationRequired(BadRequest):
    """The caller belongs to several organizations, or none, and did not say which is meant."""

    code = "organization_required"
    sentences = _say(
        "Say which organization is meant: organization_id is missing.",
        "Indica de qué organización se trata: falta organization_id.",
    )


class InvalidState(BadRequest):
    """The state of the connection dialog is unknown, used, late, or somebody else's."""

    code = "invalid_state"
    sentences = _say(
        "This connection attempt is no longer valid. Start connecting again.",
        "Este intento de conexión ya no es válido. Vuelve a iniciar la conexión.",
    )


class DialogCodeSpent(BadRequest):
    """Meta's dialog gave a code that was used already, or more than 30 seconds ago."""

    code = "dialog_code_spent"
    sentences = _say(
        "Meta's confirmation was used already or came too late. Open the Meta window again.",
        "La confirmación de Meta ya se usó o llegó tarde. Abre de nuevo la ventana de Meta.",
    )


class WrongCode(BadRequest):
    """The verification code is not the one that was sent."""

    status = 422
    code = "wrong_code"
    sentences = _say(
        "That code is not right. Check it and try again.",
        "El código no es correcto. Revísalo e inténtalo de nuevo.",
    )


class CodeExpired(BadRequest):
    """The verification code was right once, or never asked for."""

    status = 410
    code = "code_expired"
    sentences = _say(
        "This code is no longer valid. Ask for a new one.",
        "Este código ya no es válido. Pide uno nuevo.",
    )


class Unauthorized(AppError):
    """We do not know who is asking."""

    status = 401
    code = "unauthorized"
    retryable = False
    level: ClassVar[Level] = "info"
    sentences = _say(
        "Sign in to continue.",
        "Inicia sesión para continuar.",
    )


class MissingToken(Unauthorized):
    """No bearer token came with the request."""

    code = "missing_token"
    sentences = _say(
        "Sign in to continue: the request carries no access token.",
        "Inicia sesión para continuar: la solicitud no lleva un token de acceso.",
    )


class InvalidToken(Unauthorized):
    """Supabase does not accept the user's token."""

    code = "invalid_token"
    sentences = _say(
        "Your session has ended. Sign in again.",
        "Tu sesión terminó. Vuelve a iniciar sesión.",
    )


class BadSignature(Unauthorized):
    """A delivery is not signed by an app whose secret we hold."""

    code = "bad_signature"
    # One forged delivery is noise; the operator looks at how many there are.
    level: ClassVar[Level] = "warning"
    sentences = _say(
        "The request is not signed as it must be.",
        "La solicitud no está firmada como corresponde.",
    )


class Forbidden(AppError):
    """We know who is asking, and the answer is no."""

    status = 403
    code = "forbidden"
    retryable = False
    level: ClassVar[Level] = "info"
    sentences = _say(
        "You do not have permission to do this.",
        "No tienes permiso para hacer esto.",
    )


class OwnerRequired(Forbidden):
    """Only an owner of the organization may do this."""

    code = "owner_required"
    sentences = _say(
        "Only an owner of the organization can do this.",
        "Solo un propietario de la organización puede hacer esto.",
    )


class NotAMember(Forbidden):
    """The caller does not belong to the organization; also the answer when there is none of that id."""

    code = "not_a_member"
    sentences = _say(
        "You are not a member of this organization.",
        "No perteneces a esta organización.",
    )


class WrongVerifyToken(Forbidden):
    """The webhook handshake did not bring the verify token."""

    code = "wrong_verify_token"
    level: ClassVar[Level] = "warning"
    sentences = _say(
        "The webhook could not be verified: the verify token is not the one that was set.",
        "No se pudo verificar el webhook: el token de verificación no es el configurado.",
    )


class NotFound(AppError):
    """There is no such thing, or none that the caller may see: both look the same."""

    status = 404
    code = "not_found"
    retryable = False
    level: ClassVar[Level] = "info"
    sentences = _say(
        "This does not exist, or you cannot see it.",
        "Esto no existe o no puedes verlo.",
    )


class UnknownPath(NotFound):
    """No function answers at this path."""

    code = "unknown_path"
    sentences = _say(
        "There is nothing at this address.",
        "No hay nada en esta dirección.",
    )


class IntegrationNotFound(NotFound):
    """The organization never connected a number."""

    code = "integration_not_found"
    sentences = _say(
        "No WhatsApp number is connected yet.",
        "Todavía no hay un número de WhatsApp conectado.",
    )


class ChatNotFound(NotFound):
    """No such chat among those that the caller may see."""

    code = "chat_not_found"
    sentences = _say(
        "This chat does not exist, or you cannot see it.",
        "Este chat no existe o no puedes verlo.",
    )


class InvitationNotFound(NotFound):
    """No such invitation for the caller's confirmed address: withdrawn, or decided already."""

    code = "invitation_not_found"
    sentences = _say(
        "This invitation is not there any more.",
        "Esta invitación ya no existe.",
    )


class MessageNotFound(NotFound):
    """No such message among those that the caller may see."""

    code = "message_not_found"
    sentences = _say(
        "This message does not exist, or you cannot see it.",
        "Este mensaje no existe o no puedes verlo.",
    )


class TemplateNotFound(NotFound):
    """No such template among the organization's own."""

    code = "template_not_found"
    sentences = _say(
        "This template does not exist, or you cannot see it.",
        "Esta plantilla no existe o no puedes verla.",
    )


class MediaNotStored(NotFound):
    """The attachment could not be fetched, or was not what Meta said it was; its row says why."""

    code = "media_not_stored"
    sentences = _say(
        "This attachment could not be fetched from WhatsApp. Ask the customer to send it again.",
        "No se pudo obtener este archivo de WhatsApp. Pide al cliente que lo envíe de nuevo.",
    )


class MethodNotAllowed(AppError):
    """The path is right, the method is not; `allowed` becomes the Allow header."""

    status = 405
    code = "method_not_allowed"
    retryable = False
    level: ClassVar[Level] = "info"
    sentences = _say(
        "This address does not answer to that method.",
        "Esta dirección no admite ese método.",
    )

    def __init__(self, *, allowed: Sequence[str] = (), **values: Any) -> None:
        self.allowed = tuple(allowed)
        super().__init__(**values)


class Conflict(AppError):
    """What is asked for cannot go together with what is there."""

    status = 409
    code = "conflict"
    retryable = False
    level: ClassVar[Level] = "info"
    sentences = _say(
        "This cannot be done as things stand now. Reload and look again.",
        "Esto no se puede hacer en el estado actual. Recarga y vuelve a mirar.",
    )


class NumberTaken(Conflict):
    """Another organization has connected this number; never say which."""

    code = "number_taken"
    sentences = _say(
        "This number is already connected to another organization. Disconnect it there first.",
        "Este número ya está conectado a otra organización. Desconéctalo allí primero.",
    )


class TemplateNameTaken(Conflict):
    """In the account that organizations share, another one or the platform has a template of that name."""

    code = "template_name_taken"
    sentences = _say(
        "The name {name} is taken in the account that your number shares with others. Choose another one.",
        "El nombre {name} ya está en uso en la cuenta que tu número comparte con otros. Elige otro.",
    )


class AlreadyConnected(Conflict):
    """The organization has another number connected."""

    code = "already_connected"
    sentences = _say(
        "Your organization already has another number connected. Disconnect it first.",
        "Tu organización ya tiene otro número conectado. Desconéctalo primero.",
    )


class ConnectionInProgress(Conflict):
    """Somebody else of the organization is connecting a number at this moment."""

    code = "connection_in_progress"
    retryable = True
    sentences = _say(
        "Somebody in your organization is connecting a number right now. Try again in {retry_after} seconds.",
        "Alguien de tu organización está conectando un número ahora mismo. "
        "Inténtalo de nuevo en {retry_after} segundos.",
    )


class ConnectionSuperseded(Conflict):
    """A later call took this attempt over; what it did counts."""

    code = "connection_superseded"
    sentences = _say(
        "Another attempt to connect took over. Look at the state of the connection.",
        "Otro intento de conexión tomó el relevo. Revisa el estado de la conexión.",
    )


class VerificationRequired(Conflict):
    """The number must be proven with a code first."""

    code = "verification_required"
    sentences = _say(
        "This number must be verified with a code first. Ask for one.",
        "Primero hay que verificar este número con un código. Pide uno.",
    )


class PinRequired(Conflict):
    """The number has a two-step PIN that we do not know."""

    code = "pin_required"
    sentences = _say(
        "This number is protected by a two-step verification PIN. Enter its 6 digits, "
        "or change the PIN in WhatsApp Manager.",
        "Este número está protegido por un PIN de verificación en dos pasos. Escribe sus 6 dígitos "
        "o cambia el PIN en el Administrador de WhatsApp.",
    )


class NumberChoiceRequired(Conflict):
    """The account has several numbers; `details` lists them."""

    code = "number_choice_required"
    sentences = _say(
        "This WhatsApp account has several numbers. Choose the one to connect.",
        "Esta cuenta de WhatsApp tiene varios números. Elige el que quieres conectar.",
    )


class CredentialsNeeded(Conflict):
    """Nothing that is stored opens the account any more; `details` says by which way to connect again."""

    code = "credentials_needed"
    sentences = _say(
        "The stored credentials no longer work. Connect the number again.",
        "Las credenciales guardadas ya no sirven. Vuelve a conectar el número.",
    )


class NotConnected(Conflict):
    """The integration is there but cannot send now."""

    code = "not_connected"
    sentences = _say(
        "The WhatsApp number is not connected. An owner can reconnect it.",
        "El número de WhatsApp no está conectado. Un propietario puede reconectarlo.",
    )


class WindowClosed(Conflict):
    """More than 24 hours since the customer wrote: only a template may go out."""

    code = "window_closed"
    sentences = _say(
        "More than 24 hours have passed since the customer's last message. Send an approved template.",
        "Pasaron más de 24 horas desde el último mensaje del cliente. Envía una plantilla aprobada.",
    )


class IdempotencyMismatch(Conflict):
    """The same Idempotency-Key came with another body."""

    code = "idempotency_mismatch"
    sentences = _say(
        "This Idempotency-Key was already used for a different request.",
        "Esta Idempotency-Key ya se usó para otra solicitud distinta.",
    )


class MediaPending(Conflict):
    """The attachment is still on its way from Meta."""

    code = "media_pending"
    retryable = True
    sentences = _say(
        "This attachment is still being fetched. Try again in a few seconds.",
        "Este archivo todavía se está descargando. Inténtalo de nuevo en unos segundos.",
    )


class LastOwner(Conflict):
    """The organization would be left without an owner."""

    code = "last_owner"
    sentences = _say(
        "The last owner cannot leave.",
        "La última persona propietaria no puede salir.",
    )


class TooLarge(AppError):
    """The body is larger than we read; `limit` is in bytes."""

    status = 413
    code = "too_large"
    retryable = False
    level: ClassVar[Level] = "info"
    sentences = _say(
        "The request is too large.",
        "La solicitud es demasiado grande.",
    )


class TooManyRequests(AppError):
    """The caller must wait `retry_after` seconds."""

    status = 429
    code = "too_many_requests"
    retryable = True
    level: ClassVar[Level] = "info"
    sentences = _say(
        "Too many requests. Wait {retry_after} seconds and try again.",
        "Demasiadas solicitudes. Espera {retry_after} segundos e inténtalo de nuevo.",
    )


class ResendTooEarly(TooManyRequests):
    """A code was sent a moment ago."""

    code = "resend_too_early"
    sentences = _say(
        "A code was sent a moment ago. You can ask for another in {retry_after} seconds.",
        "Acabamos de enviar un código. Puedes pedir otro en {retry_after} segundos.",
    )


class TooManyAttempts(TooManyRequests):
    """All attempts at a code are used up."""

    code = "too_many_attempts"
    retryable = False
    sentences = _say(
        "There were too many wrong attempts. Ask for a new code.",
        "Hubo demasiados intentos fallidos. Pide un código nuevo.",
    )


class RegistrationLimit(TooManyRequests):
    """Ten registrations in 72 hours: one more would make Meta block the number for 72 hours."""

    code = "registration_limit"
    sentences = _say(
        "This number was registered 10 times in 72 hours, which is all that Meta allows. "
        "Wait until it is free again.",
        "Este número se registró 10 veces en 72 horas, que es el máximo de Meta. "
        "Espera a que vuelva a estar libre.",
    )


class Misconfigured(AppError):
    """The deployer left settings out or wrong; names them all, and never a value."""

    code = "misconfigured"
    retryable = False
    sentences = _say(
        "The service is not set up completely: {settings}.",
        "El servicio no está configurado por completo: {settings}.",
    )

    def __init__(self, *, missing: Sequence[str] = (), problems: Mapping[str, str] | None = None) -> None:
        self.missing = tuple(missing)
        self.problems = dict(problems or {})
        details: list[dict[str, object]] = []
        for name in self.missing:
            texts = {"en": f"{name} is not set.", "es": f"Falta {name}."}
            details.append({"field": name, "rule": "missing", "message": texts})
        for name, text in self.problems.items():
            details.append({"field": name, "rule": "invalid", "message": text})
        super().__init__(details=details, settings=", ".join([*self.missing, *self.problems]))

    @property
    def log_fields(self) -> Mapping[str, object]:
        """Name the settings to the deployer."""
        return {"missing": self.missing, "wrong": list(self.problems.values())}


class MetaRefused(AppError):
    """Meta understood and said no; what that means is looked up in `shared/meta_errors.py`.

    `meta` is what a person may quote to Meta's support: code, subcode and fbtrace_id, never Meta's own text,
    which is localised to the token's owner and may repeat what was sent.
    """

    status = 502
    code = "meta_refused"
    retryable = False
    level: ClassVar[Level] = "warning"
    sentences = _say(
        "WhatsApp did not accept this. Look at the help for what to do.",
        "WhatsApp no aceptó esto. Consulta la ayuda para saber qué hacer.",
    )

    def __init__(
        self,
        *,
        meta: Mapping[str, object] | None = None,
        sentences: Mapping[str, str] | None = None,
        retryable: bool | None = None,
        help: str | None = None,  # noqa: A002 - the body's own word
        **values: Any,
    ) -> None:
        self.meta = dict(meta or {})
        if sentences is not None:
            self.sentences = sentences
        if retryable is not None:
            self.retryable = retryable
        if help is not None:
            self.help = help
        super().__init__(**values)

    @property
    def log_fields(self) -> Mapping[str, object]:
        """Name Meta's own reason."""
        return {f"meta_{name}": value for name, value in self.meta.items()}

    def to_body(self, language: str = "en") -> dict[str, Any]:
        """Add what Meta's support would ask for."""
        body = super().to_body(language)
        if self.meta:
            body["error"]["meta"] = self.meta
        return body


class TokenDead(MetaRefused):
    """The access token is expired or revoked: sends stop, what arrives goes on."""

    code = "token_dead"
    level: ClassVar[Level] = "error"
    sentences = _say(
        "WhatsApp no longer accepts the access token. An owner must reconnect the number.",
        "WhatsApp ya no acepta el token de acceso. Un propietario debe reconectar el número.",
    )


class PermissionMissing(MetaRefused):
    """The token lives but may not do this."""

    code = "permission_missing"
    level: ClassVar[Level] = "error"
    sentences = _say(
        "The connection lacks a permission at Meta. An owner must reconnect and accept every permission.",
        "A la conexión le falta un permiso en Meta. Un propietario debe reconectar y aceptarlos todos.",
    )


class NumberNotReady(MetaRefused):
    """The business's own number is not registered, verified or paid for."""

    code = "number_not_ready"
    sentences = _say(
        "The business number cannot be used yet. An owner can see what it lacks.",
        "El número de la empresa aún no se puede usar. Un propietario puede ver qué le falta.",
    )


class NumberOnWhatsApp(MetaRefused):
    """The number lives on another WhatsApp account."""

    status = 409
    code = "number_on_whatsapp"
    sentences = _say(
        "This number is already registered on WhatsApp. Remove it from that account first, or migrate it.",
        "Este número ya está registrado en WhatsApp. Elimínalo primero de esa cuenta o mígralo.",
    )


class WebhookUnverified(MetaRefused):
    """Meta asked our address for the handshake and did not get the right answer."""

    status = 409
    code = "webhook_unverified"
    sentences = _say(
        "Meta could not verify the webhook's address. It must answer from outside with the right token.",
        "Meta no pudo verificar la dirección del webhook. Debe responder desde fuera con el token correcto.",
    )


class RecipientUnreachable(MetaRefused):
    """The customer cannot be reached, whatever is sent."""

    status = 422
    code = "recipient_unreachable"
    level: ClassVar[Level] = "info"
    sentences = _say(
        "WhatsApp cannot deliver to this person.",
        "WhatsApp no puede entregar mensajes a esta persona.",
    )


class TemplateRefused(MetaRefused):
    """The template, or its parameters, cannot be sent as they are."""

    status = 422
    code = "template_refused"
    level: ClassVar[Level] = "info"
    sentences = _say(
        "The template cannot be sent as it is. Check its state and its parameters.",
        "La plantilla no se puede enviar así. Revisa su estado y sus parámetros.",
    )


class MessageRefused(MetaRefused):
    """Such content cannot be sent; another may."""

    status = 422
    code = "message_refused"
    level: ClassVar[Level] = "info"
    sentences = _say(
        "WhatsApp did not accept the content of this message.",
        "WhatsApp no aceptó el contenido de este mensaje.",
    )


class AccountRestricted(MetaRefused):
    """Meta has limited or locked the business."""

    code = "account_restricted"
    level: ClassVar[Level] = "error"
    sentences = _say(
        "Meta has restricted this WhatsApp account. An owner must look at its quality page at Meta.",
        "Meta restringió esta cuenta de WhatsApp. Un propietario debe revisar su calidad en Meta.",
    )


class MetaThrottled(MetaRefused):
    """Meta's pace is reached; later it works."""

    status = 429
    code = "meta_throttled"
    retryable = True
    level: ClassVar[Level] = "info"
    sentences = _say(
        "WhatsApp asks us to slow down. It will work again in a while.",
        "WhatsApp nos pide ir más despacio. Volverá a funcionar dentro de un rato.",
    )


class Unavailable(AppError):
    """Something that we depend on does not answer now."""

    status = 503
    code = "unavailable"
    retryable = True
    level: ClassVar[Level] = "error"
    sentences = _say(
        "The service is not available right now. Please try again in a moment.",
        "El servicio no está disponible en este momento. Inténtalo de nuevo en un momento.",
    )


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or asks for a repetition."""

    code = "database_unavailable"
    sentences = _say(
        "The database does not answer right now. Nothing was lost; please try again in a moment.",
        "La base de datos no responde en este momento. No se perdió nada; inténtalo de nuevo en un momento.",
    )


class MetaUnavailable(Unavailable):
    """Meta does not answer, and what we asked was certainly not done."""

    code = "meta_unavailable"
    level: ClassVar[Level] = "warning"
    sentences = _say(
        "WhatsApp does not answer right now. Please try again in a moment.",
        "WhatsApp no responde en este momento. Inténtalo de nuevo en un momento.",
    )


class OutcomeUnknown(Unavailable):
    """Meta's answer was lost: what we asked may or may not have been done. Never retry blindly."""

    code = "outcome_unknown"
    retryable = False
    level: ClassVar[Level] = "warning"
    sentences = _say(
        "WhatsApp's answer was lost, so we do not know yet whether this was done. Wait before trying again.",
        "Se perdió la respuesta de WhatsApp y aún no sabemos si esto se hizo. Espera antes de reintentar.",
    )


def walk(root: type[AppError] = AppError) -> Iterator[type[AppError]]:
    """Yield the class and everything below it, parents first."""
    yield root
    for child in root.__subclasses__():
        yield from walk(child)


def find_by_code(code: str | None) -> type[AppError] | None:
    """Return the class that answers with this code: SQL names ours in its `detail`."""
    return next((error for error in walk() if error.code == code), None)
