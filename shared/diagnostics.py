"""The doctor's findings: what each link of the chain can suffer from, how it is told, what to do. No I/O.

A link that hangs on a broken one is skipped, so that one fault is told as one cause. `shared/probes.py` asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from shared.connecting import find_subscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.connecting import NumberFacts, TokenFacts

State = Literal["ok", "warning", "failed", "skipped"]
RANK: dict[State, int] = {"ok": 0, "skipped": 0, "warning": 1, "failed": 2}

# In the order of the chain: each needs those before it that NEEDS names.
LINKS = (
    "settings", "database", "protection", "graph", "app", "clock", "connection", "keys", "token", "scopes",
    "account", "number", "health", "subscription", "callback", "events", "jobs",
)  # fmt: skip
NEEDS: Mapping[str, tuple[str, ...]] = {
    "database": ("settings",),
    "protection": ("database",),
    "graph": ("settings",),
    "clock": ("graph",),
    "connection": ("database",),
    "keys": ("connection",),
    # The pair is the connection's own where it has an app of its own.
    "app": ("graph", "keys"),
    "token": ("app",),
    "scopes": ("token",),
    "account": ("scopes",),
    "number": ("account",),
    "health": ("number",),
    "subscription": ("account",),
    "callback": ("subscription",),
    "events": ("callback",),
    "jobs": ("database",),
}

ENDS_SOON = timedelta(days=7)
SILENCE = timedelta(days=7)
PATIENCE = timedelta(minutes=15)
LARGEST_SKEW = timedelta(seconds=60)
# https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/phone-numbers
BROKEN_STATUS = frozenset({"BANNED", "RESTRICTED", "FLAGGED", "RATE_LIMITED"})


class Words(NamedTuple):
    """A cause in both languages: what is wrong, and what to do."""

    en: str
    es: str
    fix_en: str
    fix_es: str


CAUSES: Mapping[str, Words] = {
    "settings_missing": Words(
        "Settings are missing or wrong: {settings}.",
        "Faltan variables o son incorrectas: {settings}.",
        "Set them where the functions are deployed and deploy again; see docs/environment.md.",
        "Configúralas donde están desplegadas las funciones y vuelve a desplegar; mira docs/environment.md.",
    ),
    "database_unreachable": Words(
        "Supabase does not answer.",
        "Supabase no responde.",
        "Check SUPABASE_URL and the keys, and whether the project is paused.",
        "Revisa SUPABASE_URL y las claves, y si el proyecto está en pausa.",
    ),
    "not_migrated": Words(
        "The database lacks migrations: {missing}.",
        "A la base de datos le faltan migraciones: {missing}.",
        "Run `supabase db push`.",
        "Ejecuta `supabase db push`.",
    ),
    "row_security_off": Words(
        "Tables are not protected as they must be: {tables}.",
        "Hay tablas sin la protección debida: {tables}.",
        "Apply the migrations again and undo what was changed by hand; until then take the API offline.",
        "Aplica de nuevo las migraciones y deshaz los cambios manuales; hasta entonces desconecta la API.",
    ),
    "graph_unreachable": Words(
        "Meta's Graph API does not answer.",
        "La API Graph de Meta no responde.",
        "Check GRAPH_API_URL and the network; see metastatus.com.",
        "Revisa GRAPH_API_URL y la red; consulta metastatus.com.",
    ),
    "meta_refused": Words(
        "Meta refuses to answer (code {code}).",
        "Meta se niega a responder (código {code}).",
        "Look the code up in docs/troubleshooting.md.",
        "Busca el código en docs/troubleshooting.md.",
    ),
    "version_ended": Words(
        "Meta has ended {asked} and serves {served} instead.",
        "Meta retiró {asked} y responde con {served}.",
        "Set GRAPH_API_VERSION to a living version.",
        "Cambia GRAPH_API_VERSION a una versión vigente.",
    ),
    "app_secret_wrong": Words(
        "The app id and the app secret do not belong together: Meta's deliveries cannot be verified.",
        "El identificador y la clave secreta no son de la misma app: los avisos no se pueden verificar.",
        "Copy both again from App settings → Basic.",
        "Cópialos de nuevo de Configuración de la app → Básica.",
    ),
    "clock_off": Words(
        "This machine's clock is {seconds} seconds off.",
        "El reloj de esta máquina está desfasado {seconds} segundos.",
        "Synchronise it (NTP): codes and tokens expire at the wrong time.",
        "Sincronízalo (NTP): los códigos y tokens caducan a destiempo.",
    ),
    "not_connected": Words(
        "No number is connected.",
        "No hay un número conectado.",
        "An owner connects one in the dashboard.",
        "Un propietario lo conecta en el panel.",
    ),
    "keys_wrong": Words(
        "The stored credentials cannot be opened.",
        "No se pueden abrir las credenciales guardadas.",
        "Put the key that wrote them back into ENCRYPTION_KEYS; if it is lost, connect the number again.",
        "Vuelve a poner en ENCRYPTION_KEYS la clave que las cifró; si se perdió, conecta el número de nuevo.",
    ),
    "token_expired": Words(
        "The access token has expired. What customers write still arrives; nothing can be sent.",
        "El token de acceso caducó. Los mensajes de clientes siguen llegando, pero no se puede enviar.",
        "Reconnect the number.",
        "Reconecta el número.",
    ),
    "token_revoked": Words(
        "The access token was revoked, or its owner changed the password.",
        "El token de acceso fue revocado o su dueño cambió la contraseña.",
        "Reconnect the number.",
        "Reconecta el número.",
    ),
    "token_of_other_app": Words(
        "The access token belongs to another app.",
        "El token de acceso es de otra app.",
        "Reconnect the number with a token of the app whose id is stored.",
        "Reconecta el número con un token de la app registrada.",
    ),
    "token_ends_soon": Words(
        "The access token ends on {date} and was not renewed yet.",
        "El token de acceso termina el {date} y aún no se renovó.",
        "Renew it now; check that the worker runs.",
        "Renuévalo ahora; comprueba que el worker funciona.",
    ),
    "scopes_missing": Words(
        "The access token lacks permissions: {scopes}.",
        "Al token de acceso le faltan permisos: {scopes}.",
        "Reconnect the number and accept every permission.",
        "Reconecta el número y acepta todos los permisos.",
    ),
    "account_not_accessible": Words(
        "The token cannot see the WhatsApp Business account.",
        "El token no puede ver la cuenta de WhatsApp Business.",
        "In Meta's business settings, give the system user the account again, or reconnect.",
        "En la configuración del negocio en Meta, devuelve la cuenta al usuario del sistema o reconecta.",
    ),
    "number_gone": Words(
        "The number is not in the WhatsApp Business account any more.",
        "El número ya no está en la cuenta de WhatsApp Business.",
        "Connect the number again where it is now.",
        "Conecta de nuevo el número donde esté ahora.",
    ),
    "number_not_verified": Words(
        "The number is not verified.",
        "El número no está verificado.",
        "Ask for a code and enter it.",
        "Pide un código e ingrésalo.",
    ),
    "number_not_registered": Words(
        "The number is not registered on the Cloud API: it can neither send nor receive.",
        "El número no está registrado en la Cloud API: no puede enviar ni recibir.",
        "Register it (Number → Register).",
        "Regístralo (Número → Registrar).",
    ),
    "number_restricted": Words(
        "Meta has the number as {status}.",
        "Meta tiene el número como {status}.",
        "Look at the quality page in WhatsApp Manager, and ask for a review there.",
        "Mira la página de calidad en el Administrador de WhatsApp y solicita una revisión allí.",
    ),
    "health_blocked": Words(
        "Meta reports that sending is blocked: {entity} ({code}).",
        "Meta informa que el envío está bloqueado: {entity} ({code}).",
        "Do what Meta proposes in WhatsApp Manager.",
        "Haz lo que Meta propone en el Administrador de WhatsApp.",
    ),
    "health_limited": Words(
        "Meta reports that sending is limited: {entity}.",
        "Meta informa que el envío está limitado: {entity}.",
        "Look into WhatsApp Manager.",
        "Revisa el Administrador de WhatsApp.",
    ),
    "not_subscribed": Words(
        "The app is not subscribed to the account: nothing is delivered.",
        "La app no está suscrita a la cuenta: no se entrega nada.",
        "Subscribe it (Webhook → Subscribe).",
        "Suscríbela (Webhook → Suscribir).",
    ),
    "callback_overridden": Words(
        "Deliveries for this number go to another address.",
        "Los avisos de este número van a otra dirección.",
        "Remove the override (Webhook → Use the app's address).",
        "Quita la dirección alternativa (Webhook → Usar la dirección de la app).",
    ),
    "callback_elsewhere": Words(
        "The app's webhook at Meta points to another address, or to none.",
        "El webhook de la app en Meta apunta a otra dirección o a ninguna.",
        "In the app's WhatsApp → Configuration, enter the address and the verify token from the dashboard.",
        "Escribe la dirección y el token de verificación que muestra el panel en WhatsApp → Configuración.",
    ),
    "messages_not_chosen": Words(
        "The app's webhook at Meta does not ask for the field `messages`.",
        "El webhook de la app en Meta no incluye el campo `messages`.",
        "Subscribe to it in the app's WhatsApp → Configuration.",
        "Suscríbelo en WhatsApp → Configuración de la app.",
    ),
    "callback_unreachable": Words(
        "The webhook's address does not answer from outside.",
        "La dirección del webhook no responde desde fuera.",
        "Check WHATSAPP_WEBHOOK_URL, DNS, TLS, and that the webhook function is deployed.",
        "Revisa WHATSAPP_WEBHOOK_URL, DNS, TLS y que la función del webhook esté desplegada.",
    ),
    "callback_refused": Words(
        "The webhook answers, but refuses the handshake.",
        "El webhook responde, pero rechaza la verificación.",
        "Set the same WHATSAPP_WEBHOOK_VERIFY_TOKEN for all functions and at Meta.",
        "Pon el mismo WHATSAPP_WEBHOOK_VERIFY_TOKEN en todas las funciones y en Meta.",
    ),
    "no_event_yet": Words(
        "No signed event has arrived yet.",
        "Todavía no ha llegado ningún aviso firmado.",
        "Write a message to the number from a phone.",
        "Escribe un mensaje al número desde un teléfono.",
    ),
    "events_stale": Words(
        "Nothing has arrived since {date}.",
        "No ha llegado nada desde {date}.",
        "If customers do write, look at Meta's webhook page of the app.",
        "Si los clientes sí escriben, revisa la página de webhooks de la app en Meta.",
    ),
    "jobs_dead": Words(
        "{count} jobs failed for good.",
        "{count} tareas fallaron definitivamente.",
        "Look at their reasons in the table jobs, and run them again.",
        "Mira los motivos en la tabla jobs y ejecútalas de nuevo.",
    ),
    "jobs_late": Words(
        "{count} jobs wait although they are due.",
        "{count} tareas esperan aunque ya deberían ejecutarse.",
        "Check that the worker runs (schedule, CRON_SECRET).",
        "Comprueba que el worker se ejecuta (programación, CRON_SECRET).",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a probe found at one link."""

    state: State = "ok"
    cause: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)

    def to_json(self, link: str, language: str) -> dict[str, Any]:
        """Tell it in the person's language."""
        told: dict[str, Any] = {"id": link, "status": self.state, "cause": self.cause}
        if self.cause is not None:
            words = CAUSES[self.cause]
            is_spanish = language == "es"
            told["message"] = (words.es if is_spanish else words.en).format_map(self.values)
            told["fix"] = words.fix_es if is_spanish else words.fix_en
            told["help"] = self.cause
        return told


OK = Finding()
SKIPPED = Finding(state="skipped")


def failed(cause: str, **values: object) -> Finding:
    """Find that the link is broken."""
    return Finding(state="failed", cause=cause, values=values)


def warn(cause: str, **values: object) -> Finding:
    """Find that the link holds, but not for long, or not surely."""
    return Finding(state="warning", cause=cause, values=values)


@dataclass(kw_only=True)
class Report:
    """All findings, in the order of the chain."""

    findings: dict[str, Finding] = field(default_factory=dict)

    def is_sound(self, link: str) -> bool:
        """Tell whether everything that this link needs was found to hold."""
        return all(
            need in self.findings and self.findings[need].state in {"ok", "warning"}
            for need in NEEDS.get(link, ())
        )

    @property
    def status(self) -> State:
        """The worst state of all."""
        return max((each.state for each in self.findings.values()), key=RANK.__getitem__, default="ok")

    @property
    def cause(self) -> str | None:
        """The first cause among the worst: the one thing to look at."""
        worst = self.status
        ordered = [self.findings[link] for link in LINKS if link in self.findings]
        return next((each.cause for each in ordered if each.state == worst and each.cause), None)

    def to_json(self, language: str) -> dict[str, Any]:
        """Tell everything, the one cause first."""
        return {
            "status": "ok" if self.status == "skipped" else self.status,
            "cause": self.cause,
            "checks": [
                self.findings[link].to_json(link, language) for link in LINKS if link in self.findings
            ],
        }


def judge_protection(facts: Mapping[str, Any]) -> Finding:
    """Judge what the catalog says about who may read what."""
    open_ = [*facts["tables_without_rls"], *facts["tables_open_to_strangers"], *facts["readable_secrets"]]
    return failed("row_security_off", tables=", ".join(sorted(set(open_)))) if open_ else OK


def judge_migrations(facts: Mapping[str, Any]) -> Finding:
    """Judge whether everything is there that the code asks for."""
    missing = [*facts["missing_tables"], *facts["missing_functions"]]
    return failed("not_migrated", missing=", ".join(missing)) if missing else OK


def judge_jobs(facts: Mapping[str, Any]) -> Finding:
    """Judge the queue."""
    if facts["jobs_late"]:
        return failed("jobs_late", count=facts["jobs_late"])
    return warn("jobs_dead", count=facts["jobs_dead"]) if facts["jobs_dead"] else OK


def judge_version(asked: str, served: str | None) -> Finding:
    """Judge the version that Meta served the call with."""
    return warn("version_ended", asked=asked, served=served) if served and served != asked else OK


def judge_clock(theirs: datetime | None, ours: datetime) -> Finding:
    """Judge our clock by Meta's."""
    skew = abs(ours - theirs) if theirs else timedelta()
    return failed("clock_off", seconds=round(skew.total_seconds())) if skew > LARGEST_SKEW else OK


def judge_token(token: TokenFacts, *, app_id: str, now: datetime) -> Finding:
    """Judge the token's life, and whose it is."""
    if not token.is_valid:
        return failed("token_expired" if token.is_late(now) else "token_revoked")
    if token.app_id and token.app_id != app_id:
        return failed("token_of_other_app")
    if token.expires_at is not None and token.expires_at - now < ENDS_SOON:
        return warn("token_ends_soon", date=token.expires_at.date().isoformat())
    return OK


def judge_scopes(token: TokenFacts) -> Finding:
    """Judge what the token may do."""
    missing = token.missing_scopes
    return failed("scopes_missing", scopes=", ".join(missing)) if missing else OK


def judge_number(number: NumberFacts | None) -> Finding:
    """Judge the number's own state."""
    if number is None:
        return failed("number_gone")
    status = str(number.raw.get("status") or "")
    if status in BROKEN_STATUS:
        return failed("number_restricted", status=status)
    if not number.is_registered:
        return failed("number_not_registered" if number.is_verified else "number_not_verified")
    return OK


def judge_health(health: object) -> Finding:
    """Judge what Meta itself finds to hinder sending."""
    if not isinstance(health, dict):
        return OK
    entities: Sequence[Any] = health.get("entities") or []
    for state in ("BLOCKED", "LIMITED"):
        for entity in entities:
            if not isinstance(entity, dict) or entity.get("can_send_message") != state:
                continue
            errors = entity.get("errors") or [{}]
            name = entity.get("entity_type")
            if state == "BLOCKED":
                return failed("health_blocked", entity=name, code=errors[0].get("error_code"))
            return warn("health_limited", entity=name)
    return OK


def judge_subscription(
    apps: Iterable[Mapping[str, Any]],
    *,
    app_id: str,
    number_override: str | None,
    our_override: str | None,
    app_subscription: Mapping[str, Any],
    expected: str | None,
) -> Finding:
    """Judge whether Meta delivers, and to us: number's address, then the account's, then the app's.

    `expected` is our own address; without it only the subscription can be judged.
    """
    ours = find_subscription(apps, app_id)
    if ours is None:
        return failed("not_subscribed")
    override = number_override or ours.get("override_callback_uri")
    if override:
        is_ours = override in {our_override, expected}
        return OK if is_ours else failed("callback_overridden")
    if expected is None:
        return OK
    if str(app_subscription.get("callback_url") or "").rstrip("/") != expected.rstrip("/"):
        return failed("callback_elsewhere")
    chosen = {entry.get("name") for entry in app_subscription.get("fields") or [] if isinstance(entry, dict)}
    return failed("messages_not_chosen") if chosen and "messages" not in chosen else OK


def judge_events(row: Mapping[str, Any], now: datetime) -> Finding:
    """Judge when something last arrived."""
    if row["first_event_at"] is None:
        since = row["connected_at"]
        is_new = since is not None and now - datetime.fromisoformat(since) < PATIENCE
        return Finding(state="warning" if not is_new else "ok", cause="no_event_yet")
    last = datetime.fromisoformat(row["last_event_at"] or row["first_event_at"])
    return warn("events_stale", date=last.date().isoformat()) if now - last > SILENCE else OK
