// One thing that takes a while and may fail.

import { useCallback, useState } from "react";

import { asApiError, type ApiError } from "../../../services/api";

export interface Action {
  readonly isBusy: boolean;
  readonly error: ApiError | null;
  readonly clear: () => void;
  readonly run: (work: () => Promise<void>) => Promise<void>;
}

export function useAction(): Action {
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const run = useCallback(async (work: () => Promise<void>) => {
    setIsBusy(true);
    setError(null);
    try {
      await work();
    } catch (failure) {
      setError(asApiError(failure));
    } finally {
      setIsBusy(false);
    }
  }, []);
  return { isBusy, error, run, clear: useCallback(() => setError(null), []) };
}
