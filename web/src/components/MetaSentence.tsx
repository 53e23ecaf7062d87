// What a code of Meta's means: the same sentences that the functions answer, by its code.

import { useLanguage } from "../i18n";
import sentences from "../generated/meta-errors.json";

type Sentence = Readonly<Record<"en" | "es", string>>;

const known: Readonly<Record<string, Sentence>> = sentences;

export default function MetaSentence({
  code,
  subcode,
}: {
  readonly code: number | null;
  readonly subcode: number | null;
}) {
  const language = useLanguage();
  const sentence = known[`${code ?? ""}/${subcode ?? ""}`] ?? known[String(code)] ?? known["unknown"];
  return <span>{sentence?.[language]}</span>;
}
