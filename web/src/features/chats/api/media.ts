// An attachment's bytes, fetched with the person's own token and shown from memory.

import { useCallback, useEffect, useState } from "react";

import { asApiError, type ApiError } from "../../../services/api";
import { useSession, type SignedIn } from "../../session/Session";
import { fetchStored } from "./attachments";

export interface MediaSource {
  readonly messageId: string;
  /** Where it lies, for what was sent from here. */
  readonly storagePath: string | null;
}

const kept = new Map<string, Promise<string>>();
const MOST_KEPT = 60;

function fetchMedia(session: SignedIn, { messageId, storagePath }: MediaSource): Promise<string> {
  let found = kept.get(messageId);
  if (!found) {
    const bytes = storagePath
      ? fetchStored(session.config, session.supabase, storagePath)
      : session.api.fetch(`/whatsapp-meta-api/media/${messageId}`).then((answer) => answer.blob());
    found = bytes.then((blob) => URL.createObjectURL(blob));
    found.catch(() => kept.delete(messageId));
    kept.set(messageId, found);
    const oldest = kept.keys().next().value;
    if (kept.size > MOST_KEPT && oldest !== undefined) {
      void kept.get(oldest)?.then(
        (address) => URL.revokeObjectURL(address),
        () => undefined,
      );
      kept.delete(oldest);
    }
  }
  return found;
}

export interface MediaState {
  readonly address: string | null;
  readonly isLoading: boolean;
  readonly error: ApiError | null;
  readonly load: () => Promise<string | null>;
}

/** With `isWanted` at once, else when `load` is called. */
export function useMedia(messageId: string, storagePath: string | null, isWanted: boolean): MediaState {
  const session = useSession();
  const [address, setAddress] = useState<string | null>(null);
  const [isLoading, setIsLoading] = useState(isWanted);
  const [error, setError] = useState<ApiError | null>(null);
  const load = useCallback(async () => {
    setIsLoading(true);
    setError(null);
    try {
      const found = await fetchMedia(session, { messageId, storagePath });
      setAddress(found);
      return found;
    } catch (failure) {
      setError(asApiError(failure));
      return null;
    } finally {
      setIsLoading(false);
    }
  }, [session, messageId, storagePath]);
  useEffect(() => {
    if (isWanted) void load();
  }, [isWanted, load]);
  return { address, isLoading, error, load };
}
