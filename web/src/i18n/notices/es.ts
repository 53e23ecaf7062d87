// What Meta's news mean, in Spanish: loaded with the list that shows them. Keys are field/EVENT, or the field alone.

import type { Facts } from "../../features/integration/api/notices";

type Sentence = (facts: Facts) => string;

const template = ({ template: name, language }: Facts) =>
  name ? `La plantilla «${name}»${language ? ` (${language})` : ""}` : "Una plantilla";
const number = ({ number: shown }: Facts) => (shown ? `del número ${shown}` : "de tu número");
const because = ({ reason }: Facts) => (reason ? ` Motivo: ${reason}.` : "");
const categories: Readonly<Record<string, string>> = {
  MARKETING: "marketing",
  UTILITY: "utilidad",
  AUTHENTICATION: "autenticación",
};
const category = (name: string | null) => (name ? (categories[name] ?? name.toLowerCase()) : "otra");
const limits: Readonly<Record<string, string>> = {
  TIER_50: "50",
  TIER_250: "250",
  TIER_1K: "1.000",
  TIER_2K: "2.000",
  TIER_10K: "10.000",
  TIER_100K: "100.000",
};
const limit = ({ limit: tier }: Facts) =>
  !tier
    ? ""
    : tier === "TIER_UNLIMITED"
      ? " Ya no hay límite de clientes nuevos por día."
      : ` Límite actual: ${limits[tier] ?? tier} clientes nuevos por día.`;

export const es = {
  sentences: {
    "account_update/ACCOUNT_DELETED": () =>
      "Meta eliminó tu cuenta de WhatsApp Business. Ya no puedes enviar ni recibir; revisa el Administrador de WhatsApp.",
    "account_update/ACCOUNT_OFFBOARDED": () =>
      "Tu cuenta salió de la API de WhatsApp. Conecta el número otra vez para seguir.",
    "account_update/ACCOUNT_RECONNECTED": () => "Tu cuenta volvió a la API de WhatsApp.",
    "account_update/ACCOUNT_RESTRICTION": (facts) =>
      `Meta restringió tu cuenta de WhatsApp Business.${because(facts)} Mira qué limita y hasta cuándo en el Administrador de WhatsApp.`,
    "account_update/ACCOUNT_VIOLATION": (facts) =>
      `Meta dice que tu cuenta incumple sus políticas.${because(facts)} Si no estás de acuerdo, pide una revisión en el Administrador de WhatsApp.`,
    "account_update/DISABLED_UPDATE": ({ decision }) =>
      decision === "REINSTATE"
        ? "Meta reactivó tu cuenta de WhatsApp Business."
        : decision === "SCHEDULE_FOR_DISABLE"
          ? "Meta va a desactivar tu cuenta de WhatsApp Business. Pide una revisión en el Administrador de WhatsApp antes de la fecha."
          : "Meta desactivó tu cuenta de WhatsApp Business. Pide una revisión en el Administrador de WhatsApp.",
    "account_update/PARTNER_ADDED": () => "Tu cuenta quedó vinculada con esta plataforma.",
    "account_update/PARTNER_REMOVED": (facts) =>
      `Tu cuenta dejó de estar vinculada con esta plataforma.${because(facts)} Conecta el número otra vez para seguir enviando.`,
    "account_update/PARTNER_APP_INSTALLED": () => "Nuestra app quedó instalada en tu cuenta.",
    "account_update/PARTNER_APP_UNINSTALLED": () =>
      "Nuestra app se quitó de tu cuenta: ya no recibimos tus mensajes. Conecta el número otra vez.",
    "account_update/VERIFIED_ACCOUNT": () => "Meta verificó tu cuenta.",
    "account_update/AD_ACCOUNT_LINKED": () => "Se vinculó una cuenta publicitaria con tu cuenta de WhatsApp.",
    "account_update/MM_LITE_TERMS_SIGNED": () => "Se aceptaron las condiciones de la API de mensajes de marketing.",
    "account_update/AUTH_INTL_PRICE_ELIGIBILITY_UPDATE": () =>
      "Cambió el precio de tus mensajes internacionales de autenticación. Revísalo en el Administrador de WhatsApp.",
    "account_update/BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE": () => "Cambió el país principal de tu empresa en Meta.",
    "account_update/PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE": () =>
      "Cambió el estado de la certificación de tu cuenta. Revísalo en el Administrador de WhatsApp.",
    "account_update/VOLUME_BASED_PRICING_TIER_UPDATE": () => "Tu cuenta pasó a otro tramo de precios por volumen.",
    account_alerts: ({ message }) =>
      `Meta tiene un aviso sobre tu cuenta.${message ? ` Dice: «${message}»` : ""} Ábrelo en el Administrador de WhatsApp.`,
    "account_review_update/APPROVED": () => "Meta revisó tu cuenta y la aprobó.",
    "account_review_update/REJECTED": () =>
      "Meta revisó tu cuenta y la rechazó. Pide otra revisión en el Administrador de WhatsApp.",
    "account_review_update/PENDING": () => "Meta está revisando tu cuenta.",
    "account_review_update/DEFERRED": () => "Meta aplazó la revisión de tu cuenta.",
    account_settings_update: () => "Cambió un ajuste de tu cuenta de WhatsApp Business.",
    business_capability_update: ({ limit: most, numbers }) =>
      `Cambió lo que tu cuenta puede hacer${most ? `: hasta ${most} clientes nuevos por día` : ""}${numbers ? ` y ${numbers} números` : ""}.`,
    business_status_update: () => "Cambió el estado de tu empresa en Meta.",
    business_username_update: () => "Cambió el nombre de usuario de tu empresa.",
    business_username_updates: () => "Cambió el nombre de usuario de tu empresa.",
    "phone_number_name_update/APPROVED": ({ name }) =>
      `Meta aprobó el nombre ${name ? `«${name}»` : "de tu número"}: es el que ven tus clientes.`,
    "phone_number_name_update/REJECTED": ({ name, reason }) =>
      `Meta rechazó el nombre ${name ? `«${name}»` : "que pediste"}.${reason ? ` Motivo: ${reason}.` : ""} Pide otro en el Administrador de WhatsApp.`,
    "phone_number_name_update/DECLINED": ({ name, reason }) =>
      `Meta rechazó el nombre ${name ? `«${name}»` : "que pediste"}.${reason ? ` Motivo: ${reason}.` : ""} Pide otro en el Administrador de WhatsApp.`,
    "phone_number_name_update/EXPIRED": ({ name }) =>
      `Venció la aprobación del nombre ${name ? `«${name}»` : "que pediste"}. Pídelo otra vez en el Administrador de WhatsApp.`,
    "phone_number_quality_update/FLAGGED": (facts) =>
      `La calidad ${number(facts)} bajó y Meta lo marcó: tus clientes bloquean o denuncian mensajes. Envía menos marketing por unos días.${limit(facts)}`,
    "phone_number_quality_update/UNFLAGGED": (facts) =>
      `La calidad ${number(facts)} se recuperó: ya no está marcado.${limit(facts)}`,
    "phone_number_quality_update/DOWNGRADE": (facts) => `Meta bajó el límite ${number(facts)}.${limit(facts)}`,
    "phone_number_quality_update/UPGRADE": (facts) => `Meta subió el límite ${number(facts)}.${limit(facts)}`,
    "phone_number_quality_update/ONBOARDING": (facts) => `Meta terminó de dar de alta el envío ${number(facts)}.`,
    "phone_number_quality_update/THROUGHPUT_UPGRADE": (facts) =>
      `Subió la velocidad ${number(facts)}: hasta 1.000 mensajes por segundo.`,
    "security/PIN_CHANGED": (facts) =>
      `Alguien cambió el PIN de dos pasos ${number(facts)}. Si no fuiste tú, cámbialo en el Administrador de WhatsApp.`,
    "security/PIN_RESET_REQUEST": (facts) =>
      `Alguien pidió quitar el PIN de dos pasos ${number(facts)}. Si no fuiste tú, recházalo en el Administrador de WhatsApp.`,
    "security/PIN_RESET_SUCCESS": (facts) =>
      `Se quitó el PIN de dos pasos ${number(facts)}. Si no fuiste tú, pon uno nuevo en el Administrador de WhatsApp.`,
    "message_template_status_update/APPROVED": (facts) => `${template(facts)} quedó aprobada: ya puedes enviarla.`,
    "message_template_status_update/PENDING": (facts) => `${template(facts)} está en revisión.`,
    "message_template_status_update/IN_APPEAL": (facts) => `${template(facts)} está en revisión por tu apelación.`,
    "message_template_status_update/REJECTED": (facts) =>
      `Meta rechazó una plantilla. ${template(facts)} no se puede enviar.${because(facts)}`,
    "message_template_status_update/PAUSED": (facts) =>
      `${template(facts)} está en pausa porque muchos clientes no la quieren.${because(facts)}`,
    "message_template_status_update/FLAGGED": (facts) =>
      `${template(facts)} tiene mala calidad: si no mejora, Meta la desactivará.${because(facts)}`,
    "message_template_status_update/DISABLED": (facts) =>
      `${template(facts)} quedó desactivada y ya no se puede enviar.${because(facts)}`,
    "message_template_status_update/LIMIT_EXCEEDED": () =>
      "Tu cuenta llegó al máximo de plantillas. Borra las que ya no uses.",
    "message_template_status_update/REINSTATED": (facts) => `${template(facts)} se puede enviar otra vez.`,
    "message_template_status_update/PENDING_DELETION": (facts) => `${template(facts)} se está borrando.`,
    "message_template_status_update/DELETED": (facts) => `${template(facts)} se borró.`,
    "message_template_quality_update/QUALITY_GREEN": (facts) => `${template(facts)} tiene ahora calidad alta.`,
    "message_template_quality_update/QUALITY_YELLOW": (facts) => `${template(facts)} tiene ahora calidad media.`,
    "message_template_quality_update/QUALITY_RED": (facts) =>
      `${template(facts)} tiene ahora calidad baja: si sigue así, Meta la pondrá en pausa.`,
    "message_template_quality_update/QUALITY_UNKNOWN": (facts) => `${template(facts)} aún no tiene calificación.`,
    message_template_components_update: (facts) =>
      `Se cambió el texto de una plantilla. ${template(facts)} ya es otra.`,
    template_category_update: (facts) =>
      `${template(facts)} pasa a la categoría ${category(facts.category)}: puede cambiar su precio.`,
    "connection/TOKEN_DEAD": () =>
      "Meta ya no acepta el acceso a tu cuenta. Lo que llega se guarda, pero no puedes enviar hasta reconectar.",
    "connection/TOKEN_NOT_REFRESHED": ({ expires }) =>
      `No pudimos renovar el acceso a tu cuenta${expires ? `, que vence el ${expires}` : ""}. Reconecta antes para no dejar de enviar.`,
    "connection/NUMBER_PAUSED": ({ code }) =>
      `Tu número no puede enviar hasta que lo arregles en Meta${code ? ` (código ${code})` : ""}. Lo que está en cola espera media hora; abre el diagnóstico.`,
    connection: ({ message }) => message ?? "Algo cambió en tu conexión con Meta. Abre el diagnóstico.",
    "event_endpoint/DISABLED": ({ url }) =>
      `Dejamos de avisar a tu sistema${url ? ` en ${url}` : ""}: llevaba casi tres días sin responder.`,
    flows: ({ message }) =>
      `Cambió el estado de un formulario de WhatsApp (Flow).${message ? ` Meta dice: «${message}»` : ""}`,
    "group_status_update/GROUP_SUSPEND": () => "Meta suspendió un grupo tuyo.",
    "group_status_update/GROUP_SUSPEND_CLEARED": () => "Un grupo tuyo ya no está suspendido.",
    group_lifecycle_update: () => "Se creó o se borró un grupo tuyo.",
    group_participant_update: () => "Cambiaron los participantes de un grupo tuyo.",
    group_participants_update: () => "Cambiaron los participantes de un grupo tuyo.",
    group_settings_update: () => "Cambiaron los ajustes de un grupo tuyo.",
    "user_preferences/STOP": () => "Un cliente pidió no recibir más marketing tuyo. Meta ya no se lo entrega.",
    "user_preferences/RESUME": () => "Un cliente volvió a aceptar tu marketing.",
    payment_configuration_update: () => "Cambió una configuración de pagos de tu cuenta.",
    partner_solutions: () => "Cambió una solución compartida entre socios de Meta.",
    calls: () => "Hubo una llamada de WhatsApp con tu número. Las llamadas no se atienden aquí.",
    messaging_handovers: () => "Una conversación pasó de una aplicación a otra.",
    "history/SYNC_PROGRESS": ({ progress }) =>
      `Se está importando el historial de tu teléfono${progress ? `: ${progress} %` : ""}.`,
  } as Readonly<Record<string, Sentence>>,
  metaError: "Meta informó de un error:",
  unknown: "Meta envió un aviso que aún no sabemos explicar:",
};

export type NoticeCatalogue = typeof es;
