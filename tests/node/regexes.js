// Every regular expression of static/ over 64 KB of its worst case. Prints each one that is not linear, and how many there are.
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { runInNewContext } from "node:vm";

const { parse } = createRequire(import.meta.resolve("eslint"))("espree");
const SIZE = 65536;
const LIMIT = 20000; // ms for all texts of one beginning, on a busy machine; one that is quadratic takes minutes

const root = new URL("../../static/", import.meta.url);
const files = ["", "page/", "rich/"].flatMap((folder) =>
  readdirSync(new URL(folder, root)).filter((name) => name.endsWith(".js")).map((name) => folder + name),
);

function literals(node, found = []) {
  if (node?.regex) found.push(node.regex);
  else if (node && typeof node === "object") for (const child of Object.values(node)) literals(child, found);
  return found;
}

const OURS = ["[^\\p{L}]*\\{lang\\}"]; // over the words of our own pages alone

const slow = [];
let count = 0;
for (const file of files) {
  const source = readFileSync(new URL(file, root), "utf-8");
  const sourceType = /^(import|export) /m.test(source) ? "module" : "script";
  for (const { pattern, flags } of literals(parse(source, { ecmaVersion: "latest", sourceType }))) {
    if (OURS.includes(pattern)) continue;
    count += 1;
    const marks = [...new Set(pattern)].filter((mark) => !/\w/.test(mark));
    const begins = ["", ...marks, ...marks.map((mark) => `${mark}x`)];
    const pumps = [...marks, " ", "\n", "a", "0", "a ", "*a"];
    for (const begin of begins) {
      const texts = pumps.flatMap((pump) => {
        const text = begin + pump.repeat(SIZE / pump.length);
        return [`${text}x y\0z w`, `${text}'\0`];
      });
      try {
        runInNewContext("texts.forEach((text) => text.replace(expression, ''))", { texts, expression: new RegExp(pattern, flags) }, { timeout: LIMIT });
      } catch {
        slow.push(`${file}: /${pattern}/${flags} behind ${JSON.stringify(begin)}`);
        break;
      }
    }
  }
}
console.log(JSON.stringify({ slow, count }));
