// Choosing an approved template, filling it in, and seeing it as the customer will.

import { useEffect, useRef, useState, type SyntheticEvent } from "react";

import { Dialog } from "../../../components/Dialog";
import { Field } from "../../../components/Field";
import { Icon } from "../../../components/Icon";
import { ErrorNotice } from "../../../components/Notice";
import { SubmitButton } from "../../../components/SubmitButton";
import { useLanguage, useText, type Catalogue } from "../../../i18n";
import { asApiError, type ApiError } from "../../../services/api";
import type { SentMessage, TemplateMessage } from "../../../services/whatsapp-messages";
import { useSession } from "../../session/Session";
import {
  blanksOf,
  componentsOf,
  findTemplates,
  isFillable,
  keyOf,
  previewOfTemplate,
  problemOf,
  type Blank,
  type Template,
  type Values,
} from "../api/templates";
import { FileBlank } from "./FileBlank";
import { TemplateWords } from "./TemplateWords";

interface Props {
  /** Null: a new chat, whose number is asked for. */
  readonly chatId: string | null;
  readonly onClose: () => void;
  readonly onSent: (message: SentMessage) => void;
}

export default function TemplatePicker({ chatId, onClose, onSent }: Props) {
  const all = useText();
  const words = all.chat.templates;
  const language = useLanguage();
  const session = useSession();
  const [templates, setTemplates] = useState<readonly Template[] | null>(null);
  const [search, setSearch] = useState("");
  const [chosen, setChosen] = useState<Template | null>(null);
  const [values, setValues] = useState<Values>({});
  const [number, setNumber] = useState("");
  const [isChecked, setIsChecked] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  // The same content pressed twice is one message; other content is another.
  const keys = useRef(new Map<string, string>());
  useEffect(() => {
    findTemplates(session).then(
      (found) => setTemplates(found.filter(isFillable)),
      (failure: unknown) => {
        setTemplates([]);
        setError(asApiError(failure));
      },
    );
  }, [session]);

  const submit = async (event: SyntheticEvent) => {
    event.preventDefault();
    if (!chosen || isBusy) return;
    const isIncomplete = blanksOf(chosen).some((blank) => problemOf(blank, values)) || (!chatId && !number.trim());
    setIsChecked(isIncomplete);
    if (isIncomplete) return;
    setIsBusy(true);
    setError(null);
    const components = componentsOf(chosen, values);
    const template: TemplateMessage = {
      name: chosen.name,
      language: chosen.language,
      ...(components.length > 0 ? { components } : {}),
    };
    try {
      const to = chatId ? { chatId } : { phoneNumber: number };
      const whole = JSON.stringify([to, template]);
      const idempotencyKey = keys.current.get(whole) ?? crypto.randomUUID();
      keys.current.set(whole, idempotencyKey);
      onSent(await session.messages.sendTemplateMessage(to, template, { idempotencyKey }));
      onClose();
    } catch (failure) {
      setError(asApiError(failure));
      setIsBusy(false);
    }
  };
  const shown = templates?.filter(({ name }) => name.includes(search.trim().toLowerCase().replaceAll(" ", "_"))) ?? [];
  const preview = chosen && previewOfTemplate(chosen, values);
  return (
    <Dialog title={chatId ? words.title : all.chats.newChat} onClose={onClose}>
      <form className="form" onSubmit={(event) => void submit(event)} noValidate>
        {!chatId && (
          <Field
            label={words.to}
            hint={words.toHint}
            problem={
              isChecked && !number.trim()
                ? all.common.required
                : error?.code === "invalid_phone_number"
                  ? error.message
                  : null
            }
          >
            {(attributes) => (
              <input
                {...attributes}
                type="tel"
                autoComplete="off"
                value={number}
                onChange={(event) => setNumber(event.target.value)}
              />
            )}
          </Field>
        )}
        {templates === null && <span className="spinner" role="status" aria-label={all.common.loading} />}
        {templates?.length === 0 && (
          <div>
            <h3>{words.empty}</h3>
            <p className="muted">{words.emptyText}</p>
          </div>
        )}
        {templates && templates.length > 5 && (
          <input
            type="search"
            className="input"
            aria-label={words.search}
            placeholder={words.search}
            value={search}
            onChange={(event) => setSearch(event.target.value)}
          />
        )}
        <ul className="templates">
          {shown.map((template) => (
            <li key={`${template.name}/${template.language}`}>
              <label className="choice block">
                <input
                  type="radio"
                  name="template"
                  checked={chosen === template}
                  onChange={() => {
                    setChosen(template);
                    setValues({});
                    setIsChecked(false);
                    setError(null);
                  }}
                />
                <span>
                  <strong>{template.name.replaceAll("_", " ")}</strong>{" "}
                  <span className="small muted">{languageName(template.language, language)}</span>
                  <br />
                  <span className="small muted clamp">{previewOfTemplate(template, {}).body ?? words.bodyUnknown}</span>
                </span>
              </label>
            </li>
          ))}
        </ul>
        {chosen &&
          blanksOf(chosen).map((blank) => {
            const key = keyOf(blank);
            const found = isChecked ? problemOf(blank, values) : null;
            const problem = found && (found === "missing" ? all.common.required : words.problems[found]);
            const set = (value: string) => setValues((before) => ({ ...before, [key]: value }));
            if (blank.kind === "image" || blank.kind === "video" || blank.kind === "document")
              return (
                <FileBlank key={key} kind={blank.kind} value={values[key] ?? ""} problem={problem} onChange={set} />
              );
            return (
              <Field
                key={key}
                label={labelOf(blank, all)}
                hint={hintOf(blank, values[key] ?? "", all)}
                problem={problem}
              >
                {(attributes) => (
                  <input
                    {...attributes}
                    maxLength={blank.kind === "coupon" ? 15 : 1024}
                    inputMode={blank.kind === "latitude" || blank.kind === "longitude" ? "decimal" : undefined}
                    value={values[key] ?? ""}
                    onChange={(event) => set(event.target.value)}
                  />
                )}
              </Field>
            );
          })}
        {preview && (preview.body ?? preview.header ?? preview.file) && (
          <figure className="preview">
            <figcaption className="small muted">{words.preview}</figcaption>
            <div className="bubble-line ours first">
              <div className="bubble">
                {preview.file && (
                  <p className="tag file">
                    <Icon
                      name={preview.file === "document" ? "document" : preview.file === "location" ? "pin" : "image"}
                    />
                    {words.files[preview.file]}
                  </p>
                )}
                <TemplateWords preview={preview} />
              </div>
            </div>
          </figure>
        )}
        {error && error.code !== "invalid_phone_number" && <ErrorNotice error={error} />}
        {chosen && <SubmitButton isBusy={isBusy}>{all.common.send}</SubmitButton>}
      </form>
    </Dialog>
  );
}

function labelOf({ kind, name, place, button }: Blank, all: Catalogue): string {
  const words = all.chat.templates;
  if (kind === "coupon") return words.coupon;
  if (kind === "link_end") return words.linkEnd(button?.text ?? "");
  if (kind === "latitude" || kind === "longitude") return words[kind];
  if (kind === "place") return name === "address" ? words.address : words.placeName;
  return place === "header" ? words.headerValue(`{{${name}}}`) : words.value(`{{${name}}}`);
}

function hintOf({ kind, button }: Blank, value: string, all: Catalogue): string | undefined {
  if (kind !== "link_end") return undefined;
  return all.chat.templates.opens((button?.url ?? "").replace(/\{\{.*?\}\}/, value || "…"));
}

function languageName(code: string, language: string): string {
  try {
    return new Intl.DisplayNames(language, { type: "language" }).of(code.replace("_", "-")) ?? code;
  } catch {
    return code;
  }
}
