// Who is signed in, for which organization, and the services that act for them. Every page begins here.

import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";

import { readConfig, type Config } from "../../config";
import { useText } from "../../i18n";
import { asApiError, createApi, type Api, type ApiError } from "../../services/api";
import { createWhatsAppIntegration, type WhatsAppIntegrationService } from "../../services/whatsapp-integration";
import { createWhatsAppMessages, type WhatsAppMessagesService } from "../../services/whatsapp-messages";
import { createSupabaseClient, type SupabaseClient } from "../../supabase";
import { ErrorNotice } from "../../components/Notice";
import { findMemberships, findMyInvitations, type Membership, type MyInvitation } from "./api/memberships";
import { NewOrganization } from "./components/NewOrganization";

export interface SignedIn {
  readonly config: Config;
  readonly supabase: SupabaseClient;
  readonly api: Api;
  readonly user: { readonly id: string; readonly email: string };
  readonly organization: Membership;
  readonly memberships: readonly Membership[];
  readonly invitations: readonly MyInvitation[];
  readonly integration: WhatsAppIntegrationService;
  readonly messages: WhatsAppMessagesService;
  readonly chooseOrganization: (id: string) => void;
  /** Looks anew at memberships and invitations. */
  readonly reload: () => Promise<void>;
}

const SessionContext = createContext<SignedIn | null>(null);
const CHOICE = "organization";

export function useSession(): SignedIn {
  const session = useContext(SessionContext);
  if (!session) throw new Error("useSession needs a SessionProvider above it.");
  return session;
}

interface ProviderProps {
  readonly children: ReactNode;
  /** A host product passes its own configuration and Supabase client. */
  readonly config?: Config;
  readonly supabase?: SupabaseClient;
  /** Where people sign in; a host product has its own place. */
  readonly signInPath?: string;
}

export function SessionProvider({
  children,
  config: givenConfig,
  supabase: givenClient,
  signInPath = "/entrar/",
}: ProviderProps) {
  const words = useText();
  const [config] = useState(() => givenConfig ?? readConfig());
  const [supabase] = useState(() => givenClient ?? createSupabaseClient(config));
  const [user, setUser] = useState<SignedIn["user"] | null>(null);
  const [memberships, setMemberships] = useState<readonly Membership[] | null>(null);
  const [invitations, setInvitations] = useState<readonly MyInvitation[]>([]);
  const [chosen, setChosen] = useState(readChoice);
  const [error, setError] = useState<ApiError | null>(null);

  useEffect(() => {
    const { data } = supabase.auth.onAuthStateChange((_event, session) => {
      if (session) {
        restoreFragment();
        const { id, email = "" } = session.user;
        setUser((before) => (before?.id === id ? before : { id, email }));
      } else {
        keepFragment();
        location.replace(`${signInPath}?next=${encodeURIComponent(location.pathname)}`);
      }
    });
    return () => data.subscription.unsubscribe();
  }, [supabase, signInPath]);

  const load = useMemo(
    () => async (of: { id: string }) => {
      setError(null);
      try {
        const [found, asked] = await Promise.all([findMemberships(supabase, of.id), findMyInvitations(supabase)]);
        setInvitations(asked);
        setMemberships(found);
      } catch (failure) {
        setError(asApiError(failure));
      }
    },
    [supabase],
  );
  useEffect(() => {
    if (user) void load(user);
  }, [user, load]);

  const organization = memberships?.find(({ id }) => id === chosen) ?? memberships?.[0];
  const session = useMemo<SignedIn | null>(() => {
    if (!user || !memberships || !organization) return null;
    const api = createApi(config, supabase);
    return {
      config,
      supabase,
      api,
      user,
      organization,
      memberships,
      invitations,
      integration: createWhatsAppIntegration(api, organization.id),
      messages: createWhatsAppMessages(api, organization.id),
      chooseOrganization: (id) => {
        keepChoice(id);
        setChosen(id);
      },
      reload: () => load(user),
    };
  }, [config, supabase, user, memberships, invitations, organization, load]);

  if (error && user) {
    return (
      <main className="centered">
        <ErrorNotice error={error} onRetry={() => void load(user)} />
      </main>
    );
  }
  if (user && memberships?.length === 0) {
    return <NewOrganization supabase={supabase} user={user} invitations={invitations} onChanged={() => load(user)} />;
  }
  if (!session) {
    return (
      <main className="centered" aria-busy="true">
        <span className="spinner" aria-hidden="true" />
        <span className="visually-hidden">{words.common.loading}</span>
      </main>
    );
  }
  return <SessionContext value={session}>{children}</SessionContext>;
}

// What Meta's dialog sent back is in the fragment: it waits here while somebody signs in, and reaches no server's log.
const FRAGMENT = "fragment";

function keepFragment(): void {
  try {
    sessionStorage.setItem(FRAGMENT, JSON.stringify([location.pathname, location.hash]));
  } catch {
    // The page then opens without it.
  }
}

function restoreFragment(): void {
  try {
    const [path, hash] = JSON.parse(sessionStorage.getItem(FRAGMENT) ?? "[]") as string[];
    sessionStorage.removeItem(FRAGMENT);
    if (hash && path === location.pathname && !location.hash) history.replaceState(null, "", hash);
  } catch {
    // As above.
  }
}

function readChoice(): string | null {
  try {
    return localStorage.getItem(CHOICE);
  } catch {
    return null;
  }
}

function keepChoice(id: string): void {
  try {
    localStorage.setItem(CHOICE, id);
  } catch {
    // The choice then lasts as long as the page.
  }
}
