/* One answer's markdown while it grows: what is final is drawn once and not looked at again. */

import { Begun } from "./begun.js";
import { colours } from "./colours.js";
import { OpenFence, isClosed } from "./fence.js";
import { hold } from "./hold.js";
import { parse } from "./markdown.js";
import { codeOf, nodes } from "./nodes.js";
import { patch } from "./patch.js";
import { keepSelection } from "./selection.js";

const INLINE = new Set(["a", "br", "button", "code", "del", "em", "hr", "input", "span", "strong"]);

export class Growth {
  /** `onheight` is called where something is drawn later: a formula. */
  constructor(element, words, onheight) {
    this._element = element;
    this._words = words;
    this._onheight = onheight;
    this._tail = ""; // what is not final; begins with a block
    this._final = []; // nodes
    this._shown = []; // the tail's nodes, as they are drawn
    this._decided = 0; // the tail up to here was searched for what is final
    this._fence = null; // {open, leaf} while the tail is a code block that goes on
    this._begun = null; // while the tail goes on with a list or a table
    this._references = false;
    this._coloured = new Map(); // an item is parsed again and again, with all the code in it
    this._tip = null;
  }

  /** Draws what has come. Raises TooDeep. */
  add(piece) {
    this._tail += piece;
    const code = this._fence ? this._fence.open.take(this._tail) : null;
    if (code !== null) {
      this._fence.leaf.text += code;
      this._fence.leaf.drawn.appendData(code);
      return;
    }
    this._fence = null;
    const final = this._freeze();
    const shown = this._fence ? [this._openCode()] : this._nodes(hold(this._tail));
    this._patch(this._shown, [...final, ...shown]);
    this._final.push(...final);
    this._shown = shown;
    if (this._begun) this._begun.drawn(shown[0].drawn);
    this._moveTip(lastOf(shown) || this._element);
  }

  /** Draws what was held back; nothing comes any more. `whole` is the answer. */
  end(whole) {
    const rest = this._nodes(this._tail, true);
    if (this._references) {
      // A definition reaches back to what was drawn before it.
      this._leave();
      this._patch([...this._final, ...this._shown], this._nodes(whole, true));
    } else {
      this._patch(this._shown, rest);
    }
    this._leave();
    this._moveTip(null);
  }

  _patch(before, after) {
    keepSelection(this._element, () => patch(this._element, before, after));
  }

  /* Takes the blocks that are final off the tail and gives their nodes. All but the last are, as far as lines are
     complete. ("* a\n-" looks like two blocks until it becomes "* a\n-x".) */
  _freeze() {
    const complete = this._tail.lastIndexOf("\n") + 1;
    if (complete <= this._decided) return [];
    this._decided = complete;
    const { tokens, lines } = this._parse(this._tail.slice(0, complete), { growing: false, more: true });
    let at = tokens.length - 1;
    while (at >= 0 && (tokens[at].level > 0 || tokens[at].nesting < 0)) at -= 1;
    if (at < 0) return [];
    const last = tokens[at];
    if (last.type === "fence" && !isClosed(last, lines)) this._fence = {};
    if (at === 0) {
      this._closeParts(tokens, lines);
      return [];
    }
    const final = this._walk(tokens.slice(0, at), lines, true);
    this._leave();
    this._cut(0, lines.slice(0, last.map[0]).join("\n").length + 1);
    return final;
  }

  /* Takes the items or rows that are final off the tail, which is one block. */
  _closeParts(tokens, lines) {
    const found = Begun.find(tokens, lines, this._begun);
    if (!found) return;
    const [block] = this._walk(found.tokens, lines, true);
    this._begun = new Begun(this._begun, found, block, this._cut(found.from, found.to));
  }

  _leave() {
    if (this._begun) this._begun.over();
    this._begun = null;
  }

  _cut(from, to) {
    const source = this._tail.slice(from, to);
    this._tail = this._tail.slice(0, from) + this._tail.slice(to);
    this._decided -= source.length;
    this._coloured.clear();
    return source;
  }

  _openCode() {
    const open = new OpenFence(this._tail);
    const [block] = this._nodes(this._tail.slice(0, this._tail.indexOf("\n") + 1));
    const leaf = codeOf(block);
    leaf.text = open.take(this._tail);
    this._fence = { open, leaf };
    return block;
  }

  _nodes(source, finished = false) {
    const { tokens, lines } = this._parse(source, { growing: !finished, more: !finished });
    return this._walk(tokens, lines, finished);
  }

  /* The tokens and lines of `source`, with which the tail begins. */
  _parse(source, how) {
    const tokens = parse(source, how);
    this._references = this._references || tokens.references;
    const lines = source.split("\n");
    if (!this._begun || this._begun.goesOn(tokens, lines)) return { tokens, lines };
    const whole = this._begun.whole(source);
    this._tail = this._begun.whole(this._tail);
    this._decided += whole.length - source.length;
    this._leave();
    return this._parse(whole, how);
  }

  _walk(tokens, lines, finished) {
    const known = (code, language) => this._colours(code, language);
    const begun = this._begun && this._begun.block;
    return nodes(tokens, { words: this._words, onheight: this._onheight, lines, finished, colours: known, begun });
  }

  _colours(code, language) {
    const key = language + "\n" + code;
    if (!this._coloured.has(key)) this._coloured.set(key, colours(code, language));
    return this._coloured.get(key);
  }

  /* The cursor stands behind what has the class `tip`. */
  _moveTip(to) {
    if (this._tip && this._tip !== to) {
      this._tip.classList.remove("tip");
      if (!this._tip.className) this._tip.removeAttribute("class");
    }
    this._tip = to;
    if (to) to.classList.add("tip");
  }
}

/* The innermost block at the end. */
function lastOf(shown) {
  let last = shown[shown.length - 1];
  for (let next = last; next; next = lastIn(last)) last = next;
  return last && last.drawn;
}

function lastIn({ tag, children }) {
  let at = children.length - 1;
  while (at >= 0 && !canHold(children[at])) at -= 1;
  return children[at];

  function canHold(child) {
    if (child.tag === "td") return child.children.length > 0; // cells that have not come are there, too
    return tag === "pre" || (child.tag && !INLINE.has(child.tag));
  }
}
