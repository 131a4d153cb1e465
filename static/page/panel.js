/* Something that a button opens: it closes with Escape, by a click beside it, and when the focus leaves it. */
(function (page) {
  'use strict';
  var open = null;

  function hold(event) { // Tab stays inside while it covers the page
    var all = open.element.querySelectorAll('button, a[href], input, select, textarea');
    var first = all[0], last = all[all.length - 1];
    if (event.keyCode !== 9 || !open.covers()) return;
    if (event.shiftKey && document.activeElement === first) {
      last.focus();
      event.preventDefault();
    } else if (!event.shiftKey && document.activeElement === last) {
      first.focus();
      event.preventDefault();
    }
  }

  document.addEventListener('click', function (event) {
    if (open && !open.stays() && document.body.contains(event.target) && !open.element.contains(event.target) && !open.button.contains(event.target)) open.close();
  });
  document.addEventListener('keydown', function (event) { if (open) hold(event); });

  /** Ties a button to an element. `covers()`: whether it covers the page (then Tab stays in it); `changed(shown)` is
      told. Gives {open(), close(), isOpen()}. */
  page.panel = function (button, element, covers, changed) {
    var panel = {
      element: element, button: button, covers: covers,
      /** Whether it is no matter what is done beside it. */
      stays: function () { return false; },
      open: function () {
        if (open) open.close();
        open = panel;
        button.setAttribute('aria-expanded', 'true');
        changed(true);
      },
      close: function () {
        if (open !== panel) return;
        open = null;
        button.setAttribute('aria-expanded', 'false');
        if (element.contains(document.activeElement)) button.focus();
        changed(false);
      },
      isOpen: function () { return open === panel; }
    };
    button.setAttribute('aria-expanded', 'false');
    button.setAttribute('aria-controls', element.id);
    button.addEventListener('click', function () {
      if (panel.isOpen()) panel.close();
      else panel.open();
    });
    element.addEventListener('focusout', function (event) {
      if (panel.isOpen() && !panel.stays() && !covers() && event.relatedTarget && !element.contains(event.relatedTarget) && event.relatedTarget !== button) panel.close();
    });
    return panel;
  };

  /** Closes what is open. Gives whether something was. */
  page.panel.closeAny = function () {
    var was = open;
    if (was) was.close();
    return !!was;
  };
}(window.MillstreamPage));
