// Choosing an approved template, filling it in, and seeing it as the customer will.

import { useEffect, useState, type SyntheticEvent } from "react";

import { Dialog } from "../../../components/Dialog";
import { Field } from "../../../components/Field";
import { ErrorNotice } from "../../../components/Notice";
import { SubmitButton } from "../../../components/SubmitButton";
import { useText } from "../../../i18n";
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
  type Template,
  type Values,
} from "../api/templates";

interface Props {
  /** Null: a new chat, whose number is asked for. */
  readonly chatId: string | null;
  readonly onClose: () => void;
  readonly onSent: (message: SentMessage) => void;
}

export default function TemplatePicker({ chatId, onClose, onSent }: Props) {
  const all = useText();
  const words = all.chat.templates;
  const session = useSession();
  const [templates, setTemplates] = useState<readonly Template[] | null>(null);
  const [search, setSearch] = useState("");
  const [chosen, setChosen] = useState<Template | null>(null);
  const [values, setValues] = useState<Values>({});
  const [number, setNumber] = useState("");
  const [problem, setProblem] = useState<string | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const [key] = useState(() => crypto.randomUUID());
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
    const isIncomplete = blanksOf(chosen).some((blank) => !values[keyOf(blank)]?.trim()) || (!chatId && !number.trim());
    setProblem(isIncomplete ? all.common.required : null);
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
      onSent(
        await session.messages.sendTemplateMessage(to, template, {
          idempotencyKey: `${key}:${JSON.stringify([to, template]).length}:${chosen.name}`,
        }),
      );
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
              problem && !number.trim() ? problem : error?.code === "invalid_phone_number" ? error.message : null
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
                  onChange={() => setChosen(template)}
                />
                <span>
                  <strong>{template.name.replaceAll("_", " ")}</strong>{" "}
                  <span className="small muted">{template.language}</span>
                  <br />
                  <span className="small muted clamp">{previewOfTemplate(template, {}).body ?? words.bodyUnknown}</span>
                </span>
              </label>
            </li>
          ))}
        </ul>
        {chosen &&
          blanksOf(chosen).map((blank) => (
            <Field
              key={keyOf(blank)}
              label={words.value(`{{${blank.name}}}`)}
              problem={problem && !values[keyOf(blank)]?.trim() ? problem : null}
            >
              {(attributes) => (
                <input
                  {...attributes}
                  maxLength={1024}
                  value={values[keyOf(blank)] ?? ""}
                  onChange={(event) => setValues({ ...values, [keyOf(blank)]: event.target.value })}
                />
              )}
            </Field>
          ))}
        {preview && (preview.body ?? preview.header) && (
          <figure className="preview">
            <figcaption className="small muted">{words.preview}</figcaption>
            <div className="bubble-line ours first">
              <div className="bubble">
                {preview.header && <strong>{preview.header}</strong>}
                <p className="words">{preview.body}</p>
                {preview.footer && <p className="small muted">{preview.footer}</p>}
                {preview.buttons.length > 0 && (
                  <ul className="choices-sent">
                    {preview.buttons.map((text) => (
                      <li key={text}>{text}</li>
                    ))}
                  </ul>
                )}
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
