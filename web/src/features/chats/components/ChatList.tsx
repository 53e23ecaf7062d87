// The conversations: filtered, searched, and drawn only as far as they are seen.

import { memo, useCallback, useEffect, useRef, useState, type KeyboardEvent } from "react";

import { Icon } from "../../../components/Icon";
import { ErrorNotice } from "../../../components/Notice";
import { shortTime, toDate } from "../../../components/times";
import { useNow } from "../../../components/useNow";
import { useLanguage, useText, type Language } from "../../../i18n";
import type { MessageStatus } from "../../../services/whatsapp-messages";
import { formatPhone, nameOf, previewOf, type Chat } from "../api/rows";
import type { ChatFilter, ChatsState } from "../api/useChats";
import { Avatar } from "./Avatar";
import { StatusMark } from "./StatusMark";

interface Props {
  readonly state: ChatsState;
  readonly filter: ChatFilter;
  readonly onFilter: (filter: ChatFilter) => void;
  readonly chosenId: string | null;
  readonly onChoose: (id: string) => void;
  readonly onNew: () => void;
  readonly liveLabel: string;
  readonly liveTone: string;
  readonly emptyView: React.ReactNode;
}

const ROW_HEIGHT = 76;
const BEYOND = 6;

export function ChatList({
  state,
  filter,
  onFilter,
  chosenId,
  onChoose,
  onNew,
  liveLabel,
  liveTone,
  emptyView,
}: Props) {
  const words = useText();
  const language = useLanguage();
  const now = useNow(60_000);
  const { chats, isLoading, hasMore, error, loadMore } = state;
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  const platforms = [...new Set(["whatsapp", ...chats.map((chat) => chat.platform)])];

  const measure = useCallback(() => {
    const element = scroller.current;
    if (element) setView({ top: element.scrollTop, height: element.clientHeight });
  }, []);
  useEffect(() => {
    measure();
    const observer = new ResizeObserver(measure);
    if (scroller.current) observer.observe(scroller.current);
    return () => observer.disconnect();
  }, [measure]);

  const first = Math.max(0, Math.floor(view.top / ROW_HEIGHT) - BEYOND);
  const last = Math.min(chats.length, Math.ceil((view.top + view.height) / ROW_HEIGHT) + BEYOND);
  useEffect(() => {
    if (hasMore && last >= chats.length - 15) loadMore();
  }, [hasMore, last, chats.length, loadMore]);

  const moveFocus = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = (event.target as HTMLElement).closest<HTMLElement>("[data-position]");
    if (!step || !row) return;
    event.preventDefault();
    const wanted = Math.min(chats.length - 1, Math.max(0, Number(row.dataset["position"]) + step));
    const element = scroller.current;
    if (element) {
      const top = wanted * ROW_HEIGHT;
      if (top < element.scrollTop) element.scrollTop = top;
      if (top + ROW_HEIGHT > element.scrollTop + element.clientHeight) {
        element.scrollTop = top + ROW_HEIGHT - element.clientHeight;
      }
    }
    requestAnimationFrame(() => element?.querySelector<HTMLElement>(`[data-position="${wanted}"]`)?.focus());
  };

  return (
    <section className="chat-list" aria-label={words.chats.list}>
      <header>
        <div className="list-head">
          <h2 className="list-title">{words.chats.title}</h2>
          <span className={`pulse ${liveTone}`} role="status" title={liveLabel}>
            <span className="visually-hidden">{liveLabel}</span>
          </span>
          <button type="button" className="icon-button" onClick={onNew} aria-label={words.chats.newChat}>
            <Icon name="plus" />
          </button>
        </div>
        <div className="search">
          <Icon name="search" />
          <input
            type="search"
            className="input"
            aria-label={words.chats.search}
            placeholder={words.chats.search}
            value={filter.search}
            onChange={(event) => onFilter({ ...filter, search: event.target.value })}
          />
        </div>
        <div className="filters">
          <div role="group" aria-label={words.chats.list} className="segments">
            <button
              type="button"
              aria-pressed={!filter.isUnreadOnly}
              onClick={() => onFilter({ ...filter, isUnreadOnly: false })}
            >
              {words.chats.filterAll}
            </button>
            <button
              type="button"
              aria-pressed={filter.isUnreadOnly}
              onClick={() => onFilter({ ...filter, isUnreadOnly: true })}
            >
              {words.chats.filterUnread}
            </button>
          </div>
          <select
            className="input small"
            aria-label={words.chats.platform}
            value={filter.platform}
            onChange={(event) => onFilter({ ...filter, platform: event.target.value })}
          >
            {["all", ...platforms].map((platform) => (
              <option key={platform} value={platform}>
                {words.chats.platforms[platform] ?? platform}
              </option>
            ))}
          </select>
        </div>
      </header>
      {error && chats.length === 0 && (
        <div className="inset">
          <ErrorNotice error={error} onRetry={state.reload} />
        </div>
      )}
      <div className="scroller" ref={scroller} onScroll={measure} onKeyDown={moveFocus}>
        {chats.length === 0 && !isLoading && !error && (
          <div className="empty">
            {filter.search ? (
              <p>{words.chats.noResults}</p>
            ) : filter.isUnreadOnly ? (
              <p>{words.chats.noUnread}</p>
            ) : (
              emptyView
            )}
          </div>
        )}
        {isLoading && chats.length === 0 && (
          <div className="ghosts" aria-busy="true">
            <span className="visually-hidden">{words.common.loading}</span>
            {[1, 2, 3, 4, 5].map((each) => (
              <span key={each} className="ghost" />
            ))}
          </div>
        )}
        {chats.length > 0 && (
          <ul style={{ height: chats.length * ROW_HEIGHT }}>
            {chats.slice(first, last).map((chat, offset) => (
              <ChatRow
                key={chat.id}
                chat={chat}
                position={first + offset}
                total={chats.length}
                isChosen={chat.id === chosenId}
                found={state.found.get(chat.id) ?? null}
                status={state.statuses.get(chat.last_message_key ?? "") ?? null}
                now={now}
                language={language}
                onChoose={onChoose}
              />
            ))}
          </ul>
        )}
      </div>
    </section>
  );
}

interface RowProps {
  readonly chat: Chat;
  readonly position: number;
  readonly total: number;
  readonly isChosen: boolean;
  readonly found: string | null;
  readonly status: MessageStatus | null;
  readonly now: Date;
  readonly language: Language;
  readonly onChoose: (id: string) => void;
}

const ChatRow = memo(function ChatRow({
  chat,
  position,
  total,
  isChosen,
  found,
  status,
  now,
  language,
  onChoose,
}: RowProps) {
  const words = useText();
  const name = nameOf(chat, words);
  const isOurs = chat.last_message_direction === "outbound";
  return (
    <li
      aria-posinset={position + 1}
      aria-setsize={total}
      style={{ transform: `translateY(${position * ROW_HEIGHT}px)` }}
    >
      <a
        className="chat-row"
        href={`/chats/?chat=${chat.id}`}
        data-position={position}
        aria-current={isChosen ? "true" : undefined}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return;
          event.preventDefault();
          onChoose(chat.id);
        }}
      >
        <Avatar name={name} id={chat.id} />
        <span className="row-main">
          <span className="row-top">
            <span className="row-name">{name}</span>
            {chat.last_message_at && (
              <time className="row-time" dateTime={toDate(chat.last_message_at).toISOString()}>
                {shortTime(toDate(chat.last_message_at), now, language, words.chats.yesterday)}
              </time>
            )}
          </span>
          <span className="row-bottom">
            <span className="row-text">
              {isOurs && !found && (
                <>
                  {status && <StatusMark status={status} />}
                  <span className="row-you">{words.chats.you}: </span>
                </>
              )}
              {found ?? previewOf(chat.last_message_type, chat.last_message_text, words)}
            </span>
            {chat.unread_count > 0 && (
              <span className="unread">
                <span aria-hidden="true">{chat.unread_count > 99 ? "99+" : chat.unread_count}</span>
                <span className="visually-hidden">{words.chats.unread(chat.unread_count)}</span>
              </span>
            )}
          </span>
          {chat.contact?.phone_number && name !== formatPhone(chat.contact.phone_number) && (
            <span className="visually-hidden">{formatPhone(chat.contact.phone_number)}</span>
          )}
        </span>
      </a>
    </li>
  );
});
