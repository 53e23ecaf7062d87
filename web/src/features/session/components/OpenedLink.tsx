// Coming in by the link of a mail: at once where this browser asked for it, else only if the person says so.

import { useEffect, useRef, useState } from "react";

import { SubmitButton } from "../../../components/SubmitButton";
import { useText } from "../../../i18n";
import type { SupabaseClient } from "../../../supabase";
import { wasAskedFor, type MailLink } from "../api/mailLink";

interface Props {
  readonly link: MailLink;
  readonly supabase: SupabaseClient;
  readonly onOpened: () => void;
  readonly onFailed: (reason: "dead" | "unreachable") => void;
}

export function OpenedLink({ link, supabase, onOpened, onFailed }: Props) {
  const words = useText();
  const [account, setAccount] = useState<string | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const isBegun = useRef(false);
  const fail = (error: { readonly status?: number | undefined }) =>
    onFailed(error.status && error.status < 500 ? "dead" : "unreachable");
  const enter = async () => {
    setIsBusy(true);
    const { error } = await supabase.auth.setSession({
      access_token: link.accessToken,
      refresh_token: link.refreshToken,
    });
    if (error) fail(error);
    else onOpened();
  };
  const look = async () => {
    // Asked of the server: what the address itself says of its account may be made up.
    const { data, error } = await supabase.auth.getUser(link.accessToken);
    if (error) fail(error);
    else if (wasAskedFor(data.user.email ?? "")) await enter();
    else setAccount(data.user.email ?? data.user.id);
  };
  useEffect(() => {
    if (isBegun.current) return;
    isBegun.current = true;
    void look();
  });
  if (account === null) {
    return (
      <p className="centered" aria-busy="true">
        <span className="spinner" aria-hidden="true" />
        <span className="visually-hidden">{words.common.loading}</span>
      </p>
    );
  }
  return (
    <form
      className="form narrow"
      onSubmit={(event) => {
        event.preventDefault();
        void enter();
      }}
    >
      <h1>{words.signIn.otherLink.title(account)}</h1>
      <p className="muted">{words.signIn.otherLink.lead}</p>
      <SubmitButton isBusy={isBusy}>{words.signIn.otherLink.yes}</SubmitButton>
      <button type="button" className="button" onClick={() => location.reload()}>
        {words.signIn.otherLink.no}
      </button>
    </form>
  );
}
