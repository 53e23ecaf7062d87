import { defineConfig } from "eslint/config";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default defineConfig(
  { ignores: ["dist", ".astro", "node_modules", "**/*.astro"] },
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  reactHooks.configs.flat.recommended,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      // The index signatures of the DOM and of JSON are spelled as tsconfig asks.
      "@typescript-eslint/dot-notation": "off",
      // A number in a sentence needs no cast.
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      // `onClick={() => doIt()}` reads better than braces around it.
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      // Resetting what a component shows when its subject changes is what these effects are for.
      "react-hooks/set-state-in-effect": "off",
    },
  },
);
