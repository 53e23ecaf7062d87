// What Meta told about the account, its numbers and templates: read page by page, and looked at for more.

import { useCallback, useEffect, useRef, useState } from "react";

import { dayOf, toDate } from "../../../components/times";
import type { Language } from "../../../i18n";
import { asApiError, type ApiError } from "../../../services/api";
import { useSession } from "../../session/Session";

export type Severity = "info" | "warning" | "critical";

export interface NoticeRow {
  readonly id: string;
  readonly field: string;
  readonly event: string | null;
  readonly severity: Severity;
  readonly content: Readonly<Record<string, unknown>>;
  readonly occurred_at: string;
  readonly created_at: string;
}

/** What a sentence may name. Meta's content is read with care: nothing about its form is certain. */
export interface Facts {
  readonly number: string | null;
  readonly name: string | null;
  readonly template: string | null;
  readonly language: string | null;
  readonly category: string | null;
  readonly reason: string | null;
  readonly limit: string | null;
  readonly numbers: string | null;
  readonly decision: string | null;
  readonly message: string | null;
  readonly expires: string | null;
  readonly url: string | null;
  readonly progress: string | null;
  readonly code: string | null;
}

const COLUMNS = "id,field,event,severity,content,occurred_at,created_at";
const PAGE = 8;
const EVERY = 10_000;
const NONE: { readonly rows: readonly NoticeRow[] | null; readonly hasMore: boolean } = { rows: null, hasMore: false };

export function factsOf({ content }: NoticeRow, language: Language): Facts {
  const text = (value: unknown) =>
    typeof value === "string" && value !== "" && value.toUpperCase() !== "NONE"
      ? value
      : typeof value === "number"
        ? String(value)
        : null;
  const within = (name: string) => {
    const found = content[name];
    return typeof found === "object" && found !== null ? (found as Readonly<Record<string, unknown>>) : {};
  };
  const digits = text(content["display_phone_number"]) ?? text(content["phone_number"]);
  const expires = text(content["expires_at"]);
  return {
    number: digits && (digits.startsWith("+") ? digits : `+${digits}`),
    name: text(content["requested_verified_name"]),
    template: text(content["message_template_name"]),
    language: text(content["message_template_language"]),
    category: text(content["new_category"]) ?? text(content["correct_category"]),
    reason:
      text(content["reason"]) ??
      text(content["rejection_reason"]) ??
      text(within("rejection_info")["reason"]) ??
      text(within("other_info")["description"]) ??
      text(within("violation_info")["violation_type"]) ??
      text(within("disconnection_info")["reason"]),
    limit:
      text(content["current_limit"]) ??
      text(content["max_daily_conversations_per_business"]) ??
      text(content["max_daily_conversation_per_phone"]),
    numbers: text(content["max_phone_numbers_per_waba"]) ?? text(content["max_phone_numbers_per_business"]),
    decision: text(within("ban_info")["waba_ban_state"]) ?? text(content["decision"]),
    message: text(content["message"]) ?? text(within("alert_info")["alert_description"]),
    expires: expires && dayOf(toDate(expires), language),
    url: text(content["url"]),
    progress: text(content["progress"]),
    code: text(content["code"]),
  };
}

export interface NoticesState {
  readonly rows: readonly NoticeRow[] | null;
  readonly hasMore: boolean;
  readonly error: ApiError | null;
  readonly isLoading: boolean;
  readonly loadMore: () => Promise<void>;
  readonly reload: () => Promise<void>;
  readonly isUnread: (row: NoticeRow) => boolean;
  readonly markAllRead: () => void;
}

export function useNotices(): NoticesState {
  const { supabase, organization, user } = useSession();
  const [{ rows, hasMore }, setShown] = useState(NONE);
  const [error, setError] = useState<ApiError | null>(null);
  const [isLoading, setIsLoading] = useState(false);
  const key = `notices:${user.id}:${organization.id}`;
  const [seen, setSeen] = useState(() => readSeen(key));
  const isBusy = useRef(false);
  const query = useCallback(
    () =>
      supabase
        .from("notices")
        .select(COLUMNS)
        .eq("organization_id", organization.id)
        .order("occurred_at", { ascending: false })
        .order("id", { ascending: false })
        .limit(PAGE),
    [supabase, organization.id],
  );
  const load = useCallback(
    async (edge: NoticeRow | undefined) => {
      if (isBusy.current) return;
      isBusy.current = true;
      setIsLoading(true);
      try {
        let asks = query();
        if (edge) {
          asks = asks
            .lte("occurred_at", edge.occurred_at)
            .or(`occurred_at.lt."${edge.occurred_at}",and(occurred_at.eq."${edge.occurred_at}",id.lt.${edge.id})`);
        }
        const { data, error: failure } = await asks;
        if (failure) throw failure;
        const page = data as unknown as readonly NoticeRow[];
        setError(null);
        const isFull = page.length === PAGE;
        setShown((before) => {
          if (edge) return { rows: [...(before.rows ?? []), ...page], hasMore: isFull };
          // What was read further down stays, if it still joins what is new.
          const joint = before.rows?.findIndex((row) => row.id === page.at(-1)?.id) ?? -1;
          if (joint < 0) return { rows: page, hasMore: isFull };
          return { ...before, rows: [...page, ...(before.rows ?? []).slice(joint + 1)] };
        });
      } catch (failure) {
        setError(asApiError(failure));
      } finally {
        isBusy.current = false;
        setIsLoading(false);
      }
    },
    [query],
  );
  useEffect(() => {
    setShown(NONE);
    setSeen(readSeen(key));
    void load(undefined);
    const look = () => {
      if (!document.hidden && navigator.onLine) void load(undefined);
    };
    const timer = setInterval(look, EVERY);
    addEventListener("focus", look);
    addEventListener("online", look);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      removeEventListener("focus", look);
      removeEventListener("online", look);
      document.removeEventListener("visibilitychange", look);
    };
  }, [load, key]);
  return {
    rows,
    hasMore,
    error,
    isLoading,
    loadMore: () => load(rows?.at(-1)),
    reload: () => load(undefined),
    // News that asks for nothing is never pressing.
    isUnread: (row) => row.severity !== "info" && toDate(row.created_at).getTime() > seen,
    markAllRead: () => {
      const newest = Math.max(0, ...(rows ?? []).map((row) => toDate(row.created_at).getTime()));
      setSeen(newest);
      try {
        localStorage.setItem(key, String(newest));
      } catch {
        // Without storage they are read for as long as the page is open.
      }
    },
  };
}

function readSeen(key: string): number {
  try {
    return Number(localStorage.getItem(key) ?? 0);
  } catch {
    return 0;
  }
}
