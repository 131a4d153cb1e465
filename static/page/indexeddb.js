/* Conversations in IndexedDB, one record a turn: https://www.w3.org/TR/IndexedDB/. The same methods as webstorage.js.

   talks {id, title, at, tip, …, gone: when it was deleted}, turns {id, talk, parent, …}, files {id, talk, content}. */
(function (page) {
  'use strict';
  var KINDS = ['talks', 'turns', 'files'];
  var PATIENCE = 3000; // ms; Safari 14 may never answer to `open`

  function collect(source, then) {
    source.onsuccess = function () { then(source.result); };
    source.onerror = function (event) {
      event.preventDefault();
      then(null);
    };
  }

  function build(event) {
    var database = event.target.result;
    KINDS.forEach(function (kind) {
      var store = database.createObjectStore(kind, {keyPath: 'id'});
      if (kind !== 'talks') store.createIndex('talk', 'talk');
    });
  }

  /** Opens it; `then(shelf)`, or `then(null)` where the browser has none or forbids it. */
  page.openIndexedDB = function (name, then) {
    var database = null, told = false;

    /** A browser closes it by itself: Safari in the background, everyone when the site's data is cleared. */
    function open(then) {
      var request;
      function over(found) {
        database = found;
        if (found) found.onclose = found.onversionchange = function () { found.close(); database = null; };
        then(found);
      }
      try {
        request = window.indexedDB.open(name, 1);
      } catch (error) { return over(null); } // cookies are blocked
      request.onupgradeneeded = build;
      request.onsuccess = function () { over(request.result); };
      request.onerror = function (event) {
        event.preventDefault(); // Firefox would report it to the page
        over(null);
      };
    }

    /** A transaction, or null where the database can't be had. */
    function begin(mode, then) {
      var work = null;
      try {
        work = database && database.transaction(KINDS, mode);
      } catch (error) { database = null; }
      if (work) return then(work);
      open(function (found) { then(found && found.transaction(KINDS, mode)); });
    }

    function read(act, then) {
      begin('readonly', function (work) {
        if (work) act(work);
        else then(null);
      });
    }

    var shelf = {
      lasts: true,
      talks: function (then) {
        read(function (work) { collect(work.objectStore('talks').getAll(), function (all) { then(all || []); }); }, function () { then([]); });
      },
      /** The turns of one conversation, or with null all there are. */
      turns: function (talk, then) {
        read(function (work) {
          var turns = work.objectStore('turns');
          collect(talk === null ? turns.getAll() : turns.index('talk').getAll(talk), function (all) { then(all || []); });
        }, function () { then([]); });
      },
      file: function (id, then) { read(function (work) { collect(work.objectStore('files').get(id), then); }, then); },

      /** See archive.js. All of it or nothing; `then('')`, or why nothing was written: 'gone' or 'full'. */
      write: function (change, then) {
        begin('readwrite', function (work) {
          var result = '';
          if (!work) return then('full');
          work.oncomplete = function () { then(result); };
          work.onabort = function () { then('full'); };
          collect(work.objectStore('talks').get(change.talk), function (kept) {
            if (kept && kept.gone && change.set.gone !== null) {
              result = 'gone';
              return;
            }
            work.objectStore('talks').put(page.changed(kept || {id: change.talk}, change.set));
            (change.files || []).forEach(function (file) { work.objectStore('files').put(file); });
            (change.turns || []).forEach(function (turn) {
              collect(work.objectStore('turns').get(turn.id), function (before) {
                if (page.isNewer(turn, before)) work.objectStore('turns').put(turn);
              });
            });
            (change.drop || []).forEach(function (id) { work.objectStore('turns')['delete'](id); });
          });
        });
      },

      /** Erases what a deleted conversation held; its mark stays, for answers under way. */
      purge: function (talk, then) {
        begin('readwrite', function (work) {
          if (!work) return then();
          work.oncomplete = work.onabort = then;
          ['turns', 'files'].forEach(function (kind) {
            collect(work.objectStore(kind).index('talk').getAllKeys(talk), function (keys) {
              (keys || []).forEach(function (key) { work.objectStore(kind)['delete'](key); });
            });
          });
          work.objectStore('talks').put(page.marked(talk));
        });
      },
      /** Forgets a mark. */
      forget: function (talk) { begin('readwrite', function (work) { if (work) work.objectStore('talks')['delete'](talk); }); }
    };

    function tell(found) {
      if (told) return;
      told = true;
      then(found ? shelf : null);
    }

    // Before IndexedDB 2 (Chromium 48, Firefox 44, Safari 10.1) it lost data in Safari, and lacks getAll everywhere.
    if (!window.IDBObjectStore || !window.IDBObjectStore.prototype.getAll) return then(null);
    open(tell);
    setTimeout(function () { tell(null); }, PATIENCE);
  };
}(window.MillstreamPage));
