// Writing: words, emoji, files by choice, drop or paste, a reply's quote above.

import { lazy, Suspense, useEffect, useId, useRef, useState, type KeyboardEvent } from "react";

import { Icon } from "../../../components/Icon";
import { useText } from "../../../i18n";
import { asApiError } from "../../../services/api";
import { useSession } from "../../session/Session";
import { checkFile, uploadFile, type FileKind } from "../api/attachments";
import { previewOf, type Message } from "../api/rows";

const EmojiPicker = lazy(() => import("./EmojiPicker"));

const LONGEST_TEXT = 4096;
const TYPING_EVERY = 20_000;

export interface Written {
  readonly type: string;
  readonly text: string | null;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Props {
  readonly chatId: string;
  readonly person: string;
  readonly replyTo: Message | null;
  readonly onCancelReply: () => void;
  readonly onSend: (written: Written) => void;
  readonly onTyping: () => void;
}

interface Chosen {
  readonly file: File;
  readonly kind: FileKind;
  readonly problem: string | null;
  readonly progress: number | null;
}

export function Composer({ chatId, person, replyTo, onCancelReply, onSend, onTyping }: Props) {
  const words = useText();
  const { config, supabase, organization } = useSession();
  const id = useId();
  const [text, setText] = useState(() => readDraft(chatId));
  const [chosen, setChosen] = useState<Chosen | null>(null);
  const [isPicking, setIsPicking] = useState(false);
  const [isOver, setIsOver] = useState(false);
  const area = useRef<HTMLTextAreaElement>(null);
  const files = useRef<HTMLInputElement>(null);
  const toldTyping = useRef(0);

  useEffect(() => {
    const element = area.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight, 160)}px`;
    keepDraft(chatId, text);
  }, [text, chatId]);
  useEffect(() => {
    // On a phone the keyboard would cover what one came to read.
    if (replyTo || matchMedia("(hover: hover)").matches) area.current?.focus();
  }, [chatId, replyTo]);

  const choose = (file: File | undefined) => {
    if (!file) return;
    const { kind, problem } = checkFile(file);
    setChosen({ file, kind, problem: problem && words.chat.tooLarge(problem.limit), progress: null });
  };
  const sendFile = async ({ file, kind }: Chosen) => {
    setChosen((before) => before && { ...before, progress: 0, problem: null });
    try {
      const path = await uploadFile(config, supabase, organization.id, file, (progress) =>
        setChosen((before) => before && { ...before, progress }),
      );
      const caption = text.trim();
      const mayHaveCaption = kind === "image" || kind === "video" || kind === "document";
      const part = {
        storage_path: path,
        ...(kind === "document" ? { filename: file.name.slice(0, 240) } : {}),
        ...(caption && mayHaveCaption ? { caption } : {}),
      };
      onSend({
        type: kind,
        text: caption || (kind === "document" ? file.name : null),
        body: { type: kind, [kind]: part },
      });
      setChosen(null);
      if (mayHaveCaption) setText("");
    } catch (failure) {
      const error = asApiError(failure);
      setChosen((before) => before && { ...before, progress: null, problem: error.message || words.errors.unexpected });
    }
  };
  const send = () => {
    if (chosen) {
      if (chosen.progress === null && !isTooLarge(chosen)) void sendFile(chosen);
      return;
    }
    const body = text.trim();
    if (!body) return;
    onSend({ type: "text", text: body, body: { type: "text", text: { body, preview_url: /https?:\/\//.test(body) } } });
    setText("");
    setIsPicking(false);
  };
  const isTooLarge = ({ file }: Chosen) => checkFile(file).problem !== null;
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      send();
    }
    if (event.key === "Escape" && replyTo) onCancelReply();
  };
  const write = (next: string) => {
    setText(next);
    if (next && Date.now() - toldTyping.current > TYPING_EVERY) {
      toldTyping.current = Date.now();
      onTyping();
    }
  };
  const insert = (emoji: string) => {
    const element = area.current;
    const [start, end] = [element?.selectionStart ?? text.length, element?.selectionEnd ?? text.length];
    setText(text.slice(0, start) + emoji + text.slice(end));
    requestAnimationFrame(() => {
      element?.focus();
      element?.setSelectionRange(start + emoji.length, start + emoji.length);
    });
  };
  return (
    <form
      className={isOver ? "composer over" : "composer"}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onDragOver={(event) => {
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setIsOver(false);
        choose(event.dataTransfer.files[0]);
      }}
      onPaste={(event) => {
        if (event.clipboardData.files.length > 0) {
          event.preventDefault();
          choose(event.clipboardData.files[0]);
        }
      }}
    >
      {isOver && <p className="drop-hint">{words.chat.drop}</p>}
      {replyTo && (
        <div className="above">
          <div className="quote">
            <strong>{words.chat.replyingTo(replyTo.direction === "outbound" ? words.chats.you : person)}</strong>
            <span>{previewOf(replyTo.type, replyTo.text, words)}</span>
          </div>
          <button type="button" className="icon-button" aria-label={words.chat.cancelReply} onClick={onCancelReply}>
            <Icon name="close" />
          </button>
        </div>
      )}
      {chosen && (
        <div className="above">
          <Icon name={chosen.kind === "document" ? "document" : "image"} />
          <div className="chip-label">
            <span>{chosen.file.name}</span>
            <span className="small" role="status">
              {chosen.problem ? (
                <span className="bad-text">{chosen.problem}</span>
              ) : chosen.progress !== null ? (
                words.chat.uploading(chosen.progress)
              ) : null}
            </span>
            {chosen.progress !== null && (
              <progress max={100} value={chosen.progress} aria-label={words.chat.uploading(chosen.progress)} />
            )}
          </div>
          <button
            type="button"
            className="icon-button"
            aria-label={words.chat.remove}
            onClick={() => setChosen(null)}
            disabled={chosen.progress !== null}
          >
            <Icon name="trash" />
          </button>
        </div>
      )}
      {isPicking && (
        <Suspense fallback={null}>
          <EmojiPicker onPick={insert} label={words.chat.emoji} />
        </Suspense>
      )}
      <div className="composer-row">
        <input
          ref={files}
          type="file"
          hidden
          onChange={(event) => {
            choose(event.target.files?.[0]);
            event.target.value = "";
          }}
          aria-label={words.chat.attachFile}
        />
        <button
          type="button"
          className="icon-button"
          aria-label={words.chat.attach}
          title={words.chat.attach}
          onClick={() => files.current?.click()}
        >
          <Icon name="clip" />
        </button>
        <button
          type="button"
          className="icon-button"
          aria-label={words.chat.emoji}
          title={words.chat.emoji}
          aria-expanded={isPicking}
          onClick={() => setIsPicking(!isPicking)}
        >
          <Icon name="smile" />
        </button>
        <label className="visually-hidden" htmlFor={id}>
          {chosen ? words.chat.caption : words.chat.write}
        </label>
        <textarea
          ref={area}
          id={id}
          className="input"
          rows={1}
          maxLength={LONGEST_TEXT}
          placeholder={chosen ? words.chat.caption : words.chat.write}
          value={text}
          onChange={(event) => write(event.target.value)}
          onKeyDown={press}
        />
        <button
          type="submit"
          className="icon-button send"
          aria-label={words.common.send}
          aria-disabled={!text.trim() && !chosen}
        >
          <Icon name="send" />
        </button>
      </div>
    </form>
  );
}

function readDraft(chatId: string): string {
  try {
    return sessionStorage.getItem(`draft:${chatId}`) ?? "";
  } catch {
    return "";
  }
}

function keepDraft(chatId: string, text: string): void {
  try {
    if (text) sessionStorage.setItem(`draft:${chatId}`, text);
    else sessionStorage.removeItem(`draft:${chatId}`);
  } catch {
    // Without storage a draft lasts as long as the chat is open.
  }
}
