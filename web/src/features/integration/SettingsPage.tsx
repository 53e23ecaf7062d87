import { Boundary } from "../../components/Boundary";
import { SessionProvider } from "../session/Session";
import { Shell } from "../session/components/Shell";
import { WhatsAppIntegration } from "./WhatsAppIntegration";

export default function SettingsPage() {
  return (
    <Boundary>
      <SessionProvider>
        <Shell section="settings">
          <WhatsAppIntegration />
        </Shell>
      </SessionProvider>
    </Boundary>
  );
}
