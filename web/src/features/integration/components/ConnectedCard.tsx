// A connected number: who it is, how it stands with Meta, and whether messages arrive.

import { useState } from "react";

import { Copyable } from "../../../components/Copyable";
import { Icon } from "../../../components/Icon";
import { Notice } from "../../../components/Notice";
import { dayOf, relativeTime, shortDay, toDate } from "../../../components/times";
import { useNow } from "../../../components/useNow";
import { useLanguage, useText } from "../../../i18n";
import type { Integration } from "../../../services/whatsapp-integration";
import { useSession } from "../../session/Session";
import { useAction } from "./useAction";

export function ConnectedCard({
  integration,
  isOwner,
}: {
  readonly integration: Integration;
  readonly isOwner: boolean;
}) {
  const words = useText().settings;
  const common = useText().common;
  const language = useLanguage();
  const quality = integration.quality_rating ?? "UNKNOWN";
  const tone = quality === "GREEN" ? "good" : quality === "YELLOW" ? "warn" : quality === "RED" ? "bad" : "info";
  const { token } = integration;
  return (
    <section className="card stack" aria-labelledby="number">
      <div className="number-head">
        <div>
          <p className="big-number" id="number">
            {integration.formatted_phone_number ?? integration.phone_number}
          </p>
          <p className="muted">{integration.display_name}</p>
        </div>
        <div className="row">
          <span className={`badge ${integration.verified_at ? "good" : "warn"}`}>
            {integration.verified_at ? words.connected.verified : words.connected.notVerified}
          </span>
          {integration.is_coexistence && <span className="badge bare info">{words.connected.coexistence}</span>}
        </div>
      </div>
      <dl className="facts">
        <div>
          <dt>{words.connected.quality}</dt>
          <dd>
            <span className={`badge ${tone}`}>{words.connected.qualities[quality] ?? quality}</span>
          </dd>
        </div>
        <div>
          <dt>{words.connected.limit}</dt>
          <dd>
            {integration.messaging_limit
              ? (words.connected.limits[integration.messaging_limit] ?? integration.messaging_limit)
              : common.unknown}
          </dd>
        </div>
        <div>
          <dt>{words.connected.throughput}</dt>
          <dd>{words.connected.perSecond(integration.throughput)}</dd>
        </div>
        <div>
          <dt>{words.connected.token}</dt>
          <dd>
            {token ? (
              <span className={`badge ${token.is_valid ? "good" : "bad"}`}>
                {!token.is_valid
                  ? words.connected.tokenDead
                  : token.expires_at
                    ? words.connected.tokenExpires(shortDay(toDate(token.expires_at), language))
                    : words.connected.tokenForever}
              </span>
            ) : (
              common.unknown
            )}
          </dd>
        </div>
        {integration.connected_at && (
          <div>
            <dt>{words.connected.since}</dt>
            <dd>{dayOf(toDate(integration.connected_at), language)}</dd>
          </div>
        )}
      </dl>
      {isOwner && <Identifiers integration={integration} />}
    </section>
  );
}

function Identifiers({ integration }: { readonly integration: Integration }) {
  const words = useText().settings.connected;
  const common = useText().common;
  const session = useSession();
  const [pin, setPin] = useState<string | null>(null);
  const { isBusy, error, run } = useAction();
  return (
    <details className="disclosure">
      <summary>{words.ids}</summary>
      <div className="stack">
        {integration.phone_number_id && <Copyable label={words.phoneNumberId} value={integration.phone_number_id} />}
        {integration.business_account_id && <Copyable label={words.wabaId} value={integration.business_account_id} />}
        {integration.app_id && <Copyable label={words.appId} value={integration.app_id} />}
        {pin ? (
          <Copyable label={words.pin} value={pin} />
        ) : (
          <div className="row">
            <span>{words.pin}</span>
            <button
              type="button"
              className="button small"
              disabled={isBusy}
              onClick={() => void run(async () => setPin((await session.integration.revealPin()) ?? common.unknown))}
            >
              <Icon name="eye" />
              {common.show}
            </button>
            {error && <span className="problem">{error.message}</span>}
          </div>
        )}
      </div>
    </details>
  );
}

export function WebhookCard({ integration }: { readonly integration: Integration }) {
  const words = useText().settings.webhook;
  const language = useLanguage();
  const now = useNow(10_000);
  const { state, url, verify_token: verifyToken, last_event_at: last } = integration.webhook;
  return (
    <section className="card stack" aria-labelledby="webhook">
      <div className="number-head">
        <h2 id="webhook">{words.title}</h2>
        <span className={`badge ${state === "receiving" ? "good" : state === "waiting" ? "warn" : ""}`} role="status">
          {state === "receiving" ? words.receiving : state === "waiting" ? words.waiting : words.off}
        </span>
      </div>
      {state === "waiting" && <Notice tone="warn">{url ? words.waitingOwn : words.waitingText}</Notice>}
      {last && <p className="muted">{words.last(relativeTime(toDate(last), now, language))}</p>}
      {url && <Copyable label={words.url} value={url} />}
      {verifyToken && <Copyable label={words.verifyToken} value={verifyToken} />}
    </section>
  );
}
