// When to look again: at once when Realtime says that something changed, every two seconds where there is no
// Realtime, and always after the page slept, was hidden, or was offline. What changed is read by a query either way,
// so that nothing depends on a single notice and nothing is shown twice.

import type { RealtimeChannel } from "@supabase/realtime-js";

import type { SupabaseClient } from "../../../supabase";

export type LiveState = "live" | "polling" | "offline";

export interface Live {
  readonly state: () => LiveState;
  readonly subscribe: (listener: () => void) => () => void;
  /** Calls `look` whenever there may be news. */
  readonly onNews: (look: () => void) => () => void;
  readonly close: () => void;
}

export const POLL_MILLISECONDS = 2_000;
// Even with Realtime, in case that a notice was lost.
const SAFETY_MILLISECONDS = 30_000;
const HIDDEN_MILLISECONDS = 20_000;
const TOGETHER_MILLISECONDS = 40;
const MOST_FAILURES = 3;
const TABLES = ["messages", "chats"] as const;

export function createLive(supabase: SupabaseClient, organizationId: string): Live {
  const listeners = new Set<() => void>();
  const looks = new Set<() => void>();
  let channel: RealtimeChannel | null = null;
  let isConnected = false;
  let failures = 0;
  let isClosed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let nudge: ReturnType<typeof setTimeout> | undefined;

  const changed = () => {
    for (const listener of listeners) listener();
  };
  const look = () => {
    for (const each of looks) each();
  };
  const pause = () => (isConnected ? SAFETY_MILLISECONDS : document.hidden ? HIDDEN_MILLISECONDS : POLL_MILLISECONDS);
  const schedule = () => {
    clearTimeout(timer);
    if (isClosed) return;
    timer = setTimeout(() => {
      if (navigator.onLine) look();
      schedule();
    }, pause());
  };
  const lookNow = () => {
    if (navigator.onLine) look();
    schedule();
  };
  const told = () => {
    nudge ??= setTimeout(() => {
      nudge = undefined;
      lookNow();
    }, TOGETHER_MILLISECONDS);
  };
  const wake = () => {
    changed();
    if (document.hidden) return;
    failures = 0;
    lookNow();
    if (!channel) void connect();
  };

  const isTaken = () => channel !== null || isClosed;
  const connect = async () => {
    if (isTaken() || failures >= MOST_FAILURES) return;
    const opened = await supabase.channel(`organization:${organizationId}`);
    if (isTaken()) return;
    channel = opened;
    for (const table of TABLES) {
      const filter = `organization_id=eq.${organizationId}`;
      opened.on("postgres_changes", { event: "*", schema: "public", table, filter }, told);
    }
    opened.subscribe((status) => {
      const isNow = (status as string) === "SUBSCRIBED";
      if (isNow) failures = 0;
      else if (++failures >= MOST_FAILURES && !isConnected) void leave();
      if (isNow === isConnected) return;
      isConnected = isNow;
      changed();
      // What happened while nobody listened.
      lookNow();
    });
  };
  const leave = async () => {
    const left = channel;
    channel = null;
    isConnected = false;
    if (left) await supabase.removeChannel(left);
  };

  addEventListener("online", wake);
  addEventListener("offline", changed);
  addEventListener("pageshow", wake);
  addEventListener("focus", wake);
  document.addEventListener("visibilitychange", wake);
  schedule();
  // After the first look: the page is there before Realtime's code is.
  const begin = setTimeout(() => void connect(), 1_500);

  return {
    state: () => (!navigator.onLine ? "offline" : isConnected ? "live" : "polling"),
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onNews: (each) => {
      looks.add(each);
      return () => looks.delete(each);
    },
    close: () => {
      isClosed = true;
      clearTimeout(timer);
      clearTimeout(begin);
      clearTimeout(nudge);
      removeEventListener("online", wake);
      removeEventListener("offline", changed);
      removeEventListener("pageshow", wake);
      removeEventListener("focus", wake);
      document.removeEventListener("visibilitychange", wake);
      void leave();
    },
  };
}
