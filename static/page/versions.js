/* ‹ 2 of 3 ›: the versions of a turn. */
(function (page) {
  'use strict';

  /** {element, set(n, all)}; `choose(n)` shows the version with this number, from 1 on. */
  page.versions = function (choose) {
    var n = 1, all = 1;
    var words = page.make('span', {'class': 'version'});
    var before = page.iconButton('before', page.say('version_before'), function () { go(n - 1); });
    var after = page.iconButton('after', page.say('version_after'), function () { go(n + 1); });
    var element = page.make('div', {'class': 'versions', role: 'group', hidden: true}, [before, words, after]);

    function go(to) { if (to >= 1 && to <= all) choose(to); }

    return {
      element: element,
      set: function (number, count) {
        n = number;
        all = count;
        page.show(element, all > 1);
        words.textContent = page.say('version', {n: n, all: all});
        element.setAttribute('aria-label', page.say('version_said', {n: n, all: all}));
        before.setAttribute('aria-disabled', String(n === 1));
        after.setAttribute('aria-disabled', String(n === all));
      },
      /** To the arrow that was pressed: the turn has been drawn anew. */
      focus: function (later) { (later ? after : before).focus(); }
    };
  };
}(window.MillstreamPage));
