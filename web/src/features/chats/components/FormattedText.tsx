// A message's words with WhatsApp's formatting, as elements: never as markup.

import { Fragment, memo } from "react";

import { parse, type Span } from "../api/formatting";

export const FormattedText = memo(function FormattedText({ text }: { readonly text: string }) {
  return <span className="words">{parse(text).map(draw)}</span>;
});

function draw(span: Span, position: number) {
  switch (span.kind) {
    case "text":
      return <Fragment key={position}>{span.text}</Fragment>;
    case "bold":
      return <strong key={position}>{span.spans.map(draw)}</strong>;
    case "italic":
      return <em key={position}>{span.spans.map(draw)}</em>;
    case "strike":
      return <s key={position}>{span.spans.map(draw)}</s>;
    case "code":
      return <code key={position}>{span.text}</code>;
    case "block":
      return <pre key={position}>{span.text}</pre>;
    case "link":
      return (
        <a key={position} href={span.href} target="_blank" rel="noopener noreferrer nofollow">
          {span.text}
        </a>
      );
  }
}
