"""What each of Meta's error codes means for us, in one table. No I/O.

Meta's advice is to branch on the code, not on titles, subcodes or HTTP statuses; a subcode decides only
where it is documented to. A code that is not here takes the path of its HTTP status.
https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from shared.errors import (
    AccountRestricted,
    AppError,
    DialogCodeSpent,
    MessageRefused,
    MetaRefused,
    MetaThrottled,
    NumberNotReady,
    NumberOnWhatsApp,
    PermissionMissing,
    RecipientUnreachable,
    TemplateRefused,
    TokenDead,
    WebhookUnverified,
    WindowClosed,
    WrongCode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shared.graph import GraphError

Actor = Literal["nobody", "agent", "owner", "deployer"]
Retry = Literal["now", "later", "after_fix", "never"]
Effect = Literal[
    "none",
    "token_dead",  # the integration becomes `error`; sends and media stop, what arrives goes on
    "number_paused",  # the number cannot send until somebody acts: its queue waits, the owner is told
    "slow_down",  # the number's, or the WABA's, bucket is emptied
    "pair_slow_down",  # only this recipient's bucket is
    "window_closed",  # our belief about the 24 hours was wrong
    "template_paused",  # the template's own state changes
]

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SERVER_ERROR = 500
INVALID_PARAMETER = 100
UNKNOWN_ANCHOR = "meta_unknown"


@dataclass(frozen=True, kw_only=True)
class Delay:
    """When to try again: `first * factor ** attempt` seconds, at most `longest`, from a random part up."""

    first: float
    factor: float = 2.0
    longest: float = DAY
    has_jitter: bool = True

    def seconds(self, attempt: int, draw: Callable[[], float] = random.random) -> float:
        """Return the pause before attempt number `attempt` + 1, the first failure being attempt 0."""
        # Bounded before the power is taken: an attempt number is data.
        ceiling = min(self.longest, self.first * self.factor ** min(attempt, 30))
        return ceiling * draw() if self.has_jitter else ceiling


SOON = Delay(first=1.0, longest=MINUTE)
LATER = Delay(first=MINUTE, longest=HOUR)
# "You can retry in 4^X seconds, X beginning with 0": no jitter, since one pair has one sender.
PAIR = Delay(first=1.0, factor=4.0, longest=HOUR, has_jitter=False)


def after(seconds: float) -> Delay:
    """Wait a documented time, and as long again after each failure."""
    return Delay(first=seconds, factor=1.0, has_jitter=False)


@dataclass(frozen=True, kw_only=True)
class MetaErrorClass:
    """What to do about an error: who must act, when to try again, what it changes, what to say."""

    actor: Actor
    retry: Retry
    effect: Effect
    raises: type[AppError]
    en: str
    es: str
    anchor: str
    delay: Delay | None = None

    @property
    def is_retryable(self) -> bool:
        """Tell whether the same request may succeed without anybody acting."""
        return self.retry in ("now", "later")

    def delay_seconds(
        self, attempt: int, *, retry_after: float | None = None, draw: Callable[[], float] = random.random
    ) -> float | None:
        """Return the pause before the next attempt, None where there is to be none; obey Retry-After."""
        if not self.is_retryable or self.delay is None:
            return None
        return max(self.delay.seconds(attempt, draw), retry_after or 0.0)

    def sentence(self, language: str) -> str:
        """Say it to the person, in Spanish or English."""
        return self.es if language == "es" else self.en

    def to_refusal(self, error: GraphError) -> AppError:
        """Turn it into what our own caller is told."""
        if not issubclass(self.raises, MetaRefused):
            return self.raises(retry_after=error.retry_after)
        return self.raises(
            meta={"code": error.code, "subcode": error.subcode, "fbtrace_id": error.fbtrace_id},
            sentences={"en": self.en, "es": self.es},
            retryable=self.is_retryable,
            help=self.anchor,
            retry_after=error.retry_after,
        )


def classify(error: GraphError) -> MetaErrorClass:
    """Find what Meta's refusal means."""
    return classify_code(
        error.code, error.subcode, http_status=error.http_status, is_transient=error.is_transient
    )


def classify_code(
    code: int, subcode: int | None = None, *, http_status: int | None = None, is_transient: bool = False
) -> MetaErrorClass:
    """Find what a code means that came by webhook, or in an answer with this HTTP status."""
    # "Invalid parameter" says nothing: there the reason stands in the subcode, where it has one that we know.
    by_subcode = TABLE.get((subcode, None)) if code == INVALID_PARAMETER and subcode else None
    known = TABLE.get((code, subcode)) or by_subcode or TABLE.get((code, None))
    return known or _unknown(http_status or 0, is_transient=is_transient)


def _unknown(http_status: int, *, is_transient: bool) -> MetaErrorClass:
    if http_status == 429:  # noqa: PLR2004
        return UNKNOWN_THROTTLED
    if http_status >= SERVER_ERROR or is_transient:
        return UNKNOWN_PASSING
    # No guess that would stop an integration: an unknown code never kills a token.
    return UNKNOWN_REFUSED


Row = tuple[list[tuple[int, int | None]], MetaErrorClass]


def _row(  # noqa: PLR0913 - a row of a table has columns
    codes: int | Iterable[int],
    actor: Actor,
    retry: Retry,
    effect: Effect,
    raises: type[AppError],
    en: str,
    es: str,
    *,
    subcodes: Iterable[int] = (),
    delay: Delay | None = None,
) -> Row:
    listed = [codes] if isinstance(codes, int) else list(codes)
    keys: list[tuple[int, int | None]] = [(code, subcode) for code in listed for subcode in subcodes]
    keys = keys or [(code, None) for code in listed]
    code, subcode = keys[0]
    anchor = f"meta_{code}" if subcode is None else f"meta_{code}_{subcode}"
    standard = {"now": SOON, "later": LATER}.get(retry)
    return keys, MetaErrorClass(
        actor=actor,
        retry=retry,
        effect=effect,
        raises=raises,
        en=en,
        es=es,
        anchor=anchor,
        delay=delay or standard,
    )


# Each row: codes, who must act, when to try again, what it changes, our error, the sentence twice.
ROWS: tuple[Row, ...] = (
    # Tokens and permissions
    _row(
        0, "owner", "after_fix", "token_dead", TokenDead,
        "WhatsApp does not accept the access token. An owner must reconnect the number.",
        "WhatsApp no acepta el token de acceso. Un propietario debe reconectar el número.",
    ),
    _row(
        190, "owner", "after_fix", "token_dead", TokenDead,
        "The access token is no longer valid. An owner must reconnect the number.",
        "El token de acceso ya no es válido. Un propietario debe reconectar el número.",
    ),
    _row(
        190, "owner", "after_fix", "token_dead", TokenDead,
        "The access token has expired. An owner must reconnect the number; nothing that arrives is lost.",
        "El token de acceso venció. Un propietario debe reconectar el número; lo que llega no se pierde.",
        subcodes=[463],
    ),
    _row(
        190, "owner", "after_fix", "token_dead", TokenDead,
        "The access token ended because a password was changed at Meta. An owner must reconnect the number.",
        "El token terminó porque se cambió una contraseña en Meta. Un propietario debe reconectar el número.",
        subcodes=[460],
    ),
    _row(
        190, "owner", "after_fix", "token_dead", TokenDead,
        "Our app was removed from the business at Meta. An owner must connect the number again.",
        "Nuestra aplicación fue quitada de la empresa en Meta. Un propietario debe conectar de nuevo.",
        subcodes=[458],
    ),
    _row(
        190, "owner", "after_fix", "token_dead", TokenDead,
        "The access token was revoked. An owner must reconnect the number.",
        "El token de acceso fue revocado. Un propietario debe reconectar el número.",
        subcodes=[467],
    ),
    _row(
        [3, 10, *range(200, 300), 131005], "owner", "after_fix", "none", PermissionMissing,
        "The connection lacks a permission at Meta. An owner must reconnect and accept every permission.",
        "A la conexión le falta un permiso en Meta. Un propietario debe reconectar y aceptarlos todos.",
    ),
    _row(
        [101, 104], "deployer", "after_fix", "none", MetaRefused,
        "The platform's app at Meta is not set up right. Its operator must check the app's id and secret.",
        "La aplicación de la plataforma en Meta está mal configurada. Su operador debe revisar id y secreto.",
    ),
    # Meta itself is busy, or we are too fast
    _row(
        [1, 131000], "nobody", "now", "none", MetaRefused,
        "WhatsApp had an unknown fault. Please try again in a moment.",
        "WhatsApp tuvo un fallo desconocido. Inténtalo de nuevo en un momento.",
    ),
    _row(
        [2, 131016, 133004], "nobody", "now", "none", MetaRefused,
        "WhatsApp is not available for the moment. Please try again shortly.",
        "WhatsApp no está disponible por el momento. Inténtalo de nuevo en breve.",
    ),
    _row(
        [4, 613, 80007], "nobody", "later", "slow_down", MetaThrottled,
        "Too many calls to WhatsApp in a short time. It goes on by itself in a while.",
        "Demasiadas llamadas a WhatsApp en poco tiempo. Continuará solo dentro de un rato.",
    ),
    _row(
        [130429, 2494055], "nobody", "later", "slow_down", MetaThrottled,
        "The number sends as fast as WhatsApp allows. The message goes out by itself in a moment.",
        "El número envía tan rápido como WhatsApp permite. El mensaje saldrá solo en un momento.",
        delay=SOON,
    ),
    _row(
        131056, "nobody", "later", "pair_slow_down", MetaThrottled,
        "Too many messages to this person in a short time. Wait a little before the next one.",
        "Demasiados mensajes a esta persona en poco tiempo. Espera un poco antes del siguiente.",
        delay=PAIR,
    ),
    _row(
        [131057, 2494100], "nobody", "later", "slow_down", MetaThrottled,
        "Meta is working on this number for a few minutes. The message goes out by itself afterwards.",
        "Meta da mantenimiento a este número por unos minutos. El mensaje saldrá solo después.",
        delay=Delay(first=15, longest=5 * MINUTE),
    ),
    # Our request
    _row(
        [100, 131008, 135000], "deployer", "never", "none", MetaRefused,
        "WhatsApp did not understand the request. If it happens again, tell the platform's operator.",
        "WhatsApp no entendió la solicitud. Si vuelve a ocurrir, avisa al operador de la plataforma.",
    ),
    _row(
        100, "owner", "after_fix", "none", PermissionMissing,
        "Meta does not find this, or the connection may not see it. An owner must check ids or reconnect.",
        "Meta no lo encuentra o la conexión no puede verlo. Un propietario debe revisar ids o reconectar.",
        subcodes=[33],
    ),
    _row(
        803, "owner", "after_fix", "none", PermissionMissing,
        "Meta does not find this, or the connection may not see it. An owner must check ids or reconnect.",
        "Meta no lo encuentra o la conexión no puede verlo. Un propietario debe revisar ids o reconectar.",
    ),
    _row(
        100, "owner", "never", "none", DialogCodeSpent,
        "This connection attempt was already used. Start connecting again.",
        "Este intento de conexión ya se usó. Vuelve a iniciar la conexión.",
        subcodes=[36009],
    ),
    _row(
        100, "agent", "never", "none", TemplateRefused,
        "There is no such template in this account. Reload the list of templates.",
        "No existe esa plantilla en esta cuenta. Recarga la lista de plantillas.",
        subcodes=[2593002],
    ),
    _row(
        2593002, "agent", "never", "none", TemplateRefused,
        "There is no such template in this account. Reload the list of templates.",
        "No existe esa plantilla en esta cuenta. Recarga la lista de plantillas.",
    ),
    # The webhook's handshake, which Meta makes during the call that sets a callback
    _row(
        2200, "deployer", "after_fix", "none", WebhookUnverified,
        "Meta could not verify the webhook's address: it must answer from outside with the right token.",
        "Meta no pudo verificar la dirección del webhook: debe responder desde fuera con el token correcto.",
    ),
    # The business, its account, its number
    _row(
        33, "owner", "after_fix", "number_paused", NumberNotReady,
        "The business number no longer exists at Meta. An owner must connect a number again.",
        "El número de la empresa ya no existe en Meta. Un propietario debe volver a conectar un número.",
    ),
    _row(
        368, "owner", "later", "number_paused", AccountRestricted,
        "Meta has blocked the account for a time for breaking its policies. An owner must see why at Meta.",
        "Meta bloqueó la cuenta por un tiempo por sus políticas. Un propietario debe ver por qué en Meta.",
        delay=Delay(first=HOUR, longest=DAY),
    ),
    _row(
        131031, "owner", "after_fix", "number_paused", AccountRestricted,
        "Meta has locked the account, or the PIN does not match. An owner must look at the account at Meta.",
        "Meta bloqueó la cuenta o el PIN no coincide. Un propietario debe revisar la cuenta en Meta.",
    ),
    _row(
        131037, "owner", "after_fix", "number_paused", NumberNotReady,
        "The number needs an approved display name before it can send. An owner must set one at Meta.",
        "El número necesita un nombre visible aprobado para enviar. Un propietario debe definirlo en Meta.",
    ),
    _row(
        131042, "owner", "after_fix", "number_paused", NumberNotReady,
        "There is a problem with the payment method at Meta. An owner must put it in order.",
        "Hay un problema con el método de pago en Meta. Un propietario debe corregirlo.",
    ),
    _row(
        [131044, 134011], "owner", "after_fix", "none", NumberNotReady,
        "Meta's payment terms or payment method are missing for this. An owner must put them in order.",
        "Faltan las condiciones o el método de pago de Meta para esto. Un propietario debe corregirlo.",
    ),
    _row(
        131045, "owner", "after_fix", "number_paused", NumberNotReady,
        "The number's registration is faulty. An owner must register it again.",
        "El registro del número tiene un error. Un propietario debe registrarlo de nuevo.",
    ),
    _row(
        131048, "owner", "later", "slow_down", AccountRestricted,
        "Many people blocked or reported this number, so Meta slows it down. Send only what people expect.",
        "Muchas personas bloquearon o reportaron este número y Meta lo limita. Envía solo lo esperado.",
    ),
    _row(
        131064, "owner", "after_fix", "none", AccountRestricted,
        "Meta has limited the account for templates in the wrong category. An owner must look at it at Meta.",
        "Meta limitó la cuenta por plantillas mal categorizadas. Un propietario debe revisarla en Meta.",
    ),
    _row(
        133000, "owner", "later", "none", NumberNotReady,
        "An earlier deregistration did not finish. Register the number again in a while.",
        "Una baja anterior no terminó. Vuelve a registrar el número dentro de un rato.",
    ),
    _row(
        133005, "owner", "after_fix", "none", NumberNotReady,
        "The two-step PIN is not the number's own. Enter the right one, or reset it in WhatsApp Manager.",
        "El PIN de dos pasos no es el de este número. Ingresa el correcto o cámbialo en WhatsApp Manager.",
    ),
    _row(
        133006, "owner", "after_fix", "none", NumberNotReady,
        "The number must be verified first. Ask for a code and enter it.",
        "Primero hay que verificar el número. Pide un código e ingrésalo.",
    ),
    _row(
        133008, "owner", "after_fix", "none", NumberNotReady,
        "The PIN was guessed too often. Meta lets you try again after a while.",
        "El PIN se intentó demasiadas veces. Meta te permitirá intentarlo de nuevo más tarde.",
    ),
    _row(
        133009, "owner", "after_fix", "none", NumberNotReady,
        "The PIN was entered too fast. Wait a little and enter it again.",
        "El PIN se ingresó demasiado rápido. Espera un poco e ingrésalo de nuevo.",
    ),
    _row(
        133010, "owner", "after_fix", "number_paused", NumberNotReady,
        "The number is not registered with the Cloud API. An owner must register it.",
        "El número no está registrado en la Cloud API. Un propietario debe registrarlo.",
    ),
    _row(
        133015, "nobody", "later", "none", NumberNotReady,
        "The number was removed a moment ago. It can be connected again in five minutes.",
        "El número se eliminó hace un momento. Se puede volver a conectar en cinco minutos.",
        delay=after(5 * MINUTE),
    ),
    _row(
        133016, "owner", "after_fix", "none", NumberNotReady,
        "The number was registered too often. Meta allows it again after 72 hours.",
        "El número se registró demasiadas veces. Meta lo permite de nuevo después de 72 horas.",
    ),
    _row(
        [136024, 2388091], "owner", "after_fix", "none", NumberNotReady,
        "Meta sends no code now: the number is verified already, or codes were asked for too often.",
        "Meta no envía un código ahora: el número ya está verificado o se pidieron demasiados códigos.",
    ),
    _row(
        [136025, 2388093], "owner", "after_fix", "none", WrongCode,
        "Meta did not accept the code. Check it, or ask for a new one.",
        "Meta no aceptó el código. Revísalo o pide uno nuevo.",
    ),
    _row(
        2388012, "owner", "after_fix", "none", NumberOnWhatsApp,
        "This number is already in a WhatsApp Business account. Remove it there first, or migrate it.",
        "Este número ya está en una cuenta de WhatsApp Business. Elimínalo allí primero o mígralo.",
    ),
    _row(
        2388103, "owner", "after_fix", "none", NumberOnWhatsApp,
        "This number cannot be moved as it is. An owner must look at it in WhatsApp Manager.",
        "Este número no se puede mover así. Un propietario debe revisarlo en WhatsApp Manager.",
    ),
    _row(
        2207051, "nobody", "never", "none", NumberNotReady,
        "The number is not registered, so there is nothing to take off.",
        "El número no está registrado, así que no hay nada que dar de baja.",
    ),
    _row(
        1752041, "nobody", "never", "none", MetaRefused,
        "Meta is already working on this request. Reload in a moment.",
        "Meta ya está procesando esta solicitud. Recarga en un momento.",
    ),
    _row(
        2593107, "owner", "never", "none", MetaRefused,
        "This synchronisation was already asked for; Meta does it once for each connection.",
        "Esta sincronización ya se pidió; Meta la hace una sola vez por conexión.",
    ),
    _row(
        2593108, "owner", "never", "none", MetaRefused,
        "Contacts and history can only be fetched within 24 hours of connecting. Connect again for that.",
        "Contactos e historial solo se obtienen en las 24 horas tras conectar. Vuelve a conectar para ello.",
    ),
    _row(
        2593109, "owner", "never", "none", MetaRefused,
        "The business chose not to share its chat history.",
        "La empresa eligió no compartir su historial de chats.",
    ),
    _row(
        range(141000, 141020), "owner", "after_fix", "none", NumberNotReady,
        "Something at Meta keeps this number from sending. The health page of the number says what.",
        "Algo en Meta impide que este número envíe. La página de estado del número dice qué es.",
    ),
    _row(
        range(147001, 147006), "owner", "never", "none", MetaRefused,
        "Meta did not accept the business's user name. Choose another one.",
        "Meta no aceptó el nombre de usuario de la empresa. Elige otro.",
    ),
    # The person at the other end
    _row(
        130403, "agent", "never", "none", RecipientUnreachable,
        "Your business has blocked this person. Unblock them first.",
        "Tu empresa bloqueó a esta persona. Desbloquéala primero.",
    ),
    _row(
        130472, "agent", "never", "none", RecipientUnreachable,
        "Meta keeps marketing messages from this person as part of a study. Nothing can be done about it.",
        "Meta no entrega marketing a esta persona por un estudio. No se puede hacer nada al respecto.",
    ),
    _row(
        130497, "agent", "never", "none", RecipientUnreachable,
        "This business may not write to people in that country.",
        "Esta empresa no puede escribir a personas de ese país.",
    ),
    _row(
        131021, "agent", "never", "none", RecipientUnreachable,
        "The number cannot write to itself.",
        "El número no puede escribirse a sí mismo.",
    ),
    _row(
        131026, "agent", "never", "none", RecipientUnreachable,
        "It cannot be delivered: the person may not use WhatsApp, or needs to update it.",
        "No se puede entregar: puede que la persona no use WhatsApp o deba actualizarlo.",
    ),
    _row(
        131030, "owner", "after_fix", "none", RecipientUnreachable,
        "A test number writes only to the five numbers on its list. An owner can add this one at Meta.",
        "Un número de prueba solo escribe a los cinco de su lista. Un propietario puede agregarlo en Meta.",
    ),
    _row(
        131047, "agent", "never", "window_closed", WindowClosed,
        "More than 24 hours have passed since the customer's last message. Send an approved template.",
        "Pasaron más de 24 horas desde el último mensaje del cliente. Envía una plantilla aprobada.",
    ),
    _row(
        131049, "agent", "later", "none", RecipientUnreachable,
        "This person has got enough marketing messages for now. Try again after a day at the earliest.",
        "Esta persona ya recibió suficiente marketing. Inténtalo de nuevo después de un día.",
        delay=after(DAY),
    ),
    _row(
        131050, "agent", "never", "none", RecipientUnreachable,
        "This person does not want marketing messages from you.",
        "Esta persona no quiere recibir mensajes de marketing tuyos.",
    ),
    _row(
        131062, "agent", "never", "none", RecipientUnreachable,
        "This kind of message needs the person's phone number, which WhatsApp does not show us.",
        "Este tipo de mensaje necesita el número de la persona, que WhatsApp no nos muestra.",
    ),
    _row(
        137000, "agent", "never", "none", RecipientUnreachable,
        "This person's security code has changed. Confirm who they are before writing.",
        "El código de seguridad de esta persona cambió. Confirma quién es antes de escribir.",
    ),
    _row(
        range(139100, 139104), "agent", "never", "none", MetaRefused,
        "This person cannot be blocked or unblocked now: only who wrote in the last 24 hours can.",
        "No se puede bloquear o desbloquear ahora: solo a quien escribió en las últimas 24 horas.",
    ),
    # The message
    _row(
        131009, "agent", "never", "none", MessageRefused,
        "Part of this message is not valid for WhatsApp, or it answers to a message that is too old.",
        "Parte de este mensaje no es válida para WhatsApp, o responde a un mensaje demasiado antiguo.",
    ),
    _row(
        131051, "agent", "never", "none", MessageRefused,
        "WhatsApp does not support this kind of message.",
        "WhatsApp no admite este tipo de mensaje.",
    ),
    _row(
        131052, "agent", "never", "none", MessageRefused,
        "The customer's file could not be fetched. Ask them to send it again, smaller if it is large.",
        "No se pudo obtener el archivo del cliente. Pídele que lo reenvíe, más pequeño si es grande.",
    ),
    _row(
        131053, "agent", "after_fix", "none", MessageRefused,
        "WhatsApp could not take the file. Check its kind and size, and send it again.",
        "WhatsApp no pudo recibir el archivo. Revisa su tipo y tamaño y envíalo de nuevo.",
    ),
    _row(
        [131055, 131063, 134100], "deployer", "never", "none", MessageRefused,
        "This kind of message does not go out this way. Tell the platform's operator.",
        "Este tipo de mensaje no se envía de esta forma. Avisa al operador de la plataforma.",
    ),
    _row(
        131060, "nobody", "never", "none", MessageRefused,
        "The message cannot be shown here; it can be read in the WhatsApp app.",
        "El mensaje no se puede mostrar aquí; se puede leer en la aplicación de WhatsApp.",
    ),
    _row(
        [131020, 131041, 131059, *range(131201, 131205), *range(131207, 131216)],
        "agent", "never", "none", MessageRefused,
        "WhatsApp did not accept this for a group.",
        "WhatsApp no aceptó esto para un grupo.",
    ),
    _row(
        range(138000, 138019), "agent", "never", "none", MessageRefused,
        "WhatsApp did not accept this call.",
        "WhatsApp no aceptó esta llamada.",
    ),
    # Templates and flows
    _row(
        132000, "agent", "never", "none", TemplateRefused,
        "The template needs another number of values. Fill in every one.",
        "La plantilla necesita otra cantidad de valores. Complétalos todos.",
    ),
    _row(
        132001, "agent", "never", "none", TemplateRefused,
        "The template does not exist in this language, or is not approved. Reload the list of templates.",
        "La plantilla no existe en este idioma o no está aprobada. Recarga la lista de plantillas.",
    ),
    _row(
        132005, "agent", "never", "none", TemplateRefused,
        "With these values the template's text is too long. Shorten them.",
        "Con estos valores el texto de la plantilla es demasiado largo. Acórtalos.",
    ),
    _row(
        132007, "agent", "never", "none", TemplateRefused,
        "A value breaks the rules for templates, for example by a line break. Change it.",
        "Un valor incumple las reglas de las plantillas, por ejemplo por un salto de línea. Cámbialo.",
    ),
    _row(
        [132008, 132012, 132018], "agent", "never", "none", TemplateRefused,
        "A value does not have the form that the template expects. Check each one.",
        "Un valor no tiene el formato que la plantilla espera. Revisa cada uno.",
    ),
    _row(
        132015, "owner", "after_fix", "template_paused", TemplateRefused,
        "Meta has paused this template because people reacted badly to it. Choose another or improve it.",
        "Meta pausó esta plantilla porque la gente reaccionó mal. Elige otra o mejórala.",
    ),
    _row(
        132016, "owner", "never", "template_paused", TemplateRefused,
        "Meta has disabled this template for good. Create another one.",
        "Meta desactivó esta plantilla definitivamente. Crea otra.",
    ),
    _row(
        132068, "owner", "after_fix", "none", TemplateRefused,
        "Meta has blocked the flow. An owner must repair it in WhatsApp Manager.",
        "Meta bloqueó el flujo. Un propietario debe repararlo en WhatsApp Manager.",
    ),
    _row(
        132069, "nobody", "later", "none", TemplateRefused,
        "Meta lets this flow out only ten times an hour. Try again later.",
        "Meta solo permite este flujo diez veces por hora. Inténtalo más tarde.",
        delay=Delay(first=6 * MINUTE, longest=HOUR),
    ),
    _row(
        134101, "nobody", "later", "none", TemplateRefused,
        "Meta is still preparing this template. It can be used in ten minutes.",
        "Meta todavía está preparando esta plantilla. Se podrá usar en diez minutos.",
        delay=after(10 * MINUTE),
    ),
    _row(
        134102, "agent", "never", "none", TemplateRefused,
        "This template is not available now. Choose another one.",
        "Esta plantilla no está disponible ahora. Elige otra.",
    ),
    _row(
        range(139000, 139005), "owner", "after_fix", "none", TemplateRefused,
        "There is a fault in the flow. An owner must repair it in WhatsApp Manager.",
        "Hay un error en el flujo. Un propietario debe repararlo en WhatsApp Manager.",
    ),
    _row(
        2388019, "owner", "after_fix", "none", TemplateRefused,
        "The account has as many templates as Meta allows. Delete one that is not used.",
        "La cuenta tiene tantas plantillas como Meta permite. Elimina una que no se use.",
    ),
    _row(
        [2388039, 2388040, 2388047, 2388072, 2388073, 2388293, 2388299],
        "owner", "never", "none", TemplateRefused,
        "Meta did not accept the template's text or its variables. Change them and try again.",
        "Meta no aceptó el texto de la plantilla o sus variables. Cámbialos e inténtalo de nuevo.",
    ),
)  # fmt: skip

TABLE: dict[tuple[int, int | None], MetaErrorClass] = {key: found for keys, found in ROWS for key in keys}

UNKNOWN_REFUSED = MetaErrorClass(
    actor="agent",
    retry="never",
    effect="none",
    raises=MetaRefused,
    en="WhatsApp did not accept this, for a reason that we do not know. The code may help its support.",
    es="WhatsApp no aceptó esto por una razón que no conocemos. El código puede ayudar a su soporte.",
    anchor=UNKNOWN_ANCHOR,
)
UNKNOWN_PASSING = MetaErrorClass(
    actor="nobody",
    retry="now",
    effect="none",
    raises=MetaRefused,
    en="WhatsApp had a fault that seems to pass. Please try again in a moment.",
    es="WhatsApp tuvo un fallo que parece pasajero. Inténtalo de nuevo en un momento.",
    anchor=UNKNOWN_ANCHOR,
    delay=SOON,
)
UNKNOWN_THROTTLED = MetaErrorClass(
    actor="nobody",
    retry="later",
    effect="slow_down",
    raises=MetaThrottled,
    en="WhatsApp asks us to slow down. It goes on by itself in a while.",
    es="WhatsApp nos pide ir más despacio. Continuará solo dentro de un rato.",
    anchor=UNKNOWN_ANCHOR,
    delay=LATER,
)
