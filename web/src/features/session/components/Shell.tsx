// The frame around every page of a signed-in person: sections, account, language, and the news that one is offline.

import { useEffect, useId, useRef, useState, useSyncExternalStore, type ReactNode } from "react";

import { Icon, type IconName } from "../../../components/Icon";
import { setTheme, useTheme, type Theme } from "../../../components/theme";
import { setLanguage, useLanguage, useText } from "../../../i18n";
import { useSession } from "../Session";

export type Section = "chats" | "settings" | "team";

const sections: readonly { readonly name: Section; readonly path: string; readonly icon: IconName }[] = [
  { name: "chats", path: "/chats/", icon: "chats" },
  { name: "settings", path: "/configuracion/", icon: "settings" },
  { name: "team", path: "/equipo/", icon: "team" },
];

export function Shell({
  section,
  isInChat = false,
  children,
}: {
  readonly section: Section;
  readonly isInChat?: boolean;
  readonly children: ReactNode;
}) {
  const words = useText();
  const isOnline = useIsOnline();
  const asked = useSession().invitations.length;
  useEffect(() => {
    document.title = `${words.nav[section]} · ${words.app}`;
  }, [words, section]);
  return (
    <div className={isInChat ? "shell in-chat" : "shell"}>
      <header className="rail">
        <img className="brand" src="/icon.svg" alt="" width="36" height="36" />
        <nav aria-label={words.nav.label}>
          <ul>
            {sections.map(({ name, path, icon }) => (
              <li key={name}>
                <a className="rail-item" href={path} aria-current={name === section ? "page" : undefined}>
                  <Icon name={icon} />
                  {words.nav[name]}
                  {name === "team" && asked > 0 && (
                    <span className="badge bare info count">
                      {asked} <span className="visually-hidden">{words.invitations.title}</span>
                    </span>
                  )}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <AccountMenu />
      </header>
      <main id="main">{children}</main>
      <div role="status">{!isOnline && <p className="offline-bar">{words.common.offline}</p>}</div>
    </div>
  );
}

export function useIsOnline(): boolean {
  return useSyncExternalStore(
    (listener) => {
      addEventListener("online", listener);
      addEventListener("offline", listener);
      return () => {
        removeEventListener("online", listener);
        removeEventListener("offline", listener);
      };
    },
    () => navigator.onLine,
    () => true,
  );
}

function AccountMenu() {
  const words = useText();
  const language = useLanguage();
  const theme = useTheme();
  const id = useId();
  const { supabase, user, organization, memberships, chooseOrganization } = useSession();
  const [isOpen, setIsOpen] = useState(false);
  const menu = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    const close = (event: Event) => {
      const isInside = event.target instanceof Node && menu.current?.contains(event.target);
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !isInside) {
        setIsOpen(false);
        if (event instanceof KeyboardEvent) button.current?.focus();
      }
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close);
    };
  }, [isOpen]);
  const other = language === "es" ? "en" : "es";
  return (
    <div className="menu rail-menu" ref={menu}>
      <button
        ref={button}
        type="button"
        className="rail-item"
        aria-expanded={isOpen}
        aria-controls={id}
        onClick={() => setIsOpen(!isOpen)}
      >
        <Icon name="account" />
        <span className="clip">{organization.name}</span>
      </button>
      {isOpen && (
        <div className="sheet" id={id}>
          <div>
            <strong>{organization.name}</strong>
            <p className="small muted">
              {user.email} · {words.organization.role[organization.role]}
            </p>
          </div>
          {memberships.length > 1 && (
            <div className="field">
              <label htmlFor={`${id}-organization`}>{words.organization.choose}</label>
              <select
                id={`${id}-organization`}
                className="input"
                value={organization.id}
                onChange={(event) => chooseOrganization(event.target.value)}
              >
                {memberships.map(({ id: value, name }) => (
                  <option key={value} value={value}>
                    {name}
                  </option>
                ))}
              </select>
            </div>
          )}
          <div className="field">
            <label htmlFor={`${id}-theme`}>{words.theme.label}</label>
            <select
              id={`${id}-theme`}
              className="input"
              value={theme}
              onChange={(event) => setTheme(event.target.value as Theme)}
            >
              <option value="system">{words.theme.system}</option>
              <option value="light">{words.theme.light}</option>
              <option value="dark">{words.theme.dark}</option>
            </select>
          </div>
          <button
            type="button"
            className="button small"
            lang={other}
            aria-label={words.language.switchTo}
            onClick={() => setLanguage(other)}
          >
            {words.other}
          </button>
          <button type="button" className="button small" onClick={() => void supabase.auth.signOut()}>
            {words.nav.signOut}
          </button>
        </div>
      )}
    </div>
  );
}
