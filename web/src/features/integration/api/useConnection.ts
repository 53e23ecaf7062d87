// The connection as it stands, looked at again and again while something is expected to happen.

import { useCallback, useEffect, useState } from "react";

import { asApiError, type ApiError } from "../../../services/api";
import type { Connection } from "../../../services/whatsapp-integration";
import { useSession } from "../../session/Session";

const WAITING = 2_500;
const SETTLED = 30_000;

export interface ConnectionState {
  readonly connection: Connection | null;
  readonly error: ApiError | null;
  readonly set: (connection: Connection) => void;
  readonly reload: () => Promise<void>;
}

export function useConnection(): ConnectionState {
  const { integration } = useSession();
  const [connection, setConnection] = useState<Connection | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const reload = useCallback(async () => {
    try {
      setConnection(await integration.getIntegrationStatus());
      setError(null);
    } catch (failure) {
      setError(asApiError(failure));
    }
  }, [integration]);

  const isWaiting = connection?.integration?.webhook.state === "waiting";
  useEffect(() => {
    setConnection(null);
    void reload();
  }, [reload]);
  useEffect(() => {
    const look = () => {
      if (!document.hidden) void reload();
    };
    const timer = setInterval(look, isWaiting ? WAITING : SETTLED);
    document.addEventListener("visibilitychange", look);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [reload, isWaiting]);
  return { connection, error, set: setConnection, reload };
}
