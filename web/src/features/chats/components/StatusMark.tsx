// What became of a message of ours, as a mark with a name.

import { useText } from "../../../i18n";

type Status = string;

const one = "M5 12.500 9.500 17 19 7.500";
const two = "M2.500 12.500 7 17l9.500-9.500M12.500 16l1 1L23 7.500";
const shapes: Readonly<Record<Status, string>> = {
  accepted: one,
  sent: one,
  delivered: two,
  read: two,
  played: two,
  queued: "M12 20.500a8.500 8.500 0 1 0 0-17 8.500 8.500 0 0 0 0 17Zm0-13V12l3 2",
  sending: "M12 20.500a8.500 8.500 0 1 0 0-17 8.500 8.500 0 0 0 0 17Zm0-13V12l3 2",
  waiting: "M12 20.500a8.500 8.500 0 1 0 0-17 8.500 8.500 0 0 0 0 17Zm0-13V12l3 2",
  failed: "M12 20.500a8.500 8.500 0 1 0 0-17 8.500 8.500 0 0 0 0 17ZM12 8v5m0 3v.2",
  cancelled: "M12 20.500a8.500 8.500 0 1 0 0-17 8.500 8.500 0 0 0 0 17ZM8.500 8.500l7 7",
  uncertain:
    "M12 20.500a8.500 8.500 0 1 0 0-17 8.500 8.500 0 0 0 0 17ZM9.700 9.500a2.400 2.400 0 1 1 3.300 2.200c-.6.300-1 .8-1 1.500m0 2.800v.2",
};

export function StatusMark({ status }: { readonly status: Status }) {
  const words = useText();
  const shape = shapes[status];
  if (!shape) return null;
  return (
    <svg className={`mark ${status}`} viewBox="0 0 24 24" role="img" aria-label={words.chat.status[status] ?? status}>
      <path d={shape} />
    </svg>
  );
}
