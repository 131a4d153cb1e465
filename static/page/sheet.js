/* A sheet over the page, a dialog: the keyboard shortcuts, or what a question carries. */
(function (page) {
  'use strict';
  var sheet = null, before = null, onclose = null;

  function close() {
    page.remove(sheet);
    sheet = null;
    if (onclose) onclose();
    if (before) before.focus();
  }

  /** Tab stays inside: between the button and what can be scrolled. */
  function hold(event) {
    var all = sheet.querySelectorAll('button, [tabindex]');
    if (event.keyCode !== 9) return;
    event.preventDefault();
    if (all.length > 1) all[document.activeElement === all[0] ? 1 : 0].focus();
  }

  page.sheet = {
    /** Shows `content` under a heading; `then` is called when it is closed. */
    open: function (label, content, style, then) {
      var done = page.iconButton('close', page.say('close'), close);
      if (sheet) return;
      page.panel.closeAny();
      before = document.activeElement;
      onclose = then || null;
      sheet = page.make('div', {'class': 'cover'}, [
        page.make('div', {'class': 'sheet ' + (style || ''), role: 'dialog', 'aria-modal': 'true', 'aria-label': label}, [
          page.make('h2', {text: label}), done, content
        ])
      ]);
      sheet.addEventListener('click', function (event) { if (event.target === sheet) close(); });
      sheet.addEventListener('keydown', hold);
      document.body.appendChild(sheet);
      done.focus();
    },
    /** Gives whether it was open. */
    close: function () {
      var was = !!sheet;
      if (was) close();
      return was;
    }
  };
}(window.MillstreamPage));
