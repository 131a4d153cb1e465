/* Where TeX's formulas stand in markdown: $…$, \(…\), and set apart $$…$$, \[…\]. Pure. */

const MARKS = { "$$": "$$", "\\[": "\\]", "\\(": "\\)", $: "$" };
const LONGEST = 4000; // characters; what isn't closed by then is no formula
const BLANK_LINE = /\n[ \t>]*\n/;
const TEX = /\\[a-zA-Z]|[\^_={}]/;
// "$5 or 10$" has a word in it.
const WORDS = /(?:^|\s)\p{L}{2,}(?=[\s,;.:])|\s\p{L}{2,}$|^\p{L}{4,}$/u;

/**
 * What begins at `at`: {tex, end, display}; {half: true} for what more text may make a formula; null.
 */
export function formulaAt(text, at) {
  if (text[at] !== "$" && text[at] !== "\\") return null; // the rest costs too much for each character
  const open = MARKS[text.slice(at, at + 2)] ? text.slice(at, at + 2) : text[at];
  if (!MARKS[open]) return null;
  const from = at + open.length;
  const to = closing(text, from, MARKS[open]);
  const tex = text.slice(from, to < 0 ? undefined : to);
  if (tex.length > LONGEST || BLANK_LINE.test(tex) || (open === "$" && !mayOpen(text, at, tex))) return null;
  if (to < 0) return isProse(tex) ? null : { half: true };
  if (!tex.trim() || isProse(tex) || (open === "$" && !mayClose(text, to, tex))) return null;
  if (open === "\\[" && !/[\\^_=+<>\n]/.test(tex)) return null; // \[1\] and \[sic\] are just brackets
  return { tex: tex.trim(), end: to + MARKS[open].length, display: open === "$$" || open === "\\[" };
}

/* A dollar opens nothing behind a letter or before a space, nor over a line's end: "US$5", "$ 5". */
function mayOpen(text, at, tex) {
  return !/[\p{L}\p{N}$]/u.test(text[at - 1] || "") && !/^\s|\n/.test(tex);
}

/* Nor does it close behind a space, or before a figure: "$5 and $10", "$5-$10"; $HOME:$PATH. */
function mayClose(text, to, tex) {
  const after = text[to + 1] || "";
  return !/\s$/.test(tex) && !/\p{N}/u.test(after) && (!/\p{L}/u.test(after) || tex.length < 4 || TEX.test(tex));
}

function isProse(tex) {
  return !TEX.test(tex) && WORDS.test(tex);
}

function closing(text, from, mark) {
  let at = text.indexOf(mark, from);
  while (at >= 0 && mark[0] === "$" && isEscaped(text, at)) at = text.indexOf(mark, at + 1);
  return at;
}

function isEscaped(text, at) {
  let from = at;
  while (text[from - 1] === "\\") from -= 1;
  return (at - from) % 2 === 1;
}

/** Takes them for markdown-it's parser, as tokens "formula" with {content, info: source, block}. */
export function formulas(parser) {
  parser.inline.ruler.before("escape", "formula", inline);
  parser.block.ruler.before("fence", "formula", block, { alt: ["paragraph", "reference", "blockquote", "list"] });
}

function inline(state, silent) {
  const found = formulaAt(state.src, state.pos);
  if (!found || found.half || found.end > state.posMax) return false;
  if (!silent) push(state, found, state.src.slice(state.pos, found.end));
  state.pos = found.end;
  return true;
}

/* One that has its lines for itself. While more is to come, one that has no end yet is a block that shows nothing. */
function block(state, startLine, endLine, silent) {
  const begins = state.bMarks[startLine] + state.tShift[startLine];
  if (state.src[begins] !== "$" && state.src[begins] !== "\\") return false;
  const mark = state.src.slice(begins, begins + 2);
  if ((mark !== "$$" && mark !== "\\[") || state.sCount[startLine] - state.blkIndent >= 4) return false;
  let line = startLine + 1;
  while (line < endLine && !state.isEmpty(line) && state.sCount[line] >= state.blkIndent) line += 1;
  const text = state.getLines(startLine, line, state.blkIndent, false).trimLeft();
  const found = formulaAt(text, 0);
  if (!found || (found.half && !(state.env.more && line >= endLine))) return false;
  const rest = found.half ? "" : /^[ \t]*(?:([.,;:])[ \t]*)?(?:\n|$)/.exec(text.slice(found.end));
  if (rest === null) return false;
  if (silent) return true;
  const lines = found.half ? line - startLine : text.slice(0, found.end).split("\n").length;
  const token = push(state, found.half ? { tex: "" } : found, found.half ? "" : text.slice(0, found.end) + (rest[1] || ""));
  if (rest[1]) token.content += `\\text{${rest[1]}}`;
  token.map = [startLine, startLine + lines];
  state.line = startLine + lines;
  return true;
}

function push(state, { tex, display }, source) {
  const token = state.push("formula", "", 0);
  token.content = tex;
  token.info = source;
  token.markup = display ? "display" : "";
  return token;
}
