/* Where conversations are kept: in IndexedDB, else in web storage. What can't be written is held here until it can.

   A change is {talk: id, set: fields of the conversation's record, turns, files, drop: ids of turns, quiet: other tabs see
   it anyway}. A deletion is a mark
   in the conversation's record, `gone`, that only `set: {gone: null}` lifts: so an answer under way can't undo it. */
(function (page) {
  'use strict';
  var MONTH = 2592000000; // ms that a mark is kept
  var RANK = {running: 0, failed: 1, stopped: 2, done: 2};
  var shelf = null, held = [], busy = false, waiting = [], pending = [];

  /** Calls `act` once the shelf is open. */
  function ready(act) {
    if (shelf) act();
    else waiting.push(act);
  }

  /** A record with these fields; null takes one away. */
  page.changed = function (record, set) {
    var all = {};
    [record, set].forEach(function (some) { Object.keys(some).forEach(function (name) { all[name] = some[name]; }); });
    Object.keys(all).forEach(function (name) { if (all[name] === null || all[name] === undefined) delete all[name]; });
    return all;
  };

  /** What is left of a deleted conversation. */
  page.marked = function (id) { return {id: id, gone: Date.now()}; };

  /** Whether a turn may replace the one that is kept: two tabs may follow one answer, and one of them may lose it. */
  page.isNewer = function (turn, kept) {
    var mine = RANK[turn.state] || 0, its = kept ? RANK[kept.state] || 0 : -1;
    return mine > its || (!mine && mine === its && (turn.after || 0) >= (kept.after || 0));
  };

  function byId(records, more) {
    var all = {};
    records.concat(more).forEach(function (record) { all[record.id] = record; });
    return Object.keys(all).map(function (id) { return all[id]; });
  }

  function heldOf(kind, talk) {
    var found = [];
    held.forEach(function (change) { if (talk === null || change.talk === talk) found = found.concat(change[kind] || []); });
    return found;
  }

  /** Takes a change into what is held of its conversation. */
  function hold(change) {
    var same = held.filter(function (other) { return other.talk === change.talk; })[0];
    if (!held.length) setTimeout(page.archive.onchange);
    if (!same) return held.push({talk: change.talk, set: change.set, turns: change.turns || [], files: change.files || [], drop: change.drop || []});
    same.set = page.changed(same.set, change.set);
    ['turns', 'files'].forEach(function (kind) { same[kind] = byId(same[kind], change[kind] || []); });
    same.drop = same.drop.concat(change.drop || []);
  }

  /** Tries what is held once more, the oldest first, as long as it goes. */
  function retry() {
    var change = held[0];
    if (!change || busy) return;
    busy = true;
    shelf.write(change, function (result) {
      busy = false;
      if (result === 'full') return;
      held.shift();
      if (!held.length) page.archive.onchange();
      retry();
    });
  }

  /** Copies what lies in web storage, from older versions of the page and of the browser, and removes it there. */
  function takeOver(olders, then) {
    var older = olders.shift();
    if (!older) return then();
    older(function (changes, done) {
      var left = changes.length, full = false;
      if (!left) return takeOver(olders, then);
      changes.forEach(function (change) {
        shelf.write(change, function (result) {
          full = full || result === 'full';
          if (--left) return;
          if (!full) done();
          takeOver(olders, then);
        });
      });
    });
  }

  function sweep(then) {
    shelf.talks(function (talks) {
      talks.forEach(function (talk) {
        if (page.drafts.isOld(talk)) shelf.purge(talk.id, function () {});
        if (!talk.gone) return;
        if (talk.gone < Date.now() - MONTH) shelf.forget(talk.id);
        else if (talk.title && talk.gone < Date.now() - page.undo.time) shelf.purge(talk.id, function () {});
      });
      then();
    });
  }

  page.archive = {
    /** Opens what lasts longest; `then()`. */
    begin: function (then) {
      var plain = page.webStorage(page.area('localStorage'), page.prefix + 'kept/', true);
      page.openIndexedDB(page.prefix.replace(/:$/, ''), function (found) {
        var olders = [page.olderTalks, page.leftTalks];
        shelf = found || (page.area('localStorage') ? plain : page.webStorage(page.area('sessionStorage'), page.prefix + 'kept/', false));
        if (found && page.area('localStorage')) olders.push(function (then) { page.keptIn(plain, then); });
        takeOver(olders, function () { sweep(then); });
        waiting.splice(0).forEach(function (act) { act(); });
      });
    },

    /** All records of conversations, those that are marked as deleted, too. */
    talks: function (then) {
      ready(function () { shelf.talks(function (talks) {
        held.forEach(function (change) {
          var kept = talks.filter(function (talk) { return talk.id === change.talk; })[0] || {id: change.talk};
          if (kept.gone && change.set.gone !== null) return;
          talks = byId(talks, [page.changed(kept, change.set)]);
        });
        then(talks);
      }); });
    },
    turns: function (talk, then) {
      ready(function () { shelf.turns(talk, function (turns) { then(byId(turns, heldOf('turns', talk))); }); });
    },
    file: function (id, then) {
      var found = heldOf('files', null).filter(function (file) { return file.id === id; })[0];
      if (found) then(found);
      else ready(function () { shelf.file(id, then); });
    },

    /** Writes a change; `then(isGone)`. Other tabs are told. */
    write: function (change, then) {
      var kept = {talk: change.talk, set: change.set, turns: change.turns || [], drop: change.drop};
      pending.push(kept);
      ready(function () { shelf.write(change, function (result) {
        pending.splice(pending.indexOf(kept), 1);
        if (result === 'full') {
          hold(change);
        } else {
          held.forEach(function (other) { // what is held is older
            if (other.talk === change.talk) Object.keys(change.set).forEach(function (name) { delete other.set[name]; });
          });
          retry();
          if (!change.quiet) page.tabs.tell({talk: change.talk});
        }
        if (then) then(result === 'gone');
      }); });
    },

    /** Changes that are not written yet, without their files: a page that is left now would lose them. */
    pending: function () { return pending; },

    purge: function (talk) {
      var full = held.length > 0;
      held = held.filter(function (change) { return change.talk !== talk; });
      if (full && !held.length) page.archive.onchange();
      shelf.purge(talk, retry);
    },

    /** Whether all that was written will be there tomorrow. */
    lasts: function () { return !shelf || (shelf.lasts && !held.length); },
    isFull: function () { return held.length > 0; },
    /** Called when that has changed. */
    onchange: function () {}
  };
}(window.MillstreamPage));
