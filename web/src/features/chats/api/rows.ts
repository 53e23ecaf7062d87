// Chats and messages as PostgREST reads them, and what is read off them. No I/O.

import { toDate } from "../../../components/times";
import type { Catalogue } from "../../../i18n";
import type { MessageStatus, SentMessage } from "../../../services/whatsapp-messages";

export interface Contact {
  readonly name: string | null;
  readonly saved_name: string | null;
  readonly phone_number: string | null;
  readonly username: string | null;
}

export interface Chat {
  readonly id: string;
  readonly platform: string;
  readonly group_id: string | null;
  readonly unread_count: number;
  readonly last_message_at: string | null;
  readonly last_message_text: string | null;
  readonly last_message_type: string | null;
  readonly last_message_direction: "inbound" | "outbound" | null;
  readonly last_message_key: string | null;
  readonly window_expires_at: string | null;
  readonly updated_at: string;
  readonly is_bot_on?: boolean;
  readonly contact: Contact | null;
}

export interface Media {
  readonly mime_type: string | null;
  readonly filename: string | null;
  readonly is_voice: boolean;
  readonly state: "pending" | "stored" | "failed" | "expired";
  readonly byte_count: number | null;
}

export interface Message {
  readonly id: string;
  readonly chat_id: string;
  readonly wamid: string | null;
  readonly direction: "inbound" | "outbound";
  readonly origin: "live" | "standby" | "echo" | "history";
  readonly type: string;
  readonly text: string | null;
  readonly content: Readonly<Record<string, unknown>>;
  readonly reply_to_wamid: string | null;
  readonly target_wamid: string | null;
  readonly is_forwarded: boolean;
  readonly status: MessageStatus;
  readonly occurred_at: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly queued_at: string | null;
  readonly attempted_at: string | null;
  readonly cancelled_at: string | null;
  readonly uncertain_at: string | null;
  readonly accepted_at: string | null;
  readonly sent_at: string | null;
  readonly delivered_at: string | null;
  readonly read_at: string | null;
  readonly played_at: string | null;
  readonly failed_at: string | null;
  readonly error_code: number | null;
  readonly error_subcode: number | null;
  readonly sent_by: string | null;
  readonly media: Media | null;
}

export const CHAT_COLUMNS =
  "id,platform,group_id,unread_count,last_message_at,last_message_text,last_message_type,last_message_direction," +
  "last_message_key,window_expires_at,updated_at,is_bot_on";
export const CONTACT_COLUMNS = "name,saved_name,phone_number,username";
export const MESSAGE_COLUMNS =
  "id,chat_id,wamid,direction,origin,type,text,content,reply_to_wamid,target_wamid,is_forwarded,status,occurred_at," +
  "created_at,updated_at,queued_at,attempted_at,cancelled_at,uncertain_at,accepted_at,sent_at,delivered_at,read_at," +
  "played_at,failed_at,error_code,error_subcode,sent_by,media:message_media(mime_type,filename,is_voice,state,byte_count)";

/** What speaks of another message and is shown on that one, not by itself. */
export const ANNOTATIONS: ReadonlySet<string> = new Set(["reaction", "edit", "revoke"]);

/** A cursor may miss what an older transaction commits later: every look reaches back this far, repeats are ignored. */
export const OVERLAP_SECONDS = 15;

export function nameOf(chat: Chat, words: Catalogue): string {
  if (chat.group_id) return words.chats.group;
  const { contact } = chat;
  const name = contact?.saved_name ?? contact?.name ?? (contact?.username ? `@${contact.username}` : null);
  return name ?? formatPhone(contact?.phone_number ?? null) ?? words.chats.unknownPerson;
}

export function formatPhone(phone: string | null): string | null {
  if (!phone) return null;
  // Grouped from the end, as every country reads it well enough.
  const digits = phone.replace(/\D/g, "");
  const head = digits.slice(0, -9);
  const tail = digits.slice(-9);
  return `+${head} ${tail.replace(/(\d{3})(?=\d)/g, "$1 ")}`.replace(/\s+/g, " ").trim();
}

/** What a list shows of a message: its words, or what kind of thing it is. */
export function previewOf(type: string | null, text: string | null, words: Catalogue): string {
  const kinds: Readonly<Record<string, string>> = {
    image: words.chat.photo,
    video: words.chat.video,
    audio: words.chat.audio,
    voice: words.chat.voice,
    document: words.chat.document,
    sticker: words.chat.sticker,
    location: words.chat.locationWord,
    contacts: words.chat.contactCard,
    template: words.chat.template,
    order: words.chat.order,
    interactive: words.chat.interactive,
  };
  const kind = type ? kinds[type] : undefined;
  const plain = text?.replace(/([*_~])(\S(?:[^\n]*?\S)?)\1/g, "$2") ?? null;
  if (kind && plain) return `${kind}: ${plain}`;
  return plain ?? kind ?? "…";
}

/** Meta tells whole seconds: within one, the order of arrival says more. */
export function byTime(a: Message, b: Message): number {
  const second = (moment: string) => Math.floor(toDate(moment).getTime() / 1000);
  const difference =
    second(a.occurred_at) - second(b.occurred_at) || toDate(a.created_at).getTime() - toDate(b.created_at).getTime();
  return difference !== 0 ? difference : a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

/** Adds and replaces; what did not change stays the same object, so that it is not drawn again. */
export function merge(known: readonly Message[], incoming: readonly Message[]): readonly Message[] {
  const byId = new Map(known.map((message) => [message.id, message]));
  let hasChanged = false;
  for (const message of incoming) {
    const before = byId.get(message.id);
    if (before && toDate(before.updated_at) >= toDate(message.updated_at)) {
      const mediaIsNew = before.media?.state !== message.media?.state;
      if (!mediaIsNew) continue;
    }
    byId.set(message.id, message);
    hasChanged = true;
  }
  return hasChanged ? [...byId.values()].sort(byTime) : known;
}

/** The answer of a send as the row that it is; a later look fills in the rest. */
export function fromSent(sent: SentMessage): Message {
  const blank = {
    queued_at: null,
    attempted_at: null,
    cancelled_at: null,
    uncertain_at: null,
    accepted_at: null,
    sent_at: null,
    delivered_at: null,
    read_at: null,
    played_at: null,
    failed_at: null,
  };
  return {
    ...blank,
    ...sent,
    origin: "live",
    is_forwarded: false,
    media: null,
    // Older than anything that the database will tell of it.
    updated_at: new Date(0).toISOString(),
  };
}

export interface Annotations {
  readonly reactions: readonly { readonly emoji: string; readonly isOurs: boolean }[];
  readonly editedText: string | null;
  readonly isRevoked: boolean;
}

const NONE: Annotations = { reactions: [], editedText: null, isRevoked: false };

/** What later rows say of each message, by its wamid. */
export function annotate(rows: readonly Message[]): (wamid: string | null) => Annotations {
  const byTarget = new Map<string, { ours: string; theirs: string; editedText: string | null; isRevoked: boolean }>();
  for (const row of rows) {
    if (!row.target_wamid || !ANNOTATIONS.has(row.type)) continue;
    if (row.status === "failed" || row.status === "cancelled") continue;
    const found = byTarget.get(row.target_wamid) ?? { ours: "", theirs: "", editedText: null, isRevoked: false };
    if (row.type === "revoke") found.isRevoked = true;
    else if (row.type === "edit") found.editedText = row.text;
    else if (row.direction === "outbound") found.ours = row.text ?? "";
    else found.theirs = row.text ?? "";
    byTarget.set(row.target_wamid, found);
  }
  return (wamid) => {
    const found = wamid ? byTarget.get(wamid) : undefined;
    if (!found) return NONE;
    const reactions = [
      { emoji: found.theirs, isOurs: false },
      { emoji: found.ours, isOurs: true },
    ].filter(({ emoji }) => emoji !== "");
    return { reactions, editedText: found.editedText, isRevoked: found.isRevoked };
  };
}
