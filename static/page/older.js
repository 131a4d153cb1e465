/* Conversations as others have left them, as changes for the archive. A turn's id is made from its
   place, so that two tabs which take the same over write the same. */
(function (page) {
  'use strict';

  /** From `talks` and `talk.{id}` in localStorage: a list of turns in one value. */
  page.olderTalks = function (then) {
    var list = page.store.get('talks'), ids = [], changes = [];
    (Array.isArray(list) ? list : []).forEach(function (entry) {
      var talk = page.store.get('talk.' + entry.id), parent = null;
      ids.push(entry.id);
      if (!talk || !Array.isArray(talk.turns)) return;
      var turns = talk.turns.map(function (turn, n) {
        var id = talk.id + '-' + n;
        turn = page.changed(turn, {id: id, talk: talk.id, parent: parent, made: (turn.asked || talk.at) + (turn.asked ? 1 : 0), fresh: null});
        parent = id;
        return turn;
      });
      changes.push({talk: talk.id, set: {title: talk.title, at: talk.at, tip: parent}, turns: turns});
    });
    then(changes, function () {
      page.store.remove('talks');
      ids.forEach(function (id) { page.store.remove('talk.' + id); });
    });
  };

  /** From a page that was left in mid-answer: IndexedDB may not finish what it is given then. */
  page.leftTalks = function (then) {
    then(page.store.get('left') || [], function () { page.store.remove('left'); });
  };

  /** From web storage, where the browser had no IndexedDB before. */
  page.keptIn = function (shelf, then) {
    shelf.talks(function (talks) {
      shelf.turns(null, function (turns) {
        var files = shelf.files();
        function of(records, talk) { return records.filter(function (record) { return record.talk === talk.id; }); }
        then(talks.map(function (talk) {
          return {talk: talk.id, set: page.changed(talk, {id: null}), turns: of(turns, talk), files: of(files, talk)};
        }), shelf.clear);
      });
    });
  };
}(window.MillstreamPage));
