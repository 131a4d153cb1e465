/* The one line above the message box that says what is going on. */
(function (page) {
  'use strict';
  var words = page.make('span', {});
  var line = page.make('p', {'class': 'state'}, [words]);
  var state = {text: '', style: ''}, hint = '', timer = null, network = '', blocked = '';
  var choose = page.make('button', {type: 'button', 'class': 'link', onclick: function () { page.own.choose(); }});

  function set(text, style) {
    if (words.textContent !== text) words.textContent = text;
    line.className = 'state' + (style ? ' ' + style : '');
    if (style === 'lost' && !line.querySelector('.icon')) line.insertBefore(page.icon('again'), words);
    if (style !== 'lost') page.remove(line.querySelector('.icon'));
    if (style === 'blocked' && page.own.canChoose()) line.appendChild(choose);
    else page.remove(choose);
  }

  function draw() {
    if (hint) return set(hint, '');
    if (!state.text && blocked) return set(blocked, 'blocked');
    if (!state.text && network) return set(page.say(network), network);
    return set(state.text, state.style);
  }

  /** What the browser says of the network is a hint: a LAN without internet has servers, too, and some old WebKits are
      "offline" for ever. So the server is asked, and sending is always tried. */
  function look() {
    var request = new XMLHttpRequest();
    function tell(found) {
      network = found;
      draw();
    }
    if (navigator.onLine !== false) return tell('');
    request.open('HEAD', page.root + '/page.js?' + Date.now());
    request.onload = function () { tell(navigator.onLine === false ? 'no_internet' : ''); };
    request.onerror = function () { tell(navigator.onLine === false ? 'offline' : ''); };
    request.send();
  }

  page.stateline = {
    element: line,

    /** `style` is '' or 'lost'. While an answer is written the line is hidden from screen readers: it changes often. */
    show: function (text, style, hidden) {
      state = {text: text, style: style || ''};
      if (hidden) line.setAttribute('aria-hidden', 'true');
      else line.removeAttribute('aria-hidden');
      draw();
    },

    /** Why nothing can be sent, until it is called with ''. */
    block: function (text) {
      if (text === blocked) return;
      blocked = text;
      choose.textContent = page.say('choose_model');
      if (text) page.speech.tell(text);
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

    /** Looks at the network from now on. */
    begin: function () {
      window.addEventListener('online', look);
      window.addEventListener('offline', look);
      look();
    }
  };
}(window.MillstreamPage));
