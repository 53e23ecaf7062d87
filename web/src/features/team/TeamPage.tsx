// The team: who can see and answer the chats, and who is invited.

import { useCallback, useEffect, useState, type SyntheticEvent } from "react";

import { Boundary } from "../../components/Boundary";
import { Dialog } from "../../components/Dialog";
import { Field } from "../../components/Field";
import { ErrorNotice, Notice } from "../../components/Notice";
import { SubmitButton } from "../../components/SubmitButton";
import { dayOf, toDate } from "../../components/times";
import { useLanguage, useText } from "../../i18n";
import { asApiError, type ApiError } from "../../services/api";
import { SessionProvider, useSession } from "../session/Session";
import { leaveOrganization } from "../session/api/memberships";
import { Invitations } from "../session/components/Invitations";
import { Shell } from "../session/components/Shell";
import {
  findInvitations,
  findMembers,
  inviteMember,
  removeMember,
  withdrawInvitation,
  type Invitation,
  type Member,
  type Role,
} from "./api/members";

export default function TeamPage() {
  return (
    <Boundary>
      <SessionProvider>
        <Shell section="team">
          <Team />
        </Shell>
      </SessionProvider>
    </Boundary>
  );
}

function Team() {
  const all = useText();
  const words = all.team;
  const language = useLanguage();
  const { supabase, organization, user, invitations: mine, reload } = useSession();
  const isOwner = organization.role === "owner";
  const [members, setMembers] = useState<readonly Member[] | null>(null);
  const [invitations, setInvitations] = useState<readonly Invitation[]>([]);
  const [error, setError] = useState<ApiError | null>(null);
  const [leaving, setLeaving] = useState<Member | null>(null);

  const load = useCallback(async () => {
    try {
      setMembers(await findMembers(supabase, organization.id));
      setInvitations(isOwner ? await findInvitations(supabase, organization.id) : []);
      setError(null);
    } catch (failure) {
      setError(asApiError(failure));
    }
  }, [supabase, organization.id, isOwner]);
  useEffect(() => {
    void load();
  }, [load]);
  const act = async (work: () => Promise<void>) => {
    try {
      await work();
      await load();
    } catch (failure) {
      setError(asApiError(failure));
    }
  };
  // An organization keeps an owner.
  const canLeave = !isOwner || (members ?? []).filter(({ role }) => role === "owner").length > 1;
  const isSelf = leaving?.user_id === user.id;
  const end = isSelf ? words.leave : words.remove;
  const go = ({ user_id }: Member) => {
    setLeaving(null);
    if (isSelf) {
      leaveOrganization(supabase, organization.id).then(reload, (failure: unknown) => setError(asApiError(failure)));
    } else {
      void act(() => removeMember(supabase, organization.id, user_id));
    }
  };
  return (
    <div className="page">
      <header>
        <h1>{words.title}</h1>
        <p className="muted">{words.lead}</p>
      </header>
      {mine.length > 0 && <Invitations supabase={supabase} invitations={mine} onChanged={reload} />}
      {error && <ErrorNotice error={error} onRetry={() => void load()} />}
      {!isOwner && <Notice>{words.onlyOwner}</Notice>}
      <section className="card stack" aria-label={words.title} aria-busy={members === null}>
        <ul className="members">
          {members?.map((member) => (
            <li key={member.user_id}>
              <div>
                <strong>{member.email}</strong>{" "}
                {member.user_id === user.id && <span className="muted">({words.you})</span>}
                <p className="small muted">{words.joined(dayOf(toDate(member.created_at), language))}</p>
              </div>
              <span className="badge bare">{all.organization.role[member.role]}</span>
              {member.user_id === user.id && canLeave && (
                <button type="button" className="button small" onClick={() => setLeaving(member)}>
                  {words.leave}
                </button>
              )}
              {isOwner && member.user_id !== user.id && (
                <button
                  type="button"
                  className="button small"
                  aria-label={`${words.remove}: ${member.email ?? ""}`}
                  onClick={() => setLeaving(member)}
                >
                  {words.remove}
                </button>
              )}
            </li>
          ))}
        </ul>
      </section>
      {isOwner && <Invite onInvited={load} />}
      {invitations.length > 0 && (
        <section className="card stack" aria-labelledby="pending">
          <h2 id="pending">{words.pending}</h2>
          <ul className="members">
            {invitations.map((invitation) => (
              <li key={invitation.id}>
                <div>
                  <strong>{invitation.email}</strong>
                </div>
                <span className="badge bare">{all.organization.role[invitation.role]}</span>
                <button
                  type="button"
                  className="button small"
                  aria-label={`${words.revoke}: ${invitation.email}`}
                  onClick={() => void act(() => withdrawInvitation(supabase, invitation.id))}
                >
                  {words.revoke}
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
      {leaving && (
        <Dialog
          title={end}
          onClose={() => setLeaving(null)}
          footer={
            <>
              <button type="button" className="button" onClick={() => setLeaving(null)}>
                {all.common.cancel}
              </button>
              <button type="button" className="button danger" onClick={() => go(leaving)}>
                {end}
              </button>
            </>
          }
        >
          <p>{isSelf ? words.leaveConfirm : words.removeConfirm}</p>
          <p>
            <strong>{isSelf ? organization.name : leaving.email}</strong>
          </p>
        </Dialog>
      )}
    </div>
  );
}

function Invite({ onInvited }: { readonly onInvited: () => Promise<void> }) {
  const all = useText();
  const words = all.team;
  const { supabase, organization } = useSession();
  const [email, setEmail] = useState("");
  const [role, setRole] = useState<Role>("agent");
  const [problem, setProblem] = useState<string | null>(null);
  const [invited, setInvited] = useState<string | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    setInvited(null);
    setError(null);
    const isRight = /^[^@\s]+@[^@\s]+$/.test(email);
    setProblem(isRight ? null : all.signIn.badEmail);
    if (!isRight) return;
    setIsBusy(true);
    try {
      await inviteMember(supabase, organization.id, email, role);
      setInvited(email);
      setEmail("");
      await onInvited();
    } catch (failure) {
      setError(asApiError(failure));
    } finally {
      setIsBusy(false);
    }
  };
  return (
    <form className="card form" onSubmit={(event) => void submit(event)} noValidate aria-labelledby="invite">
      <h2 id="invite">{words.invite}</h2>
      <Field label={words.email} problem={problem}>
        {(attributes) => (
          <input
            {...attributes}
            type="email"
            autoComplete="off"
            value={email}
            onChange={(event) => setEmail(event.target.value.trim())}
          />
        )}
      </Field>
      <Field label={words.role}>
        {(attributes) => (
          <select {...attributes} value={role} onChange={(event) => setRole(event.target.value as Role)}>
            <option value="agent">{words.roles.agent}</option>
            <option value="owner">{words.roles.owner}</option>
          </select>
        )}
      </Field>
      {invited && <Notice tone="good">{words.invited(invited)}</Notice>}
      {error && <ErrorNotice error={error} />}
      <div>
        <SubmitButton isBusy={isBusy}>{words.add}</SubmitButton>
      </div>
    </form>
  );
}
