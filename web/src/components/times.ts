// Times in the person's own zone and language.

import type { Language } from "../i18n";

/** Reads PostgREST's spelling and the local stack's, which writes a space for the T and a bare hour for the zone. */
export function toDate(moment: string): Date {
  return new Date(moment.replace(" ", "T").replace(/([+-]\d\d)$/, "$1:00"));
}

const locales: Readonly<Record<Language, string>> = { es: "es", en: "en" };
const formats = new Map<string, Intl.DateTimeFormat>();

function format(language: Language, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = language + JSON.stringify(options);
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(locales[language], options);
    formats.set(key, found);
  }
  return found;
}

export function clockTime(date: Date, language: Language): string {
  return format(language, { hour: "numeric", minute: "2-digit" }).format(date);
}

export function fullTime(date: Date, language: Language): string {
  return format(language, { dateStyle: "medium", timeStyle: "medium" }).format(date);
}

export function dayOf(date: Date, language: Language): string {
  return format(language, { day: "numeric", month: "long", year: "numeric" }).format(date);
}

/** A day where there is little room. */
export function shortDay(date: Date, language: Language): string {
  return format(language, { dateStyle: "medium" }).format(date);
}

export function daysAgo(date: Date, now: Date): number {
  const midnight = (moment: Date) => new Date(moment.getFullYear(), moment.getMonth(), moment.getDate()).getTime();
  return Math.round((midnight(now) - midnight(date)) / 86_400_000);
}

/** A day as a heading says it. */
export function dayHeading(
  date: Date,
  now: Date,
  language: Language,
  words: { today: string; yesterday: string },
): string {
  const days = daysAgo(date, now);
  if (days === 0) return words.today;
  if (days === 1) return words.yesterday;
  if (days > 1 && days < 7) return capital(format(language, { weekday: "long" }).format(date));
  return dayOf(date, language);
}

/** A moment as a list shows it: the hour today, else the day. */
export function shortTime(date: Date, now: Date, language: Language, yesterday: string): string {
  const days = daysAgo(date, now);
  if (days <= 0) return clockTime(date, language);
  if (days === 1) return yesterday;
  if (days < 7) return format(language, { weekday: "short" }).format(date);
  return format(language, { day: "2-digit", month: "2-digit", year: "2-digit" }).format(date);
}

/** "hace 3 minutos", "3 minutes ago". */
export function relativeTime(date: Date, now: Date, language: Language): string {
  // Two clocks, or a present that is looked at now and then: nothing that happened lies ahead.
  const seconds = Math.min(0, Math.round((date.getTime() - now.getTime()) / 1000));
  const words = new Intl.RelativeTimeFormat(locales[language], { numeric: "auto" });
  const size = Math.abs(seconds);
  if (size < 60) return words.format(seconds, "second");
  if (size < 3600) return words.format(Math.round(seconds / 60), "minute");
  if (size < 86_400) return words.format(Math.round(seconds / 3600), "hour");
  return words.format(Math.round(seconds / 86_400), "day");
}

/** A length of time as a countdown shows it: 23 h 12 min, 4:59. */
export function countdown(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function capital(word: string): string {
  return word.charAt(0).toLocaleUpperCase() + word.slice(1);
}
