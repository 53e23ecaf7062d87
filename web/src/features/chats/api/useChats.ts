// The list of conversations: page by page, newest first, kept current.

import { useCallback, useEffect, useMemo, useRef, useState } from "react";

import { toDate } from "../../../components/times";
import { asApiError, type ApiError } from "../../../services/api";
import type { MessageStatus } from "../../../services/whatsapp-messages";
import type { SupabaseClient } from "../../../supabase";
import { useSession } from "../../session/Session";
import { CHAT_COLUMNS, CONTACT_COLUMNS, OVERLAP_SECONDS, type Chat } from "./rows";
import type { Live } from "./live";

export interface ChatFilter {
  readonly isUnreadOnly: boolean;
  readonly platform: string;
  readonly search: string;
}

export interface FoundMessage {
  readonly chatId: string;
  readonly text: string;
}

export interface ChatsState {
  readonly chats: readonly Chat[];
  readonly find: (id: string) => Chat | undefined;
  readonly isLoading: boolean;
  readonly hasMore: boolean;
  readonly error: ApiError | null;
  readonly loadMore: () => void;
  readonly reload: () => void;
  readonly ensure: (id: string) => Promise<void>;
  readonly patch: (id: string, change: Partial<Chat>) => void;
  /** What became of the newest message where it is ours, by its id. */
  readonly statuses: ReadonlyMap<string, MessageStatus>;
  /** Where a search met the words of a message, by chat. */
  readonly found: ReadonlyMap<string, string>;
}

const PAGE = 60;
const SELECT = `${CHAT_COLUMNS},contact:contacts(${CONTACT_COLUMNS})`;

export function useChats(live: Live, filter: ChatFilter, keepId: string | null): ChatsState {
  const { supabase, organization } = useSession();
  const { isUnreadOnly, platform, search } = filter;
  const [known, setKnown] = useState<ReadonlyMap<string, Chat>>(new Map());
  const [found, setFound] = useState<ReadonlyMap<string, string>>(new Map());
  const [statuses, setStatuses] = useState<ReadonlyMap<string, MessageStatus>>(new Map());
  const [isLoading, setIsLoading] = useState(true);
  const [hasMore, setHasMore] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const cursor = useRef<Date | null>(null);
  const run = useRef(0);
  const isBusy = useRef(false);

  const take = useCallback((rows: readonly Chat[]) => {
    for (const row of rows) {
      const moment = toDate(row.updated_at);
      if (!cursor.current || moment > cursor.current) cursor.current = moment;
    }
    if (rows.length === 0) return;
    setKnown((before) => {
      const fresh = rows.filter((row) => before.get(row.id)?.updated_at !== row.updated_at);
      if (fresh.length === 0) return before;
      const next = new Map(before);
      for (const row of fresh) next.set(row.id, row);
      return next;
    });
  }, []);

  const query = useCallback(() => {
    let asked = supabase.from("chats").select(SELECT).eq("organization_id", organization.id);
    if (isUnreadOnly) asked = asked.gt("unread_count", 0);
    if (platform !== "all") asked = asked.eq("platform", platform);
    return asked;
  }, [supabase, organization.id, isUnreadOnly, platform]);

  const loadPage = useCallback(
    async (after: Chat | null) => {
      if (isBusy.current && after) return;
      isBusy.current = true;
      const mine = after ? run.current : ++run.current;
      setError(null);
      try {
        let asked = query();
        if (after?.last_message_at) {
          const { last_message_at: at, id } = after;
          asked = asked
            .lte("last_message_at", at)
            .or(`last_message_at.lt."${at}",and(last_message_at.eq."${at}",id.gt.${id})`);
        }
        const { data, error: failure } = await asked
          .order("last_message_at", { ascending: false, nullsFirst: false })
          .order("id")
          .limit(PAGE);
        if (mine !== run.current) return;
        if (failure) throw failure;
        const rows = data as unknown as Chat[];
        take(rows);
        setHasMore(rows.length === PAGE && Boolean(rows.at(-1)?.last_message_at));
      } catch (failure) {
        if (mine === run.current) setError(asApiError(failure));
      } finally {
        if (mine === run.current) {
          isBusy.current = false;
          setIsLoading(false);
        }
      }
    },
    [query, take],
  );

  const searchFor = useCallback(
    async (words: string) => {
      const mine = ++run.current;
      setError(null);
      try {
        const result = await findChats(supabase, organization.id, words);
        if (mine !== run.current) return;
        take(result.chats);
        setFound(new Map(result.messages.map(({ chatId, text }) => [chatId, text])));
        setKnown(new Map(result.chats.map((chat) => [chat.id, chat])));
        setHasMore(false);
      } catch (failure) {
        if (mine === run.current) setError(asApiError(failure));
      } finally {
        if (mine === run.current) setIsLoading(false);
      }
    },
    [supabase, organization.id, take],
  );

  const reload = useCallback(() => {
    setIsLoading(true);
    setKnown(new Map());
    setFound(new Map());
    cursor.current = null;
    isBusy.current = false;
    if (search) void searchFor(search);
    else void loadPage(null);
  }, [search, searchFor, loadPage]);
  useEffect(() => {
    const timer = setTimeout(reload, search ? 250 : 0);
    return () => clearTimeout(timer);
  }, [reload, search]);

  useEffect(
    () =>
      live.onNews(() => {
        if (search) return;
        const since = cursor.current;
        if (!since) {
          // The first page failed, or there was none yet.
          if (!isBusy.current) void loadPage(null);
          return;
        }
        const from = new Date(since.getTime() - OVERLAP_SECONDS * 1000).toISOString();
        void supabase
          .from("chats")
          .select(SELECT)
          .eq("organization_id", organization.id)
          .gte("updated_at", from)
          .order("updated_at")
          .limit(500)
          .then(({ data, error: failure }) => {
            if (failure) return;
            setError(null);
            take(data as unknown as Chat[]);
          });
      }),
    [live, supabase, organization.id, search, take, loadPage],
  );

  const chats = useMemo(() => {
    const shown = [...known.values()].filter(
      (chat) =>
        chat.id === keepId ||
        ((!isUnreadOnly || chat.unread_count > 0) && (platform === "all" || chat.platform === platform)),
    );
    const time = (chat: Chat) => (chat.last_message_at ? toDate(chat.last_message_at).getTime() : 0);
    return shown.sort((a, b) => time(b) - time(a) || (a.id < b.id ? -1 : 1));
  }, [known, isUnreadOnly, platform, keepId]);

  useOwnStatuses(supabase, organization.id, live, chats, setStatuses);

  const ensure = useCallback(
    async (id: string) => {
      const { data } = await supabase.from("chats").select(SELECT).eq("organization_id", organization.id).eq("id", id);
      take((data ?? []) as unknown as Chat[]);
    },
    [supabase, organization.id, take],
  );
  const patch = useCallback((id: string, change: Partial<Chat>) => {
    setKnown((before) => {
      const chat = before.get(id);
      return chat ? new Map(before).set(id, { ...chat, ...change }) : before;
    });
  }, []);
  return {
    chats,
    find: (id) => known.get(id),
    isLoading,
    hasMore,
    error,
    loadMore: () => {
      const last = chats.at(-1);
      if (last && hasMore) void loadPage(last);
    },
    reload,
    ensure,
    patch,
    statuses,
    found,
  };
}

/** The status of each newest message that is ours: the list shows its mark. */
function useOwnStatuses(
  supabase: SupabaseClient,
  organizationId: string,
  live: Live,
  chats: readonly Chat[],
  set: (statuses: ReadonlyMap<string, MessageStatus>) => void,
) {
  const ids = chats
    .slice(0, PAGE)
    .filter((chat) => chat.last_message_direction === "outbound" && /^[0-9a-f-]{36}$/.test(chat.last_message_key ?? ""))
    .map((chat) => chat.last_message_key)
    .join(",");
  const look = useCallback(() => {
    if (!ids) return;
    void supabase
      .from("messages")
      .select("id,status")
      .eq("organization_id", organizationId)
      .in("id", ids.split(","))
      .then(({ data }) => {
        if (data) set(new Map((data as { id: string; status: MessageStatus }[]).map(({ id, status }) => [id, status])));
      });
  }, [supabase, organizationId, ids, set]);
  useEffect(() => {
    look();
    return live.onNews(look);
  }, [look, live]);
}

async function findChats(
  supabase: SupabaseClient,
  organizationId: string,
  words: string,
): Promise<{ readonly chats: readonly Chat[]; readonly messages: readonly FoundMessage[] }> {
  const answer = await supabase.rpc("find_chats", { organization: organizationId, words });
  if (answer.error) throw answer.error;
  const found = answer.data as { chat_id: string; message_text: string | null }[];
  const ids = [...new Set(found.map(({ chat_id }) => chat_id))];
  if (ids.length === 0) return { chats: [], messages: [] };
  const rows = await supabase.from("chats").select(SELECT).eq("organization_id", organizationId).in("id", ids);
  if (rows.error) throw rows.error;
  const messages = found.flatMap(({ chat_id: chatId, message_text: text }) =>
    text === null ? [] : [{ chatId, text }],
  );
  return { chats: rows.data as unknown as Chat[], messages };
}
