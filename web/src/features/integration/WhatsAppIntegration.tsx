// The connection of an organization's number, from nothing to connected and back.

import { lazy, Suspense } from "react";

import { ErrorNotice, Notice } from "../../components/Notice";
import { ApiError } from "../../services/api";
import { useText } from "../../i18n";
import { useSession } from "../session/Session";
import { useConnection } from "./api/useConnection";
import { ConnectedCard, WebhookCard } from "./components/ConnectedCard";
import { ConnectWays } from "./components/ConnectWays";
import { Disconnect } from "./components/Disconnect";
import { Doctor } from "./components/Doctor";
import { Help } from "./components/Help";
import { Reconnect } from "./components/Reconnect";

const Notices = lazy(() => import("./components/Notices"));

const tones = { none: "", pending: "info", connected: "good", error: "bad", disconnected: "" } as const;

export function WhatsAppIntegration() {
  const words = useText();
  const { organization } = useSession();
  const { connection, error, set, reload } = useConnection();
  const integration = connection?.integration ?? null;
  const status = integration?.status ?? "none";
  const isOwner = organization.role === "owner";
  const isConnected = status === "connected" || status === "error";
  return (
    <div className="page">
      <header>
        <div className="number-head">
          <h1>{words.settings.title}</h1>
          {connection && (
            <span className={`badge ${tones[status]}`} role="status">
              {words.settings.state[status]}
            </span>
          )}
        </div>
        <p className="muted">{words.settings.lead}</p>
      </header>
      {!connection && error && <ErrorNotice error={error} onRetry={() => void reload()} />}
      {!connection && !error && (
        <div className="card skeleton" aria-busy="true">
          <span className="visually-hidden">{words.common.loading}</span>
        </div>
      )}
      {connection && !isOwner && <Notice>{words.settings.onlyOwner}</Notice>}
      {integration && status === "error" && (
        <>
          <Notice tone="bad" title={words.settings.reconnect.broken}>
            <p>
              {isOwner && integration.error_code === "token_dead"
                ? words.settings.reconnect.tokenDead
                : (new ApiError({ code: integration.error_code ?? "unexpected", message: "" }).wayOut ??
                  integration.error_message)}
            </p>
            <p>{words.settings.reconnect.brokenText}</p>
          </Notice>
          {isOwner && <ConnectWays open={null} onConnected={set} />}
        </>
      )}
      {status === "disconnected" && (
        <Notice tone="warn" title={words.settings.reconnect.title}>
          <p>{words.settings.reconnect.text}</p>
          {isOwner && integration?.way === "number" && <Reconnect onConnected={set} />}
        </Notice>
      )}
      {connection && !isConnected && isOwner && (
        <ConnectWays open={integration?.verification ?? null} onConnected={set} />
      )}
      {integration && isConnected && (
        <>
          <ConnectedCard integration={integration} isOwner={isOwner} />
          <WebhookCard integration={integration} />
        </>
      )}
      {integration && (
        <Suspense fallback={null}>
          <Notices />
        </Suspense>
      )}
      {integration && isConnected && (
        <>
          <Doctor />
          {isOwner && <Disconnect onDisconnected={reload} />}
        </>
      )}
      <Help />
    </div>
  );
}
