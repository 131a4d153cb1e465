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
  keyword: "c-key", built_in: "c-key", literal: "c-key", type: "c-key", "selector-tag": "c-key", tag: "c-key", name: "c-key", deletion: "c-del",
  string: "c-str", regexp: "c-str", char: "c-str", "template-tag": "c-str", "meta-string": "c-str", link: "c-str", addition: "c-add",
  number: "c-num", symbol: "c-num", variable: "c-num", "template-variable": "c-num", "selector-id": "c-num",
  comment: "c-com", quote: "c-com", doctag: "c-com", meta: "c-com",
  title: "c-fn", section: "c-fn", attr: "c-fn", attribute: "c-fn", property: "c-fn", "selector-class": "c-fn", "selector-attr": "c-fn",
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
  const own = CLASSES[(node.scope || "").split(".")[0]] || outer;
  for (const child of node.children) {
    if (typeof child !== "string") collect(child, own, runs);
    else if (runs.length && runs[runs.length - 1][0] === own) runs[runs.length - 1][1] += child;
    else runs.push([own, child]);
  }
}
