// The list and the conversation side by side; on a phone one after the other.

import { lazy, Suspense, useCallback, useEffect, useMemo, useState, useSyncExternalStore } from "react";

import { Boundary } from "../../components/Boundary";
import { Icon } from "../../components/Icon";
import { useText } from "../../i18n";
import type { SentMessage } from "../../services/whatsapp-messages";
import { SessionProvider, useSession } from "../session/Session";
import { Shell } from "../session/components/Shell";
import { createLive } from "./api/live";
import { createOutbox } from "./api/outbox";
import { useChats, type ChatFilter } from "./api/useChats";
import { ChatList } from "./components/ChatList";
import { ChatWindow } from "./components/ChatWindow";

const TemplatePicker = lazy(() => import("./components/TemplatePicker"));

export default function ChatsPage() {
  return (
    <Boundary>
      <SessionProvider>
        <Chats />
      </SessionProvider>
    </Boundary>
  );
}

export function Chats() {
  const words = useText();
  const session = useSession();
  const { supabase, organization, messages, user } = session;
  const [chosenId, choose] = useChosen();
  const [filter, setFilter] = useState<ChatFilter>({ isUnreadOnly: false, platform: "all", search: "" });
  const [sent, setSent] = useState<SentMessage | null>(null);
  const [isNew, setIsNew] = useState(false);
  const live = useMemo(() => createLive(supabase, organization.id), [supabase, organization.id]);
  const outbox = useMemo(
    () => createOutbox(messages, `outbox:${user.id}:${organization.id}`, setSent),
    [messages, user.id, organization.id],
  );
  useEffect(() => () => live.close(), [live]);
  useEffect(() => () => outbox.close(), [outbox]);
  const liveState = useSyncExternalStore(live.subscribe, live.state, () => "polling" as const);
  const state = useChats(live, filter, chosenId);
  const { ensure, find, patch } = state;
  const chosen = chosenId ? find(chosenId) : undefined;

  useEffect(() => {
    if (chosenId && !state.isLoading && !chosen) void ensure(chosenId);
  }, [chosenId, chosen, state.isLoading, ensure]);

  const read = useCallback(
    (chatId: string) => {
      patch(chatId, { unread_count: 0 });
      // Where Meta cannot be told, the next look shows the count again.
      messages.markAsRead(chatId).catch(() => undefined);
    },
    [patch, messages],
  );
  const setBot = useCallback(
    (chatId: string, isOn: boolean) => {
      patch(chatId, { is_bot_on: isOn });
      void supabase.rpc("set_chat_bot", { chat: chatId, is_on: isOn }).then(({ error }) => {
        if (error) patch(chatId, { is_bot_on: !isOn });
      });
    },
    [patch, supabase],
  );
  const unread = state.chats.reduce((sum, chat) => sum + chat.unread_count, 0);
  useEffect(() => {
    document.title = `${unread > 0 ? `(${unread}) ` : ""}${words.nav.chats} · ${words.app}`;
  }, [unread, words]);

  const liveLabels = { live: words.chats.live, polling: words.chats.polling, offline: words.common.offline };
  return (
    <Shell section="chats" isInChat={chosenId !== null}>
      <h1 className="visually-hidden">{words.chats.title}</h1>
      <div className={chosenId ? "chats chosen" : "chats"}>
        <ChatList
          state={state}
          filter={filter}
          onFilter={setFilter}
          chosenId={chosenId}
          onChoose={choose}
          onNew={() => setIsNew(true)}
          liveLabel={liveLabels[liveState]}
          liveTone={liveState}
          emptyView={<NoChats />}
        />
        {chosen ? (
          <ChatWindow
            key={chosen.id}
            chat={chosen}
            live={live}
            outbox={outbox}
            sent={sent}
            onBack={() => choose(null)}
            onRead={read}
            onBot={setBot}
          />
        ) : (
          <div className="no-chat">
            <Icon name="chats" />
            <h2>{words.chats.choose}</h2>
            <p className="muted">{words.chats.chooseText}</p>
          </div>
        )}
      </div>
      <Suspense fallback={null}>
        {isNew && (
          <TemplatePicker
            chatId={null}
            onClose={() => setIsNew(false)}
            onSent={(message) => {
              void ensure(message.chat_id).then(() => choose(message.chat_id));
            }}
          />
        )}
      </Suspense>
    </Shell>
  );
}

/** No conversation yet: either nobody wrote, or no number is connected. */
function NoChats() {
  const words = useText();
  const { integration, organization } = useSession();
  const [isConnected, setIsConnected] = useState(true);
  useEffect(() => {
    integration.getIntegrationStatus().then(
      (found) => setIsConnected(found.integration?.status === "connected" || found.integration?.status === "error"),
      () => undefined,
    );
  }, [integration]);
  return (
    <>
      <h2>{words.chats.empty}</h2>
      {isConnected ? (
        <p className="muted">{words.chats.emptyText}</p>
      ) : (
        <>
          <p className="muted">{words.chats.emptyNotConnected}</p>
          {organization.role === "owner" ? (
            <a className="button primary" href="/configuracion/">
              {words.chats.goConnect}
            </a>
          ) : (
            <p className="muted">{words.chats.askOwner}</p>
          )}
        </>
      )}
    </>
  );
}

/** Which chat is open, in the address: a reload, a link and the back button lead to it. */
function useChosen(): [string | null, (id: string | null) => void] {
  const [id, setId] = useState(readChosen);
  useEffect(() => {
    const follow = () => setId(readChosen());
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, []);
  const choose = useCallback((next: string | null) => {
    if (next !== readChosen()) history.pushState(null, "", next ? `/chats/?chat=${next}` : "/chats/");
    setId(next);
  }, []);
  return [id, choose];
}

function readChosen(): string | null {
  const id = new URLSearchParams(location.search).get("chat");
  return id && /^[0-9a-f-]{36}$/.test(id) ? id : null;
}
