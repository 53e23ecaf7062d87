// The session that a link in a mail ends with, in the address's fragment. Anybody can write such an address with a
// session of their own in it: it counts by itself only for the account that this browser asked a mail for.

export interface MailLink {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly isRecovery: boolean;
}

const ASKED = "link-asked-for";

/** What a link brought, taken out of the address so that it stays in no history. */
export function takeMailLink(): MailLink | null {
  const brought = new URLSearchParams(location.hash.slice(1));
  const accessToken = brought.get("access_token");
  const refreshToken = brought.get("refresh_token");
  if (!accessToken || !refreshToken) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return { accessToken, refreshToken, isRecovery: brought.get("type") === "recovery" };
}

export function rememberAsking(email: string): void {
  try {
    localStorage.setItem(ASKED, email.toLowerCase());
  } catch {
    // The link then asks whether to go on.
  }
}

export function wasAskedFor(email: string): boolean {
  try {
    return localStorage.getItem(ASKED) === email.toLowerCase();
  } catch {
    return false;
  }
}
