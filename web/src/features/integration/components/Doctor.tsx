// The doctor's report: each link of the chain, and what to do about the one that broke.

import { useState } from "react";

import { Icon } from "../../../components/Icon";
import { ErrorNotice, Notice } from "../../../components/Notice";
import { clockTime } from "../../../components/times";
import { useLanguage, useText } from "../../../i18n";
import type { DoctorReport, DoctorStatus } from "../../../services/whatsapp-integration";
import { useSession } from "../../session/Session";
import { useAction } from "./useAction";

const tones: Readonly<Record<DoctorStatus, string>> = { ok: "good", warning: "warn", failed: "bad", skipped: "" };

export function Doctor() {
  const words = useText().settings.doctor;
  const language = useLanguage();
  const { integration } = useSession();
  const [report, setReport] = useState<{ readonly found: DoctorReport; readonly at: Date } | null>(null);
  const { isBusy, error, run } = useAction();
  return (
    <section className="card stack" aria-labelledby="doctor">
      <div className="number-head">
        <div>
          <h2 id="doctor">{words.title}</h2>
          <p className="muted">{words.text}</p>
        </div>
        <button
          type="button"
          className="button"
          disabled={isBusy}
          aria-busy={isBusy}
          onClick={() => void run(async () => setReport({ found: await integration.getDiagnostics(), at: new Date() }))}
        >
          {isBusy ? <span className="spinner" aria-hidden="true" /> : <Icon name="refresh" />}
          {isBusy ? words.running : words.run}
        </button>
      </div>
      {error && <ErrorNotice error={error} />}
      <div aria-live="polite" className="stack">
        {report && (
          <>
            {report.found.status === "ok" && <Notice tone="good">{words.allOk}</Notice>}
            <ul className="checks">
              {report.found.checks.map((check) => (
                <li key={check.id}>
                  <div className="check-head">
                    <strong>{words.links[check.id] ?? check.id}</strong>
                    <span className={`badge ${tones[check.status]}`}>{words.state[check.status]}</span>
                  </div>
                  {check.message && <p>{check.message}</p>}
                  {check.fix && check.status !== "ok" && <p className="fix">{check.fix}</p>}
                </li>
              ))}
            </ul>
            <p className="small muted">{words.checked(clockTime(report.at, language))}</p>
          </>
        )}
      </div>
    </section>
  );
}
