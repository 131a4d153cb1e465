/* The end of a text that grows: half of a marker is held back, and what is open is closed. Pure. */

import { formulaAt } from "./formulas.js";

const LONGEST_LABEL = 200; // characters; a "[" that is not closed by then is just one
const LONGEST_TARGET = 2000;
// Each `(?!\s)` keeps the white space before it from being tried in shorter pieces, which took minutes for 64 KB.
const TARGET = /^\(\s*(?!\s)(?:<[^<>\n]*>|(?:[^\s()\\]|\\.|\([^\s()]*\))*)(?:\s+(?:"[^"]*"|'[^']*'|\([^()]*\)))?\s*\)/;
const HALF_TARGET = /^\((?:\s*(?!\s)[^\s]*(?:\s+(?!\s)(?:["'(][^"')]*(?:["')]\s*)?)?)?|\s+(?!\s)["'(][^"')]*(?:["')]\s*)?)$/;
// An entity, an autolink, a <br> or an image of which only the beginning has come.
const HALF = /(?:&#?\w{0,12}|<[^\s<>]{0,200}|!)$/;

/**
 * One leaf's inline text, as it may be shown before the rest of it has come: "a **bo" is "a **bo**", "see [the man"
 * is "see". What this guesses wrong is put right when the rest comes.
 */
export function settle(text) {
  const open = []; // {mark, length, at}
  let end = text.replace(HALF, "");
  for (let i = 0; i < end.length; ) {
    const character = end[i];
    const formula = formulaAt(end, i);
    if (formula && (formula.half || (formula.end === end.length && character === "$" && !formula.display))) {
      end = end.slice(0, i); // a figure behind it would make it two amounts of money
      break;
    } else if (formula) {
      i = formula.end;
    } else if (character === "\\") {
      if (i + 1 === end.length) end = end.slice(0, i);
      i += 2;
    } else if (character === "`") {
      const length = run(end, i);
      const close = closing(end, i + length, length);
      if (close < 0) return closed(code(end, i, length), open);
      i = close + length;
    } else if (character === "[") {
      const after = link(end, i);
      if (after < 0) {
        const from = end[i - 1] === "!" ? i - 1 : i;
        end = end.slice(0, from) + (after === HALF_LINK && from === i ? label(end, i) : "");
        break;
      }
      i = after;
    } else if (character === "*" || character === "_" || character === "~") {
      const length = run(end, i);
      if (i + length === end.length) end = end.slice(0, i);
      else emphasis(end, i, length, open);
      i += length;
    } else {
      if (character === "\n") open.splice(0, Infinity, ...open.filter((one) => one.length > 1));
      i += 1;
    }
  }
  return closed(end, open);
}

function run(text, from) {
  let to = from;
  while (text[to] === text[from]) to += 1;
  return to - from;
}

function closing(text, from, length) {
  for (let at = text.indexOf("`", from); at >= 0; ) {
    const found = run(text, at);
    if (found === length) return at;
    at = text.indexOf("`", at + found);
  }
  return -1;
}

function code(text, at, length) {
  let to = text.length;
  while (to > at + length && text[to - 1] === "`") to -= 1;
  const inside = text.slice(at + length, to);
  return text.slice(0, at) + (inside.trim() ? "`".repeat(length) + inside + "`".repeat(length) : "");
}

const HALF_LABEL = -1;
const HALF_LINK = -2;

/* Where to read on behind the "[" at `at`, or which half of a link is all there is. */
function link(text, at) {
  const to = labelEnd(text, at);
  if (to < 0) return text.length - at < LONGEST_LABEL ? HALF_LABEL : at + 1;
  if (to + 1 === text.length) return HALF_LABEL;
  if (text[to + 1] !== "(") return at + 1;
  const rest = text.slice(to + 1);
  const target = TARGET.exec(rest);
  if (target) return to + 1 + target[0].length;
  return rest.length < LONGEST_TARGET && HALF_TARGET.test(rest) ? HALF_LINK : at + 1;
}

function labelEnd(text, at) {
  let depth = 0;
  for (let i = at; i < text.length && i < at + 2 * LONGEST_LABEL; i += 1) {
    if (text[i] === "\\") i += 1;
    else if (text[i] === "[") depth += 1;
    else if (text[i] === "]" && --depth === 0) return i;
  }
  return -1;
}

function label(text, at) {
  return text.slice(at + 1, labelEnd(text, at));
}

/* Roughly CommonMark's rules; markdown-it, which reads the result, has them in full. */
function emphasis(text, at, length, open) {
  const mark = text[at];
  if (mark === "~" && length !== 2) return;
  let left = length;
  if (at > 0 && !/\s/.test(text[at - 1])) {
    for (let i = open.length - 1; i >= 0 && left > 0; i -= 1) {
      if (open[i].mark !== mark) continue;
      const taken = Math.min(left, open[i].length);
      left -= taken;
      open[i].length -= taken;
      open.length = open[i].length ? i + 1 : i;
    }
  }
  // 2*3 and snake_case open nothing, though a single star might.
  const inWord = at > 0 && /[\p{L}\p{N}]/u.test(text[at - 1]);
  if (left && !/\s/.test(text[at + length]) && !(inWord && (left === 1 || mark === "_"))) {
    open.push({ mark, length: left, at });
  }
}

function closed(text, open) {
  let end = text.trimRight();
  let closers = "";
  for (const { mark, length, at } of open.reverse()) {
    if (at + length < end.length) closers += mark.repeat(length);
    else end = end.slice(0, at).trimRight();
  }
  return end + closers;
}
