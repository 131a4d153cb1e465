/* Conversations as files: JSON, which importing.js reads, and Markdown for people. docs/page.md tells the format. */
(function (page) {
  'use strict';

  /** Whether this browser can save what a page has made. */
  page.canExport = !!window.Blob && !!window.URL && (!!window.navigator.msSaveBlob || 'download' in document.createElement('a'));

  /** Saves a file that is made of these pieces. */
  function save(name, type, pieces) {
    var blob = new window.Blob(pieces, {type: type + ';charset=utf-8'}), link;
    if (window.navigator.msSaveBlob) return window.navigator.msSaveBlob(blob, name); // Internet Explorer
    link = page.make('a', {href: window.URL.createObjectURL(blob), download: name, hidden: true});
    document.body.appendChild(link);
    link.click();
    setTimeout(function () {
      window.URL.revokeObjectURL(link.href);
      page.remove(link);
    }, 10000);
  }

  function fileName(title, ending) {
    return (page.shortened(title.replace(/[\\\/:*?"<>|\u0000-\u001f\u202a-\u202e\s]+/g, ' ')) || 'conversation') + ending;
  }

  /** `then(turns)`: with the contents of what they carry. */
  function filled(turns, then) {
    var wanted = [];
    turns.forEach(function (turn) { (turn.files || []).forEach(function (file) { wanted.push(file); }); });
    (function next() {
      var file = wanted.shift();
      if (!file) return then(turns);
      page.archive.file(file.id, function (found) {
        file.content = found ? found.content : null;
        next();
      });
    }());
  }

  /** `each(talk)` for one after the other, whole; then `then()`. */
  function read(ids, each, then) {
    var id = ids.shift();
    if (id === undefined) return then();
    page.talks.load(id, function (talk) {
      if (!talk) return read(ids, each, then);
      var turns = Object.keys(talk.nodes).map(function (id) { return talk.nodes[id]; });
      filled(turns, function () {
        each(talk, turns);
        read(ids, each, then);
      });
    });
  }

  /** Exports these conversations, with null all. */
  page.exportJson = function (ids) {
    var pieces = [], titles = [], all = ids || page.talks.list().map(function (talk) { return talk.id; });
    read(all.slice(), function (talk, turns) {
      var whole = page.changed(talk, {nodes: null});
      whole.turns = turns.map(function (turn) { return page.changed(turn, {talk: null, url: null, key: null, after: null}); });
      pieces.push((pieces.length ? ',\n' : '') + JSON.stringify(whole));
      titles.push(talk.title);
    }, function () {
      var head = '{"format": "millstream", "version": 1, "exported": ' + JSON.stringify(new Date().toISOString()) + ', "conversations": [\n';
      save(ids ? fileName(titles.join(', '), '.json') : 'millstream.json', 'application/json', [head].concat(pieces, ['\n]}\n']));
    });
  };

  page.exportMarkdown = function (id) {
    read([id], function (talk) {
      var pieces = ['# ' + talk.title + '\n'];
      talk.turns.forEach(function (turn) {
        pieces.push('\n## ' + page.say(turn.role === 'user' ? 'you' : 'answer') + '\n\n' + (turn.files || []).map(function (file) {
          return file.content && file.content.indexOf('data:') ? '`' + file.name + '`:\n\n' + file.content + '\n\n' : '*' + file.name + '*\n\n';
        }).join('') + turn.text + '\n');
      });
      save(fileName(talk.title, '.md'), 'text/markdown', pieces);
    }, function () {});
  };
}(window.MillstreamPage));
