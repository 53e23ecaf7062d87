// Files that are to be sent: what WhatsApp takes of each kind, and the way into Supabase Storage with its progress.

import type { Config } from "../../../config";
import { ApiError, toNetworkError } from "../../../services/api";
import type { SupabaseClient } from "../../../supabase";

export type FileKind = "image" | "video" | "audio" | "document" | "sticker";

const MEGABYTE = 1024 * 1024;
// https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media
const RULES: readonly { readonly kind: FileKind; readonly types: readonly string[]; readonly largest: number }[] = [
  { kind: "image", types: ["image/jpeg", "image/png"], largest: 5 * MEGABYTE },
  { kind: "sticker", types: ["image/webp"], largest: 500 * 1024 },
  { kind: "video", types: ["video/mp4", "video/3gpp"], largest: 16 * MEGABYTE },
  { kind: "audio", types: ["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"], largest: 16 * MEGABYTE },
];
const LARGEST_DOCUMENT = 100 * MEGABYTE;
const BUCKET = "whatsapp-media";

export interface Checked {
  readonly kind: FileKind;
  readonly problem: { readonly name: "too_large"; readonly limit: string } | null;
}

/** What a file would be sent as, and whether WhatsApp takes it. */
export function checkFile(file: { readonly type: string; readonly size: number }): Checked {
  const type = file.type.split(";")[0] ?? "";
  const rule = RULES.find(({ types }) => types.includes(type));
  const largest = rule?.largest ?? LARGEST_DOCUMENT;
  // What is too large as a picture or film may still go as a document.
  const kind = rule && file.size > largest && file.size <= LARGEST_DOCUMENT ? "document" : (rule?.kind ?? "document");
  const limit = kind === "document" ? LARGEST_DOCUMENT : largest;
  return {
    kind,
    problem: file.size > limit ? { name: "too_large", limit: `${Math.round(limit / MEGABYTE)} MB` } : null,
  };
}

/** Puts a file where only the organization can read it; returns its path for `storage_path`. */
export async function uploadFile(
  config: Config,
  supabase: SupabaseClient,
  organizationId: string,
  file: File,
  onProgress: (percent: number) => void,
): Promise<string> {
  const { data } = await supabase.auth.getSession();
  const name =
    file.name
      .normalize("NFKD")
      .replace(/[^\w.-]+/g, "_")
      .slice(-80) || "file";
  const path = `${organizationId}/outgoing/${crypto.randomUUID()}/${name}`;
  await new Promise<void>((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `${config.supabaseUrl}/storage/v1/object/${BUCKET}/${path}`);
    request.setRequestHeader("apikey", config.supabaseKey);
    request.setRequestHeader("Authorization", `Bearer ${data.session?.access_token ?? ""}`);
    request.setRequestHeader("Content-Type", file.type || "application/octet-stream");
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(Math.round((event.loaded / event.total) * 100));
    };
    request.onerror = () => reject(toNetworkError());
    request.onload = () => {
      if (request.status < 300) resolve();
      else reject(new ApiError({ code: "unexpected", message: "" }, { status: request.status }));
    };
    request.send(file);
  });
  return `${BUCKET}/${path}`;
}

/** The bytes of a file that was sent from here. */
export async function fetchStored(config: Config, supabase: SupabaseClient, storagePath: string): Promise<Blob> {
  const { data } = await supabase.auth.getSession();
  const address = `${config.supabaseUrl}/storage/v1/object/${storagePath.split("/").map(encodeURIComponent).join("/")}`;
  const answer = await fetch(address, {
    headers: { apikey: config.supabaseKey, Authorization: `Bearer ${data.session?.access_token ?? ""}` },
  });
  if (!answer.ok) throw new ApiError({ code: "not_found", message: "" }, { status: answer.status });
  return answer.blob();
}
