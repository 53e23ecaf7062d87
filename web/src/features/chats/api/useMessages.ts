// The messages of one chat: a window of the whole that moves as one scrolls, kept current at its newest end.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

import { toDate } from "../../../components/times";
import { asApiError, type ApiError } from "../../../services/api";
import { useSession } from "../../session/Session";
import type { Live } from "./live";
import { MESSAGE_COLUMNS, OVERLAP_SECONDS, merge, type Message } from "./rows";

const PAGE = 50;
/** As many as are kept, and drawn, at a time: the window of a chat of any length. */
export const MOST_KEPT = 250;

export interface MessagesState {
  /** Oldest first. */
  readonly rows: readonly Message[];
  /** Messages that are quoted, reacted to or edited, and reactions to them, from outside the window. */
  readonly others: readonly Message[];
  readonly isLoading: boolean;
  readonly hasOlder: boolean;
  readonly hasNewer: boolean;
  readonly error: ApiError | null;
  readonly loadOlder: () => void;
  readonly loadNewer: () => void;
  readonly loadNewest: () => void;
  readonly add: (message: Message) => void;
}

interface Window {
  readonly rows: readonly Message[];
  readonly hasOlder: boolean;
  readonly hasNewer: boolean;
}

const EMPTY: Window = { rows: [], hasOlder: false, hasNewer: false };

export function useMessages(live: Live, chatId: string): MessagesState {
  const { supabase, organization } = useSession();
  const [shown, setShown] = useState<Window>(EMPTY);
  const [others, setOthers] = useState<readonly Message[]>([]);
  const [isLoading, setIsLoading] = useState(true);
  const [error, setError] = useState<ApiError | null>(null);
  const current = useRef(shown);
  const isBusy = useRef(false);
  const cursor = useRef<Date | null>(null);
  const asked = useRef(new Set<string>());
  useLayoutEffect(() => {
    current.current = shown;
  }, [shown]);

  const query = useCallback(
    () =>
      supabase.from("messages").select(MESSAGE_COLUMNS).eq("chat_id", chatId).eq("organization_id", organization.id),
    [supabase, chatId, organization.id],
  );
  const noteTime = (rows: readonly Message[]) => {
    for (const row of rows) {
      const moment = toDate(row.updated_at);
      if (!cursor.current || moment > cursor.current) cursor.current = moment;
    }
  };

  const load = useCallback(
    async (direction: "newest" | "older" | "newer") => {
      if (isBusy.current) return;
      isBusy.current = true;
      setError(null);
      try {
        const { rows } = current.current;
        const edge = direction === "older" ? rows[0] : direction === "newer" ? rows.at(-1) : undefined;
        const isForward = direction === "newer";
        let asks = query();
        if (edge) {
          const [than, orEqual] = isForward ? (["gt", "gte"] as const) : (["lt", "lte"] as const);
          asks = asks[orEqual]("occurred_at", edge.occurred_at).or(
            `occurred_at.${than}."${edge.occurred_at}",and(occurred_at.eq."${edge.occurred_at}",id.${than}.${edge.id})`,
          );
        }
        const { data, error: failure } = await asks
          .order("occurred_at", { ascending: isForward })
          .order("id", { ascending: isForward })
          .limit(PAGE);
        if (failure) throw failure;
        const page = data as unknown as Message[];
        noteTime(page);
        const isFull = page.length === PAGE;
        setShown((before) => {
          if (direction === "newest") return { rows: merge([], page), hasOlder: isFull, hasNewer: false };
          const all = merge(before.rows, page);
          const isTooMany = all.length > MOST_KEPT;
          if (direction === "older") {
            return {
              rows: isTooMany ? all.slice(0, MOST_KEPT) : all,
              hasOlder: isFull,
              hasNewer: before.hasNewer || isTooMany,
            };
          }
          return {
            rows: isTooMany ? all.slice(-MOST_KEPT) : all,
            hasOlder: before.hasOlder || isTooMany,
            hasNewer: isFull,
          };
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
    setShown(EMPTY);
    setOthers([]);
    setIsLoading(true);
    cursor.current = null;
    asked.current = new Set();
    isBusy.current = false;
    void load("newest");
  }, [load]);

  useEffect(
    () =>
      live.onNews(() => {
        const { rows, hasNewer } = current.current;
        if (!cursor.current) {
          void load("newest");
          return;
        }
        // An attachment's state is no part of its message's own row, whose time it does not touch.
        const waiting = rows.filter((row) => row.media?.state === "pending").map((row) => row.id);
        if (waiting.length > 0) {
          void query()
            .in("id", waiting.slice(-PAGE))
            .then(({ data }) => {
              const news = (data ?? []) as unknown as Message[];
              setShown((before) => ({ ...before, rows: merge(before.rows, news) }));
            });
        }
        const first = rows[0];
        const from = new Date(cursor.current.getTime() - OVERLAP_SECONDS * 1000).toISOString();
        let asks = query().gte("updated_at", from);
        // Only what can be in the window: the index finds it without reading the whole chat.
        if (first) asks = asks.gte("occurred_at", first.occurred_at);
        const last = rows.at(-1);
        if (hasNewer && last) asks = asks.lte("occurred_at", last.occurred_at);
        void asks
          .order("occurred_at")
          .limit(500)
          .then(({ data, error: failure }) => {
            if (failure) return;
            const news = data as unknown as Message[];
            noteTime(news);
            setError(null);
            setShown((before) => {
              const all = merge(before.rows, news);
              if (all === before.rows) return before;
              return all.length > MOST_KEPT * 1.5
                ? { ...before, rows: all.slice(-MOST_KEPT), hasOlder: true }
                : { ...before, rows: all };
            });
          });
      }),
    [live, query, load],
  );

  // Quoted messages from before the window, and reactions from after it.
  useEffect(() => {
    const known = new Set(shown.rows.map((row) => row.wamid));
    const wanted = shown.rows
      .map((row) => row.reply_to_wamid)
      .filter((wamid): wamid is string => wamid !== null && !known.has(wamid) && !asked.current.has(wamid));
    const missing = [...new Set(wanted)].slice(0, PAGE);
    const targets = shown.hasNewer
      ? shown.rows
          .map((row) => row.wamid)
          .filter((wamid): wamid is string => wamid !== null && !asked.current.has(`on:${wamid}`))
      : [];
    const keep = ({ data }: { data: unknown }) => {
      if (Array.isArray(data) && data.length > 0) setOthers((before) => merge(before, data as Message[]));
    };
    if (missing.length > 0) {
      for (const wamid of missing) asked.current.add(wamid);
      void query().in("wamid", missing).then(keep);
    }
    if (targets.length > 0) {
      for (const wamid of targets) asked.current.add(`on:${wamid}`);
      void query().in("target_wamid", targets.slice(0, PAGE)).then(keep);
    }
  }, [shown, query]);

  const add = useCallback((message: Message) => {
    setShown((before) => (before.hasNewer ? before : { ...before, rows: merge(before.rows, [message]) }));
  }, []);
  return {
    ...shown,
    others,
    isLoading,
    error,
    loadOlder: () => {
      if (current.current.hasOlder) void load("older");
    },
    loadNewer: () => {
      if (current.current.hasNewer) void load("newer");
    },
    loadNewest: () => void load("newest"),
    add,
  };
}
