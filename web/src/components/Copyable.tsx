// A value to be taken along: shown whole, copied by one press.

import { useState } from "react";

import { useText } from "../i18n";
import { Icon } from "./Icon";

export function Copyable({ label, value }: { readonly label: string; readonly value: string }) {
  const words = useText();
  const [isCopied, setIsCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
      setIsCopied(true);
      setTimeout(() => setIsCopied(false), 2000);
    } catch {
      // Without the right to the clipboard the text can still be selected.
    }
  };
  return (
    <div className="field">
      <span className="label">{label}</span>
      <div className="input-group">
        <input
          className="input"
          readOnly
          value={value}
          aria-label={label}
          onFocus={(event) => event.currentTarget.select()}
        />
        <button
          type="button"
          className="button"
          onClick={() => void copy()}
          aria-label={`${words.common.copy}: ${label}`}
        >
          <Icon name={isCopied ? "check" : "copy"} />
          <span aria-live="polite">{isCopied ? words.common.copied : words.common.copy}</span>
        </button>
      </div>
    </div>
  );
}
