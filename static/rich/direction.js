/* Which way a text is written: by its first letter, as dir=auto has it. That attribute is not enough for a list, since
   its items are to stand on the list's side whatever they begin with. Pure. */

const LETTER = /\p{L}/u;
const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** "rtl", "ltr", or "" where no letter has come. Code doesn't count. */
export function direction(nodes) {
  for (const node of nodes) {
    const letter = LETTER.exec(node.text || "");
    if (letter) return RIGHT_TO_LEFT.test(letter[0]) ? "rtl" : "ltr";
    const inside = node.children && node.attributes.dir !== "ltr" ? direction(node.children) : "";
    if (inside) return inside;
  }
  return "";
}
