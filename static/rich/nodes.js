/* markdown-it's tokens to nodes, by a list of what is allowed: nothing else of the model's words becomes an element,
   an attribute or an address. */

import { direction } from "./direction.js";
import { isClosed } from "./fence.js";
import { drawFormula } from "./mathml.js";
import { element, text, textOf } from "./patch.js";
import { drawTable } from "./table.js";

const TAGS = {
  paragraph_open: "p", blockquote_open: "blockquote", bullet_list_open: "ul", ordered_list_open: "ol",
  list_item_open: "li", em_open: "em", strong_open: "strong", s_open: "del",
  thead_open: "thead", tbody_open: "tbody", tr_open: "tr", th_open: "th", td_open: "td",
};
// Their marks, bars and columns stand where the text begins.
const DIRECTED = new Set(["ul", "ol", "blockquote", "table"]);
const ADDRESSES = new Set(["http:", "https:", "mailto:"]);
// Elements that would be there for nothing: a screen reader stops at an empty link or heading.
const NOT_EMPTY = new Set(["p", "a", "h3", "h4", "h5", "h6"]);
// markdown-it silently drops what is nested deeper than 100; a document's own limits are not far above.
const DEEPEST = 99;

// Chromium lays out a word of 40,000 letters anew for each line and each piece that comes, in 4 s at a time: with kerning
// it finds no place where a line can be broken without measuring all of it again. page.css takes kerning off, and lets
// such a word be broken in a table, too.
const LONG_WORD = /([!-~\u00a1-\u052f]{40,})/;

/** The answer is nested deeper than anybody can read. */
export class TooDeep extends Error {}

/**
 * What a walk needs beside the tokens: `words`, `onheight`, `lines` (of the source), `finished` (an open fence will not go on),
 * `colours(code, language)`, and `begun`, the node of the block that the first token goes on with.
 */
export function nodes(tokens, context) {
  const root = { children: [] };
  const stack = [root];
  for (const token of tokens) walk(token, stack, context);
  return root.children;
}

function walk(token, stack, context) {
  if (token.level >= DEEPEST) throw new TooDeep();
  if (token.type === "inline") for (const child of token.children) walk(child, stack, context);
  else if (token.nesting > 0) stack.push(open(token));
  else if (token.nesting < 0) close(stack, context);
  else if (token.type === "text") for (const node of prose(token.content)) add(stack, node);
  else add(stack, leaf(token, stack, context));
}

function prose(content) {
  if (!hasLongWord(content)) return [text(content)];
  return content.split(LONG_WORD).map((part, n) => (n % 2 ? element("span", { class: "long" }, [text(part)]) : text(part)));
}

function open(token) {
  const { type } = token;
  if (type === "heading_open") {
    const level = Number(token.tag[1]);
    return element("h" + Math.min(level + 2, 6), { class: "h" + Math.min(level, 4) });
  }
  if (type === "link_open") return link(token.attrGet("href"));
  if (type === "table_open") return element("table");
  const node = element(TAGS[type] || "", {});
  const start = type === "ordered_list_open" && token.attrGet("start");
  if (start) node.attributes.start = String(start);
  if (type === "th_open" || type === "td_open") node.align = (token.attrGet("style") || "").split(":")[1];
  return token.hidden ? element("") : node;
}

function close(stack, context) {
  const node = stack.pop();
  if (NOT_EMPTY.has(node.tag) && !node.children.length) return;
  if (node.tag === "li") drawTask(node);
  const begun = stack.length === 1 && !stack[0].children.length && context.begun && context.begun.tag === node.tag ? context.begun : null;
  if (begun) node.attributes = { ...begun.attributes };
  if (begun && node.tag !== "table") node.children = begun.children.concat(node.children);
  if (node.tag === "ol") makeRoom(node);
  const side = DIRECTED.has(node.tag) && (node.attributes.dir || direction(node.children));
  if (side) node.attributes.dir = side;
  if (node.tag === "") for (const child of node.children) add(stack, child);
  else add(stack, node.tag === "table" ? drawTable(node, context.words, begun) : node);
}

/* Ten times as fast as the expression, which begins anew at each letter. */
function hasLongWord(content) {
  let from = 0;
  for (let to = content.indexOf(" "); to >= 0; to = content.indexOf(" ", from)) {
    if (to - from >= 40) return LONG_WORD.test(content);
    from = to + 1;
  }
  return content.length - from >= 40 && LONG_WORD.test(content);
}

/** The text in a code block's node that is not coloured. */
export function codeOf(block) {
  return block.children[1].children[0].children[0];
}

/* A link with an address that is not allowed is its text; so is one inside another. */
function link(href) {
  let address = "";
  try {
    address = new URL(href).protocol;
  } catch (error) {
    // Relative to nothing.
  }
  if (!ADDRESSES.has(address)) return element("");
  return element("a", { href, rel: "noopener noreferrer", target: "_blank" });
}

/* For the longest number. Two digits have room in every list. */
function makeRoom(list) {
  const digits = String(Number(list.attributes.start === undefined ? 1 : list.attributes.start) + list.children.length - 1).length;
  if (digits > 2) list.attributes.class = "digits-" + digits;
}

/* "- [x] Done" is an item with a box. */
function drawTask(item) {
  const [first] = item.children;
  const line = first && first.tag === "p" ? first.children : item.children;
  const box = /^\[([ xX])\]\s+/.exec((line[0] && line[0].text) || "");
  if (!box) return;
  line[0].text = line[0].text.slice(box[0].length);
  const what = line.filter((node) => node.tag !== "ul" && node.tag !== "ol").map(textOf).join("");
  const state = box[1] === " " ? {} : { checked: "" };
  line.unshift(element("input", { type: "checkbox", disabled: "", ...state, "aria-label": what.trim() }));
  item.attributes.class = "task";
}

function add(stack, node) {
  const { children } = stack[stack.length - 1];
  const last = children[children.length - 1];
  if (last && last.tag === undefined && node.tag === undefined) last.text += node.text;
  else children.push(node);
}

function leaf(token, stack, context) {
  const { type, content } = token;
  if (type === "code_inline") return element("code", { dir: "ltr" }, prose(content));
  if (type === "softbreak" || type === "hardbreak") return element("br");
  if (type === "hr") return element("hr");
  if (type === "formula") return formula(token, context.onheight);
  if (type === "image") return image(token, stack, context.words);
  if (type === "fence" || type === "code_block") return fence(token, context);
  return text(content);
}

function image(token, stack, words) {
  const alt = token.children.map((child) => child.content).join("");
  const shown = text(words.image.replace("{alt}", () => alt));
  const node = stack.some((one) => one.tag === "a") ? element("") : link(token.attrGet("src"));
  if (!node.tag) return shown;
  node.attributes.class = "image";
  node.children.push(shown);
  return node;
}

/* One that can be wider than the page scrolls in itself. */
function formula(token, onheight) {
  const display = token.markup === "display";
  const name = "formula" + (display ? " display" : token.content.length > 40 ? " wide" : "");
  const node = element(token.block ? "div" : "span", { class: name, dir: "ltr", ...(name === "formula" ? {} : { tabindex: "0" }) });
  node.source = token.info;
  node.fill = (drawn) => drawFormula(drawn, { tex: token.content, source: token.info, display, onheight });
  return node;
}

function fence(token, context) {
  const language = /^[^\s{,:]{0,30}/.exec(token.info.trim())[0];
  const code = token.content.replace(/\n$/, "");
  const isWhole = token.type === "fence" && (context.finished || isClosed(token, context.lines));
  const runs = isWhole && context.colours(code, language.toLowerCase());
  const parts = (runs || [["", code]]).map(([name, part]) => (name ? element("span", { class: name }, [text(part)]) : text(part)));
  return codeBlock(language, parts, context.words);
}

function codeBlock(language, parts, words) {
  // The words that stand between "Code" and the language belong to the language.
  const label = language ? words.code.replace("{lang}", () => language) : words.code.replace(/[^\p{L}]*\{lang\}/u, "");
  return element("div", { class: "code", dir: "ltr", role: "group", "aria-label": label }, [
    element("div", { class: "head" }, [
      element("span", {}, [text(language)]),
      element("button", { type: "button", class: "copy" }, [text(words.copy)]),
    ]),
    element("pre", { tabindex: "0", translate: "no" }, [element("code", {}, parts)]),
  ]);
}
