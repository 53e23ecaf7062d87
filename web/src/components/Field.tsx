// A labelled input with its hint and its problem, tied together for screen readers.

import { useId, type ReactNode } from "react";

import { useText } from "../i18n";
import { Icon } from "./Icon";

interface FieldProps {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly problem?: string | null | undefined;
  readonly isOptional?: boolean;
  readonly children: (attributes: {
    readonly id: string;
    readonly "aria-describedby": string | undefined;
    readonly "aria-invalid": boolean;
    readonly className: string;
  }) => ReactNode;
}

export function Field({ label, hint, problem, isOptional = false, children }: FieldProps) {
  const words = useText();
  const id = useId();
  const described = [hint ? `${id}-hint` : null, problem ? `${id}-problem` : null].filter(Boolean).join(" ");
  return (
    <div className="field">
      <label htmlFor={id}>
        {label} {isOptional && <span className="optional">({words.common.optional})</span>}
      </label>
      {children({
        id,
        "aria-describedby": described || undefined,
        "aria-invalid": Boolean(problem),
        className: "input",
      })}
      {hint && (
        <span className="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {problem && (
        <span className="problem" id={`${id}-problem`}>
          <Icon name="warning" />
          {problem}
        </span>
      )}
    </div>
  );
}
