/* A list or a table at the end of a text that grows: its items or rows are final once the next one has begun. They are
   taken off the source, and what is left of it is parsed as a block that goes on. */

import { freeWidths, keepWidths } from "./table.js";

// markdown-it ends a table where it has made up more than 65,536 cells for short rows. It can't count those of rows that
// were taken off, so a table with so many empty cells stays whole.
const MOST_EMPTY = 32768;

export class Begun {
  /**
   * What of the one block in `tokens` is final, behind what was `before`: {tokens} to draw, which stand in the source {from, to};
   * {loose}: whether a list's items are paragraphs; {empty}: cells so far. null: nothing.
   */
  static find(tokens, lines, before) {
    const isTable = tokens[0].type === "table_open";
    if (!isTable && !/_list_open$/.test(tokens[0].type)) return null;
    const first = tokens[0].map[0] + (isTable ? 2 : 0);
    let last = tokens.length - 1;
    while (tokens[last].type !== (isTable ? "tr_open" : "list_item_open") || tokens[last].level !== (isTable ? 2 : 1)) last -= 1;
    const empty = tokens.slice(0, last).filter(isEmptyCell).length + (before ? before._empty : 0);
    if (tokens[last].map[0] <= first || empty > MOST_EMPTY) return null;
    const offset = (line) => lines.slice(0, line).join("\n").length + (line && 1);
    return {
      tokens: tokens.slice(0, last).concat(tokens.slice(isTable ? -2 : -1)),
      from: offset(first),
      to: offset(tokens[last].map[0]),
      loose: isLoose(tokens, lines) || Boolean(before && before._loose),
      empty,
    };
  }

  /** `block`: the node of all that is final; `source`: what was taken off for it, behind what was taken off `before`. */
  constructor(before, { tokens, from, loose, empty }, block, source) {
    this.block = block.tag === "div" ? block.children[0] : block; // a table's frame is drawn anew
    this._type = tokens[0].type;
    this._from = from;
    this._loose = loose;
    this._empty = empty;
    this._source = (before ? before._source : "") + source;
    this._table = before && before._table; // the element
  }

  /** Whether `tokens` begin with the rest of this block; its items become paragraphs where these are. */
  goesOn(tokens, lines) {
    if (!tokens.length || tokens[0].type !== this._type || (!this._loose && isLoose(tokens, lines))) return false;
    if (this._loose) for (const paragraph of parts(tokens, "paragraph_open", 2)) paragraph.hidden = false;
    return true;
  }

  /** After a part was drawn in `element`. */
  drawn(element) {
    if (this.block.tag !== "table") return;
    this._table = element.firstChild;
    keepWidths(this._table);
  }

  /** No more of it will come. */
  over() {
    if (this._table) freeWidths(this._table);
  }

  /** `source` with what was taken off it. */
  whole(source) {
    return source.slice(0, this._from) + this._source + source.slice(this._from);
  }
}

function isEmptyCell(token, at, tokens) {
  return token.type === "td_open" && !tokens[at + 1].content;
}

/* Whether there is a blank line between the items of the list that comes first, or within one. */
function isLoose(tokens, lines) {
  const items = parts(tokens, "list_item_open", 1);
  return items.some(({ meta }, n) => (meta && meta.loose) || (n > 0 && endsBlank(items[n - 1].map, lines)));
}

function endsBlank([from, to], lines) {
  return to - from > 1 && /^[ \t]*$/.test(lines[to - 1]);
}

/* Those of the block that comes first. */
function parts(tokens, type, level) {
  const end = tokens.findIndex((token) => token.nesting < 0 && token.level === 0);
  return tokens.slice(0, end).filter((token) => token.type === type && token.level === level);
}
