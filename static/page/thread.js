/* The turns of the open conversation, as they stand in the page. */
(function (page) {
  'use strict';
  var main = document.getElementById('conversation');
  var empty = main.querySelector('.empty');
  var list = page.make('ol', {'class': 'turns', role: 'list'});

  function examples(fill) {
    return page.make('ul', {'class': 'examples', role: 'list'}, [1, 2, 3, 4].map(function (n) {
      var words = page.say('example_' + n);
      return page.make('li', {}, [page.make('button', {type: 'button', 'class': 'example', text: words, onclick: function () { fill(words); }})]);
    }));
  }

  page.thread = {
    /** Makes the empty page the scripted one's; `fill` puts an example into the message box. */
    begin: function (fill) {
      var said = empty.querySelectorAll('.unscripted');
      said[0].textContent = page.say('hello_sub');
      page.remove(said[1]);
      empty.appendChild(examples(fill));
      main.appendChild(list);
      page.thread.changed();
    },

    /** Takes an element in; all elements stand in the order in which they came. */
    add: function (element) {
      list.appendChild(element);
      page.thread.changed();
    },

    /** Keeps the first `count` turns, 0 for none. */
    cut: function (count) {
      while (list.children.length > count) list.removeChild(list.lastChild);
      page.thread.changed();
    },

    changed: function () {
      var none = !list.children.length;
      main.classList.toggle('hello', none);
      page.show(empty, none);
      page.show(list, !none);
    },

    element: main
  };
}(window.MillstreamPage));
