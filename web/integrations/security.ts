// Writes each page's content security policy into the page, after the build: every inline script that Astro wrote is
// named by its hash, and nothing else may run.
//
// A build knows no addresses: %SUPABASE_URL%, %SUPABASE_PUBLISHABLE_KEY%, %FUNCTIONS_URL% and %CONNECT_SOURCES% are
// filled in from the environment where it names them, else by whoever serves the pages (local/dashboard.py does).

import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

import type { AstroIntegration } from "astro";

const INLINE_STYLE = /<style[^>]*>([\s\S]*?)<\/style>/g;
const INLINE_SCRIPT = /<script(?![^>]*\bsrc=)(?![^>]*application\/json)[^>]*>([\s\S]*?)<\/script>/g;
const NAMES = ["SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "FUNCTIONS_URL"] as const;

export function security(): AstroIntegration {
  return {
    name: "security",
    hooks: {
      "astro:build:done": async ({ dir }) => {
        const folder = fileURLToPath(dir);
        for (const file of await readdir(folder, { recursive: true })) {
          if (!file.endsWith(".html")) continue;
          const page = path.join(folder, file);
          await writeFile(page, fillIn(withPolicy(await readFile(page, "utf8")), process.env));
        }
      },
    },
  };
}

export function withPolicy(html: string): string {
  const policy = [
    "default-src 'none'",
    sources("script-src", html, INLINE_SCRIPT),
    sources("style-src", html, INLINE_STYLE),
    "font-src 'self'",
    "img-src 'self' blob: data:",
    "media-src 'self' blob:",
    "connect-src 'self' %CONNECT_SOURCES%",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    // Text can never become markup: the browser itself refuses every way to write HTML from a script.
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  return html.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${policy}">`);
}

function sources(directive: string, html: string, inline: RegExp): string {
  const hashes = [...html.matchAll(inline)].map(([, text]) => `'sha256-${hashOf(text ?? "")}'`);
  return [directive, "'self'", ...new Set(hashes)].join(" ");
}

function fillIn(html: string, environ: NodeJS.ProcessEnv): string {
  const [supabase, key, functions] = NAMES.map((name) => environ[name]);
  if (!supabase || !key || !functions) return html;
  const { origin } = new URL(supabase);
  const sources = [origin, origin.replace(/^http/, "ws"), new URL(functions).origin].join(" ");
  return html
    .replaceAll("%SUPABASE_URL%", inJson(supabase))
    .replaceAll("%SUPABASE_PUBLISHABLE_KEY%", inJson(key))
    .replaceAll("%FUNCTIONS_URL%", inJson(functions))
    .replaceAll("%CONNECT_SOURCES%", sources);
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1).replaceAll("<", "\\u003c");
}

function hashOf(script: string): string {
  return createHash("sha256").update(script).digest("base64");
}
