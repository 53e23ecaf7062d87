// A person's initials on a quiet colour that is always theirs.

export function Avatar({ name, id }: { readonly name: string; readonly id: string }) {
  const letters = [...name.matchAll(/\p{L}/gu)].length;
  const initials = letters
    ? name
        .split(/\s+/)
        .map((word) => /\p{L}|\p{N}/u.exec(word)?.[0] ?? "")
        .join("")
        .slice(0, 2)
        .toLocaleUpperCase()
    : "#";
  let hash = 0;
  for (const letter of id) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return (
    <span className="avatar" data-hue={hash % 6} aria-hidden="true">
      {initials}
    </span>
  );
}
