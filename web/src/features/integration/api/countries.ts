// Where numbers are at home: the code, how a number is grouped there. Latin America first. No I/O.

export interface Country {
  readonly code: string;
  readonly dial: string;
  readonly groups: readonly number[];
}

const rows: readonly [string, string, ...number[]][] = [
  ["PE", "51", 3, 3, 3],
  ["MX", "52", 2, 4, 4],
  ["CO", "57", 3, 3, 4],
  ["AR", "54", 2, 4, 4],
  ["CL", "56", 1, 4, 4],
  ["EC", "593", 2, 3, 4],
  ["BO", "591", 4, 4],
  ["BR", "55", 2, 5, 4],
  ["UY", "598", 2, 3, 3],
  ["PY", "595", 3, 3, 3],
  ["VE", "58", 3, 3, 4],
  ["CR", "506", 4, 4],
  ["PA", "507", 4, 4],
  ["GT", "502", 4, 4],
  ["HN", "504", 4, 4],
  ["SV", "503", 4, 4],
  ["NI", "505", 4, 4],
  ["DO", "1", 3, 3, 4],
  ["PR", "1", 3, 3, 4],
  ["CU", "53", 4, 4],
  ["ES", "34", 3, 3, 3],
  ["US", "1", 3, 3, 4],
  ["CA", "1", 3, 3, 4],
  ["GB", "44", 4, 6],
];

export const countries: readonly Country[] = rows.map(([code, dial, ...groups]) => ({ code, dial, groups }));

export function findCountry(code: string): Country {
  return countries.find((country) => country.code === code) ?? { code: "PE", dial: "51", groups: [3, 3, 3] };
}

/** The browser's own region, if it is one of ours. */
export function guessCountry(languages: readonly string[]): string {
  for (const language of languages) {
    const region = new Intl.Locale(language).region;
    if (region && countries.some(({ code }) => code === region)) return region;
  }
  return "PE";
}

/** Groups what is typed as the country writes it; the server has the last word on whether it is a number. */
export function formatTyped(typed: string, country: Country): string {
  if (typed.trimStart().startsWith("+")) return typed;
  let rest = typed.replace(/\D/g, "");
  const parts: string[] = [];
  for (const size of country.groups) {
    if (!rest) break;
    parts.push(rest.slice(0, size));
    rest = rest.slice(size);
  }
  if (rest) parts.push(rest);
  return parts.join(" ");
}

export function shownNumber(typed: string, country: Country): string {
  return typed.trimStart().startsWith("+") ? typed.trim() : `+${country.dial} ${formatTyped(typed, country)}`.trim();
}
