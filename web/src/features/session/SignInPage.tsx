// Sign in, create an account, or come back by a link.

import { useEffect, useState, type SyntheticEvent } from "react";

import { Boundary } from "../../components/Boundary";
import { Field } from "../../components/Field";
import { Icon } from "../../components/Icon";
import { Notice } from "../../components/Notice";
import { SubmitButton } from "../../components/SubmitButton";
import { readConfig } from "../../config";
import { useText, type Catalogue } from "../../i18n";
import { createSupabaseClient } from "../../supabase";
import { rememberAsking, takeMailLink } from "./api/mailLink";
import { Corner } from "./components/Corner";
import { OpenedLink } from "./components/OpenedLink";

type Mode = "enter" | "create" | "forgot" | "link" | "renew";

const SHORTEST_PASSWORD = 8;

export default function SignInPage() {
  return (
    <Boundary>
      <SignIn />
    </Boundary>
  );
}

function SignIn() {
  const words = useText();
  const [link, setLink] = useState(takeMailLink);
  const [supabase] = useState(() => createSupabaseClient(readConfig()));
  const [mode, setMode] = useState<Mode>(link?.isRecovery ? "renew" : "enter");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [isBusy, setIsBusy] = useState(false);
  const [problem, setProblem] = useState<{ readonly field?: "email" | "password"; readonly text: string } | null>(() =>
    cameByDeadLink() ? { text: words.signIn.linkDead } : null,
  );
  const [news, setNews] = useState<string | null>(null);

  useEffect(() => {
    document.title = `${words.signIn.title} · ${words.app}`;
  }, [words]);
  useEffect(() => {
    // Who came by a link goes on as the link says, whoever was signed in before.
    if (link || mode === "renew") return;
    const { data } = supabase.auth.onAuthStateChange((event, session) => {
      if (session && (event === "INITIAL_SESSION" || event === "SIGNED_IN")) location.replace(nextPath());
    });
    return () => data.subscription.unsubscribe();
  }, [supabase, link, mode]);

  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    const found = findProblem(words, mode, email, password);
    setProblem(found);
    setNews(null);
    if (found) return;
    setIsBusy(true);
    if (mode !== "enter" && mode !== "renew") rememberAsking(email);
    const here = `${location.origin}${location.pathname}`;
    try {
      if (mode === "enter") {
        const { error } = await supabase.auth.signInWithPassword({ email, password });
        if (error) throw error;
      } else if (mode === "create") {
        const { data, error } = await supabase.auth.signUp({ email, password, options: { emailRedirectTo: here } });
        if (error) throw error;
        if (!data.session) setNews(words.signIn.confirmEmail);
      } else if (mode === "forgot") {
        const { error } = await supabase.auth.resetPasswordForEmail(email, { redirectTo: here });
        if (error) throw error;
        setNews(words.signIn.linkSent);
      } else if (mode === "link") {
        const { error } = await supabase.auth.signInWithOtp({
          email,
          options: { emailRedirectTo: here + location.search, shouldCreateUser: false },
        });
        // Who has an account here is nobody's business.
        if (error && error.code !== "otp_disabled" && error.code !== "signup_disabled") throw error;
        setNews(words.signIn.linkSent);
      } else {
        const { error } = await supabase.auth.updateUser({ password });
        if (error) throw error;
        location.replace(nextPath());
      }
    } catch (error) {
      setProblem({ text: sentenceOf(words, error) });
    } finally {
      setIsBusy(false);
    }
  };

  const change = (next: Mode) => () => {
    setMode(next);
    setProblem(null);
    setNews(null);
  };
  const labels = {
    enter: words.signIn.enter,
    create: words.signIn.create,
    forgot: words.signIn.sendLink,
    link: words.signIn.sendLink,
    renew: words.signIn.setPassword,
  };
  const titles = { ...labels, forgot: words.signIn.forgot, link: words.signIn.byLink };
  const hasPassword = mode !== "forgot" && mode !== "link";
  return (
    <div className="sign-in">
      <aside>
        <img src="/icon.svg" alt="" width="56" height="56" />
        <p className="claim">{words.signIn.welcome}</p>
        <p>{words.signIn.lead}</p>
        <ul>
          {words.signIn.points.map((point) => (
            <li key={point}>
              <Icon name="good" />
              {point}
            </li>
          ))}
        </ul>
      </aside>
      <main>
        <Corner />
        {link ? (
          <OpenedLink
            link={link}
            supabase={supabase}
            onOpened={() => setLink(null)}
            onFailed={(reason) => {
              setMode("enter");
              setProblem({ text: reason === "dead" ? words.signIn.linkDead : words.errors.unreachable });
              setLink(null);
            }}
          />
        ) : (
          <form className="form narrow" onSubmit={(event) => void submit(event)} noValidate>
            <h1>{titles[mode]}</h1>
            {(mode === "forgot" || mode === "link") && (
              <p className="muted">{mode === "forgot" ? words.signIn.forgotLead : words.signIn.byLinkLead}</p>
            )}
            {mode !== "renew" && (
              <Field label={words.signIn.email} problem={problem?.field === "email" ? problem.text : null}>
                {(attributes) => (
                  <input
                    {...attributes}
                    type="email"
                    autoComplete="username"
                    value={email}
                    onChange={(event) => setEmail(event.target.value.trim())}
                  />
                )}
              </Field>
            )}
            {hasPassword && (
              <Field
                label={mode === "renew" ? words.signIn.newPassword : words.signIn.password}
                hint={mode === "enter" ? undefined : words.signIn.passwordHint}
                problem={problem?.field === "password" ? problem.text : null}
              >
                {(attributes) => (
                  <input
                    {...attributes}
                    type="password"
                    autoComplete={mode === "enter" ? "current-password" : "new-password"}
                    value={password}
                    onChange={(event) => setPassword(event.target.value)}
                  />
                )}
              </Field>
            )}
            {problem && !problem.field && <Notice tone="bad">{problem.text}</Notice>}
            {news && <Notice tone="good">{news}</Notice>}
            <SubmitButton isBusy={isBusy}>{labels[mode]}</SubmitButton>
            {mode === "enter" && (
              <div className="row center">
                <button type="button" className="button plain" onClick={change("link")}>
                  {words.signIn.byLink}
                </button>
                <button type="button" className="button plain" onClick={change("forgot")}>
                  {words.signIn.forgot}
                </button>
              </div>
            )}
            <p className="switch">
              {mode === "enter" ? words.signIn.noAccount : words.signIn.haveAccount}{" "}
              <button
                type="button"
                className="button plain small"
                onClick={change(mode === "enter" ? "create" : "enter")}
              >
                {mode === "enter" ? words.signIn.create : words.signIn.enter}
              </button>
            </p>
          </form>
        )}
      </main>
    </div>
  );
}

function findProblem(words: Catalogue, mode: Mode, email: string, password: string) {
  if (mode !== "renew" && !/^\S+@\S+$/.test(email)) return { field: "email", text: words.signIn.badEmail } as const;
  if (mode !== "forgot" && mode !== "link" && !password)
    return { field: "password", text: words.common.required } as const;
  const isNew = mode === "create" || mode === "renew";
  if (isNew && password.length < SHORTEST_PASSWORD)
    return { field: "password", text: words.signIn.passwordHint } as const;
  return null;
}

function sentenceOf(words: Catalogue, error: unknown): string {
  const { code = "", status = 0, message = "" } = error as { code?: string; status?: number; message?: string };
  if (status === 429) return words.signIn.slowDown;
  if (code === "invalid_credentials" || /invalid.*(login|credentials)/i.test(message)) return words.signIn.wrong;
  if (code === "user_already_exists" || /already/i.test(message)) return words.signIn.taken;
  if (code === "weak_password") return words.signIn.weak;
  if (code === "email_address_invalid") return words.signIn.badEmail;
  if (status === 0 || /fetch/i.test(message)) return navigator.onLine ? words.errors.unreachable : words.errors.offline;
  return words.signIn.failed;
}

/** Links work once and for an hour; what comes of an old one is told behind the address. */
function cameByDeadLink(): boolean {
  return /[#&]error(_code)?=/.test(location.hash);
}

/** Back to where the person came from, and never to another site. */
function nextPath(): string {
  const next = new URLSearchParams(location.search).get("next") ?? "";
  return /^\/(?![/\\])/.test(next) ? next : "/chats/";
}
