/* Code to runs of colour: https://highlightjs.readthedocs.io/en/latest/css-classes-reference.html */

import highlight from "../vendor/highlight.js";
import dockerfile from "../vendor/highlight-dockerfile.js";
import nginx from "../vendor/highlight-nginx.js";
import powershell from "../vendor/highlight-powershell.js";

highlight.registerLanguage("dockerfile", dockerfile);
highlight.registerLanguage("nginx", nginx);
highlight.registerLanguage("powershell", powershell);

const LONGEST = 32768; // characters; more would take too long for one frame

// page.css's classes; all other scopes are drawn as plain text.
const CLASSES = {
  keyword: "key", built_in: "key", literal: "key", type: "key", "selector-tag": "key", tag: "key", name: "key", deletion: "del",
  string: "str", regexp: "str", char: "str", "template-tag": "str", "meta-string": "str", link: "str", addition: "add",
  number: "num", symbol: "num", variable: "num", "template-variable": "num", "selector-id": "num",
  comment: "com", quote: "com", doctag: "com", meta: "com",
  title: "fn", section: "fn", attr: "fn", attribute: "fn", property: "fn", "selector-class": "fn", "selector-attr": "fn",
};

/** [[class or "", text], …] whose texts make up `code`; null: draw it plain. */
export function colours(code, language) {
  if (!language || code.length > LONGEST || !highlight.getLanguage(language)) return null;
  const runs = [];
  // The tree is not in the library's documented interface, but its HTML would have to be parsed.
  collect(highlight.highlight(code, { language, ignoreIllegals: true })._emitter.rootNode, "", runs);
  return runs.map((run) => run[1]).join("") === code ? runs : null;
}

function collect(node, outer, runs) {
  const own = CLASSES[(node.scope ?? "").split(".")[0]] ?? outer;
  for (const child of node.children) {
    if (typeof child !== "string") collect(child, own, runs);
    else if (runs.length && runs[runs.length - 1][0] === own) runs[runs.length - 1][1] += child;
    else runs.push([own, child]);
  }
}
