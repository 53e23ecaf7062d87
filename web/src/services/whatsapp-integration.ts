// The connection of an organization's number: one function for each thing that an owner can do.

import type {
  Check,
  ConnectionAnswer,
  CredentialsBody,
  DiagnosticsAnswer,
  DisconnectBody,
  ExchangeBody,
  IntegrationView,
  RequestCodeBody,
  StartAnswer,
  StartBody,
  VerificationAnswer,
  VerificationView,
  VerifyCodeBody,
} from "../generated/api";
import type { Api } from "./api";

export type Connection = ConnectionAnswer;
export type Integration = IntegrationView;
export type IntegrationStatus = Integration["status"];
export type ConnectionStep = NonNullable<Integration["step"]>;
export type Verification = VerificationView;
export type CodeMethod = Verification["method"];
export type CodeRequest = Omit<RequestCodeBody, "organization_id">;
export type CodeAnswer = VerificationAnswer;
export type Credentials = Omit<CredentialsBody, "organization_id">;
export type SignupStart = StartAnswer;
export type DoctorReport = DiagnosticsAnswer;
export type DoctorCheck = Check;
export type DoctorStatus = Check["status"];

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
      } satisfies VerifyCodeBody),
    connectWithCredentials: (credentials) => post<Connection>(`${OAUTH}/credentials`, credentials),
    startSignup: ({ coexistence, returnPath }) =>
      post<SignupStart>(`${OAUTH}/start`, {
        flow: "redirect",
        coexistence,
        return_path: returnPath,
      } satisfies StartBody),
    exchangeSignup: ({ state, ticket, phoneNumberId }) =>
      post<Connection>(`${OAUTH}/exchange`, {
        state,
        ticket,
        ...(phoneNumberId ? { phone_number_id: phoneNumberId } : {}),
      } satisfies ExchangeBody),
    disconnectWhatsApp: async ({ deregister = false } = {}) => {
      await post(`${OAUTH}/disconnect`, { deregister } satisfies DisconnectBody);
    },
    reconnectWhatsApp: () => post<Connection>(`${OAUTH}/reconnect`),
    getDiagnostics: () => api.get<DoctorReport>(`${META}/diagnostics`, organization),
  };
}
