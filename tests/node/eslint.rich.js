// What is drawn as markdown needs modules and \p{…}: Chromium 64, Firefox 78, Safari 11.1. So nothing newer, and no build
// makes it older. mathml.js alone asks for more (import), where there is MathML.
const NEWER = ["flat", "flatMap", "matchAll", "replaceAll", "replaceChildren", "trimStart", "trimEnd", "fromEntries"];

export default [
  {
    languageOptions: { ecmaVersion: 2018, sourceType: "module" },
    rules: {
      "no-restricted-properties": ["error", ...NEWER.map((property) => ({ property }))],
      "no-unused-vars": ["error", { caughtErrors: "none" }],
      "no-redeclare": "error",
      "no-unreachable": "error",
      eqeqeq: "error",
    },
  },
];
