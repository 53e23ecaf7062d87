// Written by `python -m local.catalogue` from docs/openapi.json; not by hand.

export interface Check {
  readonly id: string;
  readonly status: "ok" | "warning" | "failed" | "skipped";
  readonly cause: string | null;
  readonly message: string | null;
  readonly fix: string | null;
  readonly help: string | null;
}

export interface ConnectionAnswer {
  readonly organization_id: string;
  readonly role: "owner" | "agent";
  readonly integration: IntegrationView | null;
}

export interface CredentialsBody {
  readonly organization_id?: string | null;
  readonly pin?: string | null;
  readonly override_callback?: boolean;
  readonly phone_number_id: string;
  readonly business_account_id: string;
  readonly access_token: string;
  readonly app_id?: string | null;
  readonly app_secret?: string | null;
}

export interface DiagnosticsAnswer {
  readonly status: "ok" | "warning" | "failed";
  readonly cause: string | null;
  readonly checks: readonly (Check)[];
}

export interface DisconnectBody {
  readonly organization_id?: string | null;
  readonly deregister?: boolean;
}

export interface ExchangeBody {
  readonly organization_id?: string | null;
  readonly pin?: string | null;
  readonly override_callback?: boolean;
  readonly state: string;
  readonly code?: string | null;
  readonly ticket?: string | null;
  readonly waba_id?: string | null;
  readonly phone_number_id?: string | null;
}

export interface IntegrationView {
  readonly id: string;
  readonly status: "pending" | "connected" | "disconnected" | "error";
  readonly way: "credentials" | "embedded_signup" | "number" | null;
  readonly step: "begun" | "proven" | "registered" | "subscribed" | "connected" | null;
  readonly phone_number: string | null;
  readonly formatted_phone_number: string | null;
  readonly phone_number_id: string | null;
  readonly business_account_id: string | null;
  readonly app_id: string | null;
  readonly display_name: string | null;
  readonly quality_rating: string | null;
  readonly messaging_limit: string | null;
  readonly throughput: number;
  readonly is_coexistence: boolean;
  readonly has_own_app: boolean;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly verified_at: string | null;
  readonly connected_at: string | null;
  readonly disconnected_at: string | null;
  readonly last_sync_at: string | null;
  readonly webhook: WebhookView;
  readonly token: TokenView | null;
  readonly verification: VerificationView | null;
  readonly pin: string | null;
}

export interface MessageView {
  readonly id: string;
  readonly organization_id: string;
  readonly chat_id: string;
  readonly contact_id: string | null;
  readonly batch_id: string | null;
  readonly wamid: string | null;
  readonly direction: "inbound" | "outbound";
  readonly type: string;
  readonly text: string | null;
  readonly content: Readonly<Record<string, unknown>>;
  readonly reply_to_wamid: string | null;
  readonly target_wamid: string | null;
  readonly status: string | null;
  readonly error_code: number | null;
  readonly error_subcode: number | null;
  readonly sent_by: string | null;
  readonly occurred_at: string;
  readonly created_at: string;
  readonly retry_at: string | null;
}

export interface ReadBody {
  readonly organization_id?: string | null;
  readonly chat_id?: string | null;
  readonly message_id?: string | null;
  readonly wamid?: string | null;
  readonly typing?: boolean;
}

export interface RequestCodeBody {
  readonly organization_id?: string | null;
  readonly phone_number: string;
  readonly country?: string | null;
  readonly method?: "sms" | "voice" | "whatsapp";
  readonly display_name?: string | null;
}

export interface RetryBody {
  readonly organization_id?: string | null;
  readonly message_id: string;
}

export interface StartAnswer {
  readonly organization_id: string;
  readonly state: string;
  readonly expires_at: string;
  readonly app_id: string;
  readonly config_id: string;
  readonly graph_api_version: string;
  readonly login_options: Readonly<Record<string, unknown>>;
  readonly authorize_url: string | null;
}

export interface StartBody {
  readonly organization_id?: string | null;
  readonly flow?: "popup" | "redirect";
  readonly coexistence?: boolean;
  readonly return_path?: string;
}

export interface TemplateView {
  readonly id: string;
  readonly name: string | null;
  readonly language: string | null;
  readonly category: string | null;
  readonly status: string | null;
  readonly components: readonly (Readonly<Record<string, unknown>>)[];
  readonly rejected_reason: string | null;
  readonly quality_score: Readonly<Record<string, unknown>> | null;
}

export interface TemplatesAnswer {
  readonly templates: readonly (TemplateView)[];
  readonly after: string | null;
}

export interface TokenView {
  readonly is_valid: boolean;
  readonly expires_at: string | null;
  readonly checked_at: string | null;
}

export interface VerificationAnswer {
  readonly organization_id: string;
  readonly verification: VerificationView;
  readonly formatted_phone_number: string;
}

export interface VerificationView {
  readonly id: string;
  readonly state: "requested" | "sent" | "verified" | "failed" | "replaced" | "expired";
  readonly phone_number: string;
  readonly method: "sms" | "voice" | "whatsapp";
  readonly sender: "meta" | "platform" | null;
  readonly attempts_left: number;
  readonly expires_at: string | null;
  readonly resend_in: number;
}

export interface VerifyCodeBody {
  readonly organization_id?: string | null;
  readonly pin?: string | null;
  readonly override_callback?: boolean;
  readonly code: string;
  readonly verification_id?: string | null;
}

export interface WebhookView {
  readonly state: "waiting" | "receiving" | "off";
  readonly first_event_at: string | null;
  readonly last_event_at: string | null;
  readonly url: string | null;
  readonly verify_token: string | null;
}
