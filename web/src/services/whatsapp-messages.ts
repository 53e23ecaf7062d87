// Sending: one function for each type. Every call has an Idempotency-Key, so that a call repeated after a lost answer
// is the same message.

import type { MessageView, ReadBody, RetryBody } from "../generated/api";
import type { Api } from "./api";

export type MessageStatus =
  | "received"
  | "queued"
  | "cancelled"
  | "sending"
  | "uncertain"
  | "accepted"
  | "sent"
  | "failed"
  | "delivered"
  | "read"
  | "played";

/** A message as the functions answer it; the rows that PostgREST reads have more columns. */
export type SentMessage = Omit<MessageView, "status"> & { readonly status: MessageStatus };

export interface SendOptions {
  readonly replyTo?: string;
  readonly idempotencyKey?: string;
}

/** A public link, or a path in Supabase Storage. */
export type FileSource = string | { readonly storagePath: string };

export interface TemplateMessage {
  readonly name: string;
  readonly language: string;
  readonly components?: readonly object[];
}

export interface Place {
  readonly latitude: number;
  readonly longitude: number;
  readonly name?: string;
  readonly address?: string;
}

export interface WhatsAppMessagesService {
  sendTextMessage(chatId: string, text: string, options?: SendOptions): Promise<SentMessage>;
  sendImageMessage(chatId: string, imageUrl: FileSource, caption?: string, options?: SendOptions): Promise<SentMessage>;
  sendVideoMessage(chatId: string, videoUrl: FileSource, caption?: string, options?: SendOptions): Promise<SentMessage>;
  sendAudioMessage(
    chatId: string,
    audioUrl: FileSource,
    options?: SendOptions & { readonly isVoice?: boolean },
  ): Promise<SentMessage>;
  sendDocumentMessage(
    chatId: string,
    documentUrl: FileSource,
    filename?: string,
    options?: SendOptions & { readonly caption?: string },
  ): Promise<SentMessage>;
  sendStickerMessage(chatId: string, stickerUrl: FileSource, options?: SendOptions): Promise<SentMessage>;
  sendLocationMessage(chatId: string, place: Place, options?: SendOptions): Promise<SentMessage>;
  sendContactsMessage(chatId: string, contacts: readonly object[], options?: SendOptions): Promise<SentMessage>;
  sendInteractiveMessage(chatId: string, interactive: object, options?: SendOptions): Promise<SentMessage>;
  sendReaction(chatId: string, messageId: string, emoji: string, options?: SendOptions): Promise<SentMessage>;
  sendTemplateMessage(
    to: { readonly chatId: string } | { readonly phoneNumber: string },
    template: TemplateMessage,
    options?: SendOptions,
  ): Promise<SentMessage>;
  /** Any body of the API as it is. */
  send(body: object, options?: SendOptions): Promise<SentMessage>;
  /** Sends a failed message's content once more, as a new message. */
  retryMessage(messageId: string): Promise<SentMessage>;
  /** Marks a chat as read here and on the customer's phone. */
  markAsRead(chatId: string, options?: { readonly isTyping?: boolean }): Promise<void>;
}

const SEND = "/whatsapp-send-message";

export function createWhatsAppMessages(api: Api, organizationId: string): WhatsAppMessagesService {
  const send = async (body: object, { replyTo, idempotencyKey = crypto.randomUUID() }: SendOptions = {}) => {
    const whole = { organization_id: organizationId, ...body, ...(replyTo ? { reply_to: replyTo } : {}) };
    return (await api.post<{ message: SentMessage }>(SEND, whole, { idempotencyKey })).message;
  };
  const file = (source: FileSource) =>
    typeof source === "string" ? { link: source } : { storage_path: source.storagePath };
  const captioned = (caption?: string) => (caption ? { caption } : {});
  return {
    send,
    sendTextMessage: (chatId, text, options) => send({ chat_id: chatId, type: "text", text: { body: text } }, options),
    sendImageMessage: (chatId, imageUrl, caption, options) =>
      send({ chat_id: chatId, type: "image", image: { ...file(imageUrl), ...captioned(caption) } }, options),
    sendVideoMessage: (chatId, videoUrl, caption, options) =>
      send({ chat_id: chatId, type: "video", video: { ...file(videoUrl), ...captioned(caption) } }, options),
    sendAudioMessage: (chatId, audioUrl, { isVoice = false, ...options } = {}) =>
      send(
        { chat_id: chatId, type: "audio", audio: { ...file(audioUrl), ...(isVoice ? { voice: true } : {}) } },
        options,
      ),
    sendDocumentMessage: (chatId, documentUrl, filename, { caption, ...options } = {}) =>
      send(
        {
          chat_id: chatId,
          type: "document",
          document: { ...file(documentUrl), ...(filename ? { filename } : {}), ...captioned(caption) },
        },
        options,
      ),
    sendStickerMessage: (chatId, stickerUrl, options) =>
      send({ chat_id: chatId, type: "sticker", sticker: file(stickerUrl) }, options),
    sendLocationMessage: (chatId, place, options) =>
      send({ chat_id: chatId, type: "location", location: place }, options),
    sendContactsMessage: (chatId, contacts, options) => send({ chat_id: chatId, type: "contacts", contacts }, options),
    sendInteractiveMessage: (chatId, interactive, options) =>
      send({ chat_id: chatId, type: "interactive", interactive }, options),
    sendReaction: (chatId, messageId, emoji, options) =>
      send({ chat_id: chatId, type: "reaction", reaction: { message_id: messageId, emoji } }, options),
    sendTemplateMessage: (to, template, options) =>
      send(
        { ...("chatId" in to ? { chat_id: to.chatId } : { to: to.phoneNumber }), type: "template", template },
        options,
      ),
    retryMessage: async (messageId) =>
      (await api.post<{ message: SentMessage }>(`${SEND}/retry`, { message_id: messageId } satisfies RetryBody))
        .message,
    markAsRead: async (chatId, { isTyping = false } = {}) => {
      await api.post(`${SEND}/read`, { chat_id: chatId, typing: isTyping } satisfies ReadBody);
    },
  };
}
