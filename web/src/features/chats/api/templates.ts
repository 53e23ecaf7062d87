// Approved templates, and what has to be filled into them.

import type { SignedIn } from "../../session/Session";

export interface Template {
  readonly name: string;
  readonly language: string;
  readonly category: string | null;
  readonly components: readonly TemplateComponent[] | null;
}

interface TemplateButton {
  readonly type?: string;
  readonly text?: string;
  readonly url?: string;
}

interface TemplateComponent {
  readonly type?: string;
  readonly format?: string;
  readonly text?: string;
  readonly buttons?: readonly TemplateButton[];
}

export type FileHeader = "image" | "video" | "document";

export interface Blank {
  readonly place: "header" | "body" | "button";
  /** A digit, the parameter's own name, a part of a place, or a button's index. */
  readonly name: string;
  readonly kind: "words" | FileHeader | "latitude" | "longitude" | "place" | "link_end" | "coupon";
  /** What stands on the button that wants it, and before the end of its address. */
  readonly button?: TemplateButton;
}

const BLANK = /\{\{\s*([a-z0-9_]+)\s*\}\}/gi;
const FILES: ReadonlySet<string> = new Set(["image", "video", "document"]);
const LINK = /^https?:\/\/[^\s/]+\/\S+$/i;

export async function findTemplates(session: SignedIn): Promise<readonly Template[]> {
  try {
    const answer = await session.api.get<{ templates: readonly (Template & { status: string | null })[] }>(
      "/whatsapp-meta-api/templates",
      { organization_id: session.organization.id, status: "APPROVED", limit: "200" },
    );
    return answer.templates.filter(({ name, language }) => Boolean(name) && Boolean(language));
  } catch {
    // Meta does not answer: what it told last is in the database.
    const { data, error } = await session.supabase
      .from("message_templates")
      .select("name,language,category,components,status")
      .eq("organization_id", session.organization.id)
      .ilike("status", "approved")
      .order("name");
    if (error) throw error;
    return data;
  }
}

/** Graph's list; whatever else may stand in its place is no words that we know. */
function listed({ components }: Template): readonly TemplateComponent[] {
  return Array.isArray(components) ? (components as readonly TemplateComponent[]) : [];
}

function partOf(template: Template, type: string): TemplateComponent | undefined {
  return listed(template).find((component) => component.type?.toUpperCase() === type);
}

function headerFormatOf(template: Template): string {
  return partOf(template, "HEADER")?.format?.toLowerCase() ?? "text";
}

function textOf(template: Template, type: string): string | null {
  const part = partOf(template, type);
  if (part?.format && part.format.toUpperCase() !== "TEXT") return null;
  return part?.text ?? null;
}

function buttonsOf(template: Template): readonly TemplateButton[] {
  return listed(template).flatMap((component) => component.buttons ?? []);
}

export function blanksOf(template: Template): readonly Blank[] {
  const inWords = (["header", "body"] as const).flatMap((place) => {
    const names = [...(textOf(template, place.toUpperCase()) ?? "").matchAll(BLANK)].map((match) => match[1] ?? "");
    return [...new Set(names)].map((name): Blank => ({ place, name, kind: "words" }));
  });
  const format = headerFormatOf(template);
  const inHeader: readonly Blank[] = FILES.has(format)
    ? [{ place: "header", name: "file", kind: format as FileHeader }]
    : format === "location"
      ? [
          { place: "header", name: "name", kind: "place" },
          { place: "header", name: "address", kind: "place" },
          { place: "header", name: "latitude", kind: "latitude" },
          { place: "header", name: "longitude", kind: "longitude" },
        ]
      : [];
  const inButtons = buttonsOf(template).flatMap((button, index): readonly Blank[] => {
    const type = button.type?.toUpperCase();
    if (type === "COPY_CODE") return [{ place: "button", name: String(index), kind: "coupon", button }];
    if (button.url?.includes("{{")) return [{ place: "button", name: String(index), kind: "link_end", button }];
    return [];
  });
  return [...inHeader, ...inWords, ...inButtons];
}

/** Whether this page can fill it in: one-time codes, flows, offers, products and carousels come from a program. */
export function isFillable(template: Template): boolean {
  const known = new Set(["HEADER", "BODY", "FOOTER", "BUTTONS"]);
  const headers = new Set(["text", "location", ...FILES]);
  return (
    headers.has(headerFormatOf(template)) &&
    listed(template).every(({ type = "" }) => known.has(type.toUpperCase())) &&
    !buttonsOf(template).some(({ type = "" }) => /OTP|FLOW|CATALOG|MPM|SPM/i.test(type))
  );
}

export type Values = Readonly<Record<string, string>>;

export function keyOf({ place, name }: Blank): string {
  return `${place}:${name}`;
}

export type Problem = "missing" | "not_a_link" | "not_a_coordinate";

/** What is wrong with the value of a blank. A file may also be one that was uploaded: `bucket/path`. */
export function problemOf(blank: Blank, values: Values): Problem | null {
  const value = values[keyOf(blank)]?.trim() ?? "";
  if (!value) return "missing";
  if (FILES.has(blank.kind) && !isStored(value) && !LINK.test(value)) return "not_a_link";
  const most = { latitude: 90, longitude: 180 }[blank.kind as string];
  if (most !== undefined && !(Math.abs(Number(value.replace(",", "."))) <= most)) return "not_a_coordinate";
  return null;
}

const STORED = "stored:";

/** Marks the path of an uploaded file among links that people typed. */
export function toStored(path: string): string {
  return STORED + path;
}

export function isStored(value: string): boolean {
  return value.startsWith(STORED);
}

export interface TemplatePreview {
  readonly header: string | null;
  readonly file: FileHeader | "location" | null;
  readonly body: string | null;
  readonly footer: string | null;
  readonly buttons: readonly string[];
}

export function previewOfTemplate(template: Template, values: Values): TemplatePreview {
  const fill = (place: "header" | "body") =>
    textOf(template, place.toUpperCase())?.replace(BLANK, (blank, name: string) => {
      const value = values[`${place}:${name}`]?.trim() ?? "";
      return value === "" ? blank : value;
    }) ?? null;
  const format = headerFormatOf(template);
  return {
    header: format === "location" ? (values["header:name"]?.trim() ?? null) : fill("header"),
    file: format === "location" || FILES.has(format) ? (format as FileHeader | "location") : null,
    body: fill("body"),
    footer: textOf(template, "FOOTER"),
    buttons: buttonsOf(template).map(({ text = "" }) => text),
  };
}

export function componentsOf(template: Template, values: Values): readonly object[] {
  const valueOf = (blank: Blank) => values[keyOf(blank)]?.trim() ?? "";
  const blanks = blanksOf(template);
  const words = (["header", "body"] as const).flatMap((place) => {
    const wanted = blanks.filter((blank) => blank.place === place && blank.kind === "words");
    if (wanted.length === 0) return [];
    const parameters = wanted.map((blank) => ({
      type: "text",
      text: valueOf(blank),
      ...(/^\d+$/.test(blank.name) ? {} : { parameter_name: blank.name }),
    }));
    return [{ type: place, parameters }];
  });
  const header = headerParameter(blanks, valueOf);
  const buttons = blanks
    .filter(({ place }) => place === "button")
    .map((blank) => ({
      type: "button",
      sub_type: blank.kind === "coupon" ? "copy_code" : "url",
      index: blank.name,
      parameters: [
        blank.kind === "coupon"
          ? { type: "coupon_code", coupon_code: valueOf(blank) }
          : { type: "text", text: valueOf(blank) },
      ],
    }));
  return [...(header ? [{ type: "header", parameters: [header] }] : []), ...words, ...buttons];
}

function headerParameter(blanks: readonly Blank[], valueOf: (blank: Blank) => string): object | null {
  const inHeader = blanks.filter(({ place, kind }) => place === "header" && kind !== "words");
  const [first] = inHeader;
  if (!first) return null;
  if (FILES.has(first.kind)) {
    const value = valueOf(first);
    const source = isStored(value) ? { storage_path: value.slice(STORED.length) } : { link: value };
    const filename = first.kind === "document" ? { filename: fileNameOf(value) } : {};
    return { type: first.kind, [first.kind]: { ...source, ...filename } };
  }
  const given = Object.fromEntries(inHeader.map((blank) => [blank.name, valueOf(blank)]));
  const coordinate = (name: string) => Number((given[name] ?? "").replace(",", "."));
  return {
    type: "location",
    location: { ...given, latitude: coordinate("latitude"), longitude: coordinate("longitude") },
  };
}

/** The last part of an address or a path, as a person reads it. */
export function fileNameOf(value: string): string {
  const last = value.split(/[?#]/)[0]?.split("/").at(-1) ?? "";
  try {
    return decodeURIComponent(last).slice(0, 240);
  } catch {
    return last.slice(0, 240);
  }
}

const kept = new Map<string, Promise<Template | null>>();

/** A template as Meta told it last; null where it is unknown or gone. */
export function findTemplate(session: SignedIn, name: string, language: string): Promise<Template | null> {
  const key = `${session.organization.id}/${name}/${language}`;
  let found = kept.get(key);
  if (!found) {
    found = read(session, name, language);
    found.catch(() => kept.delete(key));
    kept.set(key, found);
  }
  return found;
}

async function read(session: SignedIn, name: string, language: string): Promise<Template | null> {
  const { data, error } = await session.supabase
    .from("message_templates")
    .select("name,language,category,components")
    .eq("organization_id", session.organization.id)
    .eq("name", name)
    .eq("language", language)
    .limit(1);
  if (error) throw error;
  return (data[0] as Template | undefined) ?? null;
}

type Fields = Readonly<Record<string, unknown>>;

/** The values that a message was sent with, read off its content. */
export function valuesOf(components: readonly Fields[]): Values {
  const values: Record<string, string> = {};
  for (const { type, parameters } of components) {
    if ((type !== "header" && type !== "body") || !Array.isArray(parameters)) continue;
    (parameters as readonly Fields[]).forEach((parameter, position) => {
      const name = typeof parameter["parameter_name"] === "string" ? parameter["parameter_name"] : String(position + 1);
      const part = parameter[String(parameter["type"])] as Fields | string | undefined;
      if (typeof part === "string") values[`${type}:${name}`] = part;
      else if (typeof part?.["fallback_value"] === "string") values[`${type}:${name}`] = part["fallback_value"];
      else if (typeof part?.["name"] === "string") values["header:name"] = part["name"];
    });
  }
  return values;
}
