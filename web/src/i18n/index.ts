// Which language is shown: Spanish unless the person chose otherwise. A choice holds for this browser.

import { useSyncExternalStore } from "react";

import { en } from "./en";
import { es, type Catalogue } from "./es";

export type { Catalogue } from "./es";
export type Language = "es" | "en";

const KEY = "language";
const catalogues: Readonly<Record<Language, Catalogue>> = { es, en };
const listeners = new Set<() => void>();
let chosen: Language | null = null;

export function language(): Language {
  chosen ??= readChoice();
  return chosen;
}

export function setLanguage(next: Language): void {
  chosen = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  document.documentElement.lang = next;
  for (const listener of listeners) listener();
}

export function useLanguage(): Language {
  return useSyncExternalStore(subscribe, language, () => "es");
}

export function useText(): Catalogue {
  return catalogues[useLanguage()];
}

export function text(): Catalogue {
  return catalogues[language()];
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function readChoice(): Language {
  let kept: string | null = null;
  try {
    kept = localStorage.getItem(KEY);
  } catch {
    // As above.
  }
  const found = kept === "en" ? "en" : "es";
  if (typeof document !== "undefined") document.documentElement.lang = found;
  return found;
}
