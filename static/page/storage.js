/* In the settings menu: how much is kept here, export and import. */
(function (page) {
  'use strict';
  var UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];

  /** 1234567 → '1.2 MB' */
  page.size = function (bytes) {
    var n = 0;
    while (bytes >= 1000 && n < UNITS.length - 1) {
      bytes /= 1000;
      n++;
    }
    return page.number(bytes, n && bytes < 10 ? 1 : 0) + ' ' + UNITS[n];
  };

  function tell(line) {
    var count = page.talks.list().length;
    line.textContent = page.say('use_n', {n: count});
    if (!navigator.storage || !navigator.storage.estimate) return;
    navigator.storage.estimate().then(function (found) {
      line.textContent = page.say('use', {n: count, size: page.size(found.usage), free: page.size(Math.max(0, found.quota - found.usage))});
    }, function () {});
  }

  /** Reads one chosen file after the other, and says how many conversations there were. */
  function read(files, line) {
    var all = Array.prototype.slice.call(files), count = 0;
    (function next() {
      var file = all.shift(), reader;
      if (!file) {
        page.rail.draw();
        line.textContent = page.say(count ? 'imported' : 'import_nothing', {n: count});
        return page.speech.tell(line.textContent);
      }
      reader = new window.FileReader();
      reader.onerror = next;
      reader.onload = function () {
        page.importText(reader.result, function (found) {
          count += found;
          next();
        });
      };
      reader.readAsText(file);
    }());
  }

  /** {element, tell()} */
  page.storageMenu = function () {
    var line = page.make('p', {'class': 'small', role: 'status'});
    var file = page.make('input', {type: 'file', 'class': 'quiet', accept: '.json,application/json', multiple: true, tabindex: '-1', 'aria-hidden': 'true', onchange: function () {
      read(file.files, line);
      file.value = '';
    }});
    return {
      element: page.make('div', {'class': 'section'}, [
        page.make('p', {'class': 'heading', text: page.say('here')}), line,
        page.make('p', {'class': 'choices'}, [
          page.canExport ? page.button(null, page.say('export_all'), function () { page.exportJson(null); }, 'outline') : null,
          window.FileReader ? page.button(null, page.say('import'), function () { file.click(); }, 'outline') : null, file
        ])
      ]),
      tell: function () { tell(line); }
    };
  };
}(window.MillstreamPage));
