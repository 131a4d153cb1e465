/* Tables: in a frame that scrolls, numbers to the right. */

import { element, textOf } from "./patch.js";

const NUMBER = /^[-+−±~≈<>≤≥(]*\s?\p{Sc}?\s?\d[\d\s.,:'’]*(?:%|‰|\p{Sc}|[\p{L}µ°/²³]{1,6})?\)?$/u;

/** `table`'s children are thead and tbody, whose cells know their `align`. */
export function drawTable(table, words) {
  const rows = [].concat(...table.children.map((part) => part.children));
  const heads = rows.length ? rows[0].children : [];
  for (let column = 0; column < heads.length; column += 1) {
    const [head, ...cells] = rows.map((row) => row.children[column]).filter(Boolean);
    const side = head.align || (areNumbers(cells) ? "right" : undefined);
    if (side) for (const cell of [head, ...cells]) cell.attributes.class = side;
  }
  for (const cell of heads) {
    // A screen reader would announce an empty heading for each cell below.
    if (cell.children.length) cell.attributes.scope = "col";
    else cell.tag = "td";
  }
  return element("div", { class: "table", tabindex: "0", role: "group", "aria-label": words.table }, [table]);
}

function areNumbers(cells) {
  const filled = cells.map((cell) => textOf(cell).trim()).filter(Boolean);
  return filled.length > 0 && filled.every((text) => NUMBER.test(text));
}
