/* The conversations that this browser keeps: {id, title, at, tip, nodes, turns}; `nodes` are all turns by their ids, `turns`
   those that are shown, see branches.js. A turn is {id, talk, parent, made} with {role: 'user', text} or an answer's
   record, see answering.js. */
(function (page) {
  'use strict';
  var MOST = 60; // characters of a title
  var entries = []; // the records, without turns
  var strangers = {}; // ids of turns that came from other tabs
  var clock = 0, touched = {}; // id → when it was changed here: what is read may be older

  /** The first line, cut between characters: an emoji may be several. */
  page.shortened = function (text) {
    var line = text.trim().split('\n')[0], whole = [], segments;
    if (line.length <= MOST) return line;
    if (window.Intl && window.Intl.Segmenter) {
      segments = new window.Intl.Segmenter().segment(line.slice(0, 4 * MOST))[window.Symbol.iterator]();
      while (whole.length < MOST) {
        var next = segments.next();
        if (next.done) break;
        whole.push(next.value.segment);
      }
      return whole.join('');
    }
    return line.slice(0, MOST).replace(/[\ud800-\udbff]$/, '');
  };

  function later(a, b) { return (b.at || 0) - (a.at || 0); }

  function titleOf(talk) {
    var first = talk.turns[0];
    return first ? page.shortened(first.text) || page.shortened((first.files || [{name: ''}])[0].name) : '';
  }

  page.newId = function () { return Date.now().toString(36) + Math.random().toString(36).slice(2, 8); };

  page.talks = {
    /** Records of what is kept, the latest first. */
    list: function () { return entries; },
    entry: function (id) { return entries.filter(function (entry) { return entry.id === id; })[0] || null; },

    /** Reads the list again; `then()`. */
    refresh: function (then) {
      var asked = clock;
      function isOlder(talk) { return !(touched[talk.id] > asked); }
      page.archive.talks(function (talks) {
        entries = talks.filter(function (talk) { return !talk.gone && talk.title && isOlder(talk); })
          .concat(entries.filter(function (talk) { return !isOlder(talk); })).sort(later);
        if (then) then();
      });
    },

    fresh: function () { return {id: page.newId(), title: '', at: Date.now(), tip: null, nodes: {}, turns: []}; },

    /** `then(talk)`, or `then(null)` where there is none. */
    load: function (id, then) {
      var entry = page.talks.entry(id);
      if (!entry) return then(null);
      page.archive.turns(id, function (turns) {
        var talk = page.changed(entry, {nodes: {}});
        turns.forEach(function (turn) { talk.nodes[turn.id] = turn; });
        page.talks.turn(talk, talk.tip);
        then(turns.length ? talk : null);
      });
    },

    /** Shows the path to this turn; to the latest where there is none with this id, and none for null. */
    turn: function (talk, tip) {
      talk.tip = talk.nodes[tip] || tip === null ? tip : page.branches.latest(talk.nodes, null);
      talk.turns = page.branches.path(talk.nodes, talk.tip);
    },

    /** Takes in what other tabs have kept of it; `then(fresh)`: whether they have added turns. */
    merge: function (talk, then) {
      var had = Object.keys(talk.nodes), entry = page.talks.entry(talk.id);
      page.archive.turns(talk.id, function (turns) {
        var kept = {}, fresh = false;
        turns.forEach(function (turn) {
          var mine = talk.nodes[turn.id];
          kept[turn.id] = true;
          if (!mine) {
            fresh = strangers[turn.id] = true;
            talk.nodes[turn.id] = turn;
          } else if ((mine.state !== turn.state || mine.url !== turn.url) && page.isNewer(turn, mine) && !page.running.of(talk.id)) {
            talk.nodes[turn.id] = turn;
          }
        });
        had.forEach(function (id) { if (!kept[id]) delete talk.nodes[id]; });
        ['title', 'own'].forEach(function (field) { if (entry) talk[field] = entry[field]; });
        page.talks.turn(talk, talk.tip);
        then(fresh);
      });
    },

    /** Whether another tab has asked this, while this one was open. */
    isElsewhere: function (turn) { return !!strangers[turn.id]; },

    /** Puts a turn behind the last one that is shown. */
    add: function (talk, turn) {
      turn.id = page.newId();
      turn.talk = talk.id;
      turn.parent = talk.tip || null;
      turn.made = Date.now();
      talk.nodes[turn.id] = turn;
      talk.turns.push(turn);
      talk.tip = turn.id;
      return turn;
    },

    /** Keeps these of its turns, with `more` of {files, drop, quiet}; `then(isGone)`. */
    save: function (talk, turns, more, then) {
      more = more || {};
      var set = {at: talk.at, tip: talk.tip}, entry = page.talks.entry(talk.id) || {id: talk.id};
      if (!entry.named) set.title = titleOf(talk) || talk.title;
      if (talk.own) set.own = talk.own;
      page.archive.write({talk: talk.id, set: set, turns: turns, files: more.files, drop: more.drop, quiet: more.quiet}, then);
      entries = entries.filter(function (other) { return other !== entry; });
      touched[talk.id] = ++clock;
      if (set.title || entry.title) entries.push(page.changed(entry, set));
      entries.sort(later);
    },

    /** Changes fields of a record: title, named, pinned, own. */
    set: function (id, fields) {
      touched[id] = ++clock;
      entries = entries.map(function (entry) { return entry.id === id ? page.changed(entry, fields) : entry; });
      page.archive.write({talk: id, set: fields});
    },

    /** Gives it a title; with '' the one that its first question makes. */
    rename: function (id, title, then) {
      if (title) {
        page.talks.set(id, {title: title, named: true});
        return then();
      }
      page.talks.load(id, function (talk) {
        if (talk) page.talks.set(id, {title: titleOf(talk), named: null});
        then();
      });
    },

    /** Deletes these conversations; `back(then)` lifts that for as long as Undo is offered. */
    remove: function (ids) {
      var timer = setTimeout(function () {
        ids.forEach(function (id) { if (!page.talks.entry(id)) page.archive.purge(id); }); // it may have been imported again
      }, page.undo.time + 1000);
      clock++;
      ids.forEach(function (id) { touched[id] = clock; });
      entries = entries.filter(function (entry) { return ids.indexOf(entry.id) < 0; });
      ids.forEach(function (id) { page.archive.write({talk: id, set: {gone: Date.now()}}); });
      return function back(then) {
        var left = ids.length;
        clearTimeout(timer);
        ids.forEach(function (id) {
          page.archive.write({talk: id, set: {gone: null}}, function () { if (!--left) page.talks.refresh(then); });
        });
      };
    }
  };
}(window.MillstreamPage));
