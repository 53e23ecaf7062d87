// What Meta's news mean, in English.

import type { Facts } from "../../features/integration/api/notices";
import type { NoticeCatalogue } from "./es";

const template = ({ template: name, language }: Facts) =>
  name ? `The template “${name}”${language ? ` (${language})` : ""}` : "A template";
const number = ({ number: shown }: Facts) => (shown ? `of the number ${shown}` : "of your number");
const because = ({ reason }: Facts) => (reason ? ` Reason: ${reason}.` : "");
const category = (name: string | null) => (name ? name.toLowerCase() : "another");
const limits: Readonly<Record<string, string>> = {
  TIER_50: "50",
  TIER_250: "250",
  TIER_1K: "1,000",
  TIER_2K: "2,000",
  TIER_10K: "10,000",
  TIER_100K: "100,000",
};
const limit = ({ limit: tier }: Facts) =>
  !tier
    ? ""
    : tier === "TIER_UNLIMITED"
      ? " There is no limit of new customers a day any more."
      : ` Limit now: ${limits[tier] ?? tier} new customers a day.`;
const rejectedName = ({ name, reason }: Facts) =>
  `Meta rejected the name ${name ? `“${name}”` : "you asked for"}.${reason ? ` Reason: ${reason}.` : ""} Ask for another one in WhatsApp Manager.`;

export const en: NoticeCatalogue = {
  sentences: {
    "account_update/ACCOUNT_DELETED": () =>
      "Meta deleted your WhatsApp Business account. You can no longer send or receive; look into WhatsApp Manager.",
    "account_update/ACCOUNT_OFFBOARDED": () => "Your account left the WhatsApp API. Connect the number again to go on.",
    "account_update/ACCOUNT_RECONNECTED": () => "Your account is back on the WhatsApp API.",
    "account_update/ACCOUNT_RESTRICTION": (facts) =>
      `Meta restricted your WhatsApp Business account.${because(facts)} WhatsApp Manager shows what is limited and until when.`,
    "account_update/ACCOUNT_VIOLATION": (facts) =>
      `Meta says that your account breaks its policies.${because(facts)} If you disagree, ask for a review in WhatsApp Manager.`,
    "account_update/DISABLED_UPDATE": ({ decision }) =>
      decision === "REINSTATE"
        ? "Meta reinstated your WhatsApp Business account."
        : decision === "SCHEDULE_FOR_DISABLE"
          ? "Meta is going to disable your WhatsApp Business account. Ask for a review in WhatsApp Manager before that day."
          : "Meta disabled your WhatsApp Business account. Ask for a review in WhatsApp Manager.",
    "account_update/PARTNER_ADDED": () => "Your account was linked with this platform.",
    "account_update/PARTNER_REMOVED": (facts) =>
      `Your account is no longer linked with this platform.${because(facts)} Connect the number again to go on sending.`,
    "account_update/PARTNER_APP_INSTALLED": () => "Our app was installed in your account.",
    "account_update/PARTNER_APP_UNINSTALLED": () =>
      "Our app was removed from your account: we no longer receive your messages. Connect the number again.",
    "account_update/VERIFIED_ACCOUNT": () => "Meta verified your account.",
    "account_update/AD_ACCOUNT_LINKED": () => "An ad account was linked with your WhatsApp account.",
    "account_update/MM_LITE_TERMS_SIGNED": () => "The terms of the marketing messages API were accepted.",
    "account_update/AUTH_INTL_PRICE_ELIGIBILITY_UPDATE": () =>
      "The price of your international authentication messages changed. See WhatsApp Manager.",
    "account_update/BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE": () => "Your business's main country changed at Meta.",
    "account_update/PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE": () =>
      "The certification of your account has another state. See WhatsApp Manager.",
    "account_update/VOLUME_BASED_PRICING_TIER_UPDATE": () => "Your account moved to another volume price tier.",
    account_alerts: ({ message }) =>
      `Meta has an alert about your account.${message ? ` It says: “${message}”` : ""} Open it in WhatsApp Manager.`,
    "account_review_update/APPROVED": () => "Meta reviewed your account and approved it.",
    "account_review_update/REJECTED": () =>
      "Meta reviewed your account and rejected it. Ask for another review in WhatsApp Manager.",
    "account_review_update/PENDING": () => "Meta is reviewing your account.",
    "account_review_update/DEFERRED": () => "Meta put off the review of your account.",
    account_settings_update: () => "A setting of your WhatsApp Business account changed.",
    business_capability_update: ({ limit: most, numbers }) =>
      `What your account may do changed${most ? `: up to ${most} new customers a day` : ""}${numbers ? ` and ${numbers} numbers` : ""}.`,
    business_status_update: () => "The state of your business at Meta changed.",
    business_username_update: () => "Your business's username changed.",
    business_username_updates: () => "Your business's username changed.",
    "phone_number_name_update/APPROVED": ({ name }) =>
      `Meta approved the name ${name ? `“${name}”` : "of your number"}: your customers see it.`,
    "phone_number_name_update/REJECTED": rejectedName,
    "phone_number_name_update/DECLINED": rejectedName,
    "phone_number_name_update/EXPIRED": ({ name }) =>
      `The approval of the name ${name ? `“${name}”` : "you asked for"} expired. Ask for it again in WhatsApp Manager.`,
    "phone_number_quality_update/FLAGGED": (facts) =>
      `The quality ${number(facts)} dropped and Meta flagged it: customers block or report messages. Send less marketing for some days.${limit(facts)}`,
    "phone_number_quality_update/UNFLAGGED": (facts) =>
      `The quality ${number(facts)} recovered: it is no longer flagged.${limit(facts)}`,
    "phone_number_quality_update/DOWNGRADE": (facts) => `Meta lowered the limit ${number(facts)}.${limit(facts)}`,
    "phone_number_quality_update/UPGRADE": (facts) => `Meta raised the limit ${number(facts)}.${limit(facts)}`,
    "phone_number_quality_update/ONBOARDING": (facts) => `Meta finished setting up the sending ${number(facts)}.`,
    "phone_number_quality_update/THROUGHPUT_UPGRADE": (facts) =>
      `The speed ${number(facts)} rose: up to 1,000 messages a second.`,
    "security/PIN_CHANGED": (facts) =>
      `Somebody changed the two-step PIN ${number(facts)}. If it was not you, change it in WhatsApp Manager.`,
    "security/PIN_RESET_REQUEST": (facts) =>
      `Somebody asked to remove the two-step PIN ${number(facts)}. If it was not you, refuse it in WhatsApp Manager.`,
    "security/PIN_RESET_SUCCESS": (facts) =>
      `The two-step PIN ${number(facts)} was removed. If it was not you, set a new one in WhatsApp Manager.`,
    "message_template_status_update/APPROVED": (facts) => `${template(facts)} was approved: you can send it now.`,
    "message_template_status_update/PENDING": (facts) => `${template(facts)} is being reviewed.`,
    "message_template_status_update/IN_APPEAL": (facts) => `${template(facts)} is being reviewed after your appeal.`,
    "message_template_status_update/REJECTED": (facts) =>
      `Meta rejected a template. ${template(facts)} cannot be sent.${because(facts)}`,
    "message_template_status_update/PAUSED": (facts) =>
      `${template(facts)} is paused because many customers do not want it.${because(facts)}`,
    "message_template_status_update/FLAGGED": (facts) =>
      `${template(facts)} is of low quality: unless it improves, Meta will disable it.${because(facts)}`,
    "message_template_status_update/DISABLED": (facts) =>
      `${template(facts)} was disabled and can no longer be sent.${because(facts)}`,
    "message_template_status_update/LIMIT_EXCEEDED": () =>
      "Your account has as many templates as it may. Delete those that you no longer use.",
    "message_template_status_update/REINSTATED": (facts) => `${template(facts)} can be sent again.`,
    "message_template_status_update/PENDING_DELETION": (facts) => `${template(facts)} is being deleted.`,
    "message_template_status_update/DELETED": (facts) => `${template(facts)} was deleted.`,
    "message_template_quality_update/QUALITY_GREEN": (facts) => `${template(facts)} is now of high quality.`,
    "message_template_quality_update/QUALITY_YELLOW": (facts) => `${template(facts)} is now of medium quality.`,
    "message_template_quality_update/QUALITY_RED": (facts) =>
      `${template(facts)} is now of low quality: if it stays so, Meta will pause it.`,
    "message_template_quality_update/QUALITY_UNKNOWN": (facts) => `${template(facts)} is not rated yet.`,
    message_template_components_update: (facts) =>
      `The text of a template was changed. ${template(facts)} is another now.`,
    template_category_update: (facts) =>
      `${template(facts)} moves to the category ${category(facts.category)}: its price may change.`,
    "connection/TOKEN_DEAD": () =>
      "Meta no longer accepts the access to your account. What arrives is kept, but you cannot send until you reconnect.",
    "connection/TOKEN_NOT_REFRESHED": ({ expires }) =>
      `We could not renew the access to your account${expires ? `, which ends on ${expires}` : ""}. Reconnect before, to go on sending.`,
    "connection/NUMBER_PAUSED": ({ code }) =>
      `Your number cannot send until you put it in order at Meta${code ? ` (code ${code})` : ""}. What is queued waits for half an hour; open the check-up.`,
    connection: () => "Something about your connection with Meta changed. Open the check-up.",
    "event_endpoint/DISABLED": ({ url }) =>
      `We stopped telling your system${url ? ` at ${url}` : ""}: it had not answered for nearly three days.`,
    flows: ({ message }) => `A WhatsApp form (Flow) has another state.${message ? ` Meta says: “${message}”` : ""}`,
    "group_status_update/GROUP_SUSPEND": () => "Meta suspended a group of yours.",
    "group_status_update/GROUP_SUSPEND_CLEARED": () => "A group of yours is no longer suspended.",
    group_lifecycle_update: () => "A group of yours was made or deleted.",
    group_participant_update: () => "The participants of a group of yours changed.",
    group_participants_update: () => "The participants of a group of yours changed.",
    group_settings_update: () => "The settings of a group of yours changed.",
    "user_preferences/STOP": () =>
      "A customer asked for no more marketing from you. Meta no longer delivers it to them.",
    "user_preferences/RESUME": () => "A customer accepts your marketing again.",
    payment_configuration_update: () => "A payment configuration of your account changed.",
    partner_solutions: () => "A solution that Meta partners share changed.",
    calls: () => "There was a WhatsApp call with your number. Calls are not taken here.",
    messaging_handovers: () => "A conversation moved from one application to another.",
    "history/SYNC_PROGRESS": ({ progress }) =>
      `The history of your phone is being imported${progress ? `: ${progress} %` : ""}.`,
  },
  metaError: "Meta reported an error:",
  unknown: "Meta sent news that we cannot explain yet:",
};
