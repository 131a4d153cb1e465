/* A formula's TeX as MathML, by Temml, which is loaded when the first one comes. Where the browser has no MathML, or Temml
   can't read a formula, its TeX is shown as it came. */

const MATHML = "http://www.w3.org/1998/Math/MathML";
// What a formula may be made of, and tell about itself: Temml's commands could also link and load.
const TAGS = new Set(("math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle mpadded mphantom msub msup msubsup munder mover " +
  "munderover mmultiscripts mprescripts none mtable mtr mtd menclose merror semantics annotation").split(" "));
const ATTRIBUTES = new Set(("display mathvariant stretchy fence separator form lspace rspace symmetric minsize maxsize largeop " +
  "movablelimits accent accentunder width height depth voffset displaystyle scriptlevel linethickness columnalign rowspacing " +
  "columnspacing rowlines columnlines columnspan rowspan notation encoding mathcolor mathbackground").split(" "));
const LARGEST = 20; // em: a formula stays in its place
const LENGTH = /(\d*\.?\d+)(em|ex|mu)?/g;

const isKnown = typeof window.MathMLElement === "function"; // Chromium 109, Firefox 71, Safari 15
let loaded = null;

/** Draws `tex` in an element that shows nothing else; its `source` until Temml has come, which `onheight` tells. */
export function drawFormula(drawn, { tex, source, display, onheight }) {
  drawn.textContent = source;
  if (!isKnown || !tex) return;
  if (!loaded) loaded = import("../vendor/temml.js");
  loaded.then(({ default: temml }) => {
    if (drawn.textContent !== source) return; // it was drawn anew
    const options = { displayMode: display, throwOnError: true, annotate: true, maxSize: [LARGEST, LARGEST] };
    drawn.replaceChildren(element(temml.__renderToMathMLTree(tex, options)));
    onheight();
  }).catch(() => {}); // the source stays
}

/* Temml limits what is wide, and not what is moved aside. */
function isLarge(value) {
  const lengths = [...String(value).matchAll(LENGTH)];
  return lengths.some(([, number, unit]) => Number(number) > (unit ? LARGEST : 20 * LARGEST));
}

function element(node) {
  if (node.type === undefined) {
    if (typeof node.text === "string") return document.createTextNode(node.text);
    const group = document.createDocumentFragment();
    for (const child of node.children) group.append(element(child));
    return group;
  }
  if (!TAGS.has(node.type)) throw new TypeError(`Formulas have no <${node.type}>.`);
  const drawn = document.createElementNS(MATHML, node.type);
  for (const name in node.attributes) {
    if (ATTRIBUTES.has(name) && !isLarge(node.attributes[name])) drawn.setAttribute(name, node.attributes[name]);
  }
  for (const name in node.style) {
    if (!/\(/.test(node.style[name]) && !isLarge(node.style[name])) drawn.style[name] = node.style[name];
  }
  if (node.classes.length) drawn.setAttribute("class", node.classes.filter(Boolean).join(" "));
  for (const child of node.children) drawn.append(element(child));
  return drawn;
}
