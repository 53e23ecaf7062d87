// A form's main button; while it works it says so and cannot be pressed again.

import type { ReactNode } from "react";

export function SubmitButton({
  isBusy,
  children,
  tone = "primary",
}: {
  readonly isBusy: boolean;
  readonly children: ReactNode;
  readonly tone?: "primary" | "danger";
}) {
  return (
    <button
      type="submit"
      className={`button ${tone}`}
      aria-disabled={isBusy}
      aria-busy={isBusy}
      onClick={(event) => isBusy && event.preventDefault()}
    >
      {isBusy && <span className="spinner" aria-hidden="true" />}
      {children}
    </button>
  );
}
