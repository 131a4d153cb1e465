/* The list of keys, as a dialog. */
(function (page) {
  'use strict';
  var sheet = null, before = null;

  function rows() {
    var enter = page.prefers('enter');
    return [
      [enter ? 'Enter' : page.command + '+Enter', 'key_send'], [enter ? 'Shift+Enter' : 'Enter', 'key_line'],
      [page.command + '+Enter', 'key_always'], ['Esc', 'key_stop'], ['↑', 'key_edit'],
      [page.command + '+Shift+O', 'new'], [page.command + '+K', 'search'], ['F2', 'rename'], ['Del', 'delete'], ['/', 'key_focus'], ['?', 'key_list']
    ];
  }

  function close() {
    page.remove(sheet);
    sheet = null;
    if (before) before.focus();
  }

  page.keylist = {
    open: function () {
      var done = page.iconButton('close', page.say('close'), close);
      if (sheet) return;
      page.panel.closeAny();
      before = document.activeElement;
      sheet = page.make('div', {'class': 'cover'}, [
        page.make('div', {'class': 'sheet', role: 'dialog', 'aria-modal': 'true', 'aria-label': page.say('keys')}, [
          page.make('h2', {text: page.say('keys')}), done,
          page.make('dl', {}, rows().map(function (row) {
            return page.make('div', {}, [page.make('dt', {}, [page.make('kbd', {text: row[0]})]), page.make('dd', {text: page.say(row[1])})]);
          }))
        ])
      ]);
      sheet.addEventListener('click', function (event) { if (event.target === sheet) close(); });
      sheet.addEventListener('keydown', function (event) { if (event.keyCode === 9) event.preventDefault(); }); // one button
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
