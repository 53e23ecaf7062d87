// The problems that people meet most, and how they are solved.

import { useText } from "../../../i18n";

export function Help() {
  const words = useText().settings.help;
  return (
    <section className="stack" aria-labelledby="help">
      <h2 id="help">{words.title}</h2>
      <div className="faq">
        {words.items.map(({ q, a }) => (
          <details key={q} className="disclosure">
            <summary>{q}</summary>
            <p>{a}</p>
          </details>
        ))}
      </div>
    </section>
  );
}
