// News from Meta about the account, the number and its templates, newest first.

import { lazy, Suspense } from "react";

import { Icon } from "../../../components/Icon";
import { ErrorNotice } from "../../../components/Notice";
import { fullTime, relativeTime, toDate } from "../../../components/times";
import { useNow } from "../../../components/useNow";
import { useLanguage, useText, type Language } from "../../../i18n";
import { en } from "../../../i18n/notices/en";
import { es } from "../../../i18n/notices/es";
import { factsOf, useNotices, type NoticeRow } from "../api/notices";

const MetaSentence = lazy(() => import("../../../components/MetaSentence"));

const catalogues = { es, en } as const;
const tones = { info: "info", warning: "warn", critical: "bad" } as const;

export default function Notices() {
  const all = useText();
  const words = all.settings.notices;
  const language = useLanguage();
  const now = useNow(30_000);
  const { rows, hasMore, error, isLoading, loadMore, reload, isUnread, markAllRead } = useNotices();
  const unread = rows?.filter(isUnread).length ?? 0;
  return (
    <section className="card stack" aria-labelledby="notices">
      <div className="number-head">
        <div>
          <h2 id="notices">{words.title}</h2>
          <p className="muted">{words.text}</p>
        </div>
        {unread > 0 && (
          <button type="button" className="button small" onClick={markAllRead}>
            <Icon name="check" />
            {words.markRead}
          </button>
        )}
      </div>
      {error && <ErrorNotice error={error} onRetry={() => void reload()} />}
      <p className="visually-hidden" role="status">
        {unread > 0 ? words.unread(unread) : ""}
      </p>
      {rows?.length === 0 && <p className="muted">{words.empty}</p>}
      {rows && rows.length > 0 && (
        <ul className="news">
          {rows.map((row) => (
            <li key={row.id} className={isUnread(row) ? `pressing ${tones[row.severity]}` : undefined}>
              <span className={`badge ${tones[row.severity]}`}>{words.severity[row.severity]}</span>
              <div>
                <p>
                  <Sentence row={row} language={language} />
                </p>
                <p className="small muted">
                  <time dateTime={toDate(row.occurred_at).toISOString()}>
                    {fullTime(toDate(row.occurred_at), language)}
                  </time>
                  {` · ${relativeTime(toDate(row.occurred_at), now, language)}`}
                  {isUnread(row) && <strong>{` · ${words.new}`}</strong>}
                </p>
              </div>
            </li>
          ))}
        </ul>
      )}
      {hasMore && (
        <div>
          <button
            type="button"
            className="button"
            disabled={isLoading}
            aria-busy={isLoading}
            onClick={() => void loadMore()}
          >
            {words.older}
          </button>
        </div>
      )}
    </section>
  );
}

function Sentence({ row, language }: { readonly row: NoticeRow; readonly language: Language }) {
  const words = catalogues[language];
  const write = words.sentences[`${row.field}/${row.event ?? ""}`] ?? words.sentences[row.field];
  if (write) return write(factsOf(row, language));
  if (row.event && /^\d+$/.test(row.event)) {
    return (
      <>
        {words.metaError}{" "}
        <Suspense fallback={null}>
          <MetaSentence code={Number(row.event)} subcode={null} />
        </Suspense>{" "}
        <code>{row.event}</code>
      </>
    );
  }
  return (
    <>
      {words.unknown}{" "}
      <code>
        {row.field}
        {row.event && row.event !== row.field.toUpperCase() ? ` / ${row.event}` : ""}
      </code>
    </>
  );
}
