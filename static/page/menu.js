/* A menu that a button opens: https://www.w3.org/WAI/ARIA/apg/patterns/menu-button/. It is `fixed`, since what scrolls would
   clip it. */
(function (page) {
  'use strict';
  var EDGE = 8; // px
  var shown = null, from = null;

  function close(back) {
    if (!shown) return false;
    page.remove(shown);
    shown = null;
    from.setAttribute('aria-expanded', 'false');
    if (back) from.focus();
    return true;
  }

  function place() {
    var button = from.getBoundingClientRect(), menu = shown.getBoundingClientRect();
    var left = Math.min(button.left, window.innerWidth - menu.width - EDGE), top = button.bottom + 4;
    if (top + menu.height > window.innerHeight - EDGE) top = Math.max(EDGE, button.top - menu.height - 4);
    shown.style.left = Math.max(EDGE, left) + 'px';
    shown.style.top = top + 'px';
  }

  /** Where screen readers look for it. */
  function landmark(element) {
    while (element.parentNode !== document.body && element.tagName !== 'NAV') element = element.parentNode;
    return element;
  }

  function pressed(event) {
    var all = Array.prototype.slice.call(shown.querySelectorAll('button')), n = all.indexOf(document.activeElement);
    var to = {38: n - 1, 40: n + 1, 36: 0, 35: all.length - 1}[event.keyCode]; // up, down, Home, End
    if (event.keyCode === 9) return close(true);
    if (event.keyCode === 27) close(true);
    else if (to !== undefined) all[(to + all.length) % all.length].focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  function item(given) {
    if (!given) return page.make('hr', {role: 'separator'});
    return page.make('button', {type: 'button', role: 'menuitem', tabindex: '-1', 'class': 'item' + (given.danger ? ' danger' : ''), onclick: function () {
      close(true);
      given.act();
    }}, [page.make('span', {text: given.text}), given.key ? page.make('kbd', {text: given.key, 'aria-hidden': 'true'}) : null]);
  }

  page.menu = {
    /** Opens below `button`; items: {text, key, danger, act()}, null for a line. */
    open: function (button, label, items) {
      var same = shown && from === button;
      close(false);
      if (same) return;
      from = button;
      shown = page.make('div', {'class': 'menu-list', role: 'menu', 'aria-label': label}, items.map(item));
      landmark(button).appendChild(shown);
      button.setAttribute('aria-expanded', 'true');
      place();
      shown.addEventListener('keydown', pressed);
      shown.addEventListener('click', function (event) { event.stopPropagation(); }); // what lies below stays open
      shown.querySelector('button').focus();
    },
    /** Gives whether one was open. */
    close: function () { return close(true); }
  };

  document.addEventListener('click', function (event) { if (shown && !from.contains(event.target)) close(false); });
  window.addEventListener('resize', function () { close(false); });
}(window.MillstreamPage));
