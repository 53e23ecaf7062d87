// Supabase for the local stack: PostgREST and GoTrue by @supabase/lite over our Postgres.
//
//   node local/supabase.mjs --prepare    make the schemas that a Supabase project has (auth, storage …), then exit
//   node local/supabase.mjs              serve on 127.0.0.1:$SUPABASE_PORT
//
// Reads DATABASE_URL, SUPABASE_PUBLISHABLE_KEY, SUPABASE_SECRET_KEY, SUPABASE_JWT_SECRET, SUPABASE_STORAGE_DIR, and,
// to serve, SUPABASE_URL, SUPABASE_MAIL_DIR and DASHBOARD_URL.
// A function that is created in the database after the start is unknown until the next start: migrate between both.

import { AsyncLocalStorage } from "node:async_hooks";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { serve } from "@hono/node-server";
import { App, setExperimental } from "@supabase/lite";
import { createPostgresConnection } from "@supabase/lite/postgres";

import { FolderStorage } from "./storage.mjs";

const env = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is missing`);
  return value;
};

// Lite hands objects to the driver as JSON text already, which the driver would encode again, but strings bare.
const isJson = (text) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};
const json = (oid) => ({
  to: oid,
  from: [oid],
  serialize: (value) => (typeof value === "string" && isJson(value) ? value : JSON.stringify(value)),
  parse: (text) => JSON.parse(text),
});

const connection = createPostgresConnection({
  url: env("DATABASE_URL"),
  postgresOptions: {
    max: 40,
    onnotice: () => {},
    connection: { application_name: "supabase" },
    types: { json: json(114), jsonb: json(3802) },
  },
});

// It would grant every table to every API role at its first request. Here the migrations alone say who may do
// what, as on hosted Supabase, where credential columns are withheld from users by column grants.
connection.ensureRlsContext = async () => true;

// Lite knows only some of PostgREST's error classes and answers the rest, `raise exception` among them, with a bare
// 500. Those take the way of `raise sqlstate 'PGRST'`, which carries a status and all four fields.
// https://docs.postgrest.org/en/stable/references/errors.html
const KNOWN_TO_LITE = /^(PGRST|PT.*|42.*|22.*|21.*|23502|23503|23505|25006)$/;
const STATUS = [
  [/^(P0001|23...)$/, 400],
  [/^(08|53|57P)/, 503],
  [/^(0L|0P|28)/, 403],
  [/^09|^(25|2D|38|39|3B|40|54|55|57|58|F0|HV|P0|XX)/, 500],
];
connection.normalizeDbError = (error) => {
  if (typeof error?.code !== "string" || KNOWN_TO_LITE.test(error.code)) return error;
  if (!/^[0-9A-Z]{5}$/.test(error.code)) {
    return asPostgrest(503, { code: "PGRST001", message: "Database client error. Retrying the connection." });
  }
  const status = STATUS.find(([pattern]) => pattern.test(error.code))?.[1] ?? 400;
  const { code, message, detail, hint } = error;
  return asPostgrest(status, { code, message, details: detail ?? null, hint: hint ?? null });
};
const asPostgrest = (status, body) =>
  Object.assign(new Error(JSON.stringify(body)), {
    code: "PGRST",
    detail: JSON.stringify({ status, headers: {} }),
  });

setExperimental("storage", true);

// Mails go nowhere: each is a file. Lite leads every link back to `site_url`; hosted Supabase leads it to the
// `redirect_to` of the request that asked for the mail, which is what the dashboard counts on.
const redirects = new AsyncLocalStorage();
const siteUrl = process.env.SUPABASE_URL ?? "http://127.0.0.1";
let mailCount = 0;
const mailbox = {
  async send({ to, subject, text }) {
    const goal = redirects.getStore() ?? `${env("DASHBOARD_URL")}/entrar/`;
    const link = (whole) => {
      const url = new URL(whole);
      url.searchParams.set("redirect_to", goal);
      return url.href;
    };
    const folder = env("SUPABASE_MAIL_DIR");
    const name = `${String(++mailCount).padStart(4, "0")}.txt`;
    mkdirSync(folder, { recursive: true });
    const words = text.replace(/https?:\/\/\S+\/auth\/v1\/verify\S+/g, link);
    writeFileSync(join(folder, name), `To: ${to}\nSubject: ${subject}\n\n${words}\n`, { mode: 0o600 });
  },
};

const app = new App({
  connection,
  auth: {
    enabled: true,
    jwt_secret: env("SUPABASE_JWT_SECRET"),
    publishable_key: env("SUPABASE_PUBLISHABLE_KEY"),
    secret_key: env("SUPABASE_SECRET_KEY"),
    site_url: siteUrl,
  },
  storage: { enabled: true, file_size_limit: "100MiB" },
  studio: { enabled: false },
  options: { server: { admin: false, disableStudio: true }, drivers: { email: mailbox } },
});
app._storageAdapter = new FolderStorage(env("SUPABASE_STORAGE_DIR"));

// What a new project on hosted Supabase starts with, its generous defaults for `public` included: a migration that
// forgets to revoke them must fail here as it would there.
const ROLES = `
  do $$ begin
    if to_regrole('anon') is null then create role anon nologin noinherit; end if;
    if to_regrole('authenticated') is null then create role authenticated nologin noinherit; end if;
    if to_regrole('service_role') is null then create role service_role nologin noinherit bypassrls; end if;
  end $$;
  grant usage on schema public to anon, authenticated, service_role;
  alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
  alter default privileges in schema public grant all on sequences to anon, authenticated, service_role;
  alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
`;
const GRANTS = `
  grant usage on schema auth, storage to anon, authenticated, service_role;
  grant all on all tables in schema storage to anon, authenticated, service_role;
`;

// Hosted Storage spells it signedURL, relative to /storage/v1; supabase-py reads no other spelling.
const asHostedSigns = async (answer) => {
  if (!answer.ok) return answer;
  const spell = ({ signedUrl, ...rest }) =>
    signedUrl ? { ...rest, signedURL: signedUrl.replace(/^\/storage\/v1/, ""), signedUrl } : rest;
  const signed = await answer.json();
  return Response.json(Array.isArray(signed) ? signed.map(spell) : spell(signed), { headers: CORS });
};
const CORS = { "access-control-allow-origin": "*" };

// Its GoTrue names no headers to browsers, which then may not send the ones that supabase-js needs.
const preflight = (request) =>
  new Response(null, {
    status: 204,
    headers: {
      ...CORS,
      "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
      "access-control-allow-headers": request.headers.get("access-control-request-headers") ?? "*",
      "access-control-max-age": "3600",
    },
  });

// Nor does GoTrue's own answer name who may read it.
const withOrigin = (answer) => {
  if (answer.headers.has("access-control-allow-origin")) return answer;
  const headers = new Headers(answer.headers);
  for (const [name, value] of Object.entries(CORS)) headers.set(name, value);
  return new Response(answer.body, { status: answer.status, statusText: answer.statusText, headers });
};

// Its own error lines may quote whole rows; the caller gets the same error in the answer.
console.error = (...things) => {
  for (const thing of things) {
    const error = thing?.code === "PGRST" ? JSON.parse(thing.message) : thing;
    process.stderr.write(`${error?.message ? `${error.code ?? ""} ${error.message}` : error}\n`);
  }
};

// Where the database goes away at the wrong moment, the driver writes to a socket that it no longer has, outside of any
// request. That query is lost with its connection, and the next one opens another: no reason to end.
process.on("uncaughtException", (error) => {
  console.error(error);
  const isCut = ["ECONNRESET", "EPIPE"].includes(error.code) || /node_modules\/postgres\//.test(error.stack ?? "");
  if (!isCut) process.exit(1);
});

if (process.argv.includes("--prepare")) {
  await connection.driver.unsafe(ROLES);
  await app.ensureSystemSchema();
  await connection.driver.unsafe(GRANTS);
  await connection.close();
} else {
  await app.init();
  const server = serve({
    serverOptions: { keepAliveTimeout: 75_000 },
    port: Number(env("SUPABASE_PORT")),
    hostname: "127.0.0.1",
    async fetch(request, { incoming }) {
      const { pathname, searchParams } = new URL(request.url);
      // It tells the database's address, password included.
      if (pathname.startsWith("/_")) return new Response(null, { status: 404 });
      if (request.method === "OPTIONS") return preflight(request);
      const peerAddress = incoming.socket.remoteAddress ?? null;
      const answer = redirects
        .run(searchParams.get("redirect_to"), () => app.fetch(request, { peerAddress }))
        .then((given) => withOrigin(given));
      const isSigning = request.method === "POST" && pathname.startsWith("/storage/v1/object/sign/");
      return isSigning ? asHostedSigns(await answer) : answer;
    },
  });
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.on(signal, () => {
      server.close();
      server.closeAllConnections();
      process.exit(0);
    });
  }
}
