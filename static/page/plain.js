/* Draws a growing text as plain paragraphs: for browsers without the modules that draw markdown. */
(function (page) {
  'use strict';
  var frame = window.requestAnimationFrame || function (draw) { return setTimeout(draw, 16); };

  /** The same as MillstreamRich.drawing: {write(text), end(), flush()}. A new text node for each frame: to append to a
      single one of 200 KB cost 34 ms a frame. */
  function plain(element, options) {
    var pending = '', waits = false, paragraph = null;

    function draw(last) {
      var ends, parts;
      pending = pending.replace(last ? /\r\n?/g : /\r\n|\r(?=[^\n])/g, '\n'); // a CR at the end may be half of a CRLF
      ends = pending.length;
      while (!last && /[\r\n]/.test(pending.charAt(ends - 1))) ends -= 1; // line ends may become a blank line
      parts = pending.slice(0, ends).split(/\n{2,}/);
      pending = pending.slice(ends);
      parts.forEach(function (part, n) {
        if (n && paragraph) paragraph = null;
        if (!part) return;
        if (!paragraph) paragraph = element.appendChild(page.make('p', {'class': 'plain'}));
        paragraph.appendChild(document.createTextNode(part));
      });
      if (options.onheight) options.onheight();
    }

    function flush(last) {
      waits = false;
      if (pending) draw(last);
    }

    return {
      write: function (text) {
        pending += text;
        if (!waits) {
          waits = true;
          frame(function () { flush(false); });
        }
      },
      flush: function () { flush(false); },
      end: function () { flush(true); }
    };
  }

  /** Draws as well as this browser can. */
  page.drawing = function (element, onheight) {
    var rich = window.MillstreamRich;
    var options = {words: page.drawingWords(), onheight: onheight};
    return rich ? rich.drawing(element, options) : plain(element, options);
  };

  page.drawingWords = function () {
    return {code: page.say('code'), table: page.say('table'), image: page.say('image'), copy: page.say('copy'), copied: page.say('copied')};
  };
}(window.MillstreamPage));
