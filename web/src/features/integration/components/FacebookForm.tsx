// Connecting through Meta's own dialog. The browser leaves for facebook.com and comes back with a ticket in the
// address's fragment: no script of Facebook's ever runs in our page.

import { useEffect, useRef, useState } from "react";

import { Icon } from "../../../components/Icon";
import { ErrorNotice, Notice } from "../../../components/Notice";
import { useText } from "../../../i18n";
import { ApiError } from "../../../services/api";
import type { Connection } from "../../../services/whatsapp-integration";
import { useSession } from "../../session/Session";
import { ConnectSteps } from "./ConnectSteps";
import { useAction } from "./useAction";

export interface Grant {
  readonly state: string;
  readonly ticket: string;
}

export type Return = { readonly grant: Grant } | { readonly error: string } | null;

/** What Meta's dialog sent back, taken out of the address so that it stays in no history. */
export function takeReturn(): Return {
  if (!location.hash.startsWith("#whatsapp_")) return null;
  const brought = new URLSearchParams(location.hash.slice(1));
  history.replaceState(null, "", location.pathname + location.search);
  const state = brought.get("whatsapp_state");
  const ticket = brought.get("whatsapp_ticket");
  if (state && ticket) return { grant: { state, ticket } };
  return { error: brought.get("whatsapp_error") ?? "unexpected" };
}

// Which dialog this browser began. Whoever comes back from another one was perhaps talked into it.
const DIALOG = "facebook-dialog";

interface Dialog {
  readonly state: string;
  readonly user: string;
  readonly organization: string;
}

function rememberDialog({ state, user, organization }: Dialog): void {
  try {
    localStorage.setItem(DIALOG, [state, user, organization].join(" "));
  } catch {
    // The person is then asked when they come back.
  }
}

function isFromHere({ state, user, organization }: Dialog): boolean {
  try {
    return localStorage.getItem(DIALOG) === [state, user, organization].join(" ");
  } catch {
    return false;
  }
}

export function FacebookForm({ onBegin }: { readonly onBegin?: () => void }) {
  const words = useText().settings.facebook;
  const { integration, user } = useSession();
  const [coexistence, setCoexistence] = useState(false);
  const { isBusy, error, run } = useAction();
  const begin = () =>
    run(async () => {
      const { authorize_url, state, organization_id } = await integration.startSignup({
        coexistence,
        returnPath: "/configuracion/",
      });
      rememberDialog({ state, user: user.id, organization: organization_id });
      onBegin?.();
      if (authorize_url) location.assign(authorize_url);
    });
  return (
    <div className="form">
      <p className="muted">{words.lead}</p>
      <ul className="needs">
        {words.need.map((need) => (
          <li key={need}>
            <Icon name="check" />
            {need}
          </li>
        ))}
      </ul>
      <label className="check">
        <input type="checkbox" checked={coexistence} onChange={(event) => setCoexistence(event.target.checked)} />
        {words.coexistence}
      </label>
      {error && <ErrorNotice error={error} />}
      <div>
        <button
          type="button"
          className="button primary"
          aria-busy={isBusy}
          disabled={isBusy}
          onClick={() => void begin()}
        >
          <Icon name="facebook" />
          {words.go}
        </button>
      </div>
    </div>
  );
}

/** Finishes what Meta's dialog granted: by itself where it was begun here, else once the person has said so. */
export function FacebookReturn({
  grant,
  onConnected,
  onRestart,
}: {
  readonly grant: Grant;
  readonly onConnected: (connection: Connection) => void;
  readonly onRestart: () => void;
}) {
  const all = useText();
  const words = all.settings.facebook;
  const { integration, user, organization } = useSession();
  const { isBusy, error, run } = useAction();
  const [isWanted, setIsWanted] = useState(() =>
    isFromHere({ state: grant.state, user: user.id, organization: organization.id }),
  );
  const isBegun = useRef(false);
  const finish = (phoneNumberId?: string) =>
    run(async () =>
      onConnected(await integration.exchangeSignup({ ...grant, ...(phoneNumberId ? { phoneNumberId } : {}) })),
    );
  useEffect(() => {
    if (isBegun.current || !isWanted) return;
    isBegun.current = true;
    void finish();
  });
  if (!isWanted) {
    return (
      <fieldset className="field">
        <legend>{words.elsewhere.title(organization.name)}</legend>
        <div className="stack">
          <p>{words.elsewhere.text(user.email, organization.name)}</p>
          <Notice tone="warn">{words.elsewhere.warning}</Notice>
          <div className="row">
            <button type="button" className="button primary" onClick={() => setIsWanted(true)}>
              {words.elsewhere.yes}
            </button>
            <button type="button" className="button" onClick={onRestart}>
              {all.common.cancel}
            </button>
          </div>
        </div>
      </fieldset>
    );
  }
  const choices = error?.code === "number_choice_required" ? error.details : [];
  return (
    <div className="form">
      {isBusy && (
        <>
          <p>{words.finishing}</p>
          <ConnectSteps />
        </>
      )}
      {choices.length > 0 && (
        <fieldset className="field">
          <legend>{words.chooseNumber}</legend>
          <div className="row">
            {choices.map((choice) => (
              <button
                key={String(choice["value"])}
                type="button"
                className="button"
                disabled={isBusy}
                onClick={() => void finish(String(choice["value"]))}
              >
                {choice.message}
              </button>
            ))}
          </div>
        </fieldset>
      )}
      {error && choices.length === 0 && (
        <>
          <ErrorNotice error={error} onRetry={error.isRetryable ? () => void finish() : undefined} />
          <div>
            <button type="button" className="button" onClick={onRestart}>
              {all.settings.otherWay}
            </button>
          </div>
        </>
      )}
    </div>
  );
}

export function ReturnNotice({ code }: { readonly code: string }) {
  const words = useText();
  if (code === "cancelled") return <Notice tone="warn">{words.settings.facebook.cancelled}</Notice>;
  return <ErrorNotice error={new ApiError({ code, message: words.errors.unexpected })} />;
}
