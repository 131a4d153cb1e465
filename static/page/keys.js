/* Keys that work wherever the focus is. */
(function (page) {
  'use strict';

  function inField(element) { return /^(textarea|select)$/i.test(element.tagName) || /^(text|password|search|number)$/.test(element.type || ''); }

  function escape() {
    if (page.menu.close() || page.sheet.close() || page.panel.closeAny()) return;
    if (page.conversation.isRunning()) page.conversation.stop();
    else page.composer.leave();
  }

  page.keys = {
    begin: function () {
      document.addEventListener('keydown', function (event) {
        var key = event.key, command = event.ctrlKey || event.metaKey;
        if (event.isComposing || event.keyCode === 229 || document.documentElement.classList.contains('signed-out')) return;
        if (key === 'Escape' || key === 'Esc' || event.keyCode === 27) {
          escape();
        } else if (command && event.shiftKey && (event.keyCode === 79 || key === 'O' || key === 'o')) {
          page.conversation.fresh();
        } else if (command && !event.shiftKey && (event.keyCode === 75 || key === 'k')) {
          page.rail.search();
        } else if (!command && !inField(event.target) && key === '/') {
          page.composer.focus();
        } else if (!command && !inField(event.target) && key === '?') {
          page.keylist.open();
        } else {
          return;
        }
        event.preventDefault();
      });
    }
  };
}(window.MillstreamPage));
