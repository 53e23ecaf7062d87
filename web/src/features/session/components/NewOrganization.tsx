// The first thing a new user does: name their business, or join the one that invites them.

import { useState, type SyntheticEvent } from "react";

import { ErrorNotice } from "../../../components/Notice";
import { Field } from "../../../components/Field";
import { SubmitButton } from "../../../components/SubmitButton";
import { useText } from "../../../i18n";
import { asApiError, type ApiError } from "../../../services/api";
import type { SupabaseClient } from "../../../supabase";
import { createOrganization, type MyInvitation } from "../api/memberships";
import { Corner } from "./Corner";
import { Invitations } from "./Invitations";

interface Props {
  readonly supabase: SupabaseClient;
  readonly user: { readonly id: string; readonly email: string };
  readonly invitations: readonly MyInvitation[];
  readonly onChanged: () => Promise<void>;
}

export function NewOrganization({ supabase, user, invitations, onChanged }: Props) {
  const words = useText();
  const [name, setName] = useState("");
  const [isBusy, setIsBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    if (!name.trim()) {
      setProblem(words.common.required);
      return;
    }
    setIsBusy(true);
    setProblem(null);
    setError(null);
    try {
      await createOrganization(supabase, user.id, name.trim());
      await onChanged();
    } catch (failure) {
      setError(asApiError(failure));
      setIsBusy(false);
    }
  };
  return (
    <main className="centered">
      <Corner />
      <form className="card form narrow" onSubmit={(event) => void submit(event)} noValidate>
        <div>
          <h1>{words.organization.title}</h1>
          <p className="muted">{words.organization.lead}</p>
        </div>
        <Field label={words.organization.name} problem={problem}>
          {(attributes) => (
            <input
              {...attributes}
              value={name}
              maxLength={200}
              autoComplete="organization"
              autoFocus
              onChange={(event) => setName(event.target.value)}
            />
          )}
        </Field>
        {error && <ErrorNotice error={error} />}
        <SubmitButton isBusy={isBusy}>{words.organization.create}</SubmitButton>
        <p className="small muted">
          {words.organization.waitInvite} <strong>{user.email}</strong>
          <br />
          <button type="button" className="button plain small" onClick={() => void supabase.auth.signOut()}>
            {words.nav.signOut}
          </button>
        </p>
      </form>
      {invitations.length > 0 && <Invitations supabase={supabase} invitations={invitations} onChanged={onChanged} />}
    </main>
  );
}
