// WhatsApp's own formatting, read into a tree that React draws: text stays text, whatever it holds. No I/O.

export type Span =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "bold" | "italic" | "strike"; readonly spans: readonly Span[] }
  | { readonly kind: "code" | "block"; readonly text: string }
  | { readonly kind: "link"; readonly text: string; readonly href: string };

const BLOCK = /```([\s\S]+?)```/;
const CODE = /`([^`\n]+)`/;
const LINK = /\b(?:https?:\/\/|www\.)[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}*_~]/i;
const MARK = /(?<![\p{L}\p{N}])([*_~])(?=\S)([^\n]*?\S)\1(?![\p{L}\p{N}])/u;
const KINDS = { "*": "bold", _: "italic", "~": "strike" } as const;

export function parse(text: string): readonly Span[] {
  return split(
    text,
    BLOCK,
    (match) => ({ kind: "block", text: match[1] ?? "" }),
    (outside) =>
      split(
        outside,
        CODE,
        (match) => ({ kind: "code", text: match[1] ?? "" }),
        (plain) => split(plain, LINK, (match) => ({ kind: "link", text: match[0], href: addressOf(match[0]) }), marks),
      ),
  );
}

function marks(text: string): readonly Span[] {
  return split(
    text,
    MARK,
    (match) => ({ kind: KINDS[match[1] as keyof typeof KINDS], spans: marks(match[2] ?? "") }),
    (rest) => (rest ? [{ kind: "text", text: rest }] : []),
  );
}

function split(
  text: string,
  pattern: RegExp,
  make: (match: RegExpExecArray) => Span,
  otherwise: (text: string) => readonly Span[],
): readonly Span[] {
  const spans: Span[] = [];
  let rest = text;
  for (let match = pattern.exec(rest); match; match = pattern.exec(rest)) {
    spans.push(...otherwise(rest.slice(0, match.index)), make(match));
    rest = rest.slice(match.index + match[0].length);
  }
  return [...spans, ...otherwise(rest)];
}

function addressOf(text: string): string {
  return /^https?:/i.test(text) ? text : `https://${text}`;
}
