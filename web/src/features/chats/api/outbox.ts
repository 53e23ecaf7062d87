// What was written and has not left: shown at once, sent in order, repeated under the same key until the server
// answers. It outlives a reload of the page, so that nothing written offline is lost.

import { ApiError, asApiError } from "../../../services/api";
import type { SentMessage, WhatsAppMessagesService } from "../../../services/whatsapp-messages";

export interface Pending {
  readonly key: string;
  readonly chatId: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly type: string;
  readonly text: string | null;
  readonly replyTo: string | null;
  readonly createdAt: string;
  readonly state: "sending" | "waiting" | "failed";
  readonly error: ApiError | null;
  /** Messages that were there when it was written: none of them is this one. */
  readonly knownIds: readonly string[];
}

export type Draft = Pick<Pending, "chatId" | "body" | "type" | "text" | "replyTo" | "knownIds">;

export interface Outbox {
  readonly all: () => readonly Pending[];
  readonly subscribe: (listener: () => void) => () => void;
  readonly add: (draft: Draft) => void;
  readonly retry: (key: string) => void;
  readonly discard: (key: string) => void;
  readonly close: () => void;
}

const LONGEST_PAUSE = 30_000;
const NETWORK = new Set(["offline", "unreachable", "database_unavailable", "unavailable"]);

export function createOutbox(
  messages: WhatsAppMessagesService,
  storageKey: string,
  onSent: (message: SentMessage) => void,
): Outbox {
  let entries: readonly Pending[] = read(storageKey);
  let isRunning = false;
  let pause = 1_000;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const listeners = new Set<() => void>();

  const set = (next: readonly Pending[]) => {
    entries = next;
    keep(storageKey, next);
    for (const listener of listeners) listener();
  };
  const change = (key: string, to: Partial<Pending>) =>
    set(entries.map((entry) => (entry.key === key ? { ...entry, ...to } : entry)));
  const remove = (key: string) => set(entries.filter((entry) => entry.key !== key));

  const run = async () => {
    if (isRunning) return;
    isRunning = true;
    clearTimeout(timer);
    try {
      for (let next = nextOf(entries); next; next = nextOf(entries)) {
        if (!navigator.onLine || !(await sendOne(next))) break;
      }
    } finally {
      isRunning = false;
    }
  };
  /** Whether the next one may go. */
  const sendOne = async (entry: Pending): Promise<boolean> => {
    change(entry.key, { state: "sending", error: null });
    try {
      onSent(await messages.send(entry.body, { idempotencyKey: entry.key }));
      remove(entry.key);
      pause = 1_000;
      return true;
    } catch (failure) {
      const error = asApiError(failure);
      const row = error.body["message"] as SentMessage | undefined;
      if (row) {
        // Meta refused it; the row is there and shows why.
        onSent(row);
        remove(entry.key);
        return true;
      }
      if (NETWORK.has(error.code)) {
        change(entry.key, { state: "waiting", error });
        timer = setTimeout(() => void run(), pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE);
        return false;
      }
      change(entry.key, { state: "failed", error });
      return true;
    }
  };
  const online = () => {
    pause = 1_000;
    void run();
  };
  addEventListener("online", online);
  void run();

  return {
    all: () => entries,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    add: (draft) => {
      const state = navigator.onLine ? "sending" : "waiting";
      const entry = {
        ...draft,
        key: crypto.randomUUID(),
        createdAt: new Date().toISOString(),
        state,
        error: null,
      } as const;
      set([...entries, entry]);
      void run();
    },
    retry: (key) => {
      change(key, { state: "sending", error: null });
      void run();
    },
    discard: remove,
    close: () => {
      clearTimeout(timer);
      removeEventListener("online", online);
    },
  };
}

function nextOf(entries: readonly Pending[]): Pending | undefined {
  return entries.find((entry) => entry.state !== "failed");
}

function read(key: string): readonly Pending[] {
  try {
    const kept = JSON.parse(sessionStorage.getItem(key) ?? "[]") as Pending[];
    return kept.map((entry) => ({ ...entry, error: null, state: entry.state === "failed" ? "failed" : "waiting" }));
  } catch {
    return [];
  }
}

function keep(key: string, entries: readonly Pending[]): void {
  try {
    sessionStorage.setItem(key, JSON.stringify(entries.map((entry) => ({ ...entry, error: null }))));
  } catch {
    // Without storage it lasts as long as the page.
  }
}
