// A template's words as the customer sees them.

import type { TemplatePreview } from "../api/templates";
import { FormattedText } from "./FormattedText";

export function TemplateWords({ preview }: { readonly preview: TemplatePreview }) {
  return (
    <>
      {preview.header && <strong>{preview.header}</strong>}
      {preview.body && <FormattedText text={preview.body} />}
      {preview.footer && <p className="small muted">{preview.footer}</p>}
      {preview.buttons.length > 0 && (
        <ul className="choices-sent">
          {preview.buttons.map((text, position) => (
            <li key={position}>{text}</li>
          ))}
        </ul>
      )}
    </>
  );
}
