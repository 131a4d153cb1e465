/* Draws a model's answer as it is written: markdown, code in colours, tables. For browsers that know modules; the page
   has a plainer drawing with the same methods for all others. Needs no HTML and no eval: works under
   require-trusted-types-for 'script'; trusted-types 'none'. */

import { listen } from "./rich/copying.js";
import { Growth } from "./rich/growth.js";
import { TooDeep } from "./rich/nodes.js";
import { Plain } from "./rich/plain.js";

const FRAME = 16; // ms

/**
 * @param {Element} element  empty; gets the class `rich`
 * @param {{words: Object, onheight: function()=}} options  `words`: code ("Code, {lang}"), table, image ("…{alt}"),
 *   copy, copied. `onheight` is called after each change of what is shown.
 * @returns {{write: function(string), end: function(), flush: function()}}  `write` takes the answer's next piece, cut
 *   anywhere, and draws it in a frame to come. `end` draws at once, with what was held back because it was half a
 *   marker. `flush` draws at once what has come so far.
 */
function drawing(element, { words, onheight = () => {} }) {
  let growth = new Growth(element, words, onheight);
  let text = ""; // all of it
  let drawn = 0; // of text
  let due = 0; // no drawing before that, so that the page stays quick where drawing is slow
  let waiting = false;
  let ended = false;

  element.classList.add("rich");
  listen(element, words);

  function draw(to) {
    const began = performance.now();
    const piece = text.slice(drawn, to);
    drawn = to;
    attempt(() => piece && growth.add(normal(piece)));
    if (piece) onheight(); // which has the page laid out: that may take longer than drawing
    due = performance.now() + Math.max(FRAME, 4 * (performance.now() - began));
  }

  /* What can't be drawn as markdown is drawn as it is. */
  function attempt(step) {
    try {
      step();
    } catch (error) {
      if (!(error instanceof TooDeep)) console.error(error);
      element.textContent = "";
      growth = new Plain(element);
      growth.add(normal(text.slice(0, drawn)));
    }
  }

  function frame() {
    waiting = false;
    if (!ended) flush();
  }

  function flush() {
    draw(isHalf(text.charCodeAt(text.length - 1)) ? text.length - 1 : text.length);
  }

  return {
    write(piece) {
      if (ended) return;
      text += piece;
      if (waiting) return;
      waiting = true;
      const rest = due - performance.now();
      if (rest > FRAME) setTimeout(() => requestAnimationFrame(frame), rest - FRAME);
      else requestAnimationFrame(frame);
    },
    end() {
      if (ended) return;
      ended = true;
      draw(text.length);
      attempt(() => growth.end(normal(text)));
      growth = null; // 4 MB for 200 KB of text
      text = "";
      onheight();
    },
    flush,
  };
}

/* As the standard reads it, before pieces are put together. */
function normal(piece) {
  return piece.replace(/\r\n?/g, "\n").replace(/\0/g, "\ufffd");
}

/* Of a line end, or of a character beyond the first 65,536: the other half comes with the next piece. */
function isHalf(code) {
  return code === 0x0d || (code >= 0xd800 && code < 0xdc00);
}

window.MillstreamRich = { drawing };
