// A form's main button; while it works it says so and cannot be pressed again.

import type { ReactNode } from "react";

export function SubmitButton({
  isBusy,
  isDisabled = false,
  children,
  tone = "primary",
}: {
  readonly isBusy: boolean;
  readonly isDisabled?: boolean;
  readonly children: ReactNode;
  readonly tone?: "primary" | "danger";
}) {
  return (
    <button
      type="submit"
      className={`button ${tone}`}
      aria-disabled={isBusy || isDisabled}
      aria-busy={isBusy}
      onClick={(event) => (isBusy || isDisabled) && event.preventDefault()}
    >
      {isBusy && <span className="spinner" aria-hidden="true" />}
      {children}
    </button>
  );
}
