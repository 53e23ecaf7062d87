// The connection of an organization's number: one function for each thing that an owner can do.

import type { Api } from "./api";

export type IntegrationStatus = "pending" | "connected" | "disconnected" | "error";
export type CodeMethod = "sms" | "voice" | "whatsapp";
export type ConnectionStep = "begun" | "proven" | "registered" | "subscribed" | "connected";

export interface Verification {
  readonly id: string;
  readonly state: "requested" | "sent" | "verified" | "failed" | "replaced" | "expired";
  readonly phone_number: string;
  readonly method: CodeMethod;
  readonly sender: "meta" | "platform" | null;
  readonly attempts_left: number;
  readonly expires_at: string | null;
  readonly resend_in: number;
}

export interface Integration {
  readonly id: string;
  readonly status: IntegrationStatus;
  readonly way: "credentials" | "embedded_signup" | "number" | null;
  readonly step: ConnectionStep | null;
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
  readonly webhook: {
    readonly state: "waiting" | "receiving" | "off";
    readonly first_event_at: string | null;
    readonly last_event_at: string | null;
    readonly url: string | null;
    readonly verify_token: string | null;
  };
  readonly token: {
    readonly is_valid: boolean;
    readonly expires_at: string | null;
    readonly checked_at: string | null;
  } | null;
  readonly verification: Verification | null;
  readonly pin: string | null;
}

export interface Connection {
  readonly organization_id: string;
  readonly role: "owner" | "agent";
  readonly integration: Integration | null;
}

export interface Credentials {
  readonly phone_number_id: string;
  readonly business_account_id: string;
  readonly access_token: string;
  readonly app_id?: string;
  readonly app_secret?: string;
  readonly pin?: string;
}

export interface CodeRequest {
  readonly phone_number: string;
  readonly country?: string;
  readonly method: CodeMethod;
  readonly display_name?: string;
}

export interface CodeAnswer {
  readonly organization_id: string;
  readonly verification: Verification;
  readonly formatted_phone_number: string;
}

export interface SignupStart {
  readonly state: string;
  readonly authorize_url: string | null;
}

export type DoctorStatus = "ok" | "warning" | "failed" | "skipped";

export interface DoctorCheck {
  readonly id: string;
  readonly status: DoctorStatus;
  readonly cause: string | null;
  readonly message?: string;
  readonly fix?: string;
  readonly help?: string;
}

export interface DoctorReport {
  readonly status: DoctorStatus;
  readonly cause: string | null;
  readonly checks: readonly DoctorCheck[];
}

const OAUTH = "/whatsapp-oauth";
const META = "/whatsapp-meta-api";

export interface WhatsAppIntegrationService {
  /** The connection as it stands. */
  getIntegrationStatus(): Promise<Connection>;
  /** An owner's look at the number's two-step PIN. */
  revealPin(): Promise<string | null>;
  /** Has a code sent to a number that was typed. */
  requestVerificationCode(request: CodeRequest): Promise<CodeAnswer>;
  /** Tries the code, and connects the number. */
  verifyCode(code: string, options?: { readonly verificationId?: string; readonly pin?: string }): Promise<Connection>;
  /** A number of the organization's own Meta app. */
  connectWithCredentials(credentials: Credentials): Promise<Connection>;
  /** Begins Meta's own dialog; the browser goes to `authorize_url` and comes back to `returnPath`. */
  startSignup(options: { readonly coexistence: boolean; readonly returnPath: string }): Promise<SignupStart>;
  /** Finishes Meta's dialog. */
  exchangeSignup(grant: {
    readonly state: string;
    readonly ticket: string;
    readonly phoneNumberId?: string;
  }): Promise<Connection>;
  /** Lets the number go; the chats stay. */
  disconnectWhatsApp(options?: { readonly deregister?: boolean }): Promise<void>;
  /** Brings back a number that was let go, where that is possible without new credentials. */
  reconnectWhatsApp(): Promise<Connection>;
  /** The doctor: every check of the chain, each with its fix. */
  getDiagnostics(): Promise<DoctorReport>;
}

export function createWhatsAppIntegration(api: Api, organizationId: string): WhatsAppIntegrationService {
  const organization = { organization_id: organizationId };
  const post = <T>(path: string, body: object = {}) => api.post<T>(path, { ...organization, ...body });
  return {
    getIntegrationStatus: () => api.get<Connection>(`${OAUTH}/status`, organization),
    revealPin: async () =>
      (await api.get<Connection>(`${OAUTH}/status`, { ...organization, reveal: "pin" })).integration?.pin ?? null,
    requestVerificationCode: (request) => post<CodeAnswer>(`${OAUTH}/request-code`, request),
    verifyCode: (code, { verificationId, pin } = {}) =>
      post<Connection>(`${OAUTH}/verify-code`, {
        code,
        ...(verificationId ? { verification_id: verificationId } : {}),
        ...(pin ? { pin } : {}),
      }),
    connectWithCredentials: (credentials) => post<Connection>(`${OAUTH}/credentials`, credentials),
    startSignup: ({ coexistence, returnPath }) =>
      post<SignupStart>(`${OAUTH}/start`, { flow: "redirect", coexistence, return_path: returnPath }),
    exchangeSignup: ({ state, ticket, phoneNumberId }) =>
      post<Connection>(`${OAUTH}/exchange`, {
        state,
        ticket,
        ...(phoneNumberId ? { phone_number_id: phoneNumberId } : {}),
      }),
    disconnectWhatsApp: async ({ deregister = false } = {}) => {
      await post(`${OAUTH}/disconnect`, { deregister });
    },
    reconnectWhatsApp: () => post<Connection>(`${OAUTH}/reconnect`),
    getDiagnostics: () => api.get<DoctorReport>(`${META}/diagnostics`, organization),
  };
}
