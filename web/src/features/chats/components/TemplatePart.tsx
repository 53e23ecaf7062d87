// A template that was sent, with the words that the customer read.

import { useEffect, useState } from "react";

import { Icon } from "../../../components/Icon";
import { useText } from "../../../i18n";
import { useSession } from "../../session/Session";
import { findTemplate, previewOfTemplate, valuesOf, type Template } from "../api/templates";
import { fieldsOf, listOf, stringOf } from "./Attachment";
import { TemplateWords } from "./TemplateWords";

export default function TemplatePart({ content }: { readonly content: Readonly<Record<string, unknown>> }) {
  const words = useText().chat.templates;
  const session = useSession();
  const [template, setTemplate] = useState<Template | null>(null);
  const sent = fieldsOf(content, "template");
  const name = stringOf(sent["name"]) ?? "";
  const language = stringOf(fieldsOf(sent, "language")["code"]) ?? stringOf(sent["language"]) ?? "";
  useEffect(() => {
    // Where it cannot be read, its name above has to do.
    findTemplate(session, name, language).then(setTemplate, () => undefined);
  }, [session, name, language]);
  if (!template) return null;
  const preview = previewOfTemplate(template, valuesOf(listOf(sent["components"])));
  return (
    <>
      {preview.file && (
        <p className="tag file">
          <Icon name={preview.file === "document" ? "document" : preview.file === "location" ? "pin" : "image"} />
          {words.files[preview.file]}
        </p>
      )}
      <TemplateWords preview={preview} />
    </>
  );
}
