// Where a page breaks: a sentence and a way out, in place of an empty page.

import { Component, type ReactNode } from "react";

import { useText } from "../i18n";
import { Icon } from "./Icon";
import { Notice } from "./Notice";

export class Boundary extends Component<{ readonly children: ReactNode }, { readonly isBroken: boolean }> {
  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override state = { isBroken: false };

  override render() {
    return this.state.isBroken ? <Broken /> : this.props.children;
  }
}

function Broken() {
  const words = useText().common;
  return (
    <main className="page">
      <Notice tone="bad" title={words.broken}>
        <p>{words.brokenLead}</p>
        <div>
          <button type="button" className="button small" onClick={() => location.reload()}>
            <Icon name="refresh" />
            {words.loadAgain}
          </button>
        </div>
      </Notice>
    </main>
  );
}
