// Connecting with the values of an organization's own Meta app.

import { useState, type SyntheticEvent } from "react";

import { Field } from "../../../components/Field";
import { ErrorNotice, Notice } from "../../../components/Notice";
import { SubmitButton } from "../../../components/SubmitButton";
import { useText } from "../../../i18n";
import type { Connection, Credentials } from "../../../services/whatsapp-integration";
import { useSession } from "../../session/Session";
import { ConnectSteps } from "./ConnectSteps";
import { useAction } from "./useAction";

const names = ["phone_number_id", "business_account_id", "access_token", "app_id", "app_secret", "pin"] as const;
type Name = (typeof names)[number];

const isNeeded = (name: Name) => name !== "pin";

export function OwnAppForm({ onConnected }: { readonly onConnected: (connection: Connection) => void }) {
  const words = useText();
  const { integration } = useSession();
  const [values, setValues] = useState<Readonly<Partial<Record<Name, string>>>>({});
  const [missing, setMissing] = useState<readonly Name[]>([]);
  const { isBusy, error, run } = useAction();
  const own = words.settings.own;
  const texts: Readonly<Record<Name, readonly [label: string, hint: string]>> = {
    phone_number_id: [own.phoneNumberId, own.phoneNumberIdHint],
    business_account_id: [own.wabaId, own.wabaIdHint],
    access_token: [own.token, own.tokenHint],
    app_id: [own.appId, own.appIdHint],
    app_secret: [own.appSecret, own.appSecretHint],
    pin: [own.pin, own.pinHint],
  };
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    const absent = names.filter((name) => isNeeded(name) && !values[name]?.trim());
    setMissing(absent);
    if (absent.length > 0) return;
    const given = Object.fromEntries(
      Object.entries(values).filter(([, value]) => value.trim()),
    ) as unknown as Credentials;
    void run(async () => onConnected(await integration.connectWithCredentials(given)));
  };
  const named = error?.details.some(({ field }) => names.includes(field as Name)) ?? false;
  return (
    <form className="form" onSubmit={submit} noValidate autoComplete="off">
      <p className="muted">{own.lead}</p>
      {names.map((name) => (
        <Field
          key={name}
          label={texts[name][0]}
          hint={texts[name][1]}
          isOptional={!isNeeded(name)}
          problem={missing.includes(name) ? words.common.required : error?.detailOf(name)}
        >
          {(attributes) => (
            <input
              {...attributes}
              name={name}
              type={name === "access_token" || name === "app_secret" ? "password" : "text"}
              inputMode={name === "access_token" || name === "app_secret" ? undefined : "numeric"}
              autoComplete="off"
              spellCheck={false}
              value={values[name] ?? ""}
              onChange={(event) => setValues({ ...values, [name]: event.target.value })}
            />
          )}
        </Field>
      ))}
      <Notice>{own.stored}</Notice>
      {isBusy && <ConnectSteps />}
      {error &&
        (named ? (
          <Notice tone="bad" title={error.message}>
            {error.wayOut}
          </Notice>
        ) : (
          <ErrorNotice error={error} />
        ))}
      <SubmitButton isBusy={isBusy}>{own.connect}</SubmitButton>
    </form>
  );
}
