// The three ways to connect, and the one that was chosen.

import { useState } from "react";

import { Icon, type IconName } from "../../../components/Icon";
import { useText } from "../../../i18n";
import type { Connection, Verification } from "../../../services/whatsapp-integration";
import { FacebookForm, FacebookReturn, ReturnNotice, takeReturn } from "./FacebookForm";
import { NumberForm } from "./NumberForm";
import { OwnAppForm } from "./OwnAppForm";

type Way = "facebook" | "number" | "own";

const ways: readonly { readonly name: Way; readonly icon: IconName }[] = [
  { name: "facebook", icon: "facebook" },
  { name: "number", icon: "phone" },
  { name: "own", icon: "key" },
];

interface Props {
  readonly open: Verification | null;
  readonly onConnected: (connection: Connection) => void;
}

export function ConnectWays({ open, onConnected }: Props) {
  const words = useText().settings;
  const [brought, setBrought] = useState(takeReturn);
  const isOpen = open !== null && (open.state === "requested" || open.state === "sent");
  const [way, setWay] = useState<Way | null>(isOpen ? "number" : null);
  if (brought && "grant" in brought) {
    return (
      <section className="card stack">
        <h2>{words.facebook.title}</h2>
        <FacebookReturn grant={brought.grant} onConnected={onConnected} onRestart={() => setBrought(null)} />
      </section>
    );
  }
  if (way === null) {
    return (
      <section className="stack" aria-labelledby="ways">
        {brought && <ReturnNotice code={brought.error} />}
        <h2 id="ways">{words.choose}</h2>
        <ul className="ways">
          {ways.map(({ name, icon }) => (
            <li key={name}>
              <button type="button" className="card way" onClick={() => setWay(name)}>
                <span className="way-icon">
                  <Icon name={icon} />
                </span>
                <span className="way-title">
                  {words.ways[name].title}
                  {words.ways[name].tag && <span className="badge bare info">{words.ways[name].tag}</span>}
                </span>
                <span className="muted">{words.ways[name].text}</span>
              </button>
            </li>
          ))}
        </ul>
      </section>
    );
  }
  return (
    <section className="card stack">
      <div>
        <button type="button" className="button plain small back" onClick={() => setWay(null)}>
          <Icon name="back" />
          {words.otherWay}
        </button>
      </div>
      <h2>{words[way].title}</h2>
      {way === "facebook" && <FacebookForm />}
      {way === "number" && <NumberForm open={isOpen ? open : null} onConnected={onConnected} />}
      {way === "own" && <OwnAppForm onConnected={onConnected} />}
    </section>
  );
}
