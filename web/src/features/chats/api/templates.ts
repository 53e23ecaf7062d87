// Approved templates, and what has to be filled into them.

import type { SignedIn } from "../../session/Session";

export interface Template {
  readonly name: string;
  readonly language: string;
  readonly category: string | null;
  readonly components: readonly TemplateComponent[] | null;
}

interface TemplateComponent {
  readonly type?: string;
  readonly format?: string;
  readonly text?: string;
  readonly buttons?: readonly { readonly type?: string; readonly text?: string; readonly url?: string }[];
}

export interface Blank {
  readonly place: "header" | "body";
  /** A digit, or the parameter's own name. */
  readonly name: string;
}

const BLANK = /\{\{\s*([a-z0-9_]+)\s*\}\}/gi;

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

function textOf(template: Template, type: string): string | null {
  const part = template.components?.find((component) => component.type?.toUpperCase() === type);
  if (part?.format && part.format.toUpperCase() !== "TEXT") return null;
  return part?.text ?? null;
}

export function blanksOf(template: Template): readonly Blank[] {
  return (["header", "body"] as const).flatMap((place) => {
    const names = [...(textOf(template, place.toUpperCase()) ?? "").matchAll(BLANK)].map((match) => match[1] ?? "");
    return [...new Set(names)].map((name) => ({ place, name }));
  });
}

/** Whether this page can fill it in: a header of bytes, or buttons that want something, need more than words. */
export function isFillable(template: Template): boolean {
  const header = template.components?.find((component) => component.type?.toUpperCase() === "HEADER");
  const isTextHeader = !header?.format || header.format.toUpperCase() === "TEXT";
  const buttons = template.components?.flatMap((component) => component.buttons ?? []) ?? [];
  return (
    isTextHeader && !buttons.some(({ url = "", type = "" }) => url.includes("{{") || /COPY_CODE|OTP|FLOW/i.test(type))
  );
}

export type Values = Readonly<Record<string, string>>;

export function keyOf({ place, name }: Blank): string {
  return `${place}:${name}`;
}

export function previewOfTemplate(
  template: Template,
  values: Values,
): {
  readonly header: string | null;
  readonly body: string | null;
  readonly footer: string | null;
  readonly buttons: readonly string[];
} {
  const fill = (place: Blank["place"]) =>
    textOf(template, place.toUpperCase())?.replace(BLANK, (blank, name: string) =>
      values[keyOf({ place, name })]?.trim() ? (values[keyOf({ place, name })] ?? blank) : blank,
    ) ?? null;
  const buttons = template.components?.flatMap((component) => component.buttons ?? []) ?? [];
  return {
    header: fill("header"),
    body: fill("body"),
    footer: textOf(template, "FOOTER"),
    buttons: buttons.map(({ text = "" }) => text),
  };
}

export function componentsOf(template: Template, values: Values): readonly object[] {
  return (["header", "body"] as const).flatMap((place) => {
    const blanks = blanksOf(template).filter((blank) => blank.place === place);
    if (blanks.length === 0) return [];
    const parameters = blanks.map((blank) => ({
      type: "text",
      text: values[keyOf(blank)] ?? "",
      ...(/^\d+$/.test(blank.name) ? {} : { parameter_name: blank.name }),
    }));
    return [{ type: place, parameters }];
  });
}
