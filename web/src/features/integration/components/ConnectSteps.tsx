// How far a connection has come, while it comes about.

import { useEffect, useState } from "react";

import { Icon } from "../../../components/Icon";
import { useText } from "../../../i18n";
import type { ConnectionStep } from "../../../services/whatsapp-integration";
import { useSession } from "../../session/Session";

const steps: readonly ConnectionStep[] = ["begun", "proven", "registered", "subscribed"];

/** Asks for the stored step now and then: the call that connects answers only at its end. */
export function ConnectSteps() {
  const words = useText();
  const { integration } = useSession();
  const [step, setStep] = useState<ConnectionStep>("begun");
  useEffect(() => {
    const timer = setInterval(() => {
      integration.getIntegrationStatus().then(
        (found) => setStep(found.integration?.step ?? "begun"),
        () => undefined,
      );
    }, 700);
    return () => clearInterval(timer);
  }, [integration]);
  const reached = steps.indexOf(step);
  return (
    <div className="notice" role="status">
      <div>
        <strong>{words.settings.progress.title}</strong>
        <ol className="steps">
          {steps.map((name, position) => (
            <li
              key={name}
              data-state={
                position < reached || (position === reached && position > 0)
                  ? "done"
                  : position === reached || position === reached + 1
                    ? "now"
                    : "later"
              }
            >
              <Icon name={position < reached || (position === reached && position > 0) ? "good" : "clock"} />
              {words.settings.progress.steps[name]}
            </li>
          ))}
        </ol>
        <p className="small muted">{words.settings.progress.wait}</p>
      </div>
    </div>
  );
}
