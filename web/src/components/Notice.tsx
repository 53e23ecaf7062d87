// News for the person: what is so, and what they can do.

import type { ReactNode } from "react";

import { useText } from "../i18n";
import type { ApiError } from "../services/api";
import { Icon, type IconName } from "./Icon";

type Tone = "info" | "good" | "warn" | "bad";

const icons: Readonly<Record<Tone, IconName>> = { info: "info", good: "good", warn: "warning", bad: "warning" };

export function Notice({
  tone = "info",
  title,
  children,
}: {
  readonly tone?: Tone;
  readonly title?: string;
  readonly children?: ReactNode;
}) {
  return (
    <div className={`notice ${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <Icon name={icons[tone]} />
      <div>
        {title && <strong>{title}</strong>}
        {children}
      </div>
    </div>
  );
}

/** An error with its sentence, its way out, and what support would ask for. */
export function ErrorNotice({
  error,
  onRetry,
}: {
  readonly error: ApiError;
  readonly onRetry?: (() => void) | undefined;
}) {
  const words = useText();
  return (
    <Notice tone="bad" title={error.message}>
      {error.details.length > 0 && (
        <ul>
          {error.details
            .slice(0, 5)
            .map((detail) => detail.message && <li key={`${detail.field}${detail.rule}`}>{detail.message}</li>)}
        </ul>
      )}
      {error.wayOut && <p>{error.wayOut}</p>}
      <p className="small muted">
        {words.common.code}: {error.code}
        {error.requestId && ` · ${words.common.reference}: ${error.requestId}`}
      </p>
      {onRetry && (
        <div>
          <button type="button" className="button small" onClick={onRetry}>
            <Icon name="refresh" />
            {words.common.retry}
          </button>
        </div>
      )}
    </Notice>
  );
}
