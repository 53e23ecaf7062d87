// Bringing a number back that was proven by a code and let go: the product still speaks for it at Meta.

import { Icon } from "../../../components/Icon";
import { ErrorNotice } from "../../../components/Notice";
import { useText } from "../../../i18n";
import type { Connection } from "../../../services/whatsapp-integration";
import { useSession } from "../../session/Session";
import { useAction } from "./useAction";

export function Reconnect({ onConnected }: { readonly onConnected: (connection: Connection) => void }) {
  const words = useText().settings.reconnect;
  const { integration } = useSession();
  const { isBusy, error, run } = useAction();
  return (
    <>
      <div>
        <button
          type="button"
          className="button"
          disabled={isBusy}
          aria-busy={isBusy}
          onClick={() => void run(async () => onConnected(await integration.reconnectWhatsApp()))}
        >
          <Icon name="refresh" />
          {words.action}
        </button>
      </div>
      {error && <ErrorNotice error={error} />}
    </>
  );
}
