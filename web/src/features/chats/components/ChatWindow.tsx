// One conversation: its messages, the window's countdown, and where one writes.

import {
  lazy,
  Suspense,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
  type KeyboardEvent,
} from "react";

import { Icon } from "../../../components/Icon";
import { ErrorNotice } from "../../../components/Notice";
import { clockTime, countdown, dayHeading, daysAgo, toDate } from "../../../components/times";
import { useNow } from "../../../components/useNow";
import { useLanguage, useText } from "../../../i18n";
import { asApiError, type ApiError } from "../../../services/api";
import type { SentMessage } from "../../../services/whatsapp-messages";
import { useSession } from "../../session/Session";
import type { Live } from "../api/live";
import type { Outbox, Pending } from "../api/outbox";
import {
  ANNOTATIONS,
  annotate,
  byTime,
  formatPhone,
  fromSent,
  nameOf,
  previewOf,
  type Chat,
  type Message,
} from "../api/rows";
import { useMessages } from "../api/useMessages";
import { Avatar } from "./Avatar";
import { Bubble } from "./Bubble";
import { Composer, type Written } from "./Composer";
import { FormattedText } from "./FormattedText";
import { StatusMark } from "./StatusMark";

const MessageDetails = lazy(() => import("./MessageDetails"));
const TemplatePicker = lazy(() => import("./TemplatePicker"));

interface Props {
  readonly chat: Chat;
  readonly live: Live;
  readonly outbox: Outbox;
  readonly sent: SentMessage | null;
  readonly onBack: () => void;
  readonly onRead: (chatId: string) => void;
  readonly onBot: (chatId: string, isOn: boolean) => void;
}

const NEAR_BOTTOM = 80;
const NEAR_TOP = 400;
const RUN_SECONDS = 300;

export function ChatWindow({ chat, live, outbox, sent, onBack, onRead, onBot }: Props) {
  const words = useText();
  const language = useLanguage();
  const { messages: service, user } = useSession();
  const now = useNow(5_000);
  const state = useMessages(live, chat.id);
  const { rows, others, hasOlder, hasNewer, isLoading, loadOlder, loadNewer, add } = state;
  const pending = useSyncExternalStore(outbox.subscribe, outbox.all);
  const [activeId, setActiveId] = useState<string | null>(null);
  const [replyTo, setReplyTo] = useState<Message | null>(null);
  const [details, setDetails] = useState<Message | null>(null);
  const [isPicking, setIsPicking] = useState(false);
  const [actionError, setActionError] = useState<ApiError | null>(null);
  const [unseen, setUnseen] = useState(0);
  const [isAtBottom, setIsAtBottom] = useState(true);
  const scroller = useRef<HTMLDivElement>(null);
  const anchor = useRef<{ readonly id: string; readonly top: number } | null>(null);
  const lastSeen = useRef<Message | null>(null);
  const [announcement, setAnnouncement] = useState("");

  const person = nameOf(chat, words);
  const phone = formatPhone(chat.contact?.phone_number ?? null);
  const visible = useMemo(() => rows.filter((row) => !ANNOTATIONS.has(row.type)), [rows]);
  const annotationsOf = useMemo(() => annotate([...rows, ...others]), [rows, others]);
  const byWamid = useMemo(() => new Map([...others, ...rows].map((row) => [row.wamid, row])), [rows, others]);
  const unsent = useMemo(
    () =>
      hasNewer
        ? []
        : withoutArrived(
            pending.filter((entry) => entry.chatId === chat.id),
            rows,
            user.id,
          ),
    [pending, chat.id, rows, user.id, hasNewer],
  );
  const newest = visible.at(-1);

  useEffect(() => {
    if (sent?.chat_id === chat.id) add(fromSent(sent));
  }, [sent, chat.id, add]);

  // Where the reader is, so that whatever is added or taken away above does not move what they read.
  const note = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    const isLow = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_BOTTOM;
    setIsAtBottom(isLow && !hasNewer);
    if (isLow && !hasNewer) setUnseen(0);
    const top = element.getBoundingClientRect().top;
    for (const line of element.querySelectorAll<HTMLElement>("[data-id]")) {
      const box = line.getBoundingClientRect();
      if (box.bottom > top) {
        anchor.current = { id: line.dataset["id"] ?? "", top: box.top - top };
        break;
      }
    }
    if (element.scrollTop < NEAR_TOP) loadOlder();
    else if (isLow && hasNewer) loadNewer();
  }, [hasNewer, loadOlder, loadNewer]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || rows.length + unsent.length === 0) return;
    const isFirst = lastSeen.current === null;
    if (isFirst || (isAtBottom && !hasNewer)) {
      element.scrollTop = element.scrollHeight;
    } else if (anchor.current) {
      const line = element.querySelector<HTMLElement>(`[data-id="${CSS.escape(anchor.current.id)}"]`);
      if (line)
        element.scrollTop +=
          line.getBoundingClientRect().top - element.getBoundingClientRect().top - anchor.current.top;
    }
    if (newest && (!lastSeen.current || byTime(newest, lastSeen.current) > 0)) {
      if (!isFirst && !hasNewer && newest.direction === "inbound") {
        if (!isAtBottom) setUnseen((before) => before + 1);
        setAnnouncement(words.chats.newMessage(person, previewOf(newest.type, newest.text, words)));
      }
      lastSeen.current = newest;
    }
    // The reader's place is measured when they scroll; here it is only kept.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [rows, unsent.length]);
  useEffect(() => {
    // Pictures grow when their bytes come.
    const element = scroller.current;
    const inside = element?.firstElementChild;
    if (!element || !inside) return;
    const observer = new ResizeObserver(() => {
      if (isAtBottom && !hasNewer) element.scrollTop = element.scrollHeight;
    });
    observer.observe(inside);
    observer.observe(element);
    return () => observer.disconnect();
  }, [isAtBottom, hasNewer]);

  const hasUnread = chat.unread_count > 0;
  const newestInbound = rows.findLast((row) => row.direction === "inbound")?.id;
  useEffect(() => {
    if (!hasUnread) return;
    const read = () => {
      if (document.hidden || !document.hasFocus()) return;
      onRead(chat.id);
    };
    read();
    addEventListener("focus", read);
    document.addEventListener("visibilitychange", read);
    return () => {
      removeEventListener("focus", read);
      document.removeEventListener("visibilitychange", read);
    };
  }, [hasUnread, newestInbound, chat.id, onRead]);

  const act = useCallback(
    async (work: () => Promise<SentMessage>) => {
      setActionError(null);
      try {
        add(fromSent(await work()));
      } catch (failure) {
        const error = asApiError(failure);
        const row = error.body["message"] as SentMessage | undefined;
        if (row) add(fromSent(row));
        else setActionError(error);
      }
    },
    [add],
  );
  const react = useCallback(
    (message: Message, emoji: string) => void act(() => service.sendReaction(chat.id, message.id, emoji)),
    [act, service, chat.id],
  );
  const retry = useCallback((message: Message) => act(() => service.retryMessage(message.id)), [act, service]);
  const send = ({ type, text, body }: Written) => {
    outbox.add({
      chatId: chat.id,
      body: { chat_id: chat.id, ...body, ...(replyTo?.wamid ? { reply_to: replyTo.wamid } : {}) },
      type,
      text,
      replyTo: replyTo?.wamid ?? null,
      knownIds: rows.slice(-40).map((row) => row.id),
    });
    setReplyTo(null);
    if (hasNewer) state.loadNewest();
    setIsAtBottom(true);
    requestAnimationFrame(() => scroller.current?.scrollTo({ top: scroller.current.scrollHeight }));
  };
  const goTo = useCallback(
    (wamid: string) => {
      const target = byWamid.get(wamid);
      const line = target && scroller.current?.querySelector<HTMLElement>(`[data-id="${CSS.escape(target.id)}"]`);
      line?.scrollIntoView({ block: "center" });
      line?.querySelector<HTMLElement>(".bubble")?.focus();
    },
    [byWamid],
  );
  const moveFocus = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !(event.target instanceof HTMLElement) || !event.target.classList.contains("bubble")) return;
    event.preventDefault();
    const bubbles = [...(scroller.current?.querySelectorAll<HTMLElement>(".bubble[tabindex]") ?? [])];
    bubbles[bubbles.indexOf(event.target) + step]?.focus();
  };
  const toBottom = () => {
    setUnseen(0);
    setIsAtBottom(true);
    if (hasNewer) state.loadNewest();
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  };

  const closesAt = chat.window_expires_at ? toDate(chat.window_expires_at) : null;
  const secondsOpen = closesAt ? (closesAt.getTime() - now.getTime()) / 1000 : 0;
  const isOpen = secondsOpen > 0;
  const focusable = activeId ?? newest?.id ?? null;
  return (
    <section className="chat-window" aria-label={words.chat.conversation(person)}>
      <header className="chat-head">
        <button type="button" className="icon-button back-button" onClick={onBack} aria-label={words.common.back}>
          <Icon name="back" />
        </button>
        <Avatar name={person} id={chat.id} />
        <div className="chat-title">
          <h2>{person}</h2>
          {phone && phone !== person && <p className="small muted">{phone}</p>}
        </div>
        {chat.is_bot_on !== undefined && (
          <button
            type="button"
            className="button small bot"
            aria-pressed={chat.is_bot_on}
            onClick={() => onBot(chat.id, !chat.is_bot_on)}
          >
            <span>
              {words.chat.bot}
              <span className="long">: {chat.is_bot_on ? words.chat.botOn : words.chat.botOff}</span>
            </span>
          </button>
        )}
        <span
          className={`badge bare ${isOpen ? (secondsOpen < 3600 ? "warn" : "info") : "warn"} window-badge`}
          title={isOpen ? words.chat.window.open(countdown(secondsOpen)) : words.chat.window.closed}
        >
          <Icon name="clock" />
          {isOpen ? countdown(secondsOpen) : words.chat.window.closed}
          {isOpen && <span className="visually-hidden">: {words.chat.window.open(countdown(secondsOpen))}</span>}
        </span>
      </header>
      <div className="messages-frame">
        <div
          className="messages"
          ref={scroller}
          onScroll={note}
          onKeyDown={moveFocus}
          tabIndex={0}
          role="region"
          aria-label={words.chat.messages}
        >
          <ol>
            {isLoading && rows.length === 0 && (
              <li className="system" aria-busy="true">
                <span className="spinner" aria-hidden="true" />
                <span className="visually-hidden">{words.common.loading}</span>
              </li>
            )}
            {hasOlder ? (
              <li className="system muted">{words.chat.older}</li>
            ) : (
              !isLoading && rows.length > 0 && <li className="system muted">{words.chat.beginning}</li>
            )}
            {visible.map((message, position) => {
              const before = visible[position - 1];
              const date = toDate(message.occurred_at);
              const isNewDay = !before || daysAgo(toDate(before.occurred_at), date) !== 0;
              const isFirstOfRun =
                isNewDay ||
                before.direction !== message.direction ||
                date.getTime() - toDate(before.occurred_at).getTime() > RUN_SECONDS * 1000;
              const quoted = message.reply_to_wamid ? (byWamid.get(message.reply_to_wamid) ?? "missing") : null;
              return (
                <FragmentLine key={message.id} heading={isNewDay ? dayHeading(date, now, language, words.chats) : null}>
                  <Bubble
                    message={message}
                    annotations={annotationsOf(message.wamid)}
                    quoted={quoted}
                    person={person}
                    isActive={focusable === message.id}
                    isFirstOfRun={isFirstOfRun}
                    now={message.status === "uncertain" ? now.getTime() : 0}
                    onActivate={setActiveId}
                    onReply={setReplyTo}
                    onReact={react}
                    onRetry={retry}
                    onDetails={setDetails}
                    onQuote={goTo}
                  />
                </FragmentLine>
              );
            })}
            {unsent.map((entry) => (
              <PendingBubble
                key={entry.key}
                entry={entry}
                onRetry={() => outbox.retry(entry.key)}
                onDiscard={() => outbox.discard(entry.key)}
              />
            ))}
          </ol>
        </div>
        {(!isAtBottom || hasNewer) && (
          <button type="button" className="button small to-newest" onClick={toBottom}>
            <Icon name="down" />
            {unseen > 0 ? words.chat.newBelow(unseen) : words.chat.toNewest}
          </button>
        )}
        <div className="visually-hidden" aria-live="polite">
          {announcement}
        </div>
      </div>
      {state.error && (
        <div className="inset">
          <ErrorNotice error={state.error} onRetry={() => (rows.length > 0 ? loadOlder() : state.loadNewest())} />
        </div>
      )}
      {actionError && (
        <div className="inset">
          <ErrorNotice error={actionError} />
        </div>
      )}
      {isOpen ? (
        <Composer
          key={chat.id}
          chatId={chat.id}
          person={person}
          replyTo={replyTo}
          onCancelReply={() => setReplyTo(null)}
          onSend={send}
          onTyping={() => void service.markAsRead(chat.id, { isTyping: true }).catch(() => undefined)}
        />
      ) : (
        <div className="closed-window">
          <div>
            <strong>{words.chat.window.closed}</strong>
            <p className="small">{closesAt ? words.chat.window.closedText : words.chat.window.never}</p>
          </div>
          <button type="button" className="button primary" onClick={() => setIsPicking(true)}>
            <Icon name="template" />
            {words.chat.window.choose}
          </button>
        </div>
      )}
      <Suspense fallback={null}>
        {details && (
          <MessageDetails
            message={rows.find((row) => row.id === details.id) ?? details}
            onClose={() => setDetails(null)}
          />
        )}
        {isPicking && (
          <TemplatePicker
            chatId={chat.id}
            onClose={() => setIsPicking(false)}
            onSent={(message) => add(fromSent(message))}
          />
        )}
      </Suspense>
    </section>
  );
}

function FragmentLine({ heading, children }: { readonly heading: string | null; readonly children: React.ReactNode }) {
  return (
    <>
      {heading && (
        <li className="day">
          <span>{heading}</span>
        </li>
      )}
      {children}
    </>
  );
}

function PendingBubble({
  entry,
  onRetry,
  onDiscard,
}: {
  readonly entry: Pending;
  readonly onRetry: () => void;
  readonly onDiscard: () => void;
}) {
  const words = useText();
  const language = useLanguage();
  const isWaiting = entry.state === "waiting";
  return (
    <li className="bubble-line ours" data-id={entry.key} data-status={entry.state}>
      <article className="bubble pending" aria-label={words.chats.you}>
        {entry.text ? (
          <FormattedText text={entry.text} />
        ) : (
          <span className="words">{previewOf(entry.type, null, words)}</span>
        )}
        <span className="meta">
          <time dateTime={entry.createdAt}>{clockTime(new Date(entry.createdAt), language)}</time>
          <StatusMark status={entry.state} />
        </span>
      </article>
      {(entry.state === "failed" || isWaiting) && (
        <div className={isWaiting ? "failure uncertain" : "failure failed"} role="status">
          <Icon name={isWaiting ? "clock" : "warning"} />
          <div>
            <strong>{isWaiting ? words.chat.status["waiting"] : words.chat.failed}</strong>{" "}
            <span>{entry.error?.message}</span>{" "}
            {entry.error?.wayOut && <span className="muted">{entry.error.wayOut}</span>}
            {entry.error?.details.map(
              (detail) =>
                detail.message && (
                  <p key={detail.message} className="small">
                    {detail.message}
                  </p>
                ),
            )}
            <div className="row">
              <button type="button" className="button small" onClick={onRetry}>
                <Icon name="refresh" />
                {words.chat.failedRetry}
              </button>
              <button type="button" className="button plain small" onClick={onDiscard}>
                {words.chat.discard}
              </button>
            </div>
          </div>
        </div>
      )}
    </li>
  );
}

/** A look may bring the row of a message before the answer to its send does: it is shown once. */
function withoutArrived(entries: readonly Pending[], rows: readonly Message[], userId: string): readonly Pending[] {
  const used = new Set<string>();
  return entries.filter((entry) => {
    if (entry.state === "failed") return true;
    const row = rows.find(
      (each) =>
        each.direction === "outbound" &&
        each.sent_by === userId &&
        each.type === entry.type &&
        each.text === entry.text &&
        !used.has(each.id) &&
        !entry.knownIds.includes(each.id) &&
        each.reply_to_wamid === entry.replyTo,
    );
    if (row) used.add(row.id);
    return !row;
  });
}
