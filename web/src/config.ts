// Where the product lives; written into the page by the build or by whoever serves it. Nothing here is a secret.

export interface Config {
  readonly supabaseUrl: string;
  readonly supabaseKey: string;
  readonly functionsUrl: string;
}

export function readConfig(): Config {
  const text = document.getElementById("config")?.textContent ?? "{}";
  const config = JSON.parse(text) as Partial<Config>;
  const { supabaseUrl = "", supabaseKey = "", functionsUrl = "" } = config;
  if (!supabaseUrl || supabaseUrl.startsWith("%")) {
    throw new Error("The page was served without its configuration: see docs/web.md.");
  }
  return { supabaseUrl: trim(supabaseUrl), supabaseKey, functionsUrl: trim(functionsUrl) };
}

function trim(address: string): string {
  return address.replace(/\/+$/, "");
}
