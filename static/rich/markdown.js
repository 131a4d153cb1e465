/* Markdown to markdown-it's tokens: https://spec.commonmark.org/ with tables, ~~strikethrough~~ and bare links. */

import MarkdownIt from "../vendor/markdown-it.js";
import { formulas } from "./formulas.js";
import { settle } from "./settle.js";

const parser = new MarkdownIt({ html: false, linkify: true, breaks: true });
// Only what has a scheme: "README.md" is a file's name more often than a site in Moldova.
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false });
// Which addresses may be followed is decided in one place, where links are made: nodes.js.
parser.validateLink = () => true;
parser.core.ruler.before("inline", "settle", settleTheEnd);
formulas(parser);
// The one tag that models write where markdown has nothing: in a table's cell.
parser.inline.ruler.before("autolink", "br", lineBreak);

// Whether there are blank lines within an item, which markdown-it keeps for itself.
const { tokenize } = parser.block;
parser.block.tokenize = function (state, from, to) {
  const item = state.parentType === "list" && state.tokens[state.tokens.length - 1];
  tokenize.call(this, state, from, to);
  if (item) item.meta = { loose: !state.tight };
};

// CommonMark leaves the stars of **注意：**请看 as they are, because it takes a word to begin behind a space and
// Chinese has none. As https://github.com/commonmark/commonmark-spec/issues/650 asks: Chinese, Japanese and Korean
// punctuation is a letter like others, and their characters beside a marker are as good as a space.
const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Script=Bopomofo}\u3000-\u303f\uff00-\uffef]/u;
const PUNCTUATION = /[\p{P}\p{S}]/u;

parser.inline.State = class extends parser.inline.State {
  scanDelims(start, canSplitWord) {
    const standard = super.scanDelims(start, canSplitWord);
    const before = lastCharacter(this.src.slice(Math.max(0, start - 2), start));
    const after = String.fromCodePoint(this.src.codePointAt(start + standard.length) || 0x20);
    const besideCJK = CJK.test(before) || CJK.test(after);
    if (!besideCJK || !canSplitWord || start + standard.length >= this.posMax) return standard;
    const opens = !/\s/.test(after) && (!isMark(after) || /\s/.test(before) || beside(before));
    const closes = before !== "" && !/\s/.test(before) && (!isMark(before) || /\s/.test(after) || beside(after));
    return { can_open: opens, can_close: closes, length: standard.length };
  }
};

function isMark(character) {
  return PUNCTUATION.test(character) && !CJK.test(character);
}

function beside(character) {
  return PUNCTUATION.test(character) || CJK.test(character);
}

function lastCharacter(text) {
  return [...text].pop() || "";
}

/**
 * The tokens of `source`. `more` is to come; `growing`: it is drawn meanwhile, so that half of a marker at its end is not
 * shown yet and what is open there is closed. The tokens' `references` tells whether [name]: definitions were seen, which reach everywhere.
 */
export function parse(source, { growing, more }) {
  const env = { growing, more };
  const tokens = parser.parse(source, env);
  tokens.references = Object.keys(env.references || {}).length > 0;
  return tokens;
}

function lineBreak(state, silent) {
  const tag = /^<br\s*\/?>/i.exec(state.src.slice(state.pos, state.pos + 10));
  if (!tag) return false;
  if (!silent) state.push("hardbreak", "br", 0);
  state.pos += tag[0].length;
  return true;
}

/* Only the last leaf can still grow: a paragraph until a blank line, all else until its line ends. */
function settleTheEnd(state) {
  if (!state.env.growing || /\n[ \t>]*\n$/.test(state.src)) return;
  let at = state.tokens.length - 1;
  while (at >= 0 && (state.tokens[at].type !== "inline" || !state.tokens[at].content)) at -= 1;
  if (at < 0 || (state.src.endsWith("\n") && state.tokens[at - 1].type !== "paragraph_open")) return;
  let block = at; // a table's cell has no map; its row has
  while (!state.tokens[block].map) block -= 1;
  const lines = state.src.split("\n").length - (state.src.endsWith("\n") ? 1 : 0);
  if (state.tokens[block].map[1] >= lines) state.tokens[at].content = settle(state.tokens[at].content);
}
