// One message: its words, what it holds, what it quotes, what became of it.

import { lazy, memo, Suspense, useState } from "react";

import { Icon } from "../../../components/Icon";
import { clockTime, countdown, toDate } from "../../../components/times";
import { useLanguage, useText } from "../../../i18n";
import { previewOf, type Annotations, type Message } from "../api/rows";
import { Attachment } from "./Attachment";
import { FormattedText } from "./FormattedText";
import { StatusMark } from "./StatusMark";

const TemplatePart = lazy(() => import("./TemplatePart"));
const MetaSentence = lazy(() => import("../../../components/MetaSentence"));

const REACTIONS = ["👍", "❤️", "😂", "😮", "😢", "🙏"] as const;
const UNCERTAIN_SECONDS = 600;
// First the question, then its buttons.
const ASKS = new Set(["interactive"]);
const HAS_CAPTION = new Set(["image", "video", "document"]);
const KNOWN = new Set([
  "text",
  "image",
  "video",
  "audio",
  "voice",
  "document",
  "sticker",
  "location",
  "contacts",
  "interactive",
  "button",
  "template",
  "order",
  "system",
]);

interface Props {
  readonly message: Message;
  readonly annotations: Annotations;
  readonly quoted: Message | "missing" | null;
  readonly person: string;
  readonly isActive: boolean;
  readonly isFirstOfRun: boolean;
  readonly now: number;
  readonly onActivate: (id: string) => void;
  readonly onReply: (message: Message) => void;
  readonly onReact: (message: Message, emoji: string) => void;
  readonly onRetry: (message: Message) => Promise<void>;
  readonly onDetails: (message: Message) => void;
  readonly onQuote: (wamid: string) => void;
}

export const Bubble = memo(function Bubble(props: Props) {
  const {
    message,
    annotations,
    quoted,
    person,
    isActive,
    isFirstOfRun,
    now,
    onActivate,
    onReply,
    onReact,
    onRetry,
    onDetails,
    onQuote,
  } = props;
  const words = useText();
  const language = useLanguage();
  const [isReacting, setIsReacting] = useState(false);
  const [isRetrying, setIsRetrying] = useState(false);
  const isOurs = message.direction === "outbound";
  const text = annotations.editedText ?? message.text;
  const time = clockTime(toDate(message.occurred_at), language);
  const uncertainFor = message.uncertain_at
    ? UNCERTAIN_SECONDS - (now - toDate(message.uncertain_at).getTime()) / 1000
    : 0;
  const mayRetry =
    message.status === "failed" ||
    message.status === "cancelled" ||
    (message.status === "uncertain" && uncertainFor <= 0);
  const ownReaction = annotations.reactions.find((reaction) => reaction.isOurs)?.emoji;
  if (message.type === "system") {
    return (
      <li className="system" data-id={message.id}>
        {text}
      </li>
    );
  }
  const retry = async () => {
    setIsRetrying(true);
    await onRetry(message);
    setIsRetrying(false);
  };
  return (
    <li
      className={`bubble-line ${isOurs ? "ours" : "theirs"} ${isFirstOfRun ? "first" : ""}`}
      data-id={message.id}
      data-status={isOurs ? message.status : undefined}
      onMouseEnter={() => onActivate(message.id)}
    >
      <article
        className={`bubble ${message.type}`}
        tabIndex={isActive ? 0 : -1}
        onFocus={() => onActivate(message.id)}
        aria-label={`${isOurs ? words.chats.you : person}, ${time}`}
      >
        {annotations.isRevoked ? (
          <p className="gone">{words.chat.deleted}</p>
        ) : (
          <>
            {message.is_forwarded && <p className="tag">{words.chat.forwarded}</p>}
            {quoted && (
              <button
                type="button"
                className="quote"
                tabIndex={isActive ? 0 : -1}
                onClick={() => message.reply_to_wamid && onQuote(message.reply_to_wamid)}
              >
                <span className="visually-hidden">{words.chat.quoted}: </span>
                {quoted === "missing" ? (
                  words.chat.quotedGone
                ) : (
                  <>
                    <strong>{quoted.direction === "outbound" ? words.chats.you : person}</strong>
                    <span>{previewOf(quoted.type, quoted.text, words)}</span>
                  </>
                )}
              </button>
            )}
            {!ASKS.has(message.type) && <Attachment message={message} />}
            {message.type === "template" && (
              <>
                <p className="tag">
                  {words.chat.template} · {message.text}
                </p>
                <Suspense fallback={null}>
                  <TemplatePart content={message.content} />
                </Suspense>
              </>
            )}
            {text &&
              (!isMedia(message.type) || HAS_CAPTION.has(message.type)) &&
              !isFileNameOnly(message, text) &&
              !isPlace(message.type) &&
              message.type !== "template" && <FormattedText text={text} />}
            {ASKS.has(message.type) && <Attachment message={message} />}
            {!KNOWN.has(message.type) && !text && <p className="gone">{words.chat.unsupported}</p>}
          </>
        )}
        <span className="meta">
          {annotations.editedText && <span>{words.chat.edited}</span>}
          {message.origin === "echo" && (
            <span title={words.chat.echo}>
              <Icon name="phone" />
              <span className="visually-hidden">{words.chat.echo}</span>
            </span>
          )}
          {message.origin === "history" && <span>{words.chat.history}</span>}
          <time dateTime={toDate(message.occurred_at).toISOString()}>{time}</time>
          {isOurs && <StatusMark status={message.status} />}
        </span>
        {annotations.reactions.length > 0 && (
          <span className="reactions">
            {annotations.reactions.map(({ emoji, isOurs: isMine }) => (
              <span key={String(isMine)} title={isMine ? words.chats.you : person}>
                <span className="visually-hidden">{words.chat.reaction}: </span>
                {emoji}
              </span>
            ))}
          </span>
        )}
      </article>
      {isActive && (
        <div className="toolbar" role="toolbar" aria-label={words.chat.actions}>
          <button
            type="button"
            className="icon-button"
            aria-label={words.chat.reply}
            title={words.chat.reply}
            onClick={() => onReply(message)}
            disabled={!message.wamid}
          >
            <Icon name="reply" />
          </button>
          <button
            type="button"
            className="icon-button"
            aria-label={words.chat.react}
            title={words.chat.react}
            aria-expanded={isReacting}
            onClick={() => setIsReacting(!isReacting)}
            disabled={!message.wamid}
          >
            <Icon name="heart" />
          </button>
          <button
            type="button"
            className="icon-button"
            aria-label={words.chat.timeline}
            title={words.chat.timeline}
            onClick={() => onDetails(message)}
          >
            <Icon name="info" />
          </button>
          {isReacting && (
            <div className="reaction-row">
              {REACTIONS.map((emoji) => (
                <button
                  key={emoji}
                  type="button"
                  className="icon-button"
                  aria-pressed={ownReaction === emoji}
                  aria-label={
                    ownReaction === emoji ? `${words.chat.removeReaction} ${emoji}` : `${words.chat.react} ${emoji}`
                  }
                  onClick={() => {
                    setIsReacting(false);
                    onReact(message, ownReaction === emoji ? "" : emoji);
                  }}
                >
                  {emoji}
                </button>
              ))}
            </div>
          )}
        </div>
      )}
      {isOurs && (message.status === "failed" || message.status === "uncertain" || message.status === "cancelled") && (
        <div className={`failure ${message.status}`} role="group" aria-label={words.chat.status[message.status]}>
          <Icon name="warning" />
          <div>
            <strong>{words.chat.status[message.status]}</strong>{" "}
            {message.status === "failed" && (
              <Suspense fallback={null}>
                <MetaSentence code={message.error_code} subcode={message.error_subcode} />
              </Suspense>
            )}
            {message.status === "uncertain" && <span>{words.chat.uncertain}</span>}
            <div className="row">
              {mayRetry ? (
                <button type="button" className="button small" disabled={isRetrying} onClick={() => void retry()}>
                  <Icon name="refresh" />
                  {words.chat.failedRetry}
                </button>
              ) : (
                <span className="muted">{words.chat.uncertainRetryIn(countdown(uncertainFor))}</span>
              )}
              {message.error_code !== null && (
                <span className="small muted">{words.chat.error(message.error_code)}</span>
              )}
            </div>
          </div>
        </div>
      )}
    </li>
  );
});

function isMedia(type: string): boolean {
  return ["image", "video", "audio", "voice", "document", "sticker"].includes(type);
}

function isPlace(type: string): boolean {
  return type === "location" || type === "contacts";
}

/** A document's text is its file's name where it has no caption; that is on its chip already. */
function isFileNameOnly(message: Message, text: string): boolean {
  if (message.type !== "document") return false;
  const part = message.content["document"] as { filename?: unknown; caption?: unknown } | undefined;
  return part?.filename === text && !part.caption;
}
