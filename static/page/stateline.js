/* The one line above the message box that says what is going on. */
(function (page) {
  'use strict';
  var words = page.make('span', {});
  var line = page.make('p', {'class': 'state'}, [words]);
  // A machine without a network still reaches the server that runs on it.
  var loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(location.hostname);
  var state = {text: '', style: ''}, hint = '', timer = null;

  function set(text, style) {
    if (words.textContent !== text) words.textContent = text;
    line.className = 'state' + (style ? ' ' + style : '');
    if (style === 'lost' && !line.querySelector('.icon')) line.insertBefore(page.icon('again'), words);
    if (style !== 'lost') page.remove(line.querySelector('.icon'));
  }

  function draw() {
    if (hint) return set(hint, '');
    if (!page.isOnline()) return set(page.say('offline'), 'offline');
    return set(state.text, state.style);
  }

  page.isOnline = function () { return loopback || navigator.onLine !== false; };

  page.stateline = {
    element: line,

    /** `style` is '' or 'lost'. While an answer is written the line is hidden from screen readers: it changes often. */
    show: function (text, style, hidden) {
      state = {text: text, style: style || ''};
      if (hidden) line.setAttribute('aria-hidden', 'true');
      else line.removeAttribute('aria-hidden');
      draw();
    },

    /** For three seconds instead of the state, and aloud. */
    hint: function (text) {
      hint = text;
      page.speech.tell(text);
      draw();
      clearTimeout(timer);
      timer = setTimeout(function () {
        hint = '';
        draw();
      }, 3000);
    },

    draw: draw
  };
}(window.MillstreamPage));
