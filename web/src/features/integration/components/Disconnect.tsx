// Letting the number go, with what that means said beforehand.

import { useState } from "react";

import { Dialog } from "../../../components/Dialog";
import { ErrorNotice } from "../../../components/Notice";
import { useText } from "../../../i18n";
import { useSession } from "../../session/Session";
import { useAction } from "./useAction";

export function Disconnect({ onDisconnected }: { readonly onDisconnected: () => Promise<void> }) {
  const words = useText().settings.disconnect;
  const common = useText().common;
  const { integration } = useSession();
  const [isOpen, setIsOpen] = useState(false);
  const [deregister, setDeregister] = useState(false);
  const { isBusy, error, run } = useAction();
  const disconnect = () =>
    run(async () => {
      await integration.disconnectWhatsApp({ deregister });
      setIsOpen(false);
      await onDisconnected();
    });
  return (
    <section className="card stack" aria-labelledby="disconnect">
      <h2 id="disconnect">{words.title}</h2>
      <p className="muted">{words.text}</p>
      <div>
        <button type="button" className="button danger" onClick={() => setIsOpen(true)}>
          {words.action}
        </button>
      </div>
      {isOpen && (
        <Dialog
          title={words.confirm}
          onClose={() => setIsOpen(false)}
          footer={
            <>
              <button type="button" className="button" onClick={() => setIsOpen(false)}>
                {common.cancel}
              </button>
              <button
                type="button"
                className="button danger"
                disabled={isBusy}
                aria-busy={isBusy}
                onClick={() => void disconnect()}
              >
                {words.yes}
              </button>
            </>
          }
        >
          <ul className="consequences">
            {words.consequences.map((consequence) => (
              <li key={consequence}>{consequence}</li>
            ))}
          </ul>
          <div>
            <label className="check">
              <input type="checkbox" checked={deregister} onChange={(event) => setDeregister(event.target.checked)} />
              <span>
                {words.deregister}
                <br />
                <span className="small muted">{words.deregisterHint}</span>
              </span>
            </label>
          </div>
          {error && <ErrorNotice error={error} />}
        </Dialog>
      )}
    </section>
  );
}
