// What every browser loads is ES5, and names no global that is not in old browsers, but behind a test for it.
const browser = ["window", "document", "navigator", "performance", "setTimeout", "clearTimeout", "XMLHttpRequest", "fetch",
  "TextDecoder", "AbortController", "Response", "DOMException", "location"];

export default [
  {
    files: ["static/*.js"],
    languageOptions: {
      ecmaVersion: 5,
      sourceType: "script",
      globals: Object.fromEntries(browser.map((name) => [name, "readonly"])),
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "no-undef": "error",
      "no-unused-vars": ["error", { caughtErrors: "none" }],
      "no-redeclare": "error",
      "no-dupe-keys": "error",
      "no-unreachable": "error",
      "no-implied-eval": "error",
      eqeqeq: "error",
    },
  },
];
