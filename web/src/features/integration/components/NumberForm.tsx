// Connecting by a number and a code.

import { useEffect, useMemo, useState, type SyntheticEvent } from "react";

import { Field } from "../../../components/Field";
import { ErrorNotice, Notice } from "../../../components/Notice";
import { SubmitButton } from "../../../components/SubmitButton";
import { countdown, toDate } from "../../../components/times";
import { useNow } from "../../../components/useNow";
import { useLanguage, useText } from "../../../i18n";
import type { CodeMethod, Connection, Verification } from "../../../services/whatsapp-integration";
import { useSession } from "../../session/Session";
import { countries, findCountry, formatTyped, guessCountry, shownNumber } from "../api/countries";
import { ConnectSteps } from "./ConnectSteps";
import { useAction } from "./useAction";

const methods: readonly CodeMethod[] = ["sms", "voice", "whatsapp"];

interface Waiting {
  readonly verification: Verification;
  readonly number: string;
  readonly mayResendAt: number;
}

interface Props {
  /** A code that was asked for before the page was loaded. */
  readonly open: Verification | null;
  readonly onConnected: (connection: Connection) => void;
}

export function NumberForm({ open, onConnected }: Props) {
  const words = useText().settings.number;
  const common = useText().common;
  const language = useLanguage();
  const { integration, organization } = useSession();
  const [country, setCountry] = useState(() => guessCountry(navigator.languages));
  const [typed, setTyped] = useState("");
  const [displayName, setDisplayName] = useState(organization.name);
  const [method, setMethod] = useState<CodeMethod>("sms");
  const [isMissing, setIsMissing] = useState(false);
  const [waiting, setWaiting] = useState<Waiting | null>(() => (open ? waitFor(open, open.phone_number) : null));
  const { isBusy, error, run, clear } = useAction();
  const chosen = findCountry(country);
  const countryNames = useMemo(() => new Intl.DisplayNames([language], { type: "region" }), [language]);

  const request = async (by: CodeMethod) => {
    const answer = await integration.requestVerificationCode({
      phone_number: waiting?.verification.phone_number ?? typed,
      ...(waiting ? {} : { country }),
      method: by,
      ...(displayName.trim() ? { display_name: displayName.trim() } : {}),
    });
    setWaiting(waitFor(answer.verification, answer.formatted_phone_number));
  };
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const isEmpty = typed.replace(/\D/g, "") === "";
    setIsMissing(isEmpty);
    if (!isEmpty) void run(() => request(method));
  };

  if (waiting) {
    return (
      <CodeForm
        waiting={waiting}
        onResend={(by) => run(() => request(by))}
        resendAction={{ isBusy, error }}
        onConnected={onConnected}
        onChangeNumber={() => {
          clear();
          setWaiting(null);
        }}
      />
    );
  }
  return (
    <form className="form" onSubmit={submit} noValidate>
      <p className="muted">{words.lead}</p>
      <div className="number-row">
        <Field label={words.country}>
          {(attributes) => (
            <select {...attributes} value={country} onChange={(event) => setCountry(event.target.value)}>
              {countries.map(({ code, dial }) => (
                <option key={code} value={code}>
                  {countryNames.of(code)} (+{dial})
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field
          label={words.number}
          hint={words.numberHint}
          problem={isMissing ? common.required : error?.code === "invalid_phone_number" ? error.message : null}
        >
          {(attributes) => (
            <input
              {...attributes}
              type="tel"
              inputMode="tel"
              autoComplete="tel-national"
              value={formatTyped(typed, chosen)}
              onChange={(event) => setTyped(event.target.value)}
            />
          )}
        </Field>
      </div>
      {/\d{3}/.test(typed) && (
        <p className="shown-number" aria-live="polite">
          {words.shownAs}: <strong>{shownNumber(typed, chosen)}</strong>
        </p>
      )}
      <Field label={words.displayName}>
        {(attributes) => (
          <input
            {...attributes}
            maxLength={75}
            value={displayName}
            onChange={(event) => setDisplayName(event.target.value)}
          />
        )}
      </Field>
      <fieldset className="field">
        <legend className="label">{words.method}</legend>
        <div className="choices">
          {methods.map((name) => (
            <label key={name} className="choice">
              <input
                type="radio"
                name="method"
                value={name}
                checked={method === name}
                onChange={() => setMethod(name)}
              />
              {words.methods[name]}
            </label>
          ))}
        </div>
      </fieldset>
      {error && error.code !== "invalid_phone_number" && <ErrorNotice error={error} />}
      <SubmitButton isBusy={isBusy}>{words.request}</SubmitButton>
    </form>
  );
}

interface CodeFormProps {
  readonly waiting: Waiting;
  readonly onResend: (method: CodeMethod) => Promise<void>;
  readonly resendAction: { readonly isBusy: boolean; readonly error: ReturnType<typeof useAction>["error"] };
  readonly onConnected: (connection: Connection) => void;
  readonly onChangeNumber: () => void;
}

function CodeForm({ waiting, onResend, resendAction, onConnected, onChangeNumber }: CodeFormProps) {
  const all = useText();
  const words = all.settings.number;
  const { integration } = useSession();
  const now = useNow(1000).getTime();
  const [code, setCode] = useState("");
  const [pin, setPin] = useState("");
  const [attemptsLeft, setAttemptsLeft] = useState(waiting.verification.attempts_left);
  const { isBusy, error, run, clear } = useAction();
  const { verification } = waiting;

  useEffect(() => {
    setAttemptsLeft(verification.attempts_left);
    setCode("");
    clear();
  }, [verification.id, verification.attempts_left, clear]);
  const expiresIn = verification.expires_at ? (toDate(verification.expires_at).getTime() - now) / 1000 : null;
  const isExpired = verification.state === "expired" || (expiresIn !== null && expiresIn <= 0);
  const resendIn = (waiting.mayResendAt - now) / 1000;
  // The last attempt may have been the right one, and something after it have failed: then the same code goes on.
  const wasLast = attemptsLeft <= 0 && verification.state !== "verified" && (!error || error.code === "wrong_code");
  const isSpent = wasLast || error?.code === "too_many_attempts" || error?.code === "code_expired";

  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (code.length !== 6) return;
    void run(async () => {
      try {
        onConnected(await integration.verifyCode(code, { verificationId: verification.id, ...(pin ? { pin } : {}) }));
      } catch (failure) {
        const status = await integration.getIntegrationStatus().catch(() => null);
        const left = status?.integration?.verification?.attempts_left;
        if (left !== undefined) setAttemptsLeft(left);
        throw failure;
      }
    });
  };
  return (
    <form className="form" onSubmit={submit} noValidate>
      <p>
        {words.sentTo(waiting.number)} <span className="muted">({words.sentBy[verification.method]})</span>
      </p>
      <Field
        label={words.code}
        hint={
          isExpired || attemptsLeft <= 0
            ? undefined
            : `${expiresIn === null ? "" : words.expiresIn(countdown(expiresIn))} ${words.attemptsLeft(attemptsLeft)}`.trim()
        }
        problem={
          isExpired
            ? words.expired
            : wasLast
              ? words.spent
              : error?.code === "wrong_code"
                ? `${error.message} ${words.attemptsLeft(attemptsLeft)}`
                : null
        }
      >
        {(attributes) => (
          <input
            {...attributes}
            className="input code"
            inputMode="numeric"
            autoComplete="one-time-code"
            autoFocus
            maxLength={7}
            value={code}
            onChange={(event) => setCode(event.target.value.replace(/\D/g, "").slice(0, 6))}
          />
        )}
      </Field>
      {(error?.code === "pin_required" || pin) && (
        <Field label={all.settings.own.pin} hint={all.settings.own.pinHint}>
          {(attributes) => (
            <input
              {...attributes}
              inputMode="numeric"
              maxLength={6}
              value={pin}
              onChange={(event) => setPin(event.target.value.replace(/\D/g, ""))}
            />
          )}
        </Field>
      )}
      {isBusy && <ConnectSteps />}
      {error && error.code !== "wrong_code" && <ErrorNotice error={error} />}
      {resendAction.error && <ErrorNotice error={resendAction.error} />}
      <div className="row">
        <SubmitButton isBusy={isBusy} isDisabled={code.length !== 6 || isExpired || isSpent}>
          {words.verify}
        </SubmitButton>
        <button type="button" className="button plain" onClick={onChangeNumber}>
          {words.change}
        </button>
      </div>
      <div className="resend">
        {resendIn > 0 ? (
          <p className="muted">{words.resendIn(countdown(resendIn))}</p>
        ) : (
          <div className="row">
            <span className="muted">{words.resend}:</span>
            {methods.map((method) => (
              <button
                key={method}
                type="button"
                className="button small"
                disabled={resendAction.isBusy}
                onClick={() => void onResend(method)}
              >
                {words.methods[method]}
              </button>
            ))}
          </div>
        )}
      </div>
      <Notice>{all.settings.help.items[1]?.a}</Notice>
    </form>
  );
}

function waitFor(verification: Verification, number: string): Waiting {
  return { verification, number, mayResendAt: Date.now() + verification.resend_in * 1000 };
}
