/* The list of keys. */
(function (page) {
  'use strict';

  function rows() {
    var enter = page.prefers('enter'), command = page.command;
    return [
      [enter ? 'Enter' : command + '+Enter', 'key_send'], [enter ? 'Shift+Enter' : 'Enter', 'key_line'],
      [command + '+Enter', 'key_always'], ['Esc', 'key_stop'], ['↑', 'key_edit'],
      [command + '+Shift+O', 'new'], [command + '+K', 'search'], ['F2', 'rename'], ['Del', 'delete'], ['/', 'key_focus'], ['?', 'key_list']
    ];
  }

  page.keylist = {
    open: function () {
      page.sheet.open(page.say('keys'), page.make('dl', {}, rows().map(function (row) {
        return page.make('div', {}, [page.make('dt', {}, [page.make('kbd', {text: row[0]})]), page.make('dd', {text: page.say(row[1])})]);
      })));
    }
  };
}(window.MillstreamPage));
