// One way to the functions, and one kind of error: a code for programs, a sentence for the person, a way out.

import { language, text } from "../i18n";
import type { Config } from "../config";
import type { SupabaseClient } from "../supabase";

export interface ErrorDetail {
  readonly field?: string;
  readonly rule?: string;
  readonly message?: string;
  readonly [name: string]: unknown;
}

interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly help: string;
  readonly details?: readonly ErrorDetail[];
  readonly retry_after?: number;
  readonly attempts_left?: number;
  readonly meta?: Readonly<Record<string, unknown>>;
}

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: string;
  readonly isRetryable: boolean;
  readonly help: string;
  readonly details: readonly ErrorDetail[];
  readonly retryAfter: number | null;
  readonly status: number;
  readonly requestId: string | null;
  /** The answer's other fields: a refused message comes with its row. */
  readonly body: Readonly<Record<string, unknown>>;

  constructor(
    error: Partial<ErrorBody> & { code: string; message: string },
    {
      status = 0,
      requestId = null,
      body = {},
    }: { status?: number; requestId?: string | null; body?: Record<string, unknown> } = {},
  ) {
    super(error.message);
    this.code = error.code;
    this.isRetryable = error.retryable ?? false;
    this.help = error.help ?? error.code;
    this.details = error.details ?? [];
    this.retryAfter = error.retry_after ?? null;
    this.status = status;
    this.requestId = requestId;
    this.body = body;
  }

  /** What the person can do about it, in their language; null where the sentence says it all. */
  get wayOut(): string | null {
    return text().errors.wayOut[this.code] ?? null;
  }

  /** The sentence for a field of a form. */
  detailOf(field: string): string | null {
    return this.details.find((detail) => detail.field === field)?.message ?? null;
  }
}

export interface Api {
  get<T>(path: string, query?: Readonly<Record<string, string | undefined>>): Promise<T>;
  post<T>(path: string, body: object, options?: { readonly idempotencyKey?: string }): Promise<T>;
  /** The raw answer, for bytes. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
}

const PATIENCE = 45_000;

export function createApi(config: Config, supabase: SupabaseClient): Api {
  const call = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const { data } = await supabase.auth.getSession();
    const headers = new Headers(init.headers);
    headers.set("Accept-Language", language());
    if (data.session) headers.set("Authorization", `Bearer ${data.session.access_token}`);
    let response: Response;
    try {
      response = await fetch(`${config.functionsUrl}${path}`, {
        ...init,
        headers,
        signal: init.signal ?? AbortSignal.timeout(PATIENCE),
      });
    } catch {
      throw toNetworkError();
    }
    if (!response.ok) throw await toApiError(response);
    return response;
  };
  const read = async <T>(response: Response): Promise<T> => {
    try {
      return (await response.json()) as T;
    } catch {
      throw toNetworkError();
    }
  };
  return {
    fetch: call,
    async get<T>(path: string, query: Readonly<Record<string, string | undefined>> = {}) {
      const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
      const suffix = given.length > 0 ? `?${new URLSearchParams(given).toString()}` : "";
      return read<T>(await call(`${path}${suffix}`));
    },
    async post<T>(path: string, body: object, { idempotencyKey }: { readonly idempotencyKey?: string } = {}) {
      const headers = new Headers({ "Content-Type": "application/json" });
      if (idempotencyKey) headers.set("Idempotency-Key", idempotencyKey);
      return read<T>(await call(path, { method: "POST", headers, body: JSON.stringify(body) }));
    },
  };
}

export function toNetworkError(): ApiError {
  const code = navigator.onLine ? "unreachable" : "offline";
  return new ApiError({ code, message: text().errors[code], retryable: true });
}

/** Any failure as an error that can be shown. */
export function asApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (isPostgrestError(error)) {
    const isSession = error.code === "PGRST301" || error.code === "PGRST303";
    if (isSession) return new ApiError({ code: "invalid_token", message: text().errors.unexpected });
    if (/fetch|network/i.test(error.message)) return toNetworkError();
  }
  if (error instanceof TypeError && /fetch|network/i.test(error.message)) return toNetworkError();
  return new ApiError({ code: "unexpected", message: text().errors.unexpected, retryable: true });
}

function isPostgrestError(error: unknown): error is { code: string; message: string } {
  return typeof error === "object" && error !== null && "code" in error && "message" in error;
}

async function toApiError(response: Response): Promise<ApiError> {
  const known = { status: response.status, requestId: response.headers.get("x-request-id") };
  try {
    const body = (await response.json()) as Record<string, unknown> & { error: ErrorBody };
    return new ApiError(body.error, { ...known, body });
  } catch {
    // A proxy's page, not an answer of ours.
    return new ApiError({ code: "unreachable", message: text().errors.unreachable, retryable: true }, known);
  }
}
