// A message's own timeline: every step with its time, and Meta's ids and codes for support.

import { Copyable } from "../../../components/Copyable";
import { Dialog } from "../../../components/Dialog";
import { fullTime, toDate } from "../../../components/times";
import { useLanguage, useText } from "../../../i18n";
import type { Message } from "../api/rows";
import MetaSentence from "../../../components/MetaSentence";
import { StatusMark } from "./StatusMark";

const steps = [
  ["occurred_at", "occurred"],
  ["created_at", "stored"],
  ["queued_at", "queued"],
  ["attempted_at", "attempted"],
  ["uncertain_at", "uncertain"],
  ["accepted_at", "accepted"],
  ["sent_at", "sent"],
  ["delivered_at", "delivered"],
  ["read_at", "read"],
  ["played_at", "played"],
  ["failed_at", "failed"],
  ["cancelled_at", "cancelled"],
] as const;

export default function MessageDetails({
  message,
  onClose,
}: {
  readonly message: Message;
  readonly onClose: () => void;
}) {
  const words = useText();
  const language = useLanguage();
  const happened = steps
    .flatMap(([column, name]) => {
      const moment = message[column];
      return moment ? [{ name, at: toDate(moment) }] : [];
    })
    // Meta tells whole seconds: within one, the order of the steps holds.
    .sort((a, b) => Math.floor(a.at.getTime() / 1000) - Math.floor(b.at.getTime() / 1000));
  return (
    <Dialog title={words.chat.timeline} onClose={onClose}>
      <p className="row">
        {message.direction === "outbound" && <StatusMark status={message.status} />}
        <strong>{words.chat.status[message.status]}</strong>
      </p>
      <ol className="timeline">
        {happened.map(({ name, at }) => (
          <li key={name}>
            <span>{words.chat.details[name]}</span>
            <time dateTime={at.toISOString()}>{fullTime(at, language)}</time>
          </li>
        ))}
      </ol>
      {message.status === "failed" && (
        <p>
          <MetaSentence code={message.error_code} subcode={message.error_subcode} />
          <br />
          <span className="small muted">
            {words.chat.details.code}: {message.error_code ?? "—"}
            {message.error_subcode !== null && ` · ${words.chat.details.subcode}: ${message.error_subcode}`}
          </span>
        </p>
      )}
      {message.wamid && <Copyable label={words.chat.details.id} value={message.wamid} />}
    </Dialog>
  );
}
