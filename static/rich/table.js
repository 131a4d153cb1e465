/* Tables: in a frame that scrolls, numbers to the right. */

import { element, textOf } from "./patch.js";

const NUMBER = /^[-+−±~≈<>≤≥(]*\s?\p{Sc}?\s?\d[\d\s.,:'’]*(?:%|‰|\p{Sc}|[\p{L}µ°/²³]{1,6})?\)?$/u;

const MANY = 50; // rows

/** `table`'s children are thead and tbody, whose cells know their `align`. `begun`: the table that it goes on with. */
export function drawTable(table, words, begun) {
  const [head, body = element("tbody")] = table.children;
  const heads = head.children[0].children;
  table.numeric = heads.map((_, column) => areNumbers(body.children, column, begun ? begun.numeric[column] : undefined));
  table.sides = heads.map((cell, column) => cell.align || (table.numeric[column] ? "right" : ""));
  for (const row of [head.children[0], ...body.children]) align(row, table.sides);
  if (begun) {
    const rows = begun.children[1].children;
    const same = table.sides.every((side, column) => side === begun.sides[column]);
    body.children = (same ? rows : rows.map((row) => align(copy(row), table.sides))).concat(body.children);
    table.children = [head, body];
  }
  for (const cell of heads) {
    // A screen reader would announce an empty heading for each cell below.
    if (cell.children.length) cell.attributes.scope = "col";
    else cell.tag = "td";
  }
  return element("div", { class: "table", tabindex: "0", role: "group", "aria-label": words.table }, [table]);
}

/** A long table that grows keeps the widths its columns have: else each new row has all of them laid out anew. */
export function keepWidths(table) {
  if (table.rows.length < MANY || table.className) return;
  const heads = [...table.rows[0].cells];
  const widths = heads.map((head) => getComputedStyle(head).width);
  heads.forEach((head, column) => (head.style.width = widths[column]));
  table.className = "growing";
}

export function freeWidths(table) {
  table.removeAttribute("class");
  for (const head of table.rows[0].cells) head.removeAttribute("style");
}

function align(row, sides) {
  row.children.forEach((cell, column) => {
    if (sides[column]) cell.attributes.class = sides[column];
  });
  return row;
}

/* So that its cells can be drawn anew, but not what is in them. */
function copy(row) {
  return { ...row, children: row.children.map((cell) => ({ ...cell, attributes: {} })) };
}

/* Whether the column's filled cells are; undefined where there are none. `before`: those of the rows above. */
function areNumbers(rows, column, before) {
  return rows.reduce((numeric, row) => {
    const text = numeric === false ? "" : textOf(row.children[column]).trim();
    return text ? NUMBER.test(text) : numeric;
  }, before);
}
