// What the person is asked to join: by whom, as what; accepted or declined each by itself.

import { useId, useState } from "react";

import { ErrorNotice } from "../../../components/Notice";
import { useText } from "../../../i18n";
import { asApiError, type ApiError } from "../../../services/api";
import type { SupabaseClient } from "../../../supabase";
import { acceptInvitation, declineInvitation, type MyInvitation } from "../api/memberships";

interface Props {
  readonly supabase: SupabaseClient;
  readonly invitations: readonly MyInvitation[];
  readonly onChanged: () => Promise<void>;
}

export function Invitations({ supabase, invitations, onChanged }: Props) {
  const all = useText();
  const words = all.invitations;
  const id = useId();
  const [isBusy, setIsBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const decide = async (work: (supabase: SupabaseClient, id: string) => Promise<void>, invitation: MyInvitation) => {
    setIsBusy(true);
    setError(null);
    try {
      await work(supabase, invitation.id);
      await onChanged();
    } catch (failure) {
      setError(asApiError(failure));
    } finally {
      setIsBusy(false);
    }
  };
  return (
    <section className="card stack invitations" aria-labelledby={id}>
      <div>
        <h2 id={id}>{words.title}</h2>
        <p className="muted">{words.lead}</p>
      </div>
      <ul className="members">
        {invitations.map((invitation) => (
          <li key={invitation.id}>
            <div>
              <strong>{invitation.organization_name}</strong>{" "}
              <span className="badge bare">{all.organization.role[invitation.role]}</span>
              {invitation.invited_by && <p className="small muted">{words.from(invitation.invited_by)}</p>}
            </div>
            <button
              type="button"
              className="button primary small"
              disabled={isBusy}
              aria-label={`${words.accept}: ${invitation.organization_name}`}
              onClick={() => void decide(acceptInvitation, invitation)}
            >
              {words.accept}
            </button>
            <button
              type="button"
              className="button small"
              disabled={isBusy}
              aria-label={`${words.decline}: ${invitation.organization_name}`}
              onClick={() => void decide(declineInvitation, invitation)}
            >
              {words.decline}
            </button>
          </li>
        ))}
      </ul>
      {error && <ErrorNotice error={error} onRetry={() => void onChanged()} />}
    </section>
  );
}
