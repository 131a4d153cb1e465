/* Which of the last lines of growing markdown are not shown yet, because the next character may make something else
   of them. Pure. */

const CONTAINERS = /^[ \t]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+|>[ \t]*)*/;
// "#", "-", "12." and the like, which may become a heading, an item, a rule, or the mark that makes a heading of the
// line above; and the line that opens a fence, as long as its language may grow.
const BARE = /^(?:#{1,6}|[-+*_=]+|\d{1,9}[.)]?|\|)?[ \t]*$/;
const FENCE = /^(?:`{1,2}$|`{3,}[^`]*$|~+$|~{3,})/;
const DEFINITION = /^\[[^\]]+\]:/;
const ROW = /^\|/;
const RULE = /^[|:\- \t]*$/;

/** `source` without what has to wait. */
export function hold(source) {
  let end = source.length;
  const last = source.lastIndexOf("\n") + 1;
  const line = inner(source.slice(last));
  if (BARE.test(line) || FENCE.test(line) || DEFINITION.test(line)) end = last;
  return source.slice(0, tableFrom(source, end));
}

/* A table's head looks like a paragraph until the rule below it is complete. */
function tableFrom(source, end) {
  const rows = []; // from the last one up: where each begins
  let to = source[end - 1] === "\n" ? end - 1 : end;
  while (to > 0 && rows.length < 3) {
    const from = source.lastIndexOf("\n", to - 1) + 1;
    if (!ROW.test(inner(source.slice(from, to)))) break;
    rows.push(from);
    to = from - 1;
  }
  const isRule = () => RULE.test(inner(source.slice(rows[0], end)));
  if (rows.length === 1 || (rows.length === 2 && source[end - 1] !== "\n" && isRule())) return rows[rows.length - 1];
  return end;
}

function inner(line) {
  return line.replace(CONTAINERS, "");
}
