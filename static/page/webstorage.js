/* Conversations in localStorage, one value a record, for browsers without IndexedDB 2: sessionStorage or, at last, memory
   where it is forbidden. See indexeddb.js for what each method does. */
(function (page) {
  'use strict';

  /** An area that lasts as long as the page. */
  function Memory() { this.values = {}; }
  Memory.prototype = {
    keys: function () { return Object.keys(this.values); },
    get: function (key) { return this.values[key] || null; },
    set: function (key, text) { this.values[key] = text; },
    remove: function (key) { delete this.values[key]; }
  };

  function Area(area) { this.area = area; }
  Area.prototype = {
    keys: function () {
      var all = [], n;
      for (n = 0; n < this.area.length; n++) all.push(this.area.key(n));
      return all;
    },
    get: function (key) { return this.area.getItem(key); },
    set: function (key, text) { this.area.setItem(key, text); }, // a value that does not fit leaves the one before
    remove: function (key) { this.area.removeItem(key); }
  };

  /** Keys are `{prefix}{kind}.{talk}.{id}`. */
  page.webStorage = function (given, prefix, lasts) {
    var area = given ? new Area(given) : new Memory();

    function key(kind, talk, id) { return prefix + [kind, talk, id].join('/'); }

    function value(name) {
      try {
        return JSON.parse(area.get(name));
      } catch (error) {
        return null; // not ours
      }
    }

    function named(start) { return area.keys().filter(function (name) { return name.indexOf(start) === 0; }); }

    function all(start) { return named(start).map(value).filter(Boolean); }

    function put(kind, record) { area.set(key(kind, record.talk || '', record.id), JSON.stringify(record)); }

    return {
      lasts: lasts,
      talks: function (then) { then(all(prefix + 'talks/')); },
      turns: function (talk, then) { then(all(prefix + 'turns/' + (talk === null ? '' : talk + '/'))); },
      file: function (id, then) {
        then(value(named(prefix + 'files/').filter(function (name) { return name.split('/').pop() === id; })[0] || ''));
      },
      files: function () { return all(prefix + 'files/'); },
      write: function (change, then) {
        var kept = value(key('talks', '', change.talk));
        if (kept && kept.gone && change.set.gone !== null) return then('gone');
        try {
          (change.files || []).forEach(function (file) { put('files', file); });
          (change.turns || []).forEach(function (turn) {
            if (page.isNewer(turn, value(key('turns', turn.talk, turn.id)))) put('turns', turn);
          });
          put('talks', page.changed(kept || {id: change.talk}, change.set));
        } catch (error) {
          return then('full');
        }
        (change.drop || []).forEach(function (id) { area.remove(key('turns', change.talk, id)); });
        then('');
      },
      purge: function (talk, then) {
        named(prefix + 'turns/' + talk + '/').concat(named(prefix + 'files/' + talk + '/')).forEach(function (name) { area.remove(name); });
        try { put('talks', page.marked(talk)); } catch (error) { /* It is smaller than what it replaces. */ }
        then();
      },
      forget: function (talk) { area.remove(key('talks', '', talk)); },
      /** Erases everything: what another shelf has taken over. */
      clear: function () { named(prefix).forEach(function (name) { area.remove(name); }); }
    };
  };
}(window.MillstreamPage));
