// The parts of supabase-js that the pages use, by themselves: the umbrella would bring storage and functions along,
// and Realtime at once. A host product passes its own `createClient(…)` instead: it fits `SupabaseClient` below.

import { GoTrueClient } from "@supabase/auth-js";
import { PostgrestClient } from "@supabase/postgrest-js";
import type { RealtimeChannel, RealtimeClient } from "@supabase/realtime-js";

import type { Config } from "./config";

export interface SupabaseClient {
  readonly auth: Pick<
    GoTrueClient,
    | "getSession"
    | "getUser"
    | "setSession"
    | "onAuthStateChange"
    | "signInWithPassword"
    | "signInWithOtp"
    | "signUp"
    | "signOut"
    | "resetPasswordForEmail"
    | "updateUser"
  >;
  from(table: string): ReturnType<PostgrestClient["from"]>;
  rpc(name: string, args?: Record<string, unknown>): ReturnType<PostgrestClient["rpc"]>;
  channel(name: string): RealtimeChannel | Promise<RealtimeChannel>;
  removeChannel(channel: RealtimeChannel): Promise<unknown>;
}

export function createSupabaseClient({ supabaseUrl, supabaseKey }: Config): SupabaseClient {
  const auth = new GoTrueClient({
    url: `${supabaseUrl}/auth/v1`,
    headers: { apikey: supabaseKey },
    storageKey: "whatsapp-dashboard-session",
    flowType: "implicit",
    // Whoever writes an address could sign its reader in as anybody: only the page for it takes one (mailLink.ts).
    detectSessionInUrl: false,
  });
  const tokenOf = async () => (await auth.getSession()).data.session?.access_token ?? null;
  const rest = new PostgrestClient(`${supabaseUrl}/rest/v1`, {
    fetch: async (input, init) => {
      const headers = new Headers(init?.headers);
      headers.set("apikey", supabaseKey);
      const token = await tokenOf();
      if (token) headers.set("Authorization", `Bearer ${token}`);
      return fetch(input, { ...init, headers });
    },
  });
  let realtime: Promise<RealtimeClient> | null = null;
  const openRealtime = async () => {
    const { RealtimeClient } = await import("@supabase/realtime-js");
    return new RealtimeClient(`${supabaseUrl.replace(/^http/, "ws")}/realtime/v1`, {
      params: { apikey: supabaseKey },
      accessToken: tokenOf,
    });
  };
  return {
    auth,
    from: (table) => rest.from(table),
    rpc: (name, args) => rest.rpc(name, args),
    channel: async (name) => (await (realtime ??= openRealtime())).channel(name),
    removeChannel: (channel) => channel.unsubscribe(),
  };
}
