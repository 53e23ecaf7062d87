import react from "@astrojs/react";
import { defineConfig } from "astro/config";

import { security } from "./integrations/security";

export default defineConfig({
  integrations: [react(), security()],
  devToolbar: { enabled: false },
  // Styles and scripts are files of our own, so that the policy can name their place.
  build: { inlineStylesheets: "never" },
  vite: { build: { assetsInlineLimit: 0 } },
  i18n: { defaultLocale: "es", locales: ["es", "en"] },
});
