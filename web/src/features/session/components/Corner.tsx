// The other language, one press away, on pages without a frame.

import { setLanguage, useLanguage, useText } from "../../../i18n";

export function Corner() {
  const words = useText();
  const language = useLanguage();
  const other = language === "es" ? "en" : "es";
  return (
    <button
      type="button"
      className="button plain small corner"
      lang={other}
      aria-label={words.language.switchTo}
      onClick={() => setLanguage(other)}
    >
      {words.other}
    </button>
  );
}
