/* The turns of the open conversation, as they stand in the page. Of a long one only the last are drawn, and those before
   them when the reader comes near: drawing 3,200 takes a second, and memory that nobody looks at. */
(function (page) {
  'use strict';
  var LAST = 30, STEP = 12; // turns
  var NEAR = 800; // px
  var main = document.getElementById('conversation');
  var empty = main.querySelector('.empty');
  var list = page.make('ol', {'class': 'turns', role: 'list'});
  var note = page.make('div', {'class': 'aside', hidden: true});
  var more = page.button('up', page.say('show_earlier'), function () { earlier(true); }, 'outline earlier-turns');
  var turns = [], shown = []; // all; those that are drawn, the last of them: {turn, view}
  var make = null;

  function examples(fill) {
    return page.make('ul', {'class': 'examples', role: 'list'}, [1, 2, 3, 4].map(function (n) {
      var words = page.say('example_' + n);
      return !words ? null : page.make('li', {}, [page.make('button', {type: 'button', 'class': 'example', text: words, onclick: function () { fill(words); }})]);
    }));
  }

  function made(turn) { return {turn: turn, view: make(turn)}; }

  function drop(count) {
    while (shown.length > count) page.remove(shown.pop().view.element);
  }

  function changed() {
    var none = !turns.length && note.hasAttribute('hidden');
    main.classList.toggle('hello', none);
    page.show(empty, none);
    page.show(list, !!turns.length);
    page.show(more, shown.length < turns.length);
  }

  /** Draws some of the turns before; what is looked at stays where it is. */
  function earlier(asked) {
    var first = list.firstChild, top = first && first.getBoundingClientRect().top;
    var to = turns.length - shown.length, from = Math.max(0, to - STEP);
    var items = turns.slice(from, to).map(made);
    if (!items.length) return;
    list.style.overflowAnchor = 'none'; // or Chromium would move it as well
    items.forEach(function (item) { list.insertBefore(item.view.element, first); });
    shown = items.concat(shown);
    changed();
    page.thread.ondrawn();
    window.scrollBy(0, first.getBoundingClientRect().top - top);
    if (asked && from) more.focus();
    setTimeout(function () { list.style.overflowAnchor = ''; });
  }

  page.thread = {
    /** Makes the empty page the scripted one's; `fill` puts an example into the message box. */
    begin: function (fill) {
      var said = empty.querySelectorAll('.unscripted');
      said[0].textContent = page.say('hello_sub');
      page.remove(said[1]);
      empty.appendChild(examples(fill));
      main.appendChild(more);
      main.appendChild(list);
      main.appendChild(note);
      page.show(more, false);
      page.show(list, false);
      window.addEventListener('scroll', function () { if (window.pageYOffset < NEAR && !page.scrolling.isStuck()) earlier(false); });
      window.addEventListener('beforeprint', page.thread.all);
    },

    /** Shows these turns; what is drawn of them stays. `draw(turn)` gives {element, versions, …}. */
    draw: function (now, draw) {
      var before = turns.length - shown.length, same = 0;
      make = draw;
      page.thread.note(null);
      while (same < shown.length && shown[same].turn === now[before + same]) same++;
      if (!same || now[before - 1] !== turns[before - 1] || now[0] !== turns[0]) {
        drop(0);
        before = Math.max(0, now.length - LAST);
        same = 0;
      }
      drop(same);
      turns = now.slice();
      turns.slice(before + same).forEach(function (turn) {
        var item = made(turn);
        shown.push(item);
        list.appendChild(item.view.element);
      });
      if (page.scrolling.isStuck()) page.thread.trim();
      changed();
      page.thread.ondrawn();
    },

    /** Forgets what is far above, when the reader is at the end. */
    trim: function () {
      if (shown.length <= 2 * LAST) return;
      shown.splice(0, shown.length - LAST).forEach(function (item) { page.remove(item.view.element); });
      changed();
    },

    all: function () { while (shown.length < turns.length) earlier(false); },

    /** The view of a turn that is drawn, or null. */
    view: function (turn) {
      var item = shown.filter(function (item) { return item.turn === turn; })[0];
      return item ? item.view : null;
    },

    /** Draws a turn that is further up, and goes to it. */
    reveal: function (turn) {
      while (turns.indexOf(turn) >= 0 && !page.thread.view(turn)) earlier(false);
      if (page.thread.view(turn)) page.thread.view(turn).element.scrollIntoView();
    },

    /** What stands behind the last turn, until something is drawn; null for nothing. */
    note: function (element) {
      page.clear(note);
      page.show(note, !!element);
      if (element) note.appendChild(element);
      changed();
    },

    each: function (act) { shown.forEach(function (item) { act(item.turn, item.view); }); },
    /** Called after something was drawn. */
    ondrawn: function () {},
    element: main
  };
}(window.MillstreamPage));
